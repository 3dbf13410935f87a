//! Reading a session description, tolerantly: what is not understood is skipped.

use std::net::{IpAddr, SocketAddr};

use crate::{Codec, Direction, Refusal};

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

/// A `c=` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Connection {
    Address(IpAddr),
    Name(String),
}

/// One `m=` line and what belongs to it.
#[derive(Debug)]
pub(crate) struct Media {
    pub(crate) kind: String,
    pub(crate) port: u16,
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
                media.line(kind, value)?;
            } else {
                description.line(kind, value)?;
            }
        }
        Ok(description)
    }

    fn line(&mut self, kind: &str, value: &str) -> Result<(), Refusal> {
        match kind {
            "c" => self.connection = Some(Connection::parse(value)?),
            "t" if self.timing.is_none() => self.timing = Some(value.to_owned()),
            "a" => self.direction = direction(value).or(self.direction),
            _ => {}
        }
        Ok(())
    }
}

impl Connection {
    fn parse(value: &str) -> Result<Self, Refusal> {
        let mut words = value.split_ascii_whitespace();
        let (Some("IN"), Some("IP4" | "IP6"), Some(address)) = (words.next(), words.next(), words.next()) else {
            return Err(malformed("a c= line has to have the form c=IN IP4 <address>"));
        };
        let address = address.split('/').next().unwrap_or(address);
        Ok(address
            .parse()
            .map_or_else(|_| Self::Name(address.to_owned()), Self::Address))
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
        let port = port
            .parse()
            .map_err(|_| malformed("the port of an m= line has to be 0 to 65535"))?;
        Ok(Self {
            kind: kind.to_owned(),
            port,
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

    fn line(&mut self, kind: &str, value: &str) -> Result<(), Refusal> {
        match kind {
            "c" => self.connection = Some(Connection::parse(value)?),
            "a" => self.attribute(value),
            _ => {}
        }
        Ok(())
    }

    fn attribute(&mut self, value: &str) {
        if let Some(direction) = direction(value) {
            self.direction = Some(direction);
            return;
        }
        let Some((name, value)) = value.split_once(':') else {
            return;
        };
        let value = value.trim();
        match name {
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
    pub(crate) fn codecs(&self) -> Vec<(u8, Codec)> {
        let mut found: Vec<(u8, Codec)> = Vec::new();
        for payload_type in self.payload_types() {
            if let Some(codec) = self.codec(payload_type)
                && found.iter().all(|(_, other)| *other != codec)
            {
                found.push((payload_type, codec));
            }
        }
        found
    }

    /// The payload type of telephone-event at 8000 Hz (RFC 4733).
    pub(crate) fn telephone_event(&self) -> Option<u8> {
        self.payload_types().find(|payload_type| {
            self.rtpmap(*payload_type)
                .is_some_and(|encoding| encoding == "telephone-event/8000")
        })
    }

    fn payload_types(&self) -> impl Iterator<Item = u8> {
        self.formats
            .iter()
            .filter_map(|format| format.parse().ok())
            .filter(|payload_type: &u8| *payload_type < 128)
    }

    fn rtpmap(&self, payload_type: u8) -> Option<&str> {
        self.rtpmaps
            .iter()
            .find(|(other, _)| *other == payload_type)
            .map(|(_, encoding)| encoding.as_str())
    }

    fn codec(&self, payload_type: u8) -> Option<Codec> {
        match self.rtpmap(payload_type) {
            Some("pcmu/8000" | "pcmu/8000/1") => Some(Codec::Pcmu),
            Some("pcma/8000" | "pcma/8000/1") => Some(Codec::Pcma),
            Some(_) => None,
            None => [Codec::Pcmu, Codec::Pcma]
                .into_iter()
                .find(|codec| codec.static_payload_type() == payload_type),
        }
    }

    /// Where the peer receives; `None` for the address that stands for no address.
    pub(crate) fn remotes(&self, session: &Description) -> Result<Option<(SocketAddr, SocketAddr)>, Refusal> {
        let address = match self.connection.as_ref().or(session.connection.as_ref()) {
            Some(Connection::Address(address)) => *address,
            Some(Connection::Name(_)) => {
                return Err(unacceptable(
                    "send an IP address in the c= line, names are not resolved here",
                ));
            }
            None => return Err(malformed("a c= line is missing")),
        };
        if address.is_unspecified() {
            return Ok(None);
        }
        if address.is_multicast() {
            return Err(unacceptable("send a unicast address in the c= line"));
        }
        let (port, rtcp_address) = self.rtcp.unwrap_or((self.port.wrapping_add(1), None));
        let rtcp = SocketAddr::new(rtcp_address.filter(|other| *other == address).unwrap_or(address), port);
        Ok(Some((SocketAddr::new(address, self.port), rtcp)))
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
    match attribute {
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
