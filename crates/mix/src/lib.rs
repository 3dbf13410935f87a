//! Players, recorders and the mixing of one leg, in frames of 20 ms.
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
pub use leg::{Input, LegMixer, MAX_OPERATIONS, MixEvent, Output, Retired};
pub use line::SPEECH_WINDOW;
pub use player::{Interrupt, Player};
pub use recorder::{PauseBehavior, Recorder, RecorderLimits};

use offhook_dsp::Frame;

/// The id of an operation.
pub type OperationId = u64;

/// Which audio of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What the remote party hears.
    Listen,
    /// What the remote party says.
    Speak,
    /// Both.
    Both,
}

impl Side {
    pub(crate) fn hears(self) -> bool {
        self != Self::Speak
    }

    pub(crate) fn says(self) -> bool {
        self != Self::Listen
    }
}

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
    fn pull(&mut self, frame: &mut Frame) -> Supply;

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

/// Why an operation ended; the words are those of the control protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndCause {
    /// It came to its own end.
    Finished,
    /// By command.
    Stopped,
    /// By an input that was to interrupt it.
    Interrupted,
    /// Silence after speech.
    Silence,
    /// A terminating digit.
    Terminator,
    /// The longest length was reached.
    MaxLength,
    /// Nobody spoke.
    NoInput,
    /// Its time was over.
    Timeout,
    /// The leg was closed.
    Hangup,
    /// It failed.
    Error,
}

impl EndCause {
    /// The word of the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
            Self::Silence => "silence",
            Self::Terminator => "terminator",
            Self::MaxLength => "max_length",
            Self::NoInput => "no_input",
            Self::Timeout => "timeout",
            Self::Hangup => "hangup",
            Self::Error => "error",
        }
    }
}
