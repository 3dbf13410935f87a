//! What time does to calls, and how the process ends.

use std::io::Write as _;
use std::time::{Duration, Instant};

use offhook_words::LegEndCause;
use serde_json::json;

use crate::control::KEPT_LIMIT_BYTES;
use crate::control::wire::{Direction, LegState};
use crate::core::legs::Leg;
use crate::core::patience::SILENT_AFTER;
use crate::core::{Core, EXIT_ORPHANED};

/// Said to new calls while no node is connected.
pub const NO_NODE: &str = "no application is connected at the moment; try again shortly";

/// Said to new calls while a node is connected that does not ack what it is told.
pub const SILENT_NODE: &str = "the application does not respond at the moment; try again shortly";

/// Said to new calls at the end.
pub const ENDS: &str = "this node is shutting down; try again shortly";

/// SIGTERM: how long the peers have to answer our BYEs.
pub const TERMINATE_GRACE: Duration = Duration::from_millis(2500);

/// The parent died: the same, shorter.
pub const LIFELINE_GRACE: Duration = Duration::from_millis(800);

/// A beat is a second.
const TICKS_A_BEAT: u64 = 5;

const RINGING_LIMIT: Duration = Duration::from_secs(180);
const HOLD_LIMIT: Duration = Duration::from_secs(3600);

/// The process is to end.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    code: u8,
    deadline: Instant,
}

/// What a leg waits for, and since when.
#[derive(Debug, Clone, Copy)]
enum Waiting {
    Answer(Instant),
    Resuming(Instant),
}

impl Waiting {
    fn of(leg: &Leg) -> Option<Self> {
        match (leg.state, leg.direction) {
            (LegState::Trying | LegState::Ringing, Direction::Inbound) => Some(Self::Answer(leg.since)),
            (LegState::Answered, _) => leg.held_since.map(Self::Resuming),
            // The dial's own time limit ends what we placed; SIP's timers end what is ending.
            _ => None,
        }
    }
}

/// Whether it waited for too long: how to end it.
fn verdict(waiting: Waiting, now: Instant) -> Option<(LegEndCause, u16, &'static str)> {
    match waiting {
        Waiting::Answer(since) if now.saturating_duration_since(since) > RINGING_LIMIT => {
            Some((LegEndCause::Timeout, 480, "nobody answered within 180 s"))
        }
        Waiting::Resuming(since) if now.saturating_duration_since(since) > HOLD_LIMIT => {
            Some((LegEndCause::MediaTimeout, 408, "the call was on hold for an hour"))
        }
        _ => None,
    }
}

impl Core {
    /// Look at the clock: calls that ring or hold for too long, a node that stays away.
    pub(super) fn tick(&mut self) {
        let now = Instant::now();
        self.pulse();
        self.judge_node(now);
        let overdue: Vec<_> = self
            .legs
            .iter()
            .filter_map(|leg| Some((leg.media, verdict(Waiting::of(leg)?, now)?)))
            .collect();
        for (key, (cause, status, reason)) in overdue {
            self.condemn(key, cause, status, reason);
        }
        let owing: Vec<_> = self
            .legs
            .iter()
            .filter(|leg| leg.changes.is_owed())
            .map(|leg| leg.media)
            .collect();
        for key in owing {
            self.tell_change(key, None);
        }
        if let Err(error) = self.farewells.catch_up() {
            self.log
                .warning("a farewell could not be written", &[("why", json!(error.to_string()))]);
        }
        let is_alone = self
            .alone_since
            .is_some_and(|since| now.duration_since(since) >= self.config.orphan);
        // A node that comes again and again and never acks must not fill the memory.
        let is_hopeless = self.outbox.borrow().kept_bytes() > 2 * KEPT_LIMIT_BYTES;
        if is_alone || is_hopeless {
            self.end_all("control lost", EXIT_ORPHANED, TERMINATE_GRACE);
        }
    }

    /// Say to who watches that this loop and the media threads turn.
    fn pulse(&mut self) {
        self.ticks += 1;
        if !self.ticks.is_multiple_of(TICKS_A_BEAT) {
            return;
        }
        if let Some(thread) = self.media.standing() {
            self.log
                .warning("a media thread stands still", &[("thread", json!(thread))]);
        } else if self.beat.as_mut().is_some_and(|beat| is_closed(beat.write(b"\n"))) {
            self.beat = None;
        }
    }

    /// A node that does not ack is none for who calls now; who waits for it since before is told.
    fn judge_node(&mut self, now: Instant) {
        let was_over = self.patience.is_over();
        let oldest = self.outbox.borrow().oldest();
        self.patience.look(now, oldest);
        let is_over = self.patience.is_over();
        if is_over != was_over {
            self.log.warning(
                if is_over {
                    "the node does not ack: new calls are refused"
                } else {
                    "the node acks again"
                },
                &[("kept_bytes", json!(self.outbox.borrow().kept_bytes()))],
            );
            self.set_open();
        }
        if !is_over && self.controller.is_some() {
            return;
        }
        let forgotten: Vec<_> = self
            .legs
            .iter()
            .filter(|leg| is_unknown_to_nodes(leg) && now.saturating_duration_since(leg.since) >= SILENT_AFTER)
            .map(|leg| leg.media)
            .collect();
        for key in forgotten {
            self.condemn(key, LegEndCause::Timeout, 503, SILENT_NODE);
        }
    }

    /// End every call politely, then the process. The first cause wins, the shortest grace too.
    pub(super) fn end_all(&mut self, reason: &str, code: u8, grace: Duration) {
        let deadline = Instant::now() + grace;
        if let Some(ending) = &mut self.ending {
            ending.deadline = ending.deadline.min(deadline);
            return;
        }
        self.log.info(
            "ending all calls",
            &[("why", json!(reason)), ("legs", json!(self.legs.len()))],
        );
        self.ending = Some(Ending { code, deadline });
        self.set_open();
        let keys: Vec<_> = self.legs.iter().map(|leg| leg.media).collect();
        for key in keys {
            self.hang_up(key, 503, reason);
        }
    }

    /// The exit code, once every call ended or time is up.
    pub(super) fn is_over(&self) -> Option<u8> {
        let ending = self.ending?;
        (self.legs.is_empty() || Instant::now() >= ending.deadline).then_some(ending.code)
    }
}

/// An inbound call that no node has taken up: each gives it a label at once.
fn is_unknown_to_nodes(leg: &Leg) -> bool {
    leg.state == LegState::Trying && leg.direction == Direction::Inbound && leg.label.is_empty()
}

/// Nobody reads the pulse any more; one that is full is read later.
fn is_closed(written: std::io::Result<usize>) -> bool {
    written.is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ringing_ends_after_three_minutes_and_hold_after_an_hour_not_before() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(verdict(Waiting::Answer(start), at(180)), None);
        let rang = verdict(Waiting::Answer(start), at(181));
        assert_eq!(
            rang.map(|(cause, status, _)| (cause, status)),
            Some((LegEndCause::Timeout, 480))
        );
        assert_eq!(verdict(Waiting::Resuming(start), at(3600)), None);
        let held = verdict(Waiting::Resuming(start), at(3601));
        assert_eq!(held.map(|(cause, _, _)| cause), Some(LegEndCause::MediaTimeout));
        assert_eq!(
            verdict(Waiting::Answer(at(10)), start),
            None,
            "a clock that steps back ends nothing"
        );
    }
}
