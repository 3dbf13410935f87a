//! UDP ports: in random order, and not again for a while after use.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_recv_buffer_size;

/// Two UDP sockets of a leg to be: RTP on an even port, RTCP on the next.
#[derive(Debug)]
pub struct BoundPort {
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
    pub(super) address: SocketAddr,
}

impl BoundPort {
    /// Address and port of the RTP socket, for the SDP.
    pub fn rtp_address(&self) -> SocketAddr {
        self.address
    }
}

/// The even ports of a range.
#[derive(Debug)]
pub struct Ports {
    order: VecDeque<u16>,
    quarantined: HashMap<u16, Instant>,
    quarantine: Duration,
}

impl Ports {
    pub fn new(range: &RangeInclusive<u16>, quarantine: Duration) -> io::Result<Self> {
        let last = *range.end();
        let mut order: Vec<u16> = range
            .clone()
            .filter(|port| port % 2 == 0 && *port > 0 && *port < last)
            .collect();
        for at in (1..order.len()).rev() {
            order.swap(at, random()? as usize % (at + 1));
        }
        Ok(Self {
            order: order.into(),
            quarantined: HashMap::new(),
            quarantine,
        })
    }

    /// The next pair that is free on `ip`.
    pub fn bind(&mut self, ip: IpAddr) -> io::Result<BoundPort> {
        self.resting();
        for _ in 0..self.order.len() {
            let Some(port) = self.order.pop_front() else {
                break;
            };
            self.order.push_back(port);
            if self.quarantined.contains_key(&port) {
                continue;
            }
            match bind_pair(ip, port) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                outcome => return outcome,
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "every RTP port of the range is in use; widen the range",
        ))
    }

    /// How many pairs are not given out since their leg ended a moment ago.
    pub fn resting(&mut self) -> usize {
        let now = Instant::now();
        self.quarantined
            .retain(|_, closed| now.duration_since(*closed) < self.quarantine);
        self.quarantined.len()
    }

    /// A leg on this port ended.
    pub fn close(&mut self, port: u16) {
        self.quarantined.insert(port, Instant::now());
    }
}

/// What waits in a socket at most: about a second of speech, and twenty reports. The kernel counts what a datagram costs it
/// and not its bytes, and doubles these.
const RTP_BUFFER: usize = 48 << 10;
const RTCP_BUFFER: usize = 8 << 10;

fn bind_pair(ip: IpAddr, port: u16) -> io::Result<BoundPort> {
    let media = UdpSocket::bind((ip, port))?;
    let control = UdpSocket::bind((ip, port + 1))?;
    media.set_nonblocking(true)?;
    control.set_nonblocking(true)?;
    set_socket_recv_buffer_size(&media, RTP_BUFFER)?;
    set_socket_recv_buffer_size(&control, RTCP_BUFFER)?;
    let address = media.local_addr()?;
    Ok(BoundPort {
        rtp: media,
        rtcp: control,
        address,
    })
}

/// Random bits of the machine.
pub fn random() -> io::Result<u32> {
    getrandom::u32().map_err(|error| io::Error::other(error.to_string()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn what_a_flood_fills_of_the_kernels_memory_is_small() {
        let mut ports = Ports::new(&(36_000..=36_999), Duration::ZERO).unwrap();
        let pair = ports.bind(Ipv4Addr::LOCALHOST.into()).unwrap();
        let sizes =
            [&pair.rtp, &pair.rtcp].map(|socket| rustix::net::sockopt::socket_recv_buffer_size(socket).unwrap());
        assert_eq!(sizes, [2 * RTP_BUFFER, 2 * RTCP_BUFFER]);
    }
}
