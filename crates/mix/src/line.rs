//! The time line of what the remote party says, for recordings: each sample at its own time, a fixed delay behind.
//!
//! What is heard and mixed comes out of the jitter buffer, whose delay grows and shrinks. A recording takes speech from here
//! instead: packets in any order are laid at their places, and read when even a late one has come.

use offhook_dsp::{Concealer, FRAME, Frame};

/// Frames between a tick and the writing of what was said and heard in it.
pub(crate) const DELAY: usize = 10;
/// Packets that come later than this, in samples, are not in a recording.
pub const SPEECH_WINDOW: u32 = (DELAY as u32 - 1) * STEP;

const STEP: u32 = FRAME as u32;
const HALF: u32 = STEP / 2;
/// Samples held, about a second.
const RING: usize = 8192;
/// Samples that may come ahead of the reader.
const MOST_AHEAD: i32 = 8192 - 8;
/// Presence is kept for runs of so many samples.
const CELL: usize = 8;

/// Speech by local time, which counts samples and wraps.
#[derive(Debug)]
pub(crate) struct SpeechLine {
    ring: Box<[i16; RING]>,
    has: Box<[bool; RING / CELL]>,
    /// Behind the latest sample that came.
    end: u32,
    reader: Option<Reader>,
}

/// What reads the line: frames half a frame ahead of the ticks', since packets are placed between two ticks.
#[derive(Debug, Clone)]
struct Reader {
    next: u32,
    before: Frame,
    concealer: Concealer,
}

impl Default for SpeechLine {
    fn default() -> Self {
        Self {
            ring: Box::new([0; RING]),
            has: Box::new([false; RING / CELL]),
            end: 0,
            reader: None,
        }
    }
}

fn ahead(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b).cast_signed()
}

impl SpeechLine {
    /// Nobody reads any more.
    pub(crate) fn stop(&mut self) {
        self.reader = None;
    }

    /// Somebody reads from the tick `now` on; nothing happens if it was so before.
    pub(crate) fn start(&mut self, now: u32) {
        if self.reader.is_none() {
            self.has.fill(false);
            self.end = now.wrapping_sub(DELAY as u32 * STEP);
            self.reader = Some(Reader {
                next: self.end.wrapping_add(HALF),
                before: [0; FRAME],
                concealer: Concealer::default(),
            });
        }
    }

    /// Ticks that were left out before the tick `now`.
    pub(crate) fn behind(&self, now: u32) -> u32 {
        self.reader.as_ref().map_or(0, |reader| {
            let due = reader.next.wrapping_sub(HALF).wrapping_add(DELAY as u32 * STEP);
            (ahead(now, due) / STEP.cast_signed()).max(0).unsigned_abs()
        })
    }

    /// Samples came whose first was said at `at`.
    pub(crate) fn insert(&mut self, at: u32, samples: &[i16]) {
        let Some(reader) = &self.reader else {
            return;
        };
        let at = at & !(CELL as u32 - 1);
        let end = at.wrapping_add(samples.len() as u32);
        if ahead(end, reader.next) <= 0 || ahead(end, reader.next) > MOST_AHEAD {
            return;
        }
        let places = (0..).step_by(CELL).map(|offset: u32| at.wrapping_add(offset));
        let cells = samples.chunks(CELL).zip(places);
        for (run, at) in cells.filter(|(_, at)| ahead(*at, reader.next) >= -(HALF.cast_signed())) {
            let place = at as usize % RING;
            if let (Some(to), Some(has)) = (
                self.ring.get_mut(place..place + run.len()),
                self.has.get_mut(place / CELL),
            ) {
                to.copy_from_slice(run);
                *has = true;
            }
        }
        if ahead(end, self.end) > 0 {
            self.end = end;
        }
    }

    /// What was said in the next tick that is old enough.
    pub(crate) fn advance(&mut self, frame: &mut Frame) {
        let Some(mut reader) = self.reader.take() else {
            *frame = [0; FRAME];
            return;
        };
        let begun = reader.next;
        self.step(&mut reader, frame);
        for at in (0..STEP).step_by(CELL) {
            let cell = begun.wrapping_add(at) as usize % RING / CELL;
            if let Some(has) = self.has.get_mut(cell) {
                *has = false;
            }
        }
        self.reader = Some(reader);
    }

    /// What was said in the ticks that are not old enough yet, as far as it came.
    pub(crate) fn rest(&self, frames: &mut [Frame; DELAY]) {
        let Some(mut reader) = self.reader.clone() else {
            return;
        };
        for frame in frames {
            self.step(&mut reader, frame);
        }
    }

    fn step(&self, reader: &mut Reader, frame: &mut Frame) {
        let mut after = [0; FRAME];
        if self.read(reader.next, &mut after) {
            reader.concealer.good(&mut after);
        } else if ahead(self.end, reader.next.wrapping_add(STEP)) > 0 {
            // Lost, as more came behind it; otherwise nobody spoke.
            reader.concealer.conceal(&mut after);
        } else {
            reader.concealer.good(&mut after);
        }
        let half = HALF as usize;
        if let (Some(to), Some(from)) = (frame.get_mut(..half), reader.before.get(half..)) {
            to.copy_from_slice(from);
        }
        if let (Some(to), Some(from)) = (frame.get_mut(half..), after.get(..half)) {
            to.copy_from_slice(from);
        }
        reader.before = after;
        reader.next = reader.next.wrapping_add(STEP);
    }

    /// Fill in what came. `false`: less than half of it did, and the frame is left silent.
    fn read(&self, from: u32, frame: &mut Frame) -> bool {
        let (mut came, mut some) = (0, [0; FRAME]);
        for (offset, to) in (0..).step_by(CELL).zip(some.chunks_exact_mut(CELL)) {
            let place = from.wrapping_add(offset) as usize % RING;
            if self.has.get(place / CELL) == Some(&true)
                && let Some(samples) = self.ring.get(place..place + CELL)
            {
                to.copy_from_slice(samples);
                came += CELL;
            }
        }
        let is_enough = came * 2 >= FRAME;
        if is_enough {
            *frame = some;
        }
        is_enough
    }
}

/// What was heard, and what was played into speech, in the ticks that are not written yet.
#[derive(Debug)]
pub(crate) struct HeardLine {
    frames: Box<[(Frame, Option<Frame>); DELAY]>,
    at: usize,
}

impl Default for HeardLine {
    fn default() -> Self {
        Self {
            frames: Box::new([([0; FRAME], None); DELAY]),
            at: 0,
        }
    }
}

impl HeardLine {
    /// Put in what is now; gives what was [`DELAY`] ticks ago.
    pub(crate) fn exchange(&mut self, hears: &Frame, adds: Option<&Frame>) -> (Frame, Option<Frame>) {
        let new = (*hears, adds.copied());
        let old = self.frames.get_mut(self.at).map(|slot| std::mem::replace(slot, new));
        self.at = (self.at + 1) % DELAY;
        old.unwrap_or(new)
    }

    /// All that is in it, oldest first.
    pub(crate) fn rest(&self) -> impl Iterator<Item = &(Frame, Option<Frame>)> {
        let (newer, older) = self.frames.split_at(self.at);
        older.iter().chain(newer)
    }
}
