//! One recording: which side, when it ends, and what a pause does.

use offhook_dsp::{SpeechDetector, ToneSequence, ToneStep, frame_power};
use offhook_words::{EndCause, FRAME, MOST_FRAME, OperationId, PauseBehavior, Rate, Side};

use crate::FrameSink;
use crate::line::DELAY;

/// The beep before a recording: 1 kHz, 300 ms.
const BEEP: (u32, f32, f32) = (300, 1000.0, -13.0);

/// What is heard before a recording that is to begin with a beep.
pub fn record_beep(rate: Rate) -> ToneSequence {
    let (duration_ms, hz, level) = BEEP;
    ToneSequence::new(rate, vec![ToneStep::new(rate, duration_ms, &[hz], level)], 0)
}

/// When a recording ends by itself. 0 is never.
#[derive(Debug, Clone, Default)]
pub struct RecorderLimits {
    /// Nobody spoke for so long from the start.
    pub initial_timeout_ms: u32,
    /// So much silence after speech.
    pub end_silence_timeout_ms: u32,
    /// So much was recorded.
    pub max_length_ms: u32,
    /// Any of these digits.
    pub terminators: String,
    /// Of the speech detector, 0-100.
    pub sensitivity: f32,
}

/// What a recording takes of a tick, once that is old enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Span {
    #[default]
    Nothing,
    Silence(u8),
    Sound(u8),
}

/// What both sides said in a tick, old enough to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settled<'a> {
    pub(crate) says: &'a [i16],
    pub(crate) hears: &'a [i16],
}

/// A recording.
#[derive(Debug)]
pub struct Recorder<W> {
    pub(crate) id: OperationId,
    pub(crate) sink: W,
    pub(crate) accepted_us: u64,
    pub(crate) first_frame_us: u64,
    pub(crate) samples: u64,
    side: Side,
    is_stereo: bool,
    beep: Option<ToneSequence>,
    limits: RecorderLimits,
    detector: SpeechDetector,
    has_spoken: bool,
    frames: u32,
    quiet_frames: u32,
    paused: Option<PauseBehavior>,
    /// Of the ticks that are not written yet; the oldest is at `at`.
    spans: [Span; DELAY],
    at: usize,
    end: Option<(EndCause, Option<char>)>,
}

impl<W: FrameSink> Recorder<W> {
    /// Stereo: left is what the remote party says, right what it hears. `beep` is heard first.
    pub fn new(
        id: OperationId,
        sink: W,
        side: Side,
        is_stereo: bool,
        beep: Option<ToneSequence>,
        limits: RecorderLimits,
        accepted_us: u64,
    ) -> Self {
        Self {
            id,
            sink,
            accepted_us,
            first_frame_us: 0,
            samples: 0,
            side,
            is_stereo,
            beep,
            detector: SpeechDetector::new(limits.sensitivity),
            limits,
            has_spoken: false,
            frames: 0,
            quiet_frames: 0,
            paused: None,
            spans: [Span::Nothing; DELAY],
            at: 0,
            end: None,
        }
    }

    /// Where its samples go.
    pub fn sink(&self) -> &W {
        &self.sink
    }

    pub(crate) fn end(&mut self, cause: EndCause, digit: Option<char>) {
        self.end = self.end.or(Some((cause, digit)));
    }

    pub(crate) fn pause(&mut self, behavior: PauseBehavior) {
        self.paused = Some(behavior);
    }

    pub(crate) fn resume(&mut self) {
        self.paused = None;
    }

    /// A tick that did not happen: both sides are silent in it, but for what is known of them later. What ended the recording
    /// since then came after it.
    pub(crate) fn skip(&mut self) {
        let is_running = self.first_frame_us > 0;
        let span = match self.paused {
            Some(PauseBehavior::Silence) if is_running => Span::Silence(self.take()),
            None if is_running => Span::Sound(self.take()),
            _ => Span::Nothing,
        };
        self.push(span);
    }

    pub(crate) fn input(&mut self, digit: char) {
        if self.beep.is_none() && self.limits.terminators.contains(digit) {
            self.end(EndCause::Terminator, Some(digit));
        }
    }

    /// The beep, while it sounds.
    pub(crate) fn beep(&mut self, frame: &mut [i16]) -> bool {
        let Some(beep) = &mut self.beep else {
            return false;
        };
        let sounds = beep.fill(frame) > 0;
        if !sounds {
            self.beep = None;
        }
        sounds
    }

