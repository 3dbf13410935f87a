//! What the agent knows of one leg.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::forks::Forks;
use crate::api::{Flow, LegKey};
use crate::dialog::Dialog;
use crate::shares::{Allowance, Source};
use crate::wire::{Request, TransactionId};

/// One leg, from its INVITE until 32 s after its end (so that copies and crossing requests still find it).
pub(super) struct Leg {
    pub(super) key: LegKey,
    pub(super) flow: Flow,
    pub(super) local_tag: String,
    pub(super) call_id: String,
    pub(super) stage: Stage,
    /// Whether `Ended` was told; nothing is told afterwards.
    pub(super) is_told: bool,
    pub(super) dialog: Option<Dialog>,
    /// A 2xx of ours whose ACK has not come.
    pub(super) accepted: Option<Accepted>,
    /// An offer of the peer that is not answered.
    pub(super) reoffer: Option<Reoffer>,
    /// INVITEs of this leg whose transactions are not over, theirs and ours.
    pub(super) invites: Vec<TransactionId>,
    /// Whose line it takes while it rings or the ACK to our 200 has not come.
    pub(super) line: Option<Source>,
    /// Who rings and who answered, for a leg of ours.
    pub(super) forks: Forks,
    /// Whom we dialled, for a leg of ours.
    pub(super) dialled: Option<IpAddr>,
    /// What identifies the INVITE, while it is ongoing, to find a copy that came another way (482).
    pub(super) merge: Option<(TransactionId, MergeKey)>,
    /// The flows by which [`Places`](super::places::Places) finds it.
    pub(super) places: Option<(Flow, Option<Flow>)>,
    /// Its peer, once that answered to what only it can have got.
    pub(super) proven: Option<SocketAddr>,
    /// What it may press by INFO.
    pub(super) presses: Allowance,
}

impl Leg {
    /// Our INVITE has had no response for so long that the network was asked.
    pub(super) fn is_asked(&self) -> bool {
        matches!(&self.stage, Stage::Calling(calling) if !calling.is_proceeding && calling.is_asked)
    }
}

/// Call-ID, From tag and `CSeq` (RFC 3261, section 8.2.2.2).
pub(super) type MergeKey = (String, String, u32);

/// Where a leg is.
pub(super) enum Stage {
    /// Their INVITE waits for our answer.
    Offered(Offered),
    /// Our INVITE waits for theirs.
    Calling(Calling),
    /// Answered.
    Up,
    /// Ended.
    Over,
}

pub(super) struct Offered {
    pub(super) invite: TransactionId,
    pub(super) request: Box<Request>,
    /// The last provisional response, sent again each minute so that no proxy gives up (13.3.1.1).
    pub(super) provisional: Option<Vec<u8>>,
}

pub(super) struct Calling {
    pub(super) uri: String,
    pub(super) local: Vec<u8>,
    pub(super) cseq: u32,
    pub(super) branch: String,
    /// Whether anything came back: CANCEL may be sent only then (9.1).
    pub(super) is_proceeding: bool,
    /// Whether nothing did for so long that the network was asked whether anybody is there.
    pub(super) is_asked: bool,
    /// The Reason of a CANCEL that waits for that.
    pub(super) cancel: Option<(u16, String)>,
}

pub(super) struct Accepted {
    pub(super) transaction: TransactionId,
    pub(super) bytes: Vec<u8>,
    pub(super) cseq: u32,
    pub(super) interval: Duration,
    pub(super) again_at: Duration,
    pub(super) lost_at: Duration,
    /// Whether this 2xx carries our offer, so that the ACK must carry the answer.
    pub(super) is_offer: bool,
    /// Whether it answers the first INVITE: no BYE before its ACK (15).
    pub(super) is_initial: bool,
    /// The Reason of a BYE that waits for the ACK.
    pub(super) bye: Option<(u16, String)>,
}

pub(super) struct Reoffer {
    pub(super) transaction: TransactionId,
    pub(super) request: Box<Request>,
    pub(super) flow: Flow,
    pub(super) is_update: bool,
    pub(super) is_offerless: bool,
    pub(super) answer_by: Duration,
}
