//! The media threads against a peer of plain sockets on loopback, in real time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::cast_possible_wrap, reason = "small counts")]

mod limits;
mod operations;
mod rig;
#[path = "../support/stream.rs"]
mod stream;
mod wideband;

use offhook_engine::media::StreamParameters;
