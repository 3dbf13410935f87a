//! Fixed-ratio polyphase resampling to our rates, from any rate at a bounded price.

use std::f64::consts::PI;
use std::sync::Arc;

use offhook_words::Rate;

use crate::gain::nearest;

/// Zero crossings of the sinc on each side: with the Kaiser window below, at 8 kHz 3.6 kHz passes and 4.4 kHz folds 75 dB down.
const LOBES: f64 = 24.0;
const KAISER_BETA: f64 = 8.0;
/// Middle of the transition, as a part of half the lower rate.
const CUT: f64 = 0.93;
/// Coefficients of a filter whose every phase is kept: 128 KiB, for all rates that people use. Odd rates have
/// thousands of phases; for those, what lies between two kept ones is interpolated.
const MOST_EXACT: usize = 32_768;
/// Kept phases per sample of the lower rate, when they are interpolated: the error stays 80 dB down.
const PHASES: f64 = 128.0;

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Modified Bessel function of the first kind, order 0.
fn bessel(x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (1.0, 1.0, 1.0);
    while term > sum * 1e-12 {
        term *= (x / (2.0 * n)) * (x / (2.0 * n));
        sum += term;
        n += 1.0;
    }
    sum
}

/// The Kaiser window at `x`, from -1 to 1; 0 elsewhere. It is not scaled.
pub(crate) fn kaiser(x: f64, beta: f64) -> f64 {
    let inside = 1.0 - x * x;
    if inside <= 0.0 {
        0.0
    } else {
        bessel(beta * inside.sqrt())
    }
}

/// The sum of products, in eight sums side by side, which the machine can do at once.
fn dot(samples: &[f32], weights: &[f32]) -> f32 {
    let (samples, samples_rest) = samples.as_chunks::<8>();
    let (weights, weights_rest) = weights.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for (samples, weights) in samples.iter().zip(weights) {
        for ((sum, sample), weight) in sums.iter_mut().zip(samples).zip(weights) {
            *sum += sample * weight;
        }
    }
    let rest: f32 = samples_rest
        .iter()
        .zip(weights_rest)
        .map(|(sample, weight)| sample * weight)
        .sum();
    sums.iter().sum::<f32>() + rest
}

/// Takes samples of one rate in pieces of any size, gives samples at one of ours; the delay of the filter is taken out.
#[derive(Debug, Clone)]
pub struct Resampler {
    up: usize,
    down: usize,
    taps: usize,
    /// Kept per input sample: `up`, or fewer, between which is interpolated.
    phases: usize,
    /// One filter after another, each for a phase; with interpolation there is one more, of the next sample.
    filters: Arc<[f32]>,
    kept: Vec<f32>,
    /// Where in `kept` the next output's filter begins, in units of 1/`up` input sample.
    position: usize,
    input: u64,
    output: u64,
}

impl Resampler {
    /// From `rate_hz` (4000 to 192000) to `to`. Designing takes up to some milliseconds, and at most 128 KiB.
    pub fn new(rate_hz: u32, to: Rate) -> Self {
        let to_hz = to.hz();
        let common = gcd(rate_hz, to_hz);
        let (up, down) = ((to_hz / common) as usize, (rate_hz / common) as usize);
        let scale = (f64::from(to_hz) / f64::from(rate_hz)).min(1.0) * CUT;
        let half = (LOBES / scale).ceil();
        let taps = if up == down { 1 } else { half as usize * 2 };
        let is_exact = up * taps <= MOST_EXACT;
        let phases = if is_exact { up } else { (PHASES * scale).ceil() as usize };
        let rows = if is_exact { phases } else { phases + 1 };
        let mut filters = Vec::with_capacity(rows * taps);
        for phase in 0..rows {
            let shift = phase as f64 / phases as f64;
            let row: Vec<f64> = (0..taps)
                .map(|tap| Self::coefficient(tap as f64 - half + 1.0 - shift, half, scale))
                .collect();
            let sum: f64 = row.iter().sum();
            filters.extend(row.iter().map(|value| (value / sum) as f32));
        }
        let mut kept = vec![0.0; if up == down { 0 } else { half as usize - 1 }];
        kept.reserve(8192);
        Self {
            up,
            down,
            taps,
            phases,
            filters: filters.into(),
            kept,
            position: 0,
            input: 0,
            output: 0,
        }
    }

