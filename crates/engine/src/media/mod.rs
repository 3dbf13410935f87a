//! Media: threads that own the UDP sockets of the legs, players, recorders, digits and statistics.
//!
//! Core owns the [`MediaPool`] and calls it from one thread. A command is checked at once: what is malformed, names
//! an unknown leg or operation, or comes in the wrong state is refused by the call itself (`Err(Failure)`), as of the
//! events that core has read with [`MediaPool::poll_event`]. A command to an operation that ended a moment ago
//! is accepted and ignored: its `Ended` is on the way. `Stop` of an unknown operation is accepted.
//!
//! Events: media calls `wake` (given to [`MediaPool::start`]; it must not block) after it queued some; core then
//! calls `poll_event` until it gives `None`.

mod api;
mod clock;
mod command;
mod content;
mod decode;
mod directory;
mod ended;
mod faults;
mod inbox;
mod leg;
mod legs;
mod notice;
mod path;
mod pool;
mod ports;
mod prepare;
mod recover;
mod registry;
mod report;
mod ring;
mod slot;
mod sync;
mod thread;
mod writer;

#[cfg(test)]
#[path = "../../tests/support/stream.rs"]
pub(crate) mod stream_of_tests;

pub use api::{LegKey, MediaCommand, MediaConfig, MediaEvent, StreamParameters};
pub use clock::TickCounts;
pub use pool::{HeldMedia, MediaPool, Waker};
pub use ports::BoundPort;
pub use recover::{Recovered, recover};
