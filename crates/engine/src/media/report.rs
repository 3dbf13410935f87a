//! RTCP of one leg: a report every 5 s or so, the peer's reports read, BYE at the end.

use offhook_rtp::{NtpTime, Reception, RtcpPacket, RtcpParser, SenderInfo, rtcp_interval_us, write_report};
use offhook_words::MediaStats;

use super::api::LegKey;
use super::leg::{Origin, Outlet, TickTime};

/// What reports told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    /// The peer is there.
    pub is_alive: bool,
    /// It calls itself what we call ourselves.
    pub has_collided: bool,
}

/// The RTCP side of a leg.
pub struct Reports {
    /// When the last report came since the stream was settled.
    heard_us: Option<u64>,
    /// That one came before it since then: the first may have been on its way.
    is_regular: bool,
    ssrc: u32,
    cname: String,
    dice: u32,
    /// When the next report is due; 0: nobody knows yet.
    next_us: u64,
    /// NTP time less time: what our clock showed at first, so that no step of it is in the reports.
    epoch_us: u64,
    octets: u32,
    /// Of another SSRC of ours.
    packets_before: u64,
    /// Sent when the last report went, and when the one before it did.
    packets_reported: [u64; 2],
    /// Middle of the NTP time of the peer's last report, and when it came.
    last_report: Option<(u32, u64)>,
    round_trip_ms: f32,
}

impl Reports {
    pub fn new(ssrc: u32, key: LegKey) -> Self {
        Self {
            heard_us: None,
            is_regular: false,
            ssrc,
            cname: format!("{ssrc:08x}@offhook"),
            dice: ssrc ^ key.0.rotate_left(16) | 1,
            next_us: 0,
            epoch_us: 0,
            octets: 0,
            packets_before: 0,
            packets_reported: [0; 2],
            last_report: None,
            round_trip_ms: 0.0,
        }
    }

    /// The stream was settled anew: who reported before may do so no more.
    pub fn settled(&mut self) {
        (self.heard_us, self.is_regular) = (None, false);
    }

    /// When the last report came, of at least two since then.
    pub fn heard_us(&self) -> Option<u64> {
        self.heard_us.filter(|_| self.is_regular)
    }

    pub fn round_trip_ms(&self) -> f32 {
        self.round_trip_ms
    }

    pub fn sent(&mut self, octets: u32) {
        self.octets = self.octets.wrapping_add(octets);
    }

    /// We call ourselves something else from now on.
    pub fn rename(&mut self, ssrc: u32, stats: &MediaStats) {
        (self.ssrc, self.octets) = (ssrc, 0);
        self.packets_before = stats.packets_sent;
        self.packets_reported = [stats.packets_sent; 2];
    }

    /// Write what is due.
    pub fn tick(
        &mut self,
        now: TickTime,
        timestamp: u32,
        stats: &MediaStats,
        reception: &mut Reception,
        out: &mut impl Outlet,
    ) {
        if self.next_us == 0 {
            self.epoch_us = now.unix_us.saturating_sub(now.us);
            // The first comes after half the time (RFC 3550 section 6.2).
            self.next_us = now.us + self.interval_us() / 2;
        }
        if now.us >= self.next_us {
            self.next_us = now.us + self.interval_us();
            self.write(now, timestamp, stats, reception, false, out);
        }
    }

    fn interval_us(&mut self) -> u64 {
        rtcp_interval_us(&mut self.dice)
    }

    fn ntp(&self, us: u64) -> NtpTime {
        NtpTime::from_unix_us(self.epoch_us.saturating_add(us))
    }

    /// The last report, with BYE.
    pub fn bye(
        &mut self,
        now: TickTime,
        timestamp: u32,
        stats: &MediaStats,
        reception: &mut Reception,
        out: &mut impl Outlet,
    ) {
        self.write(now, timestamp, stats, reception, true, out);
    }

