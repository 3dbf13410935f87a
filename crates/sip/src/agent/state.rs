//! The life of a leg: its states, and the two functions that move it. `docs/internals/sip-leg.md` has this as a table.

use std::sync::Arc;
use std::time::Duration;

use super::timers::T1;
use crate::api::Flow;
use crate::dialog::Dialog;
use crate::shares::Source;
use crate::wire::{Request, TransactionId};

/// Where a leg is, with what it needs there and nowhere else.
pub(super) enum State {
    /// Their INVITE waits for our answer.
    Offered(Offered),
    /// Our 200 to their INVITE waits for its ACK, and the leg takes a line.
    Answered(Dialog, Unacknowledged, Source),
    /// Our INVITE is out, and nothing came back.
    Calling(Silent),
    /// Our INVITE is out, and a provisional response came.
    Proceeding(Placed),
    /// Answered, and nothing is open.
    Up(Dialog),
    /// An offer of theirs waits for our answer.
    Reoffered(Dialog, Reoffer),
    /// Our 200 to their re-INVITE waits for its ACK.
    Reanswered(Dialog, Unacknowledged),
    /// Ended before anything came back: the CANCEL waits until it does (RFC 3261, section 9.1).
    Cancelling(Silent, Reason),
    /// Ended, and the CANCEL is sent.
    Cancelled(Placed),
    /// Ended before the ACK to our first 200: the BYE waits for it (section 15).
    Leaving(Dialog, Unacknowledged, Reason),
    /// Ended with a BYE, and our 200 to their re-INVITE waits for its ACK.
    Left(Dialog, Unacknowledged),
    /// Ended, and nothing is owed.
    Over(Option<Dialog>),
}

/// The name of a [`State`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Offered,
    Answered,
    Calling,
    Proceeding,
    Up,
    Reoffered,
    Reanswered,
    Cancelling,
    Cancelled,
    Leaving,
    Left,
    Over,
}

/// What moves a leg that lives, or one that ended, and leaves it that.
pub(super) enum Step {
    /// Our 200 to their INVITE.
    Answer(Unacknowledged),
    /// Their ACK to our 200.
    Ack,
    /// 1xx to our INVITE.
    Provisional,
    /// The first 2xx to our INVITE, and the dialog that it makes.
    Success(Dialog),
    /// An offer of theirs, by re-INVITE or UPDATE.
    Offer(Reoffer),
    /// Our 200 to their re-INVITE.
    Reanswer(Unacknowledged),
    /// Their offer is done with by what needs no ACK: our 200 to an UPDATE, or a refusal.
    Settle,
}

/// What ends a leg, or leaves nothing owed where it ended.
pub(super) enum End {
    /// From our side.
    Hangup(Reason),
    /// Their BYE.
    Bye,
    /// Their CANCEL of the first INVITE.
    Cancel,
    /// The connection of their INVITE closed.
    Closed,
    /// A final response to our INVITE that is no 2xx, or none.
    Failure,
    /// No ACK came to our 200.
    AckLost,
}

/// Their INVITE.
pub(super) struct Offered {
    pub(super) dialog: Dialog,
    pub(super) invite: TransactionId,
    pub(super) request: Arc<Request>,
    /// Whose line it takes.
    pub(super) line: Source,
    /// The last provisional response.
    pub(super) provisional: Option<Vec<u8>>,
}

/// Our INVITE, as its CANCEL and its dialog need it.
pub(super) struct Placed {
    pub(super) uri: String,
    pub(super) local: Vec<u8>,
    pub(super) cseq: u32,
    pub(super) branch: String,
}

/// Our INVITE, to which nothing came back.
pub(super) struct Silent {
    pub(super) placed: Placed,
    pub(super) ring_timeout: Duration,
    pub(super) response_timeout: Option<Duration>,
    /// Whether that lasts for so long that the network was asked whether anybody is there.
    pub(super) is_asked: bool,
}

/// A 2xx of ours whose ACK has not come.
pub(super) struct Unacknowledged {
    pub(super) transaction: TransactionId,
    pub(super) bytes: Vec<u8>,
    pub(super) cseq: u32,
    /// How long after its last copy the next one follows.
    pub(super) interval: Duration,
    /// Whether it carries our offer, so that the ACK must carry the answer.
    pub(super) is_offer: bool,
}

/// A request of theirs with an offer that is not answered.
#[derive(Clone)]
pub(super) struct Reoffer {
    pub(super) transaction: TransactionId,
    pub(super) request: Arc<Request>,
    pub(super) flow: Flow,
    pub(super) is_update: bool,
}

