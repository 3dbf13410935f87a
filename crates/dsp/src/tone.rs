//! Tones and cadences.

use std::f64::consts::TAU;

use offhook_words::{MOST_FRAME, Rate};

use crate::gain::nearest;

/// Peak sample of a sine at a level: a full-scale sine is +3.17 dBm0 (ITU-T G.711, the digital milliwatt).
pub fn peak_of_dbm0(level_dbm0: f32) -> f32 {
    32_767.0 * 10_f32.powf((level_dbm0 - 3.17) / 20.0)
}

/// A sine: a point that goes round a circle by the same angle with each sample.
#[derive(Debug, Clone, Copy, Default)]
pub struct Oscillator {
    cosine: f64,
    sine: f64,
    step_cosine: f64,
    step_sine: f64,
    peak: f32,
}

impl Oscillator {
    /// At a frequency and level, from phase 0.
    pub fn new(rate: Rate, frequency_hz: f32, level_dbm0: f32) -> Self {
        let (step_sine, step_cosine) = (f64::from(frequency_hz) / f64::from(rate.hz()) * TAU).sin_cos();
        Self {
            cosine: 1.0,
            sine: 0.0,
            step_cosine,
            step_sine,
            peak: peak_of_dbm0(level_dbm0),
        }
    }

    /// The next sample.
    pub fn sample(&mut self) -> f32 {
        let value = self.sine as f32 * self.peak;
        // Rounding moves the point by less than 1e-8 of the circle in four hours.
        (self.cosine, self.sine) = (
            self.cosine * self.step_cosine - self.sine * self.step_sine,
            self.sine * self.step_cosine + self.cosine * self.step_sine,
        );
        value
    }
}

/// One step of a cadence: up to four sines, or silence.
#[derive(Debug, Clone, Copy, Default)]
pub struct ToneStep {
    samples: u64,
    /// Of its soft ends.
    edge: u64,
    sines: [Option<Oscillator>; 4],
}

impl ToneStep {
    /// Frequencies beyond the fourth are left out.
    pub fn new(rate: Rate, duration_ms: u32, frequencies_hz: &[f32], level_dbm0: f32) -> Self {
        let mut sines = [None; 4];
        for (sine, frequency) in sines.iter_mut().zip(frequencies_hz) {
            *sine = Some(Oscillator::new(rate, *frequency, level_dbm0));
        }
        Self {
            samples: u64::from(duration_ms) * rate.per_ms(),
            edge: EDGE * rate.factor() as u64,
            sines,
        }
    }
}

/// Samples of the soft edge of a step at 8 kHz: 2.5 ms.
const EDGE: u64 = 20;

/// A cadence as samples.
#[derive(Debug, Clone)]
pub struct ToneSequence {
    steps: Vec<ToneStep>,
    at: usize,
    now: ToneStep,
    position: u64,
    left: Option<u64>,
}

impl ToneSequence {
    /// `duration_ms` 0: the cadence once; negative: without end; else repeated until then.
    pub fn new(rate: Rate, steps: Vec<ToneStep>, duration_ms: i64) -> Self {
        let once: u64 = steps.iter().map(|step| step.samples).sum();
        let left = match duration_ms {
            _ if once == 0 => Some(0),
            0 => Some(once),
            more @ 1.. => Some(more as u64 * rate.per_ms()),
            _ => None,
        };
        let now = steps.first().copied().unwrap_or_default();
        Self {
            steps,
            at: 0,
            now,
            position: 0,
            left,
        }
    }

    /// Fill the frame and say how many samples of it are the tone; fewer than it has at the end.
    pub fn fill(&mut self, frame: &mut [i16]) -> usize {
        let mut count = 0;
        while count < frame.len() && self.left != Some(0) {
            let rest = frame.get_mut(count..).unwrap_or(&mut []);
            count += self.run(rest);
        }
        frame.get_mut(count..).unwrap_or(&mut []).fill(0);
        count
    }

