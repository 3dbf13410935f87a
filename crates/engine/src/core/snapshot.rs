//! What a new controller is told of all that lives.

use std::collections::BTreeSet;
use std::time::Instant;

use offhook_words::Source;

use crate::control::wire::{LegSnapshot, MAX_FRAME_BYTES, OperationKind, OperationSnapshot};
use crate::core::legs::Leg;

/// Names that are remembered of one operation, so that a leg fits a frame whatever is played.
const NAMES: usize = 512;

/// What is told in one frame; one leg more fits in any case.
const PART_BYTES: usize = MAX_FRAME_BYTES / 4;

/// An operation of a leg that did not end yet.
#[derive(Debug)]
pub struct Running {
    kind: OperationKind,
    prompts: BTreeSet<String>,
}

impl Running {
    /// One that names no prompts (yet).
    pub fn new(kind: OperationKind) -> Self {
        Self {
            kind,
            prompts: BTreeSet::new(),
        }
    }

    /// It plays these as well.
    pub fn name(&mut self, prompts: Vec<String>) {
        self.prompts.extend(prompts);
        while self.prompts.len() > NAMES {
            self.prompts.pop_last();
        }
    }
}

/// The prompts among what is to be played.
pub fn prompts(sources: &[Source]) -> Vec<String> {
    let files = sources.iter().filter_map(|source| match source {
        Source::File { prompt, .. } => Some(prompt.clone()),
        _ => None,
    });
    files.collect()
}

impl Leg {
    /// What a new controller is told. Ages are by a clock that nobody sets.
    pub fn snapshot(&self, now: Instant) -> LegSnapshot {
        let ms_since =
            |then: Instant| u64::try_from(now.saturating_duration_since(then).as_millis()).unwrap_or(u64::MAX);
        let operations = self.operations.iter().map(|(id, running)| OperationSnapshot {
            id: *id,
            kind: running.kind,
            prompts: running.prompts.iter().cloned().collect(),
        });
        LegSnapshot {
            leg: self.id.clone(),
            direction: self.direction,
            state: self.state,
            from_uri: self.from_uri.clone(),
            to_uri: self.to_uri.clone(),
            label: self.label.clone(),
            started_us: self.started_us,
            answered_us: self.answered_us,
            operations: operations.collect(),
            codec: self
                .session
                .as_ref()
                .map_or_else(String::new, |session| session.formats.codec.name().to_owned()),
            age_ms: ms_since(self.since),
            answered_ms: self.answered_since.map(ms_since),
            held_ms: self.held_since.map(ms_since),
        }
    }
}

/// In parts of which each fits a frame.
pub fn in_frames(legs: impl Iterator<Item = LegSnapshot>) -> Vec<Vec<LegSnapshot>> {
    let mut parts = vec![Vec::new()];
    let mut bytes = 0;
    for leg in legs {
        bytes += rmp_serde::to_vec_named(&leg).map_or(0, |encoded| encoded.len());
        if bytes > PART_BYTES && parts.last().is_some_and(|part| !part.is_empty()) {
            bytes = 0;
            parts.push(Vec::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(leg);
        }
    }
    parts
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::control::wire::{Direction, LegState};
    use crate::core::legs::Presses;
    use crate::core::pace::Changes;
    use crate::media;

    fn leg(number: usize) -> LegSnapshot {
        LegSnapshot {
            leg: number.to_string(),
            direction: Direction::Inbound,
            state: LegState::Answered,
            from_uri: "sip:alice@192.0.2.1".into(),
            to_uri: "sip:100@192.0.2.2".into(),
            label: "l".repeat(8192),
            started_us: 1,
            answered_us: 2,
            operations: Vec::new(),
            codec: "PCMU".into(),
            age_ms: 3,
            answered_ms: Some(2),
            held_ms: None,
        }
    }

    fn held(since: Instant, answered_since: Option<Instant>, held_since: Option<Instant>) -> Leg {
        Leg {
            id: "leg".into(),
            sip: offhook_sip::LegKey(1),
            media: media::LegKey(1),
            direction: Direction::Inbound,
            state: LegState::Answered,
            from_uri: String::new(),
            to_uri: String::new(),
            label: String::new(),
            started_us: 0,
            answered_us: 0,
            since,
            answered_since,
            offer: None,
            local: offhook_sdp::Local::new(([127, 0, 0, 1], 5004).into(), Vec::new(), 1),
            answer: None,
            session: None,
            held_since,
            answer_is_owed: false,
            operations: std::collections::BTreeMap::new(),
            presses: Presses::default(),
            changes: Changes::default(),
            media_closing: false,
            media_closed: false,
            last_stats: None,
            verdict: None,
            ended: None,
        }
    }

    #[test]
    fn for_how_long_a_leg_lives_talks_and_is_held_is_told_to_the_millisecond() {
        let born = Instant::now();
        let after = |ms| born + Duration::from_millis(ms);
        let snapshot = held(born, Some(after(1_000)), Some(after(61_500))).snapshot(after(100_001));
        assert_eq!(
            (snapshot.age_ms, snapshot.answered_ms, snapshot.held_ms),
            (100_001, Some(99_001), Some(38_501))
        );
        let snapshot = held(born, None, None).snapshot(after(7));
        assert_eq!(
            (snapshot.age_ms, snapshot.answered_ms, snapshot.held_ms),
            (7, None, None)
        );
    }

    /// The welcome of 300 calls with long labels was one frame of more than 1 MiB: no node took it, and all ended.
    #[test]
    fn any_number_of_legs_is_told_in_frames_that_a_node_takes_and_each_leg_once() {
        let parts = in_frames((0..2000).map(leg));
        for part in &parts {
            assert!(rmp_serde::to_vec_named(part).unwrap().len() < MAX_FRAME_BYTES / 2);
        }
        let told: Vec<_> = parts.iter().flatten().map(|leg| leg.leg.clone()).collect();
        assert_eq!(told, (0..2000).map(|number| number.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn no_leg_at_all_is_one_part_without_any() {
        assert_eq!(in_frames(std::iter::empty()), vec![Vec::new()]);
    }

    #[test]
    fn an_operation_names_each_of_its_prompts_once_and_no_more_than_512() {
        let mut running = Running::new(OperationKind::Play);
        running.name(vec!["a".into(), "b".into()]);
        running.name(vec!["a".into()]);
        assert_eq!(running.prompts.len(), 2);
        running.name((0..2000).map(|number| format!("p{number}")).collect());
        assert_eq!(running.prompts.len(), NAMES);
    }
}
