//! The machine of one leg: what came in, what is going on, what goes out.

use std::hint::black_box;

use offhook_dsp::{SpeechDetector, add_frame, frame_power, saturate};
use offhook_ring::{Decode, Format};
use offhook_words::{EndCause, FRAME, Frame, MOST_FRAME, OperationId, PauseBehavior, Rate, Side};

use crate::digits::{DigitScript, KeyOutput};
use crate::line::{DELAY, HeardLine, SpeechLine};
use crate::player::Player;
use crate::recorder::{Recorder, Settled};
use crate::{FrameSink, FrameSource};

/// Operations of one kind that a leg can have at a time.
pub const MAX_OPERATIONS: usize = 16;

/// Sensitivity of the detector whose speech interrupts a play.
const SENSITIVITY: f32 = 44.0;

/// What came in since the last frame.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The audio of the remote party, as it is heard now. Recordings take it from [`LegMixer::said`].
    pub received: &'a [i16],
    /// Keys it pressed.
    pub digits: &'a [char],
    /// When, in samples of the local clock at 8 kHz: a frame more than in the tick before. Frames that are left out are silent in
    /// recordings, and players wait.
    pub now: u32,
    /// When, in microseconds.
    pub now_us: u64,
    /// Digits are sent as tones.
    pub tones: bool,
}

/// A frame of which the first half was done.
#[derive(Debug)]
pub struct Heard {
    says: Frame,
    adds: Option<Frame>,
    hears: [i32; MOST_FRAME],
    now: u32,
    now_us: u64,
    tones: bool,
}

impl Heard {
    /// What the remote party says, with what is played into it: what others hear of it.
    pub fn says(&self) -> &[i16] {
        &self.says
    }
}

/// What goes out.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// The audio for the remote party.
    pub frame: Frame,
    /// A key, to be sent as an event. Always `None` when digits are sent as tones.
    pub key: KeyOutput,
}

/// What an ended operation held.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "boxing would allocate in the tick")]
pub enum Retired<S, W, T> {
    /// A play.
    Player(Player<S>),
    /// A recording.
    Recorder(Recorder<W>),
    /// Sent digits.
    Digits(DigitScript),
    /// A tap.
    Tap(T),
    /// An echo held nothing.
    Echo,
}

/// What happened in a frame.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "boxing would allocate in the tick")]
pub enum MixEvent<S, W, T> {
    /// The first frame of a play left, or that of a recording was taken.
    Started(OperationId),
    /// An operation ended.
    Ended {
        /// Which.
        id: OperationId,
        /// Why.
        cause: EndCause,
        /// The digit that was the cause.
        digit: Option<char>,
        /// Played, recorded or sent so far, in samples at 8 kHz.
        samples: u64,
        /// When it was added.
        accepted_us: u64,
        /// When its first frame was; 0: never.
        first_frame_us: u64,
        /// What it held.
        retired: Retired<S, W, T>,
    },
}

#[derive(Debug)]
struct Echo {
    id: OperationId,
    accepted_us: u64,
    frames: u64,
    left: u32,
    end: Option<EndCause>,
}

#[derive(Debug)]
struct Tap<T> {
    id: OperationId,
    side: Side,
    sink: T,
    accepted_us: u64,
    frames: u64,
    end: Option<EndCause>,
}

/// All that goes on on a leg.
#[derive(Debug)]
pub struct LegMixer<S, W, T, D: Decode> {
    rate: Rate,
    players: Vec<Player<S>>,
    recorders: Vec<Recorder<W>>,
    echoes: Vec<Echo>,
    scripts: Vec<DigitScript>,
    taps: Vec<Tap<T>>,
    detector: SpeechDetector,
    speech: SpeechLine<D>,
    heard: HeardLine,
    events: Vec<MixEvent<S, W, T>>,
}

