//! The codecs of this build, and by which numbers they travel.

use crate::Rate;

/// A codec that a leg can speak. Each has a byte for 1/8000 s, and counts time so (RFC 3551 section 4.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law, static payload type 0.
    Pcmu,
    /// G.711 A-law, static payload type 8.
    Pcma,
    /// G.722 at 64 kbit/s, static payload type 9.
    G722,
}

impl Codec {
    /// All of them, in our order of preference.
    pub const ALL: [Self; 3] = [Self::Pcmu, Self::Pcma, Self::G722];

    /// The encoding name, as in `a=rtpmap` and on the control socket.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
        }
    }

    /// The codec of an encoding name, any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// The rate of the audio that it carries.
    pub fn rate(self) -> Rate {
        match self {
            Self::Pcmu | Self::Pcma => Rate::Narrow,
            Self::G722 => Rate::Wide,
        }
    }

    /// The code of silence, or of nothing new.
    pub fn silence(self) -> u8 {
        match self {
            Self::Pcmu => 0xff,
            Self::Pcma => 0xd5,
            // The smallest step of both bands.
            Self::G722 => 0b1111_1101,
        }
    }

    /// The static payload type (RFC 3551 section 6).
    pub fn static_payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
        }
    }
}

/// How audio and keys travel on a leg: each side numbers what it receives (RFC 3264 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Formats {
    /// The codec in both directions.
    pub codec: Codec,
    /// Payload type of `codec` in what we send; as with telephone-event, the peer may send by it too.
    pub payload_type_tx: u8,
    /// Payload type of `codec` in what we receive.
    pub payload_type_rx: u8,
    /// telephone-event at 8000 Hz in what we send; none: digits go in-band. A peer that answers with a number of its own
    /// may send by that too: nothing else can be meant by it.
    pub telephone_event_tx: Option<u8>,
    /// telephone-event at 8000 Hz in what we receive; none: digits are looked for in-band.
    pub telephone_event_rx: Option<u8>,
}
