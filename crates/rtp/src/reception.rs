//! What is known of the stream that comes in: sequence validation, loss, jitter (RFC 3550 appendices A.1, A.3, A.8).

use crate::packet::Header;
use crate::rtcp::ReportBlock;

const MAX_DROPOUT: u16 = 3000;
const MAX_MISORDER: u16 = 100;
/// A source that was silent for two frames may be followed by another.
const QUIET: i32 = 320;
/// A source that changed its name has numbers and timestamps that go on: by less than this, and by at most 1 s.
const GOES_ON: u16 = 100;
const LONGEST: u32 = 8000;
/// For so long after two sources had the same number neither is the other under another name: 1 s.
const APART: i32 = 8000;

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It belongs to the stream.
    Yes,
    /// It begins a stream: the first one, another source, or the source began anew. Forget what is buffered.
    Restarted,
    /// A jump that may be an error; if the next packet follows it, the source began anew.
    No,
}

/// Statistics of one source at a time; another SSRC begins anew, and counts go on.
#[derive(Debug, Clone, Default)]
pub struct Reception {
    ssrc: Option<u32>,
    highest: u16,
    cycles: u32,
    base: u32,
    bad_next: Option<u16>,
    /// Another source, and the number of its next packet.
    stray: Option<(u32, u16)>,
    /// When another source had the number of the newest packet.
    twin: Option<u32>,
    /// When the last packet of the source came.
    heard: u32,
    received: u32,
    expected_before: u32,
    received_before: u32,
    lost_before: u64,
    transit: Option<u32>,
    jitter: f32,
}

impl Reception {
    /// Judge a packet and count it. `arrival` is the time of arrival in samples, of any origin.
    pub fn packet(&mut self, header: &Header, arrival: u32) -> Accepted {
        let accepted = if self.ssrc == Some(header.ssrc) {
            self.sequence(header.sequence)
        } else {
            self.other_source(header, arrival)
        };
        match accepted {
            Accepted::No => return accepted,
            Accepted::Yes => self.time(header.timestamp, arrival),
            Accepted::Restarted => self.transit = Some(arrival.wrapping_sub(header.timestamp)),
        }
        self.stray = None;
        self.bad_next = None;
        self.heard = arrival;
        accepted
    }

    /// A packet that is no audio: a key, comfort noise, what is not understood. It is counted where it fits into the stream
    /// that is heard; it begins none, and its time tells nothing of the path.
    pub fn beside(&mut self, header: &Header) {
        let ahead = header.sequence.wrapping_sub(self.highest) as i16;
        let is_near = ahead.unsigned_abs() < MAX_MISORDER;
        if self.ssrc == Some(header.ssrc) && is_near {
            self.sequence(header.sequence);
        }
    }

    /// A new source is believed at its second packet in a row, when the one before is silent: one forged packet cuts nothing,
    /// and of two that speak at once the first is heard. A packet that goes on with the very next numbers and times is the
    /// same source by another name: who forges that knows what it takes to forge the name too.
    fn other_source(&mut self, header: &Header, arrival: u32) -> Accepted {
        if self.ssrc.is_some() && header.sequence == self.highest {
            self.twin = Some(arrival);
        }
        if self.is_renamed(header, arrival) {
            self.ssrc = Some(header.ssrc);
            return self.sequence(header.sequence);
        }
        let is_quiet = arrival.wrapping_sub(self.heard) as i32 >= QUIET;
        let known = is_quiet && self.stray == Some((header.ssrc, header.sequence));
        if self.ssrc.is_some() && !known {
            self.stray = Some((header.ssrc, header.sequence.wrapping_add(1)));
            return Accepted::No;
        }
        self.lost_before = self.lost();
        self.ssrc = Some(header.ssrc);
        self.restart(header.sequence);
        Accepted::Restarted
    }

    /// The source that is heard, under another name: its numbers and timestamps go on. Some gateways change it in a call, and
    /// some with each packet.
    fn is_renamed(&self, header: &Header, arrival: u32) -> bool {
        let Some(transit) = self.transit else {
            return false;
        };
        let ahead = header.sequence.wrapping_sub(self.highest);
        let told = header.timestamp.wrapping_sub(self.heard.wrapping_sub(transit));
        let is_apart = self
            .twin
            .is_some_and(|twin| (arrival.wrapping_sub(twin) as i32) < APART);
        (1..GOES_ON).contains(&ahead) && told <= LONGEST && !is_apart
    }

    fn restart(&mut self, sequence: u16) {
        self.highest = sequence;
        self.base = u32::from(sequence);
        self.cycles = 0;
        self.bad_next = None;
        self.received = 1;
        self.expected_before = 0;
        self.received_before = 0;
    }