    /// Samples of one step, as many as it has and fit.
    fn run(&mut self, samples: &mut [i16]) -> usize {
        while self.position >= self.now.samples {
            self.at = (self.at + 1) % self.steps.len().max(1);
            self.now = self.steps.get(self.at).copied().unwrap_or_default();
            self.position = 0;
        }
        let to_end = self.left.unwrap_or(u64::MAX).min(self.now.samples - self.position);
        let most = samples.len().min(MOST_FRAME);
        let count = most.min(usize::try_from(to_end).unwrap_or(usize::MAX));
        let mut sums = [0.0; MOST_FRAME];
        for sine in self.now.sines.iter_mut().flatten() {
            sums.iter_mut().take(count).for_each(|sum| *sum += sine.sample());
        }
        let edge = self.now.edge;
        if self.position < edge || to_end - (count as u64) < edge {
            for (sum, at) in sums.iter_mut().take(count).zip(0..) {
                let inside = (self.position + at + 1).min(to_end - at).min(edge);
                *sum *= inside as f32 / edge as f32;
            }
        }
        for (sample, sum) in samples.iter_mut().zip(sums).take(count) {
            *sample = nearest(sum);
        }
        self.position += count as u64;
        self.left = self.left.map(|left| left - count as u64);
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW: Rate = Rate::Narrow;

    fn all(tones: ToneSequence) -> Vec<i16> {
        all_of(tones, NARROW)
    }

    fn all_of(mut tones: ToneSequence, rate: Rate) -> Vec<i16> {
        let mut heard = Vec::new();
        let mut frame = vec![0; rate.frame()];
        loop {
            let count = tones.fill(&mut frame);
            heard.extend(&frame[..count]);
            if count < rate.frame() {
                return heard;
            }
        }
    }

    #[test]
    fn a_tone_is_one_sine_across_all_frames() {
        let heard = all(ToneSequence::new(
            NARROW,
            vec![ToneStep::new(NARROW, 1000, &[440.0], 0.0)],
            0,
        ));
        assert_eq!(heard.len(), 8000);
        let peak = peak_of_dbm0(0.0);
        for (n, sample) in heard.iter().enumerate().skip(20).take(7960) {
            let ideal = f64::from(peak) * (TAU * 440.0 * n as f64 / 8000.0).sin();
            assert!((f64::from(*sample) - ideal).abs() <= 1.0, "sample {n}");
        }
    }

    #[test]
    fn a_tone_keeps_its_frequency_and_level_for_an_hour() {
        let mut tone = Oscillator::new(NARROW, 440.0, 0.0);
        let count = 8000 * 3600;
        (0..count).for_each(|_| _ = tone.sample());
        let peak = peak_of_dbm0(0.0);
        for n in count..count + 8000 {
            let ideal = f64::from(peak) * (TAU * 440.0 / 8000.0 * f64::from(n)).sin();
            assert!((f64::from(tone.sample()) - ideal).abs() <= 1.0, "sample {n}");
        }
    }

    #[test]
    fn at_16_khz_it_is_the_same_tone_twice_as_dense() {
        let tone = |rate| {
            all_of(
                ToneSequence::new(rate, vec![ToneStep::new(rate, 500, &[440.0], 0.0)], 0),
                rate,
            )
        };
        let (narrow, wide) = (tone(Rate::Narrow), tone(Rate::Wide));
        assert_eq!((narrow.len(), wide.len()), (4000, 8000));
        let is_near = |n: usize| (narrow[n] - wide[2 * n]).abs() <= 1;
        assert!((20..3980).all(is_near));
    }

    #[test]
    fn a_cadence_repeats_until_its_duration_is_over() {
        let steps = vec![
            ToneStep::new(NARROW, 30, &[440.0, 480.0], -13.0),
            ToneStep::new(NARROW, 50, &[], 0.0),
        ];
        let heard = all(ToneSequence::new(NARROW, steps.clone(), 200));
        assert_eq!(heard.len(), 1600);
        let loud = |from: usize| heard[from + 24..from + 200].iter().any(|sample| sample.abs() > 1000);
        assert!(loud(0) && loud(640) && loud(1280));
        assert!(heard[240..640].iter().all(|sample| *sample == 0));
        assert_eq!(all(ToneSequence::new(NARROW, steps, 0)).len(), 640);
    }

    #[test]
    fn edges_do_not_click() {
        let heard = all(ToneSequence::new(
            NARROW,
            vec![
                ToneStep::new(NARROW, 100, &[1400.0], 3.0),
                ToneStep::new(NARROW, 100, &[], 0.0),
            ],
            150,
        ));
        assert!(heard[0].abs() < 3277 && heard[799].abs() < 3277);
    }

    #[test]
    fn an_edge_takes_2_5_ms_at_each_rate() {
        let step = |rate| ToneStep::new(rate, 100, &[1000.0], 0.0);
        let levels = Rate::ALL.map(|rate| {
            let heard = all_of(ToneSequence::new(rate, vec![step(rate)], 0), rate);
            let ms = rate.per_ms() as usize;
            let loudest = |from: usize| heard[from..from + ms].iter().map(|sample| sample.abs()).max().unwrap();
            [loudest(0), loudest(ms), loudest(98 * ms), loudest(99 * ms)]
        });
        for (narrow, wide) in levels[0].iter().zip(levels[1]) {
            assert!((narrow - wide).abs() < 800, "{levels:?}");
        }
    }

    #[test]
    fn a_cadence_without_length_ends_at_once() {
        assert!(all(ToneSequence::new(NARROW, vec![], -1)).is_empty());
        assert!(
            all(ToneSequence::new(
                NARROW,
                vec![ToneStep::new(NARROW, 0, &[440.0], 0.0)],
                500
            ))
            .is_empty()
        );
    }
}
