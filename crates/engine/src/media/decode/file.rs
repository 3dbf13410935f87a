//! One pass through a file, which may still grow.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use offhook_codec::{WavFormat, WavHeader};
use offhook_dsp::Resampler;
use offhook_words::Rate;

use super::FileEncoding;
use super::mpeg::MpegDecoder;
use super::resamplers::Resamplers;

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
    rate: Rate,
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
        rate: Rate,
        resamplers: &mut Resamplers,
    ) -> Self {
        let reader = match encoding {
            FileEncoding::Auto => Reader::Unknown,
            FileEncoding::PcmS16le { rate_hz } => Reader::Pcm {
                format: WavFormat::headerless(rate_hz),
                end: None,
                resampler: resamplers.of(rate_hz, rate),
                may_be_empty: true,
            },
        };
        Self {
            rate,
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
            self.reader = Reader::Mpeg(Box::new(MpegDecoder::new(self.rate)));
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
                    resampler: resamplers.of(format.rate_hz, self.rate),
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::io::Write;

    use super::*;

    /// A growing prompt, who writes it, and its decoder.
    struct Growing {
        file: File,
        growth: Arc<Growth>,
        decoder: FileDecoder,
        resamplers: Resamplers,
        heard: Vec<i16>,
    }

    impl Growing {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("offhook-growing-{name}-{}", std::process::id()));
            let file = File::create_new(&path).unwrap();
            let reader = Arc::new(File::open(&path).unwrap());
            std::fs::remove_file(path).unwrap();
            let growth = Arc::<Growth>::default();
            let mut resamplers = Resamplers::default();
            let encoding = FileEncoding::PcmS16le { rate_hz: 8000 };
            let decoder = FileDecoder::new(
                reader,
                encoding,
                Some(Arc::clone(&growth)),
                Rate::Narrow,
                &mut resamplers,
            );
            Self {
                file,
                growth,
                decoder,
                resamplers,
                heard: Vec::new(),
            }
        }

        fn grow(&mut self) {
            self.file.write_all(&[1; 320]).unwrap();
        }

        fn step(&mut self) -> Result<Step, String> {
            self.decoder.step(&mut self.resamplers, &mut self.heard)
        }

        /// Time passes, by the clock that nobody sets.
        fn wait(&mut self, passed: Duration) {
            self.decoder.grew = self.decoder.grew.checked_sub(passed).unwrap();
        }
    }

    #[test]
    fn a_growing_prompt_may_stand_still_for_30_s_and_then_fails_with_a_sentence() {
        let mut prompt = Growing::new("stalls");
        prompt.grow();
        assert_eq!(prompt.step(), Ok(Step::Going));
        prompt.wait(Duration::from_secs(29));
        assert_eq!(prompt.step(), Ok(Step::Waiting));
        prompt.grow();
        assert_eq!(prompt.step(), Ok(Step::Going), "it grew: the time begins anew");
        prompt.wait(Duration::from_secs(29));
        assert_eq!(prompt.step(), Ok(Step::Waiting));
        prompt.wait(Duration::from_secs(2));
        assert_eq!(prompt.step(), Err("the prompt did not grow for 30 s".to_owned()));
        assert_eq!(prompt.heard.len(), 320, "what came was heard");
    }

    #[test]
    fn a_growing_prompt_that_is_shorter_than_was_said_ends_where_it_does_after_30_s() {
        let mut prompt = Growing::new("short");
        prompt.grow();
        prompt.growth.done(10_000);
        assert_eq!(prompt.step(), Ok(Step::Going));
        prompt.wait(Duration::from_secs(29));
        assert_eq!(prompt.step(), Ok(Step::Waiting));
        prompt.wait(Duration::from_secs(2));
        assert_eq!(prompt.step(), Ok(Step::Done));
        assert_eq!(prompt.heard.len(), 160);
    }

    #[test]
    fn a_growing_prompt_that_is_given_up_fails_at_once() {
        let mut prompt = Growing::new("given-up");
        prompt.grow();
        assert_eq!(prompt.step(), Ok(Step::Going));
        prompt.growth.done(-1);
        assert_eq!(prompt.step(), Err(UNWRITTEN.to_owned()));
    }
}
