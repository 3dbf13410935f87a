//! A leg on virtual time.

use offhook_test_support::Linear;
use offhook_words::{FRAME, Interrupt, PauseBehavior, Rate, Side};
use proptest::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

use super::*;

/// So many frames of one level.
struct Level {
    value: i16,
    left: u32,
}

impl FrameSource for Level {
    fn pull(&mut self, frame: &mut [i16]) -> Supply {
        if self.left == 0 {
            return Supply::Ended;
        }
        self.left -= 1;
        frame.fill(self.value);
        Supply::Frame
    }
}

#[derive(Default, Clone)]
struct Tape(Rc<RefCell<Vec<i16>>>);

impl FrameSink for Tape {
    fn push(&mut self, samples: &[i16]) {
        self.0.borrow_mut().extend(samples);
    }
}

type Mixer = LegMixer<Level, Tape, Tape, Linear>;

struct Leg {
    mixer: Mixer,
    now: u64,
    log: Vec<String>,
    tones: bool,
}

impl Leg {
    fn new() -> Self {
        Self::at(Rate::Narrow)
    }

    fn at(rate: Rate) -> Self {
        Self {
            mixer: Mixer::new(rate),
            now: 1,
            log: Vec::new(),
            tones: false,
        }
    }

    /// A tick in which this was heard, and in which the same was said at this very time.
    fn hear(&mut self, received: i16, digits: &[char]) -> Output {
        let now = self.now as u32 * 160;
        self.mixer.said(now, Linear, &[received; FRAME], now);
        self.tick(received, digits)
    }

    fn tick(&mut self, received: i16, digits: &[char]) -> Output {
        let frame = vec![received; self.mixer.rate().frame()];
        let input = Input {
            received: &frame,
            digits,
            now: self.now as u32 * 160,
            now_us: self.now * 20_000,
            tones: self.tones,
        };
        let output = self.mixer.tick(&input);
        self.now += 1;
        for event in self.mixer.drain() {
            self.log.push(match event {
                MixEvent::Started(id) => format!("{id} started"),
                MixEvent::Ended {
                    id,
                    cause,
                    digit,
                    samples,
                    ..
                } => {
                    let digit = digit.map(|digit| format!(" {digit}")).unwrap_or_default();
                    format!("{id} {}{digit} {}", cause.as_str(), samples / 8)
                }
            });
        }
        output
    }

    fn end(&mut self, id: u64) {
        self.mixer.stop(id);
        self.quiet(1);
    }

    fn hear_for(&mut self, frames: u32, received: i16) {
        for _ in 0..frames {
            self.hear(received, &[]);
        }
    }

    fn quiet(&mut self, frames: u32) -> Vec<Output> {
        (0..frames).map(|_| self.hear(0, &[])).collect()
    }

    fn play(&mut self, id: u64, value: i16, frames: u32, interrupt: Interrupt) {
        self.mixer.add_player(Player::new(
            id,
            Level { value, left: frames },
            Side::Heard,
            0.0,
            interrupt,
            self.now,
        ));
    }

    fn record(&mut self, id: u64, side: Side, stereo: bool, beep: bool, limits: RecorderLimits) -> Tape {
        let tape = Tape::default();
        self.mixer.add_recorder(Recorder::new(
            id,
            tape.clone(),
            side,
            stereo,
            beep.then(|| record_beep(self.mixer.rate())),
            limits,
            self.now,
        ));
        tape
    }
}

const NONE: Interrupt = Interrupt {
    digit: false,
    speech: false,
};
const ANY: Interrupt = Interrupt {
    digit: true,
    speech: true,
};

fn limits() -> RecorderLimits {
    RecorderLimits {
        sensitivity: 44.0,
        ..RecorderLimits::default()
    }
}

fn is_silent(output: &Output) -> bool {
    output.frame == [0; FRAME]
}

