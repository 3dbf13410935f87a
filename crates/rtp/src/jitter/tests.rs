//! A seeded network between a sender and the buffer.

use super::*;
use offhook_test_support::{Linear, used};
use proptest::prelude::*;
use std::collections::BTreeMap;

type JitterBuffer = super::JitterBuffer<Linear>;

struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }

    fn gauss(&mut self) -> f32 {
        (0..12).map(|_| self.next()).sum::<f32>() - 6.0
    }
}

/// Each packet is full of its own number, so that what is played tells where it is from.
fn sample(n: u32) -> i16 {
    (n % 30_000) as i16 + 1000
}

struct Link {
    buffer: JitterBuffer,
    /// By arrival tick, then in order of sending.
    flying: BTreeMap<u32, Vec<u32>>,
    start: u32,
    played: Vec<(u32, Pulled, i16)>,
    delays_ms: Vec<u32>,
}

impl Link {
    fn new(start: u32) -> Self {
        Self {
            buffer: JitterBuffer::default(),
            flying: BTreeMap::new(),
            start,
            played: Vec::new(),
            delays_ms: Vec::new(),
        }
    }

    fn send(&mut self, n: u32, delay_ms: f32) {
        let arrives = (n as f32 * 20.0 + delay_ms.max(0.0)) / 20.0;
        self.flying.entry(arrives.ceil() as u32).or_default().push(n);
    }

    fn run(&mut self, ticks: u32) {
        for tick in 0..ticks {
            let now = tick.wrapping_mul(160).wrapping_add(777);
            for n in self.flying.remove(&tick).unwrap_or_default() {
                self.buffer
                    .insert(self.start.wrapping_add(n * 160), Linear, &[sample(n); 160], now);
            }
            let mut frame = [0; 160];
            let pulled = self.buffer.pull(now, &mut Linear, &mut frame);
            self.played.push((tick, pulled, frame[80]));
            self.delays_ms.push(self.buffer.target_ms());
        }
    }

    /// Ticks between sending and playing of the frame played at `tick`.
    fn lag(&self, tick: usize) -> i64 {
        let (at, pulled, value) = self.played[tick];
        assert_eq!(pulled, Pulled::Audio, "tick {tick}");
        i64::from(at) - i64::from(value - 1000)
    }
}

#[test]
fn a_steady_stream_is_played_whole_in_order_and_within_40_ms() {
    let mut link = Link::new(u32::MAX - 5000);
    (0..500).for_each(|n| link.send(n, 0.0));
    link.run(500);
    let played: Vec<i16> = link
        .played
        .iter()
        .filter(|(_, pulled, _)| *pulled == Pulled::Audio)
        .map(|entry| entry.2)
        .collect();
    assert!(played.len() >= 497);
    assert!(
        played
            .windows(2)
            .all(|pair| pair[1] - pair[0] == 1 || pair[1] - pair[0] == 2)
    );
    assert!(link.lag(499) <= 2);
    assert_eq!(link.buffer.counts().late, 0);
}

#[test]
fn jitter_of_40_and_20_ms_with_3_percent_loss_makes_at_most_half_a_percent_late() {
    for seed in 1..6 {
        let mut dice = Dice(seed * 7919);
        let mut link = Link::new(1234);
        let mut sent = 0;
        for n in 0..9000 {
            if dice.next() >= 0.03 {
                link.send(n, 40.0 + 20.0 * dice.gauss());
                sent += 1;
            }
        }
        link.run(9000);
        let late = link.buffer.counts().late;
        assert!(late * 200 <= sent, "seed {seed}: {late} late of {sent}");
        assert!(link.delays_ms.iter().all(|delay| *delay <= 120));
        let missing = link
            .played
            .iter()
            .filter(|(_, pulled, _)| *pulled == Pulled::Missing)
            .count();
        assert!(missing <= 9000 * 5 / 100, "seed {seed}: {missing} frames to conceal");
    }
}

