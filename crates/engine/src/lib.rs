//! The media and SIP process that an offhook node starts and talks to.
//!
//! Each party lives in a module of its own; `core` is where they meet.

pub mod control;
pub mod media;
pub mod signal;
