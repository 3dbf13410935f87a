//! MP3: where the frames are, in whatever people put around them. The samples of a frame are another's work.

/// Bytes that are neither frame, tag nor zero before the first frame: with more it is no MP3.
pub const MOST_LEADING_JUNK: u64 = 256 << 10;

/// kbit/s.
const BITRATES_1: [u32; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const BITRATES_2: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const ID3V1_BYTES: u64 = 128;
const ID3V1_EXTENDED_BYTES: u64 = 227;
/// Lyrics3 tags say their size behind them only; longer ones are junk.
const MOST_LYRICS: usize = 32 << 10;
/// What a tag may begin with.
const TAG_WORDS: [&[u8]; 4] = [b"TAG", b"APETAGEX", b"ID3", b"LYRICSBEGIN"];
/// By so many bytes each of them, and the header of a frame, is known.
const LONGEST_WORD: usize = 11;

/// What the four bytes of a frame's header say (ISO 11172-3 and 13818-3, layer III).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Instants per second.
    pub rate_hz: u32,
    /// 1 or 2.
    pub channels: u8,
    /// Instants in the frame: 1152, or 576 at rates below 32 kHz.
    pub samples: u32,
    /// Size of the frame with its header; 0: of a free format, which does not say it.
    pub bytes: usize,
    /// Where the tables of an encoder (Xing, LAME) would lie.
    side_end: usize,
}

impl FrameHeader {
    /// The header at the beginning of `bytes`, if there is one.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, d] = *bytes.first_chunk::<4>()?;
        let version = (b >> 3) & 3;
        // Sync, layer III, no reserved version.
        if a != 0xff || b & 0xe0 != 0xe0 || (b >> 1) & 3 != 1 || version == 1 {
            return None;
        }
        let full = version == 3;
        let table = if full { &BITRATES_1 } else { &BITRATES_2 };
        let bitrate = *table.get(usize::from(c >> 4))? * 1000;
        let base = *[44_100, 48_000, 32_000].get(usize::from((c >> 2) & 3))?;
        let rate_hz = match version {
            3 => base,
            2 => base / 2,
            _ => base / 4,
        };
        let (samples, scale) = if full { (1152, 144) } else { (576, 72) };
        let size = scale * bitrate / rate_hz + u32::from((c >> 1) & 1);
        let channels = if d >> 6 == 3 { 1 } else { 2 };
        let tables_at = match (full, channels) {
            (true, 2) => 32,
            (true, _) | (false, 2) => 17,
            (false, _) => 9,
        };
        let crc = if b & 1 == 0 { 2 } else { 0 };
        Some(Self {
            rate_hz,
            channels,
            samples,
            bytes: if bitrate == 0 { 0 } else { size as usize },
            side_end: 4 + crc + tables_at,
        })
    }

    /// Both may be of one stream: the same version, rate and channels. A rate is of one version alone.
    fn is_like(&self, other: &Self) -> bool {
        (self.rate_hz, self.channels) == (other.rate_hz, other.channels) && other.bytes > 0
    }
}

/// A frame that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its header.
    pub header: FrameHeader,
    /// All of it, with the header.
    pub bytes: &'a [u8],
}

impl Frame<'_> {
    /// It holds an encoder's table (Xing, Info, VBRI) instead of sound.
    pub fn is_table(&self) -> bool {
        let holds = |at: usize, word| self.bytes.get(at..).is_some_and(|rest| rest.starts_with(word));
        let side = self.header.side_end;
        // Some write it as if there was no CRC.
        let is_xing = |at| holds(at, b"Xing") || holds(at, b"Info");
        is_xing(side) || is_xing(side - 2) || holds(36, b"VBRI")
    }
}

/// How far [`MpegFramer::next`] came.
#[derive(Debug, PartialEq, Eq)]
pub struct Cut<'a> {
    /// Bytes that are not needed any more: a frame is at their end.
    pub used: usize,
    /// `None`: give more bytes behind those that were not used; at the end of the file, there is no further one.
    pub frame: Option<Frame<'a>>,
}

/// What begins at some byte.
enum Found {
    Frame(FrameHeader),
    /// So many bytes that are no sound.
    Tag(u64),
    Junk,
    Unknown,
}

/// Takes an MP3 file in pieces and cuts its frames out. A frame counts when another follows where it ends.
#[derive(Debug, Default)]
pub struct MpegFramer {
    /// Of a tag that is being skipped.
    tag_left: u64,
    last: Option<FrameHeader>,
    /// The byte before was the last one of a frame or tag.
    is_synced: bool,
    lost: u64,
    saw_free: bool,
}

impl MpegFramer {
    /// Bytes so far that were neither frame nor tag; zeros before the first frame do not count.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// There was a frame.
    pub fn is_begun(&self) -> bool {
        self.last.is_some()
    }

    /// The first thing in the file was a header of the free format, which is not read.
    pub fn saw_free_format(&self) -> bool {
        self.saw_free
    }

