//! Cutting a byte stream into messages (RFC 3261, section 18.3).

use super::MAX_MESSAGE_BYTES;

/// What the front of a stream is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// More bytes are needed.
    Incomplete,
    /// One whole message.
    Message(Vec<u8>),
    /// The end of this message cannot be told, so no later one can be found; its head is for the refusal.
    Lost { head: Vec<u8>, sentence: &'static str },
}

/// Cuts one connection's bytes into messages; holds at most one message and what came with it.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    buffer: Vec<u8>,
    scanned: usize,
    pings: usize,
}

impl Framer {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// How many CRLFCRLF stood between messages since the last call (RFC 5626, section 4.4.1).
    pub(crate) fn take_pings(&mut self) -> usize {
        std::mem::take(&mut self.pings)
    }

    pub(crate) fn next(&mut self) -> Frame {
        while let Some(rest) = self.buffer.strip_prefix(b"\r\n") {
            // A lone CRLF is a pong, or what some peers put after a body.
            let eaten = if rest.starts_with(b"\r\n") {
                self.pings += 1;
                4
            } else if matches!(rest, [] | [b'\r']) {
                return Frame::Incomplete;
            } else {
                2
            };
            self.buffer.drain(..eaten);
            self.scanned = 0;
        }
        let Some(head_end) = find(&self.buffer, self.scanned) else {
            self.scanned = self.buffer.len().saturating_sub(3);
            if self.buffer.len() > MAX_MESSAGE_BYTES {
                return self.lost("The header section is longer than 64 KiB; send less");
            }
            return Frame::Incomplete;
        };
        self.scanned = head_end;
        let body = match content_length(self.buffer.get(..head_end).unwrap_or_default()) {
            Ok(Some(body)) => body,
            Ok(None) => return self.lost("Content-Length is missing; it is needed on a stream"),
            Err(sentence) => return self.lost(sentence),
        };
        let total = head_end.saturating_add(4).saturating_add(body);
        if total > MAX_MESSAGE_BYTES {
            return self.lost("The message is longer than 64 KiB; send less");
        }
        if self.buffer.len() < total {
            return Frame::Incomplete;
        }
        self.scanned = 0;
        Frame::Message(self.buffer.drain(..total).collect())
    }

    fn lost(&mut self, sentence: &'static str) -> Frame {
        Frame::Lost {
            head: std::mem::take(&mut self.buffer),
            sentence,
        }
    }
}

fn find(buffer: &[u8], from: usize) -> Option<usize> {
    let rest = buffer.get(from..)?;
    rest.windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|position| from + position)
}

/// The declared length of the body; an error if it cannot be told for sure.
fn content_length(head: &[u8]) -> Result<Option<usize>, &'static str> {
    const MALFORMED: &str = "Content-Length is not a number up to 65536; correct it";
    let mut found: Option<usize> = None;
    let mut lines = head.split(|byte| *byte == b'\n').skip(1).peekable();
    while let Some(line) = lines.next() {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (field, value) = line.split_at(colon);
        let field = field.trim_ascii();
        if line.first().is_some_and(|first| matches!(first, b' ' | b'\t'))
            || !(field.eq_ignore_ascii_case(b"Content-Length") || field.eq_ignore_ascii_case(b"l"))
        {
            continue;
        }
        let mut digits = value.get(1..).unwrap_or_default().trim_ascii().to_vec();
        while let Some(folded) = lines.next_if(|next| matches!(next.first(), Some(b' ' | b'\t'))) {
            digits.extend_from_slice(folded.trim_ascii());
        }
        let is_number = !digits.is_empty() && digits.len() <= 10 && digits.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(&digits)
            .ok()
            .filter(|_| is_number)
            .and_then(|text| text.parse().ok());
        let length = length.ok_or(MALFORMED)?;
        if found.is_some() {
            return Err("Content-Length stands there more than once; send it once");
        }
        found = Some(length);
    }
    Ok(found)
}
