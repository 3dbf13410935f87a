//! A peer, a network, a thread that sleeps too long and a clock that somebody sets, all of one seed.

use std::ops::{Range, RangeInclusive};

/// How long the peer speaks.
pub const DURATION_US: u64 = 12_000_000;
const FRAME_US: u64 = 20_000;
const SAMPLES: u32 = 160;

/// A small generator (xorshift), seeded.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        let mixed = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self((mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    pub fn between(&mut self, range: RangeInclusive<u64>) -> u64 {
        range.start() + self.next() % (range.end() - range.start() + 1)
    }

    /// True so often of a thousand times.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.between(0..=999) < per_mille
    }

    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.between(0..=choices.len() as u64 - 1) as usize]
    }

    /// So many times within the call, each so long.
    fn spans(&mut self, count: RangeInclusive<u64>, length_us: RangeInclusive<u64>) -> Vec<Range<u64>> {
        let mut spans: Vec<Range<u64>> = (0..self.between(count))
            .map(|_| {
                let from_us = self.between(500_000..=DURATION_US - 2_000_000);
                from_us..from_us + self.between(length_us.clone())
            })
            .collect();
        spans.sort_by_key(|span| span.start);
        // Not one behind another: a packet that is older than a hundred others is none of the stream (RFC 3550 appendix A.1).
        let mut free_us = 0;
        spans.retain(|span| {
            let is_apart = span.start >= free_us;
            if is_apart {
                free_us = span.end + 500_000;
            }
            is_apart
        });
        spans
    }
}

/// A packet of the peer.
#[derive(Debug, Clone, Copy)]
pub struct Packet {
    pub sequence: u16,
    pub timestamp: u32,
    /// The number of its first frame.
    pub first: u32,
    pub frames: u32,
    pub sent_us: u64,
}

/// A packet that comes.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub at_us: u64,
    pub packet: usize,
}

/// What happens to what is sent.
#[derive(Debug)]
struct Way {
    /// Of the fastest packet.
    delay_us: u64,
    /// At most so much more; half of the packets have less than an eighth of it.
    jitter_us: u64,
    /// None overtakes another.
    is_queue: bool,
    lost: u64,
    lost_in_a_row: u64,
    doubled: u64,
    overtaken: u64,
    /// Nothing comes in these; what was under way comes at their end.
    stalls: Vec<Range<u64>>,
    /// What comes in these comes in bunches of so long.
    bunches: Vec<Range<u64>>,
    bunch_us: u64,
    last_us: u64,
}

impl Way {
    fn new(dice: &mut Dice) -> Self {
        Self {
            delay_us: dice.between(0..=150_000),
            jitter_us: dice.one_of(&[0, 0, 2_000, 10_000, 30_000, 60_000, 100_000, 160_000]),
            is_queue: dice.chance(500),
            lost: dice.one_of(&[0, 0, 0, 5, 30, 100]),
            lost_in_a_row: dice.one_of(&[0, 0, 5]),
            doubled: dice.one_of(&[0, 0, 20, 100, 1000]),
            overtaken: dice.one_of(&[0, 0, 10, 50]),
            stalls: if dice.chance(500) {
                dice.spans(1..=3, 60_000..=1_500_000)
            } else {
                Vec::new()
            },
            bunches: if dice.chance(200) {
                dice.spans(1..=3, 500_000..=3_000_000)
            } else {
                Vec::new()
            },
            bunch_us: dice.between(40_000..=100_000),
            last_us: 0,
        }
    }

    /// When a packet comes that was sent then, and a copy of it.
    fn carry(&mut self, sent_us: u64, dice: &mut Dice) -> (u64, Option<u64>) {
        let share = dice.between(0..=1000);
        let mut at_us = sent_us + self.delay_us + self.jitter_us * share * share / 1000 * share / 1_000_000;
        if dice.chance(self.overtaken) {
            at_us += dice.between(20_000..=100_000);
        }
        let mut at_us = self.hold(at_us);
        if self.is_queue {
            at_us = at_us.max(self.last_us);
            self.last_us = at_us;
        }
        let copy_us = dice
            .chance(self.doubled)
            .then(|| self.hold(at_us + dice.between(0..=80_000)));
        (at_us, copy_us)
    }

    fn hold(&self, mut at_us: u64) -> u64 {
        if self.bunches.iter().any(|span| span.contains(&at_us)) {
            at_us = at_us.next_multiple_of(self.bunch_us);
        }
        for stall in &self.stalls {
            if stall.contains(&at_us) {
                at_us = stall.end;
            }
        }
        at_us
    }
}

/// What one seed makes. All times are of our clock.
#[derive(Debug)]
pub struct Network {
    pub packets: Vec<Packet>,
    /// In order.
    pub arrivals: Vec<Arrival>,
    /// When the peer spoke, or spoke again after a pause.
    pub spoke_us: Vec<u64>,
    /// When its timestamps began, or jumped.
    pub jumped_us: Vec<u64>,
    pub delay_us: u64,
    /// How much longer than a frame a frame of the peer's clock is, in millionths.
    pub drift_ppm: i64,
    /// When our thread wakes too late, and by how much; in order.
    sleeps: Vec<(u64, u64)>,
    /// It is late each time, by up to so much.
    late_us: u64,
    /// When somebody sets our clock, and by how much.
    steps: Vec<(u64, i64)>,
}