    fn sequence(&mut self, sequence: u16) -> Accepted {
        let ahead = sequence.wrapping_sub(self.highest);
        if ahead < MAX_DROPOUT {
            if sequence < self.highest {
                self.cycles = self.cycles.wrapping_add(1 << 16);
            }
            self.highest = sequence;
        } else if ahead <= u16::MAX - MAX_MISORDER {
            if self.bad_next == Some(sequence) {
                self.lost_before = self.lost();
                self.restart(sequence);
                return Accepted::Restarted;
            }
            self.bad_next = Some(sequence.wrapping_add(1));
            return Accepted::No;
        }
        self.received = self.received.wrapping_add(1);
        Accepted::Yes
    }

    fn time(&mut self, timestamp: u32, arrival: u32) {
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit {
            let change = (transit.wrapping_sub(before) as i32).unsigned_abs().min(80_000);
            self.jitter += (change as f32 - self.jitter) / 16.0;
        }
        self.transit = Some(transit);
    }

    /// The source that is heard.
    pub fn ssrc(&self) -> Option<u32> {
        self.ssrc
    }

    fn extended_highest(&self) -> u32 {
        self.cycles.wrapping_add(u32::from(self.highest))
    }

    fn expected(&self) -> u32 {
        self.extended_highest()
            .wrapping_sub(self.base)
            .wrapping_add(u32::from(self.ssrc.is_some()))
    }

    /// Packets that never came, of all sources.
    pub fn lost(&self) -> u64 {
        self.lost_before + u64::from(self.expected().saturating_sub(self.received))
    }

    /// Interarrival jitter in samples.
    pub fn jitter(&self) -> f32 {
        self.jitter
    }

