//! The matrix of ITU-T Q.24 (AT&T and NTT columns), synthesised.

use super::*;
use crate::peak_of_dbm0;

/// A seeded generator (xorshift), uniform in -1..1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

#[derive(Clone, Copy)]
struct Press {
    on_ms: f32,
    off_ms: f32,
    low_dbm0: f32,
    high_dbm0: f32,
    off_tune: f32,
    snr_db: Option<f32>,
    dropout_ms: f32,
}

const ORDINARY: Press = Press {
    on_ms: 40.0,
    off_ms: 40.0,
    low_dbm0: -10.0,
    high_dbm0: -10.0,
    off_tune: 0.0,
    snr_db: None,
    dropout_ms: 0.0,
};

/// `digits`, each pressed alike, after `lead` samples of silence, heard in frames.
fn heard(digits: &str, press: Press, lead: usize) -> String {
    let mut samples = vec![0.0_f32; lead];
    for digit in digits.chars() {
        let [low, high] = dtmf_frequencies(digit).unwrap().map(|hz| hz * (1.0 + press.off_tune));
        let on = (press.on_ms * 8.0) as usize;
        let gap = (press.dropout_ms * 8.0) as usize;
        for n in 0..on {
            let t = n as f32 / 8000.0;
            let value = peak_of_dbm0(press.low_dbm0) * (TAU * low * t).sin()
                + peak_of_dbm0(press.high_dbm0) * (TAU * high * t + 1.0).sin();
            let lost = n >= on / 2 && n < on / 2 + gap;
            samples.push(if lost { 0.0 } else { value });
        }
        samples.extend(std::iter::repeat_n(0.0, (press.off_ms * 8.0) as usize));
    }
    if let Some(snr) = press.snr_db {
        let mut noise = Noise(lead as u64 + 7);
        let both = 10_f32.powf(press.low_dbm0 / 10.0) + 10_f32.powf(press.high_dbm0 / 10.0);
        // Sum of twelve uniform values: near Gaussian, variance 4.
        let rms = peak_of_dbm0(10.0 * both.log10() - snr) / 2_f32.sqrt();
        for sample in &mut samples {
            *sample += rms / 2.0 * (0..12).map(|_| noise.next()).sum::<f32>();
        }
    }
    samples.extend([0.0; 800]);
    listen(samples.into_iter().map(|sample| crate::saturate(sample.round() as i32)))
}

fn listen(samples: impl Iterator<Item = i16>) -> String {
    let mut detector = DtmfDetector::default();
    let samples: Vec<i16> = samples.collect();
    let (frames, _) = samples.as_chunks::<160>();
    frames.iter().filter_map(|frame| detector.frame(frame)).collect()
}

const ALL: &str = "123A456B789C*0#D";

fn each_is_heard(press: Press) {
    for lead in (0..160).step_by(7) {
        assert_eq!(heard(ALL, press, lead), ALL, "after {lead} samples");
    }
}

fn none_is_heard(press: Press) {
    for lead in (0..160).step_by(7) {
        assert_eq!(heard(ALL, press, lead), "", "after {lead} samples");
    }
}

#[test]
fn forty_milliseconds_on_and_off_are_heard_at_every_alignment() {
    each_is_heard(ORDINARY);
}

#[test]
fn ninety_three_milliseconds_a_digit_are_heard() {
    each_is_heard(Press {
        on_ms: 50.0,
        off_ms: 43.0,
        ..ORDINARY
    });
}

#[test]
fn twenty_three_milliseconds_are_not_a_digit() {
    none_is_heard(Press {
        on_ms: 23.0,
        ..ORDINARY
    });
}

#[test]
fn frequencies_off_by_one_and_a_half_percent_are_heard() {
    for off_tune in [-0.015, 0.015] {
        each_is_heard(Press { off_tune, ..ORDINARY });
    }
}

#[test]
fn frequencies_off_by_three_and_a_half_percent_are_not() {
    for off_tune in [-0.035, 0.035] {
        none_is_heard(Press {
            off_tune,
            on_ms: 100.0,
            ..ORDINARY
        });
    }
}

#[test]
fn twist_of_4_and_minus_8_db_is_heard() {
    each_is_heard(Press {
        low_dbm0: -14.0,
        high_dbm0: -10.0,
        ..ORDINARY
    });
    each_is_heard(Press {
        low_dbm0: -8.0,
        high_dbm0: -16.0,
        ..ORDINARY
    });
}

#[test]
fn levels_from_0_to_minus_25_are_heard_and_minus_55_is_not() {
    for level in [0.0, -5.0, -15.0, -25.0] {
        each_is_heard(Press {
            low_dbm0: level,
            high_dbm0: level,
            ..ORDINARY
        });
    }
    none_is_heard(Press {
        low_dbm0: -55.0,
        high_dbm0: -55.0,
        on_ms: 100.0,
        ..ORDINARY
    });
}

#[test]
fn a_dropout_of_10_ms_does_not_double_the_digit() {
    each_is_heard(Press {
        on_ms: 120.0,
        dropout_ms: 10.0,
        ..ORDINARY
    });
}

#[test]
fn noise_15_db_below_does_not_hide_digits() {
    each_is_heard(Press {
        snr_db: Some(15.0),
        on_ms: 50.0,
        off_ms: 50.0,
        ..ORDINARY
    });
}

#[test]
fn a_long_press_is_one_digit_and_the_same_key_twice_is_two() {
    assert_eq!(
        heard(
            "5",
            Press {
                on_ms: 5000.0,
                ..ORDINARY
            },
            0
        ),
        "5"
    );
    assert_eq!(heard("5550", ORDINARY, 33), "5550");
}

#[test]
fn one_tone_alone_dial_tone_and_ringing_are_no_digits() {
    for tones in [
        [697.0, 0.0],
        [1477.0, 0.0],
        [350.0, 440.0],
        [440.0, 480.0],
        [480.0, 620.0],
        [697.0, 941.0],
        [1400.0, 2060.0],
    ] {
        let samples = (0..16_000).map(|n| {
            let t = n as f32 / 8000.0;
            (5000.0 * ((TAU * tones[0] * t).sin() + (TAU * tones[1] * t).sin())) as i16
        });
        assert_eq!(listen(samples), "", "{tones:?}");
    }
}

#[test]
fn sung_vowels_and_sweeps_are_no_digits() {
    // Harmonics of a gliding voice, through three vowels' worth of formants.
    for formants in [[700.0, 1220.0, 2600.0], [850.0, 1610.0, 2500.0], [300.0, 870.0, 2250.0]] {
        let mut phase = 0.0_f32;
        let samples: Vec<i16> = (0..160_000)
            .map(|n| {
                let pitch = 90.0 + 250.0 * (n as f32 / 160_000.0);
                phase += TAU * pitch / 8000.0;
                let strength = |hz: f32| {
                    formants
                        .iter()
                        .map(|f| 1.0 / (1.0 + ((hz - f) / 80.0).powi(2)))
                        .sum::<f32>()
                };
                let sum: f32 = (1..20)
                    .map(|k| k as f32)
                    .filter(|k| k * pitch < 3800.0)
                    .map(|k| strength(k * pitch) * (k * phase).sin())
                    .sum();
                (6000.0 * sum) as i16
            })
            .collect();
        assert_eq!(listen(samples.into_iter()), "", "{formants:?}");
    }
}
