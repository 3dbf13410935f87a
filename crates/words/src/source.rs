//! What is played.

#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

/// How a file's samples are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize), serde(rename_all = "snake_case"))]
pub enum Encoding {
    /// By content: WAV or MP3.
    #[default]
    Auto,
    /// Headerless, int16, little endian, mono.
    PcmS16le,
}

/// One step of a cadence.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub struct Tone {
    /// Length of the step.
    pub duration_ms: u32,
    /// Up to four at once; none for silence.
    #[cfg_attr(feature = "serde", serde(default))]
    pub frequencies_hz: Vec<f32>,
    /// Level of each frequency.
    #[cfg_attr(feature = "serde", serde(default = "tone_level"))]
    pub level_dbm0: f32,
}

/// One thing to play.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(Serialize, Deserialize),
    serde(tag = "kind", rename_all = "snake_case")
)]
pub enum Source {
    /// A file of the prompts directory.
    File {
        /// Its name, without a path.
        prompt: String,
        /// WAV/MP3 by content, or raw samples.
        #[cfg_attr(feature = "serde", serde(default))]
        encoding: Encoding,
        /// Of raw samples, 8000 to 48000; a file that is known by content tells its own.
        #[cfg_attr(feature = "serde", serde(default = "telephone_rate"))]
        rate_hz: u32,
        /// Played while it is written; the end is where `PromptDone` says.
        #[cfg_attr(feature = "serde", serde(default))]
        growing: bool,
    },
    /// A cadence, repeated until `duration_ms` is over (0: once; -1: until stopped).
    Tone {
        /// The steps.
        cadence: Vec<Tone>,
        /// See above.
        #[cfg_attr(feature = "serde", serde(default))]
        duration_ms: i64,
    },
    /// Digital silence.
    Silence {
        /// Its length.
        duration_ms: u64,
    },
    /// Samples that the node pushes while they are played.
    Pcm {
        /// The stream's id, chosen by the node.
        stream: u64,
        /// Rate of the pushed samples, 8000 to 48000.
        #[cfg_attr(feature = "serde", serde(default = "telephone_rate"))]
        rate_hz: u32,
    },
}

#[cfg(feature = "serde")]
fn telephone_rate() -> u32 {
    crate::RATE_HZ
}

#[cfg(feature = "serde")]
fn tone_level() -> f32 {
    -13.0
}
