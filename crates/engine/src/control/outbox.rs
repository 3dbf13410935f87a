//! Reports on their way to the node: numbered, kept until acked, bounded.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::wire::{Report, ReportBody};

/// What is kept without an ack; beyond it the node counts as dead.
pub const KEPT_LIMIT_BYTES: usize = 16 << 20;

/// What may wait to be written before audio, statistics and trace are left out.
const DROPPABLE_LIMIT_BYTES: usize = 1 << 20;

#[derive(Debug)]
struct Kept {
    seq: u64,
    frame: Vec<u8>,
    since: Instant,
    is_new_call: bool,
}

/// A report that waits longer for its ack means that the node is behind.
const BEHIND: Duration = Duration::from_secs(1);

/// More new calls that wait for their acks mean the same (a node that keeps up with 100 calls/s leaves about 15).
const BEHIND_CALLS: usize = 150;

/// Every report passes here. What is written to a connection waits in one buffer that its writer takes whole.
#[derive(Debug, Default)]
pub struct Outbox {
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    new_calls: usize,
    last_seq: u64,
    waiting: Vec<u8>,
    connected: bool,
    dropped: u64,
}

impl Outbox {
    /// An empty one whose first number is above `seq`.
    pub fn starting_at(seq: u64) -> Self {
        Self {
            last_seq: seq,
            ..Self::default()
        }
    }

    /// Number (if it is kept) and queue a report. False: it could not be encoded, which is a bug.
    pub fn push(&mut self, body: ReportBody) -> bool {
        let kept = body.is_kept();
        let droppable = body.is_droppable();
        if !kept && (!self.connected || (droppable && self.waiting.len() > DROPPABLE_LIMIT_BYTES)) {
            self.dropped += u64::from(self.connected);
            return true;
        }
        let is_new_call = matches!(body, ReportBody::LegIncoming(_));
        let seq = if kept { self.last_seq + 1 } else { 0 };
        let Some(frame) = encode(body, seq) else {
            return false;
        };
        if self.connected {
            self.waiting.extend_from_slice(&frame);
        }
        if kept {
            self.last_seq = seq;
            self.kept_bytes += frame.len();
            let since = Instant::now();
            self.new_calls += usize::from(is_new_call);
            self.kept.push_back(Kept {
                seq,
                frame,
                since,
                is_new_call,
            });
        }
        true
    }

    /// Forget what the node has journalled.
    pub fn ack(&mut self, seq: u64) {
        while self.kept.front().is_some_and(|kept| kept.seq <= seq) {
            if let Some(kept) = self.kept.pop_front() {
                self.kept_bytes -= kept.frame.len();
                self.new_calls -= usize::from(kept.is_new_call);
            }
        }
    }

    /// A controller is there: greet it, then repeat what it has not seen. What waited for another one is gone.
    pub fn connect(&mut self, welcome: ReportBody, last_seq: u64) -> bool {
        self.waiting.clear();
        self.connected = true;
        let Some(frame) = encode(welcome, 0) else {
            return false;
        };
        self.waiting.extend_from_slice(&frame);
        for kept in self.kept.iter().filter(|kept| kept.seq > last_seq) {
            self.waiting.extend_from_slice(&kept.frame);
        }
        true
    }

    /// The controller went.
    pub fn disconnect(&mut self) {
        self.connected = false;
        self.waiting = Vec::new();
    }

    /// Swap what waits against the writer's emptied buffer.
    pub fn take(&mut self, into: &mut Vec<u8>) {
        into.clear();
        std::mem::swap(into, &mut self.waiting);
    }

    /// Something waits to be written.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The node neither acks nor reads as it must.
    pub fn is_over_limit(&self) -> bool {
        self.kept_bytes > KEPT_LIMIT_BYTES || self.waiting.len() > KEPT_LIMIT_BYTES
    }

    /// The node has more to do than it can do at once.
    pub fn is_behind(&self) -> bool {
        let is_late = |kept: &Kept| kept.since.elapsed() > BEHIND;
        self.new_calls > BEHIND_CALLS || self.kept.front().is_some_and(is_late)
    }

