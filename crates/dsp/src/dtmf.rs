//! DTMF in the audio (ITU-T Q.23, Q.24): the frequencies, and a detector.
//!
//! The detector looks at blocks of 5 ms. Four of them, 20 ms, are judged at a time: two tones, one of each group, must
//! hold most of the energy, be of like strength, and be on their frequency, which is told by how their phase turns from
//! block to block. A digit is what was judged the same [`NEEDED`] times running; it is over when no trace of it was found [`MISSES`] times.

use std::f32::consts::TAU;

const LOW: [u16; 4] = [697, 770, 852, 941];
const HIGH: [u16; 4] = [1209, 1336, 1477, 1633];
/// The keys, row by row.
pub const DTMF_DIGITS: [char; 16] = [
    '1', '2', '3', 'A', '4', '5', '6', 'B', '7', '8', '9', 'C', '*', '0', '#', 'D',
];

/// Low and high frequency of a digit.
pub fn dtmf_frequencies(digit: char) -> Option<[f32; 2]> {
    let at = DTMF_DIGITS
        .iter()
        .position(|known| *known == digit.to_ascii_uppercase())?;
    Some([f32::from(*LOW.get(at / 4)?), f32::from(*HIGH.get(at % 4)?)])
}

const BLOCK: usize = 40;
/// Same judgement so often: 40 ms are enough, 23 ms are not.
const NEEDED: u8 = 5;
/// Not this digit so often: 40 ms of pause are enough, a dropout of 10 ms is not.
const MISSES: u8 = 3;
/// Part of the energy that both tones must hold.
const PURITY: f32 = 0.74;
/// With this part the digit may still be there, with a hole in it.
const TRACE: f32 = 0.4;
/// Each tone at least this strong: about -35 dBm0.
const WEAKEST_POWER: f32 = 80_000.0;
/// High over low at most 6 dB, low over high at most 10 dB.
const TWIST: f32 = 4.0;
const REVERSE_TWIST: f32 = 10.0;
/// The weaker half of 20 ms against the stronger.
const STEADY: f32 = 0.4;
/// How far off its frequency a tone may be, as a part of it.
const OFF_TUNE: f32 = 0.025;

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Phasor {
    re: f32,
    im: f32,
}

impl Phasor {
    fn plus(self, other: Self) -> Self {
        Self {
            re: self.re + other.re,
            im: self.im + other.im,
        }
    }

    fn power(self) -> f32 {
        self.re * self.re + self.im * self.im
    }

    fn times_conjugate(self, other: Self) -> Self {
        Self {
            re: self.re * other.re + self.im * other.im,
            im: self.im * other.re - self.re * other.im,
        }
    }

    fn turn(self) -> f32 {
        self.im.atan2(self.re) / TAU
    }
}

/// The reference waves of the eight frequencies, side by side so that the machine does them at once.
#[derive(Debug, Clone)]
struct Waves {
    re: [f32; 8],
    im: [f32; 8],
    step_re: [f32; 8],
    step_im: [f32; 8],
}

impl Waves {
    fn new(hz: [u16; 8]) -> Self {
        let angle = hz.map(|hz| TAU * f32::from(hz) / 8000.0);
        Self {
            re: [1.0; 8],
            im: [0.0; 8],
            step_re: angle.map(f32::cos),
            step_im: angle.map(|angle| -angle.sin()),
        }
    }

    /// Correlate a block with each wave.
    fn block(&mut self, samples: &[f32; BLOCK]) -> [Phasor; 8] {
        let (mut sum_re, mut sum_im) = ([0.0_f32; 8], [0.0_f32; 8]);
        let Self {
            re,
            im,
            step_re,
            step_im,
        } = self;
        for sample in samples {
            for (((((sum_re, sum_im), re), im), step_re), step_im) in sum_re
                .iter_mut()
                .zip(&mut sum_im)
                .zip(re.iter_mut())
                .zip(im.iter_mut())
                .zip(step_re.iter())
                .zip(step_im.iter())
            {
                *sum_re += sample * *re;
                *sum_im += sample * *im;
                (*re, *im) = (*re * step_re - *im * step_im, *re * step_im + *im * step_re);
            }
        }
        // Keep the waves on the unit circle.
        for (re, im) in re.iter_mut().zip(im.iter_mut()) {
            let correction = 1.5 - 0.5 * (*re * *re + *im * *im);
            *re *= correction;
            *im *= correction;
        }
        let mut sums = [Phasor::default(); 8];
        for ((sum, re), im) in sums.iter_mut().zip(sum_re).zip(sum_im) {
            *sum = Phasor { re, im };
        }
        sums
    }
}

/// What correlated with one of the eight frequencies in the last blocks.
#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    hz: f32,
    blocks: [Phasor; 4],
}

impl Bin {
    fn new(hz: u16) -> Self {
        Self {
            hz: f32::from(hz),
            ..Self::default()
        }
    }

