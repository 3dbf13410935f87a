//! Content-Length: how long a body is, said once or again in the same words (RFC 7230, section 3.3.2).

use super::grammar::blank;

pub(super) const MALFORMED: &str = "Content-Length is not a number up to 65536; correct it";
pub(super) const DIFFERENT: &str = "Content-Length is there with different values; send it once";

/// Whether this is the name of the field.
pub(super) fn is_name(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"Content-Length") || name.eq_ignore_ascii_case(b"l")
}

/// The length that all fields say; an error where it cannot be told for sure.
pub(super) fn agreed<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<usize>, &'static str> {
    let mut found = None;
    let said = fields.into_iter().flat_map(|field| field.split(|byte| *byte == b','));
    for value in said {
        let length = number(value).ok_or(MALFORMED)?;
        if found.is_some_and(|other| other != length) {
            return Err(DIFFERENT);
        }
        found = Some(length);
    }
    Ok(found)
}

fn number(value: &[u8]) -> Option<usize> {
    let begin = value.iter().position(|byte| !blank(*byte))?;
    let end = value.iter().rposition(|byte| !blank(*byte))?;
    let digits = value.get(begin..=end)?;
    let is_number = digits.len() <= 10 && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}
