//! Writing messages.

use std::net::SocketAddr;

use sipx_sip::{HeaderName, Via};

use super::Request;
use super::grammar::split;
use super::uri::host_ip;
use crate::api::Flow;

/// A message being written; control characters in any value become spaces, so no value can start a line.
pub(crate) struct Text(Vec<u8>);

impl Text {
    pub(crate) fn request(method: &str, uri: &str) -> Self {
        Self(Vec::with_capacity(1_024)).line(format!("{method} {uri} SIP/2.0").as_bytes())
    }

    pub(crate) fn response(status: u16, phrase: &str) -> Self {
        Self(Vec::with_capacity(1_024)).line(format!("SIP/2.0 {status} {phrase}").as_bytes())
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        self.line(value.as_ref())
    }

    pub(crate) fn headers(self, headers: &[(String, String)]) -> Self {
        headers
            .iter()
            .fold(self, |text, (name, value)| text.header(name, value))
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        let mut text = self.header("Content-Length", "0");
        text.0.extend_from_slice(b"\r\n");
        text.0
    }

    pub(crate) fn sdp(self, body: &str) -> Vec<u8> {
        let mut text = self
            .header("Content-Type", "application/sdp")
            .header("Content-Length", body.len().to_string());
        text.0.extend_from_slice(b"\r\n");
        text.0.extend_from_slice(body.as_bytes());
        text.0
    }

    pub(crate) fn optional_sdp(self, body: Option<&str>) -> Vec<u8> {
        match body {
            Some(body) => self.sdp(body),
            None => self.finish(),
        }
    }

    fn line(mut self, value: &[u8]) -> Self {
        self.0.extend(value.iter().map(|byte| {
            if byte.is_ascii_control() && *byte != b'\t' {
                b' '
            } else {
                *byte
            }
        }));
        self.0.extend_from_slice(b"\r\n");
        self
    }
}

/// Start a response: Via (the topmost told where the request came from, RFC 3581), From, To, Call-ID and `CSeq`.
pub(crate) fn reply(request: &Request, flow: Flow, status: u16, phrase: &str, to_tag: Option<&str>) -> Text {
    let mut text = Text::response(status, phrase);
    for (index, value) in request.values("Via").iter().enumerate() {
        let value = if index == 0 {
            with_source(request, value, flow.peer)
        } else {
            value.clone()
        };
        text = text.header("Via", value);
    }
    for name in ["From", "To", "Call-ID", "CSeq"] {
        for mut value in request.values(name) {
            if name == "To"
                && let Some(tag) = to_tag
                && request.to().is_none_or(|to| to.tag.is_empty())
            {
                value.extend_from_slice(format!(";tag={tag}").as_bytes());
            }
            text = text.header(name, value);
        }
    }
    text
}

fn with_source(request: &Request, value: &[u8], source: SocketAddr) -> Vec<u8> {
    let Some(Ok(via)) = request.0.headers.typed::<Via>() else {
        return value.to_vec();
    };
    let end = split(value, b',').first().map_or(value.len(), |span| span.end);
    let (first, rest) = value.split_at(end.min(value.len()));
    let mut told = first.to_vec();
    if matches!(via.rport(), Some(None))
        && let Some(at) = rport_end(first)
    {
        let tail = told.split_off(at);
        told.extend_from_slice(format!("={}", source.port()).as_bytes());
        told.extend_from_slice(&tail);
    }
    let (ip, is_told) = (source.ip(), via.received().is_some());
    if !is_told && (via.rport().is_some() || host_ip(&via.host) != Some(ip)) {
        told.extend_from_slice(format!(";received={ip}").as_bytes());
    }
    told.extend_from_slice(rest);
    told
}

/// Where the parameter `rport` ends, if it has no value.
fn rport_end(via: &[u8]) -> Option<usize> {
    split(via, b';').into_iter().skip(1).find_map(|span| {
        let name = via.get(span.clone())?;
        let end = span.start + name.trim_ascii_end().len();
        name.trim_ascii().eq_ignore_ascii_case(b"rport").then_some(end)
    })
}

/// A refusal for bytes that do not parse, made from what of them can be read; none for what must not be answered.
pub(crate) fn salvage_refusal(bytes: &[u8], sentence: &str) -> Option<Vec<u8>> {
    let head = head_lines(bytes);
    let start = head.first()?;
    let version = start.trim_ascii_end().rsplit(|byte| *byte == b' ').next()?;
    if start.starts_with(b"SIP/") || start.starts_with(b"ACK ") || !version.starts_with(b"SIP/") {
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
    for line in head.iter().skip(1) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (field, value) = line.split_at(colon);
        let field = String::from_utf8_lossy(field.trim_ascii()).to_ascii_lowercase();
        for ((long, short, canonical), seen) in wanted.iter().zip(seen.iter_mut()) {
            if (field == *long || field == *short) && (*canonical == "Via" || !*seen) {
                *seen = true;
                text = text.header(canonical, value.get(1..).unwrap_or_default().trim_ascii());
            }
        }
    }
    if seen.contains(&false) {
        return None;
    }
    Some(text.header("Warning", warning("offhook", sentence)).finish())
}

fn head_lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n').take(256) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        match lines.last_mut() {
            Some(last) if matches!(line.first(), Some(b' ' | b'\t')) => {
                last.push(b' ');
                last.extend_from_slice(line.trim_ascii());
            }
            _ => lines.push(line.to_vec()),
        }
    }
    lines
}

/// A Warning value: 399, who warns, and a sentence (RFC 3261, section 20.43).
pub(crate) fn warning(agent: &str, sentence: &str) -> String {
    format!("399 {agent} \"{}\"", sentence.replace(['"', '\\'], "'"))
}

/// Start line and `CSeq`, for the time line, and the Call-ID.
pub(crate) fn summary(bytes: &[u8]) -> (String, String) {
    let lines = head_lines(bytes);
    let field = |long: &str, short: &str| {
        lines.iter().skip(1).find_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (field, value) = line.split_at(colon);
            let field = field.trim_ascii();
            (field.eq_ignore_ascii_case(long.as_bytes()) || field.eq_ignore_ascii_case(short.as_bytes()))
                .then(|| String::from_utf8_lossy(value.get(1..).unwrap_or_default().trim_ascii()).into_owned())
        })
    };
    let start: String = lines
        .first()
        .map(|line| String::from_utf8_lossy(line).chars().take(200).collect())
        .unwrap_or_default();
    let cseq = field("CSeq", "CSeq").unwrap_or_default();
    (format!("{start} ({cseq})"), field("Call-ID", "i").unwrap_or_default())
}

/// The canonical spelling of a header field's name, so that compact forms are known too.
pub(crate) fn canonical(name: &str) -> String {
    let name = HeaderName::parse(&bytes::Bytes::copy_from_slice(name.as_bytes()));
    String::from_utf8_lossy(name.canonical()).to_ascii_lowercase()
}

/// A quoted string (RFC 3261, section 25.1).
pub(crate) fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
