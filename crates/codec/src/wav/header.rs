//! The chunks before the samples, read piece by piece: what is not needed is skipped, however long it is.

use super::{ByteOrder, SampleFormat, WavError, WavFormat};
use crate::Law;

/// Sizes from here on were written before the size was known (sox, ffmpeg and others each have their own).
const UNKNOWN_FROM: u32 = 0x7fff_0000;
/// Chunks that people put behind the samples, or between.
const KNOWN: [&[u8; 4]; 22] = [
    b"fmt ", b"data", b"fact", b"PEAK", b"LIST", b"list", b"JUNK", b"junk", b"PAD ", b"FLLR", b"bext", b"id3 ",
    b"ID3 ", b"iXML", b"axml", b"chna", b"cue ", b"smpl", b"inst", b"plst", b"_PMX", b"ds64",
];

/// What `fmt ` says.
#[derive(Debug, Clone, Copy)]
struct Layout {
    format: SampleFormat,
    channels: u16,
    rate_hz: u32,
}

/// Reads a header. Give it the bytes of the file from [`wanted`](Self::wanted) on, until it gives the format.
#[derive(Debug, Default)]
pub struct WavHeader {
    /// Known once the first 12 bytes are.
    order: Option<ByteOrder>,
    /// Where the next chunk begins.
    at: u64,
    /// The last chunk was of odd size: a pad byte may follow, or was forgotten.
    is_odd: bool,
    riff_end: Option<u64>,
    long_data_bytes: Option<u64>,
    layout: Option<Layout>,
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn is_known(name: [u8; 4]) -> bool {
    KNOWN.contains(&&name)
}

impl WavHeader {
    /// The file's first byte that is still of interest; what is before it need not be read.
    pub fn wanted(&self) -> u64 {
        self.at
    }

    /// The bytes may be the first ones of such a file, as far as they go.
    pub fn may_be(start: &[u8]) -> bool {
        let fits = |name: &[u8]| start.iter().zip(name).all(|(a, b)| a == b);
        let rest = start.get(8..).unwrap_or(&[]);
        let names: [&[u8]; 4] = [b"RIFF", b"RIFX", b"RF64", b"BW64"];
        names.iter().any(|name| fits(name)) && rest.iter().zip(b"WAVE").all(|(a, b)| a == b)
    }

    /// Read on with `bytes`, which begin at [`wanted`](Self::wanted). `None`: give more, from `wanted` on.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<WavFormat>, WavError> {
        let begun = self.at;
        let order = match self.order {
            Some(order) => order,
            None if !Self::may_be(bytes) => return Err(WavError::NotWav),
            None => {
                let (Some(name), Some(size)) = (bytes.get(..12), chunk(bytes, 4)) else {
                    return Ok(None);
                };
                let order = if name.starts_with(b"RIFX") {
                    ByteOrder::Big
                } else {
                    ByteOrder::Little
                };
                let size = order.u32(size);
                self.riff_end = (size < UNKNOWN_FROM).then_some(8 + u64::from(size));
                self.at = 12;
                *self.order.insert(order)
            }
        };
        loop {
            let Some(rest) = usize::try_from(self.at - begun).ok().and_then(|at| bytes.get(at..)) else {
                return Ok(None);
            };
            if self.is_odd && !self.skip_pad(rest) {
                return Ok(None);
            }
            let Some(rest) = usize::try_from(self.at - begun).ok().and_then(|at| bytes.get(at..)) else {
                return Ok(None);
            };
            // No chunk's name begins with a zero: somebody padded to more than an even size.
            let zeros = rest.iter().take_while(|byte| **byte == 0).count();
            self.at += zeros as u64;
            let rest = rest.get(zeros..).unwrap_or(&[]);
            let (Some(name), Some(size)) = (chunk::<4>(rest, 0), chunk(rest, 4)) else {
                return Ok(None);
            };
            let size = order.u32(size);
            match &name {
                b"data" => return self.data(order, size, rest).map(Some),
                b"fmt " => match layout(order, size, rest.get(8..).unwrap_or(&[]))? {
                    None => return Ok(None),
                    known => self.layout = known,
                },
                b"ds64" => match chunk(rest, 16) {
                    None => return Ok(None),
                    Some(size) => self.long_data_bytes = Some(u64::from_le_bytes(size)),
                },
                _ => {}
            }
            self.at += 8 + u64::from(size);
            self.is_odd = size % 2 == 1;
        }
    }

