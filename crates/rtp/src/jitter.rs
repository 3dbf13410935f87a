//! The jitter buffer: adaptive, bounded, addressed by timestamp. It holds what came as it came; it is decoded when it is played.
//!
//! Each packet tells how much later it came than the fastest one. The playout delay follows what 99.7 % of them need, up to
//! 120 ms. When nothing came, playout waits, so that a burst after a stall loses nothing; it catches up afterwards
//! by skipping what is missing, and by blending two frames into one.

use offhook_ring::{Cell, Decode, Format, TimedRing};
use offhook_words::{Codec, FRAME, MOST_FRAME, RATE_HZ};

const STEP: i32 = FRAME as i32;
/// Codes held: 512 ms.
const RING: usize = 4096;
const BUCKETS: usize = 32;
/// Codes of one packet: 250 ms (RFC 3551 section 4.2 has every receiver take 200).
const MOST_CODES: usize = 2000;
/// Longest delay that is aimed at: 120 ms.
const LONGEST: i32 = 6 * STEP;
const QUANTILE: f32 = 0.997;
/// Packets remembered by the statistics, about 10 s.
const MEMORY: f32 = 512.0;
/// A jump in time that makes a stream begin anew: 1 s.
const JUMP: i32 = RATE_HZ as i32;
/// So many packets in a row that are later than anything allowed: the path changed.
const REBASE: u32 = 15;
/// So many packets in a row that are older than the newest one, and come a second late or when nothing is played any more: the
/// stream began anew. One is a stray, and so is what waited with it and comes at the same time.
const STRAYS: u32 = 3;
/// So many frames without a packet: nobody speaks.
const STARVED: u32 = 15;

/// What [`JitterBuffer::pull`] gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulled {
    /// A frame of the stream.
    Audio,
    /// The frame is missing: conceal it.
    Missing,
    /// No stream, or not yet: silence.
    Idle,
}

/// What happened so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JitterCounts {
    /// Packets that came after their time.
    pub late: u64,
    /// Packets that came twice.
    pub duplicate: u64,
    /// Frames blended or skipped to catch up.
    pub shortened: u64,
    /// Frames made up to gain delay.
    pub lengthened: u64,
}

/// Audio of one stream on its way from arrival to playout. Both clocks count codes, 8000 of a second, and wrap.
#[derive(Debug, Clone)]
pub struct JitterBuffer<F: Format = Codec> {
    ring: TimedRing<F, RING>,
    origin: u32,
    /// Next to be played, and behind the last that came; both relative to `origin`.
    play: Option<u32>,
    end: u32,
    /// Behind the last that came of this stream.
    newest: Option<u32>,
    /// Local time less timestamp of the fastest packet.
    base: u32,
    lateness: [f32; BUCKETS],
    seen: f32,
    target: i32,
    too_late: u32,
    strays: u32,
    /// When the last of them came.
    strayed: u32,
    starved: u32,
    since_change: u32,
    /// When the last packet came.
    came: u32,
    counts: JitterCounts,
}

impl<F: Format> Default for JitterBuffer<F> {
    fn default() -> Self {
        Self {
            ring: TimedRing::default(),
            origin: 0,
            play: None,
            end: 0,
            newest: None,
            base: 0,
            lateness: [0.0; BUCKETS],
            seen: 0.0,
            target: 2 * STEP,
            too_late: 0,
            strays: 0,
            strayed: 0,
            starved: 0,
            since_change: 0,
            came: 0,
            counts: JitterCounts::default(),
        }
    }
}

