//! What is known of the stream that comes in: sequence validation, loss, jitter (RFC 3550 appendices A.1, A.3, A.8).

use crate::packet::Header;
use crate::rtcp::ReportBlock;

const MAX_DROPOUT: u16 = 3000;
const MAX_MISORDER: u16 = 100;

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
    stray: Option<(u32, u16)>,
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
            self.other_source(header)
        };
        match accepted {
            Accepted::No => {}
            Accepted::Yes => self.time(header.timestamp, arrival),
            Accepted::Restarted => {
                self.stray = None;
                self.transit = Some(arrival.wrapping_sub(header.timestamp));
            }
        }
        accepted
    }

    /// A new source is believed at its second packet in a row, so that one forged packet cuts nothing.
    fn other_source(&mut self, header: &Header) -> Accepted {
        let known = self.stray == Some((header.ssrc, header.sequence));
        if self.ssrc.is_some() && !known {
            self.stray = Some((header.ssrc, header.sequence.wrapping_add(1)));
            return Accepted::No;
        }
        self.lost_before = self.lost();
        self.ssrc = Some(header.ssrc);
        self.restart(header.sequence);
        Accepted::Restarted
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

    #[test]
    fn one_forged_packet_changes_nothing_and_a_new_source_is_taken_at_its_second() {
        let mut reception = Reception::default();
        assert_eq!(reception.packet(&header(1, 5), 0), Accepted::Restarted);
        assert_eq!(reception.packet(&header(1, 40_000), 0), Accepted::No);
        assert_eq!(reception.packet(&header(9, 77), 0), Accepted::No);
        assert_eq!(reception.packet(&header(1, 6), 0), Accepted::Yes);
        assert_eq!(reception.packet(&header(2, 100), 0), Accepted::No);
        assert_eq!(reception.packet(&header(2, 101), 0), Accepted::Restarted);
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
