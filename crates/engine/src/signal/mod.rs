//! SIP sockets, timers and the trust list: drives [`offhook_sip::Agent`] and decides nothing.

use std::io;
use std::net::SocketAddr;

use offhook_sip::{Command, CommandError, Event, Flow, LegKey, Transport};

/// Where to listen and whom to answer.
#[derive(Debug, Clone)]
pub struct SignalConfig {
    /// Each address gets a UDP socket and a TCP listener on the same port; port 0: any that is free for both.
    pub listen: Vec<SocketAddr>,
    /// Networks whose requests are answered (`127.0.0.0/8`, `::1/128`, ...); anyone else gets nothing.
    pub trusted: Vec<String>,
    /// For Server and User-Agent.
    pub product: String,
    /// Beyond this many legs an INVITE gets 503.
    pub max_legs: usize,
}

/// SIP as core sees it; lives on core's current-thread runtime and is driven by [`Signal::next`].
pub struct Signal {}

impl Signal {
    /// Bind the sockets.
    pub async fn bind(config: SignalConfig) -> io::Result<Self> {
        let _ = config;
        Ok(Self {})
    }

    /// Where it listens on UDP; the first of `listen`.
    pub fn udp_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    /// Where it listens on TCP.
    pub fn tcp_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    /// A key for a leg that is to be placed.
    pub fn allocate_leg(&mut self) -> LegKey {
        LegKey(0)
    }

    /// The way to a destination, from the listener of its address family; connects lazily.
    pub fn flow_to(&self, transport: Transport, peer: SocketAddr) -> io::Result<Flow> {
        let _ = (transport, peer);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Do what the machine says at once; what it tells comes out of [`Signal::next`].
    pub fn command(&mut self, command: Command) -> Result<(), CommandError> {
        let _ = command;
        Ok(())
    }

    /// Take new INVITEs (`None`), or refuse each with 503 and this sentence.
    pub fn set_open(&mut self, refusal: Option<String>) {
        let _ = refusal;
    }

    /// The next event; runs sockets and timers while it waits. Cancel safe: use it in `select!`.
    pub async fn next(&mut self) -> Event {
        std::future::pending().await
    }

    /// Send what is queued and close; call after the BYEs.
    pub async fn shutdown(self) {}
}
