//! Reading a session description, tolerantly: what is not understood is skipped.

use std::net::{IpAddr, SocketAddr};

use offhook_words::Codec;

use crate::memory::{Format, Memory};
use crate::{Direction, Refusal};

/// A description never has more streams than this; a longer one is refused.
const MAX_MEDIA: usize = 16;
/// Formats of one stream that are looked at and copied.
const MAX_FORMATS: usize = 64;

/// What a whole session description says that matters here.
#[derive(Debug, Default)]
pub(crate) struct Description {
    pub(crate) timing: Option<String>,
    pub(crate) connection: Option<Connection>,
    pub(crate) direction: Option<Direction>,
    pub(crate) media: Vec<Media>,
}

/// A `c=` line. What cannot be read matters only where its stream is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    Address(IpAddr),
    Name,
    Unreadable,
}

/// One `m=` line and what belongs to it.
#[derive(Debug)]
pub(crate) struct Media {
    pub(crate) kind: String,
    /// `None`: no number up to 65535.
    pub(crate) port: Option<u16>,
    pub(crate) protocol: String,
    pub(crate) formats: Vec<String>,
    pub(crate) connection: Option<Connection>,
    pub(crate) direction: Option<Direction>,
    pub(crate) rtpmaps: Vec<(u8, String)>,
    pub(crate) ptime_ms: Option<u32>,
    pub(crate) maxptime_ms: Option<u32>,
    pub(crate) rtcp: Option<(u16, Option<IpAddr>)>,
}

impl Description {
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        // Some send the NUL that ends their string too.
        let text = text.trim_end_matches('\0');
        let mut lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
        if lines.next().is_none_or(|line| line != "v=0") {
            return Err(malformed("the first line has to be v=0"));
        }
        let mut description = Self::default();
        for line in lines {
            let Some((kind, value)) = line.split_once('=') else {
                return Err(malformed("every line has to have the form <letter>=<value>"));
            };
            if kind == "m" {
                if description.media.len() == MAX_MEDIA {
                    return Err(malformed("there are more than 16 media lines"));
                }
                description.media.push(Media::parse(value)?);
            } else if let Some(media) = description.media.last_mut() {
                media.line(kind, value);
            } else {
                description.line(kind, value);
            }
        }
        Ok(description)
    }

    fn line(&mut self, kind: &str, value: &str) {
        match kind {
            "c" => self.connection = Some(Connection::parse(value)),
            "t" if self.timing.is_none() => self.timing = Some(value.to_owned()),
            "a" => self.direction = direction(value.trim()).or(self.direction),
            _ => {}
        }
    }
}

impl Connection {
    fn parse(value: &str) -> Self {
        let mut words = value.split_ascii_whitespace();
        let (Some(network), Some(family), Some(address)) = (words.next(), words.next(), words.next()) else {
            return Self::Unreadable;
        };
        let is_ip = ["IP4", "IP6"].iter().any(|known| known.eq_ignore_ascii_case(family));
        if !network.eq_ignore_ascii_case("IN") || !is_ip {
            return Self::Unreadable;
        }
        let address = address.split('/').next().unwrap_or(address);
        address.parse().map_or(Self::Name, Self::Address)
    }
}

