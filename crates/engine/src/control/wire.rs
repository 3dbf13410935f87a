//! The words of the control protocol: `src/offhook/node/engine/ops.py` and `reports.py` in Rust. The meaning of each is told there;
//! `vectors/control` proves that both sides have the same tags and fields. Words that others use too are in `offhook_words`.

use offhook_words::{
    DigitMethod, EndCause, EndedBy, Failure, Interrupt, LegEndCause, MediaStats, PauseBehavior, Side, Source, Transport,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Version of the protocol, in `Hello` and `Welcome`.
pub const CONTROL_VERSION: u32 = 1;

/// The longest frame, checked before anything is allocated.
pub const MAX_FRAME_BYTES: usize = 1 << 20;

/// One SIP header field, unfolded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// As on the wire.
    pub name: String,
    /// Without CR or LF.
    pub value: String,
}

/// First frame of a controller.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of ops.py")]
pub struct Hello {
    pub version: u32,
    pub epoch: u64,
    pub secret: ByteBuf,
    #[serde(default)]
    pub last_seq: u64,
    #[serde(default)]
    pub traces: bool,
}

impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hello")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// Place a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of ops.py")]
pub struct LegDial {
    pub id: u64,
    pub leg: String,
    pub to_uri: String,
    pub from_uri: String,
    pub destination: String,
    #[serde(default)]
    pub transport: Transport,
    #[serde(default)]
    pub from_display: String,
    #[serde(default)]
    pub headers: Vec<Header>,
    #[serde(default)]
    pub codecs: Vec<String>,
    #[serde(default = "ring_timeout")]
    pub ring_timeout_ms: u64,
    #[serde(default)]
    pub label: String,
    #[serde(default)]
    pub response_timeout_ms: u64,
}

/// Play sources one after another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of ops.py")]
pub struct Play {
    pub id: u64,
    pub leg: String,
    pub sources: Vec<Source>,
    #[serde(default)]
    pub side: Side,
    #[serde(default)]
    pub volume_db: f32,
    #[serde(default = "once")]
    pub loops: u32,
    #[serde(default)]
    pub more: bool,
    #[serde(default)]
    pub interrupt: Interrupt,
}

/// Record to a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of ops.py")]
pub struct Record {
    pub id: u64,
    pub leg: String,
    pub recording: String,
    #[serde(default = "speak")]
    pub side: Side,
    #[serde(default)]
    pub stereo: bool,
    #[serde(default)]
    pub beep: bool,
    #[serde(default)]
    pub initial_timeout_ms: u32,
    #[serde(default)]
    pub end_silence_timeout_ms: u32,
    #[serde(default)]
    pub max_length_ms: u32,
    #[serde(default)]
    pub terminators: String,
    #[serde(default = "sensitivity")]
    pub sensitivity: f32,
}

/// What the node asks. Every variant but those without `id` is answered by one [`ReportBody::Reply`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are those of ops.py")]
pub enum Operation {
    Hello(Hello),
    Ack {
        seq: u64,
    },
    Ping {
        id: u64,
    },
    LegDial(LegDial),
    LegRing {
        id: u64,
        leg: String,
        #[serde(default)]
        early_media: bool,
    },
    LegAnswer {
        id: u64,
        leg: String,
        #[serde(default)]
        codecs: Vec<String>,
    },
    LegHangup {
        id: u64,
        leg: String,
        #[serde(default)]
        status: u16,
        #[serde(default)]
        reason: String,
    },
    LegLabel {
        leg: String,
        label: String,
    },
    Play(Play),
    Append {
        id: u64,
        target: u64,
        sources: Vec<Source>,
        #[serde(default)]
        more: bool,
    },
    Record(Record),
    SendDigits {
        id: u64,
        leg: String,
        digits: String,
        #[serde(default = "digit_span")]
        duration_ms: u32,
        #[serde(default = "digit_span")]
        gap_ms: u32,
    },
    Echo {
        id: u64,
        leg: String,
        timeout_ms: u32,
    },
    Listen {
        id: u64,
        leg: String,
        #[serde(default = "speak")]
        side: Side,
        #[serde(default = "block")]
        block_ms: u32,
        #[serde(default = "credit")]
        credit_ms: u32,
    },
    Credit {
        target: u64,
        ms: u32,
    },
    Pcm {
        stream: u64,
        samples: ByteBuf,
        #[serde(default)]
        last: bool,
    },
    Pause {
        id: u64,
        target: u64,
        #[serde(default)]
        behavior: PauseBehavior,
    },
    Resume {
        id: u64,
        target: u64,
    },
    Volume {
        id: u64,
        target: u64,
        volume_db: f32,
    },
    Stop {
        id: u64,
        target: u64,
    },
    PromptDone {
        id: u64,
        prompt: String,
        size_bytes: i64,
    },
}

/// Who placed the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum Direction {
    Inbound,
    Outbound,
}

/// How far a leg is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum LegState {
    Trying,
    Ringing,
    Answered,
    Ending,
}

/// What kind of operation runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum OperationKind {
    Play,
    Record,
    SendDigits,
    Echo,
    Listen,
}

/// One running operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of ops.py")]
pub struct OperationSnapshot {
    pub id: u64,
    pub kind: OperationKind,
    #[serde(default)]
    pub prompts: Vec<String>,
}

