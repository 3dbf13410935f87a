//! What the agent reads in a message.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use sipx_sip::headers::{Address, Contact, ContentType, From, RecordRoute, To};
use sipx_sip::{CSeq, Header, HeaderName, Headers, Host, Limits, Uri, Via};

use super::MAX_MESSAGE_BYTES;
use crate::api::Transport;

/// One message that frames and whose start line and header lines are well formed.
#[derive(Debug)]
pub(crate) enum Message {
    Request(Request),
    Response(Response),
}

/// A request; its header values may still be malformed, see [`check`](super::check).
#[derive(Debug, Clone)]
pub(crate) struct Request(pub(super) sipx_sip::Request);

/// A response.
#[derive(Debug, Clone)]
pub(crate) struct Response(pub(super) sipx_sip::Response);

/// From or To.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Party {
    pub(crate) display: String,
    pub(crate) uri: String,
    pub(crate) tag: String,
}

/// One element of a route set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) uri: String,
    pub(crate) is_loose: bool,
}

/// Parse a datagram, or one framed message; octets after the body are ignored (RFC 3261, section 18.3).
pub(crate) fn parse(bytes: &[u8]) -> Result<Message, String> {
    let limits = Limits {
        max_message_bytes: MAX_MESSAGE_BYTES,
        max_body_bytes: MAX_MESSAGE_BYTES,
        ..Limits::datagram()
    };
    match sipx_sip::parse_datagram(Bytes::copy_from_slice(bytes), &limits) {
        Ok(sipx_sip::Message::Request(request)) => Ok(Message::Request(Request(request))),
        Ok(sipx_sip::Message::Response(response)) => Ok(Message::Response(Response(response))),
        Err(error) => Err(error.to_string()),
    }
}

/// Where a `sip:` URI with a literal address points; `None` for names and other schemes.
pub(crate) fn parse_uri(text: &str) -> Result<UriFacts, String> {
    let uri = Uri::parse(Bytes::copy_from_slice(text.as_bytes())).map_err(|error| error.to_string())?;
    let scheme = String::from_utf8_lossy(uri.scheme().as_bytes()).to_ascii_lowercase();
    let ip = uri.host().and_then(host_ip);
    let transport = match uri.transport() {
        Some(name) if name.eq_ignore_ascii_case(b"tcp") => Transport::Tcp,
        _ => Transport::Udp,
    };
    Ok(UriFacts {
        scheme,
        address: ip.map(|ip| SocketAddr::new(ip, uri.port().unwrap_or(5060))),
        transport,
        has_headers: uri.has_headers(),
    })
}

/// What routing needs of a URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UriFacts {
    pub(crate) scheme: String,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) transport: Transport,
    pub(crate) has_headers: bool,
}

