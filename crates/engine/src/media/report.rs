//! RTCP of one leg: a report every 5 s, the peer's reports read, BYE at the end.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use offhook_rtp::{NtpTime, Reception, RtcpPacket, RtcpParser, SenderInfo, write_report};

use super::api::{LegKey, LegStats};
use super::leg::TickTime;

/// Ticks between two reports, 5 s; each leg has its own place in them.
const PERIOD: u64 = 250;
/// The socket is read every 200 ms.
const READ: u64 = 10;
const MOST_READS: u32 = 8;

/// The RTCP side of a leg.
pub struct Reports {
    socket: Arc<UdpSocket>,
    remote: Option<SocketAddr>,
    ssrc: u32,
    cname: String,
    phase: u64,
    octets: u32,
    packets_reported: u64,
    /// Middle of the NTP time of the peer's last report, and when it came.
    last_report: Option<(u32, u64)>,
    round_trip_ms: f32,
}

impl Reports {
    pub fn new(socket: Arc<UdpSocket>, ssrc: u32, key: LegKey) -> Self {
        Self {
            socket,
            remote: None,
            ssrc,
            cname: format!("{ssrc:08x}@offhook"),
            phase: u64::from(key.0).wrapping_mul(7),
            octets: 0,
            packets_reported: 0,
            last_report: None,
            round_trip_ms: 0.0,
        }
    }

    pub fn connect(&mut self, remote: SocketAddr) {
        self.remote = Some(remote);
    }

    pub fn round_trip_ms(&self) -> f32 {
        self.round_trip_ms
    }

    pub fn sent(&mut self, octets: u32) {
        self.octets = self.octets.wrapping_add(octets);
    }

    /// Read and write what is due.
    pub fn tick(&mut self, now: TickTime, timestamp: u32, stats: &LegStats, reception: &mut Reception) {
        let place = now.index.wrapping_add(self.phase);
        if place.is_multiple_of(READ) {
            self.read(now.us);
        }
        if place.is_multiple_of(PERIOD) {
            self.write(now.us, timestamp, stats, reception, false);
        }
    }

    /// The last report, with BYE.
    pub fn bye(&mut self, now_us: u64, timestamp: u32, stats: &LegStats, reception: &mut Reception) {
        self.write(now_us, timestamp, stats, reception, true);
    }

    fn write(&mut self, now_us: u64, timestamp: u32, stats: &LegStats, reception: &mut Reception, bye: bool) {
        if self.remote.is_none() {
            return;
        }
        let ntp = NtpTime::from_unix_us(now_us);
        let (last, since) = match self.last_report {
            Some((middle, came_us)) => (middle, (now_us.saturating_sub(came_us) * 65_536 / 1_000_000) as u32),
            None => (0, 0),
        };
        let block = reception.report(last, since);
        let info = SenderInfo {
            ntp,
            timestamp,
            packets: stats.packets_sent as u32,
            octets: self.octets,
        };
        let has_sent = stats.packets_sent > self.packets_reported;
        self.packets_reported = stats.packets_sent;
        let mut buffer = [0; 160];
        let size = write_report(
            &mut buffer,
            self.ssrc,
            has_sent.then_some(&info),
            block.as_ref(),
            &self.cname,
            bye,
        );
        // A report that the kernel does not take is made up for by the next.
        drop(self.socket.send(buffer.get(..size).unwrap_or(&[])));
    }

    fn read(&mut self, now_us: u64) {
        let mut datagram = [0; 1500];
        for _ in 0..MOST_READS {
            match self.socket.recv_from(&mut datagram) {
                Ok((size, from)) if Some(from) == self.remote => {
                    let packets = RtcpParser::new(datagram.get(..size).unwrap_or(&[]));
                    packets
                        .into_iter()
                        .flatten()
                        .for_each(|packet| self.packet(packet, now_us));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // A stranger's packet, or an ICMP answer: the next read tells more.
                _ => {}
            }
        }
    }

    fn packet(&mut self, packet: RtcpPacket, now_us: u64) {
        let block = match packet {
            RtcpPacket::Sender { info, block, .. } => {
                self.last_report = Some((info.ntp.middle(), now_us));
                block
            }
            RtcpPacket::Receiver { block, .. } => block,
            RtcpPacket::Bye { .. } | RtcpPacket::Other(_) => None,
        };
        let about_us = block.filter(|block| block.ssrc == self.ssrc);
        if let Some(trip) = about_us.and_then(|block| block.round_trip_ms(NtpTime::from_unix_us(now_us))) {
            self.round_trip_ms = trip;
        }
    }
}
