//! Transactions with their timers and flows (RFC 3261, section 17; RFC 6026).

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use offhook_words::Transport;
use sipx_sip::transaction::{Dispatch, TransactionKey};
use sipx_sip::{Output, Reliability, Timer, Timers, TransactionLayer, TuEvent};

use super::{Message, Request, Response, parse};
use crate::api::Flow;
use crate::shares::{Holdings, Source, source};

/// One transaction, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TransactionId(u64);

/// What the transactions tell.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A request that is not a copy; owed an answer.
    Request(TransactionId, Request),
    /// An ACK to a 2xx.
    Ack(Request),
    /// A response to a request of ours; 2xx to INVITE come again and again.
    Response(TransactionId, Response),
    /// Nobody answered within 32 s; or, of a server transaction, nobody sent the ACK to our refusal.
    Timeout(TransactionId),
    /// The flow is gone.
    Unreachable(TransactionId),
    /// The ACK to our refusal of an INVITE came.
    Acknowledged(TransactionId),
    /// It is forgotten; nothing of it follows.
    Over(TransactionId),
}

/// What one transaction sends because something came again. What is repeated by the timers of RFC 3261 comes 11 times.
const MOST_COPIES: u8 = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    Client,
    Server,
}

/// What a request is about: each has its own room, so that pings never take that of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Call,
    Other,
}

struct Entry {
    side: Side,
    key: TransactionKey,
    flow: Flow,
    /// Whose request it is and what it is about, where it is not ours.
    holder: Option<(Subject, Source)>,
    timers: Vec<(Timer, Duration)>,
    /// A request of ours without its final response.
    is_waiting: bool,
    /// How often something was sent because something came again.
    copies: u8,
}

/// All transactions of an agent.
///
/// Client and server live in layers of their own: calling ourselves makes one key name one of each.
pub(crate) struct Transactions {
    clients: TransactionLayer,
    servers: TransactionLayer,
    ids: HashMap<(Side, TransactionKey), TransactionId>,
    entries: HashMap<TransactionId, Entry>,
    /// Those of each connection.
    by_connection: HashMap<Flow, BTreeSet<TransactionId>>,
    calls: Holdings,
    others: Holdings,
    due: BinaryHeap<Reverse<(Duration, TransactionId, usize)>>,
    next: u64,
    pub(crate) happenings: VecDeque<Happening>,
    pub(crate) sends: VecDeque<(Flow, Vec<u8>)>,
}

impl Transactions {
    pub(crate) fn new() -> Self {
        Self {
            clients: TransactionLayer::new(Timers::default()),
            servers: TransactionLayer::new(Timers::default()),
            ids: HashMap::new(),
            entries: HashMap::new(),
            by_connection: HashMap::new(),
            calls: Holdings::default(),
            others: Holdings::default(),
            due: BinaryHeap::new(),
            next: 0,
            happenings: VecDeque::new(),
            sends: VecDeque::new(),
        }
    }

