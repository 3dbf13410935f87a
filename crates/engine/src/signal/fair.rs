//! Datagrams that wait to be served: each source has a queue of its own, and the sources take turns.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use offhook_sip::Flow;

/// What may wait in all. A source may have as much as is free, so that one alone gets half.
const ROOM_BYTES: usize = 8 << 20;

pub(super) struct Datagram {
    pub(super) flow: Flow,
    pub(super) bytes: Vec<u8>,
}

#[derive(Default)]
struct Queue {
    datagrams: VecDeque<Datagram>,
    size_bytes: usize,
}

/// Bounded in bytes; who sends much waits behind itself and nobody else does.
#[derive(Default)]
pub(super) struct FairQueue {
    queues: HashMap<SocketAddr, Queue>,
    turns: VecDeque<SocketAddr>,
    size_bytes: usize,
}

impl FairQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Keep a datagram; it is lost where its source has no room.
    pub(super) fn push(&mut self, flow: Flow, bytes: &[u8]) {
        let free = ROOM_BYTES.saturating_sub(self.size_bytes);
        let queue = self.queues.entry(flow.peer).or_default();
        if queue.datagrams.is_empty() {
            self.turns.push_back(flow.peer);
        } else if queue.size_bytes + bytes.len() > free {
            return;
        }
        queue.size_bytes += bytes.len();
        self.size_bytes += bytes.len();
        queue.datagrams.push_back(Datagram {
            flow,
            bytes: bytes.to_vec(),
        });
    }

    /// The next one of the source whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Datagram> {
        let peer = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&peer)?;
        let datagram = queue.datagrams.pop_front()?;
        queue.size_bytes -= datagram.bytes.len();
        self.size_bytes -= datagram.bytes.len();
        if queue.datagrams.is_empty() {
            self.queues.remove(&peer);
        } else {
            self.turns.push_back(peer);
        }
        Some(datagram)
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

    use offhook_sip::Transport;

    use super::*;

    fn from(port: u16) -> Flow {
        Flow {
            transport: Transport::Udp,
            local: "127.0.0.1:5060".parse().unwrap(),
            peer: SocketAddr::from(([127, 0, 0, 1], port)),
            connection: 0,
        }
    }

    #[test]
    fn sources_take_turns_whoever_sends_more() {
        let mut queue = FairQueue::default();
        for number in 0..100 {
            queue.push(from(1), &[number]);
        }
        queue.push(from(2), &[0]);
        queue.push(from(3), &[0]);
        let ports: Vec<u16> = std::iter::from_fn(|| queue.pop()).map(|d| d.flow.peer.port()).collect();
        assert_eq!(ports.get(..4).unwrap(), [1, 2, 3, 1]);
        assert_eq!(ports.len(), 102);
        assert!(queue.is_empty() && queue.queues.is_empty() && queue.size_bytes == 0);
    }

    #[test]
    fn a_source_keeps_its_order_and_one_that_floods_leaves_room() {
        let mut queue = FairQueue::default();
        for number in 0..=255 {
            queue.push(from(1), &vec![number; 60_000]);
        }
        assert!(queue.size_bytes <= ROOM_BYTES / 2 + 60_000);
        for port in 2..2_000 {
            queue.push(from(port), &[7; 500]);
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

    #[test]
    fn what_belongs_to_a_call_begins_nothing() {
        assert!(is_beginning(b"INVITE sip:x SIP/2.0") && is_beginning(b"OPTIONS sip:x SIP/2.0") && is_beginning(b""));
        assert!(!is_beginning(b"BYE sip:x SIP/2.0") && !is_beginning(b"SIP/2.0 200 OK"));
    }
}