#[test]
fn a_stall_of_250_ms_loses_nothing_and_the_delay_is_back_within_2_s() {
    let mut link = Link::new(9);
    for n in 0..1000 {
        let stalled = (500..512).contains(&n);
        link.send(n, if stalled { (512 - n) as f32 * 20.0 } else { 1.0 });
    }
    link.run(900);
    assert_eq!(link.buffer.counts().late, 0);
    assert!(link.lag(512 + 100) <= 7, "{}", link.lag(612));
    assert!(link.buffer.counts().shortened > 0);
}

#[test]
fn of_a_burst_after_a_stall_of_any_length_the_newest_is_played() {
    for stall in [10_u32, 16, 25, 26, 30, 40, 41, 75, 130, 250] {
        let mut link = Link::new(4_000_000_000);
        let back = 500 + stall;
        for n in 0..1000 {
            let stalled = (500..back).contains(&n);
            link.send(n, if stalled { (back - n) as f32 * 20.0 } else { 1.0 });
        }
        link.run(back + 200);
        let counts = link.buffer.counts();
        assert_eq!((counts.duplicate, counts.late), (0, 0), "a stall of {stall}");
        // What fits is blended two into one, and then the delay is what it was.
        let played = |n: u32| {
            link.played
                .iter()
                .any(|(_, pulled, value)| *pulled == Pulled::Audio && (*value - sample(n)).abs() <= 1)
        };
        assert!((back - stall.min(20)..back + 100).all(played), "a stall of {stall}");
        assert!(link.lag(back as usize + 150) <= 7, "{}", link.lag(back as usize + 150));
    }
}

/// Talk for 2 s, wait for `stall` samples without a pull, and give the buffer what waited then, but what `is_lost` says.
fn wait_and_burst(size: u32, stall: u32, is_lost: impl Fn(u32) -> bool) {
    let what = format!("packets of {size}, a stall of {stall}");
    let mut buffer = JitterBuffer::default();
    let (mut now, mut sent, mut frame) = (0, 0, [0; 160]);
    let mut newest = 0;
    let mut insert_until = |buffer: &mut JitterBuffer, now: u32, is_burst: bool| {
        let first = sent / size;
        while sent + size <= now {
            if !is_burst || !is_lost(sent / size - first) {
                newest = sample((sent / 160).saturating_sub(1));
                buffer.insert(sent, Linear, &vec![newest; size as usize], now);
            }
            sent += size;
        }
        newest
    };
    for _ in 0..100 {
        now += 160;
        insert_until(&mut buffer, now, false);
        buffer.pull(now, &mut Linear, &mut frame);
    }
    now += stall;
    let newest = insert_until(&mut buffer, now, true);
    let counts = buffer.counts();
    assert_eq!((counts.duplicate, counts.late), (0, 0), "{what}");
    // Blended into the frame before, it is a little less.
    let least = newest - 1 - (size / 160) as i16;
    let is_heard = (0..60).any(|_| {
        now += 160;
        buffer.pull(now, &mut Linear, &mut frame) == Pulled::Audio && frame.iter().any(|heard| *heard >= least)
    });
    assert!(is_heard, "{what}");
}

/// asterisk#2115: one late tick cost delay for the rest of the call.
#[test]
fn a_stall_of_ours_leaves_no_delay_behind() {
    for stall in [30_u32, 55, 75, 110, 250] {
        let mut buffer = JitterBuffer::default();
        let (mut sent, mut frame) = (0_u32, [0; 160]);
        let mut targets = [0; 2];
        for tick in (0..200).chain(200 + stall..400 + stall) {
            while sent <= tick {
                buffer.insert(sent * 160, Linear, &[sample(sent); 160], tick * 160);
                sent += 1;
            }
            buffer.pull(tick * 160, &mut Linear, &mut frame);
            targets[usize::from(tick > 200)] = buffer.target_ms();
        }
        assert!(targets[1] <= targets[0] + 20, "a stall of {stall}: {targets:?}");
    }
}

