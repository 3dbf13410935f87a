//! G.711, G.722 and the audio file formats that the engine reads and writes.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic))]

mod coding;
mod g711;
mod g722;
mod mpeg;
mod wav;

pub use coding::{Decoder, Encoder};
pub use g711::Law;
pub use g722::{G722Decoder, G722Encoder};
pub use mpeg::{Cut, Frame, FrameHeader, MOST_LEADING_JUNK, MpegFramer};
pub use wav::{ByteOrder, SampleFormat, WAV_HEADER_BYTES, WavError, WavFormat, WavHeader, wav_header};
