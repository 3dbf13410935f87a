//! Where a stream lies on our clock: what was said when, however unevenly its packets came.
//!
//! A packet is read at a tick: it came up to a frame before. The fastest packets tell the distance between the two
//! clocks; it is learnt in the first second and then left alone, so that what was a second apart stays a second
//! apart, until the clocks have drifted by a frame, the path has changed, or the stream began anew.

use offhook_words::{FRAME, RATE_HZ};

const STEP: i32 = FRAME as i32;
/// A packet that was read at a tick came half a frame earlier, on average.
const HALF: i32 = STEP / 2;
/// A jump in time that makes a stream begin anew: 1 s.
const JUMP: i32 = RATE_HZ as i32;
/// Ticks with packets that tell the distance at first, a second.
const LEARNING: u32 = 50;
/// Packets that are looked at together, two seconds.
const WINDOW: u32 = 100;
/// Of these, so many that came a frame earlier are no accident.
const EARLY: u32 = WINDOW / 10;
/// So many windows without a packet on time: the distance has grown.
const LATE_WINDOWS: u32 = 5;
/// So many ticks in a row with packets that came too late for a recording: the path changed.
const TOO_LATE: u32 = 15;
/// So many ticks in a row with packets that are more than [`JUMP`] late, and older than the newest or read at a late tick: the
/// stream began anew. One is a stray.
const STRAYS: u32 = 3;

/// Finds the place of a packet of one stream. Both clocks count samples and wrap.
#[derive(Debug, Clone, Default)]
pub struct Placement {
    /// Local time less timestamp of packets without delay.
    distance: Option<u32>,
    /// The same before a packet that came much too late, until the next tick: what waited with it tells whether the stream began
    /// anew.
    before: Option<u32>,
    /// It was told by a tick that was late itself, and so is too short: the next punctual one tells better.
    is_guess: bool,
    /// When the last packet was read.
    came: u32,
    /// The latest timestamp.
    newest: u32,
    strays: u32,
    seen: u32,
    early: u32,
    on_time: u32,
    late_windows: u32,
    too_late: u32,
}

impl Placement {
    /// The stream began anew: its timestamps mean nothing now.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// When the first sample of a packet was said, in local time, to within half a frame. `None`: too long ago to be told.
    ///
    /// It was read at the tick `now`; `is_punctual` says that this tick was not late itself. `window` is how late a
    /// packet may be for whoever asks.
    pub fn place(&mut self, timestamp: u32, now: u32, is_punctual: bool, window: u32) -> Option<u32> {
        let transit = now.wrapping_sub(timestamp);
        let is_together = self.distance.is_some() && self.came == now;
        self.came = now;
        if let Some(before) = self.before.filter(|_| is_together) {
            if !is_near(transit, before) {
                return None;
            }
            (self.distance, self.seen) = (Some(before), LEARNING);
        }
        self.before = None;
        if let Some(distance) = self.distance {
            let is_old = (timestamp.wrapping_sub(self.newest) as i32) < 0;
            // What we slept over waited for us: it says nothing of the stream.
            let is_stray = (is_old || !is_punctual) && transit.wrapping_sub(distance) as i32 > JUMP;
            self.strays = match is_stray {
                true if is_together && self.strays > 0 => self.strays,
                true => self.strays + 1,
                false => 0,
            };
            if (1..STRAYS).contains(&self.strays) {
                return None;
            }
        }
        let distance = match self.distance {
            Some(distance) if is_near(transit, distance) => {
                self.learn(distance, transit, is_punctual, is_together, window)
            }
            before => {
                self.restart();
                self.is_guess = !is_punctual;
                self.before = before.filter(|before| transit.wrapping_sub(*before) as i32 > 0);
                transit
            }
        };
        self.came = now;
        if self.distance.is_none() || timestamp.wrapping_sub(self.newest) as i32 > 0 {
            self.newest = timestamp;
        }
        self.distance = Some(distance);
        Some(timestamp.wrapping_add(distance).wrapping_sub(HALF.unsigned_abs()))
    }

    /// `is_together`: it was read with the packet before it, so that both tell of one wait.
    fn learn(&mut self, distance: u32, transit: u32, is_punctual: bool, is_together: bool, window: u32) -> u32 {
        let late = transit.wrapping_sub(distance) as i32;
        self.too_late = match late > window as i32 {
            true if is_together => self.too_late,
            true => self.too_late + 1,
            false => 0,
        };
        if self.too_late >= TOO_LATE {
            self.restart();
            self.is_guess = !is_punctual;
            return transit;
        }
        if !is_punctual {
            return distance;
        }
        if std::mem::take(&mut self.is_guess) {
            return transit;
        }
        // What came together in the first second tells of one wait.
        self.seen += u32::from(!is_together || self.seen >= LEARNING);
        if self.seen <= LEARNING {
            return if late < 0 { transit } else { distance };
        }
        self.early += u32::from(late <= -STEP);
        self.on_time += u32::from(late < STEP);
        if (self.seen - LEARNING).is_multiple_of(WINDOW) {
            self.judge(distance)
        } else {
            distance
        }
    }