/// What was about to be played when we fell asleep, and nothing newer came.
#[test]
fn what_lay_here_for_longer_than_the_buffer_is_long_while_nobody_pulled_is_not_played() {
    for sleep in [10_u32, 20, 30, 38, 49, 76, 500, 100_000] {
        let mut buffer = JitterBuffer::default();
        let mut frame = [0; 160];
        for n in 0..100 {
            buffer.insert(n * 160, Linear, &[sample(n); 160], n * 160);
            buffer.pull(n * 160, &mut Linear, &mut frame);
        }
        let woke = 99 + sleep;
        let late: Vec<i16> = (woke..woke + 10)
            .filter_map(|tick| (buffer.pull(tick * 160, &mut Linear, &mut frame) == Pulled::Audio).then_some(frame[80]))
            .collect();
        // What is a little older than the longest delay is still worth hearing.
        assert_eq!(late.is_empty(), sleep > 26, "{sleep}: {late:?}");
        for n in woke + 10..woke + 60 {
            buffer.insert(n * 160, Linear, &[sample(n); 160], n * 160);
            buffer.pull(n * 160, &mut Linear, &mut frame);
        }
        assert!(
            frame[80] >= sample(woke + 56),
            "{sleep}: what is said now is played at once"
        );
    }
}

#[test]
fn of_what_waited_while_nobody_pulled_the_newest_is_played() {
    for size in [80_u32, 160, 240, 320, 480, 800, 1600] {
        for stall in [1600_u32, 4000, 4800, 6400, 7200, 40_000] {
            wait_and_burst(size, stall, |_| false);
            wait_and_burst(size, stall, |n| n < 3);
            let (count, kept) = (stall / size, 2 + 480 / size);
            wait_and_burst(size, stall, |n| {
                (count / 2..count / 2 + 5).contains(&n) && n + kept < count
            });
            wait_and_burst(size, stall, |n| n % 3 == 0 && n + kept < count);
        }
    }
}

/// asterisk#2115: audio that queued up once stayed late for the whole call.
#[test]
fn a_path_that_gets_slower_and_faster_again_leaves_no_queue_behind() {
    let mut link = Link::new(9);
    for n in 0..3000 {
        let slow = (500..1000).contains(&n);
        link.send(n, if slow { 301.0 } else { 1.0 });
    }
    link.run(2990);
    assert!(link.lag(1300) <= 7, "{}", link.lag(1300));
    assert!(link.lag(2900) <= 3, "{}", link.lag(2900));
}

/// What was said seconds ago was played over what is said, and what waited was thrown away.
#[test]
fn a_packet_that_comes_seconds_late_is_not_played_and_cuts_nothing() {
    for delay in [1030.0, 1500.0, 10_000.0] {
        let mut link = Link::new(u32::MAX - 50_000);
        let is_late = |n: u32| n == 100 || n == 101 || n % 97 == 50;
        (0..1500).for_each(|n| link.send(n, if is_late(n) { delay } else { 5.0 }));
        link.run(1500);
        let audio = link.played.iter().filter(|entry| entry.1 == Pulled::Audio);
        let played: Vec<i16> = audio.map(|entry| entry.2).collect();
        assert!(played.is_sorted(), "{delay}: what is old is played after what is new");
        assert!(played.len() >= 1475, "{delay}: {} of 1500 were played", played.len());
        assert_eq!(link.buffer.counts().duplicate, 0);
    }
}

/// The speaker pauses, and then a packet of before, or a copy of one, comes.
#[test]
fn what_is_older_than_what_was_played_is_not_played_in_a_pause() {
    let mut link = Link::new(77);
    (0..100).for_each(|n| link.send(n, if n == 90 { 800.0 } else { 0.0 }));
    link.send(95, 900.0);
    (200..300).for_each(|n| link.send(n, 0.0));
    link.run(300);
    let audio = link.played.iter().filter(|entry| entry.1 == Pulled::Audio);
    let played: Vec<i16> = audio.map(|entry| entry.2).collect();
    assert!(played.is_sorted() && played.len() >= 195, "{played:?}");
    assert!(link.lag(299) <= 2);
}

