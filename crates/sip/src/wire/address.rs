//! From, To, Contact and Record-Route: a name that is shown, a URI, and parameters (RFC 3261, sections 20.10 and 25.1).

use std::borrow::Cow;

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
        Self::parse_as(value, mended)
    }

    /// Read one whose URI `mend` knows better.
    pub(super) fn parse_as<'a>(
        value: &'a [u8],
        mend: impl FnOnce(&'a [u8]) -> Cow<'a, [u8]>,
    ) -> Result<Self, &'static str> {
        let value = value.trim_ascii();
        if value.is_empty() {
            return Err(NO_URI);
        }
        let (display, rest) = name(value)?;
        let (uri, tail) = match rest.split_first() {
            Some((b'<', rest)) => {
                let close = rest.iter().position(|byte| *byte == b'>');
                let (uri, tail) = rest.split_at(close.ok_or("close the URI with >")?);
                (uri, tail.get(1..).unwrap_or_default())
            }
            _ => bare(rest)?,
        };
        let uri = String::from_utf8_lossy(&mend(uri)).into_owned();
        if uri.is_empty() {
            return Err(NO_URI);
        }
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

    /// One of Record-Route, where parameters without `<>` can be the URI's alone: what has none of its own is `lr`.
    pub(super) fn parse_route(value: &[u8]) -> Result<Self, &'static str> {
        if value.contains(&b'<') {
            return Self::parse(value);
        }
        Self::parse(&[b"<", value.trim_ascii(), b">"].concat())
    }

    /// A list of them; the first error is the list's.
    pub(super) fn parse_list(value: &[u8]) -> Result<Vec<Self>, &'static str> {
        let all: Vec<Self> = Self::list(value, Self::parse).collect::<Result<_, _>>()?;
        if all.is_empty() { Err(NO_URI) } else { Ok(all) }
    }

    /// The elements of a list, as `parse` reads them. A piece without a URI, as of a name with a comma, belongs to the
    /// next; an empty one is none.
    pub(super) fn list<'a>(
        value: &'a [u8],
        parse: impl Fn(&[u8]) -> Result<Self, &'static str> + 'a,
    ) -> impl Iterator<Item = Result<Self, &'static str>> + 'a {
        let mut start = None;
        let pieces = split(value, b',');
        let last = pieces.len();
        pieces.into_iter().enumerate().filter_map(move |(index, span)| {
            let piece = value.get(span.clone()).unwrap_or_default();
            let begin: usize = *start.get_or_insert(span.start);
            let is_rest = index + 1 == last || piece.iter().any(|byte| b"<>:@".contains(byte));
            let whole = value.get(begin..span.end).unwrap_or_default();
            if whole.trim_ascii().is_empty() {
                start = None;
                return None;
            }
            is_rest.then(|| {
                start = None;
                parse(whole)
            })
        })
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

/// The display name, and the value from its URI on. A bare name may have any letters: the `<` ends it.
fn name(value: &[u8]) -> Result<(String, &[u8]), &'static str> {
    if value.first() == Some(&b'"') {
        let end = closing_quote(value, 0).ok_or("close the quotes of the display name")?;
        let rest = value.get(end + 1..).unwrap_or_default().trim_ascii_start();
        if matches!(rest.first(), Some(b'<' | b';') | None) {
            return Ok((shown(&unescaped(value.get(1..end).unwrap_or_default())), rest));
        }
    }
    let Some(angle) = angle(value) else {
        return if value.contains(&b'"') && value.contains(&b'<') {
            Err(NAME)
        } else {
            Ok((String::new(), value))
        };
    };
    let (name, rest) = value.split_at(angle);
    let has_control = name.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t');
    if has_control || could_be_more(name) {
        return Err(NAME);
    }
    Ok((shown(name.trim_ascii()), rest))
}

/// Where the URI begins: at the first `<` outside of quotes, or behind the one quote that none closes.
fn angle(value: &[u8]) -> Option<usize> {
    let has_one_quote = value.split(|byte| *byte == b'"').count() == 2;
    if has_one_quote {
        return value.iter().position(|byte| *byte == b'<');
    }
    position(value, b'<')
}

/// Whether a bare name with a comma, a semicolon or a quote could be read as an address and the begin of another one, or
/// hides some part of one in quotes that others do not see.
fn could_be_more(name: &[u8]) -> bool {
    if !name.iter().any(|byte| b",;\"".contains(byte)) {
        return false;
    }
    let name = name.to_ascii_lowercase();
    let has = |word: &[u8]| name.windows(word.len()).any(|window| window == word);
    let has_tag = name.split(|byte| *byte == b';').skip(1).any(|parameter| {
        let word = parameter.trim_ascii().strip_prefix(b"tag");
        word.is_some_and(|rest| rest.trim_ascii_start().starts_with(b"="))
    });
    has_tag || name.iter().any(|byte| b"<>@".contains(byte)) || [&b"sip:"[..], b"sips:", b"tel:"].into_iter().any(has)
}

/// Without `<>` a semicolon ends the URI (20.10), and a question mark could begin anything (RFC 8217). None may be there.
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
