//! Prompts that are played again and again: read and decoded once, as far as the foremost of their plays is.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::SystemTime;

use offhook_words::Rate;

use super::FileEncoding;
use super::file::{FileDecoder, Growth, Step};
use super::resamplers::Resamplers;

/// A longer prompt is decoded by each play for itself: 30 s, or 15 at 16 kHz.
const MOST_SAMPLES: usize = 240_000;
/// Samples that are kept in all: 8 MiB.
const MOST_KEPT: usize = 4 << 20;
/// Prompts that are kept; one that was not heard to its end keeps its file open.
const MOST_PROMPTS: usize = 128;

/// A file as it was when it was opened, and how it is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    device: u64,
    inode: u64,
    size: u64,
    /// When it was made. A number of a file may be used again for another; when it was last used or changed says nothing,
    /// as a complete prompt is only ever marked as used.
    made: SystemTime,
    /// Of headerless samples; 0 for files that say it themselves.
    rate_hz: u32,
    /// What it is to become.
    rate: Rate,
}

impl Key {
    fn of(file: &File, encoding: FileEncoding, rate: Rate) -> Option<Self> {
        let known = file.metadata().ok()?;
        let rate_hz = match encoding {
            FileEncoding::Auto => 0,
            FileEncoding::PcmS16le { rate_hz } => rate_hz,
        };
        Some(Self {
            device: known.dev(),
            inode: known.ino(),
            size: known.size(),
            made: known.created().ok()?,
            rate_hz,
            rate,
        })
    }
}

/// What is known of one file.
struct Kept {
    samples: Vec<i16>,
    /// Makes the rest; `None`: there is none.
    decoder: Option<FileDecoder>,
    is_long: bool,
    used: u64,
}

/// The prompts of one decoder thread.
#[derive(Default)]
pub struct PromptCache {
    pub resamplers: Resamplers,
    prompts: HashMap<Key, Kept>,
    samples: usize,
    uses: u64,
}

impl PromptCache {
    /// Append what is at `from`, at most `room` samples of it. `None`: this file is too long to be kept.
    fn read(&mut self, source: &FileSource, room: usize, out: &mut Vec<i16>) -> Result<Option<Step>, String> {
        let Some(key) = source.key else {
            return Ok(None);
        };
        self.uses += 1;
        let mut kept = self.prompts.remove(&key).unwrap_or_else(|| Kept {
            samples: Vec::new(),
            decoder: Some(source.decoder(&mut self.resamplers)),
            is_long: false,
            used: 0,
        });
        kept.used = self.uses;
        // Out of the count while it is out of the map: decoding may panic.
        self.samples -= kept.samples.len();
        let outcome = kept.read(source.at, room, &mut self.resamplers, out);
        if outcome.is_ok() {
            self.samples += kept.samples.len();
            self.make_room();
            self.prompts.insert(key, kept);
        }
        outcome
    }

    /// Forget what was not used for longest.
    fn make_room(&mut self) {
        while self.samples > MOST_KEPT || self.prompts.len() >= MOST_PROMPTS {
            let oldest = self.prompts.iter().min_by_key(|(_, kept)| kept.used);
            let Some(key) = oldest.map(|(key, _)| *key) else {
                return;
            };
            if let Some(kept) = self.prompts.remove(&key) {
                self.samples -= kept.samples.len();
            }
        }
    }
}

impl Kept {
    fn read(
        &mut self,
        from: usize,
        room: usize,
        resamplers: &mut Resamplers,
        out: &mut Vec<i16>,
    ) -> Result<Option<Step>, String> {
        // A step at a time: a file that is long before its first sample keeps nobody waiting.
        if self.samples.len() <= from && !self.is_long {
            let Some(decoder) = &mut self.decoder else {
                return Ok(Some(Step::Done));
            };
            match decoder.step(resamplers, &mut self.samples)? {
                Step::Going => {}
                Step::Waiting => return Ok(Some(Step::Waiting)),
                Step::Done => self.decoder = None,
            }
            if self.samples.len() > MOST_SAMPLES {
                self.is_long = true;
                self.decoder = None;
                self.samples = Vec::new();
            }
        }
        if self.is_long {
            return Ok(None);
        }
        let rest = self.samples.get(from..).unwrap_or(&[]);
        let count = rest.len().min(room);
        out.extend(rest.iter().take(count));
        let is_done = self.decoder.is_none() && count == rest.len();
        Ok(Some(if is_done { Step::Done } else { Step::Going }))
    }
}

/// One pass through a file: by the cache, or, if it grows or is long, by a decoder of its own.
pub struct FileSource {
    rate: Rate,
    file: Arc<File>,
    encoding: FileEncoding,
    growth: Option<Arc<Growth>>,
    key: Option<Key>,
    at: usize,
    own: Option<FileDecoder>,
    /// Samples of `own` that were heard already.
    skip: usize,
}

impl FileSource {
    pub fn new(file: Arc<File>, encoding: FileEncoding, growth: Option<Arc<Growth>>, rate: Rate) -> Self {
        let key = if growth.is_some() {
            None
        } else {
            Key::of(&file, encoding, rate)
        };
        Self {
            rate,
            file,
            encoding,
            growth,
            key,
            at: 0,
            own: None,
            skip: 0,
        }
    }