#[test]
fn a_play_starts_with_its_first_frame_and_finishes_after_its_last() {
    let mut leg = Leg::new();
    leg.play(1, 500, 3, NONE);
    let heard = leg.quiet(4);
    assert!(heard[..3].iter().all(|output| output.frame == [500; FRAME]));
    assert!(is_silent(&heard[3]));
    assert_eq!(leg.log, ["1 started", "1 finished 60"]);
}

#[test]
fn a_stop_is_silent_one_tick_later_and_fades_in_its_own() {
    let mut leg = Leg::new();
    leg.play(1, 900, 100, NONE);
    leg.quiet(2);
    leg.mixer.stop(1);
    let heard = leg.quiet(2);
    assert!(heard[0].frame[40..].iter().all(|sample| *sample == 0));
    assert!(is_silent(&heard[1]));
    assert_eq!(leg.log.last().unwrap(), "1 stopped 60");
}

#[test]
fn plays_overlap_and_saturate() {
    let mut leg = Leg::new();
    leg.play(1, 900, 9, NONE);
    leg.play(2, 800, 9, NONE);
    leg.quiet(1);
    assert_eq!(leg.quiet(1)[0].frame, [1700; FRAME]);
    for id in 3..6 {
        leg.play(id, 20_000, 9, NONE);
    }
    leg.quiet(1);
    assert_eq!(leg.quiet(1)[0].frame, [i16::MAX; FRAME]);
}

#[test]
fn pause_holds_the_place_and_resume_goes_on_from_it() {
    let mut leg = Leg::new();
    leg.play(1, 900, 4, NONE);
    leg.quiet(2);
    leg.mixer.pause(1, PauseBehavior::Skip);
    let heard = leg.quiet(50);
    assert!(heard[1..].iter().all(is_silent));
    leg.mixer.resume(1);
    let heard = leg.quiet(3);
    assert_eq!(heard[0].frame[40..], [900; 120]);
    assert_eq!(heard[1].frame, [900; FRAME]);
    assert_eq!(leg.log, ["1 started", "1 finished 100"]);
}

#[test]
fn volume_moves_without_a_step() {
    let mut leg = Leg::new();
    leg.play(1, 1000, 10, NONE);
    leg.quiet(1);
    leg.mixer.set_volume(1, -6.0206);
    let frame = leg.quiet(1)[0].frame;
    assert!(frame.windows(2).all(|pair| (pair[0] - pair[1]).abs() <= 15));
    assert_eq!(leg.quiet(1)[0].frame, [500; FRAME]);
}

#[test]
fn a_digit_interrupts_in_its_own_tick_and_the_event_names_it() {
    let mut leg = Leg::new();
    leg.play(1, 900, 100, ANY);
    leg.play(2, 900, 100, NONE);
    leg.quiet(3);
    let output = leg.hear(0, &['7']);
    assert_eq!(output.frame[40..], [900; 120]);
    assert_eq!(leg.log.last().unwrap(), "1 interrupted 7 80");
}

#[test]
fn speech_interrupts_when_it_begins_and_not_when_it_was_there_before() {
    let mut leg = Leg::new();
    leg.hear_for(10, 6000);
    leg.play(1, 900, 100, ANY);
    leg.hear_for(10, 6000);
    assert_eq!(leg.log, ["1 started"]);
    leg.quiet(20);
    leg.hear_for(3, 6000);
    assert_eq!(leg.log.last().unwrap(), "1 interrupted 660");
}

#[test]
fn a_recording_ends_by_length_to_the_sample() {
    let mut leg = Leg::new();
    let tape = leg.record(
        1,
        Side::Said,
        false,
        false,
        RecorderLimits {
            max_length_ms: 50,
            ..limits()
        },
    );
    leg.hear_for(5, 300);
    assert_eq!(*tape.0.borrow(), [300; 400]);
    assert_eq!(leg.log, ["1 started", "1 max_length 50"]);
}

