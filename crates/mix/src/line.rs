//! The time line of what the remote party says, for recordings: each sample at its own time, a fixed delay behind.
//!
//! What is heard and mixed comes out of the jitter buffer, whose delay grows and shrinks. A recording takes speech from here
//! instead: packets in any order are laid at their places, and read when even a late one has come.

use offhook_dsp::Concealer;
use offhook_ring::TimedRing;
use offhook_words::{FRAME, Frame};

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

/// Speech by local time, which counts samples and wraps.
#[derive(Debug, Default)]
pub(crate) struct SpeechLine {
    laid: Laid,
    reader: Option<Reader>,
}

/// What came, at its places.
#[derive(Debug, Default)]
struct Laid {
    ring: TimedRing<RING>,
    /// Behind the latest sample that came.
    end: u32,
}

/// What reads the line: frames half a frame ahead of the ticks', since packets are placed between two ticks.
#[derive(Debug, Clone)]
struct Reader {
    next: u32,
    before: Frame,
    concealer: Concealer,
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
            self.laid.ring.clear();
            self.laid.end = now.wrapping_sub(DELAY as u32 * STEP);
            self.reader = Some(Reader {
                next: self.laid.end.wrapping_add(HALF),
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
        let end = at.wrapping_add(samples.len() as u32);
        if ahead(end, reader.next) <= 0 || ahead(end, reader.next) > MOST_AHEAD {
            return;
        }
        // What the reader has passed has no place any more, and would be found there a second later.
        let gone = ahead(reader.next, at).max(0).unsigned_abs();
        let rest = samples.get(gone as usize..).unwrap_or(&[]);
        self.laid.ring.insert(at.wrapping_add(gone), rest);
        if ahead(end, self.laid.end) > 0 {
            self.laid.end = end;
        }
    }

    /// Reads a little of what the next tick needs.
    pub(crate) fn touch(&self) -> i16 {
        let next = self.reader.as_ref().map_or(0, |reader| reader.next);
        self.laid.ring.touch(self.laid.end) ^ self.laid.ring.touch(next)
    }

    /// What was said in the next tick that is old enough.
    pub(crate) fn advance(&mut self, frame: &mut Frame) {
        let Some(reader) = &mut self.reader else {
            *frame = [0; FRAME];
            return;
        };
        let begun = reader.next;
        self.laid.step(reader, frame);
        self.laid.ring.pass(begun);
    }

    /// What was said in the ticks that are not old enough yet, as far as it came.
    pub(crate) fn rest(&self, frames: &mut [Frame; DELAY]) {
        let Some(mut reader) = self.reader.clone() else {
            return;
        };
        for frame in frames {
            self.laid.step(&mut reader, frame);
        }
    }
}

impl Laid {
    fn step(&self, reader: &mut Reader, frame: &mut Frame) {
        let half = HALF as usize;
        if let (Some(to), Some(from)) = (frame.get_mut(..half), reader.before.get(half..)) {
            to.copy_from_slice(from);
        }
        let after = &mut reader.before;
        if self.read(reader.next, after) {
            reader.concealer.good(after);
        } else if ahead(self.end, reader.next.wrapping_add(STEP)) > 0 {
            // Lost, as more came behind it; otherwise nobody spoke.
            reader.concealer.conceal(after);
        } else {
            reader.concealer.good(after);
        }
        if let (Some(to), Some(from)) = (frame.get_mut(half..), after.get(..half)) {
            to.copy_from_slice(from);
        }
        reader.next = reader.next.wrapping_add(STEP);
    }

    /// Fill in what came. `false`: less than half of it did, and the frame is silent.
    fn read(&self, from: u32, frame: &mut Frame) -> bool {
        let has_frame = self.ring.has_frame(from);
        if has_frame {
            self.ring.read(from, frame);
        } else {
            *frame = [0; FRAME];
        }
        has_frame
    }
}

/// What was heard, and what was played into speech, in the ticks that are not written yet.
#[derive(Debug)]
pub(crate) struct HeardLine {
    heard: Box<[Frame; DELAY]>,
    added: Box<[Frame; DELAY]>,
    has_added: [bool; DELAY],
    at: usize,
}

impl Default for HeardLine {
    fn default() -> Self {
        Self {
            heard: Box::new([[0; FRAME]; DELAY]),
            added: Box::new([[0; FRAME]; DELAY]),
            has_added: [false; DELAY],
            at: 0,
        }
    }
}

impl HeardLine {
    /// Reads a little of what the next tick needs.
    pub(crate) fn touch(&self) -> i16 {
        let (heard, _) = self.oldest();
        heard.first().copied().unwrap_or(0) ^ heard.get(96).copied().unwrap_or(0)
    }

    /// What was [`DELAY`] ticks ago.
    pub(crate) fn oldest(&self) -> (&Frame, Option<&Frame>) {
        self.place(self.at)
    }

    /// Put in what is now, for what was [`DELAY`] ticks ago.
    pub(crate) fn push(&mut self, hears: &Frame, adds: Option<&Frame>) {
        if let Some(heard) = self.heard.get_mut(self.at) {
            *heard = *hears;
        }
        if let (Some(added), Some(adds)) = (self.added.get_mut(self.at), adds) {
            *added = *adds;
        }
        if let Some(has) = self.has_added.get_mut(self.at) {
            *has = adds.is_some();
        }
        self.at = (self.at + 1) % DELAY;
    }

    fn place(&self, at: usize) -> (&Frame, Option<&Frame>) {
        const SILENCE: &Frame = &[0; FRAME];
        let added = self.added.get(at).filter(|_| self.has_added.get(at) == Some(&true));
        (self.heard.get(at).unwrap_or(SILENCE), added)
    }

    /// All that is in it, oldest first.
    pub(crate) fn rest(&self) -> impl Iterator<Item = (&Frame, Option<&Frame>)> {
        (self.at..DELAY).chain(0..self.at).map(|at| self.place(at))
    }
}
