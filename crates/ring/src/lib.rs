//! Audio at its time: what came lies at its place, in whatever order it came, and what did not come is known.
//!
//! It lies there as it came, in codes, one each 1/8000 s. What is made of a code may depend on those before it, so they are decoded
//! when they are read, in their order, by a [`Decode`].
//!
//! Time counts codes and wraps. A [`TimedRing`] does not know what time it is: whoever reads it says which frames it has
//! passed, and lets nothing in that lies further ahead of these than the ring is long.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic))]

use std::fmt::Debug;
use std::hint::black_box;
use std::ops::Range;

use offhook_words::{Codec, FRAME};

/// Presence is kept for runs of so many codes.
const CELL: usize = 8;

/// What codes are codes of.
pub trait Format: Copy + PartialEq + Debug {
    /// What 1/8000 s of audio is.
    type Code: Copy + Default + Debug;

    /// The code of silence.
    fn silence(self) -> Self::Code;
}

impl Format for Codec {
    type Code = u8;

    fn silence(self) -> u8 {
        Self::silence(self)
    }
}

/// Makes samples of codes. It is given them in their order, and must not wait or allocate.
pub trait Decode {
    /// What it understands.
    type Format: Format;

    /// As many samples as there is room for, of as many codes as that takes.
    fn decode(&mut self, format: Self::Format, codes: &[<Self::Format as Format>::Code], samples: &mut [i16]);
}

/// What is known of a run of codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell<F> {
    /// Nothing of it came.
    Empty,
    /// Some of it came; the rest is silent.
    Present(F),
    /// It came, and was passed.
    Passed,
}

/// The codes of a while, each at its time. It allocates once.
#[derive(Debug, Clone)]
pub struct TimedRing<F: Format, const CODES: usize> {
    codes: Box<[F::Code; CODES]>,
    cells: Box<[Cell<F>]>,
}

impl<F: Format, const CODES: usize> Default for TimedRing<F, CODES> {
    fn default() -> Self {
        const {
            assert!(
                CODES.is_power_of_two() && CODES > FRAME,
                "time must wrap where the ring does"
            );
        };
        Self {
            codes: Box::new([F::Code::default(); CODES]),
            cells: vec![Cell::Empty; CODES / CELL].into_boxed_slice(),
        }
    }
}

impl<F: Format, const CODES: usize> TimedRing<F, CODES> {
    /// Forget all.
    pub fn clear(&mut self) {
        self.cells.fill(Cell::Empty);
    }

    /// Lay down codes from `at` on, at most as many as the ring is long.
    pub fn insert(&mut self, at: u32, format: F, codes: &[F::Code]) {
        self.open(at, format);
        self.open(at.wrapping_add(codes.len() as u32), format);
        let [front, back] = wrapped(at as usize, codes.len(), CODES);
        let (first, second) = codes.split_at(front.len());
        for (place, codes) in [(front, first), (back, second)] {
            if let Some(to) = self.codes.get_mut(place) {
                to.copy_from_slice(codes);
            }
        }
        for cells in Self::run(at, codes.len()) {
            let cells = self.cells.get_mut(cells).unwrap_or(&mut []);
            cells.fill(Cell::Present(format));
        }
    }

    /// What is known of the code at `at`.
    pub fn cell(&self, at: u32) -> Cell<F> {
        let cell = self.cells.get(at as usize % CODES / CELL);
        cell.copied().unwrap_or(Cell::Empty)
    }

    /// The run that the code at `at` is in has come.
    pub fn has(&self, at: u32) -> bool {
        matches!(self.cell(at), Cell::Present(_))
    }

    /// The run that the code at `at` is in has come and was passed, whether it was laid down or not.
    pub fn set_passed(&mut self, at: u32) {
        if let Some(cell) = self.cells.get_mut(at as usize % CODES / CELL) {
            *cell = Cell::Passed;
        }
    }