#[test]
fn a_recording_waits_for_its_beep_which_is_heard_and_not_recorded() {
    let mut leg = Leg::new();
    let tape = leg.record(1, Side::Both, false, true, limits());
    let heard = leg.quiet(15);
    assert!(heard.iter().all(|output| !is_silent(output)));
    assert!(leg.log.is_empty() && tape.0.borrow().is_empty());
    leg.quiet(2);
    assert_eq!(leg.log, ["1 started"]);
    leg.end(1);
    assert_eq!(tape.0.borrow().len(), 320);
    assert!(tape.0.borrow().iter().all(|sample| *sample == 0));
}

#[test]
fn stereo_has_what_is_said_left_and_what_is_heard_right_on_one_time_line() {
    let mut leg = Leg::new();
    leg.play(9, 700, 100, NONE);
    leg.quiet(1);
    let tape = leg.record(1, Side::Both, true, false, limits());
    let mono = leg.record(2, Side::Both, false, false, limits());
    leg.hear(40, &[]);
    leg.end(1);
    leg.end(2);
    assert_eq!(tape.0.borrow()[..4], [40, 700, 40, 700]);
    assert_eq!(tape.0.borrow().len(), 320);
    assert_eq!(mono.0.borrow()[..160], [740; 160]);
}

#[test]
fn a_paused_recording_is_cut_or_filled_with_silence() {
    for (behavior, expected) in [(PauseBehavior::Skip, 320), (PauseBehavior::Silence, 960)] {
        let mut leg = Leg::new();
        let tape = leg.record(1, Side::Said, false, false, limits());
        leg.hear(300, &[]);
        leg.mixer.pause(1, behavior);
        leg.hear_for(4, 300);
        leg.mixer.resume(1);
        leg.hear(300, &[]);
        leg.end(1);
        let tape = tape.0.borrow();
        assert_eq!(tape.len(), expected);
        assert_eq!(tape.iter().filter(|sample| **sample == 300).count(), 320);
    }
}

/// Recordings of all kinds, and how they ended; each sample of 8 kHz is there once, as all that it became are the same.
fn of_all_kinds(rate: Rate) -> (Vec<String>, Vec<Vec<i16>>) {
    let mut leg = Leg::at(rate);
    leg.play(9, 700, 300, NONE);
    leg.quiet(1);
    let cut = RecorderLimits {
        max_length_ms: 1234,
        ..limits()
    };
    let silence = RecorderLimits {
        end_silence_timeout_ms: 601,
        ..limits()
    };
    let first = [
        (1, leg.record(1, Side::Said, false, false, cut.clone())),
        (2, leg.record(2, Side::Both, true, true, cut)),
        (1, leg.record(3, Side::Said, false, false, silence)),
    ];
    // The beep of the second is over, which all others would have.
    leg.hear_for(20, 6000);
    let second = [
        (2, leg.record(4, Side::Heard, true, false, limits())),
        (2, leg.record(5, Side::Said, true, false, limits())),
    ];
    leg.hear_for(20, 6000);
    leg.mixer.pause(4, PauseBehavior::Silence);
    leg.mixer.pause(5, PauseBehavior::Skip);
    leg.hear_for(7, 6000);
    leg.mixer.resume(4);
    leg.mixer.resume(5);
    leg.hear_for(100, 0);
    // Three ticks do not happen, and the last ends all.
    leg.now += 3;
    leg.mixer.close(leg.now as u32 * 160);
    leg.quiet(1);
    let recorded = first.iter().chain(&second).map(|(channels, tape)| {
        let tape = tape.0.borrow();
        let codes = tape.chunks(channels * rate.factor());
        let code = |samples: &[i16]| {
            let (first, others) = samples.split_at(*channels);
            assert!(others.is_empty() || first == others);
            first.to_vec()
        };
        codes.flat_map(code).collect()
    });
    let recorded = recorded.collect();
    (leg.log, recorded)
}

