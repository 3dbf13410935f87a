//! Samples of WAV files, as 16-bit ones.

use crate::Law;

/// How one sample of a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleFormat {
    /// Unsigned 8 bit.
    Unsigned8,
    /// Signed 16 bit.
    Signed16,
    /// Signed 24 bit.
    Signed24,
    /// Signed 32 bit.
    Signed32,
    /// Signed 64 bit.
    Signed64,
    /// IEEE float, 32 bit.
    Float32,
    /// IEEE float, 64 bit.
    Float64,
    /// G.711.
    Law(Law),
}

/// Which byte of a sample is the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// The lowest: RIFF, RF64, BW64.
    Little,
    /// The highest: RIFX.
    Big,
}

impl ByteOrder {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }
}

/// What is full scale as a float is full scale as an integer; beyond, and what is no number (silence), does not wrap.
fn of_float(value: f64) -> i16 {
    (value * 32768.0) as i16
}

impl SampleFormat {
    /// Bytes of one sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::Unsigned8 | Self::Law(_) => 1,
            Self::Signed16 => 2,
            Self::Signed24 => 3,
            Self::Signed32 | Self::Float32 => 4,
            Self::Signed64 | Self::Float64 => 8,
        }
    }

    pub(super) fn sample(self, order: ByteOrder, bytes: &[u8]) -> i16 {
        match self {
            Self::Unsigned8 => bytes.first().map_or(0, |byte| (i16::from(*byte) - 128) << 8),
            Self::Law(law) => bytes.first().map_or(0, |byte| law.decode_sample(*byte)),
            Self::Float32 => {
                let bits = bytes.first_chunk().map_or(0, |bytes| order.u32(*bytes));
                of_float(f64::from(f32::from_bits(bits)))
            }
            Self::Float64 => {
                let value = bytes.first_chunk().map_or(0.0, |bytes| match order {
                    ByteOrder::Little => f64::from_le_bytes(*bytes),
                    ByteOrder::Big => f64::from_be_bytes(*bytes),
                });
                of_float(value)
            }
            Self::Signed16 | Self::Signed24 | Self::Signed32 | Self::Signed64 => {
                // The two highest bytes are the sample in 16 bits.
                let highest = match order {
                    ByteOrder::Little => bytes.last_chunk(),
                    ByteOrder::Big => bytes.first_chunk(),
                };
                highest.map_or(0, |bytes| order.u16(*bytes).cast_signed())
            }
        }
    }
}
