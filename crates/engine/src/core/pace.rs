//! How fast a peer may make reports that are kept: each waits for the node, and one call must not fill its time.

use std::time::Instant;

use offhook_sip::{Allowance, Rate};

/// A rate and what is left of it.
#[derive(Debug)]
pub struct Pace {
    rate: Rate,
    left: Allowance,
    origin: Option<Instant>,
}

impl Pace {
    /// Nothing was taken yet.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            left: rate.full(),
            origin: None,
        }
    }

    /// Take one; false where all of this moment is taken.
    pub fn take(&mut self, now: Instant) -> bool {
        let origin = *self.origin.get_or_insert(now);
        self.left.take(self.rate, now.saturating_duration_since(origin))
    }
}

/// What of a session is told when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The peer does not want to hear us.
    pub hold: bool,
    /// Where its media goes.
    pub remote_media: String,
    /// The codec that both sides use, by its name in SDP.
    pub codec: String,
}

/// What was told; none before there is a session.
pub type Told = Option<State>;

/// Changes of a session as they are told: 16 at once and one a second. The last is always told, if late.
#[derive(Debug)]
pub struct Changes {
    pace: Pace,
    /// What was told last, where that is not so any more.
    owed: Option<Told>,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            pace: Pace::new(Rate {
                a_second: 1.0,
                at_once: 16.0,
            }),
            owed: None,
        }
    }
}

impl Changes {
    /// What is to be told of a change, if anything; what may not be told now is owed.
    pub fn tell(&mut self, before: Told, after: Told, now: Instant) -> Told {
        let told = self.owed.take().unwrap_or(before);
        if told == after {
            return None;
        }
        if self.pace.take(now) {
            return after;
        }
        self.owed = Some(told);
        None
    }

    /// Whether a change was not told.
    pub fn is_owed(&self) -> bool {
        self.owed.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "as a session has it")]
    fn holds(is_held: bool) -> Told {
        Some(State {
            hold: is_held,
            remote_media: "127.0.0.1:4000".to_owned(),
            codec: "PCMU".to_owned(),
        })
    }

    /// The node kept the codec of the answer for good.
    #[test]
    fn another_codec_is_a_change_and_the_same_again_is_none() {
        let (now, mut changes) = (Instant::now(), Changes::default());
        let other = holds(false).map(|state| State {
            codec: "PCMA".to_owned(),
            ..state
        });
        assert_eq!(changes.tell(holds(false), other.clone(), now), other);
        assert_eq!(changes.tell(other.clone(), other, now), None);
    }

    /// 100 re-INVITEs a second, each a hold or its end, were 100 kept reports a second.
    #[test]
    fn a_peer_that_changes_its_session_without_end_is_told_of_once_a_second_and_how_it_ended() {
        let start = Instant::now();
        let (mut changes, mut told) = (Changes::default(), 0);
        let mut last = holds(false);
        for number in 0..10_001_u64 {
            let after = holds(number % 2 == 0);
            let now = start + Duration::from_millis(number * 10);
            if let Some(state) = changes.tell(last.clone(), after.clone(), now) {
                told += 1;
                assert_eq!(Some(state), after);
            }
            last = after;
        }
        assert!((100..=117).contains(&told), "{told}");
        if changes.is_owed() {
            let later = start + Duration::from_secs(200);
            assert_eq!(changes.tell(last.clone(), last, later), holds(true));
        }
        assert!(!changes.is_owed());
    }

    #[test]
    fn what_changed_back_before_it_was_told_is_not_told() {
        let now = Instant::now();
        let mut changes = Changes::default();
        for _ in 0..8 {
            assert!(changes.tell(holds(false), holds(true), now).is_some());
            assert!(changes.tell(holds(true), holds(false), now).is_some());
        }
        assert_eq!(changes.tell(holds(false), holds(true), now), None);
        assert!(changes.is_owed());
        assert_eq!(changes.tell(holds(true), holds(false), now), None);
        assert!(!changes.is_owed());
    }
}