/// What a CANCEL or BYE that waits is to say.
#[derive(Clone)]
pub(super) struct Reason {
    pub(super) status: u16,
    pub(super) text: String,
}

/// Why an offer of theirs is refused as things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Untimely {
    pub(super) status: u16,
    pub(super) sentence: &'static str,
    pub(super) retry_after_s: Option<u8>,
}

impl Unacknowledged {
    /// Our 2xx to this INVITE was sent.
    pub(super) fn new(transaction: TransactionId, invite: &Request, bytes: Vec<u8>) -> Self {
        Self {
            transaction,
            bytes,
            cseq: invite.cseq().map(|(number, _)| number).unwrap_or_default(),
            interval: T1,
            is_offer: invite.sdp().is_none(),
        }
    }
}

impl Reason {
    pub(super) fn new(status: u16, text: &str) -> Self {
        Self {
            status,
            text: text.to_owned(),
        }
    }
}

impl Stage {
    /// Whether the end was not told.
    pub(super) fn is_live(self) -> bool {
        match self {
            Self::Offered
            | Self::Answered
            | Self::Calling
            | Self::Proceeding
            | Self::Up
            | Self::Reoffered
            | Self::Reanswered => true,
            Self::Cancelling | Self::Cancelled | Self::Leaving | Self::Left | Self::Over => false,
        }
    }
}

impl State {
    /// Where a step leads: to another stage, or where it is not awaited, nowhere.
    #[expect(clippy::match_same_arms, reason = "a line for each move")]
    pub(super) fn step(self, step: Step) -> Self {
        match (self, step) {
            // Their INVITE.
            (Self::Offered(offered), Step::Answer(ok)) => Self::Answered(offered.dialog, ok, offered.line),
            (Self::Answered(dialog, ..), Step::Ack) => Self::Up(dialog),

            // Our INVITE.
            (Self::Calling(silent), Step::Provisional) => Self::Proceeding(silent.placed),
            (Self::Calling(_) | Self::Proceeding(_), Step::Success(dialog)) => Self::Up(dialog),

            // Their offers. A new one proves that the answer to the last one came, even if its ACK did not.
            (Self::Up(dialog), Step::Offer(reoffer)) => Self::Reoffered(dialog, reoffer),
            (Self::Answered(dialog, ok, _) | Self::Reanswered(dialog, ok), Step::Offer(reoffer)) if !ok.is_offer => {
                Self::Reoffered(dialog, reoffer)
            }
            (Self::Reoffered(dialog, _), Step::Settle) => Self::Up(dialog),
            (Self::Reoffered(dialog, _), Step::Reanswer(ok)) => Self::Reanswered(dialog, ok),
            (Self::Reanswered(dialog, _), Step::Ack) => Self::Up(dialog),

            // What an ended leg still owes.
            (Self::Cancelling(silent, _), Step::Provisional) => Self::Cancelled(silent.placed),
            (Self::Cancelling(..) | Self::Cancelled(_), Step::Success(dialog)) => Self::Over(Some(dialog)),
            (Self::Leaving(dialog, ..) | Self::Left(dialog, _), Step::Ack) => Self::Over(Some(dialog)),

            (state, _) => state,
        }
    }

    /// Where an end leads: it is ended then, or where that cannot end it, as it was.
    #[expect(clippy::match_same_arms, reason = "a line for each move")]
    pub(super) fn end(self, end: End) -> Self {
        match (self, end) {
            (Self::Offered(offered), End::Hangup(_) | End::Bye | End::Cancel | End::Closed) => {
                Self::Over(Some(offered.dialog))
            }
            (Self::Calling(silent), End::Hangup(reason)) => Self::Cancelling(silent, reason),
            (Self::Proceeding(placed), End::Hangup(_)) => Self::Cancelled(placed),
            (Self::Calling(_) | Self::Proceeding(_) | Self::Cancelling(..) | Self::Cancelled(_), End::Failure) => {
                Self::Over(None)
            }
            (Self::Answered(dialog, ok, _), End::Hangup(reason)) => Self::Leaving(dialog, ok, reason),
            (Self::Reanswered(dialog, ok), End::Hangup(_)) => Self::Left(dialog, ok),
            (Self::Up(dialog) | Self::Reoffered(dialog, _), End::Hangup(_) | End::Bye) => Self::Over(Some(dialog)),
            (
                Self::Answered(dialog, ..)
                | Self::Reanswered(dialog, _)
                | Self::Leaving(dialog, ..)
                | Self::Left(dialog, _),
                End::Bye | End::AckLost,
            ) => Self::Over(Some(dialog)),

            (state, _) => state,
        }
    }

