//! Which part of a body is for us (RFC 3261, sections 8.2.3 and 20.11; RFC 5621; multiparts of RFC 2046 and RFC 2387).

use std::ops::Range;

use super::grammar::{Parameter, value_of, with_parameters};

/// The media type of session descriptions.
pub(crate) const SDP: &str = "application/sdp";
/// Multiparts in multiparts; deeper ones are not looked into.
const MOST_DEPTH: usize = 4;
/// Parts of all multiparts of a message together.
const MOST_PARTS: usize = 32;

/// Octets of a boundary, which is looked for in every line.
const MOST_BOUNDARY: usize = 200;

/// A body, or a part of one, and what its header fields say.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entity<'a> {
    pub(super) content_type: &'a [u8],
    pub(super) disposition: &'a [u8],
    /// Content-Encoding, or a Content-Transfer-Encoding that changes the octets.
    pub(super) encoding: &'a [u8],
    pub(super) id: &'a [u8],
    pub(super) content: &'a [u8],
}

/// What was found in a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) text: String,
}

/// Why a body is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// 415: neither of these types, or one that has to be understood and is not.
    Type(String),
    /// 415: it is encoded.
    Encoding,
    /// 400: a multipart that cannot be taken apart, or of which two parts could be meant.
    Malformed(&'static str),
}

/// The body, or the part of it, that has one of these types; `None` where there is none and none is required.
pub(super) fn find(entity: Entity<'_>, known: &[&'static str]) -> Result<Option<Body>, Unreadable> {
    search(entity, known, true)
}

/// The same where nobody can be told what was not understood, as in a response or an ACK: only what is wanted counts.
pub(super) fn find_wanted(entity: Entity<'_>, known: &[&'static str]) -> Option<Body> {
    search(entity, known, false).ok().flatten()
}

fn search(entity: Entity<'_>, known: &[&'static str], refuses: bool) -> Result<Option<Body>, Unreadable> {
    if entity.content.is_empty() {
        return Ok(None);
    }
    let mut search = Search {
        known,
        refuses,
        parts: 0,
    };
    search.entity(entity, 0)
}

struct Search<'a> {
    known: &'a [&'static str],
    /// A part that has to be understood, and is not, refuses the whole.
    refuses: bool,
    parts: usize,
}

impl Search<'_> {
    fn entity(&mut self, entity: Entity<'_>, depth: usize) -> Result<Option<Body>, Unreadable> {
        let (media_type, parameters) = with_parameters(entity.content_type);
        let media_type = match (media_type.is_empty(), depth) {
            (true, 0) => self.seen(entity.content).to_owned(),
            _ => plain(media_type),
        };
        let (disposition, handling) = with_parameters(entity.disposition);
        let handling = value_of(&handling, "handling").map(<[u8]>::to_ascii_lowercase);
        // The whole body has to be understood unless it says otherwise (RFC 3261, section 8.2.3); a part of one has to
        // only if it says so, because those that send parts without a word about it mean the rest to be taken.
        let is_required = match handling.as_deref() {
            Some(handling) => handling == b"required",
            None => depth == 0,
        };
        // What is wanted and cannot be read for its encoding is not the same as nothing.
        let is_wanted = handling.as_deref().is_none_or(|handling| handling == b"required");
        let outcome = if media_type.starts_with("multipart/") {
            self.multipart(entity, &media_type, &parameters, depth)
        } else {
            self.single(entity, &media_type, disposition)
        };
        match outcome {
            Err(Unreadable::Type(_)) if !(is_required && self.refuses) => Ok(None),
            Err(Unreadable::Encoding) if !is_wanted => Ok(None),
            outcome => outcome,
        }
    }

    /// What a whole body without a Content-Type is, where it can be seen; a part of one without it is plain text
    /// (RFC 2046, section 5.1).
    fn seen(&self, content: &[u8]) -> &'static str {
        let begins = |word: &[u8]| {
            content
                .get(..word.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(word))
        };
        let is_it = |known: &&&'static str| match **known {
            SDP => content.starts_with(b"v=0"),
            _ => begins(b"Signal="),
        };
        self.known.iter().find(is_it).copied().unwrap_or_default()
    }

    fn single(&self, entity: Entity<'_>, media_type: &str, disposition: &[u8]) -> Result<Option<Body>, Unreadable> {
        let Some(content_type) = self.known.iter().find(|known| **known == media_type) else {
            return Err(Unreadable::Type(format!(
                "The body has to be {}",
                self.known.join(" or ")
            )));
        };
        if *content_type == SDP && !(disposition.is_empty() || disposition.eq_ignore_ascii_case(b"session")) {
            let sentence = "Only a session description with Content-Disposition: session is understood; send it so";
            return Err(Unreadable::Type(sentence.to_owned()));
        }
        if !entity.encoding.is_empty() {
            return Err(Unreadable::Encoding);
        }
        Ok(Some(Body {
            text: String::from_utf8_lossy(entity.content).into_owned(),
        }))
    }

    fn multipart(
        &mut self,
        entity: Entity<'_>,
        media_type: &str,
        parameters: &[Parameter],
        depth: usize,
    ) -> Result<Option<Body>, Unreadable> {
        if !entity.encoding.is_empty() {
            return Err(Unreadable::Encoding);
        }
        if depth == MOST_DEPTH {
            return Err(Unreadable::Malformed("The multiparts are more than 4 deep; send fewer"));
        }
        let boundary = value_of(parameters, "boundary").filter(|boundary| !boundary.is_empty());
        let Some(boundary) = boundary else {
            return Err(Unreadable::Malformed(
                "The multipart body has no boundary; name it in Content-Type",
            ));
        };
        if boundary.len() > MOST_BOUNDARY {
            return Err(Unreadable::Malformed(
                "The boundary is longer than 200 octets; choose a shorter one",
            ));
        }
        let parts = parts(entity.content, boundary);
        self.parts += parts.len();
        if self.parts > MOST_PARTS {
            return Err(Unreadable::Malformed("The body has more than 32 parts; send fewer"));
        }
        if parts.is_empty() {
            return Err(Unreadable::Malformed(
                "The boundary of the multipart body stands nowhere in it; correct it",
            ));
        }
        let mut parts: Vec<Entity<'_>> = parts.into_iter().map(part).collect();
        match media_type {
            // The last that is understood is the best (RFC 2046, section 5.1.4); those that are not do not count.
            "multipart/alternative" => {
                let found = |part: &Entity<'_>| self.entity(*part, depth + 1);
                let mut outcomes: Vec<_> = parts.iter().rev().map(found).collect();
                match outcomes.iter().position(|outcome| matches!(outcome, Ok(Some(_)))) {
                    Some(best) => outcomes.swap_remove(best),
                    None => outcomes.into_iter().find(Result::is_err).unwrap_or(Ok(None)),
                }
            }
            "multipart/related" => {
                let root = value_of(parameters, "start")
                    .and_then(|start| parts.iter().position(|part| part.id.trim_ascii() == start.trim_ascii()))
                    .unwrap_or_default();
                parts.rotate_left(root);
                self.all(&parts, depth, true)
            }
            _ => self.all(&parts, depth, false),
        }
    }

    /// Parts that all count. Of a `multipart/related` the first one found is the root or nearest to it.
    fn all(&mut self, parts: &[Entity<'_>], depth: usize, first_counts: bool) -> Result<Option<Body>, Unreadable> {
        let mut found = None;
        for part in parts {
            let body = self.entity(*part, depth + 1)?;
            if body.is_some() && found.is_some() && !first_counts {
                return Err(Unreadable::Malformed(
                    "The body has two parts that could be meant; send one, or use multipart/alternative",
                ));
            }
            found = found.or(body);
        }
        Ok(found)
    }
}

