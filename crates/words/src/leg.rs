//! What is said of a leg.

#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

/// What carries SIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize), serde(rename_all = "snake_case"))]
pub enum Transport {
    /// Datagrams; messages are retransmitted until answered.
    #[default]
    Udp,
    /// One byte stream per connection.
    Tcp,
}

impl Transport {
    /// The word in a Via header field, upper case.
    pub fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }

    /// The word in a URI parameter and on the control socket, lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// How one digit came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize), serde(rename_all = "snake_case"))]
pub enum DigitMethod {
    /// telephone-event (RFC 4733).
    Rfc4733,
    /// SIP INFO.
    Info,
    /// Tones in the audio.
    Inband,
}

/// Who ended a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize), serde(rename_all = "snake_case"))]
pub enum EndedBy {
    /// A command of ours.
    Local,
    /// The peer.
    Remote,
    /// Nobody: a timer or the network.
    #[cfg_attr(feature = "serde", serde(rename = "none"))]
    Nobody,
}

/// How a leg ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize), serde(rename_all = "snake_case"))]
pub enum LegEndCause {
    /// BYE.
    Bye,
    /// CANCEL before the answer.
    Cancel,
    /// A final response >= 300.
    Rejected,
    /// Ring time-out, or no response at all within 32 s.
    Timeout,
    /// No ACK within 32 s (restsend/rustpbx#280); a BYE was sent.
    AckTimeout,
    /// No packet of the peer's media for too long. SIP never says it.
    MediaTimeout,
    /// The transport could not deliver.
    Unreachable,
    /// Another fork answered. SIP never says it.
    Fork,
    /// The peer broke the protocol so that the call cannot go on.
    Error,
}

/// Statistics of one leg's media since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize), serde(default))]
pub struct MediaStats {
    /// RTP that the kernel took.
    pub packets_sent: u64,
    /// RTP of the peer.
    pub packets_received: u64,
    /// RTP of the peer that never came, by its numbers.
    pub packets_lost: u64,
    /// RTP that came after its time.
    pub packets_late: u64,
    /// What could not be sent, or was too much or not understood.
    pub packets_dropped: u64,
    /// Packets of somebody else.
    pub packets_foreign: u64,
    /// Frames that were made up.
    pub frames_concealed: u64,
    /// Interarrival jitter (RFC 3550 section 6.4.1).
    pub jitter_ms: f32,
    /// By the peer's reports; 0: unknown.
    pub round_trip_ms: f32,
    /// The delay that the jitter buffer aims at.
    pub playout_delay_ms: u32,
}