/// Copies, and what was overtaken, came at the end of a stall and were played once more: they passed for a stream that began anew.
#[test]
fn old_packets_that_a_stall_held_back_are_not_played_again_behind_it() {
    let mut link = Link::new(77);
    (0..200).for_each(|n| link.send(n, 0.0));
    // All of these come at 240, the old ones first.
    (190..200).for_each(|n| link.send(n, (240 - n) as f32 * 20.0));
    (200..240).for_each(|n| link.send(n, (240 - n) as f32 * 20.0));
    (240..300).for_each(|n| link.send(n, 0.0));
    link.run(300);
    let audio = link.played.iter().filter(|entry| entry.1 == Pulled::Audio);
    let played: Vec<i16> = audio.map(|entry| entry.2).collect();
    assert!(played.windows(2).all(|pair| pair[0] < pair[1]), "{played:?}");
    assert!(link.lag(299) <= 3);
}

/// Timestamps that go back and stay there are a stream that began anew.
#[test]
fn timestamps_that_go_back_for_good_are_followed_from_the_third_packet_on() {
    let mut buffer = JitterBuffer::default();
    let mut frame = [0; 160];
    for n in 0..100_u32 {
        let timestamp = if n < 50 { 900_000 + n * 160 } else { n * 160 };
        buffer.insert(timestamp, Linear, &[if n < 50 { 1000 } else { 2000 }; 160], n * 160);
        buffer.pull(n * 160, &mut Linear, &mut frame);
        assert!(n < 57 || frame[80] == 2000, "{n}");
    }
}

#[test]
fn silence_suppression_and_a_pause_of_seconds_start_again_at_once() {
    let mut link = Link::new(77);
    (0..100).chain(400..600).for_each(|n| link.send(n, 0.0));
    link.run(600);
    assert!(link.lag(410) <= 3);
    assert_eq!(link.buffer.counts().late, 0);
}

#[test]
fn another_clock_of_half_a_permille_is_followed_for_minutes() {
    for drift in [-0.000_5_f32, 0.000_5] {
        let mut link = Link::new(5);
        (0..15_000).for_each(|n| link.send(n, 100.0 + n as f32 * 20.0 * drift + 10.0));
        link.run(14_900);
        let shift = (14_800.0 * drift) as i64;
        assert!(
            (link.lag(14_800) - 6 - shift).abs() <= 4,
            "{drift}: {} and {shift}",
            link.lag(14_800)
        );
        assert!(link.buffer.counts().late <= 20, "{drift}: {:?}", link.buffer.counts());
    }
}

#[test]
fn every_packet_twice_changes_nothing() {
    let (mut once, mut twice) = (Link::new(0), Link::new(0));
    for n in 0..300 {
        once.send(n, 30.0);
        twice.send(n, 30.0);
        twice.send(n, if n % 3 == 0 { 95.0 } else { 30.0 });
    }
    once.run(300);
    twice.run(300);
    assert_eq!(twice.buffer.counts().late, 0);
    let audio = |link: &Link| link.played.iter().filter(|entry| entry.1 == Pulled::Audio).count();
    assert!(audio(&twice) + 6 >= audio(&once));
}

#[test]
fn a_new_source_starts_where_it_is() {
    let mut buffer = JitterBuffer::default();
    let mut frame = [0; 160];
    for n in 0..50_u32 {
        buffer.insert(n * 160, Linear, &[1000; 160], n * 160);
        buffer.pull(n * 160, &mut Linear, &mut frame);
    }
    buffer.restart();
    for n in 50..60_u32 {
        buffer.insert(3_000_000_000 + n * 160, Linear, &[2000; 160], n * 160);
        buffer.pull(n * 160, &mut Linear, &mut frame);
    }
    assert_eq!(frame, [2000; 160]);
}

#[test]
fn packets_of_5_to_250_ms_and_of_odd_lengths_are_played_whole() {
    for size in [
        40_u32, 80, 157, 163, 240, 320, 333, 480, 800, 960, 961, 1000, 1600, 2000,
    ] {
        let mut buffer = JitterBuffer::default();
        let mut audio = 0;
        let mut sent = 0;
        for tick in 0..300_u32 {
            while sent + size <= (tick + 1) * 160 {
                buffer.insert(sent, Linear, &vec![500; size as usize], tick * 160);
                sent += size;
            }
            let mut frame = [0; 160];
            if buffer.pull(tick * 160, &mut Linear, &mut frame) == Pulled::Audio {
                audio += 1;
                assert_eq!(frame, [500; 160], "{size} at {tick}");
            }
        }
        assert!(audio >= 300 - size / 160 * 2 - 8, "{size}: {audio}");
        assert_eq!((buffer.counts().late, buffer.counts().duplicate), (0, 0), "{size}");
    }
}

