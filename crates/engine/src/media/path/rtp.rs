//! The RTP socket of a leg, and which address is the peer's.
//!
//! Who the peer is, [`Latch`] says. While it is sure of that, the kernel is told (`connect`) and keeps all others out; else
//! everything is read, so that a peer that speaks from another port than it named is found, and is heard from the one it named.

use std::mem::MaybeUninit;
use std::net::{SocketAddr, UdpSocket};

use offhook_rtp::{Header, Latch, RtpPacket};
use offhook_words::MediaStats;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, connect, connect_unspec, recv, recvfrom, send, sendto};

use crate::media::api::LegKey;
use crate::media::leg::TickTime;

/// Three times the nominal rate is heard; the rest is dropped.
const PACKETS_PER_TICK: u32 = 3;
/// A burst after a stall, as much as the socket holds of it.
const BURST: u32 = 128;
/// Read in one tick: what a stall leaves in a socket.
const MOST_READS: u32 = BURST;
/// Of these, so many that no token is left for.
const MOST_WASTED: u32 = 8;
/// A stranger's are cheaper, and the peer's may be behind them.
const MOST_FOREIGN: u32 = 32;
/// Longer datagrams are cut off; none that a phone sends is.
const LONGEST: usize = 2048;

/// What a read gave.
#[derive(Debug)]
enum Read<'a> {
    /// A datagram of the peer.
    Packet(&'a [u8]),
    /// A datagram of somebody else.
    Foreign,
    /// Nothing waits.
    Empty,
    /// The peer's port answered with ICMP, or the call was interrupted: the next read tells more.
    Again,
}

/// Whom the kernel lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    /// Everybody.
    Open,
    /// The source alone; what waits may be of others.
    Closing(SocketAddr),
    /// The source alone.
    Closed(SocketAddr),
}

/// See the module.
#[derive(Debug)]
pub struct RtpSocket {
    socket: UdpSocket,
    latch: Option<Latch>,
    filter: Filter,
    /// Legs look for more than one packet in different ticks.
    phase: u64,
    /// Packets that may be heard now.
    tokens: u32,
    /// The last tick read one packet, as it should be.
    is_steady: bool,
    /// Of the peer, for which no token was left.
    dropped: u64,
    foreign: u64,
}

impl RtpSocket {
    pub fn new(socket: UdpSocket, key: LegKey) -> Self {
        Self {
            socket,
            latch: None,
            filter: Filter::Open,
            phase: u64::from(key.0),
            tokens: BURST,
            is_steady: false,
            dropped: 0,
            foreign: 0,
        }
    }

    /// The peer's description names this address.
    pub fn signal(&mut self, remote: SocketAddr) {
        let latch = self.latch.get_or_insert_with(|| Latch::new(remote));
        latch.signal(remote);
        if latch.source().is_none() {
            self.open();
        }
    }

    /// Who is heard.
    pub fn source(&self) -> Option<SocketAddr> {
        self.latch.as_ref().and_then(Latch::source)
    }

    /// The address of the description.
    pub fn signalled(&self) -> Option<SocketAddr> {
        self.latch.as_ref().map(Latch::signalled)
    }

    pub fn count(&self, stats: &mut MediaStats) {
        stats.packets_foreign += self.foreign;
        stats.packets_dropped += self.dropped;
    }

    /// Once a tick: each datagram of the peer that waits, as far as it may speak. `hear` gives the header of one that is RTP.
    pub fn receive(&mut self, now: TickTime, mut hear: impl FnMut(&[u8]) -> Option<Header>) {
        let mut buffer = [MaybeUninit::uninit(); LONGEST];
        self.tokens = (self.tokens + PACKETS_PER_TICK).min(BURST);
        // A steady stream is asked for more than its one packet every fourth tick only: that read mostly finds nothing.
        let is_enough = self.is_steady && !(now.index + self.phase).is_multiple_of(4);
        self.is_steady = false;
        let (mut wasted, mut foreign) = (0, 0);
        for count in 0..MOST_READS {
            if count == 1 && is_enough {
                self.is_steady = true;
                return;
            }
            match self.read(&mut buffer, now.samples) {
                Read::Packet(_) if self.tokens == 0 => {
                    self.dropped += 1;
                    wasted += 1;
                }
                Read::Packet(datagram) => {
                    self.tokens -= 1;
                    if let (Some(header), Some(latch)) = (hear(datagram), &mut self.latch) {
                        latch.heard(&header, now.samples);
                    }
                }
                Read::Foreign => {
                    self.foreign += 1;
                    foreign += 1;
                }
                Read::Empty => {
                    self.is_steady = count == 1;
                    return;
                }
                Read::Again => {}
            }
            if wasted >= MOST_WASTED || foreign >= MOST_FOREIGN {
                return;
            }
        }
    }

    /// The next datagram. `now` counts samples.
    fn read<'a>(&mut self, buffer: &'a mut [MaybeUninit<u8>; LONGEST], now: u32) -> Read<'a> {
        let outcome = if matches!(self.filter, Filter::Closed(_)) {
            recv(&self.socket, buffer.as_mut_slice(), RecvFlags::DONTWAIT).map(|((packet, _), _)| Some(packet))
        } else {
            let latch = &mut self.latch;
            recvfrom(&self.socket, buffer.as_mut_slice(), RecvFlags::DONTWAIT).map(|((packet, _), _, from)| {
                let from = from.and_then(|from| SocketAddr::try_from(from).ok())?;
                let header = RtpPacket::parse(packet).ok().map(|packet| packet.header);
                let is_peer = latch.as_mut()?.admits(from, header.as_ref(), now);
                is_peer.then_some(packet)
            })
        };
        match outcome {
            Ok(Some(packet)) => Read::Packet(packet),
            Ok(None) => {
                // A flood does not end: it is shut out without waiting for that.
                if self.filter == Filter::Open {
                    self.set_filter(now);
                }
                Read::Foreign
            }
            Err(Errno::AGAIN) => {
                self.set_filter(now);
                Read::Empty
            }
            Err(_) => Read::Again,
        }
    }

    /// All was read, or the filter is open: let in whom the latch says.
    fn set_filter(&mut self, now: u32) {
        let Some(latch) = &self.latch else {
            return;
        };
        match (self.filter, latch.only(now)) {
            (Filter::Open, Some(source)) => {
                if connect(&self.socket, &source).is_ok() {
                    self.filter = Filter::Closing(source);
                }
            }
            (Filter::Closing(before), Some(source)) if before == source => self.filter = Filter::Closed(source),
            (Filter::Closed(before), Some(source)) if before == source => {}
            (Filter::Open, None) => {}
            (Filter::Closing(_) | Filter::Closed(_), _) => self.open(),
        }
    }

    /// Let everybody in. The socket keeps its port, as it was bound to it by its number.
    fn open(&mut self) {
        if self.filter != Filter::Open && connect_unspec(&self.socket).is_ok() {
            self.filter = Filter::Open;
        }
    }

    /// `false`: the kernel did not take it, and it is lost as on any network.
    pub fn send(&self, packet: &[u8]) -> bool {
        let Some(remote) = self.latch.as_ref().map(Latch::remote) else {
            return false;
        };
        match self.filter {
            Filter::Closing(source) | Filter::Closed(source) if source == remote => {
                send(&self.socket, packet, SendFlags::DONTWAIT).is_ok()
            }
            _ => sendto(&self.socket, packet, SendFlags::DONTWAIT, &remote).is_ok(),
        }
    }
}
