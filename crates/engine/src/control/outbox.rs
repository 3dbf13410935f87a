//! Reports on their way to the node: numbered, kept until acked, bounded.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::wire::{Report, ReportBody};

/// What is kept without an ack; beyond it the node counts as dead.
pub const KEPT_LIMIT_BYTES: usize = 16 << 20;

/// What peers can cause as often as they like (ringing, digits, changes of a session) takes this much of it at most: a
/// call may have as much as is free, so that one alone gets half. Beyond it such a report is left out.
const CHATTER_LIMIT_BYTES: usize = KEPT_LIMIT_BYTES / 4;

/// Beyond this new calls are refused, so that no caller makes the node count as dead.
const FULL_BYTES: usize = KEPT_LIMIT_BYTES / 2;

/// What may wait to be written before audio, statistics and trace are left out.
const DROPPABLE_LIMIT_BYTES: usize = 1 << 20;

#[derive(Debug)]
struct Kept {
    seq: u64,
    frame: Vec<u8>,
    since: Instant,
    is_new_call: bool,
    /// Whose chatter it is.
    chatter: Option<String>,
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
    /// Of each call that has some.
    chatter: HashMap<String, usize>,
    chatter_bytes: usize,
    last_seq: u64,
    waiting: Vec<u8>,
    connected: bool,
    dropped: u64,
}

impl Outbox {
    /// How many reports wait for the node's ack.
    pub fn unacked(&self) -> usize {
        self.kept.len()
    }

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
        let chatter = body.chatter().map(str::to_owned);
        if chatter.as_ref().is_some_and(|leg| !self.has_room(leg)) {
            self.dropped += 1;
            return true;
        }
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
            if let Some(leg) = &chatter {
                *self.chatter.entry(leg.clone()).or_default() += frame.len();
                self.chatter_bytes += frame.len();
            }
            self.kept.push_back(Kept {
                seq,
                frame,
                since,
                is_new_call,
                chatter,
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
                if let Some(leg) = kept.chatter {
                    self.unburden(&leg, kept.frame.len());
                }
            }
        }
    }

    fn has_room(&self, leg: &str) -> bool {
        let of_leg = self.chatter.get(leg).copied().unwrap_or_default();
        of_leg < CHATTER_LIMIT_BYTES.saturating_sub(self.chatter_bytes)
    }

    fn unburden(&mut self, leg: &str, size_bytes: usize) {
        self.chatter_bytes -= size_bytes;
        if let Some(of_leg) = self.chatter.get_mut(leg) {
            *of_leg -= size_bytes;
            if *of_leg == 0 {
                self.chatter.remove(leg);
            }
        }
    }

    /// A controller is there: greet it, then repeat what it has not seen. What waited for another one is gone.
    pub fn connect(&mut self, welcome: impl IntoIterator<Item = ReportBody>, last_seq: u64) -> bool {
        self.waiting.clear();
        self.connected = true;
        for part in welcome {
            let Some(frame) = encode(part, 0) else {
                return false;
            };
            self.waiting.extend_from_slice(&frame);
        }
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

    /// The node has so much to ack that nothing new is to be begun.
    pub fn is_full(&self) -> bool {
        self.kept_bytes > FULL_BYTES
    }

    /// The node has more to do than it can do at once.
    pub fn is_behind(&self) -> bool {
        let is_late = |kept: &Kept| kept.since.elapsed() > BEHIND;
        self.new_calls > BEHIND_CALLS || self.kept.front().is_some_and(is_late)
    }

    /// The number of the report that waits longest for its ack.
    pub fn oldest(&self) -> Option<u64> {
        self.kept.front().map(|kept| kept.seq)
    }

    /// Bytes that wait for acks.
    pub fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// Reports left out because the node did not read, or one call had too many.
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
            method: offhook_words::DigitMethod::Info,
            duration_ms: 0,
        }
    }

    fn incoming() -> ReportBody {
        ReportBody::LegIncoming(Box::new(super::super::wire::LegIncoming {
            leg: "L".into(),
            transport: offhook_words::Transport::Udp,
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
            thread: 0,
            ticks_late: 0,
            ticks_skipped: 0,
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
            more: false,
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
        assert!(outbox.connect([welcome()], 2));
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
        outbox.connect([welcome()], 0);
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
            assert_eq!(outbox.is_full(), outbox.kept_bytes() > FULL_BYTES);
            outbox.push(incoming());
        }
        assert!(outbox.kept_bytes() + 1_024 > KEPT_LIMIT_BYTES, "the greeting waits too");
    }

    fn of(leg: &str, number: usize) -> ReportBody {
        let leg = leg.to_owned();
        match number % 3 {
            0 => ReportBody::LegProgress {
                leg,
                status: 180,
                reason: "Ringing".to_owned(),
                early_media: false,
            },
            1 => ReportBody::LegChanged {
                leg,
                hold: true,
                remote_media: "127.0.0.1:4000".to_owned(),
                codec: "PCMU".to_owned(),
            },
            _ => ReportBody::Digit {
                leg,
                digit: "1".to_owned(),
                method: offhook_words::DigitMethod::Rfc4733,
                duration_ms: 100,
            },
        }
    }

    /// 110,000 responses of one callee that rings made the node count as dead, and its next connection too.
    #[test]
    fn one_call_that_chatters_costs_itself_and_never_the_node() {
        let mut outbox = Outbox::default();
        outbox.connect([welcome()], 0);
        for number in 0..300_000 {
            assert!(outbox.push(of("loud", number)));
        }
        assert!(!outbox.is_over_limit() && !outbox.is_full());
        assert!(outbox.dropped() > 100_000);
        assert!(outbox.kept_bytes() <= CHATTER_LIMIT_BYTES / 2 + 1_024);
        // Others are heard, however many chatter.
        let before = outbox.last_seq;
        outbox.push(of("quiet", 0));
        assert_eq!(outbox.last_seq, before + 1);
        for leg in 0..20_000 {
            for number in 0..30 {
                outbox.push(of(&format!("L{leg}"), number));
            }
        }
        assert!(!outbox.is_full() && outbox.kept_bytes() <= CHATTER_LIMIT_BYTES + 1_024);
        outbox.ack(outbox.last_seq);
        assert_eq!(
            (outbox.kept_bytes(), outbox.chatter_bytes, outbox.chatter.len()),
            (0, 0, 0)
        );
        outbox.push(of("loud", 0));
        assert_eq!(outbox.kept.len(), 1);
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
