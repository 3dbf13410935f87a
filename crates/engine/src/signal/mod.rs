//! SIP sockets, timers and the trust list: drives [`offhook_sip::Agent`] and decides nothing.
//!
//! No queue that a peer can fill is ever awaited: what cannot be sent at once is dropped (UDP) or closes its connection
//! (TCP). Each turn reads a bounded piece of one source, so a peer that sends much waits for the others.

mod fair;
mod listener;
mod probe;
mod stream;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use offhook_sip::{Agent, Command, CommandError, Config, Dice, Event, Farewell, Flow, LegKey, Output, Shares, Trust};
use offhook_words::Transport;
use rustix::io::Errno;
use tokio::net::TcpStream;

use fair::{FairQueue, is_beginning};
use listener::Listener;
use probe::Probes;
use stream::{Piece, Streams};

/// Datagrams that one turn serves.
const DATAGRAMS_A_TURN: usize = 8;
/// Those that it reads: a flood waits in queues of ours, so that the others do not drown in the socket's buffer.
const READS_A_TURN: usize = 1_024;
/// What one source may begin by datagrams while others wait; without a backlog it may send what it likes.
const DATAGRAMS_A_SECOND: u32 = 2_000;
/// How long the last BYEs may wait for their answers.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

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
    /// A TCP connection on which no call lives and nothing is said for so long is closed.
    pub tcp_idle: Duration,
}

/// How much SIP holds; all of it is 0 about a minute after the last call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeldSignal {
    /// Of legs that live, from their INVITE on.
    pub dialogs: usize,
    /// Kept for what may come late.
    pub ended_dialogs: usize,
    /// Until their timers of RFC 3261, section 17, are over.
    pub transactions: usize,
    /// Tags, Call-IDs, repeats and addresses that are remembered beside them.
    pub remembered: usize,
    /// Of SIP over TCP that are open: these may outlive calls.
    pub connections: usize,
}

/// SIP as core sees it; lives on core's current-thread runtime and is driven by [`Signal::next`].
pub struct Signal {
    agent: Agent,
    origin: Instant,
    trust: Trust,
    listeners: Vec<Listener>,
    datagrams: Shares,
    waiting: FairQueue,
    streams: Streams,
    probes: Probes,
    events: VecDeque<Event>,
    datagram: Vec<u8>,
    /// Which listener is looked at first; it moves on so that none starves.
    first: usize,
}

enum Turn {
    Datagrams(usize),
    Accepted(usize, io::Result<(TcpStream, SocketAddr)>),
    Piece(Option<Piece>),
    Dead(Flow),
    Waiting,
    Time,
}

struct SystemDice;

impl Dice for SystemDice {
    fn fill(&mut self, bytes: &mut [u8]) {
        if getrandom::fill(bytes).is_err() {
            // Tags that a peer can guess would let strangers end calls.
            std::process::abort();
        }
    }
}

impl Signal {
    /// Bind the sockets; the error names the address.
    pub async fn bind(config: SignalConfig) -> io::Result<Self> {
        let trust = Trust::parse(&config.trusted).map_err(io::Error::other)?;
        let mut listeners = Vec::new();
        for address in &config.listen {
            listeners.push(Listener::bind(*address).await?);
        }
        if listeners.is_empty() {
            return Err(io::Error::other("no address to listen on for SIP; name at least one"));
        }
        let agent = Agent::new(
            Config {
                product: config.product,
                max_legs: config.max_legs,
                trusted: trust.clone(),
                ..Config::default()
            },
            Box::new(SystemDice),
        );
        Ok(Self {
            agent,
            origin: Instant::now(),
            trust,
            listeners,
            datagrams: Shares::new(DATAGRAMS_A_SECOND),
            waiting: FairQueue::default(),
            streams: Streams::new(config.tcp_idle),
            probes: Probes::new(),
            events: VecDeque::new(),
            datagram: vec![0; 65_536],
            first: 0,
        })
    }

