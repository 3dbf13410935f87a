//! WAV files: a header that can be rewritten while the file grows, and a reader that takes what people have.

use crate::Codec;

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

/// How the samples of a file are written.
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
    /// IEEE float, 32 bit.
    Float32,
    /// G.711.
    Law(Codec),
}

impl SampleFormat {
    fn bytes(self) -> usize {
        match self {
            Self::Unsigned8 | Self::Law(_) => 1,
            Self::Signed16 => 2,
            Self::Signed24 => 3,
            Self::Signed32 | Self::Float32 => 4,
        }
    }

    fn sample(self, bytes: &[u8]) -> i16 {
        match (self, bytes) {
            (Self::Unsigned8, [a]) => (i16::from(*a) - 128) << 8,
            (Self::Law(codec), [a]) => codec.decode_sample(*a),
            (Self::Signed16, [a, b]) | (Self::Signed24, [_, a, b]) | (Self::Signed32, [_, _, a, b]) => {
                i16::from_le_bytes([*a, *b])
            }
            (Self::Float32, [a, b, c, d]) => (f32::from_le_bytes([*a, *b, *c, *d]) * 32768.0) as i16,
            _ => 0,
        }
    }
}

/// What the header of a WAV file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WavFormat {
    /// Of the samples.
    pub format: SampleFormat,
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

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let (value, _) = bytes.get(at..)?.split_first_chunk::<2>()?;
    Some(u16::from_le_bytes(*value))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let (value, _) = bytes.get(at..)?.split_first_chunk::<4>()?;
    Some(u32::from_le_bytes(*value))
}

impl WavFormat {
    /// Read the header from the first bytes of a file (4 KiB is ample for all but odd ones).
    pub fn parse(start: &[u8]) -> Result<Self, WavError> {
        if start.len() < 12 {
            let known = start.iter().zip(b"RIFF").all(|(a, b)| a == b);
            return Err(if known { WavError::Incomplete } else { WavError::NotWav });
        }
        if start.get(..4) != Some(b"RIFF") || start.get(8..12) != Some(b"WAVE") {
            return Err(WavError::NotWav);
        }
        let mut at = 12;
        let mut format = None;
        loop {
            let id = start.get(at..at + 4).ok_or(WavError::Incomplete)?;
            let size = u32_at(start, at + 4).ok_or(WavError::Incomplete)?;
            let body = at + 8;
            if id == b"fmt " {
                format = Some(parse_fmt(start, body, size)?);
            } else if id == b"data" {
                let (format, channels, rate_hz) =
                    format.ok_or_else(|| WavError::Unsupported("the WAV file has data before its format".into()))?;
                let data_bytes = (size != 0 && size < 0x7fff_0000).then_some(u64::from(size));
                let data_offset = body as u64;
                return Ok(Self {
                    format,
                    channels,
                    rate_hz,
                    data_offset,
                    data_bytes,
                });
            }
            at = body.saturating_add(size as usize).saturating_add((size & 1) as usize);
        }
    }

    /// Bytes of one instant.
    pub fn block_bytes(&self) -> usize {
        self.format.bytes() * usize::from(self.channels)
    }

    /// Append the samples of whole instants, mixed to mono, and say how many bytes were taken.
    pub fn decode_mono(&self, bytes: &[u8], samples: &mut Vec<i16>) -> usize {
        if (self.format, self.channels) == (SampleFormat::Signed16, 1) {
            let (pairs, rest) = bytes.as_chunks::<2>();
            samples.extend(pairs.iter().map(|pair| i16::from_le_bytes(*pair)));
            return bytes.len() - rest.len();
        }
        let channels = i32::from(self.channels);
        let mut taken = 0;
        for block in bytes.chunks_exact(self.block_bytes()) {
            let sum: i32 = block
                .chunks_exact(self.format.bytes())
                .map(|bytes| i32::from(self.format.sample(bytes)))
                .sum();
            samples.push((sum / channels) as i16);
            taken += block.len();
        }
        taken
    }
}

