//! Tones, digits, resampling, voice activity and loss concealment on plain samples.
//!
//! Audio is int16, mono, at 8 or 16 kHz in frames of 20 ms: a slice tells its rate by its length. Nothing here allocates after it was made,
//! but for [`Resampler`], which writes to a `Vec` and is for file decoding.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic))]

mod conceal;
mod dtmf;
mod gain;
mod octave;
mod resample;
mod tone;
mod voice;

pub use conceal::Concealer;
pub use dtmf::{DTMF_DIGITS, DtmfDetector, dtmf_frequencies};
pub use gain::{Gain, add_frame, decibels_to_factor, nearest, saturate};
pub use octave::{Doubler, Halver};
pub use resample::Resampler;
pub use tone::{Oscillator, ToneSequence, ToneStep, peak_of_dbm0};
pub use voice::{SpeechDetector, frame_power};
