//! The RTP socket of a leg, as its media thread uses it: reads and writes never wait.

use std::mem::MaybeUninit;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, recvfrom, send};

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

/// A socket that core binds and connects.
#[derive(Debug)]
pub struct RtpSocket {
    socket: Arc<UdpSocket>,
    remote: Option<SocketAddr>,
    /// All that waits came after the kernel was told the peer: it lets nobody else in.
    is_exclusive: bool,
}

impl RtpSocket {
    pub fn new(socket: Arc<UdpSocket>) -> Self {
        Self {
            socket,
            remote: None,
            is_exclusive: false,
        }
    }

    /// An empty buffer; it costs nothing.
    pub fn buffer() -> Buffer {
        [MaybeUninit::uninit(); LONGEST]
    }

    /// The socket was connected to this peer; what waits in it may be of others.
    pub fn connected(&mut self, remote: SocketAddr) {
        self.remote = Some(remote);
        self.is_exclusive = false;
    }

    /// The next datagram.
    pub fn read<'a>(&mut self, buffer: &'a mut Buffer) -> Read<'a> {
        let outcome = if self.is_exclusive {
            recv(&self.socket, buffer.as_mut_slice(), RecvFlags::DONTWAIT).map(|((packet, _), _)| Some(packet))
        } else {
            recvfrom(&self.socket, buffer.as_mut_slice(), RecvFlags::DONTWAIT).map(|((packet, _), _, from)| {
                let from = from.and_then(|from| SocketAddr::try_from(from).ok());
                (from.is_some() && from == self.remote).then_some(&mut *packet)
            })
        };
        match outcome {
            Ok(Some(packet)) => Read::Packet(packet),
            Ok(None) => Read::Foreign,
            Err(Errno::AGAIN) => {
                // An unspecified address is no peer that the kernel could hold others against.
                self.is_exclusive = self.remote.is_some_and(|remote| !remote.ip().is_unspecified());
                Read::Empty
            }
            Err(_) => Read::Again,
        }
    }

    /// `false`: the kernel did not take it, and it is lost as on any network.
    pub fn send(&self, packet: &[u8]) -> bool {
        send(&self.socket, packet, SendFlags::DONTWAIT).is_ok()
    }
}