    /// At least half of the frame from `at` on came.
    pub fn has_frame(&self, at: u32) -> bool {
        let present = self.frame(at).filter(|cell| matches!(cell, Cell::Present(_)));
        present.count() * 2 * CELL >= FRAME
    }

    /// The frame from `at` on, of whole runs, silent where nothing came.
    pub fn read(&self, at: u32, decoder: &mut impl Decode<Format = F>, frame: &mut [i16]) {
        let per_code = frame.len() / FRAME;
        let [front, back] = wrapped(at as usize, FRAME, CODES);
        let (first, second) = frame.split_at_mut(front.len() * per_code);
        for (samples, place) in [(first, front), (second, back)] {
            let mut codes = self.codes.get(place.clone()).unwrap_or(&[]);
            let cells = self.cells.get(place.start / CELL..place.end / CELL).unwrap_or(&[]);
            let mut samples = samples;
            for run in cells.chunk_by(|one, next| one == next) {
                let count = (run.len() * CELL).min(codes.len());
                let (from, later) = codes.split_at(count);
                let (to, rest) = samples.split_at_mut((count * per_code).min(samples.len()));
                match run.first() {
                    Some(Cell::Present(format)) => decoder.decode(*format, from, to),
                    _ => to.fill(0),
                }
                (codes, samples) = (later, rest);
            }
        }
    }

    /// The frame from `at` on was read, or cannot be any more: its places are free.
    pub fn pass(&mut self, at: u32) {
        for cells in Self::run(at, FRAME) {
            for cell in self.cells.get_mut(cells).unwrap_or(&mut []) {
                *cell = match cell {
                    Cell::Present(_) => Cell::Passed,
                    _ => Cell::Empty,
                };
            }
        }
    }

    /// Reads a little of the frame from `at` on, so that the memory is at hand.
    pub fn touch(&self, at: u32) {
        let code = |at: u32| self.codes.get(at as usize % CODES).copied();
        black_box((code(at), code(at.wrapping_add(96)), self.cell(at)));
    }

    /// A run that a packet begins or ends in is silent where no packet of its format is, and not what was there a round ago.
    fn open(&mut self, at: u32, format: F) {
        let start = at as usize % CODES / CELL * CELL;
        if !(at as usize).is_multiple_of(CELL)
            && self.cell(at) != Cell::Present(format)
            && let Some(run) = self.codes.get_mut(start..start + CELL)
        {
            run.fill(format.silence());
        }
    }

    /// The cells of a frame.
    fn frame(&self, at: u32) -> impl Iterator<Item = Cell<F>> {
        let cells = wrapped(at as usize / CELL, FRAME / CELL, CODES / CELL);
        let cells = cells.map(|cells| self.cells.get(cells).unwrap_or(&[]));
        cells.into_iter().flatten().copied()
    }

    /// The cells that codes from `at` on touch.
    fn run(at: u32, codes: usize) -> [Range<usize>; 2] {
        let cells = (at as usize % CELL + codes).div_ceil(CELL);
        wrapped(at as usize / CELL, cells, CODES / CELL)
    }
}

