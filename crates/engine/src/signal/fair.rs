//! Datagrams that wait to be served. Addresses take turns, and the ports of an address take turns in its turn: who makes
//! up ports waits behind itself. Half of an address's turns is for those of its ports that are proven to be real.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use offhook_sip::Flow;

/// What may wait in all, with what it costs to keep it. A source may have as much as is free, so that one alone gets
/// half; all unproven ports of an address together get three quarters.
const ROOM_BYTES: usize = 8 << 20;
/// What it costs to keep a datagram, and a source that has some: its place in the tables, what the allocator adds.
const DATAGRAM_BYTES: usize = 128;
const SOURCE_BYTES: usize = 320;

pub(super) struct Datagram {
    pub(super) flow: Flow,
    pub(super) bytes: Vec<u8>,
}

impl Datagram {
    fn cost_bytes(&self) -> usize {
        self.bytes.len() + DATAGRAM_BYTES
    }
}

/// What one port of an address sent.
struct Queue {
    datagrams: VecDeque<Datagram>,
    size_bytes: usize,
}

impl Queue {
    fn new() -> Self {
        Self {
            datagrams: VecDeque::with_capacity(1),
            size_bytes: SOURCE_BYTES,
        }
    }
}

/// Sources that take turns.
#[derive(Default)]
struct Lane {
    queues: HashMap<SocketAddr, Queue>,
    turns: VecDeque<SocketAddr>,
    size_bytes: usize,
}

impl Lane {
    /// What it would cost to keep a datagram of this size, and what its source would have then.
    fn asks(&self, peer: SocketAddr, length: usize) -> (usize, usize) {
        match self.queues.get(&peer) {
            Some(queue) => (length + DATAGRAM_BYTES, queue.size_bytes + length + DATAGRAM_BYTES),
            None => (
                length + DATAGRAM_BYTES + SOURCE_BYTES,
                length + DATAGRAM_BYTES + SOURCE_BYTES,
            ),
        }
    }

    fn push(&mut self, datagram: Datagram) {
        let peer = datagram.flow.peer;
        let queue = self.queues.entry(peer).or_insert_with(|| {
            self.turns.push_back(peer);
            self.size_bytes += SOURCE_BYTES;
            Queue::new()
        });
        queue.size_bytes += datagram.cost_bytes();
        self.size_bytes += datagram.cost_bytes();
        queue.datagrams.push_back(datagram);
    }

    fn pop(&mut self) -> Option<Datagram> {
        let peer = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&peer)?;
        let datagram = queue.datagrams.pop_front()?;
        queue.size_bytes -= datagram.cost_bytes();
        self.size_bytes -= datagram.cost_bytes();
        if queue.datagrams.is_empty() {
            self.queues.remove(&peer);
            self.size_bytes -= SOURCE_BYTES;
        } else {
            self.turns.push_back(peer);
        }
        Some(datagram)
    }
}

/// An address: its ports that are proven, and the others.
#[derive(Default)]
struct Host {
    proven: Lane,
    others: Lane,
    /// Whether the next turn is that of the others.
    others_next: bool,
}

impl Host {
    fn is_empty(&self) -> bool {
        self.proven.turns.is_empty() && self.others.turns.is_empty()
    }

    /// The lane of a source. What it sent before it was proven goes on in front of what it sends now.
    fn lane(&mut self, peer: SocketAddr, is_proven: bool) -> &mut Lane {
        if !is_proven && !self.proven.queues.contains_key(&peer) {
            return &mut self.others;
        }
        if let Some(queue) = self.others.queues.remove(&peer) {
            self.others.turns.retain(|other| *other != peer);
            self.others.size_bytes -= queue.size_bytes;
            self.proven.size_bytes += queue.size_bytes;
            self.proven.turns.push_back(peer);
            self.proven.queues.insert(peer, queue);
        }
        &mut self.proven
    }

    fn pop(&mut self) -> Option<Datagram> {
        let others_first = self.others_next;
        self.others_next = !others_first;
        if others_first {
            self.others.pop().or_else(|| self.proven.pop())
        } else {
            self.proven.pop().or_else(|| self.others.pop())
        }
    }
}

