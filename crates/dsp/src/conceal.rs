//! Packet loss concealment: the last pitch periods go on, fading (the idea of ITU-T G.711 Appendix I).

use offhook_words::{MOST_FRAME, Rate};

use crate::gain::nearest;

/// Pitch periods that are looked for, in samples at 8 kHz, as all that follows.
const SHORTEST: usize = 40;
const LONGEST: usize = 130;
/// Compared when looking for the pitch.
const WINDOW: usize = 140;
/// Frames that are remembered.
const FRAMES: usize = 3;
/// Full volume for 5 ms, gone after 60.
const HOLD: usize = 40;
const FADE: usize = 440;
/// What comes after a loss is blended with what was made up for 1.5 ms. Longer sounds worse: what came is the better.
const BLEND: usize = 12;

/// Fills lost frames, and joins them to the frames around.
#[derive(Debug, Clone)]
pub struct Concealer {
    rate: Rate,
    /// The last frames, one behind the other, the oldest at `oldest`. Of a narrow stream half the room is used.
    heard: [i16; FRAMES * MOST_FRAME],
    oldest: usize,
    cycle: [f32; LONGEST * 2],
    pitch: usize,
    at: usize,
    /// Samples made since the loss began.
    made: usize,
    /// How far the first made sample is from where the last real one left, to be ramped out.
    step: f32,
}

impl Concealer {
    /// For frames of this rate.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            heard: [0; FRAMES * MOST_FRAME],
            oldest: 0,
            cycle: [0.0; LONGEST * 2],
            pitch: SHORTEST * rate.factor(),
            at: 0,
            made: 0,
            step: 0.0,
        }
    }

    /// A frame came. After a loss its beginning is blended with what was made up.
    pub fn good(&mut self, frame: &mut [i16]) {
        if self.made > 0 {
            let blend = BLEND * self.rate.factor();
            for (n, sample) in frame.iter_mut().take(blend).enumerate() {
                let made = self.synthetic();
                let weight = (n as f32 + 0.5) / blend as f32;
                *sample = nearest(f32::from(*sample) * weight + made * (1.0 - weight));
            }
            self.made = 0;
        }
        self.remember(frame);
    }

    /// A frame did not come: fill it.
    pub fn conceal(&mut self, frame: &mut [i16]) {
        if self.made == 0 {
            self.begin();
        }
        for sample in frame.iter_mut() {
            *sample = nearest(self.synthetic());
        }
        self.remember(frame);
    }

    /// Samples that are remembered.
    fn size(&self) -> usize {
        FRAMES * self.rate.frame()
    }

    fn remember(&mut self, frame: &[i16]) {
        let end = self.oldest + self.rate.frame();
        if let Some(place) = self.heard.get_mut(self.oldest..end) {
            place.copy_from_slice(frame);
        }
        self.oldest = if end >= self.size() { 0 } else { end };
    }

    fn history(&self) -> History {
        let heard = self.heard.get(..self.size()).unwrap_or(&[]);
        let (newer, older) = heard.split_at(self.oldest);
        let mut samples = [0.0; FRAMES * MOST_FRAME];
        for (to, from) in samples.iter_mut().zip(older.iter().chain(newer)) {
            *to = f32::from(*from);
        }
        History {
            samples,
            size: self.size(),
            factor: self.rate.factor(),
        }
    }

    fn begin(&mut self) {
        let history = self.history();
        self.pitch = history.pitch();
        let quarter = self.pitch / 4;
        for n in 0..self.pitch {
            let mut value = history.past(self.pitch - n);
            if let Some(into) = (n + quarter).checked_sub(self.pitch) {
                let weight = (into as f32 + 0.5) / quarter as f32;
                value = value * (1.0 - weight) + history.past(2 * self.pitch - n) * weight;
            }
            if let Some(slot) = self.cycle.get_mut(n) {
                *slot = value;
            }
        }
        self.at = 0;
        self.step = history.past(1) - history.past(self.pitch + 1);
    }

    fn synthetic(&mut self) -> f32 {
        let factor = self.rate.factor();
        let made = self.made as f32;
        let volume = (1.0 - (made - (HOLD * factor) as f32) / (FADE * factor) as f32).clamp(0.0, 1.0);
        let join = self.step * (1.0 - made / (self.pitch as f32 / 4.0)).max(0.0);
        let value = self.cycle.get(self.at).copied().unwrap_or(0.0) + join;
        self.at = if self.at + 1 >= self.pitch { 0 } else { self.at + 1 };
        self.made += 1;
        value * volume
    }
}

/// What was heard last.
struct History {
    samples: [f32; FRAMES * MOST_FRAME],
    size: usize,
    factor: usize,
}

impl History {
    fn past(&self, back: usize) -> f32 {
        let at = self.size.wrapping_sub(back);
        self.samples.get(at).copied().unwrap_or(0.0)
    }

