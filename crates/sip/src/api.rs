//! The words that the agent shares with its driver: flows, commands, outputs and events.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use offhook_words::{EndedBy, Failure, FailureCode, LegEndCause, Transport};

/// Names one leg (one INVITE dialog and what leads to it) for the life of an [`Agent`](crate::Agent); never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegKey(pub u64);

/// A way to one peer: a UDP socket and an address, or one TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// What carries it.
    pub transport: Transport,
    /// Where we listen, as peers shall see it in Via and Contact; never unspecified (livekit/sip#208).
    pub local: SocketAddr,
    /// Where the peer sends from.
    pub peer: SocketAddr,
    /// Which TCP connection; 0 for UDP, and for "any connection to `peer`; open one if there is none".
    pub connection: u64,
}

/// What is asked of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Place a call. `leg` comes from [`Agent::allocate_leg`](crate::Agent::allocate_leg).
    Invite(Invite),
    /// 180 to the caller; with a body 183. May be repeated before the answer.
    Ring {
        /// An inbound leg that is not answered.
        leg: LegKey,
        /// The SDP answer for early media.
        body: Option<String>,
    },
    /// 200 to the caller, retransmitted until its ACK.
    Answer {
        /// An inbound leg that is not answered.
        leg: LegKey,
        /// Our SDP: the answer to the offer, or our offer where the INVITE had none.
        body: String,
    },
    /// End the leg the way its state asks for: a final response, CANCEL, or BYE. Idempotent.
    Hangup {
        /// Any leg.
        leg: LegKey,
        /// For the final response (>= 400; 0 means 603), and in the Reason header of CANCEL and BYE if not 0.
        status: u16,
        /// A sentence that says what to change; the status' own phrase if empty.
        reason: String,
        /// Header fields of a final response beyond the agent's own (`Retry-After` is added to 503 if absent).
        headers: Vec<(String, String)>,
    },
    /// Answer an [`Event::Reoffer`].
    AnswerReoffer {
        /// An answered leg.
        leg: LegKey,
        /// Our SDP, or why not (488 as a rule); a refusal leaves the session as it was.
        body: Result<String, Refusal>,
    },
}

/// A call to place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// From [`Agent::allocate_leg`](crate::Agent::allocate_leg).
    pub leg: LegKey,
    /// Where to send it.
    pub flow: Flow,
    /// Request-URI and To.
    pub to_uri: String,
    /// From.
    pub from_uri: String,
    /// From's display name; may be empty.
    pub from_display: String,
    /// Header fields beyond the agent's own, which they cannot replace.
    pub headers: Vec<(String, String)>,
    /// The SDP offer.
    pub body: String,
    /// After this long without an answer: CANCEL, and the leg ends with [`LegEndCause::Timeout`].
    pub ring_timeout: Duration,
    /// After this long without any response the leg ends in the same way, before RFC 3261 would give up (after 32 s).
    pub response_timeout: Option<Duration>,
}

/// Why something is refused: a status and a sentence that says what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// 400-699.
    pub status: u16,
    /// The sentence.
    pub reason: String,
}

/// A BYE made in advance: see [`Agent::farewell`](crate::Agent::farewell).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Farewell {
    /// Where it goes; on TCP over any connection.
    pub flow: Flow,
    /// One whole message.
    pub bytes: Vec<u8>,
}

/// What a driver must do for the agent, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Put these bytes on the wire: one datagram, or the next bytes of the connection.
    Send {
        /// Where to.
        flow: Flow,
        /// One whole message.
        bytes: Vec<u8>,
    },
    /// Ask whether a datagram would arrive there; if the network says no: [`Agent::on_unreachable`](crate::Agent::on_unreachable).
    Probe(Flow),
    /// Tell the owner of the legs.
    Event(Event),
}

/// What happened to a leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An INVITE that may be taken; 100 is sent.
    Incoming(Box<Incoming>),
    /// A provisional response (101-199) to our INVITE.
    Progress {
        /// The leg.
        leg: LegKey,
        /// 101-199.
        status: u16,
        /// The reason phrase.
        reason: String,
        /// SDP, if it had any: the answer for early media of this fork.
        body: Option<String>,
    },
    /// A 200 came to our INVITE and was acknowledged. Not for inbound legs.
    Answered {
        /// The leg.
        leg: LegKey,
        /// The SDP answer.
        body: String,
    },
    /// The ACK to our 200 came.
    Confirmed {
        /// The leg.
        leg: LegKey,
        /// The SDP answer, where our 200 carried the offer.
        body: Option<String>,
    },
    /// The peer offers a changed session; owed an [`Command::AnswerReoffer`] within 10 s (then 500 goes out).
    Reoffer {
        /// The leg.
        leg: LegKey,
        /// The offer; none where the peer asks us to make one (its answer comes with [`Event::Confirmed`]).
        body: Option<String>,
    },
    /// The leg is gone. Exactly once for each leg; nothing about it follows.
    Ended {
        /// The leg.
        leg: LegKey,
        /// Who ended it.
        by: EndedBy,
        /// How.
        cause: LegEndCause,
        /// The final response's, or of the Reason header; 0 if neither.
        status: u16,
        /// The peer's or our words for it.
        reason: String,
    },
    /// A digit by INFO (application/dtmf-relay or application/dtmf).
    InfoDigit {
        /// The leg.
        leg: LegKey,
        /// `0-9 * # A-D`.
        digit: char,
        /// As the peer said, 0 if it did not.
        duration_ms: u32,
    },
    /// A message as it went over the wire, for the time line.
    Trace {
        /// The leg it belongs to, if any.
        leg: Option<LegKey>,
        /// Whether we sent it.
        sent: bool,
        /// Start line and `CSeq`, never the body.
        summary: String,
        /// The other side.
        peer: SocketAddr,
    },
}

/// The facts of an INVITE that may be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The new leg.
    pub leg: LegKey,
    /// How it came.
    pub flow: Flow,
    /// Call-ID.
    pub call_id: String,
    /// Request-URI.
    pub request_uri: String,
    /// The URI in From.
    pub from_uri: String,
    /// The URI in To.
    pub to_uri: String,
    /// From's display name; may be empty.
    pub from_display: String,
    /// All header fields, unfolded, at most 64 and 8 KiB.
    pub headers: Vec<(String, String)>,
    /// The SDP offer; none where we are to make it in the 200.
    pub offer: Option<String>,
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandError {
    /// No such leg, or no more.
    UnknownLeg,
    /// The leg's state does not allow it; the sentence says what would.
    WrongState(&'static str),
    /// An argument cannot go on the wire; the sentence says which and why.
    BadRequest(String),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownLeg => f.write_str("this leg does not exist or has ended"),
            Self::WrongState(sentence) => f.write_str(sentence),
            Self::BadRequest(sentence) => f.write_str(sentence),
        }
    }
}

impl std::error::Error for CommandError {}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        let code = match &error {
            CommandError::UnknownLeg => FailureCode::UnknownLeg,
            CommandError::WrongState(_) => FailureCode::WrongState,
            CommandError::BadRequest(_) => FailureCode::BadRequest,
        };
        Self::new(code, error.to_string())
    }
}