#[test]
fn a_wide_recording_ends_where_a_narrow_one_does_with_twice_the_samples() {
    let (log, narrow) = of_all_kinds(Rate::Narrow);
    let lengths: Vec<usize> = narrow.iter().map(Vec::len).collect();
    let (whole, without_pause) = (130 * FRAME * 2, 123 * FRAME * 2);
    let ended = (47 + 31) * FRAME;
    assert_eq!(lengths, [1234 * 8, 1234 * 16, ended, whole, without_pause]);
    assert_eq!(of_all_kinds(Rate::Wide), (log, narrow));
}

#[test]
fn a_terminator_ends_a_recording_and_other_digits_do_not() {
    let mut leg = Leg::new();
    leg.record(
        1,
        Side::Said,
        false,
        false,
        RecorderLimits {
            terminators: "#*".into(),
            ..limits()
        },
    );
    leg.quiet(1);
    leg.hear(0, &['5']);
    leg.hear(0, &['#']);
    assert_eq!(leg.log, ["1 started", "1 terminator # 40"]);
}

#[test]
fn nobody_speaks_and_silence_after_speech_have_their_own_time_outs() {
    let mut leg = Leg::new();
    let both = RecorderLimits {
        initial_timeout_ms: 1000,
        end_silence_timeout_ms: 600,
        ..limits()
    };
    leg.record(1, Side::Said, false, false, both.clone());
    leg.quiet(60);
    assert_eq!(leg.log, ["1 started", "1 no_input 1000"]);
    leg.record(2, Side::Said, false, false, both);
    leg.hear_for(50, 6000);
    leg.quiet(60);
    assert_eq!(leg.log[2..], ["2 started", "2 silence 1600"]);
}

#[test]
fn echo_sends_back_what_is_received_until_its_time_is_over() {
    let mut leg = Leg::new();
    leg.mixer.add_echo(1, 60, 0);
    let heard: Vec<_> = (1..6).map(|n| leg.hear(n * 100, &[]).frame).collect();
    assert_eq!(
        heard,
        [[100; FRAME], [200; FRAME], [300; FRAME], [0; FRAME], [0; FRAME]]
    );
    assert_eq!(leg.log, ["1 timeout 60"]);
}

#[test]
fn digits_go_out_as_events_with_their_gaps_and_waits() {
    let mut leg = Leg::new();
    leg.mixer
        .add_digits(DigitScript::new(1, Rate::Narrow, "1w#", 60, 40, 0).unwrap());
    let keys: Vec<KeyOutput> = leg.quiet(36).into_iter().map(|output| output.key).collect();
    let press = |digit| KeyOutput::Press { digit, samples: 480 };
    assert_eq!(
        keys[..5],
        [
            press('1'),
            KeyOutput::Hold,
            KeyOutput::Hold,
            KeyOutput::None,
            KeyOutput::None
        ]
    );
    assert!(keys[5..30].iter().all(|key| *key == KeyOutput::None));
    assert_eq!(keys[30], press('#'));
    assert_eq!(leg.log, ["1 finished 700"]);
}

#[test]
fn digits_as_tones_are_recognised_by_the_detector() {
    let mut leg = Leg::new();
    leg.tones = true;
    leg.mixer
        .add_digits(DigitScript::new(1, Rate::Narrow, "159D", 60, 60, 0).unwrap());
    let mut detector = offhook_dsp::DtmfDetector::default();
    let heard: String = leg
        .quiet(40)
        .iter()
        .filter_map(|output| detector.frame(&output.frame))
        .collect();
    assert_eq!(heard, "159D");
}

#[test]
fn digits_that_do_not_exist_are_refused() {
    for digits in ["", "12x", &"1".repeat(MAX_DIGITS + 1)] {
        assert!(
            DigitScript::new(1, Rate::Narrow, digits, 100, 100, 0).is_none(),
            "{digits}"
        );
    }
}

#[test]
fn a_tap_hears_its_side() {
    let mut leg = Leg::new();
    leg.play(9, 700, 100, NONE);
    leg.quiet(1);
    let tape = Tape::default();
    leg.mixer.add_tap(3, Side::Heard, tape.clone(), 0);
    leg.hear(5, &[]);
    leg.mixer.stop(3);
    leg.hear(5, &[]);
    assert_eq!(*tape.0.borrow(), [700; FRAME]);
    assert_eq!(leg.log.last().unwrap(), "3 stopped 20");
}

