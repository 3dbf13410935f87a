//! What a packet's timestamp should be, where its sender tells it badly: timestamps that stand, crawl, run or jump.
//!
//! Timestamps are believed (RFC 3550 section 5.1) until they contradict numbers and arrival: at once where they hardly move or
//! jump about, after half a second where they run. From then on a packet begins where the one before it ended.

use offhook_words::RATE_HZ;

use crate::packet::Header;

/// A jump in time that makes a stream begin anew: 1 s.
const JUMP: u32 = RATE_HZ;
/// So many steps in a row that cannot be meant: the timestamps of this sender tell nothing.
const IMPOSSIBLE: u8 = 2;
/// So many steps in a row that are not the length of a packet, though packets come as fast as they are long.
const ODD: u8 = 25;
/// So many good steps in a row: they are believed again.
const GOOD: u8 = 50;
/// A pause of the sender, who tells nothing of it by timestamps: 120 ms.
const PAUSE: u32 = 960;
/// A burst, or a stall, within a run of packets: 60 ms.
const UNEVEN: u32 = 480;

/// The packet before.
#[derive(Debug, Clone, Copy)]
struct Last {
    sequence: u16,
    timestamp: u32,
    samples: u32,
    at: u32,
}

/// Steps in a row that were not the length of a packet.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    count: u8,
    impossible: u8,
    /// What was in their packets, and when the first of them came.
    samples: u32,
    since: u32,
}

/// Timestamps of one stream, in order. All counts are of samples, and wrap.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    last: Option<Last>,
    /// What is added to the sender's timestamps.
    shift: u32,
    odd: Run,
    good: u8,
    /// The numbers tell.
    is_numbered: bool,
}

impl Timeline {
    /// The stream began anew.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// The timestamp of an accepted packet of audio with so many samples that came at `now`.
    pub fn place(&mut self, header: &Header, samples: u32, now: u32) -> u32 {
        let (sequence, timestamp) = (header.sequence, header.timestamp);
        if let Some(last) = self.last {
            let step = sequence.wrapping_sub(last.sequence) as i16;
            if step <= 0 {
                // Late, or a copy.
                let back = u32::from(step.unsigned_abs()) * samples;
                let numbered = last.timestamp.wrapping_add(self.shift).wrapping_sub(back);
                return if self.is_numbered {
                    numbered
                } else {
                    timestamp.wrapping_add(self.shift)
                };
            }
            let ahead = u32::from(step.unsigned_abs()) * last.samples;
            self.step(&last, step, ahead, timestamp, now);
        }
        self.last = Some(Last {
            sequence,
            timestamp,
            samples,
            at: now,
        });
        timestamp.wrapping_add(self.shift)
    }

    /// The next packet; by its number its audio is so far `ahead`.
    fn step(&mut self, last: &Last, step: i16, ahead: u32, timestamp: u32, now: u32) {
        let told = timestamp.wrapping_sub(last.timestamp);
        if told == ahead {
            self.odd = Run::default();
            self.good = self.good.saturating_add(1);
            self.is_numbered &= self.good < GOOD;
            return;
        }
        self.good = 0;
        let elapsed = now.wrapping_sub(last.at);
        if step == 1 {
            self.judge(last, told, elapsed);
        }
        if self.is_numbered {
            let ahead = if elapsed > ahead + PAUSE { elapsed } else { ahead };
            self.shift = self.shift.wrapping_add(ahead).wrapping_sub(told);
        }
    }

    /// A step that is not the length of a packet: silence that was left out, a moment's disorder, or a sender that cannot tell.
    fn judge(&mut self, last: &Last, told: u32, elapsed: u32) {
        let run = &mut self.odd;
        if run.count == 0 {
            run.since = last.at;
        }
        run.count = run.count.saturating_add(1);
        run.samples = run.samples.saturating_add(last.samples);
        let is_jump = (told.wrapping_sub(elapsed) as i32).unsigned_abs() > JUMP;
        // Copies of a packet under a timestamp of its own come with it.
        let is_crawling = (told as i32) < (last.samples / 4 * 3) as i32 && elapsed >= last.samples / 2;
        run.impossible = if is_jump || is_crawling { run.impossible + 1 } else { 0 };
        let elapsed = run.since.wrapping_sub(last.at).wrapping_neg().wrapping_add(elapsed);
        let is_steady = elapsed <= run.samples / 4 * 5 + UNEVEN && elapsed + UNEVEN >= run.samples / 4 * 3;
        self.is_numbered |= run.impossible >= IMPOSSIBLE || run.count >= ODD && is_steady;
        if run.count >= ODD || run.impossible >= IMPOSSIBLE {
            *run = Run::default();
        }
    }
}

#[cfg(test)]
mod tests;
