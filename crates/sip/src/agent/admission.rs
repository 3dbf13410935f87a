//! Which requests are taken: from whom, and how many.

use std::time::Duration;

use super::Agent;
use crate::api::{Flow, Refusal};
use crate::shares::source;
use crate::wire::{Request, Subject};

/// So many calls of one source may always ring, as long as there are lines: a quarter of fewer than four times as many
/// would refuse the second call of a trunk that has the house to itself.
const FEW: usize = 4;

impl Agent {
    /// Whether a request is to be looked at. Who is outside of the trust list may speak in a call that we have with it
    /// and nothing else: being dialled is no way in.
    pub(super) fn is_welcome(&self, request: &Request, flow: Flow) -> bool {
        self.is_trusted(flow) || self.find(request).is_some() || self.is_in_early_dialog(request)
    }

    pub(super) fn is_trusted(&self, flow: Flow) -> bool {
        self.config.trusted.contains(flow.peer.ip())
    }

    /// Refuse what would only add to a flood of its source; copies of what is served and calls that are up go on.
    pub(super) fn admit(&mut self, request: &Request, flow: Flow, now: Duration) -> Result<Subject, Refusal> {
        let leg = self.find(request);
        let is_served = match request.method() {
            "ACK" => true,
            "CANCEL" => self.transactions.cancelled_invite(request).is_some(),
            "BYE" if leg.is_some_and(|key| self.is_live(key)) => true,
            _ => self.transactions.serves(request),
        };
        if is_served {
            return Ok(Subject::Call);
        }
        let is_beginning = request.method() == "INVITE" && leg.is_none();
        let (subject, most) = match leg {
            // What is in a call has as much again.
            Some(_) => (Subject::Call, self.config.max_call_transactions.saturating_mul(2)),
            None if is_beginning => (Subject::Call, self.config.max_call_transactions),
            None => (Subject::Other, self.config.max_other_transactions),
        };
        if !self.transactions.held(subject).has_room(source(flow), most) {
            return Err(overload("Too much at once; try again after the time in Retry-After"));
        }
        if is_beginning {
            self.admit_call(flow, now)?;
        }
        Ok(subject)
    }

    /// Who begins calls and leaves them there cannot take the last lines: it gets a quarter, and all ports of its
    /// address together a half. Of a house of so few lines that a quarter is less than some calls it gets [`FEW`].
    fn admit_call(&mut self, flow: Flow, now: Duration) -> Result<(), Refusal> {
        if let Some(sentence) = &self.closed {
            return Err(overload(sentence));
        }
        let most = self.config.max_legs;
        let free = most.saturating_sub(self.live);
        let always = if most <= 4 * FEW { FEW } else { 0 };
        let (of_source, of_address) = (self.lines.held_by(source(flow)), self.lines.held_at(flow.peer.ip()));
        let is_beyond_share = |held: usize, share: usize| held >= always && share >= free;
        if free == 0
            || is_beyond_share(of_source, of_source.saturating_mul(3))
            || is_beyond_share(of_address, of_address)
        {
            return Err(overload("All lines are busy; try again after the time in Retry-After"));
        }
        if !self.beginnings.admits(flow, now, self.is_strained) {
            return Err(overload(
                "Too many calls at once; try again after the time in Retry-After",
            ));
        }
        Ok(())
    }
}

fn overload(sentence: &str) -> Refusal {
    Refusal {
        status: 503,
        reason: sentence.to_owned(),
    }
}