impl Network {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let mut way = Way::new(&mut dice);
        let mut network = Self {
            packets: Vec::new(),
            arrivals: Vec::new(),
            spoke_us: Vec::new(),
            jumped_us: Vec::new(),
            delay_us: way.delay_us,
            drift_ppm: dice.between(0..=200).cast_signed() - 100,
            sleeps: sleeps(&mut dice),
            late_us: dice.one_of(&[0, 100, 900, 900, 6_000]),
            steps: Vec::new(),
        };
        for _ in 0..dice.one_of(&[0, 0, 1, 5]) {
            let step_us = dice.one_of(&[-3_600_000_000, -1_000_000, -40_000, 40_000, 1_000_000, 3_600_000_000]);
            network.steps.push((dice.between(0..=DURATION_US), step_us));
        }
        network.speak(&mut dice);
        network.send(&mut way, &mut dice);
        network
    }

    /// The packets of the peer: with pauses, and with a step of its timestamps.
    fn speak(&mut self, dice: &mut Dice) {
        let frames = dice.one_of(&[1, 1, 1, 1, 2, 3]);
        let pauses = if dice.chance(200) {
            dice.spans(1..=2, 100_000..=3_000_000)
        } else {
            Vec::new()
        };
        let step = dice.chance(150).then(|| {
            let frames = dice.between(60..=3000) as u32;
            let by = frames * SAMPLES;
            let step = if dice.chance(500) { by } else { 0_u32.wrapping_sub(by) };
            (dice.between(2_000_000..=DURATION_US - 3_000_000), step)
        });
        // Both wrap within the call.
        let (start, mut sequence) = (dice.next() as u32 | 0xffff_0000, dice.next() as u16 | 0xfe00);
        let began_us = dice.between(0..=60_000);
        let mut is_talking = false;
        let mut before = 0;
        for first in (0..).step_by(frames as usize) {
            let sent_us = began_us + self.heard_us(u64::from(first + frames));
            if sent_us > DURATION_US {
                break;
            }
            if pauses.iter().any(|pause| pause.contains(&sent_us)) {
                is_talking = false;
                continue;
            }
            let shift = step.filter(|(at_us, _)| sent_us >= *at_us).map_or(0, |(_, by)| by);
            if !is_talking {
                self.spoke_us.push(sent_us);
            }
            if self.packets.is_empty() || shift != before {
                self.jumped_us.push(sent_us);
            }
            (is_talking, before) = (true, shift);
            self.packets.push(Packet {
                sequence,
                timestamp: start.wrapping_add(first * SAMPLES).wrapping_add(shift),
                first,
                frames,
                sent_us,
            });
            sequence = sequence.wrapping_add(1);
        }
    }

    fn send(&mut self, way: &mut Way, dice: &mut Dice) {
        let mut lost_in_a_row = 0;
        for (packet, sent) in self.packets.iter().enumerate() {
            let (at_us, copy_us) = way.carry(sent.sent_us, dice);
            if dice.chance(way.lost_in_a_row) {
                lost_in_a_row = dice.between(2..=12);
            }
            if lost_in_a_row > 0 || dice.chance(way.lost) {
                lost_in_a_row = lost_in_a_row.saturating_sub(1);
                continue;
            }
            let times = [Some(at_us), copy_us].into_iter().flatten();
            self.arrivals.extend(times.map(|at_us| Arrival { at_us, packet }));
        }
        self.arrivals.sort_by_key(|arrival| arrival.at_us);
    }

    /// So many frames of the peer's clock, by ours.
    pub fn heard_us(&self, frames: u64) -> u64 {
        let us = frames * FRAME_US;
        us.saturating_add_signed(us.cast_signed() * self.drift_ppm / 1_000_000)
    }

    /// By how much our thread wakes too late, who wants to wake at `due_us`.
    pub fn oversleep(&mut self, due_us: u64, dice: &mut Dice) -> u64 {
        match self.sleeps.first() {
            Some((at_us, late_us)) if *at_us <= due_us => {
                let late_us = *late_us;
                self.sleeps.remove(0);
                late_us
            }
            _ => dice.between(0..=self.late_us),
        }
    }

    /// What our clock shows, beside what it should.
    pub fn shift_us(&self, us: u64) -> i64 {
        let past = self.steps.iter().filter(|(at_us, _)| *at_us <= us);
        past.map(|(_, by_us)| by_us).sum()
    }
}

/// A little too long, as on a busy machine, and much too long, as in one that was stopped.
fn sleeps(dice: &mut Dice) -> Vec<(u64, u64)> {
    let mut sleeps = Vec::new();
    if dice.chance(400) {
        sleeps.extend(dice.spans(1..=6, 2_000..=119_000));
    }
    if dice.chance(400) {
        sleeps.extend(dice.spans(1..=3, 120_000..=1_600_000));
    }
    if dice.chance(100) {
        // And the call ends behind it.
        sleeps.push(DURATION_US..DURATION_US + dice.between(120_000..=1_600_000));
    }
    sleeps.sort_by_key(|span| span.start);
    sleeps.iter().map(|span| (span.start, span.end - span.start)).collect()
}
