//! One play, as its decoder thread sees it: sources one after another into one ring, without a gap.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use offhook_dsp::{Resampler, ToneSequence};
use offhook_words::{Frame, OperationId, Rate};
use rtrb::Producer;

use super::cache::{FileSource, PromptCache};
use super::file::{Growth, Step, UNWRITTEN};
use super::resamplers::Resamplers;
use super::{FileEncoding, Report};
use crate::media::api::MediaEvent;
use crate::media::ring::PlayState;

/// Made at a time, so that one play does not keep the others waiting.
const MOST_AT_ONCE: usize = 4000;
/// The same, of steps that need not give samples: 1 MiB of a file.
const MOST_STEPS: usize = 64;
/// The node may push so far ahead, in ms.
const PCM_AHEAD_MS: u64 = 500;
/// Credit is given in pieces of at least so many ms.
const CREDIT_PIECE_MS: u64 = 40;

/// Files of a play that is repeated which stay open: they need not be opened anew each time, nor be there any more.
const MOST_OPEN: usize = 2;

/// Opens a prompt by its name. It may wait for the disk.
pub type OpenPrompt = Arc<dyn Fn(&str) -> io::Result<File> + Send + Sync>;

/// A source that was checked. Its file is opened when its turn comes.
#[derive(Debug, Clone)]
pub enum Prepared {
    File {
        name: Arc<str>,
        encoding: FileEncoding,
        growth: Option<Arc<Growth>>,
    },
    Tone(Box<ToneSequence>),
    Silence {
        samples: u64,
    },
    Pcm {
        stream: u64,
    },
    /// A fault of ours or of a decoder.
    #[cfg(test)]
    Fault,
}

enum Open {
    File(Box<FileSource>),
    Tone(Box<ToneSequence>),
    Silence(u64),
    Pcm(u64),
}

/// Samples of a stream that wait for their turn.
struct Stream {
    rate_hz: u32,
    /// Made by the decoder thread: designing it takes milliseconds, which core does not have.
    resampler: Option<Resampler>,
    waiting: VecDeque<i16>,
    is_last: bool,
    /// At the rate of the leg: into the ring, and what credit was given for.
    moved: u64,
    credited: u64,
    dropped: u64,
    odd: Option<u8>,
}

/// A play and how far it is.
pub struct Play {
    pub id: OperationId,
    rate: Rate,
    ring: Producer<i16>,
    state: Arc<PlayState>,
    /// Those to be played; in the last round, what was played is gone.
    sources: VecDeque<Prepared>,
    at: usize,
    /// Files of a list that is repeated, those of its last sources.
    files: VecDeque<(Arc<str>, Arc<File>)>,
    /// Rounds to go; `None` without end.
    rounds: Option<u32>,
    more: bool,
    open: Option<Open>,
    staged: Vec<i16>,
    taken: usize,
    streams: HashMap<u64, Stream>,
    made_in_round: bool,
    is_waiting: bool,
}

impl Play {
    /// `loops` 0: without end.
    pub fn new(
        id: OperationId,
        rate: Rate,
        ring: Producer<i16>,
        state: Arc<PlayState>,
        sources: Vec<Prepared>,
        loops: u32,
        more: bool,
    ) -> Self {
        Self {
            id,
            rate,
            staged: Vec::with_capacity(ring.buffer().capacity()),
            ring,
            state,
            sources: sources.into(),
            at: 0,
            files: VecDeque::new(),
            rounds: (loops > 0).then_some(loops),
            more,
            open: None,
            taken: 0,
            streams: HashMap::new(),
            made_in_round: false,
            is_waiting: false,
        }
    }

    /// Expect samples of a stream.
    pub fn expect(&mut self, stream: u64, rate_hz: u32) {
        let waiting = VecDeque::with_capacity(self.ahead());
        let stream_state = Stream {
            rate_hz,
            resampler: None,
            waiting,
            is_last: false,
            moved: 0,
            credited: 0,
            dropped: 0,
            odd: None,
        };
        self.streams.insert(stream, stream_state);
    }

    /// Samples that the node may push ahead.
    fn ahead(&self) -> usize {
        (PCM_AHEAD_MS * self.rate.per_ms()) as usize
    }

