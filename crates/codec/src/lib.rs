//! G.711 and the audio file formats that the engine reads and writes.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic))]

mod g711;
mod mpeg;
mod wav;

pub use mpeg::{Cut, Frame, FrameHeader, MOST_LEADING_JUNK, MpegFramer};
pub use wav::{ByteOrder, SampleFormat, WAV_HEADER_BYTES, WavError, WavFormat, WavHeader, wav_header};

/// The codecs that a leg can speak; both are 8 kHz and a byte a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law, static payload type 0.
    Pcmu,
    /// G.711 A-law, static payload type 8.
    Pcma,
}

impl Codec {
    /// The static payload type (RFC 3551 section 6).
    pub fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// The encoding name of SDP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }
}
