//! The shape of audio: int16, mono, 8 kHz, in frames of 20 ms.

/// Samples of a second.
pub const RATE_HZ: u32 = 8000;

/// Samples of a frame of 20 ms.
pub const FRAME: usize = 160;

/// A frame of 20 ms.
pub type Frame = [i16; FRAME];
