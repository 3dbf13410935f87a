//! One listen address: a UDP socket and a TCP listener on the same port.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};

use crate::quiet::QuietDatagrams;

/// Ports tried until one is free for both.
const ATTEMPTS: usize = 32;
const PAUSE: Duration = Duration::from_millis(100);
const RECEIVE_BYTES: usize = 4 * 1024 * 1024;
const REMEMBERED_ROUTES: usize = 1_024;

pub(super) struct Listener {
    pub(super) udp: QuietDatagrams,
    tcp: TcpListener,
    /// As bound, with its real port.
    pub(super) address: SocketAddr,
    paused_until: Cell<Option<Instant>>,
    routes: RefCell<HashMap<IpAddr, IpAddr>>,
}

impl Listener {
    pub(super) async fn bind(wanted: SocketAddr) -> io::Result<Self> {
        let mut refused = None;
        for _ in 0..ATTEMPTS {
            let udp = QuietDatagrams::bind(wanted).map_err(|error| named(&error, "UDP", wanted))?;
            let address = udp.socket().local_addr()?;
            // A burst waits here while other things are done; the kernel grants what it may.
            rustix::net::sockopt::set_socket_recv_buffer_size(udp.socket(), RECEIVE_BYTES)?;
            match TcpListener::bind(address).await {
                Ok(tcp) => {
                    return Ok(Self {
                        udp,
                        tcp,
                        address,
                        paused_until: Cell::new(None),
                        routes: RefCell::new(HashMap::new()),
                    });
                }
                Err(error) => refused = Some(named(&error, "TCP", address)),
            }
            if wanted.port() != 0 {
                break;
            }
        }
        Err(refused.unwrap_or_else(|| io::Error::other("no port is free")))
    }

    /// Our address as this peer can reach it: the bound one, or what the routes say where all were bound.
    pub(super) fn local_for(&self, peer: IpAddr) -> SocketAddr {
        if !self.address.ip().is_unspecified() {
            return self.address;
        }
        let mut routes = self.routes.borrow_mut();
        if let Some(ip) = routes.get(&peer) {
            return SocketAddr::new(*ip, self.address.port());
        }
        // Connecting a datagram socket sends nothing; it asks the routing table.
        let ip = std::net::UdpSocket::bind(SocketAddr::new(self.address.ip(), 0))
            .and_then(|socket| {
                socket.connect(SocketAddr::new(peer, 9))?;
                socket.local_addr()
            })
            .map_or(self.address.ip(), |local| local.ip());
        if routes.len() >= REMEMBERED_ROUTES {
            routes.clear();
        }
        routes.insert(peer, ip);
        SocketAddr::new(ip, self.address.port())
    }

    /// Whether a flow with this local address goes out here.
    pub(super) fn is_at(&self, local: SocketAddr) -> bool {
        self.address == local
            || (self.address.ip().is_unspecified()
                && self.address.port() == local.port()
                && self.address.is_ipv4() == local.is_ipv4())
    }

    pub(super) fn poll_datagrams(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.udp.poll_readable(context)
    }

    pub(super) fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        if self.paused_until.get().is_some_and(|until| Instant::now() < until) {
            return Poll::Pending;
        }
        self.tcp.poll_accept(context)
    }

    pub(super) fn pause(&mut self) {
        self.paused_until.set(Some(Instant::now() + PAUSE));
    }
}

fn named(error: &io::Error, what: &str, address: SocketAddr) -> io::Error {
    io::Error::new(error.kind(), format!("SIP cannot listen on {what} {address}: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn the_ways_to_peers_that_are_remembered_are_bounded() {
        let listener = Listener::bind("0.0.0.0:0".parse().unwrap()).await.unwrap();
        for number in 0..3_000_u16 {
            let [high, low] = number.to_be_bytes();
            let peer = IpAddr::V4(Ipv4Addr::new(127, 1, high, low));
            assert!(listener.local_for(peer).ip().is_loopback());
            assert!(listener.routes.borrow().len() <= REMEMBERED_ROUTES);
        }
    }
}
