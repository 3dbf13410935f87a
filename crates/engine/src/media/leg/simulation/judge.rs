//! What must hold of a leg's life.

use std::ops::Range;

use offhook_words::{EndCause, FRAME};

use super::voice::{Heard, hear};
use super::{BEGAN_US, ECHO, RECORD, Run, TICK_US, Turn};
use crate::media::api::MediaEvent;

const STEP: i64 = FRAME.cast_signed() as i64;
/// The longest delay that the jitter buffer aims at: 120 ms.
const LONGEST: i64 = 6 * STEP;
const SECOND: i64 = 8000;
/// What it holds at most: 512 ms.
const HELD: i64 = 4096;
/// Playout may stay a frame behind for a second; a packet waits up to a frame for the tick in which it is read, and what is
/// known of the path is a multiple of frames.
const ROUNDED: i64 = 3 * STEP;
/// Ticks until what a stall or a sleep of ours left behind is worked off: of 512 ms a frame a tick down to 80 ms, then a frame
/// in ten ticks, and the last one after fifty.
const WORKED_OFF: i64 = 22 + 4 * 10 + 50;
/// A packet that comes so late is recorded. It was 1440 samples in which it could come, less a frame by which its place may be
/// wrong.
const WINDOW: i64 = 9 * STEP - STEP;
/// Punctual ticks with packets from which a recording learns where a stream lies.
const LEARNING: usize = 50;
/// A packet comes at most so much later than another: the longest stall, and what a copy takes.
const OVERTAKEN_US: u64 = 1_900_000;
/// Least time between two reports: 2.05 s, less a tick.
const REPORTS_US: u64 = 2_030_000;

/// A frame that the peer said. Times are samples since the first tick was due.
#[derive(Debug, Clone, Copy)]
struct Word {
    /// When it would come without any delay but the path's.
    ideal: i64,
    /// The tick in which it came first.
    told: Option<i64>,
    /// The tick in which a copy of it came last.
    last: Option<i64>,
    /// A recording should know where it lies.
    is_learnt: bool,
}

/// Nothing newer came for a second, and then this, or a copy of it: it may be as late, or of a stream whose timestamps stood
/// still meanwhile.
fn has_leapt(word: &Word) -> bool {
    word.last.is_some_and(|last| last - word.ideal > SECOND - STEP)
}

impl Run {
    pub fn judge(&self) {
        self.judge_pace();
        self.judge_reports();
        let words = self.words();
        self.judge_playout(&words);
        self.judge_recording(&words);
        self.judge_heard();
        self.judge_statistics();
        self.judge_events();
    }

    /// The ticks, without the last: the leg was closed in it.
    fn turns(&self) -> &[Turn] {
        let (_, turns) = self.turns.split_last().unwrap();
        turns
    }

    fn samples(&self, us: u64) -> i64 {
        let since_us = (us + BEGAN_US).cast_signed() - self.due_us.cast_signed();
        since_us * 8 / 1000
    }

    fn ticks(&self, index: u64) -> i64 {
        (index - self.first).cast_signed()
    }

    /// All frames that the peer could say, by number.
    fn words(&self) -> Vec<Option<Word>> {
        let last = self.network.packets.last().unwrap();
        let mut words = vec![None; (last.first + last.frames) as usize];
        let mut told = vec![None; self.network.packets.len()];
        for this in &self.told {
            let (first, _) = told[this.packet].unwrap_or((this.tick, this.tick));
            told[this.packet] = Some((first, this.tick));
        }
        let learning: Vec<Range<u64>> = self.network.jumped_us.iter().map(|us| self.learning(*us)).collect();
        for (packet, told) in self.network.packets.iter().zip(told) {
            let [first, last] = [told.map(|told| told.0), told.map(|told| told.1)];
            // What comes behind what was sent later, under other timestamps, is of a stream that is over.
            let overlaps = packet.sent_us + 1..packet.sent_us + OVERTAKEN_US;
            let is_alone = !self.network.jumped_us.iter().any(|us| overlaps.contains(us));
            let ideal = self.samples(packet.sent_us + self.network.delay_us);
            for frame in 0..packet.frames {
                words[(packet.first + frame) as usize] = Some(Word {
                    ideal: ideal + i64::from(frame) * STEP,
                    told: first.map(|tick| self.ticks(tick) * STEP),
                    last: last.map(|tick| self.ticks(tick) * STEP),
                    is_learnt: is_alone
                        && first.is_some_and(|tick| !learning.iter().any(|ticks| ticks.contains(&tick))),
                });
            }
        }
        words
    }

