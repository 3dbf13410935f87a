//! The timers of a leg: a fixed table, wound by the states of the leg and by nothing else that lasts.

use std::time::Duration;

use offhook_words::Transport;

use super::Agent;
use super::leg::Leg;
use super::state::{Stage, State};
use crate::api::LegKey;

/// RFC 3261, section 17.1.1.1.
pub(super) const T1: Duration = Duration::from_millis(500);
pub(super) const T2: Duration = Duration::from_secs(4);
/// 64 times T1: how long anything is waited for (section 17).
pub(super) const GIVE_UP: Duration = Duration::from_secs(32);
/// Nobody may leave an INVITE unanswered for longer.
pub(super) const LONGEST_RING: Duration = Duration::from_secs(300);
/// No proxy gives up on a call that rings, if it hears so as often (13.3.1.1).
pub(super) const MINUTE: Duration = Duration::from_secs(60);
/// Who serves SIP answers an INVITE by then, be it with 100; else it is asked whether anybody is there.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long the owner of a leg may think about an offer.
const REOFFER_ANSWER: Duration = Duration::from_secs(10);
/// So long an ended leg is found by copies and by what crosses.
const KEPT: Duration = Duration::from_secs(64);

/// What a leg waits for; of each there is one at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Ring,
    Silence,
    Probe,
    Provisional,
    Unanswered,
    Again,
    AckLost,
    Reoffer,
    Forget,
}

impl Timer {
    const ALL: [Self; 9] = [
        Self::Ring,
        Self::Silence,
        Self::Probe,
        Self::Provisional,
        Self::Unanswered,
        Self::Again,
        Self::AckLost,
        Self::Reoffer,
        Self::Forget,
    ];

    /// Whether it may run at a stage: coming to any other clears it.
    fn runs_in(self, stage: Stage) -> bool {
        match self {
            Self::Ring => matches!(stage, Stage::Calling | Stage::Proceeding),
            Self::Silence => stage == Stage::Calling,
            Self::Probe => matches!(stage, Stage::Calling | Stage::Cancelling),
            Self::Provisional | Self::Unanswered => stage == Stage::Offered,
            Self::Again | Self::AckLost => {
                matches!(
                    stage,
                    Stage::Answered | Stage::Reanswered | Stage::Leaving | Stage::Left
                )
            }
            Self::Reoffer => stage == Stage::Reoffered,
            Self::Forget => !stage.is_live(),
        }
    }

    /// How long it runs, where coming to the state of a leg sets it.
    #[expect(clippy::match_same_arms, reason = "a line for each timer")]
    fn set_by(self, leg: &Leg) -> Option<Duration> {
        match (self, &leg.state) {
            (Self::Ring, State::Calling(silent)) => Some(silent.ring_timeout),
            (Self::Silence, State::Calling(silent)) => silent.response_timeout,
            (Self::Probe, State::Calling(_)) if leg.flow.transport == Transport::Udp => Some(PATIENCE),
            (Self::Unanswered, State::Offered(_)) => Some(LONGEST_RING),
            (Self::Again, State::Answered(..) | State::Reanswered(..)) => Some(T1),
            (Self::AckLost, State::Answered(..) | State::Reanswered(..)) => Some(GIVE_UP),
            (Self::Reoffer, State::Reoffered(..)) => Some(REOFFER_ANSWER),
            // Whoever does not answer the INVITE even after its CANCEL is given up (9.1).
            (Self::Forget, State::Cancelled(_)) => Some(GIVE_UP),
            (Self::Forget, state) if !state.is_live() => Some(KEPT),
            _ => None,
        }
    }
}

/// When each timer of a leg expires, of those that run.
#[derive(Debug, Default)]
pub(super) struct Timers([Option<Duration>; Timer::ALL.len()]);

impl Timers {
    /// One that runs already is never put off.
    fn set(&mut self, timer: Timer, at: Duration) {
        if let Some(slot) = self.0.get_mut(timer as usize) {
            *slot = Some(slot.map_or(at, |earlier| earlier.min(at)));
        }
    }

    fn keep(&mut self, may_run: impl Fn(Timer) -> bool) {
        for (timer, slot) in Timer::ALL.into_iter().zip(&mut self.0) {
            if !may_run(timer) {
                *slot = None;
            }
        }
    }

    pub(super) fn at(&self, timer: Timer) -> Option<Duration> {
        self.0.get(timer as usize).copied().flatten()
    }

    /// The first to expire, and when.
    fn next(&self) -> Option<(Duration, Timer)> {
        let running = Timer::ALL.into_iter().zip(self.0);
        running.filter_map(|(timer, at)| Some((at?, timer))).min()
    }

    /// Take the first that expired, with the time it was set to.
    fn expired(&mut self, now: Duration) -> Option<(Duration, Timer)> {
        let (at, timer) = self.next().filter(|(at, _)| *at <= now)?;
        if let Some(slot) = self.0.get_mut(timer as usize) {
            *slot = None;
        }
        Some((at, timer))
    }
}

impl Leg {
    /// It came to its state: clear the timers that do not run there, set those that begin there.
    pub(super) fn wind(&mut self, now: Duration) {
        let stage = self.state.stage();
        self.timers.keep(|timer| timer.runs_in(stage));
        for timer in Timer::ALL {
            if let Some(after) = timer.set_by(self) {
                self.timers.set(timer, now.saturating_add(after));
            }
        }
    }
}

impl Agent {
    /// Set a timer that runs at the stage of the leg; it is not put off if it does already.
    pub(super) fn set(&mut self, key: LegKey, timer: Timer, at: Duration) {
        if let Some(leg) = self.legs.get_mut(&key)
            && timer.runs_in(leg.state.stage())
        {
            leg.timers.set(timer, at);
            self.retime(key);
        }
    }

    /// The timers of a leg changed.
    pub(super) fn retime(&mut self, key: LegKey) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let first = leg.timers.next().map(|(at, _)| at);
        let before = std::mem::replace(&mut leg.deadline, first);
        if before == first {
            return;
        }
        if let Some(at) = before {
            self.deadlines.remove(&(at, key));
        }
        if let Some(at) = first {
            self.deadlines.insert((at, key));
        }
    }

    /// When the first timer of any leg expires.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Take the first timer of any leg that expired, with the time it was set to.
    pub(super) fn expired(&mut self, now: Duration) -> Option<(LegKey, Timer, Duration)> {
        let (_, key) = self.deadlines.first().copied()?;
        let (at, timer) = self.legs.get_mut(&key)?.timers.expired(now)?;
        self.retime(key);
        Some((key, timer, at))
    }
}

#[cfg(test)]
mod tests;