/// A run of a ring: the part up to its end, and what goes on at its start.
fn wrapped(at: usize, count: usize, size: usize) -> [Range<usize>; 2] {
    let start = at % size;
    let first = count.min(size - start);
    [start..start + first, 0..count - first]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Samples themselves, in one of two ways of writing them.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Linear {
        Plain,
        Negated,
    }

    impl Format for Linear {
        type Code = i16;

        fn silence(self) -> i16 {
            0
        }
    }

    struct Decoder;

    impl Decode for Decoder {
        type Format = Linear;

        fn decode(&mut self, format: Linear, codes: &[i16], samples: &mut [i16]) {
            let per_code = samples.len() / codes.len();
            for (samples, code) in samples.chunks_mut(per_code).zip(codes) {
                samples.fill(if format == Linear::Plain { *code } else { -code });
            }
        }
    }

    type Ring = TimedRing<Linear, 1024>;

    fn frame(ring: &Ring, at: u32) -> [i16; FRAME] {
        let mut frame = [7; FRAME];
        ring.read(at, &mut Decoder, &mut frame);
        frame
    }

    #[test]
    fn what_is_passed_is_silent_and_known_to_have_come() {
        let mut ring = Ring::default();
        ring.insert(0, Linear::Plain, &[5; 80]);
        assert!(ring.has_frame(0) && !ring.has_frame(80));
        ring.pass(0);
        assert_eq!(
            (ring.cell(0), ring.cell(80), frame(&ring, 0)),
            (Cell::Passed, Cell::Empty, [0; FRAME])
        );
        ring.pass(0);
        assert_eq!(ring.cell(0), Cell::Empty);
        ring.set_passed(8);
        assert_eq!((ring.cell(7), ring.cell(15)), (Cell::Empty, Cell::Passed));
        ring.insert(160, Linear::Plain, &[5; 160]);
        ring.clear();
        assert_eq!((ring.cell(8), ring.has_frame(160)), (Cell::Empty, false));
    }

    #[test]
    fn what_lay_at_a_place_a_round_ago_is_not_heard_beside_what_lies_there_now() {
        let mut ring = Ring::default();
        ring.insert(0, Linear::Plain, &[5; 320]);
        (0..2).for_each(|n| ring.pass(n * 160));
        ring.insert(1024 + 4, Linear::Plain, &[6; 150]);
        let read = frame(&ring, 1024);
        assert_eq!(
            (read[..4].iter().max(), read[4..154].iter().min()),
            (Some(&0), Some(&6))
        );
        assert_eq!(read[154..], [0; 6]);
    }

    #[test]
    fn each_code_is_decoded_once_in_order_by_its_format_into_as_many_samples_as_there_is_room_for() {
        let mut ring = Ring::default();
        ring.insert(960, Linear::Plain, &[3; 104]);
        ring.insert(1064, Linear::Negated, &[4; 40]);
        let mut wide = [7; 2 * FRAME];
        ring.read(960, &mut Decoder, &mut wide);
        let runs: Vec<(i16, usize)> = wide.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect();
        assert_eq!(runs, [(3, 208), (-4, 80), (0, 32)]);
    }

    #[test]
    fn a_code_is_never_read_by_the_format_of_a_packet_that_shares_its_run() {
        for (first, second) in [(0, 12), (12, 0)] {
            let mut ring = Ring::default();
            for at in [first, second] {
                let format = if at == 0 { Linear::Plain } else { Linear::Negated };
                ring.insert(at, format, &[5; 12]);
            }
            let read = frame(&ring, 0);
            assert!(read[..12].iter().all(|sample| *sample >= 0), "{first} first: {read:?}");
            assert!(read[12..].iter().all(|sample| *sample <= 0), "{first} first: {read:?}");
            assert_eq!((read[7], read[16]), (5, -5));
        }
    }

    proptest! {
        #[test]
        fn packets_in_any_order_lie_at_their_times_with_silence_between(
            start in any::<u32>(),
            packets in proptest::collection::vec((0_usize..600, 1_usize..400, 1_i16..1000), 0..20),
        ) {
            // Frames begin with a run.
            let start = start / 8 * 8;
            let mut ring = Ring::default();
            let mut laid = vec![0; 1024];
            for (at, size, sample) in packets {
                ring.insert(start.wrapping_add(at as u32), Linear::Plain, &vec![sample; size]);
                laid[at..at + size].fill(sample);
            }
            for at in (0..1024 - FRAME).step_by(CELL) {
                let time = start.wrapping_add(at as u32);
                prop_assert_eq!(&frame(&ring, time)[..], &laid[at..at + FRAME]);
                let came = laid[at..at + FRAME].chunks(CELL).filter(|run| run.iter().any(|sample| *sample != 0));
                prop_assert_eq!(ring.has_frame(time), came.count() * 2 * CELL >= FRAME);
            }
        }
    }
}
