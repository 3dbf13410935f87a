//! Refusals: a status, a sentence that says what to change, and what RFC 3261 wants beside it.

use std::time::Duration;

use super::Agent;
use super::session::DIGITS;
use crate::api::{Flow, Refusal};
use crate::wire::{Request, SDP, Text, TransactionId, Unreadable, quote, reply, salvage_refusal, warning};

/// The methods that are served.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE";

/// What a body may stand in.
pub(super) const MULTIPARTS: [&str; 3] = ["multipart/mixed", "multipart/alternative", "multipart/related"];

impl Agent {
    /// Start a refusal: the sentence is reason phrase and Warning.
    pub(super) fn refusal(
        &mut self,
        request: &Request,
        flow: Flow,
        status: u16,
        sentence: &str,
        to_tag: Option<&str>,
    ) -> Text {
        let tag = to_tag.map_or_else(|| self.token(8), str::to_owned);
        let text = reply(request, flow, status, sentence, Some(&tag))
            .header("Server", &self.config.product)
            .header("Warning", warning(&flow.local.to_string(), sentence));
        match status {
            405 | 501 => text.header("Allow", ALLOW),
            503 => {
                let mut random = [0_u8];
                self.dice.fill(&mut random);
                // Spread the callers over 5 to 10 s.
                let [byte] = random;
                text.header("Retry-After", (5 + byte % 6).to_string())
            }
            _ => text,
        }
    }

    /// Refuse what cannot be read, where that can be done.
    pub(super) fn refuse_unread(&mut self, flow: Flow, bytes: &[u8], sentence: &str) {
        if !self.is_trusted(flow) {
            return;
        }
        let tag = self.stateless_tag(bytes);
        if let Some((flow, refusal)) = salvage_refusal(bytes, sentence, flow, &tag) {
            self.send(flow, refusal);
        }
    }

    /// Refuse a request that has a transaction.
    pub(super) fn refuse(
        &mut self,
        id: TransactionId,
        request: &Request,
        flow: Flow,
        status: u16,
        sentence: &str,
        now: Duration,
    ) {
        self.refuse_with(id, request, flow, status, sentence, &[], now);
    }

    #[expect(clippy::too_many_arguments, reason = "a refusal has this many parts")]
    pub(super) fn refuse_with(
        &mut self,
        id: TransactionId,
        request: &Request,
        flow: Flow,
        status: u16,
        sentence: &str,
        headers: &[(&str, String)],
        now: Duration,
    ) {
        let mut text = self.refusal(request, flow, status, sentence, None);
        for (name, value) in headers {
            text = text.header(name, value);
        }
        self.transactions.respond(id, &text.finish(), now);
    }
}

/// A Reason value (RFC 3326).
pub(super) fn reason(status: u16, text: &str) -> String {
    if text.is_empty() {
        format!("SIP;cause={status}")
    } else {
        format!("SIP;cause={status};text={}", quote(text))
    }
}

/// The phrase of a status, where nobody gave a better one.
pub(super) fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        410 => "Gone",
        480 => "Temporarily Unavailable",
        481 => "Call Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        500 => "Server Internal Error",
        503 => "Service Unavailable",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        _ => "Refused",
    }
}

/// The refusal of a body that cannot be read, and the header field that says what can.
pub(super) fn unreadable_body(request: &Request) -> Option<(Refusal, Vec<(&'static str, String)>)> {
    let known: &[&str] = match request.method() {
        "INVITE" | "UPDATE" => &[SDP],
        "INFO" => &DIGITS,
        _ => return None,
    };
    let (status, reason, beside) = match request.body(known).err()? {
        Unreadable::Type(sentence) => (
            415,
            sentence,
            vec![("Accept", [known, &MULTIPARTS].concat().join(", "))],
        ),
        Unreadable::Encoding => {
            let sentence = "The body is encoded; send it without Content-Encoding and Content-Transfer-Encoding";
            (
                415,
                sentence.to_owned(),
                vec![("Accept-Encoding", "identity".to_owned())],
            )
        }
        Unreadable::Malformed(sentence) => (400, sentence.to_owned(), Vec::new()),
    };
    Some((Refusal { status, reason }, beside))
}