/// Packets of a voice that says 1, 2, 3 ... in frames; given those that come in each tick, the speech channel and its length.
fn recorded(ticks: u32, arrivals: impl Fn(u32) -> Vec<u32>) -> Vec<i16> {
    let mut leg = Leg::new();
    let tape = leg.record(1, Side::Both, true, false, limits());
    for tick in 1..=ticks {
        for n in arrivals(tick) {
            let at = n * 160 - 80;
            leg.mixer.said(at, Linear, &[n as i16 * 10; FRAME], tick * 160);
        }
        leg.tick(30_000, &[]);
    }
    leg.end(1);
    let tape = tape.0.borrow();
    assert_eq!(tape.len(), ticks as usize * 320);
    tape.chunks(2).map(|pair| pair[0]).collect()
}

/// Sample `at` of the recording was said half a frame after its tick began.
fn said_at(at: usize) -> i16 {
    i16::try_from((at + 160 + 80) / 160).unwrap() * 10
}

#[test]
fn what_was_said_lies_at_its_own_time_however_late_it_came() {
    let steady = recorded(40, |tick| vec![tick]);
    let expected: Vec<i16> = (0..40 * 160).map(said_at).collect();
    // The last half frame was still under way.
    assert_eq!(steady[..39 * 160 + 80], expected[..39 * 160 + 80]);
    assert_eq!(steady[39 * 160 + 80..], [0; 80]);
    // Between 0 and 180 ms late, in any order, and each of them twice.
    let late = |n: u32| n.wrapping_mul(2_654_435_761) >> 16 & 0xffff_u32;
    let jittery = recorded(60, |tick| {
        let came = (1..60).filter(|n| n + late(*n) % 10 == tick);
        came.clone().chain(came).collect()
    });
    let expected: Vec<i16> = (0..45 * 160).map(said_at).collect();
    assert_eq!(jittery[80..45 * 160], expected[80..]);
}

#[test]
fn packets_of_any_length_are_recorded_without_a_jump_between_them() {
    let value = |at: u32| (at % 5000) as i16 + 100;
    for size in [1_u32, 7, 157, 163, 333, 1600, 2000] {
        let mut leg = Leg::new();
        let tape = leg.record(1, Side::Said, false, false, limits());
        let mut sent = 0;
        for tick in 1..=60_u32 {
            while sent + size <= tick * 160 {
                let samples: Vec<i16> = (sent..sent + size).map(value).collect();
                leg.mixer.said(2003 + sent, Linear, &samples, tick * 160);
                sent += size;
            }
            leg.tick(30_000, &[]);
        }
        leg.end(1);
        let tape = tape.0.borrow();
        // Speech begins out of silence, faded in.
        let start = tape.iter().position(|sample| *sample != 0).unwrap() + 40;
        let heard = &tape[start..start + 6000];
        let jumps = heard
            .windows(2)
            .filter(|pair| pair[1] != pair[0] + 1 && pair[1] != 100)
            .count();
        assert_eq!(jumps, 0, "packets of {size}");
    }
}

#[test]
fn a_recording_is_as_long_as_its_ticks_with_what_was_lost_concealed_and_what_was_not_said_silent() {
    let lossy = recorded(40, |tick| if tick == 20 { vec![] } else { vec![tick] });
    let gap = 19 * 160 - 80..20 * 160 - 80;
    assert!(
        lossy[gap.clone()].iter().all(|sample| (130..=230).contains(sample)),
        "{:?}",
        &lossy[gap]
    );
    assert_eq!(lossy[21 * 160], said_at(21 * 160));
    let paused = recorded(40, |tick| if tick > 20 { vec![] } else { vec![tick] });
    assert!(paused[20 * 160 - 80..].iter().all(|sample| *sample == 0));
    assert_eq!(paused[20 * 160 - 81], 200);
}

