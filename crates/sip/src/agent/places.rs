//! Which legs are on which flow, so that what happens to a flow costs only what it carries.

use std::collections::{BTreeSet, HashMap};

use super::Agent;
use super::leg::Leg;
use crate::api::{Flow, LegKey};

#[derive(Debug, Default)]
pub(super) struct Places(HashMap<Flow, BTreeSet<LegKey>>);

impl Places {
    fn add(&mut self, flow: Flow, key: LegKey) {
        self.0.entry(flow).or_default().insert(key);
    }

    fn remove(&mut self, flow: Flow, key: LegKey) {
        if let Some(legs) = self.0.get_mut(&flow) {
            legs.remove(&key);
            if legs.is_empty() {
                self.0.remove(&flow);
            }
        }
    }

    /// The legs on a flow, in order.
    pub(super) fn on(&self, flow: Flow) -> impl Iterator<Item = LegKey> {
        self.0.get(&flow).into_iter().flatten().copied()
    }

    /// Entries of legs.
    pub(super) fn len(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }
}

/// The flow of the INVITE, and that of the dialog where it is another.
pub(super) type Flows = (Flow, Option<Flow>);

fn each(flows: Option<Flows>) -> impl Iterator<Item = Flow> {
    flows.into_iter().flat_map(|(one, other)| [Some(one), other]).flatten()
}

fn flows(leg: &Leg) -> Flows {
    let of_dialog = leg.state.dialog().map(|dialog| dialog.flow);
    (leg.flow, of_dialog.filter(|flow| *flow != leg.flow))
}

impl Agent {
    /// A leg came to be, or one of its flows changed.
    pub(super) fn place(&mut self, key: LegKey) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let now = flows(leg);
        let before = leg.places.replace(now);
        if before == Some(now) {
            return;
        }
        for flow in each(before) {
            self.places.remove(flow, key);
        }
        for flow in each(Some(now)) {
            self.places.add(flow, key);
        }
    }

    /// A leg is forgotten.
    pub(super) fn displace(&mut self, leg: &Leg) {
        for flow in each(leg.places) {
            self.places.remove(flow, leg.key);
        }
    }
}
