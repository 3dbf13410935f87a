//! Is somebody speaking? By energy, against the noise of the line.

/// Mean power of a frame in dBm0 (a full-scale sine is +3.17); -90 for silence.
pub fn frame_power(frame: &[i16]) -> f32 {
    let sum: i64 = frame.iter().map(|sample| i64::from(*sample) * i64::from(*sample)).sum();
    let mean = sum as f32 / frame.len().max(1) as f32;
    // A full-scale sine has a mean power of 2^29: 87.29 dB.
    if mean < 1.0 {
        -90.0
    } else {
        (10.0 * mean.log10() - 87.29 + 3.17).max(-90.0)
    }
}

/// Louder than the noise by this much counts.
const MARGIN_DB: f32 = 6.0;
/// Noise is never taken for louder than this, so that steady speech is not mistaken for it.
const NOISE_CEILING: f32 = -30.0;
/// The noise estimate rises by so much a second, and falls at once.
const RISE_PER_FRAME: f32 = 3.0 / 50.0;
/// So many loud frames of the last five make speech; a click makes fewer.
const ONSET: u32 = 3;
/// So many quiet frames end it: the pause between two words does not.
const HANGOVER: u8 = 10;

/// Tells speech from silence, a frame at a time.
#[derive(Debug, Clone)]
pub struct SpeechDetector {
    threshold: f32,
    noise: f32,
    recent: u8,
    quiet: u8,
    speaking: bool,
}

impl SpeechDetector {
    /// `sensitivity` 0-100: the higher, the quieter the speech that counts. 44 is for ordinary phone speech (above -40 dBm0).
    pub fn new(sensitivity: f32) -> Self {
        Self {
            threshold: -18.0 - sensitivity.clamp(0.0, 100.0) / 2.0,
            noise: -70.0,
            recent: 0,
            quiet: 0,
            speaking: false,
        }
    }

    /// Take the power of the next frame ([`frame_power`]) and say whether somebody speaks.
    ///
    /// Speech is told after 60 ms of it, and lasts until 200 ms of silence.
    pub fn frame(&mut self, power: f32) -> bool {
        let loud = power > self.threshold.max(self.noise + MARGIN_DB);
        self.noise = if power < self.noise {
            power.max(-70.0)
        } else {
            (self.noise + RISE_PER_FRAME).min(power)
        }
        .min(NOISE_CEILING);
        self.recent = (self.recent << 1 | u8::from(loud)) & 0x1f;
        self.quiet = if loud { 0 } else { self.quiet.saturating_add(1) };
        if self.recent.count_ones() >= ONSET {
            self.speaking = true;
        } else if self.quiet >= HANGOVER {
            self.speaking = false;
        }
        self.speaking
    }

    /// Frames since the last loud one, while [`Self::frame`] still says speech.
    pub fn quiet_frames(&self) -> u32 {
        u32::from(self.quiet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn heard(detector: &mut SpeechDetector, power: f32, frames: usize) -> usize {
        (0..frames).filter(|_| detector.frame(power)).count()
    }

    #[test]
    fn a_full_scale_sine_has_the_power_that_the_standard_says() {
        let mut frame = [0; 160];
        for (n, sample) in frame.iter_mut().enumerate() {
            *sample = (32767.0 * (std::f32::consts::TAU * n as f32 / 8.0).sin()) as i16;
        }
        assert!((frame_power(&frame) - 3.17).abs() < 0.05);
        assert!((frame_power(&[0; 160]) + 90.0).abs() < 0.01);
    }

    #[test]
    fn speech_is_told_after_60_ms_and_ends_200_ms_after_it() {
        let mut detector = SpeechDetector::new(44.0);
        assert_eq!(heard(&mut detector, -65.0, 50), 0);
        assert_eq!(heard(&mut detector, -25.0, 10), 8);
        assert_eq!(heard(&mut detector, -65.0, 50), 9);
    }

    #[test]
    fn a_click_and_a_noisy_line_are_not_speech() {
        let mut detector = SpeechDetector::new(44.0);
        assert_eq!(heard(&mut detector, -5.0, 2), 0);
        assert_eq!(heard(&mut detector, -60.0, 100), 0);
        assert_eq!(heard(&mut detector, -42.0, 500), 0);
    }

    #[test]
    fn sensitivity_moves_the_threshold() {
        for (sensitivity, power, speech) in [
            (44.0, -45.0, false),
            (80.0, -45.0, true),
            (10.0, -30.0, false),
            (44.0, -35.0, true),
        ] {
            assert_eq!(
                heard(&mut SpeechDetector::new(sensitivity), power, 5) > 0,
                speech,
                "{sensitivity} {power}"
            );
        }
    }

    #[test]
    fn speech_over_noise_is_still_told() {
        let mut detector = SpeechDetector::new(44.0);
        heard(&mut detector, -45.0, 1000);
        assert!(heard(&mut detector, -28.0, 10) > 0);
    }

    proptest! {
        #[test]
        fn silence_always_ends_speech(powers in proptest::collection::vec(-90.0_f32..3.0, 0..300)) {
            let mut detector = SpeechDetector::new(44.0);
            for power in powers {
                detector.frame(power);
            }
            heard(&mut detector, -90.0, 15);
            prop_assert!(!detector.frame(-90.0));
        }
    }
}
