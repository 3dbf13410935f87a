//! G.711 and the audio file formats that the engine reads and writes.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic))]

mod g711;
mod mpeg;
mod wav;

pub use g711::G711;
pub use mpeg::{Cut, Frame, FrameHeader, MOST_LEADING_JUNK, MpegFramer};
pub use wav::{ByteOrder, SampleFormat, WAV_HEADER_BYTES, WavError, WavFormat, WavHeader, wav_header};