impl<S: FrameSource, W: FrameSink, T: FrameSink, D: Decode + Default + Clone> LegMixer<S, W, T, D> {
    /// Nothing goes on yet. All that is given and taken has this rate.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            players: Vec::with_capacity(MAX_OPERATIONS),
            recorders: Vec::with_capacity(MAX_OPERATIONS),
            echoes: Vec::with_capacity(MAX_OPERATIONS),
            scripts: Vec::with_capacity(MAX_OPERATIONS),
            taps: Vec::with_capacity(MAX_OPERATIONS),
            detector: SpeechDetector::new(SENSITIVITY),
            speech: SpeechLine::new(rate),
            heard: HeardLine::new(rate),
            events: Vec::with_capacity(MAX_OPERATIONS),
        }
    }

    /// The rate of all that is given and taken.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Begin a play. `false`: there are too many; it is dropped.
    pub fn add_player(&mut self, player: Player<S>) -> bool {
        push(&mut self.players, player)
    }

    /// Begin a recording, after its beep.
    pub fn add_recorder(&mut self, recorder: Recorder<W>) -> bool {
        push(&mut self.recorders, recorder)
    }

    /// Send digits, after those that are being sent.
    pub fn add_digits(&mut self, script: DigitScript) -> bool {
        push(&mut self.scripts, script)
    }

    /// Send back what is received, for so long.
    pub fn add_echo(&mut self, id: OperationId, timeout_ms: u32, now_us: u64) -> bool {
        let left = timeout_ms.div_ceil(20);
        push(
            &mut self.echoes,
            Echo {
                id,
                accepted_us: now_us,
                frames: 0,
                left,
                end: None,
            },
        )
    }

    /// Give a copy of a side to `sink`, a frame at a time.
    pub fn add_tap(&mut self, id: OperationId, side: Side, sink: T, now_us: u64) -> bool {
        push(
            &mut self.taps,
            Tap {
                id,
                side,
                sink,
                accepted_us: now_us,
                frames: 0,
                end: None,
            },
        )
    }

    /// The sink of a tap.
    pub fn tap_mut(&mut self, id: OperationId) -> Option<&mut T> {
        self.taps.iter_mut().find(|tap| tap.id == id).map(|tap| &mut tap.sink)
    }

    /// All taps.
    pub fn taps_mut(&mut self) -> impl Iterator<Item = (OperationId, &mut T)> {
        self.taps.iter_mut().map(|tap| (tap.id, &mut tap.sink))
    }

    /// Audio of the remote party came; its first code was said at `at`. To be told before the tick `now` in which it came.
    pub fn said(&mut self, at: u32, format: D::Format, codes: &[<D::Format as Format>::Code], now: u32) {
        if !self.recorders.is_empty() {
            self.speech.start(now);
            // Behind many ticks that were left out it may lie further ahead than the line is long.
            let left_out = self.speech.behind(now);
            for _ in 0..self.speech.beyond(at, codes.len()).min(left_out) {
                self.leave_one_out();
            }
            self.speech.insert(at, format, codes);
        }
    }

    /// The stream of the remote party began anew, or another one did: of what is said from now on nothing depends on what was before.
    pub fn begin_anew(&mut self) {
        self.speech.begin_anew();
    }

    /// Reads a little of all that the next tick needs. Memory that other legs have driven out of the cache comes back at once
    /// then, not one piece after another.
    pub fn touch(&self) {
        if !self.recorders.is_empty() {
            self.speech.touch();
            self.heard.touch();
        }
        for player in &self.players {
            black_box((player.frames, player.source.touch()));
        }
        for recorder in &self.recorders {
            black_box((recorder.samples, recorder.sink.touch()));
        }
    }

    /// Pause a play or a recording; others are left alone.
    pub fn pause(&mut self, id: OperationId, behavior: PauseBehavior) {
        self.players
            .iter_mut()
            .filter(|player| player.id == id)
            .for_each(Player::pause);
        self.recorders
            .iter_mut()
            .filter(|recorder| recorder.id == id)
            .for_each(|recorder| recorder.pause(behavior));
    }

    /// Go on with what is paused.
    pub fn resume(&mut self, id: OperationId) {
        self.players
            .iter_mut()
            .filter(|player| player.id == id)
            .for_each(Player::resume);
        self.recorders
            .iter_mut()
            .filter(|recorder| recorder.id == id)
            .for_each(Recorder::resume);
    }

    /// Set the volume of a play.
    pub fn set_volume(&mut self, id: OperationId, volume_db: f32) {
        self.players
            .iter_mut()
            .filter(|player| player.id == id)
            .for_each(|player| player.set_volume(volume_db));
    }

    /// End one operation; silent in the next frame.
    pub fn stop(&mut self, id: OperationId) {
        self.end_where(|other| other == id, EndCause::Stopped);
    }

    /// End everything, at the time of the tick that does not come. The events come with the next [`Self::drain`]; nothing
    /// more is heard.
    pub fn close(&mut self, now: u32) {
        self.leave_out(now);
        self.end_where(|_| true, EndCause::Hangup);
        self.collect_rest();
    }

    fn end_where(&mut self, is_meant: impl Fn(OperationId) -> bool, cause: EndCause) {
        for player in self.players.iter_mut().filter(|player| is_meant(player.id)) {
            player.end(cause, None);
        }
        for recorder in self.recorders.iter_mut().filter(|recorder| is_meant(recorder.id)) {
            recorder.end(cause, None);
        }
        for echo in self.echoes.iter_mut().filter(|echo| is_meant(echo.id)) {
            echo.end = echo.end.or(Some(cause));
        }
        for tap in self.taps.iter_mut().filter(|tap| is_meant(tap.id)) {
            tap.end = tap.end.or(Some(cause));
        }
        while let Some(at) = self.scripts.iter().position(|script| is_meant(script.id)) {
            let script = self.scripts.remove(at);
            self.events.push(ended_digits(script, cause));
        }
    }

    /// Operations that are running.
    pub fn operations(&self) -> usize {
        self.players.len() + self.recorders.len() + self.echoes.len() + self.scripts.len() + self.taps.len()
    }

    /// What happened; call it after each tick.
    pub fn drain(&mut self) -> std::vec::Drain<'_, MixEvent<S, W, T>> {
        self.events.drain(..)
    }

    /// One frame of a leg that is alone.
    pub fn tick(&mut self, input: &Input<'_>) -> Output {
        let heard = self.hear(input);
        self.speak(&heard, &[])
    }

    /// The first half of a frame: what came in, and what is played. All legs that are mixed with each other hear before one of them
    /// speaks, so that each has what the others say in the same frame.
    pub fn hear(&mut self, input: &Input<'_>) -> Heard {
        let is_speech = self.detector.frame(frame_power(input.received));
        for player in &mut self.players {
            input
                .digits
                .iter()
                .for_each(|digit| player.input(Some(*digit), is_speech));
            player.input(None, is_speech);
        }
        for recorder in &mut self.recorders {
            input.digits.iter().for_each(|digit| recorder.input(*digit));
        }
        let mut sums = Sums::new();
        self.play(&mut sums, input.now_us);
        self.echo(&mut sums.hears, input.received);
        let adds = sums.adds.as_ref().map(|adds| saturated(adds, &[], self.rate));
        let mut says = Frame::silent(self.rate);
        says.copy_from_slice(input.received);
        add(&mut says, adds.as_deref());
        Heard {
            says,
            adds,
            hears: sums.hears,
            now: input.now,
            now_us: input.now_us,
            tones: input.tones,
        }
    }

    /// The second half: what goes out. `others` is the sum of what the others say; alone: nothing.
    pub fn speak(&mut self, so_far: &Heard, others: &[i32]) -> Output {
        let mut output = Output {
            frame: saturated(&so_far.hears, others, self.rate),
            key: KeyOutput::None,
        };
        self.send_digits(&mut output, so_far);
        self.record(so_far, &output.frame);
        self.listen(&so_far.says, &output.frame);
        output
    }

    fn play(&mut self, sums: &mut Sums, now_us: u64) {
        let mut frame = Frame::silent(self.rate);
        let mut at = 0;
        while let Some(player) = self.players.get_mut(at) {
            let is_first = player.frames == 0;
            let (is_audible, end) = player.tick(&mut frame, now_us);
            if is_audible {
                if is_first {
                    self.events.push(MixEvent::Started(player.id));
                }
                if player.side.has_heard() {
                    add_frame(&mut sums.hears, &frame);
                }
                if player.side.has_said() {
                    add_frame(sums.adds.get_or_insert([0; MOST_FRAME]), &frame);
                }
            }
            if let Some((cause, digit)) = end {
                let player = self.players.remove(at);
                self.events.push(ended_player(player, cause, digit));
            } else {
                at += 1;
            }
        }
        for recorder in &mut self.recorders {
            if recorder.beep(&mut frame) {
                add_frame(&mut sums.hears, &frame);
            }
        }
    }

    fn echo(&mut self, hears: &mut [i32], received: &[i16]) {
        let mut at = 0;
        while let Some(echo) = self.echoes.get_mut(at) {
            if echo.end.is_none() && echo.left == 0 {
                echo.end = Some(EndCause::Timeout);
            }
            if let Some(cause) = echo.end {
                let echo = self.echoes.remove(at);
                self.events.push(ended_echo(&echo, cause));
                continue;
            }
            add_frame(hears, received);
            echo.left -= 1;
            echo.frames += 1;
            at += 1;
        }
    }

    fn send_digits(&mut self, output: &mut Output, so_far: &Heard) {
        let Some(script) = self.scripts.first_mut() else {
            return;
        };
        let mut tone = Frame::silent(self.rate);
        match script.tick(&mut tone, so_far.now_us) {
            None => {
                let script = self.scripts.remove(0);
                self.events.push(ended_digits(script, EndCause::Finished));
            }
            Some((_, true)) if so_far.tones => output.frame = tone,
            Some((key, true)) => output.key = key,
            Some(_) => {}
        }
    }

    fn record(&mut self, so_far: &Heard, hears: &[i16]) {
        if self.recorders.is_empty() {
            self.speech.stop();
            return;
        }
        self.speech.start(so_far.now);
        self.leave_out(so_far.now);
        self.write_oldest(hears, so_far.adds.as_deref());
        let mut at = 0;
        while let Some(recorder) = self.recorders.get_mut(at) {
            let (is_first, end) = recorder.plan(&so_far.says, hears, so_far.now_us);
            if is_first {
                self.events.push(MixEvent::Started(recorder.id));
            }
            if let Some((cause, digit)) = end {
                let mut recorder = self.recorders.remove(at);
                self.write_rest(&mut recorder);
                self.events.push(ended_recorder(recorder, cause, digit));
            } else {
                at += 1;
            }
        }
    }

    /// The ticks before this one that did not happen: silent, but for what is known of them later.
    fn leave_out(&mut self, now: u32) {
        for _ in 0..self.speech.behind(now) {
            self.leave_one_out();
        }
    }

    fn leave_one_out(&mut self) {
        self.write_oldest(&Frame::silent(self.rate), None);
        self.recorders.iter_mut().for_each(Recorder::skip);
    }

    /// A tick has become old enough: write it. Its place is for the one that is now.
    fn write_oldest(&mut self, hears: &[i16], adds: Option<&[i16]>) {
        let mut said = Frame::silent(self.rate);
        self.speech.advance(&mut said);
        let (old, added) = self.heard.oldest();
        add(&mut said, added);
        for recorder in &mut self.recorders {
            recorder.write_oldest(Settled {
                says: &said,
                hears: old,
            });
        }
        self.heard.push(hears, adds);
    }

    /// A recording is over: write the ticks that would have waited for what comes late.
    fn write_rest(&self, recorder: &mut Recorder<W>) {
        let mut said = [Frame::silent(self.rate); DELAY];
        self.speech.rest(&mut said);
        for (said, (hears, adds)) in said.iter_mut().zip(self.heard.rest()) {
            add(said, adds);
            recorder.write_next(Settled { says: said, hears });
        }
    }

    fn listen(&mut self, says: &[i16], hears: &[i16]) {
        let mut at = 0;
        while let Some(tap) = self.taps.get_mut(at) {
            if let Some(cause) = tap.end {
                let tap = self.taps.remove(at);
                self.events.push(ended_tap(tap, cause));
                continue;
            }
            match tap.side {
                Side::Said => tap.sink.push(says),
                Side::Heard => tap.sink.push(hears),
                Side::Both => {
                    let mut both = Frame::silent(self.rate);
                    both.copy_from_slice(says);
                    for (sample, other) in both.iter_mut().zip(hears) {
                        *sample = sample.saturating_add(*other);
                    }
                    tap.sink.push(&both);
                }
            }
            tap.frames += 1;
            at += 1;
        }
    }

    fn collect_rest(&mut self) {
        for player in self.players.drain(..) {
            self.events.push(ended_player(player, EndCause::Hangup, None));
        }
        while let Some(mut recorder) = self.recorders.pop() {
            self.write_rest(&mut recorder);
            self.events.push(ended_recorder(recorder, EndCause::Hangup, None));
        }
        for echo in self.echoes.drain(..) {
            self.events.push(ended_echo(&echo, EndCause::Hangup));
        }
        for tap in self.taps.drain(..) {
            self.events.push(ended_tap(tap, EndCause::Hangup));
        }
    }
}