    fn push(&mut self, sum: Phasor) {
        let [_, b, c, d] = self.blocks;
        self.blocks = [b, c, d, sum];
    }

    /// Energy of the tone over the last 20 ms, half by half, so that a tone slightly off tune is not lost.
    fn energy(&self) -> [f32; 2] {
        let [a, b, c, d] = self.blocks;
        [a.plus(b), c.plus(d)].map(|half| half.power() / BLOCK as f32)
    }

    fn is_in_tune(&self) -> bool {
        let [a, b, c, d] = self.blocks;
        let (ab, bc, cd) = (a.plus(b), b.plus(c), c.plus(d));
        let turn = bc.times_conjugate(ab).plus(cd.times_conjugate(bc)).turn();
        (turn * 200.0).abs() <= self.hz * OFF_TUNE
    }
}

/// What one look at the last 20 ms showed.
#[derive(Debug, Clone, Copy)]
struct Heard {
    digit: char,
    is_digit: bool,
    is_trace: bool,
}

/// Finds digits in audio, each once, when they have lasted for 40 ms.
#[derive(Debug, Clone)]
pub struct DtmfDetector {
    waves: Waves,
    low: [Bin; 4],
    high: [Bin; 4],
    energy: [f32; 4],
    candidate: Option<char>,
    hits: u8,
    misses: u8,
    pressed: Option<char>,
}

impl Default for DtmfDetector {
    fn default() -> Self {
        Self {
            waves: Waves::new([697, 770, 852, 941, 1209, 1336, 1477, 1633]),
            low: LOW.map(Bin::new),
            high: HIGH.map(Bin::new),
            energy: [0.0; 4],
            candidate: None,
            hits: 0,
            misses: 0,
            pressed: None,
        }
    }
}

impl DtmfDetector {
    /// Take a frame at 8 kHz; give the digit that was recognised in it (one at most fits).
    pub fn frame(&mut self, frame: &[i16]) -> Option<char> {
        let mut found = None;
        let (blocks, _) = frame.as_chunks::<BLOCK>();
        for block in blocks {
            found = self.block(&block.map(f32::from)).or(found);
        }
        found
    }

    /// A digit is being pressed.
    pub fn is_pressed(&self) -> bool {
        self.pressed.is_some()
    }

    fn block(&mut self, samples: &[f32; BLOCK]) -> Option<char> {
        let energy: f32 = samples.iter().map(|sample| sample * sample).sum();
        let [_, b, c, d] = self.energy;
        self.energy = [b, c, d, energy];
        let sums = self.waves.block(samples);
        for (bin, sum) in self.low.iter_mut().chain(&mut self.high).zip(sums) {
            bin.push(sum);
        }
        let heard = self.judge();
        self.follow(heard)
    }

    fn follow(&mut self, judged: Option<Heard>) -> Option<char> {
        let heard = judged.filter(|heard| heard.is_digit).map(|heard| heard.digit);
        let trace = judged.filter(|heard| heard.is_trace).map(|heard| heard.digit);
        if heard.is_some() && heard == self.candidate {
            self.hits = self.hits.saturating_add(1);
        } else {
            self.candidate = heard;
            self.hits = u8::from(heard.is_some());
        }
        if self.pressed.is_some() {
            self.misses = if trace == self.pressed { 0 } else { self.misses + 1 };
            if self.misses >= MISSES {
                self.pressed = None;
            }
        }
        if self.hits >= NEEDED && self.candidate != self.pressed {
            self.pressed = self.candidate;
            self.misses = 0;
            return self.pressed;
        }
        None
    }

    fn judge(&self) -> Option<Heard> {
        let total: f32 = self.energy.iter().sum();
        if total < WEAKEST_POWER * BLOCK as f32 * 4.0 {
            return None;
        }
        let (row, low) = strongest(&self.low)?;
        let (column, high) = strongest(&self.high)?;
        let ([low_first, low_second], [high_first, high_second]) = (low.energy(), high.energy());
        let (low_sum, high_sum) = (low_first + low_second, high_first + high_second);
        let pure = low_sum + high_sum >= total * PURITY;
        let balanced = high_sum <= low_sum * TWIST && low_sum <= high_sum * REVERSE_TWIST;
        let [first, second] = [low_first + high_first, low_second + high_second];
        let steady = first.min(second) >= STEADY * first.max(second);
        let is_digit = pure && balanced && steady && low.is_in_tune() && high.is_in_tune();
        let digit = DTMF_DIGITS.get(row * 4 + column).copied()?;
        Some(Heard {
            digit,
            is_digit,
            is_trace: low_sum + high_sum >= total * TRACE,
        })
    }
}

fn strongest(bins: &[Bin; 4]) -> Option<(usize, &Bin)> {
    let power = |bin: &Bin| bin.energy().iter().sum::<f32>();
    bins.iter()
        .enumerate()
        .max_by(|(_, a), (_, b)| power(a).total_cmp(&power(b)))
}

#[cfg(test)]
mod tests;