    /// Why an offer of theirs would be refused: another one is open (RFC 3261, section 14.2; RFC 3311, section 5.2).
    pub(super) fn untimely(&self) -> Option<Untimely> {
        let (status, sentence, retry_after_s) = match self {
            Self::Offered(_) => (
                500,
                "The first INVITE is not answered; send this after the 200",
                Some(2),
            ),
            Self::Answered(_, ok, _) | Self::Reanswered(_, ok) if ok.is_offer => {
                (491, "Our offer is not answered yet; wait and try again", None)
            }
            Self::Reoffered(..) => (500, "Your last offer is not answered yet; wait for it", Some(3)),
            _ => return None,
        };
        Some(Untimely {
            status,
            sentence,
            retry_after_s,
        })
    }

    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Offered(_) => Stage::Offered,
            Self::Answered(..) => Stage::Answered,
            Self::Calling(_) => Stage::Calling,
            Self::Proceeding(_) => Stage::Proceeding,
            Self::Up(_) => Stage::Up,
            Self::Reoffered(..) => Stage::Reoffered,
            Self::Reanswered(..) => Stage::Reanswered,
            Self::Cancelling(..) => Stage::Cancelling,
            Self::Cancelled(_) => Stage::Cancelled,
            Self::Leaving(..) => Stage::Leaving,
            Self::Left(..) => Stage::Left,
            Self::Over(_) => Stage::Over,
        }
    }

    /// Whether the end was not told.
    pub(super) fn is_live(&self) -> bool {
        self.stage().is_live()
    }

    pub(super) fn dialog(&self) -> Option<&Dialog> {
        match self {
            Self::Offered(Offered { dialog, .. })
            | Self::Answered(dialog, ..)
            | Self::Up(dialog)
            | Self::Reoffered(dialog, _)
            | Self::Reanswered(dialog, _)
            | Self::Leaving(dialog, ..)
            | Self::Left(dialog, _) => Some(dialog),
            Self::Over(dialog) => dialog.as_ref(),
            Self::Calling(_) | Self::Proceeding(_) | Self::Cancelling(..) | Self::Cancelled(_) => None,
        }
    }

    pub(super) fn dialog_mut(&mut self) -> Option<&mut Dialog> {
        match self {
            Self::Offered(Offered { dialog, .. })
            | Self::Answered(dialog, ..)
            | Self::Up(dialog)
            | Self::Reoffered(dialog, _)
            | Self::Reanswered(dialog, _)
            | Self::Leaving(dialog, ..)
            | Self::Left(dialog, _) => Some(dialog),
            Self::Over(dialog) => dialog.as_mut(),
            Self::Calling(_) | Self::Proceeding(_) | Self::Cancelling(..) | Self::Cancelled(_) => None,
        }
    }

    /// Our INVITE, while it has no final response.
    pub(super) fn placed(&self) -> Option<&Placed> {
        match self {
            Self::Calling(silent) | Self::Cancelling(silent, _) => Some(&silent.placed),
            Self::Proceeding(placed) | Self::Cancelled(placed) => Some(placed),
            _ => None,
        }
    }

    /// Our 2xx, while it has no ACK.
    pub(super) fn unacknowledged(&self) -> Option<&Unacknowledged> {
        match self {
            Self::Answered(_, ok, _) | Self::Reanswered(_, ok) | Self::Leaving(_, ok, _) | Self::Left(_, ok) => {
                Some(ok)
            }
            _ => None,
        }
    }

    pub(super) fn unacknowledged_mut(&mut self) -> Option<&mut Unacknowledged> {
        match self {
            Self::Answered(_, ok, _) | Self::Reanswered(_, ok) | Self::Leaving(_, ok, _) | Self::Left(_, ok) => {
                Some(ok)
            }
            _ => None,
        }
    }

    /// Their offer, while we have not answered.
    pub(super) fn reoffer(&self) -> Option<&Reoffer> {
        match self {
            Self::Reoffered(_, reoffer) => Some(reoffer),
            _ => None,
        }
    }

    /// What the CANCEL or BYE is to say that waits for a message of theirs.
    pub(super) fn waiting(&self) -> Option<&Reason> {
        match self {
            Self::Cancelling(_, reason) | Self::Leaving(_, _, reason) => Some(reason),
            _ => None,
        }
    }

    /// Whose line it takes: it rings, or the ACK to our 200 has not come.
    pub(super) fn line(&self) -> Option<Source> {
        match self {
            Self::Offered(Offered { line, .. }) | Self::Answered(_, _, line) => Some(*line),
            _ => None,
        }
    }
}

#[cfg(test)]
pub(in crate::agent) mod tests;