    fn write(
        &mut self,
        now: TickTime,
        timestamp: u32,
        stats: &MediaStats,
        reception: &mut Reception,
        bye: bool,
        out: &mut impl Outlet,
    ) {
        let (last, since) = match self.last_report {
            Some((middle, came_us)) => (middle, fixed_point(now.us.saturating_sub(came_us))),
            None => (0, 0),
        };
        let block = reception.report(last, since);
        let info = SenderInfo {
            ntp: self.ntp(now.us),
            timestamp,
            packets: stats.packets_sent.wrapping_sub(self.packets_before) as u32,
            octets: self.octets,
        };
        // Since the last report or the one before it (RFC 3550 section 6.4): a BYE may follow in the tick of a report.
        let [last, before] = self.packets_reported;
        let has_sent = stats.packets_sent > before;
        self.packets_reported = [stats.packets_sent, last];
        let mut buffer = [0; 160];
        let size = write_report(
            &mut buffer,
            self.ssrc,
            has_sent.then_some(&info),
            block.as_ref(),
            &self.cname,
            bye,
        );
        out.rtcp(buffer.get(..size).unwrap_or(&[]));
    }

    /// A datagram that should be a compound of the peer; its audio is of `source`.
    pub fn take(&mut self, datagram: &[u8], origin: Origin, source: Option<u32>, now: TickTime) -> Told {
        let mut told = Told::default();
        let Ok(packets) = RtcpParser::new(datagram) else {
            return told;
        };
        for packet in packets {
            let (ssrc, block) = match packet {
                RtcpPacket::Sender { ssrc, block, .. } | RtcpPacket::Receiver { ssrc, block } => (ssrc, block),
                RtcpPacket::Bye { .. } | RtcpPacket::Other(_) => continue,
            };
            let about_us = block.filter(|block| block.ssrc == self.ssrc);
            // From another port of the peer's host: it must know the session.
            let is_peer = match origin {
                Origin::Peer => true,
                Origin::Host => source == Some(ssrc) || about_us.is_some(),
                Origin::Stranger => false,
            };
            if !is_peer {
                continue;
            }
            told.is_alive = true;
            told.has_collided |= ssrc == self.ssrc;
            if let RtcpPacket::Sender { info, .. } = packet {
                self.last_report = Some((info.ntp.middle(), now.us));
            }
            if let Some(trip) = about_us.and_then(|block| block.round_trip_ms(self.ntp(now.us))) {
                self.round_trip_ms = trip;
            }
        }
        if told.is_alive {
            self.is_regular |= self.heard_us.is_some();
            self.heard_us = Some(now.us);
        }
        told
    }
}

/// In 1/65536 s; what is longer than its 32 bits hold, 18 hours, is cut off.
fn fixed_point(us: u64) -> u32 {
    u32::try_from(us.saturating_mul(65_536) / 1_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The packet types of each compound that was written.
    #[derive(Default)]
    struct Written(Vec<u8>);

    impl Outlet for Written {
        fn rtp(&mut self, _: &[u8]) -> bool {
            true
        }

        fn rtcp(&mut self, compound: &[u8]) {
            self.0.extend(compound.get(1));
        }
    }

    fn at(second: u64) -> TickTime {
        TickTime {
            index: second * 50,
            samples: (second * 8000) as u32,
            us: second * 1_000_000,
            unix_us: second * 1_000_000,
            is_punctual: true,
        }
    }

    fn stats(packets_sent: u64) -> MediaStats {
        MediaStats {
            packets_sent,
            ..MediaStats::default()
        }
    }

    #[test]
    fn who_sent_since_the_report_before_the_last_is_a_sender() {
        let (mut reports, mut written) = (Reports::new(1, LegKey(1)), Written::default());
        let mut reception = Reception::default();
        let mut tick = |second, sent| reports.tick(at(second), 0, &stats(sent), &mut reception, &mut written);
        tick(1, 0);
        // Each of these is past any interval of dice.
        for (second, sent) in [(10, 400), (20, 400), (30, 400), (40, 900)] {
            tick(second, sent);
        }
        reports.bye(at(40), 0, &stats(900), &mut reception, &mut written);
        // A sender's, another (it sent before the last), a receiver's, a sender's, and the BYE in the tick of that.
        assert_eq!(written.0, [200, 200, 201, 200, 200]);
    }
}
