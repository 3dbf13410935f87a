//! Cutting a byte stream into messages (RFC 3261, section 18.3).

use super::grammar::blank;
use super::{MAX_MESSAGE_BYTES, length};

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
    let mut fields: Vec<Vec<u8>> = Vec::new();
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    let mut lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).peekable();
    while let Some(line) = lines.next() {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (field, value) = line.split_at(colon);
        if line.first().is_some_and(|first| blank(*first)) || !length::is_name(field.trim_ascii()) {
            continue;
        }
        let mut value = value.get(1..).unwrap_or_default().to_vec();
        // What is folded is one value with a blank in it (RFC 3261, section 7.3.1).
        while let Some(folded) = lines.next_if(|next| next.first().is_some_and(|first| blank(*first))) {
            value.extend_from_slice(folded);
        }
        fields.push(value);
    }
    length::agreed(fields.iter().map(Vec::as_slice))
}
