//! What the agent reads in a message.

use std::net::SocketAddr;

use bytes::Bytes;
use offhook_words::Transport;
use sipx_sip::{CSeq, Finding, Header, HeaderName, Headers, Limits, Via};

use super::MAX_MESSAGE_BYTES;
use super::address::Address;
use super::body::{self, Body, Entity, SDP, Unreadable, is_plain, plain};
use super::grammar::{closing_quote, position, split, unescaped, value_of, with_parameters};
use super::mend::mended;
use super::reply::{answer_address, is_via};
use super::{party, unread};

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

/// Parse a datagram, or one framed message; octets after the body are ignored (RFC 3261, section 18.3). An error says what to
/// change.
pub(crate) fn parse(bytes: &[u8]) -> Result<Message, String> {
    let limits = Limits {
        max_message_bytes: MAX_MESSAGE_BYTES,
        max_body_bytes: MAX_MESSAGE_BYTES,
        ..Limits::datagram()
    };
    // RFC 3261, section 7.5: lines before the start line are nothing.
    let mut bytes = bytes;
    while let Some(rest) = bytes.strip_prefix(b"\r\n") {
        bytes = rest;
    }
    match sipx_sip::parse_datagram(Bytes::from(mended(bytes).into_owned()), &limits) {
        Ok(sipx_sip::Message::Request(request)) => Ok(Message::Request(Request(request))),
        Ok(sipx_sip::Message::Response(response)) => Ok(Message::Response(Response(response))),
        Err(error) => Err(unread::change(&error)),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn name(text: &str) -> HeaderName {
    HeaderName::parse(&Bytes::copy_from_slice(text.as_bytes()))
}

/// From or To.
pub(super) fn party(headers: &Headers, field: &HeaderName) -> Option<Result<Party, &'static str>> {
    let value = headers.value(field)?;
    let address = match field {
        HeaderName::From => Address::parse_as(&value, party::caller),
        _ => Address::parse_as(&value, party::callee),
    };
    Some(address.and_then(|address| {
        Ok(Party {
            tag: address.tag()?,
            display: address.display,
            uri: address.uri,
        })
    }))
}

fn cseq(headers: &Headers) -> Option<(u32, String)> {
    let cseq = headers.typed::<CSeq>()?.ok()?;
    Some((cseq.sequence, lossy(cseq.method.as_bytes())))
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
                party(&self.0.headers, &HeaderName::To)?.ok()
            }

            pub(crate) fn call_id(&self) -> String {
                self.value("Call-ID").unwrap_or_default()
            }

            /// The URI of Contact, if there is any: an empty field is none. An error says what to change.
            pub(crate) fn contact(&self) -> Result<Option<String>, &'static str> {
                let mut fields = self.0.headers.get_all(&HeaderName::Contact).map(Header::value);
                match fields.find(|value| !value.trim_ascii().is_empty()) {
                    Some(value) => Ok(Address::parse_list(&value)?
                        .into_iter()
                        .next()
                        .map(|first| first.uri)),
                    None => Ok(None),
                }
            }

            /// The elements of Record-Route that can be read, in order, and what to change in the first that cannot.
            pub(crate) fn record_routes(&self) -> (Vec<Route>, Option<&'static str>) {
                let (mut routes, mut unreadable) = (Vec::new(), None);
                for header in self.0.headers.get_all(&HeaderName::RecordRoute) {
                    for address in Address::list(&header.value(), Address::parse_route) {
                        match address {
                            Ok(address) => routes.push(Route {
                                is_loose: address.facts.is_loose,
                                uri: address.uri,
                            }),
                            Err(change) => unreadable = unreadable.or(Some(change)),
                        }
                    }
                }
                (routes, unreadable)
            }

            /// The session description, where there is one that can be read.
            pub(crate) fn sdp(&self) -> Option<String> {
                self.entity(|entity| body::find_wanted(entity, &[SDP]))
                    .map(|body| body.text)
            }

            fn entity<T>(&self, read: impl FnOnce(Entity<'_>) -> T) -> T {
                let field = |name: HeaderName| self.0.headers.value(&name).unwrap_or_default();
                let encoding = field(HeaderName::ContentEncoding);
                read(Entity {
                    content_type: &field(HeaderName::ContentType),
                    disposition: &field(name("Content-Disposition")),
                    encoding: if is_plain(&encoding) { b"" } else { &encoding },
                    id: b"",
                    content: self.0.body(),
                })
            }
        }
    };
}

reading!(Request);
reading!(Response);

