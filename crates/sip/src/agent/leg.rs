//! What the agent knows of one leg.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::forks::Forks;
use super::places::Flows;
use super::state::State;
use super::timers::Timers;
use crate::api::{Flow, LegKey};
use crate::shares::Allowance;
use crate::wire::TransactionId;

/// One leg, from its INVITE until 64 s after its end (so that copies and crossing requests still find it).
pub(super) struct Leg {
    pub(super) key: LegKey,
    pub(super) flow: Flow,
    pub(super) local_tag: String,
    pub(super) call_id: String,
    pub(super) state: State,
    pub(super) timers: Timers,
    /// The first of its timers, as the agent knows it.
    pub(super) deadline: Option<Duration>,
    /// INVITEs of this leg whose transactions are not over, theirs and ours.
    pub(super) invites: Vec<TransactionId>,
    /// Who rings and who answered, for a leg of ours.
    pub(super) forks: Forks,
    /// Whom we dialled, for a leg of ours.
    pub(super) dialled: Option<IpAddr>,
    /// What identifies the INVITE, while it is ongoing, to find a copy that came another way (482).
    pub(super) merge: Option<(TransactionId, MergeKey)>,
    /// The flows by which [`Places`](super::places::Places) finds it.
    pub(super) places: Option<Flows>,
    /// Its peer, once that answered to what only it can have got.
    pub(super) proven: Option<SocketAddr>,
    /// What it may press by INFO.
    pub(super) presses: Allowance,
}

impl Leg {
    /// Our INVITE has had no response for so long that the network was asked.
    pub(super) fn is_asked(&self) -> bool {
        match &self.state {
            State::Calling(silent) | State::Cancelling(silent, _) => silent.is_asked,
            _ => false,
        }
    }
}

/// Call-ID, From tag and `CSeq` (RFC 3261, section 8.2.2.2).
pub(super) type MergeKey = (String, String, u32);
