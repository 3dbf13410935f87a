//! SDP and the offer/answer policy (RFC 4566, RFC 3264).
//!
//! [`offer`] and [`answer`] write a session description, [`accept`] reads the answer to our own offer. What media
//! needs to know comes out as [`MediaSession`].

mod description;
mod memory;
mod policy;

use std::fmt;
use std::net::SocketAddr;

use offhook_words::{Codec, Formats};

pub use memory::Memory;
pub use policy::{accept, answer, codecs, offer};

/// Who sends, seen from us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both send.
    SendReceive,
    /// We send only.
    SendOnly,
    /// We receive only: the peer holds the line, or does not want to hear us.
    ReceiveOnly,
    /// Nobody sends.
    Inactive,
}

impl Direction {
    /// The attribute's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::SendReceive => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::ReceiveOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// Whether we send.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendReceive | Self::SendOnly)
    }

    /// Whether we receive.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendReceive | Self::ReceiveOnly)
    }

    /// The same, seen from the other end.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::SendOnly => Self::ReceiveOnly,
            Self::ReceiveOnly => Self::SendOnly,
            both => both,
        }
    }
}

/// Our end of the session, and its memory between offers (RFC 3264, section 8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// Where RTP is received; RTCP on the next port.
    pub media: SocketAddr,
    /// What we take, in order of preference; empty: PCMU, PCMA, G722.
    pub codecs: Vec<Codec>,
    /// `o=` session id, chosen at random once per leg (at most 2^62).
    pub session_id: u64,
    /// `o=` version of the next description we write; [`offer`] and [`answer`] raise it by one each time.
    pub version: u64,
    /// What was said before in this session.
    pub memory: Memory,
}

impl Local {
    /// Our end of a session in which nothing was said yet.
    pub fn new(media: SocketAddr, codecs: Vec<Codec>, session_id: u64) -> Self {
        Self {
            media,
            codecs,
            session_id,
            version: 0,
            memory: Memory::default(),
        }
    }

    pub(crate) fn codecs(&self) -> Vec<Codec> {
        if self.codecs.is_empty() {
            Codec::ALL.to_vec()
        } else {
            self.codecs.clone()
        }
    }
}

/// What media needs to know of a settled session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaSession {
    /// Where to send RTP; none where the peer holds with `c=0.0.0.0`.
    pub remote: Option<SocketAddr>,
    /// Where to send RTCP (`a=rtcp`, else the next port).
    pub remote_rtcp: Option<SocketAddr>,
    /// By which numbers audio and keys travel.
    pub formats: Formats,
    /// Who sends.
    pub direction: Direction,
    /// What the peer wants in a packet, 20 if it does not say.
    pub ptime_ms: u32,
}

impl MediaSession {
    /// Whether the peer does not want to hear us.
    pub fn is_hold(&self) -> bool {
        self.remote.is_none() || matches!(self.direction, Direction::ReceiveOnly | Direction::Inactive)
    }
}

/// Why a description is refused: the status to answer with and a sentence that says what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// 400 (not SDP) or 488 (nothing in common).
    pub status: u16,
    /// The sentence.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refusal {}
