//! The rings between a media thread and those that may wait: decoders, the writer, core.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};

use offhook_dsp::Halver;
use offhook_mix::{FrameSink, FrameSource, Supply};
use offhook_words::{FRAME, Rate};
use rtrb::{Consumer, Producer, RingBuffer};

/// Decoded ahead of a play, at 8 kHz: 1 s.
pub const PLAY_RING: usize = 8000;
/// Kept for the writer, of one channel at 8 kHz: 400 ms, over and over in the same memory, and 5 s more when the disk is slow.
const NEAR_RING: usize = 3200;
const FAR_RING: usize = 40_000;
/// Kept for core, of a Listen, which is of 8 kHz: 1 s.
pub const TAP_RING: usize = 8000;

const RUNNING: u8 = 0;
const ENDED: u8 = 1;
const FAILED: u8 = 2;

/// What both ends of a play know.
#[derive(Debug, Default)]
pub struct PlayState {
    state: AtomicU8,
    error: OnceLock<Arc<str>>,
    /// Nobody listens any more.
    pub abandoned: AtomicBool,
    /// Sources that were not played to their end, those on their way to the decoder thread included.
    pub waiting: AtomicUsize,
}

impl PlayState {
    /// All samples are in the ring.
    pub fn end(&self) {
        self.state.store(ENDED, Ordering::Release);
    }

    /// No more samples come, because of `why`.
    pub fn fail(&self, why: &str) {
        // The first reason stays.
        self.error.get_or_init(|| Arc::from(why));
        self.state.store(FAILED, Ordering::Release);
    }

    /// Why it failed.
    pub fn error(&self) -> Option<Arc<str>> {
        self.error.get().cloned()
    }
}

/// What a decoder made, as a play takes it.
#[derive(Debug)]
pub struct PlaySource {
    pub samples: Consumer<i16>,
    pub state: Arc<PlayState>,
}

impl PlaySource {
    /// Who makes the samples is gone, and did not say that it was done: nothing will come any more.
    fn is_orphaned(&self) -> bool {
        if !self.samples.is_abandoned() {
            return false;
        }
        // What it said before it went is seen now.
        fence(Ordering::Acquire);
        let is_orphaned = self.state.state.load(Ordering::Acquire) == RUNNING;
        if is_orphaned {
            self.state.fail("what decodes this is gone; this is a bug");
        }
        is_orphaned
    }
}

impl FrameSource for PlaySource {
    fn touch(&self) -> u16 {
        self.samples.peek().map_or(0, |sample| sample.unsigned_abs())
    }

    fn pull(&mut self, frame: &mut [i16]) -> Supply {
        // Read before the ring: what was pushed before the end is seen then.
        let state = self.state.state.load(Ordering::Acquire);
        if self.samples.pop_entire_slice(frame).is_ok() {
            return Supply::Frame;
        }
        match state {
            RUNNING if self.is_orphaned() => return Supply::Failed,
            RUNNING => return Supply::Starved,
            FAILED => return Supply::Failed,
            _ => {}
        }
        let count = self.samples.slots();
        if count == 0 {
            return Supply::Ended;
        }
        frame.fill(0);
        for sample in frame.iter_mut().take(count) {
            *sample = self.samples.pop().unwrap_or(0);
        }
        Supply::Frame
    }
}

/// What both ends of a recording know.
#[derive(Debug, Default)]
pub struct RecordState {
    /// No more samples come.
    pub finished: AtomicBool,
    /// Samples that the writer was too slow for: silence in the file.
    pub gap: AtomicU64,
    /// Of these, behind the last sample of the ring.
    pub tail: AtomicU64,
}

/// Samples on their way to the writer, as the media thread puts them in.
#[derive(Debug)]
struct RecordIn {
    near: Producer<i16>,
    far: Producer<i16>,
    far_size: usize,
}

/// The same, as the writer takes them.
#[derive(Debug)]
pub struct RecordOut {
    near: Consumer<i16>,
    far: Consumer<i16>,
}

/// Both ends for a recording of so many channels.
pub fn record_ring(channels: u16, rate: Rate, state: &Arc<RecordState>) -> (RecordSink, RecordOut) {
    let channels = usize::from(channels) * rate.factor();
    let far_size = FAR_RING * channels;
    let (near, near_out) = RingBuffer::new(NEAR_RING * channels);
    let (far, far_out) = RingBuffer::new(far_size);
    let sink = RecordSink {
        samples: RecordIn { near, far, far_size },
        state: Arc::clone(state),
        owed: 0,
    };
    let out = RecordOut {
        near: near_out,
        far: far_out,
    };
    (sink, out)
}