/// Bounded in bytes; who sends much waits behind itself and nobody else does.
#[derive(Default)]
pub(super) struct FairQueue {
    hosts: HashMap<IpAddr, Host>,
    turns: VecDeque<IpAddr>,
    size_bytes: usize,
}

impl FairQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Keep a datagram; it is lost where its source has no room.
    pub(super) fn push(&mut self, flow: Flow, bytes: &[u8], is_proven: bool) {
        let ip = flow.peer.ip();
        let free = ROOM_BYTES.saturating_sub(self.size_bytes);
        let (host, of_host) = match self.hosts.get_mut(&ip) {
            Some(host) => (host, 0),
            // The host itself costs as much as one of its sources.
            None if free < SOURCE_BYTES => return,
            None => {
                self.turns.push_back(ip);
                (self.hosts.entry(ip).or_default(), SOURCE_BYTES)
            }
        };
        let lane = host.lane(flow.peer, is_proven);
        let (cost, of_source) = lane.asks(flow.peer, bytes.len());
        let is_too_much = cost + of_host > free
            || of_source > free
            || (!is_proven && lane.size_bytes + cost > free.saturating_mul(3));
        if is_too_much {
            if host.is_empty() {
                self.forget(ip);
            }
            return;
        }
        lane.push(Datagram {
            flow,
            bytes: bytes.to_vec(),
        });
        self.size_bytes += cost + of_host;
    }

    /// The next one of the source whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Datagram> {
        let ip = self.turns.pop_front()?;
        let host = self.hosts.get_mut(&ip)?;
        let before = host.proven.size_bytes + host.others.size_bytes;
        let datagram = host.pop()?;
        self.size_bytes -= before - host.proven.size_bytes - host.others.size_bytes;
        if host.is_empty() {
            self.hosts.remove(&ip);
            self.size_bytes -= SOURCE_BYTES;
        } else {
            self.turns.push_back(ip);
        }
        Some(datagram)
    }

    /// A host that has nothing after all.
    fn forget(&mut self, ip: IpAddr) {
        self.hosts.remove(&ip);
        self.turns.retain(|other| *other != ip);
    }
}

