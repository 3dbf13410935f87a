//! Why a message or a URI cannot be read, by kind and in our words: each says what to change, and nothing that the sender wrote.

use sipx_sip::UriError;
use sipx_sip::error::{FramingError, HeaderSyntaxError, LimitKind, ParseError, StartLineError};

use super::length;

/// What to change in a message.
pub(super) fn change(error: &ParseError) -> String {
    let change = match error {
        ParseError::StartLine(StartLineError::Uri(error)) => return format!("Request-URI: {}", change_uri(error)),
        ParseError::StartLine(error) => change_start(error),
        ParseError::HeaderSyntax { kind, .. } => change_line(kind),
        ParseError::Framing(error) => change_length(error),
        ParseError::Limit { limit, .. } => change_size(*limit),
        _ => "write it as RFC 3261, section 7 has it",
    };
    change.to_owned()
}

fn change_start(error: &StartLineError) -> &'static str {
    match error {
        StartLineError::Empty => "begin it with a request line",
        StartLineError::RequestLineShape => "write its first line as three words, as in OPTIONS sip:user@host SIP/2.0",
        StartLineError::Method => "the method has a character that no method has; use letters, digits and hyphens",
        _ => "write its first line as RFC 3261, section 7 has it",
    }
}

fn change_line(error: &HeaderSyntaxError) -> &'static str {
    match error {
        HeaderSyntaxError::MissingColon => "a line of its head has no colon; write Name: value, one field a line",
        HeaderSyntaxError::EmptyName | HeaderSyntaxError::NameNotToken => {
            "the name of a header field has a character that no name has; use letters, digits and hyphens"
        }
        HeaderSyntaxError::BareNewline => "a line of its head ends in CR or LF alone; end each in CRLF",
        HeaderSyntaxError::LeadingFold => "begin it with the method, not with a blank",
        _ => "write its header fields as RFC 3261, section 7.3 has them",
    }
}

fn change_length(error: &FramingError) -> &'static str {
    match error {
        FramingError::NoHeaderTerminator => "end its header fields with an empty line",
        FramingError::ContentLengthRepeated => length::DIFFERENT,
        FramingError::ContentLengthMalformed => length::MALFORMED,
        FramingError::BodyTruncated => "the body is shorter than Content-Length says; send all of it",
        _ => "say in Content-Length how long the body is",
    }
}

fn change_size(limit: LimitKind) -> &'static str {
    match limit {
        LimitKind::Headers => "it has more than 256 header fields; send fewer",
        LimitKind::HeaderBytes => "a header field is longer than 8 KiB; send less",
        LimitKind::FoldingLines => "a header field goes over more than 16 lines; write it in fewer",
        // Of the message or its body.
        _ => "it is longer than 64 KiB; send less",
    }
}

/// What to change in a URI.
pub(super) fn change_uri(error: &UriError) -> &'static str {
    match error {
        UriError::Scheme => "begin it with its scheme, as in sip:user@host",
        UriError::EmptyHost => "name a host",
        UriError::Host => "correct the host; a name has letters, digits, dots and hyphens",
        UriError::Port => "correct the port; it is a number up to 65535, and an IPv6 address stands in []",
        UriError::Ipv6Reference => "close the [ of the IPv6 address",
        UriError::IllegalCharacter => "escape blanks, quotes, < and >, or leave them out",
        UriError::PercentEscape => "write % as %25 where it begins no escape",
        UriError::User => "escape what may not stand in a user",
        UriError::TelephoneSubscriber => "write a number behind tel:, as in tel:+15551234567",
        UriError::EmptyParameterName => "name each parameter",
        UriError::DuplicateParameterName => "send each parameter once",
        _ => "write it as RFC 3261, section 19.1.1 has it",
    }
}
