//! The way to and from the peer of a leg: its two sockets, the peer's addresses, and what is learned of them at the door. Reads
//! and writes never wait.
//!
//! How many datagrams are read in a tick is decided here, and whose they are by their addresses; what they say is the leg's to
//! judge.

mod rtcp;
mod rtp;

use std::net::UdpSocket;

use offhook_rtp::Header;
use offhook_words::MediaStats;

use self::rtcp::RtcpSocket;
use self::rtp::RtpSocket;
use super::api::{LegKey, StreamParameters};
use super::leg::{Origin, Outlet, TickTime};
use super::ports::BoundPort;

/// The sockets that core bound for a leg; the peer of them is found here.
#[derive(Debug)]
pub struct Path {
    rtp: RtpSocket,
    rtcp: RtcpSocket,
}

impl Path {
    pub fn new(port: BoundPort, key: LegKey) -> Self {
        Self {
            rtp: RtpSocket::new(port.rtp, key),
            rtcp: RtcpSocket::new(port.rtcp),
        }
    }

    /// The peer's description names these addresses.
    pub fn signal(&mut self, stream: &StreamParameters) {
        self.rtp.signal(stream.remote_rtp);
        self.rtcp.signal(stream.remote_rtcp);
    }

    /// The socket on which reports come.
    pub fn report_socket(&self) -> &UdpSocket {
        self.rtcp.socket()
    }

    /// Once a tick: each datagram of the peer that waits, and is not one too many. `hear` gives the header of one that is RTP.
    pub fn receive(&mut self, now: TickTime, hear: impl FnMut(&[u8]) -> Option<Header>) {
        self.rtcp.tick(now);
        self.rtp.receive(now, hear);
    }

    /// Reports wait. `hear` gives whether one is of the peer.
    pub fn receive_reports(&mut self, now: TickTime, mut hear: impl FnMut(&[u8], Origin) -> bool) {
        let peer = [self.rtp.source(), self.rtp.signalled()];
        let reports = self.rtcp.remote();
        self.rtcp.receive(now.us, |report, from| {
            let origin = if reports == Some(from) || peer.contains(&Some(from)) {
                Origin::Peer
            } else if peer.iter().flatten().any(|peer| peer.ip() == from.ip()) {
                Origin::Host
            } else {
                Origin::Stranger
            };
            hear(report, origin)
        });
    }

    /// What never came to the leg.
    pub fn count(&self, stats: &mut MediaStats) {
        self.rtp.count(stats);
    }

    /// Reports that were read so far.
    #[cfg(test)]
    pub fn report_reads(&self) -> u32 {
        self.rtcp.read_so_far
    }
}

impl Outlet for Path {
    fn rtp(&mut self, packet: &[u8]) -> bool {
        self.rtp.send(packet)
    }

    fn rtcp(&mut self, compound: &[u8]) {
        self.rtcp.send(compound);
    }
}