    /// Where it listens on UDP; the first of `listen`.
    pub fn udp_address(&self) -> SocketAddr {
        self.listeners
            .first()
            .map_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)), |listener| listener.address)
    }

    /// Where it listens on TCP: the same.
    pub fn tcp_address(&self) -> SocketAddr {
        self.udp_address()
    }

    /// A key for a leg that is to be placed.
    pub fn allocate_leg(&mut self) -> LegKey {
        self.agent.allocate_leg()
    }

    /// The way to a destination, from the listener of its address family; connects when the first message goes.
    pub fn flow_to(&self, transport: Transport, peer: SocketAddr) -> io::Result<Flow> {
        let fits = |listener: &&Listener| listener.address.is_ipv4() == peer.is_ipv4();
        let suits = |listener: &&Listener| {
            let ip = listener.address.ip();
            ip.is_unspecified() || ip.is_loopback() == peer.ip().is_loopback()
        };
        let candidates = || self.listeners.iter().filter(fits);
        let listener = candidates()
            .find(suits)
            .or_else(|| candidates().next())
            .ok_or_else(|| {
                let family = if peer.is_ipv4() { "IPv4" } else { "IPv6" };
                io::Error::new(
                    io::ErrorKind::AddrNotAvailable,
                    format!("SIP listens on no {family} address; add one"),
                )
            })?;
        Ok(Flow {
            transport,
            local: listener.local_for(peer.ip()),
            peer,
            connection: 0,
        })
    }

    /// Do what the machine says at once; what it tells comes out of [`Signal::next`].
    pub fn command(&mut self, command: Command) -> Result<(), CommandError> {
        let outcome = self.agent.command(command, self.now());
        self.drain();
        outcome
    }

    /// The BYE for an answered leg, for the process that comes after this one.
    pub fn farewell(&mut self, leg: LegKey, status: u16, text: &str) -> Option<Farewell> {
        self.agent.farewell(leg, status, text)
    }

    /// How much is held at the moment.
    pub fn held(&self) -> HeldSignal {
        let (dialogs, ended_dialogs, transactions) = self.agent.counts();
        HeldSignal {
            dialogs,
            ended_dialogs,
            transactions,
            remembered: self.agent.remembered(),
            connections: self.agent.streams(),
        }
    }

    /// Send what an earlier process left; false where it cannot go from here.
    pub fn send_farewell(&mut self, farewell: &Farewell) -> bool {
        let is_ours = self
            .listeners
            .iter()
            .any(|listener| listener.is_at(farewell.flow.local));
        let is_sent = is_ours && self.agent.send_farewell(farewell, self.now());
        self.drain();
        is_sent
    }

    /// Tell whether core or the node falls behind: then who begins more calls than its share gets 503.
    pub fn set_strained(&mut self, is_strained: bool) {
        self.agent.set_strained(is_strained);
    }

    /// Tell each message as it went over the wire, as at first, or none.
    pub fn set_traced(&mut self, is_traced: bool) {
        self.agent.set_traced(is_traced);
    }

    /// Take new INVITEs (`None`), or refuse each with 503 and this sentence.
    pub fn set_open(&mut self, refusal: Option<String>) {
        self.agent.set_open(refusal);
    }

    /// The next event; runs sockets and timers while it waits. Cancel safe: use it in `select!`.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            self.turn().await;
            // What tells core nothing must not keep it from everything else.
            if self.events.is_empty() {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Wait a moment for the answers to the last BYEs, send what is queued and close; call after the BYEs.
    pub async fn shutdown(mut self) {
        let waiting = async {
            while !self.agent.is_quiet() {
                self.turn().await;
                self.events.clear();
            }
        };
        // Nobody is left to tell: who does not answer now never learns.
        let _timed_out = tokio::time::timeout(LAST_ANSWERS, waiting).await;
        self.streams.shutdown().await;
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Wait for one thing to happen and do all that follows from it.
    async fn turn(&mut self) {
        match self.wait().await {
            Turn::Datagrams(index) => self.read_datagrams(index),
            Turn::Accepted(index, accepted) => self.accepted(index, accepted),
            Turn::Piece(Some(piece)) => self.read_piece(piece),
            Turn::Dead(flow) => self.agent.on_unreachable(flow, self.origin.elapsed()),
            Turn::Piece(None) | Turn::Waiting | Turn::Time => {}
        }
        self.serve_waiting();
        let now = self.now();
        let agent = &self.agent;
        for flow in self.streams.overdue(now, |flow| agent.uses(flow)) {
            self.close(flow);
        }
        if self.agent.poll_deadline().is_some_and(|at| at <= now) {
            self.agent.on_time(now);
        }
        self.drain();
    }

    async fn wait(&mut self) -> Turn {
        let deadline = [self.agent.poll_deadline(), self.streams.deadline()]
            .into_iter()
            .flatten()
            .min();
        let sleep = async {
            match deadline {
                Some(at) => tokio::time::sleep_until((self.origin + at).into()).await,
                None => std::future::pending().await,
            }
        };
        let mut sleep = pin!(sleep);
        self.first = (self.first + 1) % self.listeners.len().max(1);
        let (listeners, streams, first) = (&self.listeners, &mut self.streams, self.first);
        let (probes, has_waiting) = (&mut self.probes, !self.waiting.is_empty());
        std::future::poll_fn(|context| {
            // Each source has its turn at being looked at first.
            let streams_first = first % 2 == 0;
            if streams_first && let Poll::Ready(piece) = streams.poll_piece(context) {
                return Poll::Ready(Turn::Piece(piece));
            }
            for step in 0..listeners.len() {
                let index = (first + step) % listeners.len();
                let Some(listener) = listeners.get(index) else { continue };
                if listener.poll_datagrams(context).is_ready() {
                    return Poll::Ready(Turn::Datagrams(index));
                }
                if let Poll::Ready(accepted) = listener.poll_accept(context) {
                    return Poll::Ready(Turn::Accepted(index, accepted));
                }
            }
            if let Poll::Ready(piece) = streams.poll_piece(context) {
                return Poll::Ready(Turn::Piece(piece));
            }
            if let Poll::Ready(flow) = probes.poll_dead(context) {
                return Poll::Ready(Turn::Dead(flow));
            }
            if has_waiting {
                return Poll::Ready(Turn::Waiting);
            }
            sleep.as_mut().poll(context).map(|()| Turn::Time)
        })
        .await
    }

    fn read_datagrams(&mut self, index: usize) {
        let now = self.now();
        let is_behind = !self.waiting.is_empty();
        let Some(listener) = self.listeners.get(index) else {
            return;
        };
        for _ in 0..READS_A_TURN {
            // WouldBlock ends the turn; anything else is the ICMP of an earlier packet and says nothing about this one.
            let Ok((length, peer)) = listener.udp.receive(&mut self.datagram) else {
                return;
            };
            if !(self.trust.contains(peer.ip()) || self.agent.is_dialled(peer.ip())) {
                continue;
            }
            let flow = Flow {
                transport: Transport::Udp,
                local: listener.local_for(peer.ip()),
                peer,
                connection: 0,
            };
            let bytes = self.datagram.get(..length).unwrap_or_default();
            if self.datagrams.take(flow, now) || !is_behind || !is_beginning(bytes) {
                self.waiting.push(flow, bytes, self.agent.is_proven(peer));
            }
        }
    }

    fn serve_waiting(&mut self) {
        for _ in 0..DATAGRAMS_A_TURN {
            let Some(datagram) = self.waiting.pop() else {
                return;
            };
            let now = self.now();
            // A datagram is always framed.
            let _ = self.agent.receive(datagram.flow, &datagram.bytes, now);
            self.drain();
        }
    }

    fn accepted(&mut self, index: usize, accepted: io::Result<(TcpStream, SocketAddr)>) {
        let Some(listener) = self.listeners.get_mut(index) else {
            return;
        };
        match accepted {
            Ok((socket, peer)) if self.trust.contains(peer.ip()) => {
                let local = listener.local_for(peer.ip());
                let now = self.origin.elapsed();
                self.streams.take(socket, local, peer, now);
            }
            // A stranger: closed without a byte.
            Ok(_) => {}
            // Out of descriptors, as a rule: look again in a moment instead of spinning.
            Err(_) => listener.pause(),
        }
    }

    fn read_piece(&mut self, piece: Piece) {
        let now = self.now();
        let Some(flow) = self.streams.flow(piece.connection) else {
            return;
        };
        match piece.bytes {
            Some(bytes) => match self.agent.receive(flow, &bytes, now) {
                Ok(0) if is_ping(&bytes) => self.streams.pinged(piece.connection, now),
                Ok(0) => {}
                Ok(_) => self.streams.spoke(piece.connection, now),
                Err(_) => {
                    // The refusal first.
                    self.drain();
                    self.close(flow);
                }
            },
            None => self.close(flow),
        }
    }

    fn close(&mut self, flow: Flow) {
        self.streams.close(flow.connection);
        let now = self.now();
        self.agent.on_flow_closed(flow, now);
        // Requests that asked for "any connection to this peer" went by this one.
        self.agent.on_flow_closed(Flow { connection: 0, ..flow }, now);
    }

    /// Send what the machine wants sent, keep what it tells.
    fn drain(&mut self) {
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Event(event) => self.events.push_back(event),
                Output::Probe(flow) => self.probes.ask(flow),
                Output::Send { flow, bytes } if flow.transport == Transport::Udp => self.send_datagram(flow, &bytes),
                Output::Send { flow, bytes } => {
                    if let Err(lost) = self.streams.send(flow, bytes, self.origin.elapsed()) {
                        self.close(lost);
                    }
                }
            }
        }
    }

    /// A datagram that is lost is repeated, and what stands in its way may be gone by then: a full buffer, a route that
    /// flaps, a full table of connections in the kernel.
    fn send_datagram(&mut self, flow: Flow, bytes: &[u8]) {
        let listener = self.listeners.iter().find(|listener| listener.is_at(flow.local));
        let sent = listener.map(|listener| listener.udp.socket().send_to(bytes, flow.peer));
        let is_lost_for_good = sent.is_none_or(|sent| sent.is_err_and(|error| is_for_good(&error)));
        if is_lost_for_good {
            self.agent.on_send_failed(bytes, self.origin.elapsed());
        }
    }
}

/// Whether the same datagram would fail again: it is too long, or its address is none that can be sent to from here.
fn is_for_good(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::MSGSIZE | Errno::INVAL | Errno::AFNOSUPPORT))
}

fn is_ping(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_later_is_not_lost_for_good() {
        let fails = |errno: Errno| is_for_good(&io::Error::from(errno));
        for errno in [
            Errno::NETUNREACH,
            Errno::HOSTUNREACH,
            Errno::NETDOWN,
            Errno::PERM,
            Errno::ACCESS,
            Errno::NOBUFS,
            Errno::NOMEM,
            Errno::AGAIN,
            Errno::INTR,
            Errno::CONNREFUSED,
        ] {
            assert!(!fails(errno), "{errno}");
        }
        assert!(fails(Errno::MSGSIZE) && fails(Errno::INVAL));
    }
}
