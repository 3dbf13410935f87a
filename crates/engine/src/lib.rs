//! The media and SIP process that an offhook node starts and talks to.
//!
//! Each party lives in a module of its own; `core` is where they meet.

pub mod config;
pub mod control;
pub mod core;
pub mod descriptors;
pub mod log;
pub mod media;
mod quiet;
pub mod signal;
