//! The words that more than one crate of the engine uses, each once: what SIP, SDP, RTP, mixing and the control socket call
//! the same thing. No behaviour but what a word says of itself.
//!
//! With the feature `serde` they are written as on the control socket (`src/offhook/node/engine/ops.py` and
//! `reports.py`; `vectors/control` proves it).

mod audio;
mod codec;
mod failure;
mod leg;
mod operation;
mod source;

pub use audio::{FRAME, Frame, MOST_FRAME, RATE_HZ, Rate};
pub use codec::{Codec, Formats};
pub use failure::{Failure, FailureCode};
pub use leg::{DigitMethod, EndedBy, LegEndCause, MediaStats, Transport};
pub use operation::{EndCause, Interrupt, OperationId, PauseBehavior, Side};
pub use source::{Encoding, Source, Tone};