/// A media type without the blanks that may stand around its slash, in lower case.
pub(super) fn plain(media_type: &[u8]) -> String {
    let text = String::from_utf8_lossy(media_type).to_ascii_lowercase();
    text.split('/').map(str::trim).collect::<Vec<_>>().join("/")
}

/// What stands between the lines that are delimiters; the end of such a line's predecessor belongs to it. What comes
/// before the first and after the last is nothing.
fn parts<'a>(content: &'a [u8], boundary: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let mut start: Option<usize> = None;
    for line in lines(content) {
        let text = content.get(line.clone()).unwrap_or_default().trim_ascii_end();
        let Some(rest) = text.strip_prefix(b"--").and_then(|text| text.strip_prefix(boundary)) else {
            continue;
        };
        if !matches!(rest, b"" | b"--") {
            continue;
        }
        if let Some(start) = start {
            parts.push(without_line_end(content.get(start..line.start).unwrap_or_default()));
        }
        start = rest.is_empty().then_some(line.end);
        if start.is_none() {
            return parts;
        }
    }
    // The closing delimiter was forgotten: Content-Length ends the last part.
    parts.extend(start.and_then(|start| content.get(start..)));
    parts
}

/// Each line with its end, CRLF or LF.
fn lines(content: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    content.split_inclusive(|byte| *byte == b'\n').map(move |line| {
        let span = start..start + line.len();
        start = span.end;
        span
    })
}

fn without_line_end(part: &[u8]) -> &[u8] {
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    part.strip_suffix(b"\r").unwrap_or(part)
}

/// Header fields up to an empty line, then the content. A part without fields begins with the empty line.
fn part(bytes: &[u8]) -> Entity<'_> {
    let mut entity = Entity::default();
    let mut last: Option<(usize, Range<usize>)> = None;
    for line in lines(bytes) {
        let text = bytes.get(line.clone()).unwrap_or_default().trim_ascii_end();
        if text.is_empty() {
            entity.field(bytes, last.take());
            entity.content = bytes.get(line.end..).unwrap_or_default();
            return entity;
        }
        match last.as_mut() {
            Some((_, value)) if matches!(text.first(), Some(b' ' | b'\t')) => value.end = line.start + text.len(),
            _ => {
                entity.field(bytes, last.take());
                let colon = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
                last = Some((line.start, line.start + colon..line.start + text.len()));
            }
        }
    }
    // No empty line: nothing but fields.
    entity
}

impl<'a> Entity<'a> {
    fn field(&mut self, bytes: &'a [u8], field: Option<(usize, Range<usize>)>) {
        let Some((start, span)) = field else { return };
        let name = bytes.get(start..span.start).unwrap_or_default().trim_ascii();
        let value = bytes.get(span).unwrap_or_default();
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        match name.to_ascii_lowercase().as_slice() {
            b"content-type" | b"c" => self.content_type = value,
            b"content-disposition" => self.disposition = value,
            b"content-id" => self.id = value,
            b"content-encoding" | b"e" | b"content-transfer-encoding" if !is_plain(value) => self.encoding = value,
            _ => {}
        }
    }
}

/// Encodings that leave the octets as they are.
pub(super) fn is_plain(encoding: &[u8]) -> bool {
    [b"identity".as_slice(), b"7bit", b"8bit", b"binary", b""]
        .iter()
        .any(|plain| encoding.eq_ignore_ascii_case(plain))
}