/// What is played in a tick: to the remote party, and into what it says. Of a narrow leg the first half is used.
struct Sums {
    hears: [i32; MOST_FRAME],
    adds: Option<[i32; MOST_FRAME]>,
}

impl Sums {
    fn new() -> Self {
        Self {
            hears: [0; MOST_FRAME],
            adds: None,
        }
    }
}

/// The samples of two sums; of the second there may be none.
fn saturated(sums: &[i32; MOST_FRAME], others: &[i32], rate: Rate) -> Frame {
    let mut frame = Frame::silent(rate);
    if others.is_empty() {
        for (sample, sum) in frame.iter_mut().zip(sums) {
            *sample = saturate(*sum);
        }
    } else {
        for ((sample, sum), other) in frame.iter_mut().zip(sums).zip(others) {
            *sample = saturate(sum + other);
        }
    }
    frame
}

/// What is said, with what is played into it.
fn add(said: &mut [i16], adds: Option<&[i16]>) {
    for (sample, other) in said.iter_mut().zip(adds.into_iter().flatten()) {
        *sample = sample.saturating_add(*other);
    }
}

fn push<O>(operations: &mut Vec<O>, operation: O) -> bool {
    let fits = operations.len() < MAX_OPERATIONS;
    if fits {
        operations.push(operation);
    }
    fits
}