/// One live leg.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of ops.py")]
pub struct LegSnapshot {
    pub leg: String,
    pub direction: Direction,
    pub state: LegState,
    pub from_uri: String,
    pub to_uri: String,
    #[serde(default)]
    pub label: String,
    #[serde(default)]
    pub started_us: u64,
    #[serde(default)]
    pub answered_us: u64,
    #[serde(default)]
    pub operations: Vec<OperationSnapshot>,
    #[serde(default)]
    pub codec: String,
    #[serde(default)]
    pub age_ms: u64,
    #[serde(default)]
    pub answered_ms: Option<u64>,
    #[serde(default)]
    pub held_ms: Option<u64>,
}

/// An INVITE that may be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of ops.py")]
pub struct LegIncoming {
    pub leg: String,
    pub transport: Transport,
    pub source: String,
    pub sip_call_id: String,
    pub request_uri: String,
    pub from_uri: String,
    pub to_uri: String,
    #[serde(default)]
    pub from_display: String,
    #[serde(default)]
    pub headers: Vec<Header>,
    #[serde(default)]
    pub codecs: Vec<String>,
}

/// How digits travel on a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum DigitTransport {
    Rfc4733,
    Inband,
}

/// Statistics of one leg's media, with its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LegStats {
    /// Its name.
    #[serde(default)]
    pub leg: String,
    /// All that is counted.
    #[serde(flatten)]
    pub media: MediaStats,
}

/// A leg is gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of ops.py")]
pub struct LegEnded {
    pub leg: String,
    pub by: EndedBy,
    pub cause: LegEndCause,
    #[serde(default)]
    pub status: u16,
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub stats: Option<LegStats>,
    #[serde(default)]
    pub label: String,
}

/// An operation is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of ops.py")]
pub struct OperationEnded {
    pub op: u64,
    pub leg: String,
    pub cause: EndCause,
    #[serde(default)]
    pub detail: String,
    #[serde(default)]
    pub digit: String,
    #[serde(default)]
    pub duration_ms: u64,
    #[serde(default)]
    pub size_bytes: u64,
    #[serde(default)]
    pub started_us: u64,
    #[serde(default)]
    pub first_frame_us: u64,
}

/// What the engine tells, without its number and time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are those of ops.py")]
pub enum ReportBody {
    Welcome {
        version: u32,
        boot: String,
        sip_udp: String,
        sip_tcp: String,
        #[serde(default)]
        legs: Vec<LegSnapshot>,
        #[serde(default)]
        more: bool,
    },
    Reply {
        op: u64,
        #[serde(default)]
        error: Option<Failure>,
    },
    LegIncoming(Box<LegIncoming>),
    LegProgress {
        leg: String,
        status: u16,
        #[serde(default)]
        reason: String,
        #[serde(default)]
        early_media: bool,
    },
    LegAnswered {
        leg: String,
        codec: String,
        digits: DigitTransport,
        #[serde(default)]
        remote_media: String,
    },
    LegChanged {
        leg: String,
        hold: bool,
        #[serde(default)]
        remote_media: String,
        #[serde(default)]
        codec: String,
    },
    LegEnded(Box<LegEnded>),
    Digit {
        leg: String,
        digit: String,
        method: DigitMethod,
        #[serde(default)]
        duration_ms: u32,
    },
    OpStarted {
        op: u64,
        leg: String,
        #[serde(default)]
        rtp_timestamp: u32,
    },
    OpEnded(OperationEnded),
    PcmCredit {
        stream: u64,
        ms: u32,
    },
    Audio {
        op: u64,
        leg: String,
        offset_ms: u32,
        samples: ByteBuf,
    },
    Stats {
        legs: Vec<LegStats>,
        #[serde(default)]
        thread: u32,
        #[serde(default)]
        ticks_late: u64,
        #[serde(default)]
        ticks_skipped: u64,
        #[serde(default)]
        panics: u64,
    },
    Sip {
        leg: String,
        sent: bool,
        summary: String,
        peer: String,
    },
}

impl ReportBody {
    /// Whether it is numbered and kept until the node acknowledged it.
    pub fn is_kept(&self) -> bool {
        match self {
            Self::LegIncoming(_)
            | Self::LegProgress { .. }
            | Self::LegAnswered { .. }
            | Self::LegChanged { .. }
            | Self::LegEnded(_)
            | Self::Digit { .. }
            | Self::OpStarted { .. }
            | Self::OpEnded(_) => true,
            Self::Welcome { .. }
            | Self::Reply { .. }
            | Self::PcmCredit { .. }
            | Self::Audio { .. }
            | Self::Stats { .. }
            | Self::Sip { .. } => false,
        }
    }

    /// The leg of a report that its peer can cause as often as it likes.
    pub fn chatter(&self) -> Option<&str> {
        match self {
            Self::LegProgress { leg, .. } | Self::LegChanged { leg, .. } | Self::Digit { leg, .. } => Some(leg),
            _ => None,
        }
    }

    /// Whether it may be left out when the node does not read.
    pub fn is_droppable(&self) -> bool {
        matches!(self, Self::Audio { .. } | Self::Stats { .. } | Self::Sip { .. })
    }
}

/// What the engine tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What it says.
    #[serde(flatten)]
    pub body: ReportBody,
    /// Greater than 0: kept until acked.
    #[serde(default)]
    pub seq: u64,
    /// Microseconds of the Unix epoch.
    #[serde(default)]
    pub at_us: u64,
}

fn once() -> u32 {
    1
}

fn ring_timeout() -> u64 {
    30_000
}

fn speak() -> Side {
    Side::Said
}

fn sensitivity() -> f32 {
    44.0
}

fn digit_span() -> u32 {
    100
}

fn block() -> u32 {
    100
}

fn credit() -> u32 {
    500
}