    pub fn append(&mut self, sources: Vec<Prepared>, more: bool) {
        self.sources.extend(sources);
        self.more = more;
    }

    #[cfg(test)]
    pub const FAULTY_STREAM: u64 = u64::MAX;

    /// Samples came for a stream; what is beyond its credit is dropped.
    pub fn pushed(&mut self, stream: u64, bytes: &[u8], last: bool, resamplers: &mut Resamplers) {
        #[cfg(test)]
        assert_ne!(stream, Self::FAULTY_STREAM, "a fault, as the test wants it");
        let (buffered, ahead, rate) = (self.buffered(), self.ahead(), self.rate);
        let Some(stream) = self.streams.get_mut(&stream).filter(|stream| !stream.is_last) else {
            return;
        };
        let mut samples = Vec::with_capacity(bytes.len() / 2 + 1);
        for byte in bytes {
            match stream.odd.take() {
                None => stream.odd = Some(*byte),
                Some(low) => samples.push(i16::from_le_bytes([low, *byte])),
            }
        }
        let mut converted = Vec::with_capacity(samples.len());
        let rate_hz = stream.rate_hz;
        let resampler = stream.resampler.get_or_insert_with(|| resamplers.of(rate_hz, rate));
        resampler.process(&samples, &mut converted);
        if last {
            resampler.finish(&mut converted);
            stream.is_last = true;
        }
        // A little more than the credit, for what the resampler's edges add.
        let room = (ahead + rate.frame()).saturating_sub(stream.waiting.len() + buffered.min(stream.moved as usize));
        stream.dropped += converted.len().saturating_sub(room) as u64;
        stream.waiting.extend(converted.into_iter().take(room));
    }

    /// Samples that wait to be heard.
    pub fn buffered(&self) -> usize {
        self.ring.buffer().capacity().saturating_sub(self.ring.slots())
    }

