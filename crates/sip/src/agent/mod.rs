//! The user agent: feed, drain, re-arm one timer.

mod admission;
mod farewell;
mod flows;
mod forks;
mod incoming;
mod leg;
mod outgoing;
mod places;
mod refuse;
mod roll;
mod session;
mod state;
mod timers;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::api::{Command, CommandError, Event, Flow, LegKey, Output};
use crate::shares::{Holdings, Shares};
use crate::trust::Trust;
use crate::wire::{Frame, Framer, Happening, Message, Subject, TransactionId, Transactions, check, parse, summary};
use leg::{Leg, MergeKey};
use offhook_words::{LegEndCause, Transport};
use places::Places;
use state::State;
use timers::Timer;

/// Where random bytes come from (tags, branches, Call-IDs).
pub trait Dice: Send {
    /// Fill `bytes` with what no peer can guess.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// What an agent needs to know once.
#[derive(Debug, Clone)]
pub struct Config {
    /// For Server and User-Agent.
    pub product: String,
    /// Beyond this many live legs an INVITE gets 503.
    pub max_legs: usize,
    /// Transactions of calls (32 s each, two a call: 600 calls/s of one source). A source may have as many as are
    /// free, so one alone gets half; beyond its share it gets 503 without one, so that no flood grows memory.
    pub max_call_transactions: usize,
    /// Transactions of requests that begin no call and are in none; shared in the same way.
    pub max_other_transactions: usize,
    /// Calls that one source may always begin in a second; it may begin more while we keep up (see
    /// [`Agent::set_strained`]).
    pub calls_a_second: u32,
    /// Where a peer's Contact or Record-Route may send us besides the peer's own address.
    pub trusted: Trust,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            product: "offhook".to_owned(),
            max_legs: 5_000,
            max_call_transactions: 80_000,
            max_other_transactions: 20_000,
            calls_a_second: 50,
            trusted: Trust::loopback(),
        }
    }
}

/// A byte stream that cannot be split into messages any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramingLost;

/// A SIP user agent without IO.
///
/// After each call drain [`Agent::poll_output`] and re-arm one timer by [`Agent::poll_deadline`].
pub struct Agent {
    config: Config,
    dice: Box<dyn Dice>,
    /// Who does not know it cannot foretell the tags of refusals without a transaction.
    secret: [u8; 16],
    closed: Option<String>,
    transactions: Transactions,
    is_strained: bool,
    /// Whether anybody wants the messages themselves.
    is_traced: bool,
    beginnings: Shares,
    /// Calls of each source that ring, or whose 200 has no ACK.
    lines: Holdings,
    framers: HashMap<u64, Framer>,
    legs: HashMap<LegKey, Leg>,
    invites: HashMap<TransactionId, LegKey>,
    tags: HashMap<String, LegKey>,
    calls: HashMap<String, LegKey>,
    merges: HashMap<MergeKey, LegKey>,
    dialled: HashMap<IpAddr, usize>,
    /// Until when the far ends of a process before us may answer the BYEs that it left.
    bidden_farewell: HashMap<IpAddr, Duration>,
    /// Who showed in a call that is kept that our packets reach it.
    proven: HashMap<SocketAddr, usize>,
    places: Places,
    /// When the first timer of each leg expires, of those that have one.
    deadlines: BTreeSet<(Duration, LegKey)>,
    outputs: VecDeque<Output>,
    next_leg: u64,
    live: usize,
}

impl Agent {
    /// An agent without legs.
    pub fn new(config: Config, mut dice: Box<dyn Dice>) -> Self {
        let mut secret = [0; 16];
        dice.fill(&mut secret);
        Self {
            secret,
            is_strained: false,
            is_traced: true,
            beginnings: Shares::new(config.calls_a_second),
            lines: Holdings::default(),
            config,
            dice,
            closed: None,
            transactions: Transactions::new(),
            framers: HashMap::new(),
            legs: HashMap::new(),
            invites: HashMap::new(),
            tags: HashMap::new(),
            calls: HashMap::new(),
            merges: HashMap::new(),
            dialled: HashMap::new(),
            bidden_farewell: HashMap::new(),
            proven: HashMap::new(),
            places: Places::default(),
            deadlines: BTreeSet::new(),
            outputs: VecDeque::new(),
            next_leg: 1,
            live: 0,
        }
    }

    /// A key for a leg that [`Command::Invite`] is to make.
    pub fn allocate_leg(&mut self) -> LegKey {
        let key = LegKey(self.next_leg);
        self.next_leg += 1;
        key
    }

    /// Take new INVITEs (`None`), or refuse each with 503 and this sentence; OPTIONS too.
    pub fn set_open(&mut self, refusal: Option<String>) {
        self.closed = refusal;
    }

    /// Tell whether those who handle the calls fall behind: then who begins more than its share gets 503.
    pub fn set_strained(&mut self, is_strained: bool) {
        self.is_strained = is_strained;
    }

    /// Tell each message as it went over the wire ([`Event::Trace`]), as at first, or none.
    pub fn set_traced(&mut self, is_traced: bool) {
        self.is_traced = is_traced;
    }

