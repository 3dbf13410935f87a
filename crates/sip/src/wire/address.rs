//! From, To, Contact and Record-Route: a name that is shown, a URI, and parameters (RFC 3261, sections 20.10 and 25.1).

use super::grammar::{Parameter, closing_quote, is_open, position, split, unescaped, value_of, with_parameters};
use super::uri::{UriFacts, mended, parse_uri};

const NO_URI: &str = "no URI is there; send one, as in <sip:anonymous@anonymous.invalid>";
const UNREADABLE: &str = "the URI cannot be read; write it as <sip:user@host>, <sip:host> or <tel:+15551234567>";
const NAME: &str = "put the display name in quotes";

/// One address.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) display: String,
    /// As the grammar wants it, see [`mended`].
    pub(super) uri: String,
    pub(super) facts: UriFacts,
    parameters: Vec<Parameter>,
}

impl Address {
    /// Read one; an error says what to change.
    pub(super) fn parse(value: &[u8]) -> Result<Self, &'static str> {
        let value = value.trim_ascii();
        let (display, rest) = name(value)?;
        let (uri, tail) = match rest.split_first() {
            Some((b'<', rest)) => {
                let close = rest.iter().position(|byte| *byte == b'>');
                let (uri, tail) = rest.split_at(close.ok_or("close the URI with >")?);
                (uri, tail.get(1..).unwrap_or_default())
            }
            _ => bare(rest)?,
        };
        if uri.is_empty() {
            return Err(NO_URI);
        }
        let uri = String::from_utf8_lossy(&mended(uri)).into_owned();
        let facts = parse_uri(&uri).map_err(|_| UNREADABLE)?;
        if is_open(tail) {
            return Err("close the quotes of the parameter");
        }
        if position(tail, b',').is_some() {
            return Err("send one address in it; a comma begins another");
        }
        let (between, parameters) = with_parameters(tail);
        if !between.is_empty() {
            return Err("nothing but parameters may follow the URI; begin each with a semicolon");
        }
        Ok(Self {
            display,
            uri,
            facts,
            parameters,
        })
    }

    /// A list of them; the first error is the list's.
    pub(super) fn parse_list(value: &[u8]) -> Result<Vec<Self>, &'static str> {
        split(value, b',')
            .into_iter()
            .map(|span| Self::parse(value.get(span).unwrap_or_default()))
            .collect()
    }

    /// The tag of From or To; empty where there is none, as RFC 2543 allowed.
    pub(super) fn tag(&self) -> Result<String, &'static str> {
        if self.parameters.iter().filter(|each| each.name == "tag").count() > 1 {
            return Err("it has more than one tag; send one");
        }
        let Some(tag) = value_of(&self.parameters, "tag") else {
            let has_tag = self.parameters.iter().any(|each| each.name == "tag");
            return if has_tag {
                Err("the tag is empty; give it a value")
            } else {
                Ok(String::new())
            };
        };
        match std::str::from_utf8(tag) {
            Ok("") => Err("the tag is empty; give it a value"),
            Ok(text) if text.bytes().all(is_tag) => Ok(text.to_owned()),
            _ => Err("the tag is no token; use letters and digits"),
        }
    }
}

/// The display name, and the value from its URI on. A bare name may have any letters: the `<` ends it. A comma or a
/// semicolon outside of quotes could as well end an address.
fn name(value: &[u8]) -> Result<(String, &[u8]), &'static str> {
    if value.first() == Some(&b'"') {
        let end = closing_quote(value, 0).ok_or("close the quotes of the display name")?;
        let rest = value.get(end + 1..).unwrap_or_default().trim_ascii_start();
        if rest.first() != Some(&b'<') {
            return Err("put the URI into <> behind the display name");
        }
        return Ok((shown(&unescaped(value.get(1..end).unwrap_or_default())), rest));
    }
    let Some(angle) = position(value, b'<') else {
        return Ok((String::new(), value));
    };
    let (name, rest) = value.split_at(angle);
    let is_plain = |byte: &u8| !byte.is_ascii_control() && !b",;\"".contains(byte) || *byte == b'\t';
    if !name.iter().all(is_plain) {
        return Err(NAME);
    }
    Ok((shown(name.trim_ascii()), rest))
}

/// Without `<>` a semicolon ends the URI (20.10), and a question mark could begin anything (RFC 8217).
fn bare(value: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
    let (uri, tail) = value.split_at(end);
    if uri.contains(&b'?') {
        return Err("put the URI into <>");
    }
    if uri.contains(&b',') {
        return Err(NAME);
    }
    Ok((uri.trim_ascii_end(), tail))
}

/// More than a token, for many write an address there, but nothing that ends one.
fn is_tag(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"<>,;\\".contains(&byte)
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
