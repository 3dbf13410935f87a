//! The shape of audio: int16, mono, 8 or 16 kHz, in frames of 20 ms.

use std::ops::{Deref, DerefMut};

/// The rate of a telephone line, and of the time that RTP of our codecs counts (RFC 3551 section 4.5.2: G.722 too).
pub const RATE_HZ: u32 = 8000;

/// Samples of a frame of 20 ms at [`RATE_HZ`].
pub const FRAME: usize = 160;

/// Samples of a frame at the highest rate.
pub const MOST_FRAME: usize = 2 * FRAME;

/// How many samples a second of a leg's audio has: from its first codec on, for as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Rate {
    /// 8 kHz: up to 3.4 kHz is heard.
    #[default]
    Narrow,
    /// 16 kHz: up to 7 kHz is heard.
    Wide,
}

impl Rate {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Narrow, Self::Wide];

    /// Samples of a second.
    pub fn hz(self) -> u32 {
        RATE_HZ * self.factor() as u32
    }

    /// Samples of a millisecond.
    pub fn per_ms(self) -> u64 {
        u64::from(self.hz() / 1000)
    }

    /// Samples of 1/8000 s.
    pub fn factor(self) -> usize {
        match self {
            Self::Narrow => 1,
            Self::Wide => 2,
        }
    }

    /// Samples of 20 ms.
    pub fn frame(self) -> usize {
        FRAME * self.factor()
    }

    /// The rate of a frame of so many samples.
    pub fn of_frame(samples: usize) -> Self {
        if samples > FRAME { Self::Wide } else { Self::Narrow }
    }
}

/// 20 ms of audio, as a slice of as many samples as its rate has in that time.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    samples: [i16; MOST_FRAME],
    size: usize,
}

impl Frame {
    /// Silence.
    pub fn silent(rate: Rate) -> Self {
        Self {
            samples: [0; MOST_FRAME],
            size: rate.frame(),
        }
    }
}

impl Deref for Frame {
    type Target = [i16];

    fn deref(&self) -> &[i16] {
        self.samples.get(..self.size).unwrap_or(&[])
    }
}

impl DerefMut for Frame {
    fn deref_mut(&mut self) -> &mut [i16] {
        self.samples.get_mut(..self.size).unwrap_or(&mut [])
    }
}

impl<const N: usize> PartialEq<[i16; N]> for Frame {
    fn eq(&self, other: &[i16; N]) -> bool {
        **self == *other
    }
}
