//! Who calls and who is called, as From and To have it: nothing is routed by them, so who says little is heard too.

use std::borrow::Cow;

use super::uri::{mended, parse_uri};

/// Who does not say who it is (RFC 3323, section 4.1.1.3).
const NOBODY: &[u8] = b"sip:anonymous@anonymous.invalid";

/// What is written where a number is withheld.
const WITHHELD: [&[u8]; 8] = [
    b"anonymous",
    b"blocked",
    b"private",
    b"restricted",
    b"unavailable",
    b"unknown",
    b"withheld",
    b"unassigned",
];

/// The URI of a caller. One that is none is told as what it says: a number, a name, or nobody.
pub(super) fn caller(uri: &[u8]) -> Cow<'_, [u8]> {
    match said(uri.trim_ascii()) {
        Said::Uri => mended(uri),
        Said::Number(number) => Cow::Owned([b"tel:", number].concat()),
        Said::Place(place) => Cow::Owned(mended(&[b"sip:", place].concat()).into_owned()),
        Said::Nothing => Cow::Borrowed(NOBODY),
        Said::Name(name) if is_withheld(name) => Cow::Borrowed(NOBODY),
        Said::Name(name) => Cow::Owned([b"sip:", name, b"@anonymous.invalid"].concat()),
    }
}

/// The URI of who is called: a number or a place may stand there without a scheme, but nobody is not called.
pub(super) fn callee(uri: &[u8]) -> Cow<'_, [u8]> {
    match said(uri.trim_ascii()) {
        Said::Number(_) | Said::Place(_) => caller(uri),
        Said::Uri | Said::Nothing | Said::Name(_) => mended(uri),
    }
}

/// What stands where a URI should.
enum Said<'a> {
    /// One, or what is no other thing either.
    Uri,
    Number(&'a [u8]),
    /// `user@host`.
    Place(&'a [u8]),
    Name(&'a [u8]),
    Nothing,
}

fn said(uri: &[u8]) -> Said<'_> {
    let scheme = uri
        .iter()
        .position(|byte| *byte == b':')
        .map(|colon| uri.split_at(colon + 1));
    match scheme {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"sip:") || scheme.eq_ignore_ascii_case(b"sips:") => {
            sip(rest)
        }
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"tel:") => match word(until(rest, b";@")) {
            // With its parameters.
            Said::Number(_) if !rest.contains(&b'@') => Said::Uri,
            other => other,
        },
        _ => match uri.iter().position(|byte| *byte == b'@') {
            Some(at) if is_name(uri.get(..at).unwrap_or_default()) && is_sip(uri) => Said::Place(uri),
            Some(_) => Said::Uri,
            None => word(uri),
        },
    }
}

/// Behind `sip:`, where the place is missing, or is none.
fn sip(rest: &[u8]) -> Said<'_> {
    let place = |text| until(text, b":;?");
    match rest.iter().position(|byte| *byte == b'@') {
        Some(at) => match (
            rest.get(..at).unwrap_or_default(),
            rest.get(at + 1..).unwrap_or_default(),
        ) {
            (user, host) if place(host).is_empty() => word(user),
            _ => Said::Uri,
        },
        None => match word(place(rest)) {
            Said::Name(name) if !is_withheld(name) => Said::Uri,
            // 10.9.8.7 is an address.
            Said::Number(number) if number.contains(&b'.') => Said::Uri,
            other => other,
        },
    }
}

fn word(text: &[u8]) -> Said<'_> {
    let text = text.trim_ascii();
    let (mut bytes, mut digits) = (text.iter(), text.iter().filter(|byte| byte.is_ascii_digit()));
    let is_number = |byte: &u8| byte.is_ascii_digit() || b"+*#-.()".contains(byte);
    match text {
        b"" => Said::Nothing,
        _ if bytes.all(is_number) && digits.next().is_some() => Said::Number(text),
        _ if is_name(text) => Said::Name(text),
        _ => Said::Uri,
    }
}

fn is_withheld(name: &[u8]) -> bool {
    WITHHELD.iter().any(|word| name.eq_ignore_ascii_case(word))
}

/// What needs no escape in a user (RFC 3261, section 25.1, `unreserved`).
fn is_name(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.!~*'()+".contains(byte))
}

fn is_sip(place: &[u8]) -> bool {
    let uri = mended(&[b"sip:", place].concat()).into_owned();
    parse_uri(&String::from_utf8_lossy(&uri)).is_ok()
}

fn until<'a>(text: &'a [u8], ends: &[u8]) -> &'a [u8] {
    let end = text.iter().position(|byte| ends.contains(byte)).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}
