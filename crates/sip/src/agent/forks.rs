//! Who rings and who answered for one INVITE of ours. A callee can make up as many as it likes, so all of it is bounded.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::api::Flow;

/// Forks that ring, and forks that answered, of which anything is remembered. Who answers beyond gets nothing, and
/// gives up by itself after 32 s (RFC 3261, section 13.3.1.4).
const MOST_FORKS: usize = 16;
/// Provisional responses that are told.
const MOST_TOLD: usize = 32;
/// How often one fork gets its ACK: a 2xx is repeated 10 times.
const MOST_ACKS: u8 = 16;
/// Early SDP and the ACKs of later forks.
const MOST_BYTES: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct Forks {
    ringing: HashMap<String, Ringing>,
    answered: HashMap<String, Answered>,
    told: usize,
    kept_bytes: usize,
}

#[derive(Debug, Default)]
struct Ringing {
    sdp: Option<String>,
    /// What it said last.
    said: Option<u64>,
}

#[derive(Debug)]
struct Answered {
    ack: Option<(Flow, Vec<u8>)>,
    acks_sent: u8,
}

/// What a 2xx is.
pub(super) enum Answer {
    /// Of a fork that had not answered.
    New,
    /// A copy, which gets this ACK again.
    Copy(Flow, Vec<u8>),
    /// One too many.
    Surplus,
}

impl Forks {
    /// A fork rings (`tag` is empty where an old peer sends none); whether that is worth telling.
    pub(super) fn rings(&mut self, tag: &str, status: u16, reason: &str, sdp: Option<&str>) -> bool {
        let mut hasher = DefaultHasher::new();
        (status, reason, sdp).hash(&mut hasher);
        let said = hasher.finish();
        if !self.ringing.contains_key(tag) && self.ringing.len() < MOST_FORKS {
            self.ringing.insert(tag.to_owned(), Ringing::default());
        }
        if let Some(ringing) = self.ringing.get_mut(tag) {
            if ringing.said.replace(said) == Some(said) {
                return false;
            }
            if let Some(sdp) = sdp {
                let others = self.kept_bytes - ringing.sdp.as_ref().map_or(0, String::len);
                if others + sdp.len() <= MOST_BYTES {
                    self.kept_bytes = others + sdp.len();
                    ringing.sdp = Some(sdp.to_owned());
                }
            }
        }
        let is_told = self.told < MOST_TOLD;
        self.told += usize::from(is_told);
        is_told
    }

    /// Whether a fork of this tag rings.
    pub(super) fn is_ringing(&self, tag: &str) -> bool {
        !tag.is_empty() && self.ringing.contains_key(tag)
    }

    /// The SDP that a fork sent before it answered; those that still ring are of no interest any more.
    pub(super) fn choose(&mut self, tag: &str) -> Option<String> {
        let sdp = self.ringing.remove(tag).and_then(|ringing| ringing.sdp);
        self.ringing = HashMap::new();
        self.kept_bytes = 0;
        sdp
    }

    /// A 2xx came from a fork.
    pub(super) fn answer(&mut self, tag: &str) -> Answer {
        let Some(answered) = self.answered.get_mut(tag) else {
            let has_room = self.answered.len() < MOST_FORKS;
            return if has_room { Answer::New } else { Answer::Surplus };
        };
        match &answered.ack {
            Some((flow, ack)) if answered.acks_sent < MOST_ACKS => {
                answered.acks_sent += 1;
                Answer::Copy(*flow, ack.clone())
            }
            _ => Answer::Surplus,
        }
    }

    /// A fork got its ACK; copies of its 2xx get it again. That of the first is kept whatever its size.
    pub(super) fn acknowledged(&mut self, tag: &str, flow: Flow, ack: &[u8]) {
        let is_kept = self.answered.is_empty() || self.kept_bytes + ack.len() <= MOST_BYTES;
        if is_kept && !self.answered.is_empty() {
            self.kept_bytes += ack.len();
        }
        let answered = Answered {
            ack: is_kept.then(|| (flow, ack.to_vec())),
            acks_sent: 0,
        };
        self.answered.insert(tag.to_owned(), answered);
    }

    /// About what is kept.
    pub(super) fn size_bytes(&self) -> usize {
        let tags = self.ringing.keys().chain(self.answered.keys());
        let first = self.answered.values().filter_map(|answered| answered.ack.as_ref());
        let sdp = self.ringing.values().filter_map(|ringing| ringing.sdp.as_ref());
        tags.map(String::len).sum::<usize>()
            + first.map(|(_, ack)| ack.len()).sum::<usize>()
            + sdp.map(String::len).sum::<usize>()
    }
}