    /// What is kept of the filter.
    pub fn filter_bytes(&self) -> usize {
        self.filters.len() * size_of::<f32>()
    }

    /// One output: the filter of a phase (0 to `up`) over its window.
    fn output(&self, window: &[f32], phase: usize) -> f32 {
        let row = |at: usize| self.filters.get(at * self.taps..(at + 1) * self.taps).unwrap_or(&[]);
        if self.phases == self.up {
            return dot(window, row(phase));
        }
        let (at, rest) = (phase * self.phases / self.up, phase * self.phases % self.up);
        let share = rest as f32 / self.up as f32;
        let (before, after) = (dot(window, row(at)), dot(window, row(at + 1)));
        before + (after - before) * share
    }

    fn coefficient(x: f64, half: f64, scale: f64) -> f64 {
        let t = PI * x * scale;
        let sinc = if t.abs() < 1e-9 { 1.0 } else { t.sin() / t };
        sinc * kaiser(x / half, KAISER_BETA)
    }

    /// The same filter, from the start.
    #[must_use]
    pub fn fresh(&self) -> Self {
        let mut kept = vec![0.0; if self.up == self.down { 0 } else { self.taps / 2 - 1 }];
        kept.reserve(8192);
        Self {
            kept,
            position: 0,
            input: 0,
            output: 0,
            filters: Arc::clone(&self.filters),
            ..*self
        }
    }

    /// Take samples, append what is ready.
    pub fn process(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        self.input += samples.len() as u64;
        self.kept.extend(samples.iter().map(|sample| f32::from(*sample)));
        self.drain(out);
    }

    /// The input is over: append the rest. The whole output is as long as the input, to the sample.
    pub fn finish(&mut self, out: &mut Vec<i16>) {
        self.kept.extend(std::iter::repeat_n(0.0, self.taps));
        let whole = (self.input * self.up as u64).div_ceil(self.down as u64);
        let before = out.len();
        self.drain_up_to(out, whole.saturating_sub(self.output) as usize);
        self.output += (out.len() - before) as u64;
    }

    fn drain(&mut self, out: &mut Vec<i16>) {
        let before = out.len();
        self.drain_up_to(out, usize::MAX);
        self.output += (out.len() - before) as u64;
    }

    fn drain_up_to(&mut self, out: &mut Vec<i16>, most: usize) {
        let mut done = 0;
        while done < most {
            let (start, phase) = (self.position / self.up, self.position % self.up);
            let Some(window) = self.kept.get(start..start + self.taps) else {
                break;
            };
            out.push(nearest(self.output(window, phase)));
            self.position += self.down;
            done += 1;
        }
        let used = (self.position / self.up).min(self.kept.len());
        self.kept.drain(..used);
        self.position -= used * self.up;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATES: [u32; 9] = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000];

    fn tone(rate_hz: u32, frequency: f64, count: usize) -> Vec<i16> {
        (0..count)
            .map(|n| (16000.0 * (2.0 * PI * frequency * n as f64 / f64::from(rate_hz)).sin()).round() as i16)
            .collect()
    }

    fn converted(rate_hz: u32, samples: &[i16], piece: usize) -> Vec<i16> {
        let mut resampler = Resampler::new(rate_hz, Rate::Narrow);
        let mut out = Vec::new();
        for piece in samples.chunks(piece) {
            resampler.process(piece, &mut out);
        }
        resampler.finish(&mut out);
        out
    }

    #[test]
    fn tones_pass_with_60_db_and_no_delay() {
        for rate in RATES {
            for frequency in [300.0, 1000.0, 2500.0, 3300.0] {
                let out = converted(rate, &tone(rate, frequency, rate as usize), 997);
                assert_eq!(out.len(), 8000, "{rate}");
                let ideal = tone(8000, frequency, 8000);
                let (mut signal, mut noise) = (0.0, 0.0);
                for (got, want) in out[200..7800].iter().zip(&ideal[200..7800]) {
                    signal += f64::from(*want).powi(2);
                    noise += (f64::from(*got) - f64::from(*want)).powi(2);
                }
                let snr = 10.0 * (signal / noise.max(1.0)).log10();
                assert!(snr >= 60.0, "{rate} Hz, tone {frequency} Hz: {snr:.1} dB");
            }
        }
    }

