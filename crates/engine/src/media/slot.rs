//! A leg on its media thread, and the path to its peer.

use std::net::UdpSocket;
use std::thread::Thread;

use offhook_words::MediaStats;

use super::api::{LegKey, StreamParameters};
use super::leg::{Identity, Leg, TickTime};
use super::notice::Notices;
use super::path::Path;
use super::ports::BoundPort;

/// The leg decides, the path reads and writes.
pub struct Slot {
    pub leg: Leg,
    path: Path,
}

impl Slot {
    pub fn new(key: LegKey, port: BoundPort, identity: Identity, writer: Thread) -> Self {
        Self {
            leg: Leg::new(key, identity, writer),
            path: Path::new(port, key),
        }
    }

    pub fn key(&self) -> LegKey {
        self.leg.key
    }

    /// The socket on which reports come.
    pub fn report_socket(&self) -> &UdpSocket {
        self.path.report_socket()
    }

    /// Reports that were read so far.
    #[cfg(test)]
    pub fn report_reads(&self) -> u32 {
        self.path.report_reads()
    }

    /// What was agreed on with the peer.
    pub fn connect(&mut self, stream: StreamParameters, now: TickTime) {
        self.leg.connect(stream, now);
        self.path.signal(&stream);
    }

    /// Hear what came, and speak; `has_report`: RTCP may wait. `false`: the leg is closed and all its operations have ended.
    pub fn tick(&mut self, now: TickTime, has_report: bool, notices: &mut Notices) -> bool {
        let Self { leg, path } = self;
        if leg.is_open() {
            leg.touch();
            path.receive(now, |datagram| leg.receive(datagram, now, notices));
            if has_report {
                path.receive_reports(now, |report, origin| leg.receive_report(report, origin, now));
            }
        }
        leg.tick(now, notices, path)
    }

    /// End everything and say BYE.
    pub fn close(&mut self, now: TickTime, notices: &mut Notices) {
        self.leg.close(now, notices, &mut self.path);
    }

    pub fn stats(&self) -> MediaStats {
        let mut stats = self.leg.stats();
        self.path.count(&mut stats);
        stats
    }
}