    /// It waits for samples from elsewhere.
    pub fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.sources.len()
    }

    /// It ends with `error`, because of `why`.
    pub fn fail(&self, why: &str) {
        self.state.fail(why);
    }

    /// Fill the ring up. `false`: the play is over, for one reason or another.
    pub fn fill(&mut self, cache: &mut PromptCache, prompts: &OpenPrompt, report: &Report) -> bool {
        if self.state.abandoned.load(Ordering::Acquire) || self.ring.is_abandoned() {
            return false;
        }
        let (mut made, mut steps) = (0, 0);
        self.is_waiting = !self.streams.is_empty();
        while made < MOST_AT_ONCE {
            made += self.move_staged();
            if self.ring.slots() == 0 || self.taken < self.staged.len() {
                break;
            }
            steps += 1;
            if steps > MOST_STEPS {
                self.is_waiting = true;
                break;
            }
            match self.produce(cache, prompts) {
                Ok(Step::Going) => {}
                Ok(Step::Waiting) => {
                    self.is_waiting = true;
                    break;
                }
                Ok(Step::Done) => {
                    self.state.end();
                    return false;
                }
                Err(why) => {
                    self.state.fail(&why);
                    return false;
                }
            }
        }
        self.is_waiting |= made >= MOST_AT_ONCE && self.ring.slots() > self.ring.buffer().capacity() / 2;
        self.give_credit(report);
        true
    }

    fn move_staged(&mut self) -> usize {
        let rest = self.staged.get(self.taken..).unwrap_or(&[]);
        let count = rest.len().min(self.ring.slots());
        // There is room: nobody else writes to this ring.
        if self.ring.push_entire_slice(rest.get(..count).unwrap_or(&[])).is_ok() {
            self.taken += count;
        }
        if self.taken >= self.staged.len() {
            self.staged.clear();
            self.taken = 0;
        }
        count
    }

    fn produce(&mut self, cache: &mut PromptCache, prompts: &OpenPrompt) -> Result<Step, String> {
        if self.open.is_none() {
            return self.next_source(prompts);
        }
        let room = self.ring.slots().min(MOST_AT_ONCE);
        let step = match &mut self.open {
            None => Step::Going,
            Some(Open::File(source)) => source.step(cache, room, &mut self.staged)?,
            Some(Open::Tone(tones)) => {
                let mut frame = Frame::silent(self.rate);
                let count = tones.fill(&mut frame);
                self.staged.extend(frame.iter().take(count));
                if count < frame.len() { Step::Done } else { Step::Going }
            }
            Some(Open::Silence(left)) => {
                let count = (*left).min(room as u64);
                self.staged.resize(count as usize, 0);
                *left -= count;
                if *left == 0 { Step::Done } else { Step::Going }
            }
            Some(Open::Pcm(stream)) => match self.streams.get_mut(stream) {
                None => Step::Done,
                Some(stream) => {
                    let count = stream.waiting.len().min(room);
                    self.staged.extend(stream.waiting.drain(..count));
                    stream.moved += count as u64;
                    match (stream.waiting.is_empty(), stream.is_last) {
                        (true, true) => Step::Done,
                        (true, false) if count == 0 => Step::Waiting,
                        _ => Step::Going,
                    }
                }
            },
        };
        self.made_in_round |= !self.staged.is_empty();
        if step == Step::Done {
            self.open = None;
            self.played();
            return Ok(Step::Going);
        }
        Ok(step)
    }

    fn is_last_round(&self) -> bool {
        self.rounds == Some(1)
    }

    /// A source came to its end.
    fn played(&mut self) {
        if self.is_last_round() {
            self.sources.pop_front();
            self.state.waiting.fetch_sub(1, Ordering::Relaxed);
        } else {
            self.at += 1;
        }
    }

    /// The file of a prompt.
    fn file(&mut self, name: &Arc<str>, prompts: &OpenPrompt) -> Result<Arc<File>, String> {
        if let Some((_, file)) = self.files.iter().find(|(known, _)| known == name) {
            return Ok(Arc::clone(file));
        }
        if self.files.len() >= MOST_OPEN {
            self.files.pop_front();
        }
        let file = prompts(name).map_err(|error| format!("file {name}: {error}"))?;
        let file = Arc::new(file);
        if !self.is_last_round() {
            self.files.push_back((Arc::clone(name), Arc::clone(&file)));
        }
        Ok(file)
    }

    fn next_source(&mut self, prompts: &OpenPrompt) -> Result<Step, String> {
        if let Some(source) = self.sources.get(self.at) {
            self.open = Some(match source.clone() {
                Prepared::File {
                    growth: Some(growth), ..
                } if growth.has_failed() => return Err(UNWRITTEN.into()),
                Prepared::File { name, encoding, growth } => {
                    let file = self.file(&name, prompts)?;
                    Open::File(Box::new(FileSource::new(file, encoding, growth, self.rate)))
                }
                Prepared::Tone(tones) => Open::Tone(tones),
                Prepared::Silence { samples } => Open::Silence(samples),
                Prepared::Pcm { stream } => Open::Pcm(stream),
                #[cfg(test)]
                Prepared::Fault => unreachable!("a fault, as the test wants it"),
            });
            return Ok(Step::Going);
        }
        if self.more {
            return Ok(Step::Waiting);
        }
        self.rounds = self.rounds.map(|rounds| rounds.saturating_sub(1));
        if self.rounds == Some(0) || self.sources.is_empty() {
            return Ok(Step::Done);
        }
        if !self.made_in_round {
            return Err("the sources hold no audio to repeat".into());
        }
        self.made_in_round = false;
        self.at = 0;
        Ok(Step::Going)
    }

    fn give_credit(&mut self, report: &Report) {
        let per_ms = self.rate.per_ms();
        let buffered = self.buffered() as u64 + (self.staged.len() - self.taken) as u64;
        for (id, stream) in &mut self.streams {
            let heard = stream.moved.saturating_sub(buffered);
            let owed = heard.saturating_sub(stream.credited);
            if owed >= CREDIT_PIECE_MS * per_ms && !stream.is_last {
                let ms = owed / per_ms;
                stream.credited += ms * per_ms;
                report(MediaEvent::PcmCredit {
                    stream: *id,
                    ms: ms as u32,
                });
            }
        }
    }
}
