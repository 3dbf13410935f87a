//! The roll of legs: how each comes to be, ends and is forgotten, with all by which it is found.

use std::net::SocketAddr;
use std::time::Duration;

use offhook_words::{EndedBy, LegEndCause};

use super::leg::{Leg, Stage};
use super::{Agent, Alarm, GIVE_UP, cut};
use crate::api::{Event, LegKey};
use crate::shares::count_down;
use crate::wire::TransactionId;

impl Agent {
    /// Tell the end of a leg, once, and keep it for stragglers.
    pub(super) fn end(
        &mut self,
        key: LegKey,
        by: EndedBy,
        cause: LegEndCause,
        status: u16,
        reason: &str,
        now: Duration,
    ) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        if leg.is_told {
            return;
        }
        leg.is_told = true;
        if let Some(source) = leg.line.take() {
            self.lines.remove(source);
        }
        self.live = self.live.saturating_sub(1);
        if !matches!(leg.stage, Stage::Calling(_)) {
            leg.stage = Stage::Over;
        }
        self.tell(Event::Ended {
            leg: key,
            by,
            cause,
            status,
            reason: cut(reason),
        });
        self.arm(key, Alarm::Forget, now.saturating_add(GIVE_UP).saturating_add(GIVE_UP));
    }

    pub(super) fn forget(&mut self, key: LegKey, now: Duration) {
        let Some(leg) = self.legs.remove(&key) else {
            return;
        };
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

    /// Its caller knows that it is answered.
    pub(super) fn confirm(&mut self, key: LegKey) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let peer = leg.flow.peer;
        if let Some(source) = leg.line.take() {
            self.lines.remove(source);
        }
        self.prove(key, peer);
    }

    pub(super) fn is_live(&self, key: LegKey) -> bool {
        self.legs.get(&key).is_some_and(|leg| !leg.is_told)
    }

    pub(super) fn keep_invite(&mut self, key: LegKey, id: TransactionId) {
        self.invites.insert(id, key);
        if let Some(leg) = self.legs.get_mut(&key) {
            leg.invites.push(id);
        }
    }

    pub(super) fn enter(&mut self, leg: Leg) {
        self.live += 1;
        self.tags.insert(leg.local_tag.clone(), leg.key);
        self.calls.insert(leg.call_id.clone(), leg.key);
        if let Some((_, merge)) = &leg.merge {
            self.merges.insert(merge.clone(), leg.key);
        }
        if let Some(ip) = leg.dialled {
            *self.dialled.entry(ip).or_default() += 1;
        }
        let key = leg.key;
        self.legs.insert(key, leg);
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