    /// The next frame in `bytes`; `is_whole`: the file ends with them.
    pub fn next<'a>(&mut self, bytes: &'a [u8], is_whole: bool) -> Cut<'a> {
        let mut at = 0;
        loop {
            let skip = usize::try_from(self.tag_left)
                .unwrap_or(usize::MAX)
                .min(bytes.len() - at);
            self.tag_left -= skip as u64;
            at += skip;
            let rest = bytes.get(at..).unwrap_or(&[]);
            match self.look(rest, is_whole) {
                Found::Frame(header) => {
                    let frame = rest.get(..header.bytes).unwrap_or(rest);
                    self.last = Some(header);
                    self.is_synced = true;
                    return Cut {
                        used: at + frame.len(),
                        frame: Some(Frame { header, bytes: frame }),
                    };
                }
                Found::Tag(size) => {
                    self.tag_left = size;
                    self.is_synced = true;
                }
                Found::Junk => at += self.skip_junk(rest),
                Found::Unknown => return Cut { used: at, frame: None },
            }
        }
    }

    /// Pass over what is at `rest`, up to what may be the next frame or tag.
    fn skip_junk(&mut self, rest: &[u8]) -> usize {
        let is_leading_zero = self.last.is_none() && rest.first() == Some(&0);
        let count = if is_leading_zero {
            rest.iter().take_while(|byte| **byte == 0).count()
        } else {
            let behind = rest.get(1..).unwrap_or(&[]);
            1 + behind
                .iter()
                .take_while(|byte| ![0xff, b'I', b'A', 0].contains(*byte))
                .count()
        };
        if !is_leading_zero {
            self.lost += count as u64;
            self.is_synced = false;
        }
        count
    }

    fn look(&mut self, rest: &[u8], is_whole: bool) -> Found {
        if rest.len() < 32 && !is_whole || rest.is_empty() {
            return Found::Unknown;
        }
        if self.is_synced && rest.starts_with(b"LYRICSBEGIN") {
            let end = rest
                .windows(9)
                .position(|word| word == b"LYRICSEND" || word == b"LYRICS200");
            match end {
                Some(end) => return Found::Tag(end as u64 + 9),
                None if !is_whole && rest.len() < MOST_LYRICS => return Found::Unknown,
                None => {}
            }
        }
        if let Some(size) = self.tag(rest) {
            return Found::Tag(size);
        }
        let Some(header) = FrameHeader::parse(rest) else {
            return Found::Junk;
        };
        if header.bytes == 0 {
            self.saw_free |= self.lost == 0 && self.last.is_none();
            return Found::Junk;
        }
        let is_next = self.is_synced && self.last.is_some_and(|last| last.is_like(&header));
        if is_next && rest.len() >= header.bytes {
            return Found::Frame(header);
        }
        let Some(behind) = rest.get(header.bytes..) else {
            return if is_whole { Found::Junk } else { Found::Unknown };
        };
        // A frame is one when another, a tag, or the end of the file follows where it ends.
        if behind.len() < LONGEST_WORD && !is_whole {
            return Found::Unknown;
        }
        let is_followed = match FrameHeader::parse(behind) {
            Some(next) => header.is_like(&next),
            None => behind.is_empty() || begins_tag(behind),
        };
        if is_followed { Found::Frame(header) } else { Found::Junk }
    }

    /// The size of the tag that begins here.
    fn tag(&self, rest: &[u8]) -> Option<u64> {
        if rest.starts_with(b"ID3") {
            return id3v2(rest);
        }
        if rest.starts_with(b"APETAGEX") {
            return ape(rest);
        }
        // Three letters are no proof: they count where a frame or tag ended.
        let is_id3v1 = self.is_synced && self.last.is_some() && rest.starts_with(b"TAG");
        is_id3v1.then_some(if rest.starts_with(b"TAG+") {
            ID3V1_EXTENDED_BYTES
        } else {
            ID3V1_BYTES
        })
    }
}

/// Fewer bytes than the word are the end of the file.
fn begins_tag(bytes: &[u8]) -> bool {
    TAG_WORDS
        .iter()
        .any(|word| bytes.starts_with(word.get(..bytes.len()).unwrap_or(word)))
}

/// A tag of `ID3v2` (2.2 to 2.4), with its header, and its footer if it has one.
fn id3v2(bytes: &[u8]) -> Option<u64> {
    let [_, _, _, major, minor, flags, size @ ..] = bytes.first_chunk::<10>()?;
    if *major == 0xff || *minor == 0xff || size.iter().any(|byte| *byte > 0x7f) {
        return None;
    }
    let size = size.iter().fold(0, |size, byte| size << 7 | u64::from(*byte));
    Some(10 + size + if flags & 0x10 == 0 { 0 } else { 10 })
}

/// A tag of APE, version 1 or 2, from its header on; or a footer, before which the items were.
fn ape(bytes: &[u8]) -> Option<u64> {
    let [.., a, b, c, d, _, _, _, _, _, _, _, flags] = bytes.first_chunk::<24>()?;
    let is_header = flags & 0x20 != 0;
    Some(
        32 + if is_header {
            u64::from(u32::from_le_bytes([*a, *b, *c, *d]))
        } else {
            0
        },
    )
}

#[cfg(test)]
mod tests;
