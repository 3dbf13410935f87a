//! The control socket: framing, who may connect, kept reports. The rules are in `docs/internals/control-socket.md`.

mod outbox;
mod socket;
pub mod wire;

pub use outbox::{KEPT_LIMIT_BYTES, Outbox};
pub use socket::{ControlEvent, ControlListener, Controller, Greeting, ListenError};