#[test]
fn a_packet_length_that_changes_in_the_stream_loses_nothing() {
    let sizes = [160, 1600, 80, 960, 240, 1600, 1600, 160, 480, 333];
    let mut buffer = JitterBuffer::default();
    let (mut audio, mut sent, mut at) = (0, 0_u32, 0);
    for tick in 0..1000_u32 {
        while sent + sizes[at / 20 % sizes.len()] <= (tick + 1) * 160 {
            let size = sizes[at / 20 % sizes.len()];
            let samples: Vec<i16> = (sent..sent + size).map(|n| (n / 8 % 4000) as i16 + 500).collect();
            buffer.insert(sent, Linear, &samples, tick * 160);
            (sent, at) = (sent + size, at + 1);
        }
        let mut frame = [0; 160];
        audio += u32::from(buffer.pull(tick * 160, &mut Linear, &mut frame) == Pulled::Audio);
    }
    assert_eq!((buffer.counts().late, buffer.counts().duplicate), (0, 0));
    assert!(audio >= 900, "{audio}");
}

proptest! {
    #[test]
    fn any_packets_at_any_time_neither_panic_nor_queue_up(
        packets in proptest::collection::vec((any::<u32>(), 0_usize..2200, 0_u32..5000, any::<bool>()), 0..300),
    ) {
        let mut buffer = JitterBuffer::default();
        let mut frame = [0; 160];
        let mut now = 0_u32;
        for (timestamp, size, wait, near) in packets {
            let timestamp = if near { timestamp % 20_000 } else { timestamp };
            now = now.wrapping_add(wait);
            buffer.insert(timestamp, Linear, &vec![1; size], now);
            buffer.pull(now, &mut Linear, &mut frame);
            prop_assert!(buffer.target_ms() <= 120);
        }
        // Left alone it is silent within its own length.
        for n in 0..80_u32 {
            buffer.pull(now.wrapping_add(n * 160), &mut Linear, &mut frame);
        }
        prop_assert_eq!(buffer.pull(now.wrapping_add(80 * 160), &mut Linear, &mut frame), Pulled::Idle);
    }
}

#[test]
fn a_packet_that_is_hours_ahead_of_what_is_held_costs_no_more_than_another() {
    let before = used();
    for _ in 0..100 {
        let mut jitter = JitterBuffer::default();
        jitter.insert(0, Linear, &[1; 160], 0);
        // Nobody pulled while both clocks went on for 74 hours.
        let leap = (1 << 31) - 9000;
        jitter.insert(leap, Linear, &[2; 160], leap);
        let mut frame = [0; FRAME];
        let heard = (0..10).any(|tick: u32| {
            jitter.pull(leap.wrapping_add(tick * 160), &mut Linear, &mut frame) == Pulled::Audio && frame == [2; FRAME]
        });
        assert!(heard);
    }
    // Frame by frame it was 13 million steps for each.
    let took = used().saturating_sub(before);
    assert!(took.as_secs() < 3, "{took:?}");
}

#[test]
fn a_timestamp_or_a_clock_half_the_range_away_begins_anew_without_overflow() {
    let half = 1_u32 << 31;
    let mut jitter = JitterBuffer::default();
    jitter.insert(0, Linear, &[1; 160], 0);
    jitter.insert(half, Linear, &[2; 160], 0);
    let mut frame = [0; FRAME];
    assert!(
        (0..10).any(|tick| jitter.pull(tick * 160, &mut Linear, &mut frame) == Pulled::Audio && frame == [2; FRAME])
    );
    for now in [half, half - 1, half + 1, half - 480, u32::MAX] {
        let mut jitter = JitterBuffer::default();
        jitter.insert(0, Linear, &[1; 160], 0);
        jitter.pull(now, &mut Linear, &mut frame);
        jitter.insert(half, Linear, &[2; 160], now);
        jitter.pull(0, &mut Linear, &mut frame);
    }
}