pub(super) fn host_ip(host: &Host) -> Option<IpAddr> {
    let bytes = host.to_bytes();
    let text = std::str::from_utf8(&bytes).ok()?;
    text.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn name(text: &str) -> HeaderName {
    HeaderName::parse(&Bytes::copy_from_slice(text.as_bytes()))
}

fn party(address: &Address) -> Party {
    Party {
        display: address.display_name.as_deref().map(lossy).unwrap_or_default(),
        uri: lossy(&address.uri.to_bytes()),
        tag: address.tag().map(lossy).unwrap_or_default(),
    }
}

fn from(headers: &Headers) -> Option<Party> {
    headers.typed::<From>()?.ok().map(|from| party(&from))
}

fn to(headers: &Headers) -> Option<Party> {
    headers.typed::<To>()?.ok().map(|to| party(&to))
}

fn cseq(headers: &Headers) -> Option<(u32, String)> {
    let cseq = headers.typed::<CSeq>()?.ok()?;
    Some((cseq.sequence, lossy(cseq.method.as_bytes())))
}

fn contact(headers: &Headers) -> Option<String> {
    headers
        .typed_all::<Contact>()
        .next()?
        .ok()
        .map(|contact| lossy(&contact.uri.to_bytes()))
}

fn record_routes(headers: &Headers) -> Vec<Route> {
    headers
        .typed_all::<RecordRoute>()
        .filter_map(Result::ok)
        .map(|route| Route {
            uri: lossy(&route.uri.to_bytes()),
            is_loose: route.uri.params().is_some_and(|params| params.contains("lr")),
        })
        .collect()
}

fn text_body(body: &Bytes) -> Option<String> {
    if body.is_empty() { None } else { Some(lossy(body)) }
}

macro_rules! reading {
    ($type:ident) => {
        impl $type {
            /// All values of a header field, unfolded, in order.
            pub(crate) fn values(&self, field: &str) -> Vec<Vec<u8>> {
                let field = name(field);
                self.0
                    .headers
                    .get_all(&field)
                    .map(|header| header.value().into_owned())
                    .collect()
            }

            /// The first value of a header field as text.
            pub(crate) fn value(&self, field: &str) -> Option<String> {
                self.0.headers.value(&name(field)).map(|value| lossy(&value))
            }

            pub(crate) fn to(&self) -> Option<Party> {
                to(&self.0.headers)
            }

            pub(crate) fn call_id(&self) -> String {
                self.value("Call-ID").unwrap_or_default()
            }

            pub(crate) fn contact(&self) -> Option<String> {
                contact(&self.0.headers)
            }

            pub(crate) fn record_routes(&self) -> Vec<Route> {
                record_routes(&self.0.headers)
            }

            pub(crate) fn body(&self) -> Option<String> {
                text_body(self.0.body())
            }

            /// Media type and subtype, lower case, of the body.
            pub(crate) fn content_type(&self) -> Option<String> {
                let content_type = self.0.headers.typed::<ContentType>()?.ok()?;
                ["application/sdp", "application/dtmf-relay", "application/dtmf"]
                    .into_iter()
                    .find(|known| {
                        known
                            .split_once('/')
                            .is_some_and(|(media_type, subtype)| content_type.is(media_type, subtype))
                    })
                    .map(str::to_owned)
                    .or_else(|| self.value("Content-Type"))
            }
        }
    };
}

reading!(Request);
reading!(Response);

impl Request {
    pub(crate) fn from(&self) -> Option<Party> {
        from(&self.0.headers)
    }

    pub(crate) fn cseq(&self) -> Option<(u32, String)> {
        cseq(&self.0.headers)
    }

    pub(crate) fn method(&self) -> &str {
        std::str::from_utf8(self.0.method.as_bytes()).unwrap_or("")
    }

    pub(crate) fn uri(&self) -> String {
        lossy(&self.0.uri.to_bytes())
    }

    pub(crate) fn uri_scheme(&self) -> String {
        lossy(self.0.uri.scheme().as_bytes()).to_ascii_lowercase()
    }

    /// Every header field, unfolded, at most 64 and 8 KiB.
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let mut budget = 8_192_usize;
        let mut kept = Vec::new();
        for header in self.0.headers.iter().take(64) {
            let (field, value) = (lossy(header.name().canonical()), lossy(&header.value()));
            let Some(rest) = budget.checked_sub(field.len() + value.len()) else {
                break;
            };
            budget = rest;
            kept.push((field, value));
        }
        kept
    }

    /// Where a response goes: the source for TCP and for `rport` (RFC 3581), else the port of sent-by at the source's
    /// address (RFC 3261, section 18.2.2). `maddr` is ignored: a peer does not choose who gets our packets.
    pub(crate) fn reply_address(&self, transport: Transport, source: SocketAddr) -> SocketAddr {
        let Some(Ok(via)) = self.0.headers.typed::<Via>() else {
            return source;
        };
        if transport == Transport::Tcp || via.rport().is_some() {
            return source;
        }
        SocketAddr::new(source.ip(), via.port.unwrap_or(5060))
    }

    /// Whether Accept allows an SDP answer (RFC 3261, section 20.1: without one it does).
    pub(crate) fn accepts_sdp(&self) -> bool {
        let values = self.values("Accept");
        values.is_empty()
            || values.iter().any(|value| {
                lossy(value).split(',').any(|range| {
                    let range = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
                    matches!(range.as_str(), "application/sdp" | "application/*" | "*/*")
                })
            })
    }

    pub(crate) fn supports_nothing_but(&self, field: &str, known: &[&str]) -> Result<(), Vec<String>> {
        let unknown: Vec<String> = self
            .values(field)
            .iter()
            .flat_map(|value| {
                lossy(value)
                    .split(',')
                    .map(|tag| tag.trim().to_owned())
                    .collect::<Vec<_>>()
            })
            .filter(|tag| !tag.is_empty() && !known.iter().any(|known| known.eq_ignore_ascii_case(tag)))
            .collect();
        if unknown.is_empty() { Ok(()) } else { Err(unknown) }
    }
}

impl Response {
    /// Whether every header that the agent reads can be read.
    pub(crate) fn is_valid(&self) -> bool {
        sipx_sip::validate_response(&self.0).is_empty()
    }

    pub(crate) fn status(&self) -> u16 {
        self.0.status.code()
    }

    pub(crate) fn reason(&self) -> String {
        lossy(&self.0.reason)
    }

    /// The first Warning or Reason text, where the peer says more than its status.
    pub(crate) fn explanation(&self) -> Option<String> {
        quoted(&self.value("Warning")?)
    }
}

/// What stands between the first pair of double quotes.
pub(crate) fn quoted(value: &str) -> Option<String> {
    let (_, rest) = value.split_once('"')?;
    let (text, _) = rest.split_once('"')?;
    if text.is_empty() { None } else { Some(text.to_owned()) }
}

/// Whether a header of an application may go on the wire.
pub(crate) fn is_header(field: &str, value: &str) -> bool {
    Header::build(name(field), value.as_bytes().to_vec()).is_ok()
}