#[test]
fn ticks_that_were_left_out_are_on_the_time_line() {
    let mut leg = Leg::new();
    let tape = leg.record(1, Side::Both, true, false, limits());
    leg.play(2, 900, 500, NONE);
    for _ in 0..15 {
        leg.hear(50, &[]);
    }
    // Half a second in which nothing ran; what was said meanwhile comes at once.
    let now = (leg.now as u32 + 25) * 160;
    for n in leg.now as u32..leg.now as u32 + 25 {
        leg.mixer.said(n * 160, Linear, &[60; FRAME], now);
    }
    leg.now += 25;
    leg.hear_for(20, 70);
    leg.end(1);
    let tape = tape.0.borrow();
    assert_eq!(tape.len(), (15 + 25 + 20) * 320);
    let says = |tick: usize| tape[tick * 320 + 160];
    let hears = |tick: usize| tape[tick * 320 + 161];
    assert_eq!([says(14), says(15), says(39), says(40), says(59)], [50, 60, 60, 70, 70]);
    assert_eq!([hears(14), hears(15), hears(39), hears(40)], [900, 0, 0, 900]);
}

/// The line holds a second; what was said last lay beyond its end.
#[test]
fn behind_more_left_out_ticks_than_the_line_is_long_what_was_said_in_them_is_recorded() {
    for left_out in [40, 42, 51, 75, 1000] {
        let mut leg = Leg::new();
        let tape = leg.record(1, Side::Both, true, false, limits());
        leg.hear_for(15, 50);
        let slept = leg.now as u32;
        let woke = slept + left_out;
        for n in (slept..woke).filter(|n| *n < slept + 5 || woke < *n + 9) {
            leg.mixer.said(n * 160, Linear, &[60; FRAME], woke * 160);
        }
        leg.now = u64::from(woke);
        leg.hear_for(20, 70);
        leg.end(1);
        let tape = tape.0.borrow();
        let woke = 15 + left_out as usize;
        assert_eq!(tape.len(), (woke + 20) * 320, "{left_out}");
        let says = |tick: usize| tape[tick * 320 + 160];
        assert_eq!([says(14), says(15), says(19)], [50, 60, 60], "{left_out}");
        assert_eq!([says(woke - 8), says(woke - 1), says(woke)], [60, 60, 70], "{left_out}");
    }
}

/// What was over by then was as long as it took, whoever ended it.
#[test]
fn ticks_that_were_left_out_before_a_recording_ended_are_in_it() {
    let ends: [fn(&mut Leg); 3] = [
        |leg| leg.end(1),
        |leg| _ = leg.hear(0, &['#']),
        |leg| leg.mixer.close(leg.now as u32 * 160),
    ];
    for (how, end) in ends.into_iter().enumerate() {
        let mut leg = Leg::new();
        let terminators = "#".into();
        let tape = leg.record(
            1,
            Side::Both,
            false,
            false,
            RecorderLimits {
                terminators,
                ..limits()
            },
        );
        leg.hear_for(15, 50);
        leg.now += 25;
        end(&mut leg);
        assert_eq!(tape.0.borrow().len(), (15 + 25) * 160, "{how}");
    }
}

#[test]
fn what_is_played_into_speech_is_recorded_with_it() {
    let mut leg = Leg::new();
    let tape = leg.record(1, Side::Said, false, false, limits());
    leg.hear_for(3, 50);
    leg.mixer
        .add_player(Player::new(2, Level { value: 700, left: 2 }, Side::Said, 0.0, NONE, 1));
    leg.hear_for(20, 50);
    leg.end(1);
    let tape = tape.0.borrow();
    let at = |tick: usize| tape[tick * 160 + 80];
    assert_eq!([at(2), at(3), at(4), at(5)], [50, 750, 750, 50]);
}

