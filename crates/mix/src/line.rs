//! The time line of what the remote party says, for recordings: each sample at its own time, a fixed delay behind.
//!
//! What is heard and mixed comes out of the jitter buffer, whose delay grows and shrinks. A recording takes speech from here
//! instead: packets in any order are laid at their places, and read when even a late one has come.

use std::hint::black_box;
use std::ops::Range;

use offhook_dsp::Concealer;
use offhook_ring::{Decode, Format, TimedRing};
use offhook_words::{FRAME, Frame, Rate};

/// Frames between a tick and the writing of what was said and heard in it.
pub(crate) const DELAY: usize = 10;
/// Packets that come later than this, in samples at 8 kHz, are not in a recording.
pub const SPEECH_WINDOW: u32 = (DELAY as u32 - 1) * STEP;

const STEP: u32 = FRAME as u32;
const HALF: u32 = STEP / 2;
/// Codes held, about a second.
const RING: usize = 8192;
/// Codes that may come ahead of the reader.
const MOST_AHEAD: i32 = 8192 - 8;

/// Speech by local time, which counts codes and wraps. A recording has it decoded anew: what is late for the ear is not lost to it.
#[derive(Debug)]
pub(crate) struct SpeechLine<D: Decode> {
    rate: Rate,
    laid: Laid<D::Format>,
    reader: Option<Reader<D>>,
    /// What comes next is of another stream.
    is_anew: bool,
}

/// What came, at its places.
#[derive(Debug)]
struct Laid<F: Format> {
    ring: TimedRing<F, RING>,
    /// Behind the latest code that came.
    end: u32,
}

/// What reads the line: frames half a frame ahead of the ticks', since packets are placed between two ticks.
#[derive(Debug, Clone)]
struct Reader<D> {
    next: u32,
    decoder: D,
    /// Where another stream begins.
    anew: Option<u32>,
    before: Frame,
    concealer: Concealer,
}

fn ahead(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b).cast_signed()
}

impl<D: Decode + Default + Clone> SpeechLine<D> {
    /// To be read at this rate.
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            rate,
            laid: Laid {
                ring: TimedRing::default(),
                end: 0,
            },
            reader: None,
            is_anew: false,
        }
    }

    /// Another stream begins with what comes next.
    pub(crate) fn begin_anew(&mut self) {
        self.is_anew = true;
    }

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
                decoder: D::default(),
                anew: None,
                before: Frame::silent(self.rate),
                concealer: Concealer::new(self.rate),
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

    /// Frames that must be read before there is room for so many codes at `at`.
    pub(crate) fn beyond(&self, at: u32, codes: usize) -> u32 {
        self.reader.as_ref().map_or(0, |reader| {
            let end = at.wrapping_add(codes as u32);
            let over = ahead(end, reader.next).saturating_sub(MOST_AHEAD);
            over.max(0).unsigned_abs().div_ceil(STEP)
        })
    }

    /// Codes came whose first was said at `at`.
    pub(crate) fn insert(&mut self, at: u32, format: D::Format, codes: &[<D::Format as Format>::Code]) {
        let Some(reader) = &mut self.reader else {
            return;
        };
        let end = at.wrapping_add(codes.len() as u32);
        if ahead(end, reader.next) <= 0 || ahead(end, reader.next) > MOST_AHEAD {
            return;
        }
        if std::mem::take(&mut self.is_anew) {
            reader.anew = Some(at);
        }
        // What the reader has passed has no place any more, and would be found there a second later.
        let gone = ahead(reader.next, at).max(0).unsigned_abs();
        let rest = codes.get(gone as usize..).unwrap_or(&[]);
        self.laid.ring.insert(at.wrapping_add(gone), format, rest);
        if ahead(end, self.laid.end) > 0 {
            self.laid.end = end;
        }
    }

    /// Reads a little of what the next tick needs.
    pub(crate) fn touch(&self) {
        self.laid.ring.touch(self.laid.end);
        self.laid
            .ring
            .touch(self.reader.as_ref().map_or(0, |reader| reader.next));
    }

    /// What was said in the next tick that is old enough.
    pub(crate) fn advance(&mut self, frame: &mut [i16]) {
        let Some(reader) = &mut self.reader else {
            frame.fill(0);
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

impl<F: Format> Laid<F> {
    fn step<D: Decode<Format = F> + Default>(&self, reader: &mut Reader<D>, frame: &mut [i16]) {
        let half = frame.len() / 2;
        if let (Some(to), Some(from)) = (frame.get_mut(..half), reader.before.get(half..)) {
            to.copy_from_slice(from);
        }
        if reader
            .anew
            .take_if(|at| ahead(reader.next.wrapping_add(STEP), *at) > 0)
            .is_some()
        {
            reader.decoder = D::default();
        }
        let after = &mut reader.before;
        if self.read(reader.next, &mut reader.decoder, after) {
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
    fn read(&self, from: u32, decoder: &mut impl Decode<Format = F>, frame: &mut [i16]) -> bool {
        let has_frame = self.ring.has_frame(from);
        if has_frame {
            self.ring.read(from, decoder, frame);
        } else {
            frame.fill(0);
        }
        has_frame
    }
}

/// What was heard, and what was played into speech, in the ticks that are not written yet.
#[derive(Debug)]
pub(crate) struct HeardLine {
    frame: usize,
    heard: Box<[i16]>,
    added: Box<[i16]>,
    has_added: [bool; DELAY],
    at: usize,
}

impl HeardLine {
    /// Of frames of this rate.
    pub(crate) fn new(rate: Rate) -> Self {
        let frame = rate.frame();
        Self {
            frame,
            heard: vec![0; DELAY * frame].into(),
            added: vec![0; DELAY * frame].into(),
            has_added: [false; DELAY],
            at: 0,
        }
    }

    /// Reads a little of what the next tick needs.
    pub(crate) fn touch(&self) {
        let (heard, _) = self.oldest();
        black_box((heard.first().copied(), heard.get(96).copied()));
    }

    /// What was [`DELAY`] ticks ago.
    pub(crate) fn oldest(&self) -> (&[i16], Option<&[i16]>) {
        self.place(self.at)
    }

    /// Put in what is now, for what was [`DELAY`] ticks ago.
    pub(crate) fn push(&mut self, hears: &[i16], adds: Option<&[i16]>) {
        let place = self.range(self.at);
        if let Some(heard) = self.heard.get_mut(place.clone()) {
            heard.copy_from_slice(hears);
        }
        if let (Some(added), Some(adds)) = (self.added.get_mut(place), adds) {
            added.copy_from_slice(adds);
        }
        if let Some(has) = self.has_added.get_mut(self.at) {
            *has = adds.is_some();
        }
        self.at = (self.at + 1) % DELAY;
    }

    fn range(&self, at: usize) -> Range<usize> {
        at * self.frame..(at + 1) * self.frame
    }

    fn place(&self, at: usize) -> (&[i16], Option<&[i16]>) {
        let has_added = self.has_added.get(at) == Some(&true);
        let added = self.added.get(self.range(at)).filter(|_| has_added);
        (self.heard.get(self.range(at)).unwrap_or(&[]), added)
    }

    /// All that is in it, oldest first.
    pub(crate) fn rest(&self) -> impl Iterator<Item = (&[i16], Option<&[i16]>)> {
        (self.at..DELAY).chain(0..self.at).map(|at| self.place(at))
    }
}
