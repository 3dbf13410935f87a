//! Volume without clicks, and mixing without wrapping.

/// The nearest sample.
pub fn saturate(value: i32) -> i16 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

/// The nearest sample of a value; ties go away from zero.
pub fn nearest(value: f32) -> i16 {
    // The cast saturates, and needs no call into the maths library.
    (value + 0.5_f32.copysign(value)) as i16
}

/// Mix `frame` into a sum that may exceed a sample.
pub fn add_frame(sum: &mut [i32], frame: &[i16]) {
    for (sum, sample) in sum.iter_mut().zip(frame) {
        *sum += i32::from(*sample);
    }
}

/// The factor of a volume; -40 dB and below is mute.
pub fn decibels_to_factor(volume_db: f32) -> f32 {
    if volume_db <= -40.0 {
        0.0
    } else {
        10_f32.powf(volume_db / 20.0)
    }
}

/// A ramp between nothing and everything takes this part of a frame: 5 ms.
const EDGE: usize = 4;

/// A volume that moves by ramps, so that no start, stop or change clicks.
#[derive(Debug, Clone)]
pub struct Gain {
    now: f32,
    to: f32,
}

impl Gain {
    /// Silent at first, on its way to `factor`.
    pub fn rising_to(factor: f32) -> Self {
        Self { now: 0.0, to: factor }
    }

    /// At `factor` from the start.
    pub fn steady(factor: f32) -> Self {
        Self {
            now: factor,
            to: factor,
        }
    }

    /// Be on the way to another factor.
    pub fn set(&mut self, factor: f32) {
        self.to = factor;
    }

    /// Nothing is heard, now and next.
    pub fn is_silent(&self) -> bool {
        self.now == 0.0 && self.to == 0.0
    }

    /// Scale a frame. A ramp takes 5 ms.
    pub fn apply(&mut self, frame: &mut [i16]) {
        if self.now.to_bits() == self.to.to_bits() {
            if self.to.to_bits() != 1.0_f32.to_bits() {
                for sample in frame.iter_mut() {
                    *sample = nearest(f32::from(*sample) * self.to);
                }
            }
            return;
        }
        let mut left = frame.len() / EDGE;
        let step = (self.to - self.now) / left as f32;
        for sample in frame.iter_mut() {
            if left > 0 {
                left -= 1;
                self.now = if left == 0 { self.to } else { self.now + step };
            }
            *sample = nearest(f32::from(*sample) * self.now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unity_changes_nothing_once_reached() {
        let mut gain = Gain::rising_to(1.0);
        gain.apply(&mut [1000; 160]);
        let mut frame = [0; 160];
        for (at, sample) in frame.iter_mut().enumerate() {
            *sample = i16::try_from(at).unwrap() * 200 - 16000;
        }
        let before = frame;
        gain.apply(&mut frame);
        assert_eq!(frame, before);
    }

    #[test]
    fn starting_and_stopping_take_no_step_above_a_tenth_of_full_scale() {
        let mut gain = Gain::rising_to(1.0);
        let mut heard = Vec::new();
        for factor in [1.0, 1.0, 0.0, 0.0] {
            gain.set(factor);
            let mut frame = [i16::MAX; 160];
            gain.apply(&mut frame);
            heard.extend(frame);
        }
        let steps = heard
            .windows(2)
            .map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs());
        assert!(steps.max().unwrap() <= 3277);
        assert!(heard[0] < 3277);
        assert!(
            heard[360..].iter().all(|sample| *sample == 0),
            "silent 5 ms after the stop"
        );
        assert!(gain.is_silent());
    }

    #[test]
    fn forty_decibels_down_is_mute_and_forty_up_saturates() {
        assert!(decibels_to_factor(-40.0).abs() < f32::EPSILON);
        let mut gain = Gain::rising_to(decibels_to_factor(40.0));
        let mut frame = [-20_000; 160];
        gain.apply(&mut frame);
        assert_eq!(frame[159], i16::MIN);
    }
}