    /// Ticks in which is learnt where a stream lies that began then.
    fn learning(&self, jumped_us: u64) -> Range<u64> {
        let from = self
            .told
            .iter()
            .find(|told| self.network.packets[told.packet].sent_us >= jumped_us);
        let from = from.map_or(u64::MAX, |told| told.tick);
        let is_told = |tick: u64| self.told.binary_search_by_key(&tick, |told| told.tick).is_ok();
        let ticks = self.turns.iter().map(|turn| turn.now);
        let mut learnt = ticks.filter(|now| now.index >= from && now.is_punctual && is_told(now.index));
        from..learnt.nth(LEARNING).map_or(u64::MAX, |now| now.index + 1)
    }

    /// A packet a tick and never two; timestamps and numbers go on, and jump by exactly what was left out.
    fn judge_pace(&self) {
        for turn in self.turns() {
            assert_eq!(turn.packets.len(), 1, "packets in tick {}", self.ticks(turn.now.index));
        }
        let mut marker = true;
        let mut ideal = self.turns[0].packets[0].0;
        for turn in self.turns() {
            ideal.timestamp = ideal.timestamp.wrapping_add(turn.skipped * FRAME as u32);
            ideal.marker = marker || turn.skipped > 0;
            assert_eq!(turn.packets[0].0, ideal, "in tick {}", self.ticks(turn.now.index));
            ideal.timestamp = ideal.timestamp.wrapping_add(FRAME as u32);
            ideal.sequence = ideal.sequence.wrapping_add(1);
            marker = false;
        }
        let [first, last] = [self.turns().first(), self.turns().last()].map(Option::unwrap);
        let passed_us = last.now.us - first.now.us;
        let told = last.packets[0].0.timestamp.wrapping_sub(first.packets[0].0.timestamp);
        let late_us = self.late_us(first).max(self.late_us(last));
        let off_us = (u64::from(told) * 125).abs_diff(passed_us);
        assert!(off_us <= late_us, "{told} samples left in {passed_us} us");
    }

    fn late_us(&self, turn: &Turn) -> u64 {
        turn.now.us - self.due_us - (turn.now.index - self.first) * TICK_US
    }

    /// Reports leave at their pace, with a time that no step of our clock is in; what they measure is true.
    fn judge_reports(&self) {
        let reports = self.turns().iter().filter(|turn| !turn.reports.is_empty());
        let reports: Vec<&Turn> = reports.collect();
        assert!(reports.len() >= 2 && reports.iter().all(|turn| turn.reports.len() == 1));
        for pair in reports.windows(2) {
            let passed_us = pair[1].now.us - pair[0].now.us;
            assert!(passed_us >= REPORTS_US, "two reports in {passed_us} us");
            let [before, after] = [pair[0], pair[1]].map(|turn| turn.reports[0]);
            let told_us = ((after.ntp.0 - before.ntp.0) * 1_000_000) >> 32;
            assert!(told_us.abs_diff(passed_us) <= 2, "{told_us} us in {passed_us} us");
            let samples = u64::from(after.timestamp.wrapping_sub(before.timestamp));
            let late_us = self.late_us(pair[0]).max(self.late_us(pair[1]));
            assert!(
                (samples * 125).abs_diff(passed_us) <= late_us,
                "{samples} in {passed_us} us"
            );
            assert!(after.packets > before.packets);
        }
        let byes: Vec<usize> = self.turns.iter().map(|turn| turn.byes).collect();
        assert!(byes.ends_with(&[1]) && byes.iter().sum::<usize>() == 1);
        for [measured, ideal] in &self.round_trips {
            assert!((measured - ideal).abs() < 0.1, "{measured} ms of {ideal} ms");
        }
    }