    /// The block for our next report; the fraction is since the last one.
    pub fn report(&mut self, last_sender_report: u32, delay_since: u32) -> Option<ReportBlock> {
        let ssrc = self.ssrc?;
        let expected = self.expected();
        let expected_now = expected.wrapping_sub(self.expected_before);
        let received_now = self.received.wrapping_sub(self.received_before);
        self.expected_before = expected;
        self.received_before = self.received;
        let lost_now = expected_now.saturating_sub(received_now);
        let fraction = (u64::from(lost_now) * 256)
            .checked_div(u64::from(expected_now))
            .unwrap_or(0);
        let lost = i64::from(expected) - i64::from(self.received);
        Some(ReportBlock {
            ssrc,
            fraction_lost: fraction.min(255) as u8,
            cumulative_lost: lost.clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest_sequence: self.extended_highest(),
            jitter: self.jitter as u32,
            last_sender_report,
            delay_since,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(ssrc: u32, sequence: u16) -> Header {
        Header {
            marker: false,
            payload_type: 0,
            sequence,
            timestamp: u32::from(sequence) * 160,
            ssrc,
        }
    }

    #[test]
    fn loss_is_counted_across_the_wrap_of_the_sequence() {
        let mut reception = Reception::default();
        for n in 65_500_u32..65_600 {
            if n % 10 != 0 {
                reception.packet(&header(1, n as u16), n * 160);
            }
        }
        // The first (65500) was lost unknown to anybody.
        assert_eq!(reception.lost(), 9);
        let report = reception.report(0, 0).unwrap();
        assert_eq!(report.cumulative_lost, 9);
        assert_eq!(report.highest_sequence, 65_599);
        assert_eq!(report.fraction_lost, (9 * 256 / 99) as u8);
        assert_eq!(reception.report(0, 0).unwrap().fraction_lost, 0);
    }

    /// Packets of two sources that speak at once: how often the source that is heard changed, and who was heard how often.
    fn two_at_once(packets: impl IntoIterator<Item = (u32, u16, u32)>) -> (u32, [u32; 3]) {
        let mut reception = Reception::default();
        let (mut changes, mut heard) = (0, [0; 3]);
        for (ssrc, sequence, tick) in packets {
            let accepted = reception.packet(&header(ssrc, sequence), tick * 160);
            changes += u32::from(accepted == Accepted::Restarted);
            heard[ssrc as usize] += u32::from(accepted != Accepted::No);
        }
        (changes, heard)
    }

    #[test]
    fn of_two_sources_that_speak_at_once_the_first_is_heard_without_a_break() {
        let alternating = (0..500_u16).flat_map(|n| [(1, n, u32::from(n)), (2, n + 9000, u32::from(n))]);
        assert_eq!(two_at_once(alternating), (1, [0, 500, 0]));
        // The first comes in pairs, and the other between them.
        let pairs = (0..500_u16).flat_map(|n| {
            let tick = u32::from(n) / 2 * 2;
            [(1, n, tick), (2, n + 9000, u32::from(n))]
        });
        assert_eq!(two_at_once(pairs), (1, [0, 500, 0]));
    }

    #[test]
    fn one_source_with_two_numberings_is_heard_in_the_one_that_was_first() {
        let both = (0..500_u16).flat_map(|n| [(1, n, u32::from(n)), (1, n + 30_000, u32::from(n))]);
        assert_eq!(two_at_once(both), (1, [0, 500, 0]));
    }

    #[test]
    fn a_source_that_goes_on_where_another_stopped_is_heard_from_its_third_packet_at_the_latest() {
        let handed = (0..50_u16).map(|n| (1, n, u32::from(n)));
        let over = (50..100_u16).map(|n| (2, n + 777, u32::from(n)));
        assert_eq!(two_at_once(handed.chain(over)), (2, [0, 50, 49]));
        let back = (0..300_u16).map(|n| (1 + u32::from(n / 100 % 2), n + n / 100 % 2 * 9000, u32::from(n)));
        let (changes, heard) = two_at_once(back);
        assert!(changes == 3 && heard[1] >= 198 && heard[2] >= 98, "{changes} {heard:?}");
    }

    #[test]
    fn a_source_that_takes_another_name_and_counts_on_is_the_same_and_loses_nothing() {
        let renamed = (0..300_u16).map(|n| (u32::from(n / 100), n.wrapping_add(65_400), u32::from(n)));
        assert_eq!(two_at_once(renamed), (1, [100, 100, 100]));
    }

    #[test]
    fn a_source_with_another_name_in_each_packet_is_heard_whole_and_its_losses_and_keys_are_none_of_its_ends() {
        let mut reception = Reception::default();
        let mut heard = 0;
        for n in (0..500_u16).filter(|n| *n == 0 || n % 50 > 14) {
            let name = u32::from(n).wrapping_mul(2_654_435_761);
            let packet = Header {
                timestamp: 0_u32.wrapping_sub(5000).wrapping_add(u32::from(n) * 160),
                ..header(name, n)
            };
            if n % 50 == 40 {
                reception.beside(&packet);
                continue;
            }
            let accepted = reception.packet(&packet, u32::from(n) * 160);
            assert_eq!(accepted == Accepted::Restarted, heard == 0, "{n}");
            heard += u32::from(accepted != Accepted::No);
        }
        assert_eq!(heard, 341);
    }

    #[test]
    fn of_two_sources_with_the_same_numbers_and_times_one_is_heard_however_they_mix() {
        let mixed = (0..500_u16).flat_map(|n| {
            let first = if n > 3 && n % 7 == 0 { 2 } else { 1 };
            [(first, n, u32::from(n)), (3 - first, n, u32::from(n))]
        });
        assert_eq!(two_at_once(mixed), (1, [0, 500, 0]));
    }

    #[test]
    fn what_is_no_audio_is_counted_where_it_fits_and_begins_no_stream() {
        let mut reception = Reception::default();
        reception.beside(&header(9, 4));
        assert_eq!(reception.ssrc(), None);
        for n in 10..60_u16 {
            // A key in place of five packets of audio.
            if (30..35).contains(&n) {
                reception.beside(&header(1, n));
            } else {
                reception.packet(&header(1, n), u32::from(n) * 160);
            }
            reception.beside(&header(1, n + 20_000));
            reception.beside(&header(1, n + 2_000));
            reception.beside(&header(2, n));
        }
        assert_eq!((reception.lost(), reception.ssrc()), (0, Some(1)));
        assert!(reception.jitter() < 0.001);
    }

    #[test]
    fn one_forged_packet_changes_nothing_and_a_new_source_is_taken_at_its_second() {
        let mut reception = Reception::default();
        assert_eq!(reception.packet(&header(1, 5), 0), Accepted::Restarted);
        assert_eq!(reception.packet(&header(1, 40_000), 0), Accepted::No);
        assert_eq!(reception.packet(&header(9, 77), 0), Accepted::No);
        assert_eq!(reception.packet(&header(1, 6), 0), Accepted::Yes);
        assert_eq!(reception.packet(&header(2, 100), 160), Accepted::No);
        assert_eq!(reception.packet(&header(2, 101), 320), Accepted::Restarted);
        assert_eq!(reception.ssrc(), Some(2));
    }

    #[test]
    fn a_source_that_begins_anew_with_the_same_ssrc_is_followed() {
        let mut reception = Reception::default();
        reception.packet(&header(1, 5), 0);
        assert_eq!(reception.packet(&header(1, 30_000), 0), Accepted::No);
        assert_eq!(reception.packet(&header(1, 30_001), 0), Accepted::Restarted);
    }

    #[test]
    fn steady_arrival_has_no_jitter_and_alternating_arrival_has() {
        let mut reception = Reception::default();
        for n in 0..500_u16 {
            reception.packet(&header(1, n), u32::from(n) * 160);
        }
        assert!(reception.jitter() < 0.001);
        for n in 500..1000_u16 {
            reception.packet(&header(1, n), u32::from(n) * 160 + u32::from(n % 2) * 80);
        }
        assert!((reception.jitter() - 80.0).abs() < 1.0);
    }

    proptest! {
        #[test]
        fn any_packets_leave_it_sane(packets in proptest::collection::vec((0_u32..3, any::<u16>(), any::<u32>()), 0..200)) {
            let mut reception = Reception::default();
            for (ssrc, sequence, arrival) in packets {
                reception.packet(&header(ssrc, sequence), arrival);
                prop_assert!(reception.jitter().is_finite());
                let _ = reception.report(1, 2);
            }
        }
    }
}