/// Whether a datagram begins something: what belongs to a call that is there, or answers us, does not.
pub(super) fn is_beginning(bytes: &[u8]) -> bool {
    !["ACK ", "BYE ", "CANCEL ", "SIP/2.0 "]
        .iter()
        .any(|start| bytes.starts_with(start.as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use offhook_words::Transport;

    use super::*;

    fn at(last: u8, port: u16) -> Flow {
        Flow {
            transport: Transport::Udp,
            local: "127.0.0.1:5060".parse().unwrap(),
            peer: SocketAddr::from(([127, 0, 0, last], port)),
            connection: 0,
        }
    }

    fn from(port: u16) -> Flow {
        at(1, port)
    }

    fn waiting(queue: &FairQueue) -> usize {
        let lanes = queue.hosts.values().flat_map(|host| [&host.proven, &host.others]);
        let datagrams = lanes.flat_map(|lane| lane.queues.values().flat_map(|queue| &queue.datagrams));
        datagrams.map(|datagram| datagram.bytes.len()).sum()
    }

    fn is_clean(queue: &FairQueue) -> bool {
        queue.is_empty() && queue.hosts.is_empty() && queue.size_bytes == 0
    }

    #[test]
    fn sources_take_turns_whoever_sends_more() {
        let mut queue = FairQueue::default();
        for number in 0..100 {
            queue.push(from(1), &[number], false);
        }
        queue.push(from(2), &[0], false);
        queue.push(from(3), &[0], false);
        let ports: Vec<u16> = std::iter::from_fn(|| queue.pop()).map(|d| d.flow.peer.port()).collect();
        assert_eq!(ports.get(..4).unwrap(), [1, 2, 3, 1]);
        assert_eq!(ports.len(), 102);
        assert!(is_clean(&queue));
    }

    #[test]
    fn a_source_keeps_its_order_and_one_that_floods_leaves_room() {
        let mut queue = FairQueue::default();
        for number in 0..=255 {
            queue.push(from(1), &vec![number; 60_000], false);
        }
        assert!(queue.size_bytes <= ROOM_BYTES / 2 + 60_000);
        for port in 2..2_000 {
            queue.push(from(port), &[7; 500], false);
        }
        let served: Vec<Datagram> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(served.iter().filter(|d| d.flow.peer.port() > 1).count(), 1_998);
        let firsts: Vec<u8> = served
            .iter()
            .filter(|d| d.flow.peer.port() == 1)
            .map(|d| *d.bytes.first().unwrap())
            .collect();
        assert!(firsts.is_sorted() && firsts.len() > 50);
    }

    /// A first datagram of each source was kept without a look at the room: 60,000 sources took 200 MB.
    #[test]
    fn the_room_holds_however_many_sources_and_addresses_there_are() {
        let mut queue = FairQueue::default();
        for size_bytes in [1, 500, 4_000, 60_000] {
            let bytes = vec![0; size_bytes];
            for last in 0..=255 {
                for port in 1..400 {
                    queue.push(at(last, port), &bytes, port % 3 == 0);
                    assert!(queue.size_bytes <= ROOM_BYTES && waiting(&queue) <= queue.size_bytes);
                    if port > 20 {
                        break;
                    }
                }
            }
        }
        for port in 1..60_000 {
            queue.push(from(port), &[0; 4_000], false);
        }
        assert!((ROOM_BYTES / 2..=ROOM_BYTES).contains(&queue.size_bytes));
        while queue.pop().is_some() {}
        assert!(is_clean(&queue));
    }

    #[test]
    fn a_flood_from_made_up_ports_of_one_address_delays_another_by_one_datagram() {
        let mut queue = FairQueue::default();
        for port in 1..60_000 {
            queue.push(from(port), &[0; 4_000], false);
        }
        for number in 0..50 {
            queue.push(at(2, 5_060), &[number], false);
        }
        let served = std::iter::from_fn(|| queue.pop()).take(100);
        assert_eq!(served.filter(|d| d.flow.peer == at(2, 5_060).peer).count(), 50);
    }

    /// One trunk at one address carries all calls; its address is made up by others as easily as any.
    #[test]
    fn a_proven_port_has_every_second_turn_of_its_address_whatever_is_made_up_beside_it() {
        let mut queue = FairQueue::default();
        for port in 1..60_000 {
            queue.push(from(port), &[0; 4_000], false);
        }
        for number in 0..200 {
            queue.push(from(65_000), &[number; 1_000], true);
        }
        let of_trunk: Vec<u8> = std::iter::from_fn(|| queue.pop())
            .take(400)
            .filter(|d| d.flow.peer.port() == 65_000)
            .map(|d| *d.bytes.first().unwrap())
            .collect();
        assert_eq!(of_trunk, (0..200).collect::<Vec<u8>>());
    }

    #[test]
    fn what_a_port_sent_before_it_was_proven_keeps_its_order() {
        let mut queue = FairQueue::default();
        for number in 0..20 {
            queue.push(from(7), &[number], (10..15).contains(&number));
            queue.push(from(8), &[number], false);
        }
        let served: Vec<u8> = std::iter::from_fn(|| queue.pop())
            .filter(|d| d.flow.peer.port() == 7)
            .map(|d| *d.bytes.first().unwrap())
            .collect();
        assert_eq!(served, (0..20).collect::<Vec<u8>>());
        assert!(is_clean(&queue));
    }

    #[test]
    fn what_belongs_to_a_call_begins_nothing() {
        assert!(is_beginning(b"INVITE sip:x SIP/2.0") && is_beginning(b"OPTIONS sip:x SIP/2.0") && is_beginning(b""));
        assert!(!is_beginning(b"BYE sip:x SIP/2.0") && !is_beginning(b"SIP/2.0 200 OK"));
    }
}