#[test]
fn a_recording_is_told_by_hanging_up_to_its_last_sample() {
    let mut leg = Leg::new();
    let tape = leg.record(1, Side::Said, false, false, limits());
    leg.hear_for(7, 50);
    leg.mixer.close(leg.now as u32 * 160);
    assert_eq!(tape.0.borrow()[..], [50; 7 * 160]);
}

proptest! {
    #[test]
    fn every_operation_ends_once_in_any_order_of_inputs(
        steps in proptest::collection::vec((0_u8..12, 1_u64..8, -8000_i16..8000, 1_u32..30), 0..80),
    ) {
        let mut leg = Leg::new();
        let mut added = 0;
        let mut next = 100;
        for (what, id, level, count) in steps {
            next += 1;
            let target = 100 + id;
            let fits = match what {
                0..3 => leg.mixer.add_player(Player::new(next, Level { value: level, left: count }, Side::Both, 0.0, ANY, 0)),
                3 => leg.mixer.add_recorder(Recorder::new(next, Tape::default(), Side::Both, count % 2 == 0, (count % 3 == 0).then(|| record_beep(Rate::Narrow)), limits(), 0)),
                4 => leg.mixer.add_echo(next, count * 10, 0),
                5 => leg.mixer.add_digits(DigitScript::new(next, Rate::Narrow, "1w2", count * 5, count, 0).unwrap()),
                6 => leg.mixer.add_tap(next, Side::Said, Tape::default(), 0),
                7 => { leg.mixer.stop(target); false }
                8 => { leg.mixer.pause(target, PauseBehavior::Silence); false }
                9 => { leg.mixer.resume(target); false }
                10 => { leg.hear(level, &['5']); false }
                _ => { leg.hear_for(count, level); false }
            };
            added += usize::from(fits);
        }
        leg.mixer.close(leg.now as u32 * 160);
        leg.quiet(1);
        prop_assert_eq!(leg.mixer.operations(), 0);
        let ended = leg.log.iter().filter(|line| !line.ends_with("started")).count();
        prop_assert_eq!(ended, added);
        prop_assert!(is_silent(&leg.quiet(1)[0]));
    }
}

/// A caller and an agent on one line, with a prompt whispered to the agent and music played into what the caller says.
#[test]
fn legs_that_are_mixed_hear_each_other_in_the_frame_in_which_it_is_said() {
    let mut legs = [Mixer::new(Rate::Narrow), Mixer::new(Rate::Narrow)];
    let play = |value, side| Player::new(1, Level { value, left: 3 }, side, 0.0, NONE, 1);
    assert!(legs[0].add_player(play(30, Side::Said)));
    assert!(legs[1].add_player(play(4, Side::Heard)));
    let tape = Tape::default();
    let recorder = Recorder::new(2, tape.clone(), Side::Both, true, None, limits(), 1);
    assert!(legs[1].add_recorder(recorder));
    for n in 1..=3_u32 {
        let input = |received| Input {
            received,
            digits: &[],
            now: n * 160,
            now_us: u64::from(n) * 20_000,
            tones: false,
        };
        let said = [[n as i16 * 1000; FRAME], [n as i16 * 100; FRAME]];
        legs[1].said(n * 160 - 80, Linear, &said[1], n * 160);
        let heard = [legs[0].hear(&input(&said[0])), legs[1].hear(&input(&said[1]))];
        let sums = [0, 1].map(|at: usize| {
            heard[1 - at]
                .says()
                .iter()
                .map(|sample| i32::from(*sample))
                .collect::<Vec<_>>()
        });
        let [caller, agent] = [0, 1].map(|at: usize| legs[at].speak(&heard[at], &sums[at]).frame);
        assert_eq!(caller, [n as i16 * 100; FRAME]);
        assert_eq!(agent, [n as i16 * 1000 + 30 + 4; FRAME]);
    }
    legs[1].close(4 * 160);
    let heard: Vec<i16> = tape.0.borrow().chunks(2).map(|pair| pair[1]).step_by(160).collect();
    assert_eq!(heard, [1034, 2034, 3034], "what the agent heard is in its recording");
}