    /// In order, nothing twice, and not late: at most what the buffer holds behind its longest delay, and once the path and our own
    /// thread are even again for a while, at most that delay.
    fn judge_playout(&self, words: &[Option<Word>]) {
        let mut last = None;
        let mut uneven = 0;
        let mut is_heard = vec![false; words.len() + 1];
        for turn in self.turns() {
            let tick = self.ticks(turn.now.index);
            if self.is_uneven(turn, words) {
                uneven = tick;
            }
            let Heard {
                first: Some(first),
                second,
            } = turn.heard
            else {
                continue;
            };
            assert!(last < Some(first), "in tick {tick} {first} is played behind {last:?}");
            assert!(second.is_none_or(|second| second == first || second == first + 1));
            last = second.or(Some(first));
            is_heard[first as usize] = true;
            is_heard[second.unwrap_or(first) as usize] = true;
            let word = words[first as usize].unwrap();
            let told = word.told.unwrap();
            assert!(told <= tick * STEP);
            let [age, waited] = [word.ideal, told].map(|since| tick * STEP - since);
            assert!(
                waited <= LONGEST + HELD + ROUNDED,
                "in tick {tick} {first} is played {waited} samples after it came"
            );
            assert!(
                tick - uneven <= WORKED_OFF || age <= LONGEST + ROUNDED,
                "in tick {tick} {first} is played {age} samples after it could come and {waited} after it did; uneven at {uneven}"
            );
        }
        assert!(last.is_some(), "something is heard");
        if uneven <= WORKED_OFF {
            self.judge_even(words, &is_heard);
        }
    }

    /// On an even path all that came is heard, but what came late.
    fn judge_even(&self, words: &[Option<Word>], is_heard: &[bool]) {
        let end = self.turns.len().cast_signed() as i64 * STEP - LONGEST - ROUNDED;
        let ought = |word: &Word| word.told.is_some() && (WORKED_OFF * STEP..end).contains(&word.ideal);
        let missed = words
            .iter()
            .zip(is_heard)
            .filter(|(word, is_heard)| !**is_heard && word.as_ref().is_some_and(ought));
        let late = self.stats.packets_late as usize * self.network.packets[0].frames as usize;
        let missed = missed.count();
        // Two more may have gone with a frame by which playout caught up.
        assert!(missed <= late + 2, "{missed} frames are not heard, {late} were late");
    }

    /// From here playout may be behind: ticks were left out, a packet came later than any delay that is aimed at, nothing came for
    /// as long, or a stream began.
    fn is_uneven(&self, turn: &Turn, words: &[Option<Word>]) -> bool {
        let at = self.told.partition_point(|told| told.tick <= turn.now.index);
        let came = self.told[..at].iter().rev();
        let came: Vec<_> = came.take_while(|told| told.tick == turn.now.index).collect();
        let now = self.ticks(turn.now.index) * STEP;
        let word = |packet: usize| words[self.network.packets[packet].first as usize].unwrap();
        let is_late = came.iter().any(|told| now - word(told.packet).ideal > LONGEST + STEP);
        let size = self.network.packets[0].frames;
        let before = at.checked_sub(1).map(|at| self.told[at].tick);
        let is_quiet = before.is_none_or(|tick| turn.now.index - tick > u64::from(6 + size));
        let mut began = self.network.spoke_us.iter().chain(&self.network.jumped_us);
        let is_new = began.any(|us| {
            let came = self.samples(us + self.network.delay_us);
            (came..came + 2 * LONGEST).contains(&now)
        });
        turn.skipped > 0 || is_late || is_quiet || is_new
    }

