//! One play: a source with volume, pause, and what interrupts it.

use offhook_dsp::{Gain, decibels_to_factor};
use offhook_words::{EndCause, FRAME, Frame, Interrupt, OperationId, Rate, Side};

use crate::{FrameSource, Supply};

/// A first sample up to here needs no ramp.
const QUIET_START: u16 = 1000;

/// A play.
#[derive(Debug)]
pub struct Player<S> {
    pub(crate) id: OperationId,
    pub(crate) side: Side,
    pub(crate) source: S,
    pub(crate) accepted_us: u64,
    pub(crate) first_frame_us: u64,
    pub(crate) frames: u64,
    gain: Gain,
    factor: f32,
    interrupt: Interrupt,
    was_quiet: bool,
    is_paused: bool,
    /// The frame that was faded out by a pause; it is played again when that is over.
    held: Option<Frame>,
    end: Option<(EndCause, Option<char>)>,
}

impl<S: FrameSource> Player<S> {
    /// `volume_db` -40 (mute) to 40.
    pub fn new(id: OperationId, source: S, side: Side, volume_db: f32, interrupt: Interrupt, accepted_us: u64) -> Self {
        let factor = decibels_to_factor(volume_db);
        Self {
            id,
            side,
            source,
            accepted_us,
            first_frame_us: 0,
            frames: 0,
            gain: Gain::rising_to(factor),
            factor,
            interrupt,
            was_quiet: false,
            is_paused: false,
            held: None,
            end: None,
        }
    }

    /// Where its samples come from.
    pub fn source(&self) -> &S {
        &self.source
    }

    pub(crate) fn set_volume(&mut self, volume_db: f32) {
        self.factor = decibels_to_factor(volume_db);
        if !self.is_paused && self.end.is_none() {
            self.gain.set(self.factor);
        }
    }

    pub(crate) fn pause(&mut self) {
        self.is_paused = true;
        self.gain.set(0.0);
    }

    pub(crate) fn resume(&mut self) {
        self.is_paused = false;
        self.gain.set(self.factor);
    }

    /// End it: what is audible fades within this frame.
    pub(crate) fn end(&mut self, cause: EndCause, digit: Option<char>) {
        if self.end.is_none() {
            self.end = Some((cause, digit));
            self.gain.set(0.0);
        }
    }

    /// An input came; it may be what was to interrupt.
    pub(crate) fn input(&mut self, digit: Option<char>, is_speech: bool) {
        if self.interrupt.digit && digit.is_some() {
            self.end(EndCause::Interrupted, digit);
        }
        if self.interrupt.speech && is_speech && self.was_quiet {
            self.end(EndCause::Interrupted, None);
        }
        self.was_quiet |= !is_speech;
    }

    /// The frame to be heard, and how it ended if it did.
    pub(crate) fn tick(&mut self, frame: &mut [i16], now_us: u64) -> (bool, Option<(EndCause, Option<char>)>) {
        let is_silent = self.gain.is_silent() || self.frames == 0;
        if is_silent && (self.is_paused || self.end.is_some()) {
            return (false, self.end);
        }
        if !self.next_frame(frame) {
            return (false, self.end);
        }
        if self.frames == 0 {
            self.first_frame_us = now_us;
            if frame.first().is_some_and(|sample| sample.unsigned_abs() <= QUIET_START) {
                self.gain = Gain::steady(self.factor);
            }
        }
        self.frames += 1;
        if self.is_paused {
            let mut held = Frame::silent(Rate::of_frame(frame.len()));
            held.copy_from_slice(frame);
            self.held = Some(held);
        }
        self.gain.apply(frame);
        (true, self.end)
    }

    fn next_frame(&mut self, frame: &mut [i16]) -> bool {
        if let Some(held) = self.held.take() {
            frame.copy_from_slice(&held);
            return true;
        }
        let cause = match self.source.pull(frame) {
            Supply::Frame => return true,
            Supply::Starved => return false,
            Supply::Ended => EndCause::Finished,
            Supply::Failed => EndCause::Error,
        };
        if self.end.is_none() {
            self.end = Some((cause, None));
        }
        false
    }

    /// At 8 kHz.
    pub(crate) fn samples(&self) -> u64 {
        self.frames * FRAME as u64
    }
}