    /// Feed what came from a flow: a datagram, or any piece of a connection's byte stream.
    ///
    /// Tells how many whole messages it held. An error is a stream that cannot be framed any more: the driver sends
    /// what is queued, closes the connection and calls [`Agent::on_flow_closed`].
    pub fn receive(&mut self, flow: Flow, bytes: &[u8], now: Duration) -> Result<usize, FramingLost> {
        if flow.transport == Transport::Udp {
            // Keep-alives by datagram (RFC 5626, section 3.5.1, or a few blanks of old phones).
            if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | b' ' | 0)) {
                return Ok(0);
            }
            self.message(flow, bytes, now);
            return Ok(1);
        }
        let mut framer = self.framers.remove(&flow.connection).unwrap_or_default();
        framer.push(bytes);
        let mut count = 0;
        let outcome = loop {
            match framer.next() {
                Frame::Incomplete => break Ok(count),
                Frame::Message(message) => {
                    self.pong(flow, &mut framer);
                    self.message(flow, &message, now);
                    count += 1;
                }
                Frame::Lost { head, sentence } => {
                    self.refuse_unread(flow, &head, sentence);
                    break Err(FramingLost);
                }
            }
        };
        self.pong(flow, &mut framer);
        if outcome.is_ok() {
            self.framers.insert(flow.connection, framer);
        }
        outcome
    }

    /// Feed a command.
    pub fn command(&mut self, command: Command, now: Duration) -> Result<(), CommandError> {
        let outcome = match command {
            Command::Invite(invite) => self.invite(invite, now),
            Command::Ring { leg, body } => self.ring(leg, body.as_deref(), now),
            Command::Answer { leg, body } => self.answer(leg, &body, now),
            Command::Hangup {
                leg,
                status,
                reason,
                headers,
            } => self.hangup(leg, status, &reason, &headers, now),
            Command::AnswerReoffer { leg, body } => self.answer_reoffer(leg, body, now),
        };
        self.carry_out(now);
        outcome
    }

    /// Feed the time; call it when [`Agent::poll_deadline`] is over.
    pub fn on_time(&mut self, now: Duration) {
        self.transactions.on_time(now);
        self.bidden_farewell.retain(|_, until| *until > now);
        self.carry_out(now);
        while let Some((key, timer, at)) = self.expired(now) {
            match timer {
                Timer::Ring => self.on_ring_timeout(key, now),
                Timer::Silence => self.on_silence(key, now),
                Timer::Probe => self.on_probe_due(key),
                Timer::Provisional => self.on_provisional_due(key, now),
                Timer::Unanswered => self.on_unanswered(key, now),
                Timer::Again => self.on_again(key, at, now),
                Timer::AckLost => self.on_ack_lost(key, now),
                Timer::Reoffer => self.on_reoffer_unanswered(key, now),
                Timer::Forget => self.forget(key, now),
            }
            self.carry_out(now);
        }
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Agent::on_time`].
    pub fn poll_deadline(&self) -> Option<Duration> {
        let deadlines = [self.deadline(), self.transactions.deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// Whether a leg that lives, or ended within 32 s, was dialled to this address, or a farewell was sent there within
    /// 32 s, so that its packets are no stranger's.
    pub fn is_dialled(&self, ip: IpAddr) -> bool {
        self.dialled.contains_key(&ip) || self.bidden_farewell.contains_key(&ip)
    }

    /// Whether this address, with its port, showed of late that our packets reach it: it acknowledged our 200 or
    /// answered our INVITE. Nobody who makes up where it sends from can do either.
    pub fn is_proven(&self, peer: SocketAddr) -> bool {
        self.proven.contains_key(&peer)
    }

    /// Whether nothing of ours waits for an answer: no BYE, CANCEL or INVITE, and no BYE that waits for an ACK.
    pub fn is_quiet(&self) -> bool {
        let is_owed = |leg: &Leg| matches!(leg.state, State::Leaving(..));
        !self.transactions.is_waiting() && !self.legs.values().any(is_owed)
    }

    /// How many legs live, how many are kept for stragglers, and how many transactions run; for tests and statistics.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.live, self.legs.len() - self.live, self.transactions.len())
    }

    /// How many names, addresses and places are remembered beside legs and transactions: none, once those are gone.
    pub fn remembered(&self) -> usize {
        self.invites.len()
            + self.tags.len()
            + self.calls.len()
            + self.merges.len()
            + self.dialled.len()
            + self.bidden_farewell.len()
            + self.proven.len()
            + self.places.len()
            + self.lines.len()
    }

    /// How many byte streams brought something and are not closed.
    pub fn streams(&self) -> usize {
        self.framers.len()
    }

    /// About what is kept beside legs and transactions, for tests and statistics: ids, tags, early SDP, ACKs.
    pub fn kept_bytes(&self) -> usize {
        let of_leg = |leg: &Leg| leg.forks.size_bytes() + leg.invites.len() * size_of::<TransactionId>();
        self.legs.values().map(of_leg).sum::<usize>()
            + self.invites.len() * size_of::<(TransactionId, LegKey)>()
            + self.merges.len() * size_of::<(MergeKey, LegKey)>()
            + self.places.len() * size_of::<LegKey>()
            + self.proven.len() * size_of::<SocketAddr>()
    }

    fn message(&mut self, flow: Flow, bytes: &[u8], now: Duration) {
        let mark = self.outputs.len();
        let message = match parse(bytes) {
            Ok(message) => message,
            Err(error) => {
                self.trace(mark, flow, bytes, false);
                self.refuse_unread(flow, bytes, &format!("The request cannot be read: {error}"));
                return;
            }
        };
        if matches!(&message, Message::Request(request) if !self.is_welcome(request, flow)) {
            return;
        }
        let reply_flow = match &message {
            Message::Request(request) => Flow {
                peer: request.reply_address(flow.transport, flow.peer),
                ..flow
            },
            Message::Response(_) => flow,
        };
        let admitted = match &message {
            Message::Request(request) => check(request).and_then(|()| self.admit(request, flow, now)),
            Message::Response(response) if !response.is_valid() => {
                self.trace(mark, flow, bytes, false);
                return;
            }
            Message::Response(_) => Ok(Subject::Call),
        };
        match (admitted, message) {
            (Err(refusal), Message::Request(request)) => {
                // Without a transaction: what is malformed in one request is likely so in its copies (RFC 4475, 3.2.1).
                if request.method() != "ACK" && request.has_via() {
                    let tag = self.stateless_tag(bytes);
                    let text = self.refusal(&request, flow, refusal.status, &refusal.reason, Some(&tag));
                    self.send(reply_flow, text.finish());
                }
            }
            (admitted, message) => {
                let subject = admitted.unwrap_or(Subject::Other);
                self.transactions.receive(message, subject, flow, reply_flow, now);
                while let Some(happening) = self.transactions.happenings.pop_front() {
                    self.happened(happening, flow, now);
                }
            }
        }
        self.trace(mark, flow, bytes, false);
        self.carry_out(now);
    }

    fn happened(&mut self, happening: Happening, flow: Flow, now: Duration) {
        match happening {
            Happening::Request(id, request) => self.on_request(id, request, flow, now),
            Happening::Ack(request) => self.on_ack(&request, now),
            Happening::Response(id, response) => self.on_response(id, &response, flow, now),
            other => self.went_on(&other, now),
        }
    }

    /// What no message causes. What messages cause was handled where they came in.
    fn went_on(&mut self, happening: &Happening, now: Duration) {
        match happening {
            Happening::Request(..) | Happening::Ack(_) | Happening::Response(..) => {}
            Happening::Timeout(id) => self.on_no_response(*id, LegEndCause::Timeout, now),
            Happening::Unreachable(id) => self.on_no_response(*id, LegEndCause::Unreachable, now),
            Happening::Acknowledged(id) => self.unmerge(*id),
            Happening::Over(id) => self.drop_invite(*id),
        }
    }

    /// Carry out what the transactions left behind, until nothing is.
    fn carry_out(&mut self, now: Duration) {
        loop {
            while let Some((flow, bytes)) = self.transactions.sends.pop_front() {
                self.send(flow, bytes);
            }
            match self.transactions.happenings.pop_front() {
                Some(happening) => self.went_on(&happening, now),
                None => return,
            }
        }
    }

    fn pong(&mut self, flow: Flow, framer: &mut Framer) {
        for _ in 0..framer.take_pings().min(8) {
            self.outputs.push_back(Output::Send {
                flow,
                bytes: b"\r\n".to_vec(),
            });
        }
    }

    fn send(&mut self, flow: Flow, bytes: Vec<u8>) {
        let mark = self.outputs.len();
        self.trace(mark, flow, &bytes, true);
        self.outputs.push_back(Output::Send { flow, bytes });
    }

    /// Put a message on the time line; what made a leg stands behind that leg's first event.
    fn trace(&mut self, mark: usize, flow: Flow, bytes: &[u8], sent: bool) {
        if !self.is_traced {
            return;
        }
        let (summary, call_id) = summary(bytes);
        let leg = self.calls.get(&call_id).copied();
        let is_first = matches!(self.outputs.get(mark), Some(Output::Event(Event::Incoming(incoming))) if Some(incoming.leg) == leg);
        let trace = Output::Event(Event::Trace {
            leg,
            sent,
            summary,
            peer: flow.peer,
        });
        self.outputs.insert(mark + usize::from(is_first), trace);
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn token(&mut self, bytes: usize) -> String {
        let mut random = [0_u8; 16];
        self.dice.fill(&mut random);
        random.iter().take(bytes).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Our tag where nothing is kept of a request: a copy of it gets the same (RFC 3261, section 8.2.7).
    fn stateless_tag(&self, request: &[u8]) -> String {
        let mut hasher = DefaultHasher::new();
        (self.secret, request).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    fn branch(&mut self) -> String {
        format!("z9hG4bK{}", self.token(12))
    }
}

/// What a peer says of its reasons is reported, and reports are kept: so much of it.
fn cut(words: &str) -> String {
    words.chars().take(256).collect()
}
