//! SIP transactions, dialogs and calls without IO (RFC 3261).
//!
//! [`Agent`] is a machine: bytes, commands and time go in; bytes, events and the next deadline come out. Time is a
//! [`Duration`](std::time::Duration) since any fixed origin, random bytes come from the [`Dice`] it was given.
//! SDP bodies go through as text; the offer/answer policy is in `offhook_sdp`.

mod agent;
mod api;
mod dialog;
mod shares;
mod trust;
mod wire;

pub use agent::{Agent, Config, Dice, FramingLost};
pub use api::{Command, CommandError, Event, Farewell, Flow, Incoming, Invite, LegKey, Output, Refusal};
pub use shares::{Allowance, Rate, Shares};
pub use trust::Trust;