impl Media {
    fn parse(value: &str) -> Result<Self, Refusal> {
        let mut words = value.split_ascii_whitespace();
        let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next()) else {
            return Err(malformed(
                "an m= line has to have the form m=audio <port> RTP/AVP <formats>",
            ));
        };
        let port = port.split('/').next().unwrap_or(port);
        Ok(Self {
            kind: kind.to_owned(),
            port: port.parse().ok(),
            protocol: protocol.to_owned(),
            formats: words.take(MAX_FORMATS).map(str::to_owned).collect(),
            connection: None,
            direction: None,
            rtpmaps: Vec::new(),
            ptime_ms: None,
            maxptime_ms: None,
            rtcp: None,
        })
    }

    fn line(&mut self, kind: &str, value: &str) {
        match kind {
            "c" => self.connection = Some(Connection::parse(value)),
            "a" => self.attribute(value),
            _ => {}
        }
    }

    fn attribute(&mut self, value: &str) {
        let value = value.trim();
        if let Some(direction) = direction(value) {
            self.direction = Some(direction);
            return;
        }
        let Some((name, value)) = value.split_once(':') else {
            return;
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "rtpmap" => {
                if let Some((payload_type, encoding)) = value.split_once(char::is_whitespace)
                    && let Ok(payload_type) = payload_type.parse()
                    && self.rtpmaps.len() < MAX_FORMATS
                {
                    self.rtpmaps.push((payload_type, encoding.trim().to_ascii_lowercase()));
                }
            }
            "ptime" => self.ptime_ms = whole_ms(value),
            "maxptime" => self.maxptime_ms = whole_ms(value),
            "rtcp" => {
                let mut words = value.split_ascii_whitespace();
                if let Some(Ok(port)) = words.next().map(str::parse) {
                    self.rtcp = Some((port, words.nth(2).and_then(|address| address.parse().ok())));
                }
            }
            _ => {}
        }
    }

    /// Whether this build can carry the stream, by its kind and protocol.
    pub(crate) fn is_plain_audio(&self) -> bool {
        self.kind.eq_ignore_ascii_case("audio")
            && (self.protocol.eq_ignore_ascii_case("RTP/AVP") || self.protocol.eq_ignore_ascii_case("RTP/AVPF"))
    }

    /// The codecs of ours in the stream's order, each once with its payload type.
    pub(crate) fn codecs(&self, memory: &Memory) -> Vec<(u8, Codec)> {
        let mut found: Vec<(u8, Codec)> = Vec::new();
        for payload_type in self.payload_types() {
            if let Format::Codec(codec) = self.format(payload_type, memory)
                && found.iter().all(|(_, other)| *other != codec)
            {
                found.push((payload_type, codec));
            }
        }
        found
    }

    /// The payload type of telephone-event at 8000 Hz (RFC 4733).
    pub(crate) fn telephone_event(&self, memory: &Memory) -> Option<u8> {
        self.payload_types()
            .find(|payload_type| self.format(*payload_type, memory) == Format::TelephoneEvent)
    }

    pub(crate) fn payload_types(&self) -> impl Iterator<Item = u8> {
        self.formats
            .iter()
            .filter_map(|format| format.parse().ok())
            .filter(|payload_type: &u8| *payload_type < 128)
    }

    /// What a number stands for: by its map, else as it did before in this session (RFC 3264, section 8.3.2), else by
    /// RFC 3551.
    pub(crate) fn format(&self, payload_type: u8, memory: &Memory) -> Format {
        let of_static = Codec::ALL
            .into_iter()
            .find(|codec| codec.static_payload_type() == payload_type);
        let Some(encoding) = self.rtpmap(payload_type) else {
            let codec = of_static.map_or(Format::Other, Format::Codec);
            return memory.meaning(payload_type).unwrap_or(codec);
        };
        // One channel is what is meant without a number of them (RFC 4566, section 6).
        let encoding = encoding.strip_suffix("/1").unwrap_or(encoding);
        if encoding == "telephone-event/8000" {
            return Format::TelephoneEvent;
        }
        let codec = match encoding.strip_suffix("/8000") {
            Some(name) => Codec::parse(name),
            None => of_static.filter(|codec| codec.name().eq_ignore_ascii_case(encoding)),
        };
        codec.map_or(Format::Other, Format::Codec)
    }

    fn rtpmap(&self, payload_type: u8) -> Option<&str> {
        self.rtpmaps
            .iter()
            .find(|(other, _)| *other == payload_type)
            .map(|(_, encoding)| encoding.as_str())
    }

    /// Where the peer receives; `None` for the address that stands for no address.
    pub(crate) fn remotes(&self, session: &Description) -> Result<Option<(SocketAddr, SocketAddr)>, Refusal> {
        let Some(rtp_port) = self.port else {
            return Err(malformed("the port of an m= line has to be 0 to 65535"));
        };
        let address = match self.connection.or(session.connection) {
            Some(Connection::Address(address)) => address,
            // Who sends a name would choose whom we ask, and how long a call waits for it.
            Some(Connection::Name) => {
                return Err(unacceptable(
                    "send an IP address in the c= line, names are not resolved here",
                ));
            }
            Some(Connection::Unreadable) => {
                return Err(malformed("a c= line has to have the form c=IN IP4 <address>"));
            }
            None => return Err(malformed("a c= line is missing")),
        };
        if address.is_unspecified() {
            return Ok(None);
        }
        if address.is_multicast() {
            return Err(unacceptable("send a unicast address in the c= line"));
        }
        let (port, rtcp_address) = self.rtcp.unwrap_or((rtp_port.wrapping_add(1), None));
        let rtcp = SocketAddr::new(rtcp_address.filter(|other| *other == address).unwrap_or(address), port);
        Ok(Some((SocketAddr::new(address, rtp_port), rtcp)))
    }
}

fn whole_ms(value: &str) -> Option<u32> {
    value
        .split('.')
        .next()
        .and_then(|whole| whole.parse().ok())
        .filter(|ms| (1..=1_000).contains(ms))
}

fn direction(attribute: &str) -> Option<Direction> {
    match attribute.to_ascii_lowercase().as_str() {
        "sendrecv" => Some(Direction::SendReceive),
        "sendonly" => Some(Direction::SendOnly),
        "recvonly" => Some(Direction::ReceiveOnly),
        "inactive" => Some(Direction::Inactive),
        _ => None,
    }
}

pub(crate) fn malformed(what: &str) -> Refusal {
    Refusal {
        status: 400,
        reason: format!("The SDP cannot be read: {what}"),
    }
}

pub(crate) fn unacceptable(what: &str) -> Refusal {
    Refusal {
        status: 488,
        reason: format!("The SDP is not acceptable: {what}"),
    }
}