impl RecordIn {
    /// All of them, or none: `false`.
    fn push(&mut self, samples: &[i16]) -> bool {
        // While something is far, what is near is older.
        let is_near = self.far.slots() == self.far_size && self.near.push_entire_slice(samples).is_ok();
        is_near || self.far.push_entire_slice(samples).is_ok()
    }
}

impl RecordOut {
    /// Append all there is, as bytes.
    pub fn take(&mut self, bytes: &mut Vec<u8>) {
        // Looked at first: what comes to the far ring while the near one is read may be younger than what comes there.
        let far = self.far.slots();
        take(&mut self.near, usize::MAX, bytes);
        take(&mut self.far, far, bytes);
    }

    /// Nobody puts in any more.
    pub fn is_abandoned(&self) -> bool {
        self.near.is_abandoned()
    }
}

fn take(ring: &mut Consumer<i16>, most: usize, bytes: &mut Vec<u8>) {
    if let Ok(chunk) = ring.read_chunk(ring.slots().min(most)) {
        let (first, second) = chunk.as_slices();
        bytes.extend(first.iter().chain(second).flat_map(|sample| sample.to_le_bytes()));
        chunk.commit_all();
    }
}

/// Where a recording goes to.
#[derive(Debug)]
pub struct RecordSink {
    samples: RecordIn,
    state: Arc<RecordState>,
    owed: u64,
}

impl RecordSink {
    /// Silence for what was not taken, as far as there is room.
    fn repay(&mut self) -> bool {
        while self.owed > 0 {
            let count = (FRAME * 2).min(self.owed as usize);
            let silence = [0; FRAME * 2];
            if !self.samples.push(silence.get(..count).unwrap_or(&[])) {
                return false;
            }
            self.owed -= count as u64;
        }
        true
    }

    /// No more samples come.
    pub fn finish(&self) {
        self.state.tail.store(self.owed, Ordering::Relaxed);
        self.state.finished.store(true, Ordering::Release);
    }
}

impl FrameSink for RecordSink {
    fn touch(&self) -> u64 {
        (self.samples.near.slots() ^ self.samples.far.slots()) as u64
    }

    fn push(&mut self, samples: &[i16]) {
        if !self.repay() || !self.samples.push(samples) {
            self.owed += samples.len() as u64;
            self.state.gap.fetch_add(samples.len() as u64, Ordering::Relaxed);
        }
    }
}

/// A block of a Listen that waits in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    pub offset_ms: u32,
    pub samples: u32,
}

/// Where a Listen goes to: whole blocks, while there is credit.
#[derive(Debug)]
pub struct TapSink {
    halver: Halver,
    samples: Producer<i16>,
    block_frames: u32,
    credit_frames: u32,
    /// Frames since the start.
    at: u32,
    filled: u32,
    begun_at: u32,
    ready: Option<Block>,
}

impl TapSink {
    pub fn new(samples: Producer<i16>, block_ms: u32, credit_ms: u32) -> Self {
        let mut sink = Self {
            halver: Halver::default(),
            samples,
            block_frames: block_ms.div_ceil(20).max(1),
            credit_frames: 0,
            at: 0,
            filled: 0,
            begun_at: 0,
            ready: None,
        };
        sink.credit(credit_ms);
        sink
    }

    /// Allow more; at most 500 ms, or a block, at a time.
    pub fn credit(&mut self, ms: u32) {
        self.credit_frames = self
            .credit_frames
            .saturating_add(ms / 20)
            .min(self.block_frames.max(25));
    }

    /// The block that became whole.
    pub fn take(&mut self) -> Option<Block> {
        self.ready.take()
    }

    /// What is left of a block at the end.
    pub fn rest(&mut self) -> Option<Block> {
        self.ready = self.ready.or((self.filled > 0).then(|| self.block()));
        self.filled = 0;
        self.ready.take()
    }

    fn block(&self) -> Block {
        Block {
            offset_ms: self.begun_at * 20,
            samples: self.filled * FRAME as u32,
        }
    }
}

impl FrameSink for TapSink {
    fn push(&mut self, samples: &[i16]) {
        let at = self.at;
        self.at += 1;
        let mut narrow = [0; FRAME];
        let samples = if samples.len() > FRAME {
            self.halver.halve(samples, &mut narrow);
            &narrow
        } else {
            samples
        };
        if self.filled == 0 {
            if self.credit_frames < self.block_frames || self.samples.slots() < self.block_frames as usize * FRAME {
                return;
            }
            self.credit_frames -= self.block_frames;
            self.begun_at = at;
        }
        if self.samples.push_entire_slice(samples).is_ok() {
            self.filled += 1;
        }
        if self.filled >= self.block_frames {
            self.ready = Some(self.block());
            self.filled = 0;
        }
    }
}

#[cfg(test)]
mod tests;
