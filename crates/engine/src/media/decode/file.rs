//! One pass through a file, which may still grow.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use offhook_codec::{WavFormat, WavHeader};
use offhook_dsp::Resampler;

use super::mpeg::MpegDecoder;
use super::resamplers::Resamplers;
use crate::media::api::FileEncoding;

/// Read at a time.
const PIECE: usize = 16_384;
/// A growing prompt that does not grow for so long has failed.
const STALL: Duration = Duration::from_secs(30);

/// What a growing prompt ends with that was given up by who wrote it.
pub const UNWRITTEN: &str = "the prompt could not be written to its end";

const UNKNOWN: i64 = -2;

/// The final size of a growing prompt, once it is known.
#[derive(Debug)]
pub struct Growth(AtomicI64);

impl Default for Growth {
    fn default() -> Self {
        Self(AtomicI64::new(UNKNOWN))
    }
}

impl Growth {
    /// -1: writing failed.
    pub fn done(&self, size_bytes: i64) {
        self.0.store(size_bytes.max(-1), Ordering::Release);
    }

    /// Who wrote it gave it up.
    pub fn has_failed(&self) -> bool {
        self.size() == -1
    }

    fn size(&self) -> i64 {
        self.0.load(Ordering::Acquire)
    }
}

/// How far a step came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Samples were made, or could be with the next step.
    Going,
    /// The file has to grow first.
    Waiting,
    /// All is decoded.
    Done,
}

enum Reader {
    Unknown,
    Header(WavHeader),
    Pcm {
        format: WavFormat,
        end: Option<u64>,
        resampler: Resampler,
        /// A WAV file without a sample has failed; headerless audio may be of nothing.
        may_be_empty: bool,
    },
    Mpeg(Box<MpegDecoder>),
}

/// A file on its way to samples.
pub struct FileDecoder {
    file: Arc<File>,
    growth: Option<Arc<Growth>>,
    at: u64,
    reader: Reader,
    kept: Vec<u8>,
    mono: Vec<i16>,
    grew: Instant,
}

impl FileDecoder {
    pub fn new(
        file: Arc<File>,
        encoding: FileEncoding,
        growth: Option<Arc<Growth>>,
        resamplers: &mut Resamplers,
    ) -> Self {
        let reader = match encoding {
            FileEncoding::Auto => Reader::Unknown,
            FileEncoding::PcmS16le { rate_hz } => Reader::Pcm {
                format: WavFormat::headerless(rate_hz),
                end: None,
                resampler: resamplers.of(rate_hz),
                may_be_empty: true,
            },
        };
        Self {
            file,
            growth,
            at: 0,
            reader,
            kept: Vec::with_capacity(PIECE * 2),
            mono: Vec::new(),
            grew: Instant::now(),
        }
    }

    /// Read a piece and append what it gives.
    pub fn step(&mut self, resamplers: &mut Resamplers, out: &mut Vec<i16>) -> Result<Step, String> {
        // Read before the file: once the size is known, all of it is there.
        let size = self.growth.as_ref().map(|growth| growth.size());
        if size == Some(-1) {
            return Err(UNWRITTEN.into());
        }
        let count = self.read_piece()?;
        if count > 0 {
            self.grew = Instant::now();
        }
        let is_whole = count == 0
            && match size {
                None => true,
                Some(UNKNOWN) => false,
                Some(size) => self.at >= size as u64 || self.grew.elapsed() > STALL,
            };
        if matches!(self.reader, Reader::Unknown) {
            self.recognise(is_whole);
        }
        if matches!(self.reader, Reader::Header(_)) {
            self.read_header(is_whole, resamplers)?;
        }
        let is_done = self.decode(is_whole, resamplers, out)?;
        if is_done {
            return Ok(Step::Done);
        }
        if count == 0 && self.grew.elapsed() > STALL {
            return Err("the prompt did not grow for 30 s".into());
        }
        Ok(if count == 0 { Step::Waiting } else { Step::Going })
    }

    fn read_piece(&mut self) -> Result<usize, String> {
        let before = self.kept.len();
        self.kept.resize(before + PIECE, 0);
        let room = self.kept.get_mut(before..).unwrap_or(&mut []);
        let outcome = self.file.read_at(room, self.at);
        self.kept.truncate(before + outcome.as_ref().copied().unwrap_or(0));
        let count = outcome.map_err(|error| format!("the prompt cannot be read: {error}"))?;
        self.at += count as u64;
        Ok(count)
    }

    /// WAV by its first bytes; whatever else there is may have MP3 in it.
    fn recognise(&mut self, is_whole: bool) {
        if !WavHeader::may_be(&self.kept) || (is_whole && self.kept.is_empty()) {
            self.reader = Reader::Mpeg(Box::default());
        } else if is_whole || self.kept.len() >= 12 {
            self.reader = Reader::Header(WavHeader::default());
        }
    }

    /// Read on in the header. What it does not want is not read from the file.
    fn read_header(&mut self, is_whole: bool, resamplers: &mut Resamplers) -> Result<(), String> {
        let Reader::Header(header) = &mut self.reader else {
            return Ok(());
        };
        let found = header.read(&self.kept).map_err(|error| error.to_string())?;
        let wanted = found.map_or(header.wanted(), |format| format.data_offset);
        let begun = self.at - self.kept.len() as u64;
        if wanted > self.at {
            self.kept.clear();
            self.at = wanted;
        } else {
            self.kept.drain(..(wanted - begun) as usize);
        }
        match found {
            Some(format) => {
                self.reader = Reader::Pcm {
                    format,
                    end: format.data_bytes.map(|size| format.data_offset.saturating_add(size)),
                    resampler: resamplers.of(format.rate_hz),
                    may_be_empty: false,
                };
                Ok(())
            }
            None if is_whole => Err("the WAV file ends before its samples begin".into()),
            None => Ok(()),
        }
    }

    fn decode(&mut self, is_whole: bool, resamplers: &mut Resamplers, out: &mut Vec<i16>) -> Result<bool, String> {
        match &mut self.reader {
            Reader::Unknown | Reader::Header(_) => Ok(false),
            Reader::Pcm {
                format,
                end,
                resampler,
                may_be_empty,
            } => {
                let begun = self.at - self.kept.len() as u64;
                let left = end.map_or(usize::MAX, |end| end.saturating_sub(begun) as usize);
                let bytes = self.kept.get(..left.min(self.kept.len())).unwrap_or(&[]);
                self.mono.clear();
                let taken = format.decode_mono(bytes, &mut self.mono);
                let is_done = is_whole || left - taken < format.block_bytes();
                resampler.process(&self.mono, out);
                self.kept.drain(..taken);
                *may_be_empty |= taken > 0;
                if is_done && !*may_be_empty {
                    return Err("the WAV file holds no samples".into());
                }
                if is_done {
                    resampler.finish(out);
                }
                Ok(is_done)
            }
            Reader::Mpeg(decoder) => {
                let taken = decoder.decode(&self.kept, is_whole, resamplers, out)?;
                self.kept.drain(..taken);
                if is_whole {
                    decoder.finish(out)?;
                }
                Ok(is_whole)
            }
        }
    }
}
