//! A message as the grammar wants it, where what is written can be only one thing: before the library reads it.

use std::borrow::Cow;

use super::grammar::{blank, split};
use super::reply::is_sip;
use super::{length, uri};

/// The message, mended. What could mean two things stays as it is, and is refused by whoever reads it.
pub(super) fn mended(bytes: &[u8]) -> Cow<'_, [u8]> {
    let lines = lines(bytes);
    let mut whole = Vec::with_capacity(bytes.len());
    let (mut is_other, mut is_via_seen) = (false, false);
    let mut length = repeated_length(&lines);
    let mut end = 0;
    for (index, line) in lines.iter().enumerate() {
        let better = match (index, &mut length) {
            (0, _) => request_line(line),
            (_, Some(length)) if length_of(line).is_some() => Cow::Owned(std::mem::take(length)),
            _ => field(line, &mut is_via_seen),
        };
        is_other |= better != *line;
        whole.extend_from_slice(&better);
        end += line.len();
    }
    if !is_other {
        return Cow::Borrowed(bytes);
    }
    whole.extend_from_slice(bytes.get(end..).unwrap_or_default());
    Cow::Owned(whole)
}

/// The lines of the head, each with its CRLF and with those that continue it (RFC 3261, section 7.3.1).
fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(length) = find_line_end(bytes.get(at..).unwrap_or_default()) {
        at += length;
        let rest = bytes.get(at..).unwrap_or_default();
        if matches!(rest.first(), Some(b' ' | b'\t')) {
            continue;
        }
        lines.push(bytes.get(start..at).unwrap_or_default());
        start = at;
        if rest.starts_with(b"\r\n") {
            break;
        }
    }
    lines
}

fn find_line_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|pair| pair == b"\r\n").map(|at| at + 2)
}

/// A request line of three words, with one blank between them, whose URI is written as the grammar wants it. More blanks there
/// or behind the version mean nothing (RFC 4475, sections 3.1.2.9 and 3.1.2.10); one in the URI makes it a word more.
fn request_line(line: &[u8]) -> Cow<'_, [u8]> {
    let text = line.strip_suffix(b"\r\n").unwrap_or(line);
    let is_odd = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    if text.first().is_none_or(|first| blank(*first)) || text.iter().any(is_odd) {
        return Cow::Borrowed(line);
    }
    let words: Vec<&[u8]> = text
        .split(|byte| blank(*byte))
        .filter(|word| !word.is_empty())
        .take(4)
        .collect();
    let [method, uri, version] = words.as_slice() else {
        return Cow::Borrowed(line);
    };
    if is_sip(method) || !is_sip(version) {
        return Cow::Borrowed(line);
    }
    Cow::Owned([*method, b" ", &uri::mended(uri), b" ", *version, b"\r\n"].concat())
}

/// One Content-Length for several that say the same (RFC 7230, section 3.3.2).
fn repeated_length(lines: &[&[u8]]) -> Option<Vec<u8>> {
    let said: Vec<&[u8]> = lines.iter().skip(1).filter_map(|line| length_of(line)).collect();
    if said.len() < 2 && !said.iter().any(|value| value.contains(&b',')) {
        return None;
    }
    // Their folds are blanks (RFC 3261, section 7.3.1).
    let plain: Vec<Vec<u8>> = said.iter().map(|value| unfolded(value)).collect();
    let length = length::agreed(plain.iter().map(Vec::as_slice)).ok()??;
    Some(format!("Content-Length: {length}\r\n").into_bytes())
}

/// The value of a Content-Length, up to its last CRLF.
fn length_of(line: &[u8]) -> Option<&[u8]> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at(colon);
    let end = name.iter().rposition(|byte| !blank(*byte))?;
    let is_length = length::is_name(name.get(..=end)?) && !has_bare_line_end(line);
    is_length.then(|| value.get(1..)?.strip_suffix(b"\r\n"))?
}

fn unfolded(value: &[u8]) -> Vec<u8> {
    let mut lines = value.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let mut whole = first.strip_suffix(b"\r").unwrap_or(first).to_vec();
    for line in lines {
        whole.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
    }
    whole
}

/// A header field: without one whose name is none, which nobody can mean by it, and the topmost Via without what is empty
/// in it. Those below are others'.
fn field<'a>(line: &'a [u8], is_via_seen: &mut bool) -> Cow<'a, [u8]> {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return Cow::Borrowed(line);
    };
    let (name, value) = line.split_at(colon);
    let name = name.trim_ascii_end();
    if name.iter().any(u8::is_ascii_control) || has_bare_line_end(line) {
        return Cow::Borrowed(line);
    }
    if name.eq_ignore_ascii_case(b"Via") || name.eq_ignore_ascii_case(b"v") {
        let is_topmost = !std::mem::replace(is_via_seen, true);
        return if is_topmost {
            via(line, value)
        } else {
            Cow::Borrowed(line)
        };
    }
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Cow::Borrowed(b"");
    }
    Cow::Borrowed(line)
}

/// What one element takes for the end of a line and another does not hides nothing from either.
fn has_bare_line_end(line: &[u8]) -> bool {
    let mut at = 0;
    while let Some(byte) = line.get(at) {
        match (byte, line.get(at + 1)) {
            (b'\r', Some(b'\n')) => at += 2,
            (b'\r' | b'\n' | 0, _) => return true,
            _ => at += 1,
        }
    }
    false
}

/// RFC 3261, section 25.1.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// An empty parameter is none, and one with an empty value has none: `rport=` asks as `rport` does.
fn via<'a>(line: &'a [u8], value: &[u8]) -> Cow<'a, [u8]> {
    let value = value.get(1..).unwrap_or_default().trim_ascii();
    let hops = split(value, b',').into_iter();
    let better: Vec<Vec<u8>> = hops.map(|span| hop(value.get(span).unwrap_or_default())).collect();
    let better = better.join(&b',');
    if better == value {
        return Cow::Borrowed(line);
    }
    Cow::Owned([b"Via: ", better.as_slice(), b"\r\n"].concat())
}

/// One element of Via.
pub(super) fn hop(text: &[u8]) -> Vec<u8> {
    let mut pieces = split(text, b';')
        .into_iter()
        .map(|span| text.get(span).unwrap_or_default());
    let sent_by = pieces.next().unwrap_or_default();
    let mut mended = sent_by.strip_suffix(b":").unwrap_or(sent_by).to_vec();
    for piece in pieces {
        let text = piece.trim_ascii();
        let piece = match text.strip_suffix(b"=").map(<[u8]>::trim_ascii_end) {
            _ if text.is_empty() => continue,
            Some(name) if !name.is_empty() => name,
            _ => piece,
        };
        mended.push(b';');
        mended.extend_from_slice(piece);
    }
    mended
}
