//! Answers: what of a request goes back into them, and where they go (RFC 3261, sections 8.2.6 and 18.2).

use std::borrow::Cow;
use std::net::SocketAddr;

use offhook_words::Transport;
use sipx_sip::Via;

use super::Request;
use super::grammar::{blank, pieces};
use super::mend::hop;
use super::text::{Text, head_lines, warning};
use super::uri::host_ip;
use crate::api::Flow;

/// Start a response: Via (the topmost told where the request came from, RFC 3581), From, To, Call-ID and `CSeq`.
pub(crate) fn reply(request: &Request, flow: Flow, status: u16, phrase: &str, to_tag: Option<&str>) -> Text {
    let mut text = Text::response(status, phrase);
    for (index, value) in request.values("Via").into_iter().enumerate() {
        let value = if index == 0 {
            with_source(&value, flow.peer)
        } else {
            value
        };
        text = text.header("Via", value);
    }
    for name in ["From", "To", "Call-ID", "CSeq"] {
        for mut value in request.values(name) {
            if name == "To"
                && let Some(tag) = to_tag
            {
                value = match request.to() {
                    Some(to) if to.tag.is_empty() => [&value, b";tag=".as_slice(), tag.as_bytes()].concat(),
                    Some(_) => value,
                    None => with_tag(&value, tag),
                };
            }
            text = text.header(name, value);
        }
    }
    text
}

/// A refusal for bytes that do not parse, made from what of them can be read, and where it goes. None for what must not be
/// answered, and for what names no Via: nobody would know it for an answer.
pub(crate) fn salvage_refusal(bytes: &[u8], sentence: &str, flow: Flow, to_tag: &str) -> Option<(Flow, Vec<u8>)> {
    let mut head = head_lines(bytes);
    let words = |line: Cow<'_, [u8]>| -> Vec<Vec<u8>> {
        let words = line.split(|byte| blank(*byte)).filter(|word| !word.is_empty());
        words.map(<[u8]>::to_vec).collect()
    };
    let start = words(head.next()?);
    let (method, version) = (start.first()?, start.last()?);
    if method.starts_with(b"SIP/") || method == b"ACK" || !is_sip(version) {
        return None;
    }
    let mut text = Text::response(400, sentence);
    let mut seen = [false; 5];
    let wanted = [
        ("via", "v", "Via"),
        ("from", "f", "From"),
        ("to", "t", "To"),
        ("call-id", "i", "Call-ID"),
        ("cseq", "cseq", "CSeq"),
    ];
    let mut to = None;
    for line in head {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (field, value) = line.split_at(colon);
        let field = String::from_utf8_lossy(field.trim_ascii()).to_ascii_lowercase();
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        for ((long, short, canonical), seen) in wanted.iter().zip(seen.iter_mut()) {
            if field != *long && field != *short {
                continue;
            }
            let is_first = !std::mem::replace(seen, true);
            text = match *canonical {
                "Via" if is_first => {
                    to = is_via(value).then(|| answer_address(topmost(value).as_ref(), flow.transport, flow.peer));
                    text.header("Via", with_source(value, flow.peer))
                }
                "Via" => text.header("Via", value),
                "To" if is_first => text.header("To", with_tag(value, to_tag)),
                name if is_first => text.header(name, value),
                _ => text,
            };
        }
    }
    let flow = Flow { peer: to?, ..flow };
    Some((flow, text.header("Warning", warning("offhook", sentence)).finish()))
}

/// Whether a word is the version of some SIP, in any case (RFC 3261, section 7.1).
pub(super) fn is_sip(version: &[u8]) -> bool {
    version.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/"))
}

/// Whether anything stands in a Via.
pub(super) fn is_via(field: &[u8]) -> bool {
    !field.iter().all(|byte| blank(*byte) || *byte == b',')
}

/// Where a response goes: the source for TCP and for `rport` (RFC 3581), else the port of sent-by at the source's
/// address (RFC 3261, section 18.2.2). `maddr` is ignored: a peer does not choose who gets our packets.
pub(super) fn answer_address(via: Option<&Via>, transport: Transport, source: SocketAddr) -> SocketAddr {
    match via {
        Some(via) if transport == Transport::Udp && via.rport().is_none() => {
            SocketAddr::new(source.ip(), via.port.unwrap_or(5060))
        }
        _ => source,
    }
}

/// The first element of a Via field, where it can be read.
fn topmost(field: &[u8]) -> Option<Via> {
    let first = pieces(field, b',').into_iter().next()?;
    Via::parse_one(&hop(field.get(first)?)).ok()
}

/// A Via field whose first element says where the request came from. That is the server's word (RFC 3261, section 18.2.1;
/// RFC 3581, section 4): what the sender wrote there itself goes.
fn with_source(field: &[u8], source: SocketAddr) -> Vec<u8> {
    let end = pieces(field, b',').first().map_or(field.len(), |first| first.end);
    let (first, rest) = field.split_at(end);
    let mut told = Vec::with_capacity(field.len() + 48);
    let mut has_rport = false;
    for (index, span) in pieces(first, b';').into_iter().enumerate() {
        let piece = first.get(span).unwrap_or_default();
        let name = parameter(piece).0;
        if index > 0 {
            if name.trim_ascii().eq_ignore_ascii_case(b"received") {
                continue;
            }
            if name.trim_ascii().eq_ignore_ascii_case(b"rport") {
                if !std::mem::replace(&mut has_rport, true) {
                    told.push(b';');
                    told.extend_from_slice(name.trim_ascii_end());
                    told.extend_from_slice(format!("={}", source.port()).as_bytes());
                }
                continue;
            }
            told.push(b';');
        }
        told.extend_from_slice(piece);
    }
    let ip = source.ip();
    if has_rport || topmost(field).and_then(|via| host_ip(&via.host)) != Some(ip) {
        told.extend_from_slice(format!(";received={ip}").as_bytes());
    }
    told.extend_from_slice(rest);
    told
}

/// A To with a tag of ours where it has none, be it that it has an empty one. One that has a tag, or two, gets no other: nobody
/// could tell which is meant (RFC 3261, section 8.2.6.2).
fn with_tag(to: &[u8], tag: &str) -> Vec<u8> {
    let ours = format!(";tag={tag}");
    let mut told = Vec::with_capacity(to.len() + ours.len());
    let mut is_told = false;
    for (index, span) in pieces(to, b';').into_iter().enumerate() {
        let piece = to.get(span).unwrap_or_default();
        let (name, value) = parameter(piece);
        if index > 0 && name.trim_ascii().eq_ignore_ascii_case(b"tag") {
            if !matches!(value.trim_ascii(), b"" | b"\"\"") {
                return to.to_vec();
            }
            if !std::mem::replace(&mut is_told, true) {
                told.extend_from_slice(ours.as_bytes());
            }
            continue;
        }
        if index > 0 {
            told.push(b';');
        }
        told.extend_from_slice(piece);
    }
    if !is_told {
        told.extend_from_slice(ours.as_bytes());
    }
    told
}

/// Name and value of a parameter, as they stand.
fn parameter(piece: &[u8]) -> (&[u8], &[u8]) {
    let at = piece.iter().position(|byte| *byte == b'=').unwrap_or(piece.len());
    let (name, value) = piece.split_at(at);
    (name, value.get(1..).unwrap_or_default())
}
