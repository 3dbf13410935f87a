//! The clock of a media thread: 20 ms, absolute.

use std::time::{Duration, SystemTime};

use rustix::thread::clock_nanosleep_absolute;
use rustix::time::{ClockId, Timespec, clock_gettime};

const TICK_NS: i64 = 20_000_000;
/// A tick that begins later than this is counted.
const LATE_NS: i64 = 5_000_000;
/// A tick that begins later than this says little of when the packets came that it reads.
const UNPUNCTUAL_NS: i64 = 1_000_000;
/// So many late ticks are made up for one after another; more are left out.
const CATCH_UP: i64 = 5;

/// How a tick began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// More than 5 ms late.
    pub is_late: bool,
    /// Less than 1 ms late.
    pub is_punctual: bool,
    /// Ticks that were left out before it.
    pub skipped: u32,
    /// When it began, in microseconds of the clock that nobody sets.
    pub us: u64,
}

/// How a media thread kept time, since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TickCounts {
    /// Ticks that began more than 5 ms late.
    pub late: u64,
    /// Ticks that were left out, because the one before them ended more than 100 ms late: nobody heard anything in them.
    pub skipped: u64,
}

impl TickCounts {
    pub(super) fn count(&mut self, tick: Tick) {
        self.late += u64::from(tick.is_late);
        self.skipped += u64::from(tick.skipped);
    }
}

/// Ticks at fixed times, however long the work takes.
#[derive(Debug)]
pub struct Clock {
    next_ns: i64,
}

impl Clock {
    pub fn start() -> Self {
        Self::at(monotonic_ns())
    }

    /// One that begins at a time.
    pub(super) fn at(now_ns: i64) -> Self {
        Self {
            next_ns: now_ns + TICK_NS,
        }
    }

    /// Sleep until the next tick.
    pub fn wait(&mut self) -> Tick {
        let until = Timespec {
            tv_sec: self.next_ns / 1_000_000_000,
            tv_nsec: self.next_ns % 1_000_000_000,
        };
        // Interrupted by a signal: sleep on.
        while clock_nanosleep_absolute(ClockId::Monotonic, &until) == Err(rustix::io::Errno::INTR) {}
        self.begin(monotonic_ns())
    }

    /// The next tick, for which it woke at `now_ns`.
    pub(super) fn begin(&mut self, now_ns: i64) -> Tick {
        let late = now_ns - self.next_ns;
        let behind = late / TICK_NS;
        let skipped = if behind > CATCH_UP { behind } else { 0 };
        self.next_ns += (skipped + 1) * TICK_NS;
        Tick {
            is_late: late > LATE_NS,
            is_punctual: late < UNPUNCTUAL_NS,
            skipped: skipped as u32,
            us: now_ns as u64 / 1000,
        }
    }
}

fn monotonic_ns() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Microseconds of the Unix epoch: for time stamps that are told, never for what is measured.
pub fn unix_us() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    since.as_micros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_late_is_caught_up_and_very_late_is_skipped() {
        let mut clock = Clock { next_ns: 0 };
        let tick = |is_late, is_punctual, skipped, us| Tick {
            is_late,
            is_punctual,
            skipped,
            us,
        };
        assert_eq!(clock.begin(100_000), tick(false, true, 0, 100));
        assert_eq!(clock.begin(75_000_000), tick(true, false, 0, 75_000));
        assert_eq!(clock.begin(75_100_000), tick(true, false, 0, 75_100));
        assert_eq!(clock.begin(75_200_000), tick(true, false, 0, 75_200));
        assert_eq!(clock.next_ns, 80_000_000);
        assert_eq!(clock.begin(82_000_000), tick(false, false, 0, 82_000));
        assert_eq!(clock.begin(1_100_000_000), tick(true, false, 50, 1_100_000));
        assert_eq!(clock.next_ns, 1_120_000_000);
    }

    #[test]
    fn a_thread_whose_ticks_take_longer_than_20_ms_counts_those_that_it_left_out() {
        let (mut clock, mut counts) = (Clock { next_ns: 0 }, TickCounts::default());
        let mut now_ns = 0;
        for _ in 0..100 {
            now_ns = clock.next_ns.max(now_ns);
            counts.count(clock.begin(now_ns));
            now_ns += 40_000_000;
        }
        let passed = (now_ns / TICK_NS) as u64;
        assert!((passed * 2 / 5..passed * 3 / 5).contains(&counts.skipped), "{counts:?}");
        assert!(counts.late > 90, "{counts:?}");
    }
}
