//! A seeded network between a sender and the buffer.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

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
                    .insert(self.start.wrapping_add(n * 160), &[sample(n); 160], now);
            }
            let mut frame = [0; 160];
            let pulled = self.buffer.pull(now, &mut frame);
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
        buffer.insert(n * 160, &[1000; 160], n * 160);
        buffer.pull(n * 160, &mut frame);
    }
    buffer.restart();
    for n in 50..60_u32 {
        buffer.insert(3_000_000_000 + n * 160, &[2000; 160], n * 160);
        buffer.pull(n * 160, &mut frame);
    }
    assert_eq!(frame, [2000; 160]);
}

#[test]
fn packets_of_10_30_and_60_ms_are_played_whole() {
    for size in [80_u32, 240, 480] {
        let mut buffer = JitterBuffer::default();
        let mut audio = 0;
        let mut sent = 0;
        for tick in 0..300_u32 {
            while sent + size <= (tick + 1) * 160 {
                buffer.insert(sent, &vec![500; size as usize], tick * 160);
                sent += size;
            }
            let mut frame = [0; 160];
            if buffer.pull(tick * 160, &mut frame) == Pulled::Audio {
                audio += 1;
                assert_eq!(frame, [500; 160], "{size} at {tick}");
            }
        }
        assert!(audio >= 290, "{size}: {audio}");
    }
}

proptest! {
    #[test]
    fn any_packets_at_any_time_neither_panic_nor_queue_up(
        packets in proptest::collection::vec((any::<u32>(), 0_usize..1200, 0_u32..5000, any::<bool>()), 0..300),
    ) {
        let mut buffer = JitterBuffer::default();
        let mut frame = [0; 160];
        let mut now = 0_u32;
        for (timestamp, size, wait, near) in packets {
            let timestamp = if near { timestamp % 20_000 } else { timestamp };
            now = now.wrapping_add(wait);
            buffer.insert(timestamp, &vec![1; size], now);
            buffer.pull(now, &mut frame);
            prop_assert!(buffer.target_ms() <= 120);
        }
        // Left alone it is silent within its own length.
        for n in 0..80_u32 {
            buffer.pull(now.wrapping_add(n * 160), &mut frame);
        }
        prop_assert_eq!(buffer.pull(now.wrapping_add(80 * 160), &mut frame), Pulled::Idle);
    }
}