    /// Each has thousands of phases, which once took a second and 39 MB to design.
    const ODD_RATES: [u32; 8] = [4001, 7999, 11_029, 22_051, 44_101, 47_999, 95_999, 191_999];

    #[test]
    fn odd_rates_are_heard_with_60_db_and_no_delay() {
        for rate in ODD_RATES {
            for frequency in [300.0, 1000.0, 1500.0] {
                let out = converted(rate, &tone(rate, frequency, rate as usize), 997);
                assert_eq!(out.len(), 8000, "{rate}");
                let ideal = tone(8000, frequency, 8000);
                let (mut signal, mut noise) = (0.0, 0.0);
                for (got, want) in out[200..7800].iter().zip(&ideal[200..7800]) {
                    signal += f64::from(*want).powi(2);
                    noise += (f64::from(*got) - f64::from(*want)).powi(2);
                }
                let snr = 10.0 * (signal / noise.max(1.0)).log10();
                assert!(snr >= 60.0, "{rate} Hz, tone {frequency} Hz: {snr:.1} dB");
            }
        }
    }

    #[test]
    fn no_rate_makes_a_large_filter() {
        for rate in (4000..=192_000)
            .step_by(997)
            .chain(ODD_RATES)
            .chain(RATES)
            .chain([88_200, 96_000, 176_400, 192_000])
        {
            let bytes = Resampler::new(rate, Rate::Narrow).filter_bytes();
            assert!(bytes <= MOST_EXACT * 4, "{rate} Hz: {bytes} bytes");
        }
        // The usual ones are exact.
        for rate in RATES.into_iter().chain([88_200, 96_000, 176_400, 192_000]) {
            let resampler = Resampler::new(rate, Rate::Narrow);
            assert_eq!(resampler.phases, resampler.up, "{rate} Hz");
        }
    }

    #[test]
    fn what_cannot_be_heard_at_8_khz_does_not_fold_back() {
        for rate in [16000, 22050, 24000, 44100, 48000, 44_101, 95_999] {
            for frequency in [4600.0, 5500.0, 7000.0] {
                let out = converted(rate, &tone(rate, frequency, rate as usize), 4096);
                let loudest = out[200..7800].iter().map(|sample| sample.abs()).max().unwrap();
                assert!(loudest <= 16, "{rate} Hz, tone {frequency} Hz: {loudest}");
            }
        }
    }

    #[test]
    fn to_16_khz_tones_of_6600_hz_pass_and_there_is_no_image_of_what_came_at_8() {
        for (rate, frequency) in [
            (48_000, 6600.0),
            (44_100, 5000.0),
            (16_000, 6600.0),
            (8000, 3300.0),
            (22_050, 6500.0),
        ] {
            let mut resampler = Resampler::new(rate, Rate::Wide);
            let mut out = Vec::new();
            resampler.process(&tone(rate, frequency, rate as usize), &mut out);
            resampler.finish(&mut out);
            assert_eq!(out.len(), 16_000, "{rate}");
            let ideal = tone(16_000, frequency, 16_000);
            let (mut signal, mut noise) = (0.0, 0.0);
            for (got, want) in out[400..15_600].iter().zip(&ideal[400..15_600]) {
                signal += f64::from(*want).powi(2);
                noise += (f64::from(*got) - f64::from(*want)).powi(2);
            }
            let snr = 10.0 * (signal / noise.max(1.0)).log10();
            assert!(snr >= 60.0, "{rate} Hz, tone {frequency} Hz: {snr:.1} dB");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn pieces_do_not_matter(rate in 0_usize..9, piece in 1_usize..500, count in 0_usize..3000) {
            let rate = RATES[rate];
            let samples = tone(rate, 777.0, count);
            let whole = converted(rate, &samples, 100_000);
            prop_assert_eq!(whole.len(), (count * 8000).div_ceil(rate as usize));
            prop_assert_eq!(converted(rate, &samples, piece), whole);
        }
    }
}