    fn pitch(&self) -> usize {
        let window = WINDOW * self.factor;
        let size = self.size;
        let latest = self.samples.get(size - window..size).unwrap_or(&[]);
        let mut best = (0.0_f32, LONGEST * self.factor);
        for lag in SHORTEST * self.factor..=LONGEST * self.factor {
            let start = size - window - lag;
            let earlier = self.samples.get(start..start + window).unwrap_or(&[]);
            let (mut product, mut energy) = (0.0_f32, 1.0_f32);
            for (a, b) in latest.iter().zip(earlier) {
                product += a * b;
                energy += b * b;
            }
            let score = product / energy.sqrt();
            if score > best.0 {
                best = (score, lag);
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offhook_words::FRAME;
    use proptest::prelude::*;

    fn voice(frame: usize) -> [i16; FRAME] {
        let mut samples = [0; FRAME];
        for (n, sample) in samples.iter_mut().enumerate() {
            let turn = (frame * FRAME + n) as f32 * std::f32::consts::TAU * 125.0 / 8000.0;
            *sample = (6000.0 * turn.sin() + 3000.0 * (2.0 * turn).sin() + 1500.0 * (5.0 * turn).sin()) as i16;
        }
        samples
    }

    #[test]
    fn without_loss_nothing_changes() {
        let mut concealer = Concealer::new(Rate::Narrow);
        for n in 0..10 {
            let mut frame = voice(n);
            concealer.good(&mut frame);
            assert_eq!(frame, voice(n));
        }
    }

    #[test]
    fn a_lost_frame_of_a_steady_voice_is_made_up_closely() {
        let mut concealer = Concealer::new(Rate::Narrow);
        (0..5).for_each(|n| concealer.good(&mut voice(n)));
        let mut made = [0; FRAME];
        concealer.conceal(&mut made);
        let (mut signal, mut noise) = (0.0, 0.0);
        for (made, real) in made[..80].iter().zip(&voice(5)[..80]) {
            signal += f64::from(*real).powi(2);
            noise += (f64::from(*made) - f64::from(*real)).powi(2);
        }
        assert!(10.0 * (signal / noise).log10() > 25.0);
    }

    #[test]
    fn a_long_loss_fades_to_silence_within_60_ms_and_comes_back_whole() {
        let mut concealer = Concealer::new(Rate::Narrow);
        (0..5).for_each(|n| concealer.good(&mut voice(n)));
        let mut made = [0; FRAME];
        for _ in 0..4 {
            concealer.conceal(&mut made);
        }
        assert_eq!(made, [0; FRAME]);
        let mut frame = voice(10);
        concealer.good(&mut frame);
        assert_eq!(frame[80..], voice(10)[80..]);
        let mut frame = voice(11);
        concealer.good(&mut frame);
        assert_eq!(frame, voice(11));
    }

    #[test]
    fn a_voice_at_16_khz_is_made_up_as_closely_and_fades_in_the_same_time() {
        let wide = |frame: usize| -> Vec<i16> {
            let turn = |n: usize| (frame * 320 + n) as f32 * std::f32::consts::TAU * 125.0 / 16_000.0;
            let value = |turn: f32| 6000.0 * turn.sin() + 3000.0 * (2.0 * turn).sin() + 1500.0 * (40.0 * turn).sin();
            (0..320).map(|n| value(turn(n)) as i16).collect()
        };
        let mut concealer = Concealer::new(Rate::Wide);
        (0..5).for_each(|n| concealer.good(&mut wide(n)));
        let mut made = [0; 320];
        concealer.conceal(&mut made);
        let (mut signal, mut noise) = (0.0, 0.0);
        for (made, real) in made[..80].iter().zip(&wide(5)[..80]) {
            signal += f64::from(*real).powi(2);
            noise += (f64::from(*made) - f64::from(*real)).powi(2);
        }
        assert!(10.0 * (signal / noise).log10() > 25.0);
        (0..3).for_each(|_| concealer.conceal(&mut made));
        assert_eq!(made, [0; 320]);
        let mut frame = wide(10);
        concealer.good(&mut frame);
        assert_eq!(frame[160..], wide(10)[160..]);
    }

    proptest! {
        #[test]
        fn any_order_of_losses_keeps_the_volume_of_the_voice(lost in proptest::collection::vec(any::<bool>(), 1..60)) {
            let mut concealer = Concealer::new(Rate::Narrow);
            for (n, lost) in lost.into_iter().enumerate() {
                let mut frame = voice(n);
                if lost { concealer.conceal(&mut frame) } else { concealer.good(&mut frame) }
                prop_assert!(frame.iter().all(|sample| sample.abs() < 13_000));
            }
        }
    }
}
