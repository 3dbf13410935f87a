//! From 16 kHz to 8 and back, a frame at a time and without allocation, for what has both on one leg.

use std::f64::consts::PI;
use std::sync::LazyLock;

use offhook_words::{FRAME, MOST_FRAME};

use crate::gain::nearest;
use crate::resample::kaiser;

/// Of the filter between them, at 16 kHz: 2 ms are heard later.
const TAPS: usize = 64;
/// Middle of the transition, as a part of 4 kHz: 3.2 kHz passes, and 4.3 kHz is 70 dB down.
const CUT: f64 = 0.93;
const BETA: f64 = 7.0;

static FILTER: LazyLock<[f32; TAPS]> = LazyLock::new(|| {
    let half = TAPS as f64 / 2.0;
    let value = |tap: usize| {
        let x = tap as f64 - half + 0.5;
        let t = PI * x * CUT / 2.0;
        t.sin() / t * kaiser(x / half, BETA)
    };
    let values: [f64; TAPS] = std::array::from_fn(value);
    let sum: f64 = values.iter().sum();
    values.map(|value| (value / sum) as f32)
});

/// 8 kHz of 16: what is above 4 kHz is taken out, and does not fold back.
#[derive(Debug, Clone)]
pub struct Halver {
    before: [f32; TAPS],
}

impl Default for Halver {
    fn default() -> Self {
        Self { before: [0.0; TAPS] }
    }
}

impl Halver {
    /// Half as many samples of at most a frame.
    pub fn halve(&mut self, wide: &[i16], narrow: &mut [i16]) {
        let mut line = [0.0; TAPS + MOST_FRAME];
        let (before, now) = line.split_at_mut(TAPS);
        before.copy_from_slice(&self.before);
        let wide = wide.get(..MOST_FRAME).unwrap_or(wide);
        for (to, sample) in now.iter_mut().zip(wide) {
            *to = f32::from(*sample);
        }
        let line = line.get(..TAPS + wide.len()).unwrap_or(&[]);
        let windows = line.windows(TAPS).skip(2).step_by(2);
        for (sample, window) in narrow.iter_mut().zip(windows) {
            let products = window.iter().zip(FILTER.iter());
            *sample = nearest(products.map(|(sample, weight)| sample * weight).sum());
        }
        if let Some(newest) = line.last_chunk() {
            self.before = *newest;
        }
    }
}

/// 16 kHz of 8.
#[derive(Debug, Clone)]
pub struct Doubler {
    before: [f32; TAPS / 2],
}

impl Default for Doubler {
    fn default() -> Self {
        Self {
            before: [0.0; TAPS / 2],
        }
    }
}

impl Doubler {
    /// Twice as many samples of at most a frame.
    pub fn double(&mut self, narrow: &[i16], wide: &mut [i16]) {
        let mut line = [0.0; TAPS / 2 + FRAME];
        let (before, now) = line.split_at_mut(TAPS / 2);
        before.copy_from_slice(&self.before);
        let narrow = narrow.get(..FRAME).unwrap_or(narrow);
        for (to, sample) in now.iter_mut().zip(narrow) {
            *to = f32::from(*sample);
        }
        let line = line.get(..TAPS / 2 + narrow.len()).unwrap_or(&[]);
        let windows = line.windows(TAPS / 2).skip(1);
        for (pair, window) in wide.as_chunks_mut::<2>().0.iter_mut().zip(windows) {
            let mut sums = [0.0; 2];
            // Of the doubled stream every other sample is 0: each output meets every other tap.
            for (sample, [odd, even]) in window.iter().zip(FILTER.as_chunks::<2>().0) {
                sums = [sums[0] + sample * even, sums[1] + sample * odd];
            }
            *pair = sums.map(|sum| nearest(2.0 * sum));
        }
        if let Some(newest) = line.last_chunk() {
            self.before = *newest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offhook_test_support::tone_energy;

    fn tone(rate_hz: f64, hz: f64, count: usize) -> Vec<i16> {
        let turn = |n: usize| 2.0 * PI * hz * n as f64 / rate_hz;
        (0..count).map(|n| (16_000.0 * turn(n).sin()) as i16).collect()
    }

    /// How much of `heard` is the tone against all else, in dB.
    fn snr_db(heard: &[i16], rate_hz: f64, hz: f64) -> f64 {
        let (of_tone, all) = tone_energy(heard, hz, rate_hz);
        10.0 * (of_tone / (all - of_tone).max(1.0)).log10()
    }

    fn halved(wide: &[i16]) -> Vec<i16> {
        let (mut halver, mut narrow) = (Halver::default(), vec![0; wide.len() / 2]);
        for (wide, narrow) in wide.chunks(320).zip(narrow.chunks_mut(160)) {
            halver.halve(wide, narrow);
        }
        narrow
    }

    fn doubled(narrow: &[i16]) -> Vec<i16> {
        let (mut doubler, mut wide) = (Doubler::default(), vec![0; narrow.len() * 2]);
        for (narrow, wide) in narrow.chunks(160).zip(wide.chunks_mut(320)) {
            doubler.double(narrow, wide);
        }
        wide
    }

    #[test]
    fn tones_of_the_telephone_pass_both_ways_with_60_db() {
        for hz in [300.0, 1000.0, 2000.0, 3000.0] {
            let narrow = halved(&tone(16_000.0, hz, 16_000));
            assert!(snr_db(&narrow[800..7200], 8000.0, hz) >= 60.0, "{hz} Hz halved");
            let wide = doubled(&tone(8000.0, hz, 8000));
            assert!(snr_db(&wide[1600..14_400], 16_000.0, hz) >= 60.0, "{hz} Hz doubled");
        }
    }

    #[test]
    fn what_is_above_4_khz_does_not_fold_back() {
        for hz in [4300.0, 5000.0, 7000.0] {
            let loudest = halved(&tone(16_000.0, hz, 16_000))[100..]
                .iter()
                .map(|sample| sample.abs())
                .max();
            assert!(loudest <= Some(20), "{hz} Hz: {loudest:?}");
        }
    }
}
