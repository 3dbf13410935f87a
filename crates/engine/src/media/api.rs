//! The words between core and the media threads: commands down, events up. They mirror the control protocol.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use offhook_words::{DigitMethod, EndCause, Formats, Interrupt, MediaStats, OperationId, PauseBehavior, Side, Source};

use super::clock::TickCounts;

/// A leg, as core numbers it; unique among the live legs. Names and UUIDs stay in core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegKey(pub u32);

/// How media is to run. Every limit has a finite default.
#[derive(Debug, Clone)]
pub struct MediaConfig {
    /// Media threads; 0 chooses by the cores of the machine (1 up to two cores).
    pub threads: usize,
    /// Directory of the audio to play, opened once.
    pub prompts: PathBuf,
    /// Directory of the recordings, opened once.
    pub recordings: PathBuf,
    /// UDP ports; RTP takes the even ones, RTCP the odd one above.
    pub ports: RangeInclusive<u16>,
    /// How long a port stays unused after its leg closed.
    pub quarantine: Duration,
    /// Without a packet for this long, [`MediaEvent::MediaTimeout`] is reported (once per silence).
    pub media_timeout: Duration,
    /// How often the statistics of all legs are reported.
    pub stats_interval: Duration,
    /// Legs that may exist at once; beyond, `open` is refused.
    pub max_legs: usize,
}

impl MediaConfig {
    /// The defaults, with the two directories.
    pub fn new(prompts: PathBuf, recordings: PathBuf) -> Self {
        Self {
            threads: 0,
            prompts,
            recordings,
            ports: 16_384..=32_767,
            quarantine: Duration::from_secs(30),
            media_timeout: Duration::from_secs(60),
            stats_interval: Duration::from_secs(5),
            max_legs: 4096,
        }
    }
}

/// What the offer/answer exchange settled for one leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamParameters {
    /// Where RTP goes to, and the only address it is accepted from.
    pub remote_rtp: SocketAddr,
    /// Where RTCP goes to: port + 1 unless the SDP said otherwise.
    pub remote_rtcp: SocketAddr,
    /// By which numbers audio and keys travel. Both G.711 laws are always understood.
    pub formats: Formats,
    /// The peer wants to hear us (not on hold). False: no RTP is sent, RTCP goes on.
    pub send: bool,
    /// We want to hear the peer. False: what comes is counted and not heard.
    pub receive: bool,
}

/// An operation, or a command to one. Mirrors the operations of the control protocol (see `ops.py`).
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of ops.py, where they are described")]
pub enum MediaCommand {
    Play {
        id: OperationId,
        leg: LegKey,
        sources: Vec<Source>,
        side: Side,
        volume_db: f32,
        loops: u32,
        more: bool,
        interrupt: Interrupt,
    },
    Append {
        target: OperationId,
        sources: Vec<Source>,
        more: bool,
    },
    Record {
        id: OperationId,
        leg: LegKey,
        recording: String,
        side: Side,
        stereo: bool,
        beep: bool,
        initial_timeout_ms: u32,
        end_silence_timeout_ms: u32,
        max_length_ms: u32,
        terminators: String,
        sensitivity: f32,
    },
    SendDigits {
        id: OperationId,
        leg: LegKey,
        digits: String,
        duration_ms: u32,
        gap_ms: u32,
    },
    Echo {
        id: OperationId,
        leg: LegKey,
        timeout_ms: u32,
    },
    Listen {
        id: OperationId,
        leg: LegKey,
        side: Side,
        block_ms: u32,
        credit_ms: u32,
    },
    Credit {
        target: OperationId,
        ms: u32,
    },
    Pcm {
        stream: u64,
        samples: Vec<u8>,
        last: bool,
    },
    Pause {
        target: OperationId,
        behavior: PauseBehavior,
    },
    Resume {
        target: OperationId,
    },
    Volume {
        target: OperationId,
        volume_db: f32,
    },
    Stop {
        target: OperationId,
    },
    PromptDone {
        prompt: String,
        size_bytes: i64,
    },
    /// A digit that came in a SIP INFO: treated as any other, and reported by [`MediaEvent::Digit`].
    InfoDigit {
        leg: LegKey,
        digit: char,
        duration_ms: u32,
    },
}

/// What media tells core. Those of one leg come in order; times are microseconds of the Unix epoch.
#[derive(Debug, Clone, PartialEq)]
pub enum MediaEvent {
    /// A key was pressed; once, when recognised.
    Digit {
        /// Where.
        leg: LegKey,
        /// `0-9 * # A-D`.
        digit: char,
        /// How it came.
        method: DigitMethod,
        /// How long it lasted up to its recognition (INFO: as it said).
        duration_ms: u32,
    },
    /// The first frame of a play left, or the first of a recording was taken.
    Started {
        /// Where.
        leg: LegKey,
        /// Which.
        op: OperationId,
        /// RTP timestamp (of what we send) of that frame.
        rtp_timestamp: u32,
        /// When.
        at_us: u64,
    },
    /// Exactly once per accepted Play, Record, `SendDigits`, Echo and Listen.
    Ended {
        /// Where.
        leg: LegKey,
        /// Which.
        op: OperationId,
        /// Why.
        cause: EndCause,
        /// More about an `error`, or about a gap in a recording.
        detail: Option<Arc<str>>,
        /// The digit that interrupted or terminated.
        digit: Option<char>,
        /// Record: of the file. Play: of what was sent.
        duration_ms: u64,
        /// Record: of the file.
        size_bytes: u64,
        /// When the operation was accepted.
        started_us: u64,
        /// When its first frame was; 0: never.
        first_frame_us: u64,
    },
    /// The node may push `ms` more of a stream.
    PcmCredit {
        /// Which stream.
        stream: u64,
        /// How much more.
        ms: u32,
    },
    /// One block of a Listen: int16, little endian, mono, 8 kHz.
    Audio {
        /// Where.
        leg: LegKey,
        /// Which Listen.
        op: OperationId,
        /// From the start of the Listen; gaps show drops.
        offset_ms: u32,
        /// The samples.
        samples: Vec<u8>,
    },
    /// Statistics of all legs of one media thread.
    Stats {
        /// Each leg with its counters.
        legs: Vec<(LegKey, MediaStats)>,
        /// Which thread: they are counted from 0.
        thread: usize,
        /// How that thread kept time.
        ticks: TickCounts,
    },
    /// So many panics were caught in decoders and the writer; each ended one operation with an error.
    Faults {
        /// Since the last such event.
        count: u64,
    },
    /// No packet came for [`MediaConfig::media_timeout`]. The leg goes on; core decides.
    MediaTimeout {
        /// Where.
        leg: LegKey,
    },
    /// The leg is gone; all its operations ended before.
    Closed {
        /// Which.
        leg: LegKey,
        /// Its last statistics.
        stats: MediaStats,
    },
}