    /// Bytes that wait for acks.
    pub fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// Reports left out because the node did not read.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// One frame: length and map.
pub(super) fn encode(body: ReportBody, seq: u64) -> Option<Vec<u8>> {
    let at_us = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as u64);
    let mut frame = vec![0; 4];
    rmp_serde::encode::write_named(&mut frame, &Report { body, seq, at_us }).ok()?;
    let length = u32::try_from(frame.len().checked_sub(4)?).ok()?;
    frame.get_mut(..4)?.copy_from_slice(&length.to_be_bytes());
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digit(text: &str) -> ReportBody {
        ReportBody::Digit {
            leg: "L".into(),
            digit: text.into(),
            method: super::super::wire::DigitMethod::Info,
            duration_ms: 0,
        }
    }

    fn incoming() -> ReportBody {
        ReportBody::LegIncoming(Box::new(super::super::wire::LegIncoming {
            leg: "L".into(),
            transport: super::super::wire::Transport::Udp,
            source: String::new(),
            sip_call_id: String::new(),
            request_uri: String::new(),
            from_uri: String::new(),
            to_uri: String::new(),
            from_display: String::new(),
            headers: vec![],
            codecs: vec![],
        }))
    }

    fn stats() -> ReportBody {
        ReportBody::Stats {
            legs: vec![],
            ticks_late: 0,
            panics: 0,
        }
    }

    fn welcome() -> ReportBody {
        ReportBody::Welcome {
            version: 1,
            boot: "b".into(),
            sip_udp: String::new(),
            sip_tcp: String::new(),
            legs: vec![],
        }
    }

    fn read(bytes: &[u8]) -> Vec<Report> {
        let mut reports = Vec::new();
        let mut rest = bytes;
        while let Some((head, tail)) = rest.split_first_chunk::<4>() {
            let (frame, next) = tail.split_at(u32::from_be_bytes(*head) as usize);
            reports.push(rmp_serde::from_slice(frame).unwrap_or_else(|error| unreachable!("{error}")));
            rest = next;
        }
        reports
    }

    #[test]
    fn kept_reports_are_numbered_and_repeated_to_the_next_controller_until_acked() {
        let mut outbox = Outbox::default();
        for text in ["1", "2", "3"] {
            assert!(outbox.push(digit(text)));
        }
        outbox.ack(1);
        assert!(outbox.connect(welcome(), 2));
        let mut bytes = Vec::new();
        outbox.take(&mut bytes);
        let reports = read(&bytes);
        assert_eq!(reports.iter().map(|report| report.seq).collect::<Vec<_>>(), [0, 3]);
        assert!(reports.iter().all(|report| report.at_us > 0));
        outbox.ack(3);
        assert_eq!(outbox.kept_bytes(), 0);
    }

    #[test]
    fn a_node_that_does_not_read_loses_statistics_first_and_state_never() {
        let mut outbox = Outbox::default();
        outbox.connect(welcome(), 0);
        let mut digits = 0;
        while outbox.waiting.len() <= DROPPABLE_LIMIT_BYTES {
            outbox.push(digit("1"));
            digits += 1;
        }
        let before = outbox.waiting.len();
        outbox.push(stats());
        assert_eq!((outbox.waiting.len(), outbox.dropped()), (before, 1));
        outbox.push(digit("2"));
        assert_eq!(outbox.kept.len(), digits + 1);
        assert!(!outbox.is_over_limit());
        while !outbox.is_over_limit() {
            outbox.push(digit("1"));
        }
        assert!(outbox.kept_bytes() > KEPT_LIMIT_BYTES);
    }

    #[test]
    fn a_node_with_many_new_calls_to_ack_is_behind() {
        let mut outbox = Outbox::default();
        for _ in 0..BEHIND_CALLS {
            outbox.push(incoming());
            outbox.push(digit("1"));
        }
        assert!(!outbox.is_behind());
        outbox.push(incoming());
        assert!(outbox.is_behind());
        outbox.ack(2);
        assert!(!outbox.is_behind());
    }

    #[test]
    fn without_a_controller_only_what_is_kept_is_held() {
        let mut outbox = Outbox::default();
        outbox.push(stats());
        outbox.push(digit("1"));
        assert!(!outbox.has_waiting());
        assert_eq!(outbox.dropped(), 0);
        assert_eq!(outbox.kept.len(), 1);
    }
}
