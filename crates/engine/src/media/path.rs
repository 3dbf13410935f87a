//! The way to and from the peer of a leg: its RTP socket, and which address is the peer's. Reads and writes never wait.
//!
//! Who the peer is, [`Latch`] says. While it is sure of that, the kernel is told (`connect`) and keeps all others out; else
//! everything is read, so that a peer that speaks from another port than it named is found, and is heard from the one it named.

use std::mem::MaybeUninit;
use std::net::{SocketAddr, UdpSocket};

use offhook_rtp::{Header, Latch, RtpPacket};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, connect, connect_unspec, recv, recvfrom, send, sendto};

/// Longer datagrams are cut off; none that a phone sends is.
const LONGEST: usize = 2048;

/// Room for one datagram.
pub type Buffer = [MaybeUninit<u8>; LONGEST];

/// What a read gave.
#[derive(Debug)]
pub enum Read<'a> {
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

/// A socket that core binds, and whose peer is found here.
#[derive(Debug)]
pub struct Path {
    socket: UdpSocket,
    latch: Option<Latch>,
    filter: Filter,
}

impl Path {
    pub fn new(socket: UdpSocket) -> Self {
        Self {
            socket,
            latch: None,
            filter: Filter::Open,
        }
    }

    /// An empty buffer; it costs nothing.
    pub fn buffer() -> Buffer {
        [MaybeUninit::uninit(); LONGEST]
    }

    /// The peer's description names this address.
    pub fn signal(&mut self, remote: SocketAddr) {
        let latch = self.latch.get_or_insert_with(|| Latch::new(remote));
        latch.signal(remote);
        if latch.source().is_none() {
            self.open();
        }
    }

    /// A packet of the peer was understood.
    pub fn heard(&mut self, header: &Header, now: u32) {
        if let Some(latch) = &mut self.latch {
            latch.heard(header, now);
        }
    }

    /// Who is heard.
    pub fn source(&self) -> Option<SocketAddr> {
        self.latch.as_ref().and_then(Latch::source)
    }

    /// The next datagram. `now` counts samples.
    pub fn read<'a>(&mut self, buffer: &'a mut Buffer, now: u32) -> Read<'a> {
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
