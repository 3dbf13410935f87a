//! Sending digits: a script of keys and pauses, by events or by tones.

use offhook_dsp::{ToneSequence, ToneStep, dtmf_frequencies};
use offhook_words::{FRAME, OperationId, Rate};

/// Longest script.
pub const MAX_DIGITS: usize = 256;

/// Level of each of the two tones.
const LEVEL_DBM0: f32 = -9.0;

/// What is done with a key in this frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyOutput {
    /// No key is down.
    None,
    /// A key goes down, for so many samples: send its event.
    Press {
        /// Which.
        digit: char,
        /// How long.
        samples: u32,
    },
    /// It is still down.
    Hold,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Key(char),
    Wait(u32),
}

/// Digits on their way out.
#[derive(Debug)]
pub struct DigitScript {
    pub(crate) id: OperationId,
    pub(crate) accepted_us: u64,
    pub(crate) first_frame_us: u64,
    pub(crate) frames: u64,
    steps: Vec<Step>,
    tones: Vec<ToneSequence>,
    at: usize,
    key: usize,
    /// Frames since the step began.
    age: u32,
    key_frames: u32,
    gap_frames: u32,
}

impl DigitScript {
    /// `0-9 * # A-D`, `w` waits 0.5 s, `W` 1 s. `None`: another character, none, or too many.
    pub fn new(
        id: OperationId,
        rate: Rate,
        digits: &str,
        duration_ms: u32,
        gap_ms: u32,
        accepted_us: u64,
    ) -> Option<Self> {
        if digits.is_empty() || digits.len() > MAX_DIGITS {
            return None;
        }
        let (key_frames, gap_frames) = (duration_ms.div_ceil(20).max(1), gap_ms.div_ceil(20).max(1));
        let mut steps = Vec::with_capacity(digits.len());
        let mut tones = Vec::new();
        for digit in digits.chars() {
            match digit {
                'w' => steps.push(Step::Wait(25)),
                'W' => steps.push(Step::Wait(50)),
                _ => {
                    let frequencies = dtmf_frequencies(digit)?;
                    steps.push(Step::Key(digit.to_ascii_uppercase()));
                    let step = ToneStep::new(rate, key_frames * 20, &frequencies, LEVEL_DBM0);
                    tones.push(ToneSequence::new(rate, vec![step], 0));
                }
            }
        }
        Some(Self {
            id,
            accepted_us,
            first_frame_us: 0,
            frames: 0,
            steps,
            tones,
            at: 0,
            key: 0,
            age: 0,
            key_frames,
            gap_frames,
        })
    }

    /// The next frame: what to do with the key, and whether `frame` holds its tone. `None`: all is sent.
    pub(crate) fn tick(&mut self, frame: &mut [i16], now_us: u64) -> Option<(KeyOutput, bool)> {
        let step = *self.steps.get(self.at)?;
        if self.frames == 0 {
            self.first_frame_us = now_us;
        }
        self.frames += 1;
        let age = self.age;
        let last = match step {
            Step::Wait(frames) => frames,
            Step::Key(_) => self.key_frames + self.gap_frames,
        };
        self.age += 1;
        if self.age >= last {
            self.age = 0;
            self.at += 1;
        }
        let Step::Key(digit) = step else {
            return Some((KeyOutput::None, false));
        };
        if age >= self.key_frames {
            return Some((KeyOutput::None, false));
        }
        if let Some(tone) = self.tones.get_mut(self.key) {
            tone.fill(frame);
        }
        if age + 1 == self.key_frames {
            self.key += 1;
        }
        let samples = self.key_frames * FRAME as u32;
        let output = if age == 0 {
            KeyOutput::Press { digit, samples }
        } else {
            KeyOutput::Hold
        };
        Some((output, true))
    }
}
