//! URIs as they are in the field: what was left out or not escaped is put in where only one thing can be meant.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use offhook_words::Transport;
use sipx_sip::{Host, Uri};

use super::unread::change_uri;

/// Parameters that are compared with each other, so that no URI takes long.
const MOST_COMPARED: usize = 32;

/// What routing needs of a URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UriFacts {
    pub(crate) scheme: String,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) transport: Transport,
    pub(crate) has_headers: bool,
    pub(crate) is_loose: bool,
}

/// Where a `sip:` URI with a literal address points; `None` for names and other schemes. An error says what to change.
pub(crate) fn parse_uri(text: &str) -> Result<UriFacts, &'static str> {
    let uri = Uri::parse(Bytes::copy_from_slice(text.as_bytes())).map_err(|error| change_uri(&error))?;
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
        is_loose: uri.params().is_some_and(|params| params.contains("lr")),
    })
}

pub(super) fn host_ip(host: &Host) -> Option<IpAddr> {
    let bytes = host.to_bytes();
    let text = std::str::from_utf8(&bytes).ok()?;
    text.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// The URI as RFC 3261 and RFC 3966 want it written. What is no URI, or could mean two, stays as it is.
pub(super) fn mended(uri: &[u8]) -> Cow<'_, [u8]> {
    let Some(colon) = uri.iter().position(|byte| *byte == b':') else {
        return Cow::Borrowed(uri);
    };
    let (scheme, rest) = uri.split_at(colon + 1);
    let rest = if scheme.eq_ignore_ascii_case(b"sip:") || scheme.eq_ignore_ascii_case(b"sips:") {
        sip(rest)
    } else if scheme.eq_ignore_ascii_case(b"tel:") {
        tel(rest)
    } else {
        return Cow::Borrowed(uri);
    };
    Cow::Owned([scheme, &rest].concat())
}

/// The first `@` ends the user part: a second one has to be escaped, and is not guessed at.
fn sip(rest: &[u8]) -> Vec<u8> {
    let (user, place) = match rest.iter().position(|byte| *byte == b'@') {
        Some(at) => (rest.get(..at), rest.get(at + 1..).unwrap_or_default()),
        None => (None, rest),
    };
    let mut mended = Vec::with_capacity(rest.len() + 8);
    if let Some(user) = user.filter(|user| !user.is_empty()) {
        escape(user, is_user, &mut mended);
        mended.push(b'@');
    }
    let end = place.iter().position(|byte| matches!(byte, b';' | b'?'));
    let (host, tail) = place.split_at(end.unwrap_or(place.len()));
    mended.extend_from_slice(host.strip_suffix(b":").unwrap_or(host));
    parameters(tail, &mut mended);
    mended
}

/// An escaped digit, `+`, `*`, `#` or separator is the same as the plain one.
fn tel(rest: &[u8]) -> Vec<u8> {
    let end = rest.iter().position(|byte| *byte == b';').unwrap_or(rest.len());
    let (number, tail) = rest.split_at(end);
    let mut mended = Vec::with_capacity(rest.len());
    let mut at = 0;
    while let Some(byte) = number.get(at) {
        let plain = escaped(number, at).filter(|byte| byte.is_ascii_digit() || b"+*#-.()".contains(byte));
        mended.push(plain.unwrap_or(*byte));
        at += if plain.is_some() { 3 } else { 1 };
    }
    parameters(tail, &mut mended);
    mended
}

/// `;a;b?headers`: empty parameters are left out, and those that were there in the same words.
fn parameters(tail: &[u8], mended: &mut Vec<u8>) {
    let end = tail.iter().position(|byte| *byte == b'?').unwrap_or(tail.len());
    let (parameters, headers) = tail.split_at(end);
    let mut said: Vec<&[u8]> = Vec::new();
    for parameter in parameters.split(|byte| *byte == b';').filter(|each| !each.is_empty()) {
        if said.len() < MOST_COMPARED {
            if said.iter().any(|before| before.eq_ignore_ascii_case(parameter)) {
                continue;
            }
            said.push(parameter);
        }
        mended.push(b';');
        escape(parameter, |byte| byte.is_ascii(), mended);
    }
    escape(headers, |byte| byte.is_ascii(), mended);
}

/// Escape what may not stand there, and a `%` that begins no escape.
fn escape(text: &[u8], may_stand: impl Fn(u8) -> bool, mended: &mut Vec<u8>) {
    for (at, byte) in text.iter().enumerate() {
        let is_good = match byte {
            b'%' => escaped(text, at).is_some(),
            byte => may_stand(*byte),
        };
        if is_good {
            mended.push(*byte);
        } else {
            mended.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}

fn escaped(text: &[u8], at: usize) -> Option<u8> {
    let [b'%', high, low] = text.get(at..at + 3)? else {
        return None;
    };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// What may stand in a user and its password, and what escaping would hide: blanks and the marks around a URI.
fn is_user(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte.is_ascii_control() || b"-_.!~*'()&=+$,;?/: <>\"".contains(&byte)
}
