//! Samples at their times: what came lies at its place, in whatever order it came, and what did not come is known.
//!
//! Time counts samples and wraps. A [`TimedRing`] does not know what time it is: whoever reads it says which frames it has
//! passed, and lets nothing in that lies further ahead of these than the ring is long.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic))]

use std::ops::Range;

use offhook_words::{FRAME, Frame};

/// Presence is kept for runs of so many samples.
const CELL: usize = 8;

/// What is known of a run of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// Nothing of it came.
    Empty,
    /// Some of it came; the rest is silent.
    Present,
    /// It came, and was passed.
    Passed,
}

/// The samples of a while, each at its time. It allocates once.
#[derive(Debug, Clone)]
pub struct TimedRing<const SAMPLES: usize> {
    samples: Box<[i16; SAMPLES]>,
    cells: Box<[Cell]>,
}

impl<const SAMPLES: usize> Default for TimedRing<SAMPLES> {
    fn default() -> Self {
        const {
            assert!(
                SAMPLES.is_power_of_two() && SAMPLES > FRAME,
                "time must wrap where the ring does"
            );
        };
        Self {
            samples: Box::new([0; SAMPLES]),
            cells: vec![Cell::Empty; SAMPLES / CELL].into_boxed_slice(),
        }
    }
}

impl<const SAMPLES: usize> TimedRing<SAMPLES> {
    /// Forget all.
    pub fn clear(&mut self) {
        self.cells.fill(Cell::Empty);
    }

    /// Lay down samples from `at` on, at most as many as the ring is long.
    pub fn insert(&mut self, at: u32, samples: &[i16]) {
        self.open(at);
        self.open(at.wrapping_add(samples.len() as u32));
        let [front, back] = wrapped(at as usize, samples.len(), SAMPLES);
        let (first, second) = samples.split_at(front.len());
        for (place, samples) in [(front, first), (back, second)] {
            if let Some(to) = self.samples.get_mut(place) {
                to.copy_from_slice(samples);
            }
        }
        for cells in Self::run(at, samples.len()) {
            self.cells.get_mut(cells).unwrap_or(&mut []).fill(Cell::Present);
        }
    }

    /// What is known of the sample at `at`.
    pub fn cell(&self, at: u32) -> Cell {
        let cell = self.cells.get(at as usize % SAMPLES / CELL);
        cell.copied().unwrap_or(Cell::Empty)
    }

    /// The run that the sample at `at` is in has come and was passed, whether it was laid down or not.
    pub fn set_passed(&mut self, at: u32) {
        if let Some(cell) = self.cells.get_mut(at as usize % SAMPLES / CELL) {
            *cell = Cell::Passed;
        }
    }

    /// At least half of the frame from `at` on came.
    pub fn has_frame(&self, at: u32) -> bool {
        let present = self.frame(at).filter(|cell| *cell == Cell::Present);
        present.count() * 2 * CELL >= FRAME
    }

    /// The frame from `at` on, silent where nothing came.
    pub fn read(&self, at: u32, frame: &mut Frame) {
        let [front, back] = wrapped(at as usize, FRAME, SAMPLES);
        let (first, second) = frame.split_at_mut(front.len());
        for (to, from) in [(first, front), (second, back)] {
            if let Some(from) = self.samples.get(from) {
                to.copy_from_slice(from);
            }
        }
        for (cell, run) in self.frame(at).zip(frame.chunks_exact_mut(CELL)) {
            if cell != Cell::Present {
                run.fill(0);
            }
        }
    }

    /// The frame from `at` on was read, or cannot be any more: its places are free.
    pub fn pass(&mut self, at: u32) {
        for cells in Self::run(at, FRAME) {
            for cell in self.cells.get_mut(cells).unwrap_or(&mut []) {
                *cell = if *cell == Cell::Present {
                    Cell::Passed
                } else {
                    Cell::Empty
                };
            }
        }
    }

    /// Reads a little of the frame from `at` on, so that the memory is at hand; its value means nothing.
    pub fn touch(&self, at: u32) -> i16 {
        let sample = |at: u32| self.samples.get(at as usize % SAMPLES).copied().unwrap_or(0);
        sample(at) ^ sample(at.wrapping_add(96)) ^ self.cell(at) as i16
    }

    /// A run that a packet begins or ends in is silent where no packet is, and not what was there a round ago.
    fn open(&mut self, at: u32) {
        let start = at as usize % SAMPLES / CELL * CELL;
        if !(at as usize).is_multiple_of(CELL)
            && self.cell(at) != Cell::Present
            && let Some(run) = self.samples.get_mut(start..start + CELL)
        {
            run.fill(0);
        }
    }

    /// The cells of a frame.
    fn frame(&self, at: u32) -> impl Iterator<Item = Cell> {
        let cells = wrapped(at as usize / CELL, FRAME / CELL, SAMPLES / CELL);
        let cells = cells.map(|cells| self.cells.get(cells).unwrap_or(&[]));
        cells.into_iter().flatten().copied()
    }

    /// The cells that samples from `at` on touch.
    fn run(at: u32, samples: usize) -> [Range<usize>; 2] {
        let cells = (at as usize % CELL + samples).div_ceil(CELL);
        wrapped(at as usize / CELL, cells, SAMPLES / CELL)
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

    type Ring = TimedRing<1024>;

    fn frame(ring: &Ring, at: u32) -> Frame {
        let mut frame = [7; FRAME];
        ring.read(at, &mut frame);
        frame
    }

    #[test]
    fn what_is_passed_is_silent_and_known_to_have_come() {
        let mut ring = Ring::default();
        ring.insert(0, &[5; 80]);
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
        ring.insert(160, &[5; 160]);
        ring.clear();
        assert_eq!((ring.cell(8), ring.has_frame(160)), (Cell::Empty, false));
    }

    #[test]
    fn what_lay_at_a_place_a_round_ago_is_not_heard_beside_what_lies_there_now() {
        let mut ring = Ring::default();
        ring.insert(0, &[5; 320]);
        (0..2).for_each(|n| ring.pass(n * 160));
        ring.insert(1024 + 4, &[6; 150]);
        let read = frame(&ring, 1024);
        assert_eq!(
            (read[..4].iter().max(), read[4..154].iter().min()),
            (Some(&0), Some(&6))
        );
        assert_eq!(read[154..], [0; 6]);
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
                ring.insert(start.wrapping_add(at as u32), &vec![sample; size]);
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