    /// As long as it ran, and each word that came in time is in it, at its time.
    fn judge_recording(&self, words: &[Option<Word>]) {
        let [begin, close] = self.recorded.map(|now| self.ticks(now.index) * STEP);
        assert_eq!(
            self.recording.len().cast_signed() as i64,
            close - begin,
            "samples recorded"
        );
        let [at_first, at_end] = self.recorded;
        let first_late_us = at_first.us - self.due_us - (at_first.index - self.first) * TICK_US;
        let off_us = (self.recording.len() as u64 * 125).abs_diff(at_end.us - at_first.us);
        let most_us = TICK_US + first_late_us.max(self.closed_late_us);
        assert!(off_us <= most_us, "{} samples, {off_us} us off", self.recording.len());

        let mut found = vec![false; words.len()];
        // A packet is placed between two ticks.
        let said: Vec<i16> = self.recording.iter().skip(FRAME / 2).map(|pair| pair[0]).collect();
        for (at, frame) in said.chunks_exact(FRAME).enumerate() {
            let heard = hear(frame);
            let Some(number) = heard.first else {
                continue;
            };
            assert_eq!(heard.second, heard.first);
            let place = begin + STEP / 2 + at.cast_signed() as i64 * STEP;
            let word = words[number as usize].unwrap();
            let off = place - word.ideal;
            assert!(
                !word.is_learnt || off.abs() <= STEP || has_leapt(&word),
                "{number} is recorded at {place}, {off} off; it came in tick {:?}",
                word.told.map(|told| told / STEP)
            );
            found[number as usize] = true;
        }
        let is_due = |word: &Word| {
            let is_recorded = word
                .told
                .is_some_and(|told| told >= begin && told - word.ideal <= WINDOW);
            is_recorded && word.is_learnt && (begin + STEP..close - 2 * STEP).contains(&word.ideal)
        };
        let due = words.iter().zip(&found).zip(0..);
        let due = due.filter(|((word, is_found), _)| !**is_found && word.as_ref().is_some_and(is_due));
        let missing: Vec<u32> = due.map(|(_, number)| number).collect();
        // Where a clock has drifted by a frame, or a stream is found to lie a frame earlier than it seemed, a frame is left out.
        assert!(missing.len() <= 2, "{missing:?} are not recorded");
    }

    /// What left is recorded in its tick, and silence where none was.
    fn judge_heard(&self) {
        let begin = self.recorded[0].index;
        let frame = |index: u64| {
            let at = (index - begin) as usize * FRAME;
            let heard = self.recording[at..at + FRAME].iter().map(|pair| pair[1]);
            heard.collect::<Vec<i16>>()
        };
        for turn in self.turns.iter().filter(|turn| turn.now.index >= begin) {
            let index = turn.now.index;
            for skipped in (index - u64::from(turn.skipped)).max(begin)..index {
                assert_eq!(frame(skipped), [0; FRAME]);
            }
            if index < self.recorded[1].index {
                let first = hear(&frame(index)).first;
                assert_eq!(first, turn.heard.first, "in tick {}", self.ticks(index));
            }
        }
    }

    /// Counts add up: what came is what was received, what did not come by its numbers was lost, and what was not taken of ours was
    /// dropped.
    fn judge_statistics(&self) {
        let stats = &self.stats;
        let received = self.told.len();
        assert_eq!(stats.packets_received, received as u64);
        let numbers = self.told.iter().map(|told| told.packet);
        let newest = numbers.max().unwrap();
        let expected = newest + 1 - self.told[0].packet;
        assert_eq!(stats.packets_lost, expected.saturating_sub(received) as u64);
        let refused = self.turns().iter().filter(|turn| !turn.packets[0].1).count();
        assert_eq!(stats.packets_sent, (self.turns().len() - refused) as u64);
        assert_eq!(stats.packets_dropped, refused as u64);
        assert!(stats.packets_late <= stats.packets_received);
        assert!(stats.frames_concealed <= self.turns.len() as u64);
        assert!(stats.playout_delay_ms <= 120 && stats.jitter_ms.is_finite());
    }

    /// Each operation ends once.
    fn judge_events(&self) {
        let ended = |wanted: u64| {
            let ends = self.events.iter().filter_map(move |event| match event {
                MediaEvent::Ended {
                    op, cause, duration_ms, ..
                } if *op == wanted => Some((*cause, *duration_ms)),
                _ => None,
            });
            ends.collect::<Vec<_>>()
        };
        let echoed_ms = self.turns().len() as u64 * 20;
        let recorded_ms = self.recording.len() as u64 / 8;
        assert_eq!(ended(ECHO), [(EndCause::Hangup, echoed_ms)]);
        assert_eq!(ended(RECORD), [(EndCause::Hangup, recorded_ms)]);
        let begun = self
            .events
            .iter()
            .filter(|event| matches!(event, MediaEvent::Started { .. }));
        assert_eq!(begun.count(), 1);
    }
}
