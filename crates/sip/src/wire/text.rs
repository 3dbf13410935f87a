//! Writing messages.

use std::borrow::Cow;

use sipx_sip::HeaderName;

/// A message being written; control characters in any value become spaces, so no value can start a line.
pub(crate) struct Text(Vec<u8>);

impl Text {
    pub(crate) fn request(method: &str, uri: &str) -> Self {
        Self(Vec::with_capacity(1_024)).line(format!("{method} {uri} SIP/2.0").as_bytes())
    }

    pub(crate) fn response(status: u16, phrase: &str) -> Self {
        Self(Vec::with_capacity(1_024)).line(format!("SIP/2.0 {status} {phrase}").as_bytes())
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        self.line(value.as_ref())
    }

    pub(crate) fn headers(self, headers: &[(String, String)]) -> Self {
        headers
            .iter()
            .fold(self, |text, (name, value)| text.header(name, value))
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        let mut text = self.header("Content-Length", "0");
        text.0.extend_from_slice(b"\r\n");
        text.0
    }

    pub(crate) fn sdp(self, body: &str) -> Vec<u8> {
        let mut text = self
            .header("Content-Type", "application/sdp")
            .header("Content-Length", body.len().to_string());
        text.0.extend_from_slice(b"\r\n");
        text.0.extend_from_slice(body.as_bytes());
        text.0
    }

    pub(crate) fn optional_sdp(self, body: Option<&str>) -> Vec<u8> {
        match body {
            Some(body) => self.sdp(body),
            None => self.finish(),
        }
    }

    fn line(mut self, value: &[u8]) -> Self {
        self.0.extend(value.iter().map(|byte| {
            if byte.is_ascii_control() && *byte != b'\t' {
                b' '
            } else {
                *byte
            }
        }));
        self.0.extend_from_slice(b"\r\n");
        self
    }
}

/// The lines of the head, unfolded: the first 256.
pub(super) fn head_lines(bytes: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let all = bytes
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    // RFC 3261, section 7.5: lines before the start line are nothing.
    let mut lines = all
        .skip_while(|line| line.is_empty())
        .take(256)
        .take_while(|line| !line.is_empty())
        .peekable();
    std::iter::from_fn(move || {
        let mut line = Cow::Borrowed(lines.next()?);
        while let Some(more) = lines.next_if(|line| matches!(line.first(), Some(b' ' | b'\t'))) {
            let whole = line.to_mut();
            whole.push(b' ');
            whole.extend_from_slice(more.trim_ascii());
        }
        Some(line)
    })
}

/// A Warning value: 399, who warns, and a sentence (RFC 3261, section 20.43).
pub(crate) fn warning(agent: &str, sentence: &str) -> String {
    format!("399 {agent} \"{}\"", sentence.replace(['"', '\\'], "'"))
}

/// Start line and `CSeq`, for the time line, and the Call-ID.
pub(crate) fn summary(bytes: &[u8]) -> (String, String) {
    let mut lines = head_lines(bytes);
    let start: String = lines
        .next()
        .map(|line| String::from_utf8_lossy(&line).chars().take(200).collect())
        .unwrap_or_default();
    let (mut cseq, mut call_id) = (None, None);
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (field, value) = line.split_at(colon);
        let is = |name: &str| field.trim_ascii().eq_ignore_ascii_case(name.as_bytes());
        let value = || String::from_utf8_lossy(value.get(1..).unwrap_or_default().trim_ascii()).into_owned();
        if cseq.is_none() && is("CSeq") {
            cseq = Some(value());
        } else if call_id.is_none() && (is("Call-ID") || is("i")) {
            call_id = Some(value());
        }
        if cseq.is_some() && call_id.is_some() {
            break;
        }
    }
    let cseq = cseq.unwrap_or_default();
    (format!("{start} ({cseq})"), call_id.unwrap_or_default())
}

/// The canonical spelling of a header field's name, so that compact forms are known too.
pub(crate) fn canonical(name: &str) -> String {
    let name = HeaderName::parse(&bytes::Bytes::copy_from_slice(name.as_bytes()));
    String::from_utf8_lossy(name.canonical()).to_ascii_lowercase()
}

/// A quoted string (RFC 3261, section 25.1).
pub(crate) fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