fn ended_player<S: FrameSource, W, T>(player: Player<S>, cause: EndCause, digit: Option<char>) -> MixEvent<S, W, T> {
    MixEvent::Ended {
        id: player.id,
        cause,
        digit,
        samples: player.samples(),
        accepted_us: player.accepted_us,
        first_frame_us: player.first_frame_us,
        retired: Retired::Player(player),
    }
}

fn ended_recorder<S, W, T>(recorder: Recorder<W>, cause: EndCause, digit: Option<char>) -> MixEvent<S, W, T> {
    MixEvent::Ended {
        id: recorder.id,
        cause,
        digit,
        samples: recorder.samples,
        accepted_us: recorder.accepted_us,
        first_frame_us: recorder.first_frame_us,
        retired: Retired::Recorder(recorder),
    }
}

fn ended_digits<S, W, T>(script: DigitScript, cause: EndCause) -> MixEvent<S, W, T> {
    MixEvent::Ended {
        id: script.id,
        cause,
        digit: None,
        samples: script.frames * FRAME as u64,
        accepted_us: script.accepted_us,
        first_frame_us: script.first_frame_us,
        retired: Retired::Digits(script),
    }
}

fn ended_echo<S, W, T>(echo: &Echo, cause: EndCause) -> MixEvent<S, W, T> {
    MixEvent::Ended {
        id: echo.id,
        cause,
        digit: None,
        samples: echo.frames * FRAME as u64,
        accepted_us: echo.accepted_us,
        first_frame_us: 0,
        retired: Retired::Echo,
    }
}

fn ended_tap<S, W, T>(tap: Tap<T>, cause: EndCause) -> MixEvent<S, W, T> {
    MixEvent::Ended {
        id: tap.id,
        cause,
        digit: None,
        samples: tap.frames * FRAME as u64,
        accepted_us: tap.accepted_us,
        first_frame_us: 0,
        retired: Retired::Tap(tap.sink),
    }
}