    fn decoder(&self, resamplers: &mut Resamplers) -> FileDecoder {
        FileDecoder::new(
            Arc::clone(&self.file),
            self.encoding,
            self.growth.clone(),
            self.rate,
            resamplers,
        )
    }

    /// Append the next samples: about `room` at most, when they are in the cache.
    pub fn step(&mut self, cache: &mut PromptCache, room: usize, out: &mut Vec<i16>) -> Result<Step, String> {
        let before = out.len();
        if let Some(own) = &mut self.own {
            let step = own.step(&mut cache.resamplers, out)?;
            let heard = self.skip.min(out.len() - before);
            self.skip -= heard;
            out.drain(before..before + heard);
            return Ok(step);
        }
        if let Some(step) = cache.read(self, room, out)? {
            self.at += out.len() - before;
            return Ok(step);
        }
        self.own = Some(self.decoder(&mut cache.resamplers));
        self.skip = self.at;
        Ok(Step::Going)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// A file of headerless samples at 16 kHz, without a name.
    fn file(seconds: usize, seed: u32) -> Arc<File> {
        use std::io::Write;
        let path = std::env::temp_dir().join(format!("offhook-cache-{}-{seconds}-{seed}", std::process::id()));
        let mut file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(path).unwrap();
        let mut state = seed;
        let noise = (0..seconds * 16_000).flat_map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 18) as i16 - 8192).to_le_bytes()
        });
        file.write_all(&noise.collect::<Vec<u8>>()).unwrap();
        Arc::new(file)
    }

    const ENCODING: FileEncoding = FileEncoding::PcmS16le { rate_hz: 16_000 };

    fn alone(file: &Arc<File>) -> Vec<i16> {
        let mut resamplers = Resamplers::default();
        let mut decoder = FileDecoder::new(Arc::clone(file), ENCODING, None, Rate::Narrow, &mut resamplers);
        let mut samples = Vec::new();
        while decoder.step(&mut resamplers, &mut samples).unwrap() != Step::Done {}
        samples
    }

    fn play(file: &Arc<File>) -> (FileSource, Vec<i16>) {
        (
            FileSource::new(Arc::clone(file), ENCODING, None, Rate::Narrow),
            Vec::new(),
        )
    }

    #[test]
    fn each_play_hears_the_whole_prompt_wherever_the_others_are() {
        let file = file(3, 1);
        let whole = alone(&file);
        let mut cache = PromptCache::default();
        let mut plays = [play(&file), play(&file), play(&file)];
        for (turn, most) in (0..).zip([400, 4000, 161].into_iter().cycle()) {
            let Some((source, heard)) = plays.get_mut(turn % 3) else {
                continue;
            };
            if heard.len() < whole.len() {
                source.step(&mut cache, most, heard).unwrap();
            }
            if plays.iter().all(|(_, heard)| heard.len() >= whole.len()) {
                break;
            }
        }
        assert!(plays.iter().all(|(_, heard)| *heard == whole));
        assert_eq!((cache.prompts.len(), cache.samples), (1, whole.len()));
        let (mut source, mut heard) = play(&file);
        assert_eq!(source.step(&mut cache, whole.len(), &mut heard).unwrap(), Step::Done);
        assert_eq!(heard, whole);
    }

    #[test]
    fn a_prompt_that_was_marked_as_used_is_still_known_and_one_in_its_place_is_not() {
        let path = std::env::temp_dir().join(format!("offhook-cache-{}-place", std::process::id()));
        let key = |sample: u8| {
            let made = |_| Key::of(&File::open(&path).unwrap(), ENCODING, Rate::Narrow).unwrap();
            std::fs::write(&path, [sample; 320]).unwrap();
            let keys = [0, 1].map(|hour| {
                let used = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(hour * 3600);
                File::options()
                    .write(true)
                    .open(&path)
                    .unwrap()
                    .set_modified(used)
                    .unwrap();
                made(hour)
            });
            assert_eq!(keys.first(), keys.last());
            std::fs::remove_file(&path).unwrap();
            keys
        };
        assert_ne!(key(1), key(2));
    }

    #[test]
    fn a_long_prompt_goes_on_without_a_gap_where_it_is_no_longer_kept() {
        let file = file(32, 2);
        let whole = alone(&file);
        let mut cache = PromptCache::default();
        for _ in 0..2 {
            let (mut source, mut heard) = play(&file);
            while source.step(&mut cache, 4000, &mut heard).unwrap() != Step::Done {}
            assert!(heard == whole);
            assert_eq!(cache.samples, 0);
        }
    }

    #[test]
    fn what_is_forgotten_is_decoded_again_for_a_play_in_the_middle_of_it() {
        let mut cache = PromptCache::default();
        let first = file(2, 3);
        let (mut source, mut heard) = play(&first);
        source.step(&mut cache, 4000, &mut heard).unwrap();
        for seed in 0..22 {
            let other = file(28, 100 + seed);
            let (mut other, mut samples) = play(&other);
            while other.step(&mut cache, 240_000, &mut samples).unwrap() != Step::Done {}
        }
        assert!(cache.samples <= MOST_KEPT);
        assert!(cache.prompts.len() < 22);
        while source.step(&mut cache, 4000, &mut heard).unwrap() != Step::Done {}
        assert!(heard == alone(&first));
    }
}
