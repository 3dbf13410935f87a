//! The roll of legs: how each comes to be, moves, ends and is forgotten, with all by which it is found.

use std::net::SocketAddr;
use std::time::Duration;

use offhook_words::{EndedBy, LegEndCause};

use super::leg::Leg;
use super::state::{End, Stage, State, Step};
use super::{Agent, cut};
use crate::api::{Event, LegKey};
use crate::shares::count_down;
use crate::wire::TransactionId;

/// How a leg ended, as it is told.
pub(super) struct Ending<'a> {
    pub(super) by: EndedBy,
    pub(super) cause: LegEndCause,
    pub(super) status: u16,
    pub(super) reason: &'a str,
}

impl Agent {
    /// Move a leg; false where the step moves nothing at its state.
    pub(super) fn step(&mut self, key: LegKey, step: Step, now: Duration) -> bool {
        self.go(key, |state| state.step(step), now)
    }

    /// Move a leg by what ends it, and tell that where it lived: once, as none comes back to life.
    pub(super) fn end(&mut self, key: LegKey, end: End, ending: &Ending<'_>, now: Duration) {
        let was_live = self.is_live(key);
        let is_moved = self.go(key, |state| state.end(end), now);
        if was_live && is_moved {
            self.live = self.live.saturating_sub(1);
            self.tell(Event::Ended {
                leg: key,
                by: ending.by,
                cause: ending.cause,
                status: ending.status,
                reason: cut(ending.reason),
            });
        }
    }

    fn go(&mut self, key: LegKey, to: impl FnOnce(State) -> State, now: Duration) -> bool {
        let Some(leg) = self.legs.get_mut(&key) else {
            return false;
        };
        let (stage, line) = (leg.state.stage(), leg.state.line());
        leg.state = to(std::mem::replace(&mut leg.state, State::Over(None)));
        if leg.state.stage() == stage {
            return false;
        }
        leg.wind(now);
        let is_line_free = leg.state.line().is_none();
        if let Some(source) = line.filter(|_| is_line_free) {
            self.lines.remove(source);
        }
        self.retime(key);
        true
    }

    pub(super) fn forget(&mut self, key: LegKey, now: Duration) {
        let Some(leg) = self.legs.remove(&key) else {
            return;
        };
        if let Some(at) = leg.deadline {
            self.deadlines.remove(&(at, key));
        }
        self.tags.remove(&leg.local_tag);
        if self.calls.get(&leg.call_id) == Some(&key) {
            self.calls.remove(&leg.call_id);
        }
        if let Some((_, merge)) = &leg.merge {
            self.merges.remove(merge);
        }
        if let Some(ip) = leg.dialled {
            count_down(&mut self.dialled, &ip);
        }
        if let Some(peer) = leg.proven {
            count_down(&mut self.proven, &peer);
        }
        self.displace(&leg);
        for id in leg.invites {
            self.invites.remove(&id);
            // A cancelled INVITE that is never answered has no time-out of its own.
            self.transactions.abandon(id, now);
        }
    }

    pub(super) fn is_at(&self, key: LegKey, stage: Stage) -> bool {
        self.legs.get(&key).is_some_and(|leg| leg.state.stage() == stage)
    }

    pub(super) fn is_live(&self, key: LegKey) -> bool {
        self.legs.get(&key).is_some_and(|leg| leg.state.is_live())
    }

    pub(super) fn keep_invite(&mut self, key: LegKey, id: TransactionId) {
        self.invites.insert(id, key);
        if let Some(leg) = self.legs.get_mut(&key) {
            leg.invites.push(id);
        }
    }

    pub(super) fn enter(&mut self, mut leg: Leg, now: Duration) {
        leg.wind(now);
        self.live += 1;
        self.tags.insert(leg.local_tag.clone(), leg.key);
        self.calls.insert(leg.call_id.clone(), leg.key);
        if let Some((_, merge)) = &leg.merge {
            self.merges.insert(merge.clone(), leg.key);
        }
        if let Some(ip) = leg.dialled {
            *self.dialled.entry(ip).or_default() += 1;
        }
        if let Some(source) = leg.state.line() {
            self.lines.add(source);
        }
        let key = leg.key;
        self.legs.insert(key, leg);
        self.retime(key);
        self.place(key);
    }

    /// The transaction of an INVITE is over: nothing of it can come any more.
    pub(super) fn drop_invite(&mut self, id: TransactionId) {
        self.unmerge(id);
        if let Some(key) = self.invites.remove(&id)
            && let Some(leg) = self.legs.get_mut(&key)
        {
            leg.invites.retain(|other| *other != id);
        }
    }

    /// The first INVITE of a leg is not ongoing any more: the same one again is a new call (8.2.2.2).
    pub(super) fn unmerge(&mut self, id: TransactionId) {
        let leg = self.invites.get(&id).and_then(|key| self.legs.get_mut(key));
        if let Some((_, merge)) = leg.and_then(|leg| leg.merge.take_if(|(invite, _)| *invite == id)) {
            self.merges.remove(&merge);
        }
    }

    /// The peer of a leg answers to what only it can have got.
    pub(super) fn prove(&mut self, key: LegKey, peer: SocketAddr) {
        if let Some(leg) = self.legs.get_mut(&key).filter(|leg| leg.proven.is_none()) {
            leg.proven = Some(peer);
            *self.proven.entry(peer).or_default() += 1;
        }
    }
}