    /// What to take of a tick of both sides; it is written when it is old enough. Gives whether it was the first, and how the recording
    /// ended if it did.
    pub(crate) fn plan(
        &mut self,
        says: &[i16],
        hears: &[i16],
        now_us: u64,
    ) -> (bool, Option<(EndCause, Option<char>)>) {
        if self.beep.is_some() || self.end.is_some() {
            self.push(Span::Nothing);
            return (false, self.end);
        }
        let is_first = self.first_frame_us == 0;
        if is_first {
            self.first_frame_us = now_us;
        }
        let span = match self.paused {
            Some(PauseBehavior::Skip) => Span::Nothing,
            Some(PauseBehavior::Silence) => Span::Silence(self.take()),
            None => {
                let span = Span::Sound(self.take());
                if self.is_watching() {
                    self.watch(says, hears);
                }
                span
            }
        };
        self.push(span);
        if self.limits.max_length_ms > 0 && self.samples >= u64::from(self.limits.max_length_ms) * 8 {
            self.end(EndCause::MaxLength, None);
        }
        (is_first, self.end)
    }

    /// Count the samples of a tick, at 8 kHz; the last may be cut.
    fn take(&mut self) -> u8 {
        let room = match self.limits.max_length_ms {
            0 => FRAME as u64,
            most => (u64::from(most) * 8).saturating_sub(self.samples),
        };
        let count = room.min(FRAME as u64);
        self.samples += count;
        count as u8
    }

    fn push(&mut self, span: Span) {
        if let Some(slot) = self.spans.get_mut(self.at) {
            *slot = span;
        }
        self.at = (self.at + 1) % DELAY;
    }

    /// Write the oldest tick that is not written yet. Comes before the tick that takes its place.
    pub(crate) fn write_oldest(&mut self, settled: Settled<'_>) {
        let span = self.spans.get_mut(self.at).map(std::mem::take);
        self.write(span.unwrap_or_default(), settled);
    }

    /// The same when the recording is over and no tick takes its place.
    pub(crate) fn write_next(&mut self, settled: Settled<'_>) {
        self.write_oldest(settled);
        self.at = (self.at + 1) % DELAY;
    }

    fn write(&mut self, span: Span, settled: Settled<'_>) {
        let silent = [0; MOST_FRAME];
        let silent = silent.get(..settled.says.len()).unwrap_or(&silent);
        let (says, hears, count) = match span {
            Span::Nothing => return,
            Span::Silence(count) => (silent, silent, count),
            Span::Sound(count) => (
                if self.side.has_said() { settled.says } else { silent },
                if self.side.has_heard() { settled.hears } else { silent },
                count,
            ),
        };
        let mut samples = [0; MOST_FRAME * 2];
        let pairs = says.iter().zip(hears);
        if self.is_stereo {
            for ([left, right], (says, hears)) in samples.as_chunks_mut::<2>().0.iter_mut().zip(pairs) {
                (*left, *right) = (*says, *hears);
            }
        } else {
            for (to, (says, hears)) in samples.iter_mut().zip(pairs) {
                *to = says.saturating_add(*hears);
            }
        }
        let channels = if self.is_stereo { 2 } else { 1 };
        let count = usize::from(count) * Rate::of_frame(settled.says.len()).factor() * channels;
        self.sink.push(samples.get(..count).unwrap_or(&[]));
    }

    fn is_watching(&self) -> bool {
        self.limits.initial_timeout_ms > 0 || self.limits.end_silence_timeout_ms > 0
    }

    fn watch(&mut self, says: &[i16], hears: &[i16]) {
        self.frames += 1;
        let says = if self.side.has_said() { says } else { &[] };
        let hears = if self.side.has_heard() { hears } else { &[] };
        let is_speech = self.detector.frame(frame_power(says).max(frame_power(hears)));
        self.has_spoken |= is_speech;
        self.quiet_frames = match (self.has_spoken, is_speech) {
            (false, _) => 0,
            (true, true) => self.detector.quiet_frames(),
            (true, false) => self.quiet_frames + 1,
        };
        let reached = |frames: u32, limit_ms: u32| limit_ms > 0 && frames * 20 >= limit_ms;
        if !self.has_spoken && reached(self.frames, self.limits.initial_timeout_ms) {
            self.end(EndCause::NoInput, None);
        }
        if reached(self.quiet_frames, self.limits.end_silence_timeout_ms) {
            self.end(EndCause::Silence, None);
        }
    }
}
