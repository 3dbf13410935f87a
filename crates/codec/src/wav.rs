//! WAV files: a header that can be rewritten while the file grows, and a reader that takes what people have.

mod header;
mod samples;

pub use header::WavHeader;
pub use samples::{ByteOrder, SampleFormat};

/// Size of the header that [`wav_header`] makes.
pub const WAV_HEADER_BYTES: usize = 44;

/// The header of a 16-bit PCM file with so many bytes of samples behind it (RIFF, `fmt `, `data`).
pub fn wav_header(channels: u16, rate_hz: u32, data_bytes: u32) -> [u8; WAV_HEADER_BYTES] {
    let block = channels * 2;
    let fields: [&[u8]; 13] = [
        b"RIFF",
        &data_bytes.saturating_add(36).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16_u32.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &channels.to_le_bytes(),
        &rate_hz.to_le_bytes(),
        &(rate_hz * u32::from(block)).to_le_bytes(),
        &block.to_le_bytes(),
        &16_u16.to_le_bytes(),
        b"data",
        &data_bytes.to_le_bytes(),
    ];
    let mut header = [0; WAV_HEADER_BYTES];
    for (to, from) in header.iter_mut().zip(fields.into_iter().flatten()) {
        *to = *from;
    }
    header
}

/// What the header of a WAV file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WavFormat {
    /// Of the samples.
    pub format: SampleFormat,
    /// Of the bytes of a sample.
    pub order: ByteOrder,
    /// Samples at one instant.
    pub channels: u16,
    /// Instants per second.
    pub rate_hz: u32,
    /// Where the samples begin in the file.
    pub data_offset: u64,
    /// Their size; `None` when the header was written before it was known: to the end of the file.
    pub data_bytes: Option<u64>,
}

/// Why a file is not played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WavError {
    /// Not RIFF/WAVE.
    NotWav,
    /// The header goes on behind what was given; give more.
    Incomplete,
    /// A format that is not read, as a sentence.
    Unsupported(String),
}

impl std::fmt::Display for WavError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotWav => f.write_str("this is not a WAV file"),
            Self::Incomplete => f.write_str("the WAV header is cut off"),
            Self::Unsupported(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for WavError {}

impl WavFormat {
    /// Headerless samples: 16 bit, mono, of this rate.
    pub fn headerless(rate_hz: u32) -> Self {
        Self {
            format: SampleFormat::Signed16,
            order: ByteOrder::Little,
            channels: 1,
            rate_hz,
            data_offset: 0,
            data_bytes: None,
        }
    }

    /// Read the header from the first bytes of a file. [`WavHeader`] reads one of any length.
    pub fn parse(start: &[u8]) -> Result<Self, WavError> {
        let mut header = WavHeader::default();
        loop {
            let at = usize::try_from(header.wanted()).unwrap_or(usize::MAX);
            let rest = start.get(at..).filter(|rest| !rest.is_empty());
            if let Some(format) = header.read(rest.ok_or(WavError::Incomplete)?)? {
                return Ok(format);
            }
            if header.wanted() == at as u64 {
                return Err(WavError::Incomplete);
            }
        }
    }

    /// Bytes of one instant.
    pub fn block_bytes(&self) -> usize {
        self.format.bytes() * usize::from(self.channels)
    }

    /// Append the samples of whole instants, mixed to mono, and say how many bytes were taken.
    pub fn decode_mono(&self, bytes: &[u8], samples: &mut Vec<i16>) -> usize {
        if (self.format, self.order, self.channels) == (SampleFormat::Signed16, ByteOrder::Little, 1) {
            let (pairs, rest) = bytes.as_chunks::<2>();
            samples.extend(pairs.iter().map(|pair| i16::from_le_bytes(*pair)));
            return bytes.len() - rest.len();
        }
        let channels = i32::from(self.channels);
        let mut taken = 0;
        for block in bytes.chunks_exact(self.block_bytes()) {
            let sum: i32 = block
                .chunks_exact(self.format.bytes())
                .map(|bytes| i32::from(self.format.sample(self.order, bytes)))
                .sum();
            samples.push((sum / channels) as i16);
            taken += block.len();
        }
        taken
    }
}

#[cfg(test)]
mod tests;