fn parse_fmt(start: &[u8], body: usize, size: u32) -> Result<(SampleFormat, u16, u32), WavError> {
    let field16 = |offset| u16_at(start, body + offset).ok_or(WavError::Incomplete);
    let mut tag = field16(0)?;
    let channels = field16(2)?;
    let rate_hz = u32_at(start, body + 4).ok_or(WavError::Incomplete)?;
    let bits = field16(14)?;
    if tag == 0xfffe && size >= 26 {
        tag = field16(24)?;
    }
    let format = match (tag, bits) {
        (1, 8) => SampleFormat::Unsigned8,
        (1, 16) => SampleFormat::Signed16,
        (1, 24) => SampleFormat::Signed24,
        (1, 32) => SampleFormat::Signed32,
        (3, 32) => SampleFormat::Float32,
        (6, 8) => SampleFormat::Law(Codec::Pcma),
        (7, 8) => SampleFormat::Law(Codec::Pcmu),
        _ => {
            return Err(WavError::Unsupported(format!(
                "WAV format {tag} with {bits} bits is not read; convert to 16-bit PCM"
            )));
        }
    };
    if !(1..=8).contains(&channels) {
        return Err(WavError::Unsupported(format!(
            "WAV with {channels} channels is not read; use mono or stereo"
        )));
    }
    if !(4_000..=192_000).contains(&rate_hz) {
        return Err(WavError::Unsupported(format!(
            "WAV at {rate_hz} Hz is not read; use 8000 to 48000 Hz"
        )));
    }
    Ok((format, channels, rate_hz))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(tag: u16, channels: u16, rate_hz: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let block = channels * bits / 8;
        let mut bytes = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        bytes.extend(tag.to_le_bytes());
        bytes.extend(channels.to_le_bytes());
        bytes.extend(rate_hz.to_le_bytes());
        bytes.extend((rate_hz * u32::from(block)).to_le_bytes());
        bytes.extend(block.to_le_bytes());
        bytes.extend(bits.to_le_bytes());
        bytes.extend(b"data");
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(data);
        bytes
    }

    fn decoded(bytes: &[u8]) -> Vec<i16> {
        let format = WavFormat::parse(bytes).unwrap();
        let mut samples = Vec::new();
        format.decode_mono(&bytes[format.data_offset as usize..], &mut samples);
        samples
    }

    #[test]
    fn our_own_header_reads_back() {
        let format = WavFormat::parse(&wav_header(2, 8000, 640)).unwrap();
        assert_eq!(format.format, SampleFormat::Signed16);
        assert_eq!((format.channels, format.rate_hz), (2, 8000));
        assert_eq!((format.data_offset, format.data_bytes), (44, Some(640)));
    }

    #[test]
    fn each_sample_format_gives_the_same_half_scale() {
        assert_eq!(decoded(&file(1, 1, 8000, 8, &[192])), [16384]);
        assert_eq!(decoded(&file(1, 1, 8000, 16, &[0, 64])), [16384]);
        assert_eq!(decoded(&file(1, 1, 8000, 24, &[9, 0, 64])), [16384]);
        assert_eq!(decoded(&file(1, 1, 8000, 32, &[9, 9, 0, 64])), [16384]);
        assert_eq!(decoded(&file(3, 1, 8000, 32, &0.5_f32.to_le_bytes())), [16384]);
        assert_eq!(decoded(&file(7, 1, 8000, 8, &[0x8f])), [16764]);
        assert_eq!(decoded(&file(6, 1, 8000, 8, &[0xaa])), [32256]);
    }

    #[test]
    fn stereo_is_mixed_without_overflow() {
        assert_eq!(
            decoded(&file(1, 2, 44100, 16, &[0xff, 0x7f, 0xff, 0x7f, 0, 0, 2, 0])),
            [32767, 1]
        );
    }

    #[test]
    fn a_header_written_before_the_length_was_known_reads_to_the_end() {
        for size in [0_u32, u32::MAX, 0x7fff_f000] {
            let mut bytes = file(1, 1, 22050, 16, &[]);
            let at = bytes.len() - 4;
            bytes[at..].copy_from_slice(&size.to_le_bytes());
            assert_eq!(WavFormat::parse(&bytes).unwrap().data_bytes, None);
        }
    }

    #[test]
    fn an_unknown_format_says_what_to_do() {
        let error = WavFormat::parse(&file(85, 1, 8000, 0, &[])).unwrap_err();
        assert!(error.to_string().contains("convert to 16-bit PCM"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic_the_reader(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), riff: bool) {
            if riff && bytes.len() >= 12 {
                bytes[..4].copy_from_slice(b"RIFF");
                bytes[8..12].copy_from_slice(b"WAVE");
            }
            if let Ok(format) = WavFormat::parse(&bytes) {
                format.decode_mono(&bytes, &mut Vec::new());
            }
        }

        #[test]
        fn every_prefix_of_a_header_is_incomplete(cut in 0_usize..44) {
            let header = wav_header(1, 8000, 0);
            prop_assert_eq!(WavFormat::parse(&header[..cut]), Err(WavError::Incomplete));
        }
    }
}
