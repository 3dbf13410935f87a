//! Lists and parameters of header values (RFC 3261, section 25.1): no separator is looked for inside of quotes or `<>`.

use std::ops::Range;

/// A blank between words (RFC 3261, section 25.1, `WSP`).
pub(super) fn blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The pieces of a value between separators.
pub(super) fn split(value: &[u8], separator: u8) -> Vec<Range<usize>> {
    cut(value, separator).0
}

/// As [`split`], but a quote or a `<` that is never closed hides no separator.
pub(super) fn pieces(value: &[u8], separator: u8) -> Vec<Range<usize>> {
    let (pieces, is_open) = cut(value, separator);
    if !is_open {
        return pieces;
    }
    let mut start = 0;
    let all = value.split(|byte| *byte == separator).map(|piece| {
        let span = start..start + piece.len();
        start = span.end + 1;
        span
    });
    all.collect()
}

/// The pieces, and whether a quote or a `<` is open at the end.
fn cut(value: &[u8], separator: u8) -> (Vec<Range<usize>>, bool) {
    let mut pieces = Vec::new();
    let (mut start, mut at, mut is_in_angle, mut is_in_quotes) = (0, 0, false, false);
    while let Some(byte) = value.get(at) {
        match byte {
            b'"' => {
                let close = closing_quote(value, at);
                is_in_quotes = close.is_none();
                at = close.unwrap_or(value.len());
            }
            b'<' => is_in_angle = true,
            b'>' => is_in_angle = false,
            byte if *byte == separator && !is_in_angle => {
                pieces.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    pieces.push(start..value.len());
    (pieces, is_in_angle || is_in_quotes)
}

/// Where a byte stands first outside of quotes.
pub(super) fn position(value: &[u8], wanted: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        match value.get(at)? {
            b'"' => at = closing_quote(value, at)?,
            byte if *byte == wanted => return Some(at),
            _ => {}
        }
        at += 1;
    }
}

/// Where the quoted string that begins at `open` has its closing quote.
pub(super) fn closing_quote(value: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        match value.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at),
            _ => at += 1,
        }
    }
}

/// Whether a quoted string does not end.
pub(super) fn is_open(value: &[u8]) -> bool {
    let mut rest = value;
    while let Some(open) = rest.iter().position(|byte| *byte == b'"') {
        match closing_quote(rest, open) {
            Some(close) => rest = rest.get(close + 1..).unwrap_or_default(),
            None => return true,
        }
    }
    false
}

/// What stands between a quoted string's quotes, without its escapes.
pub(super) fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = text.iter();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(if *byte == b'\\' {
            *bytes.next().unwrap_or(byte)
        } else {
            *byte
        });
    }
    plain
}

/// One `;name` or `;name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameter {
    /// Lower case.
    pub(super) name: String,
    /// Without quotes.
    pub(super) value: Option<Vec<u8>>,
}

/// A value as its head and what follows the first semicolon; empty parameters are left out.
pub(super) fn with_parameters(value: &[u8]) -> (&[u8], Vec<Parameter>) {
    let mut pieces = split(value, b';')
        .into_iter()
        .map(|span| value.get(span).unwrap_or_default().trim_ascii());
    let head = pieces.next().unwrap_or_default();
    (head, pieces.filter(|piece| !piece.is_empty()).map(parameter).collect())
}

/// The value of a parameter; `None` also where it has none.
pub(super) fn value_of<'a>(parameters: &'a [Parameter], name: &str) -> Option<&'a [u8]> {
    parameters
        .iter()
        .find(|parameter| parameter.name == name)
        .and_then(|parameter| parameter.value.as_deref())
}

fn parameter(piece: &[u8]) -> Parameter {
    let (name, value) = match piece.iter().position(|byte| *byte == b'=') {
        Some(at) => {
            let (name, value) = piece.split_at(at);
            (name, Some(value.get(1..).unwrap_or_default().trim_ascii()))
        }
        None => (piece, None),
    };
    Parameter {
        name: String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase(),
        value: value.map(|value| {
            if value.first() != Some(&b'"') {
                return value.to_vec();
            }
            let end = closing_quote(value, 0).unwrap_or(value.len());
            unescaped(value.get(1..end).unwrap_or_default())
        }),
    }
}
