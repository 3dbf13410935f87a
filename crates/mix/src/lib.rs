//! Players, recorders and the mixing of one leg, in frames of 20 ms at its rate.
//!
//! [`LegMixer`] is a machine: once a frame it is told what came in (audio, digits) and makes what goes out. Where samples come
//! from and go to is behind [`FrameSource`] and [`FrameSink`]. After an operation was added, nothing allocates; what
//! an ended operation held is handed back in its [`MixEvent::Ended`], to be dropped elsewhere.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic))]

mod digits;
mod leg;
mod line;
mod player;
mod recorder;
#[cfg(test)]
mod tests;

pub use digits::{DigitScript, KeyOutput, MAX_DIGITS};
pub use leg::{Heard, Input, LegMixer, MAX_OPERATIONS, MixEvent, Output, Retired};
pub use line::SPEECH_WINDOW;
pub use player::Player;
pub use recorder::{Recorder, RecorderLimits, record_beep};

/// What a source had for this frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supply {
    /// A whole frame (the last of all is filled up with silence).
    Frame,
    /// Nothing yet; more will come.
    Starved,
    /// All was given.
    Ended,
    /// It broke.
    Failed,
}

/// Samples to play. Must not wait or allocate.
pub trait FrameSource {
    /// The next frame, or why there is none; the frame is written only with [`Supply::Frame`].
    fn pull(&mut self, frame: &mut [i16]) -> Supply;

    /// Reads a little of the next frame; its value means nothing.
    fn touch(&self) -> u16 {
        0
    }
}

/// Where samples go. Must not wait or allocate; what it cannot take it counts.
pub trait FrameSink {
    /// Take samples: of one channel, or two interleaved.
    fn push(&mut self, samples: &[i16]);

    /// Reads a little of what the next push needs; its value means nothing.
    fn touch(&self) -> u64 {
        0
    }
}
