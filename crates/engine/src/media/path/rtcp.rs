//! The RTCP socket of a leg. Once a report of the peer came, the kernel lets in that address alone, until it is quiet.

use std::net::{SocketAddr, UdpSocket};

use rustix::net::{connect, connect_unspec};

use crate::media::leg::TickTime;

/// Ticks in which [`MOST_READS`] reports are read.
const READ: u64 = 10;
const MOST_READS: u32 = 8;
/// Who sent no report for so long may send from another port now; so long the port is shut to all but the peer when strangers flood it.
const QUIET_US: u64 = 20_000_000;
const LONGEST: usize = 1500;

/// See the module.
#[derive(Debug)]
pub struct RtcpSocket {
    socket: UdpSocket,
    remote: Option<SocketAddr>,
    /// The kernel lets in this one alone, who sent a report then; or who may, while strangers flood the port.
    locked: Option<(SocketAddr, u64)>,
    /// Datagrams of nobody since [`READ`].
    strangers: u32,
    reads: u32,
    #[cfg(test)]
    pub read_so_far: u32,
}

impl RtcpSocket {
    pub fn new(socket: UdpSocket) -> Self {
        Self {
            socket,
            remote: None,
            locked: None,
            strangers: 0,
            reads: MOST_READS,
            #[cfg(test)]
            read_so_far: 0,
        }
    }

    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Where reports go to.
    pub fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// The peer's description names this address.
    pub fn signal(&mut self, remote: SocketAddr) {
        if self.remote != Some(remote) {
            self.unlock();
        }
        self.remote = Some(remote);
    }

    /// Once a tick: in some of them more may be read, and whoever was quiet for long keeps nobody out any more.
    pub fn tick(&mut self, now: TickTime) {
        if now.index.is_multiple_of(READ) {
            (self.reads, self.strangers) = (MOST_READS, 0);
            if self.locked.is_some_and(|(_, us)| now.us.saturating_sub(us) > QUIET_US) {
                self.unlock();
            }
        }
    }

    /// Reports wait. `hear` gives whether one is of the peer.
    pub fn receive(&mut self, now_us: u64, mut hear: impl FnMut(&[u8], SocketAddr) -> bool) {
        let mut datagram = [0; LONGEST];
        while self.reads > 0 {
            self.reads -= 1;
            #[cfg(test)]
            {
                self.read_so_far += 1;
            }
            let Ok((size, from)) = self.socket.recv_from(&mut datagram) else {
                // Nothing waits, or an ICMP answer does: then it is told of again.
                break;
            };
            if hear(datagram.get(..size).unwrap_or(&[]), from) {
                self.lock(from, now_us);
            } else {
                self.strangers += 1;
            }
        }
        self.shut(now_us);
    }

    fn lock(&mut self, from: SocketAddr, now_us: u64) {
        let is_locked = self.locked.is_some_and(|(peer, _)| peer == from);
        if is_locked || connect(&self.socket, &from).is_ok() {
            self.locked = Some((from, now_us));
        }
    }

    /// All that was read is nobody's: there is more of it than is read, and a report would find no room.
    fn shut(&mut self, now_us: u64) {
        if self.strangers >= MOST_READS
            && self.locked.is_none()
            && let Some(remote) = self.remote
        {
            self.lock(remote, now_us);
        }
    }

    fn unlock(&mut self) {
        if self.locked.is_some() && connect_unspec(&self.socket).is_ok() {
            self.locked = None;
        }
    }

    /// A report that the kernel does not take is made up for by the next.
    pub fn send(&self, compound: &[u8]) {
        let Some(remote) = self.remote else {
            return;
        };
        drop(match self.locked {
            Some((peer, _)) if peer == remote => self.socket.send(compound),
            _ => self.socket.send_to(compound, remote),
        });
    }
}