    /// Skip the pad byte of an odd chunk, if there is one: the next chunk's name tells. `false`: give more.
    fn skip_pad(&mut self, rest: &[u8]) -> bool {
        let Some([first, name @ ..]) = chunk::<5>(rest, 0) else {
            return false;
        };
        let unpadded = [first, name[0], name[1], name[2]];
        let is_padded = is_known(name) || !(is_known(unpadded) || unpadded.iter().all(u8::is_ascii_graphic));
        self.at += u64::from(is_padded);
        self.is_odd = false;
        true
    }

    fn data(&self, order: ByteOrder, size: u32, rest: &[u8]) -> Result<WavFormat, WavError> {
        let Some(Layout {
            format,
            channels,
            rate_hz,
        }) = self.layout
        else {
            return Err(WavError::Unsupported("the WAV file has data before its format".into()));
        };
        let data_offset = self.at + 8;
        let known = match (size, self.long_data_bytes) {
            (u32::MAX, Some(long)) => (1..u64::MAX / 2).contains(&long).then_some(long),
            (0, _) => self.is_empty(order, data_offset, rest).then_some(0),
            (size, _) => (size < UNKNOWN_FROM).then_some(u64::from(size)),
        };
        Ok(WavFormat {
            format,
            order,
            channels,
            rate_hz,
            data_offset,
            data_bytes: known,
        })
    }

    /// A size of 0 means that it was not known, unless another chunk of the file follows.
    fn is_empty(&self, order: ByteOrder, data_offset: u64, rest: &[u8]) -> bool {
        let (Some(name), Some(size)) = (chunk(rest, 8), chunk(rest, 12)) else {
            return false;
        };
        let end = data_offset + 8 + u64::from(order.u32(size));
        is_known(name) && self.riff_end.is_some_and(|riff_end| end <= riff_end + 1)
    }
}

fn unsupported<T>(why: impl Into<String>) -> Result<T, WavError> {
    Err(WavError::Unsupported(why.into()))
}

/// `None`: give more.
fn layout(order: ByteOrder, size: u32, body: &[u8]) -> Result<Option<Layout>, WavError> {
    if size < 14 {
        return unsupported(format!(
            "the WAV file's format has {size} bytes, which is too few to say anything"
        ));
    }
    let needed = (size as usize).min(40);
    let Some(body) = body.get(..needed) else {
        return Ok(None);
    };
    let field = |at| chunk(body, at).map_or(0, |bytes| u32::from(order.u16(bytes)));
    let (mut tag, channels, block) = (field(0), field(2), field(12));
    let rate_hz = chunk(body, 4).map_or(0, |bytes| order.u32(bytes));
    if !(1..=8).contains(&channels) {
        return unsupported(format!("WAV with {channels} channels is not read; use mono or stereo"));
    }
    if !(4_000..=192_000).contains(&rate_hz) {
        return unsupported(format!("WAV at {rate_hz} Hz is not read; use 8000 to 48000 Hz"));
    }
    if tag == 0xfffe {
        // WAVE_FORMAT_EXTENSIBLE: the tag is the first field of the subformat.
        tag = chunk(body, 24).map_or(tag, |bytes| order.u32(bytes));
    }
    let bits = if size < 16 { block / channels * 8 } else { field(14) };
    // 24 bits, or an odd number of them, may lie at the top of larger containers: the block tells. Else it is often wrong.
    let container = if block % channels == 0 { block / channels * 8 } else { 0 };
    let is_loose = bits == 24 || bits % 8 != 0;
    let held = if is_loose && (bits..=64).contains(&container) {
        container
    } else {
        bits.div_ceil(8) * 8
    };
    let format = match (tag, held) {
        (1, 8) => SampleFormat::Unsigned8,
        (1, 16) => SampleFormat::Signed16,
        (1, 24) => SampleFormat::Signed24,
        (1, 32) => SampleFormat::Signed32,
        (1, 64) => SampleFormat::Signed64,
        (3, 32) => SampleFormat::Float32,
        (3, 64) => SampleFormat::Float64,
        (6, 8) => SampleFormat::Law(Law::A),
        (7, 8) => SampleFormat::Law(Law::Mu),
        _ => {
            return unsupported(format!(
                "WAV format {tag} with {bits} bits is not read; convert to 16-bit PCM"
            ));
        }
    };
    Ok(Some(Layout {
        format,
        channels: channels as u16,
        rate_hz,
    }))
}