    /// Whether a request of ours still waits for its final response.
    pub(crate) fn is_waiting(&self) -> bool {
        self.entries.values().any(|entry| entry.is_waiting)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether one runs on this flow.
    pub(crate) fn uses(&self, flow: Flow) -> bool {
        let any = Flow { connection: 0, ..flow };
        self.by_connection.contains_key(&flow) || self.by_connection.contains_key(&any)
    }

    /// The transaction of a request of ours.
    pub(crate) fn client_of(&self, request: &Request) -> Option<TransactionId> {
        let key = TransactionKey::from_request(&request.0)?;
        self.ids.get(&(Side::Client, key)).copied()
    }

    /// Those that sources began.
    pub(crate) fn held(&mut self, subject: Subject) -> &mut Holdings {
        match subject {
            Subject::Call => &mut self.calls,
            Subject::Other => &mut self.others,
        }
    }

    /// Whether this request is a copy of one that has a transaction.
    pub(crate) fn serves(&self, request: &Request) -> bool {
        TransactionKey::from_request(&request.0).is_some_and(|key| self.ids.contains_key(&(Side::Server, key)))
    }

    /// Send a request of ours; `None` if its bytes are no request.
    pub(crate) fn request(&mut self, bytes: &[u8], flow: Flow, now: Duration) -> Option<TransactionId> {
        let Ok(Message::Request(Request(request))) = parse(bytes) else {
            return None;
        };
        let (key, outputs) = self.clients.send_request(request, reliability(flow))?;
        let id = self.enter(Side::Client, key, flow, None);
        self.perform(id, outputs, now);
        Some(id)
    }

    /// Answer a request; on an INVITE that got its 2xx already, send that again.
    pub(crate) fn respond(&mut self, id: TransactionId, bytes: &[u8], now: Duration) {
        let Ok(Message::Response(Response(response))) = parse(bytes) else {
            return;
        };
        let Some(entry) = self.entries.get(&id) else {
            return;
        };
        let outputs = self.servers.send_response(&entry.key, response);
        self.perform(id, outputs, now);
    }

    pub(crate) fn receive(&mut self, message: Message, subject: Subject, flow: Flow, reply_flow: Flow, now: Duration) {
        let (side, dispatch) = match message {
            Message::Request(Request(request)) => (
                Side::Server,
                self.servers
                    .receive(sipx_sip::Message::Request(request), reliability(flow)),
            ),
            Message::Response(Response(response)) => (
                Side::Client,
                self.clients
                    .receive(sipx_sip::Message::Response(response), reliability(flow)),
            ),
        };
        match dispatch {
            Dispatch::Created { key, outputs } => {
                let id = self.enter(side, key, reply_flow, Some((subject, source(flow))));
                self.perform(id, outputs, now);
            }
            Dispatch::Matched { key, outputs } => {
                if let Some(id) = self.ids.get(&(side, key)).copied() {
                    let outputs = self.unless_too_often(id, outputs);
                    self.perform(id, outputs, now);
                }
            }
            Dispatch::Unmatched(message) => match *message {
                sipx_sip::Message::Request(request) if request.method == sipx_sip::Method::Ack => {
                    self.happenings.push_back(Happening::Ack(Request(request)));
                }
                // A response to nothing of ours: a stray 2xx long after its transaction ended is the peer's to clear.
                _ => {}
            },
        }
    }

    /// What comes again and again is not answered again and again.
    fn unless_too_often(&mut self, id: TransactionId, mut outputs: Vec<Output>) -> Vec<Output> {
        let is_send = |output: &Output| matches!(output, Output::Send(_));
        if let Some(entry) = self.entries.get_mut(&id)
            && outputs.iter().any(is_send)
        {
            if entry.copies >= MOST_COPIES {
                outputs.retain(|output| !is_send(output));
            }
            entry.copies = entry.copies.saturating_add(1);
        }
        outputs
    }

    /// The INVITE that a CANCEL means (RFC 3261, section 9.2), and the flow it came by.
    pub(crate) fn cancelled_invite(&self, cancel: &Request) -> Option<(TransactionId, Flow)> {
        let key = TransactionKey::for_cancelled_invite(&cancel.0)?;
        let id = self.ids.get(&(Side::Server, key)).copied()?;
        self.entries.get(&id).map(|entry| (id, entry.flow))
    }

    pub(crate) fn on_flow_closed(&mut self, flow: Flow, now: Duration) {
        let lost: Vec<TransactionId> = self.by_connection.get(&flow).into_iter().flatten().copied().collect();
        for id in lost {
            self.abandon(id, now);
        }
    }

    /// Drop a transaction of ours that nobody waits for any more.
    pub(crate) fn abandon(&mut self, id: TransactionId, now: Duration) {
        let Some(entry) = self.entries.get(&id) else {
            return;
        };
        let outputs = match entry.side {
            Side::Client => self.clients.on_transport_error(&entry.key),
            Side::Server => self.servers.on_transport_error(&entry.key),
        };
        self.perform(id, outputs, now);
    }

    pub(crate) fn on_time(&mut self, now: Duration) {
        while let Some(Reverse((at, id, index))) = self.due.peek().copied() {
            if at > now {
                break;
            }
            self.due.pop();
            let Some(timer) = Timer::ALL.get(index).copied() else {
                continue;
            };
            let Some(entry) = self.entries.get_mut(&id) else {
                continue;
            };
            if !entry.timers.contains(&(timer, at)) {
                continue;
            }
            entry.timers.retain(|(other, _)| *other != timer);
            let outputs = match entry.side {
                Side::Client => self.clients.on_timer(&entry.key, timer),
                Side::Server => self.servers.on_timer(&entry.key, timer),
            };
            self.perform(id, outputs, now);
        }
        self.prune();
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.due.peek().map(|Reverse((at, _, _))| *at)
    }

    fn enter(
        &mut self,
        side: Side,
        key: TransactionKey,
        flow: Flow,
        holder: Option<(Subject, Source)>,
    ) -> TransactionId {
        self.next += 1;
        let id = TransactionId(self.next);
        self.ids.insert((side, key.clone()), id);
        if let Some((subject, source)) = holder {
            self.held(subject).add(source);
        }
        if flow.transport == Transport::Tcp {
            self.by_connection.entry(flow).or_default().insert(id);
        }
        self.entries.insert(
            id,
            Entry {
                side,
                key,
                flow,
                holder,
                timers: Vec::new(),
                is_waiting: side == Side::Client,
                copies: 0,
            },
        );
        id
    }

    fn leave(&mut self, id: TransactionId) {
        let Some(entry) = self.entries.remove(&id) else {
            return;
        };
        self.ids.remove(&(entry.side, entry.key));
        if let Some((subject, source)) = entry.holder {
            self.held(subject).remove(source);
        }
        if let Some(others) = self.by_connection.get_mut(&entry.flow) {
            others.remove(&id);
            if others.is_empty() {
                self.by_connection.remove(&entry.flow);
            }
        }
        self.happenings.push_back(Happening::Over(id));
    }

    fn perform(&mut self, id: TransactionId, outputs: Vec<Output>, now: Duration) {
        for output in outputs {
            let Some(entry) = self.entries.get_mut(&id) else {
                return;
            };
            match output {
                Output::Send(message) => self.sends.push_back((entry.flow, message.to_bytes().to_vec())),
                Output::SetTimer { timer, after } => {
                    let at = now.saturating_add(after);
                    entry.timers.retain(|(other, _)| *other != timer);
                    entry.timers.push((timer, at));
                    let index = Timer::ALL
                        .iter()
                        .position(|other| *other == timer)
                        .unwrap_or(usize::MAX);
                    self.due.push(Reverse((at, id, index)));
                    if timer == Timer::I {
                        self.happenings.push_back(Happening::Acknowledged(id));
                    }
                }
                Output::ClearTimer(timer) => entry.timers.retain(|(other, _)| *other != timer),
                Output::ToTu(event) => self.tell(id, *event),
                Output::Terminated(_) => {
                    self.leave(id);
                }
                _ => {}
            }
        }
        self.prune();
    }

    fn tell(&mut self, id: TransactionId, event: TuEvent) {
        if let (TuEvent::Response(response), Some(entry)) = (&event, self.entries.get_mut(&id))
            && response.status.is_final()
        {
            entry.is_waiting = false;
        }
        self.happenings.push_back(match event {
            TuEvent::Request(request) => Happening::Request(id, Request(*request)),
            TuEvent::Response(response) => Happening::Response(id, Response(*response)),
            TuEvent::Ack(request) => Happening::Ack(Request(*request)),
            TuEvent::Timeout => Happening::Timeout(id),
            TuEvent::TransportError => Happening::Unreachable(id),
            _ => return,
        });
    }

    /// Drop timers from the front that were cleared or replaced.
    fn prune(&mut self) {
        while let Some(Reverse((at, id, index))) = self.due.peek() {
            let is_set = Timer::ALL.get(*index).is_some_and(|timer| {
                self.entries
                    .get(id)
                    .is_some_and(|entry| entry.timers.contains(&(*timer, *at)))
            });
            if is_set {
                return;
            }
            self.due.pop();
        }
    }
}

fn reliability(flow: Flow) -> Reliability {
    match flow.transport {
        Transport::Udp => Reliability::Unreliable,
        Transport::Tcp => Reliability::Reliable,
    }
}