fn signed(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

impl<F: Format> JitterBuffer<F> {
    /// The stream began anew: forget its audio, keep what is known of the path.
    pub fn restart(&mut self) {
        self.newest = None;
        self.stop();
    }

    fn stop(&mut self) {
        self.ring.clear();
        self.play = None;
    }

    /// So far.
    pub fn counts(&self) -> JitterCounts {
        self.counts
    }

    /// The delay that is aimed at, in ms.
    pub fn target_ms(&self) -> u32 {
        (self.target / 8).unsigned_abs()
    }

    /// A packet came at `now`; of one that is longer than 250 ms the beginning is taken.
    pub fn insert(&mut self, timestamp: u32, format: F, codes: &[F::Code], now: u32) {
        let codes = codes.get(..MOST_CODES).unwrap_or(codes);
        if codes.is_empty() {
            return;
        }
        let transit = signed(now.wrapping_sub(timestamp.wrapping_sub(self.origin)), self.base);
        let is_jump = transit.unsigned_abs() > JUMP.unsigned_abs();
        let is_late = self.play.is_none() || is_jump && transit > 0;
        if self.is_stray(timestamp.wrapping_add(codes.len() as u32), is_late, now) {
            self.counts.late += 1;
            return;
        }
        if self.play.is_some() && is_jump {
            self.restart();
        }
        let Some(play) = self.play else {
            self.begin(timestamp, format, codes, now);
            return;
        };
        let start = timestamp.wrapping_sub(self.origin);
        let is_together = self.came == now;
        self.came = now;
        self.learn(now.wrapping_sub(start), is_together);
        let end = start.wrapping_add(codes.len() as u32);
        if signed(end, play) <= 0 {
            self.too_old(start);
            return;
        }
        // What is skipped makes room first: until then other audio is in the place of this.
        let ahead = signed(end, play);
        if ahead > 2 * RING as i32 {
            // Nothing that is held is near it, and to pass over it frame by frame would take as long as nobody pulled.
            self.restart();
            self.begin(timestamp, format, codes, now);
            return;
        }
        if ahead > RING as i32 {
            let skip = (ahead - RING as i32 + STEP + self.target) / STEP;
            (0..skip).for_each(|_| self.advance());
            self.counts.shortened += skip.unsigned_abs() as u64;
        }
        // Two packets may share the cell where one ends and the other begins.
        let middle = start.wrapping_add(codes.len() as u32 / 2);
        if signed(end, self.end) <= 0 && self.ring.has(middle) {
            self.counts.duplicate += 1;
            return;
        }
        self.ring.insert(start, format, codes);
        if signed(end, self.end) > 0 {
            self.end = end;
            self.newest = Some(self.origin.wrapping_add(end));
        }
    }

    /// A packet that ends here and comes too late is older than the newest, and no others like it came in the ticks before.
    fn is_stray(&mut self, end: u32, is_late: bool, now: u32) -> bool {
        let is_old = self.newest.is_some_and(|newest| signed(end, newest) <= 0);
        if !is_old || !is_late {
            self.strays = 0;
        } else if self.strays == 0 || self.strayed != now {
            self.strays += 1;
        }
        self.strayed = now;
        (1..STRAYS).contains(&self.strays)
    }

    fn begin(&mut self, timestamp: u32, format: F, codes: &[F::Code], now: u32) {
        self.origin = timestamp;
        self.base = now;
        self.came = now;
        self.end = codes.len() as u32;
        self.newest = Some(timestamp.wrapping_add(self.end));
        self.play = Some(0_u32.wrapping_sub(self.target.unsigned_abs()));
        self.starved = 0;
        self.too_late = 0;
        self.strays = 0;
        self.ring.insert(0, format, codes);
    }

    fn too_old(&mut self, start: u32) {
        if self.ring.cell(start) == Cell::Passed {
            self.counts.duplicate += 1;
        } else {
            self.counts.late += 1;
            self.ring.set_passed(start);
        }
    }

    /// Note how late a packet came, and choose the delay. `is_together`: with the one before it.
    fn learn(&mut self, transit: u32, is_together: bool) {
        let mut late = signed(transit, self.base);
        if late < 0 && is_together {
            // Both waited, here or on the way, and this one less: the path is what it was before.
            self.base = transit;
            late = 0;
        }
        if late < 0 {
            let shift = (-late + STEP - 1) / STEP;
            self.base = self.base.wrapping_sub((shift * STEP).unsigned_abs());
            if shift > 3 {
                // Another path: what was learnt of the old one is worth nothing.
                self.lateness = [0.0; BUCKETS];
                self.seen = 0.0;
            } else {
                let shift = shift.unsigned_abs() as usize;
                self.lateness.rotate_right(shift);
                self.lateness.iter_mut().take(shift).for_each(|bucket| *bucket = 0.0);
            }
            late = signed(transit, self.base);
        }
        if late > LONGEST {
            self.too_late += 1;
            if self.too_late >= REBASE {
                self.too_late = 0;
                self.base = transit;
                self.lateness = [0.0; BUCKETS];
                self.seen = 0.0;
            }
            return;
        }
        self.too_late = 0;
        self.seen = (self.seen + 1.0).min(MEMORY);
        let weight = 1.0 / self.seen;
        let at = ((late + STEP - 1) / STEP).unsigned_abs() as usize;
        for (index, bucket) in self.lateness.iter_mut().enumerate() {
            *bucket = *bucket * (1.0 - weight) + if index == at { weight } else { 0.0 };
        }
        if self.seen >= MEMORY && self.lateness.first().is_some_and(|mass| *mass < 0.000_5) {
            self.lateness.rotate_left(1);
            self.base = self.base.wrapping_add(STEP.unsigned_abs());
        }
        self.choose();
    }

    fn choose(&mut self) {
        let total: f32 = self.lateness.iter().sum();
        let mut sum = 0.0;
        let enough = self.lateness.iter().position(|mass| {
            sum += mass;
            sum >= total * QUANTILE
        });
        let floor = if self.seen < 50.0 { 2 * STEP } else { STEP };
        self.target = (enough.unwrap_or(0) as i32 * STEP).clamp(floor, LONGEST);
    }

    /// Reads a little where the next packet goes to and the next frame is, so that the memory is at hand.
    pub fn touch(&self) {
        self.ring.touch(self.end);
        self.ring.touch(self.play.unwrap_or(0));
    }

    /// The next 20 ms, in as many samples as `frame` has; it is written with [`Pulled::Audio`] alone.
    pub fn pull(&mut self, now: u32, decoder: &mut impl Decode<Format = F>, frame: &mut [i16]) -> Pulled {
        loop {
            let Some(play) = self.play else {
                return Pulled::Idle;
            };
            let excess = signed(now.wrapping_sub(play), self.base).saturating_sub(self.target);
            self.since_change = self.since_change.saturating_add(1);
            if signed(play.wrapping_add(STEP.unsigned_abs()), 0) <= 0
                && signed(self.end, play) > 0
                && play > u32::MAX / 2
            {
                self.play = Some(play.wrapping_add(STEP.unsigned_abs()));
                return Pulled::Idle;
            }
            if signed(self.end, play) <= 0 {
                return self.starve();
            }
            self.starved = 0;
            if excess > RING as i32 {
                // Ticks of ours were left out, and this waited in them for longer than anything waits here else.
                self.counts.shortened += u64::from(self.ring.has_frame(play));
                self.advance();
                continue;
            }
            if !self.ring.has_frame(play) {
                self.advance();
                if excess >= STEP {
                    continue;
                }
                return Pulled::Missing;
            }
            if excess <= -STEP && self.since_change > 5 {
                self.since_change = 0;
                self.counts.lengthened += 1;
                return Pulled::Missing;
            }
            self.ring.read(play, decoder, frame);
            self.advance();
            self.catch_up(excess, decoder, frame);
            return Pulled::Audio;
        }
    }

    fn starve(&mut self) -> Pulled {
        self.starved += 1;
        if self.starved > STARVED {
            self.stop();
            return Pulled::Idle;
        }
        Pulled::Missing
    }

    /// Blend the next frame into this one when playout is too far behind: a quiet one at once, a loud one soon.
    fn catch_up(&mut self, excess: i32, decoder: &mut impl Decode<Format = F>, frame: &mut [i16]) {
        let Some(play) = self.play else {
            return;
        };
        if excess < STEP || self.since_change < 1 || !self.ring.has_frame(play) {
            return;
        }
        let is_quiet = || frame.iter().all(|sample| sample.unsigned_abs() < 400);
        let wait = if excess > 4 * STEP {
            1
        } else if is_quiet() {
            2
        } else if excess > STEP {
            10
        } else {
            50
        };
        if self.since_change < wait {
            return;
        }
        let mut next = [0; MOST_FRAME];
        let size = frame.len().min(next.len());
        let next = next.get_mut(..size).unwrap_or(&mut []);
        self.ring.read(play, decoder, next);
        let whole = size as i32;
        for ((sample, after), weight) in frame.iter_mut().zip(next).zip(0..) {
            let sum = i32::from(*sample) * (whole - weight) + i32::from(*after) * weight;
            *sample = (sum / whole.max(1)) as i16;
        }
        self.advance();
        self.since_change = 0;
        self.counts.shortened += 1;
    }

    fn advance(&mut self) {
        let Some(play) = self.play else {
            return;
        };
        self.ring.pass(play);
        self.play = Some(play.wrapping_add(FRAME as u32));
    }
}

#[cfg(test)]
mod tests;