    /// At the end of a window: move by one frame when the evidence is clear.
    fn judge(&mut self, distance: u32) -> u32 {
        self.late_windows = if self.on_time == 0 { self.late_windows + 1 } else { 0 };
        let is_early = self.early >= EARLY;
        (self.early, self.on_time) = (0, 0);
        if is_early {
            return distance.wrapping_sub(STEP.unsigned_abs());
        }
        if self.late_windows >= LATE_WINDOWS {
            self.late_windows = 0;
            return distance.wrapping_add(STEP.unsigned_abs());
        }
        distance
    }
}

/// Such a transit may be one of the stream with that distance.
fn is_near(transit: u32, distance: u32) -> bool {
    (transit.wrapping_sub(distance) as i32).unsigned_abs() <= JUMP.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WIDE: u32 = 1440;

    /// Send packets at `sent(n)` (samples on our clock), each `delay(n)` under way, and give the places less the times.
    fn errors(
        count: u32,
        sent: impl Fn(u32) -> f64,
        delay: impl Fn(u32) -> f64,
        punctual: impl Fn(u32) -> bool,
    ) -> Vec<f64> {
        let mut placement = Placement::default();
        (0..count)
            .map(|n| {
                let timestamp = n.wrapping_mul(160).wrapping_add(u32::MAX - 5000);
                let tick = ((sent(n) + delay(n)) / 160.0).ceil() as u32 * 160;
                f64::from(placement.place(timestamp, tick, punctual(n), WIDE).unwrap()) - sent(n)
            })
            .collect()
    }

    #[test]
    fn a_steady_stream_lies_within_half_a_frame_and_its_spacing_is_exact() {
        for phase in [1.0, 40.0, 80.0, 120.0, 160.0] {
            let errors = errors(500, |n| f64::from(n) * 160.0 + phase, |_| 0.0, |_| true);
            assert!(errors.iter().all(|error| error.abs() <= 80.0), "{phase}");
            assert!(errors.windows(2).all(|pair| (pair[0] - pair[1]).abs() < 0.1));
        }
    }

    #[test]
    fn jitter_does_not_move_what_was_learnt() {
        // 0 to 60 ms, by a fixed rule.
        let delay = |n: u32| f64::from(n.wrapping_mul(2_654_435_761) >> 16) / 65_536.0 * 480.0;
        let errors = errors(3000, |n| f64::from(n) * 160.0 + 50.0, delay, |_| true);
        assert!(errors[50..].iter().all(|error| error.abs() <= 160.0));
        assert!(errors[50..].windows(2).all(|pair| (pair[0] - pair[1]).abs() < 0.1));
    }

    #[test]
    fn a_clock_that_drifts_is_followed_within_a_frame() {
        for rate in [1.0002, 0.9998] {
            let errors = errors(60_000, |n| 9000.0 + f64::from(n) * 160.0 * rate, |_| 0.0, |_| true);
            let worst = errors.iter().fold(0.0_f64, |worst, error| worst.max(error.abs()));
            assert!(worst <= 160.0, "{rate}: {worst}");
        }
    }

    #[test]
    fn a_packet_that_comes_seconds_late_has_no_place_and_moves_no_other() {
        for delay in [8_400, 12_000, 80_000] {
            let came = |n: u32| (n + 1) * 160 + if [60, 61, 300].contains(&n) { delay } else { 0 };
            let mut order: Vec<u32> = (0..800).collect();
            order.sort_by_key(|n| came(*n));
            let mut placement = Placement::default();
            for n in order {
                let place = placement.place(n * 160, came(n), true, WIDE);
                let is_stray = [60, 61, 300].contains(&n);
                assert_eq!(place, (!is_stray).then_some(n * 160 + 80), "{n} {delay} late");
            }
        }
    }

    /// What waited comes at once, and what of it is young enough for a recording was laid elsewhere.
    #[test]
    fn what_waited_for_a_stall_or_for_us_lies_where_it_was_said() {
        for stall in [10, 16, 24, 30, 49, 50, 51, 60, 75, 500] {
            for is_ours in [false, true] {
                let came = |n: u32| {
                    if (300..300 + stall).contains(&n) {
                        300 + stall
                    } else {
                        n + 1
                    }
                };
                let mut placement = Placement::default();
                for n in 0..600 {
                    let is_punctual = !is_ours || came(n) != 300 + stall;
                    let place = placement.place(n * 160, came(n) * 160, is_punctual, WIDE);
                    let may_begin_anew = n == 300 && stall > 51 && !is_ours;
                    let is_right = place == Some(n * 160 + 80);
                    let is_old = n + 50 < came(n);
                    assert!(
                        is_right || may_begin_anew || is_old && place.is_none(),
                        "a stall of {stall}, {is_ours}: {n} lies at {place:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_stream_that_waited_longer_than_its_timestamps_tell_is_found_again_in_the_same_tick_or_the_third() {
        for (is_punctual, lost) in [(true, 0), (false, 2)] {
            let mut placement = Placement::default();
            (0..100).for_each(|n| _ = placement.place(n * 160, n * 160, true, WIDE));
            for n in 100..200 {
                let now = (n + 100) * 160;
                let place = placement.place(n * 160, now, is_punctual, WIDE);
                assert_eq!(place, (n >= 100 + lost).then_some(now - 80), "{n}");
            }
        }
    }

    /// It lay up to 100 ms too early for ten seconds.
    #[test]
    fn a_stream_that_begins_at_a_late_tick_lies_where_it_was_said_from_the_first_punctual_one_on() {
        let mut placement = Placement::default();
        for n in 3..200 {
            // The first was read at a tick that began 60 ms late, and that was due before it came.
            let now = if n == 3 { 160 } else { (n + 1) * 160 };
            let place = placement.place(n * 160, now, n > 3, WIDE);
            assert!(n == 3 || place == Some(n * 160 + 80), "{n} lies at {place:?}");
        }
    }

    #[test]
    fn late_ticks_of_ours_tell_nothing() {
        // Sent just behind a tick; every fifth tick is late enough to read it a frame too early.
        let late = |n: u32| n.is_multiple_of(5);
        let sent = |n: u32| f64::from(n) * 160.0 + 8.0;
        let errors = errors(1000, sent, |n| if late(n) && n > 0 { -8.0 } else { 0.0 }, |n| !late(n));
        assert!(errors.windows(2).all(|pair| (pair[0] - pair[1]).abs() < 0.1));
    }

    #[test]
    fn a_path_that_became_much_longer_and_a_stream_that_began_anew_are_found_again() {
        let delay = |n: u32| if n < 200 { 0.0 } else { 4000.0 };
        let longer = errors(400, |n| f64::from(n) * 160.0 + 8.0, delay, |_| true);
        assert!((longer[399] - longer[100] - 4000.0).abs() <= 160.0);
        let mut placement = Placement::default();
        placement.place(1_000, 16_000, true, WIDE);
        assert_eq!(placement.place(900_000, 32_000, true, WIDE), Some(31_920));
        placement.restart();
        assert_eq!(placement.place(5, 48_000, true, WIDE), Some(47_920));
    }

    #[test]
    fn a_clock_or_a_timestamp_exactly_half_the_range_away_begins_anew_and_overflows_nothing() {
        const FAR: u32 = 1 << 31;
        for (timestamp, now) in [(FAR, 0), (0, FAR), (0, FAR + 1), (0, FAR - 1), (FAR + 160, 160)] {
            for window in [0, WIDE, u32::MAX >> 1] {
                let mut placement = Placement::default();
                assert_eq!(placement.place(0, 0, true, window), Some(0_u32.wrapping_sub(80)));
                let place = placement.place(timestamp, now, true, window).unwrap();
                assert_eq!(place, now.wrapping_sub(80), "{timestamp} at {now}");
                // And it goes on from there.
                let next = placement.place(timestamp.wrapping_add(160), now.wrapping_add(160), true, window);
                assert_eq!(next, Some(place.wrapping_add(160)));
            }
        }
    }

    proptest! {
        #[test]
        fn no_packet_is_placed_far_from_when_it_was_read(
            packets in proptest::collection::vec((any::<u32>(), any::<u32>(), any::<bool>()), 1..300),
        ) {
            let (mut placement, mut refused) = (Placement::default(), 0);
            for (timestamp, now, is_punctual) in packets {
                let Some(place) = placement.place(timestamp, now, is_punctual, WIDE) else {
                    refused += 1;
                    prop_assert!(refused < STRAYS);
                    continue;
                };
                refused = 0;
                prop_assert!((place.wrapping_sub(now) as i32).abs() <= JUMP + HALF);
            }
        }
    }
}