impl Request {
    /// The body, or the part of it, that has one of these types.
    pub(crate) fn body(&self, known: &[&'static str]) -> Result<Option<Body>, Unreadable> {
        self.entity(|entity| body::find(entity, known))
    }

    pub(crate) fn from(&self) -> Option<Party> {
        party(&self.0.headers, &HeaderName::From)?.ok()
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

    /// Cause and text of its Reason (RFC 3326).
    pub(crate) fn reason(&self) -> (u16, String) {
        reason(&self.values("Reason").join(&b','))
    }

    /// Where a response goes.
    pub(crate) fn reply_address(&self, transport: Transport, source: SocketAddr) -> SocketAddr {
        let via = self.0.headers.typed::<Via>().and_then(Result::ok);
        answer_address(via.as_ref(), transport, source)
    }

    /// Whether it names any Via: without one nobody would know an answer for one.
    pub(crate) fn has_via(&self) -> bool {
        self.values("Via").iter().any(|field| is_via(field))
    }

    /// Whether Accept allows an SDP answer (RFC 3261, section 20.1: without one it does, an empty one allows nothing).
    /// One that cannot be read is as good as none.
    pub(crate) fn accepts_sdp(&self) -> bool {
        let accept = self.values("Accept").join(&b',');
        let ranges: Vec<(String, bool)> = split(&accept, b',')
            .into_iter()
            .map(|span| with_parameters(accept.get(span).unwrap_or_default()))
            .map(|(range, parameters)| (plain(range), !is_zero(value_of(&parameters, "q"))))
            .filter(|(range, _)| range.contains('/'))
            .collect();
        let is_silent = ranges.is_empty() && (self.values("Accept").is_empty() || !accept.trim_ascii().is_empty());
        let allows = |range: &str| matches!(range, "application/sdp" | "application/*" | "*/*");
        is_silent || ranges.iter().any(|(range, is_wanted)| *is_wanted && allows(range))
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
    /// Whether it can be told what it answers. From is ours, and what is wrong with a To, or that there is none, is for those who
    /// make a dialog of it.
    pub(crate) fn is_valid(&self) -> bool {
        let is_missing = |finding: &Finding| matches!(finding, Finding::MissingRequiredHeader("From" | "To"));
        let findings = sipx_sip::validate_response(&self.0);
        findings
            .iter()
            .all(|finding| is_about_a_party(finding) || is_missing(finding))
    }

    /// What to change in a To that cannot be read.
    pub(crate) fn unreadable_to(&self) -> Option<&'static str> {
        party(&self.0.headers, &HeaderName::To).map_or(Some("it is missing; add it"), Result::err)
    }

    pub(crate) fn status(&self) -> u16 {
        self.0.status.code()
    }

    pub(crate) fn reason(&self) -> String {
        lossy(&self.0.reason)
    }

    /// The first Warning or Reason text, where the peer says more than its status.
    pub(crate) fn explanation(&self) -> Option<String> {
        quoted(self.value("Warning")?.as_bytes())
    }
}

/// A quality of 0, 0.0 and so on: not acceptable.
fn is_zero(quality: Option<&[u8]>) -> bool {
    quality.is_some_and(|quality| !quality.is_empty() && quality.iter().all(|byte| matches!(byte, b'0' | b'.')))
}

/// The first quoted string, without its quotes.
fn quoted(value: &[u8]) -> Option<String> {
    let open = position(value, b'"').or_else(|| value.iter().position(|byte| *byte == b'"'))?;
    let text = value.get(open + 1..closing_quote(value, open)?)?;
    if text.is_empty() {
        None
    } else {
        Some(lossy(&unescaped(text)))
    }
}

/// Those of SIP, else 0 and the first text.
fn reason(value: &[u8]) -> (u16, String) {
    let reasons: Vec<_> = split(value, b',')
        .into_iter()
        .map(|span| with_parameters(value.get(span).unwrap_or_default()))
        .collect();
    let text = |parameters| value_of(parameters, "text").map(lossy).unwrap_or_default();
    match reasons
        .iter()
        .find(|(protocol, _)| protocol.eq_ignore_ascii_case(b"SIP"))
    {
        Some((_, parameters)) => {
            let cause = value_of(parameters, "cause").and_then(|cause| lossy(cause).parse().ok());
            (cause.unwrap_or(0), text(parameters))
        }
        None => (
            0,
            reasons
                .first()
                .map(|(_, parameters)| text(parameters))
                .unwrap_or_default(),
        ),
    }
}

/// From and To are read here, in the words of the field; the library's finding is not looked at.
pub(super) fn is_about_a_party(finding: &Finding) -> bool {
    matches!(finding, Finding::MalformedRequiredHeader("From" | "To"))
}

/// Whether a header of an application may go on the wire.
pub(crate) fn is_header(field: &str, value: &str) -> bool {
    Header::build(name(field), value.as_bytes().to_vec()).is_ok()
}
