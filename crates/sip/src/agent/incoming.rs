//! Requests outside of a dialog, and the legs that INVITEs make (RFC 3261, sections 8.2 and 13.3).

use std::sync::Arc;
use std::time::Duration;

use offhook_words::{EndedBy, LegEndCause};

use super::Agent;
use super::forks::Forks;
use super::leg::Leg;
use super::refuse::{ALLOW, MULTIPARTS, phrase, unreadable_body};
use super::roll::Ending;
use super::session::{DIGITS, PRESSES};
use super::state::{End, Offered, Reason, Stage, State, Step, Unacknowledged};
use super::timers::{MINUTE, T2, Timer, Timers};
use crate::api::{CommandError, Event, Flow, Incoming, LegKey, Refusal};
use crate::dialog::{Dialog, contact};
use crate::shares::source;
use crate::wire::{Request, SDP, Text, TransactionId, reply, warning};

const ONLY_UNANSWERED: CommandError =
    CommandError::WrongState("this leg is not an inbound call that waits for its answer");

impl Agent {
    pub(super) fn on_request(&mut self, id: TransactionId, request: Request, flow: Flow, now: Duration) {
        let has_tag = request.to().is_some_and(|to| !to.tag.is_empty());
        match request.method() {
            "CANCEL" => return self.on_cancel(id, &request, flow, now),
            "INVITE" | "OPTIONS" | "BYE" | "INFO" | "UPDATE" => {}
            "REGISTER" | "SUBSCRIBE" | "NOTIFY" | "REFER" | "MESSAGE" | "PUBLISH" | "PRACK" => {
                let sentence = format!("{} is not served here; Allow lists what is", request.method());
                return self.refuse(id, &request, flow, 405, &sentence, now);
            }
            _ => {
                let sentence = "This method is not known here; Allow lists what is";
                return self.refuse(id, &request, flow, 501, sentence, now);
            }
        }
        if !has_tag && !matches!(request.uri_scheme().as_str(), "sip" | "tel") {
            let sentence = match request.uri_scheme().as_str() {
                "sips" => "sips: needs TLS on the whole way, which is not built yet; use sip:",
                _ => "Only sip: and tel: are served in a Request-URI; use one of them",
            };
            return self.refuse(id, &request, flow, 416, sentence, now);
        }
        if let Err(unknown) = request.supports_nothing_but("Require", &[]) {
            let unknown = unknown.join(", ");
            let sentence = "No extension is supported; leave out of Require what Unsupported lists";
            return self.refuse_with(id, &request, flow, 420, sentence, &[("Unsupported", unknown)], now);
        }
        if let Some((Refusal { status, reason }, headers)) = unreadable_body(&request) {
            return self.refuse_with(id, &request, flow, status, &reason, &headers, now);
        }
        if matches!(request.method(), "INVITE" | "UPDATE") && !request.accepts_sdp() {
            let sentence = "Our answer is application/sdp; leave that in Accept, or leave Accept out";
            return self.refuse(id, &request, flow, 406, sentence, now);
        }
        if has_tag {
            return self.on_request_in_dialog(id, request, flow, now);
        }
        match request.method() {
            "INVITE" => self.on_invite(id, request, flow, now),
            "OPTIONS" => self.on_options(id, &request, flow, now),
            _ => self.no_dialog(id, &request, flow, now),
        }
    }

    pub(super) fn no_dialog(&mut self, id: TransactionId, request: &Request, flow: Flow, now: Duration) {
        let sentence = "No call has this Call-ID and these tags, or it has ended; start a new one";
        self.refuse(id, request, flow, 481, sentence, now);
    }

    pub(super) fn on_options(&mut self, id: TransactionId, request: &Request, flow: Flow, now: Duration) {
        if let Some(sentence) = self.closed.clone() {
            return self.refuse(id, request, flow, 503, &sentence, now);
        }
        let tag = self.token(8);
        let text = reply(request, flow, 200, "OK", Some(&tag))
            .header("Contact", contact(flow))
            .header("Allow", ALLOW)
            .header("Accept", [&[SDP][..], &DIGITS, &MULTIPARTS].concat().join(", "))
            .header("Accept-Encoding", "identity")
            .header("Accept-Language", "en")
            .header("Supported", "")
            .header("Server", &self.config.product);
        self.transactions.respond(id, &text.finish(), now);
    }

    fn on_invite(&mut self, id: TransactionId, request: Request, flow: Flow, now: Duration) {
        let (Some(from), Some(to), Some((number, _))) = (request.from(), request.to(), request.cseq()) else {
            return;
        };
        let merge = (request.call_id(), from.tag.clone(), number);
        if self.merges.contains_key(&merge) {
            let sentence = "This INVITE came here already by another way; one of them is being served";
            return self.refuse(id, &request, flow, 482, sentence, now);
        }
        let key = self.allocate_leg();
        let local_tag = self.token(8);
        let incoming = Incoming {
            leg: key,
            flow,
            call_id: request.call_id(),
            request_uri: request.uri(),
            from_uri: from.uri,
            to_uri: to.uri,
            from_display: from.display,
            headers: request.headers(),
            offer: request.sdp(),
        };
        let trying = reply(&request, flow, 100, "Trying", None).finish();
        let leg = Leg {
            key,
            flow,
            call_id: request.call_id(),
            state: State::Offered(Offered {
                dialog: Dialog::of_server(&request, &local_tag, flow),
                invite: id,
                request: Arc::new(request),
                line: source(flow),
                provisional: None,
            }),
            local_tag,
            timers: Timers::default(),
            deadline: None,
            invites: Vec::new(),
            forks: Forks::default(),
            dialled: None,
            merge: Some((id, merge)),
            places: None,
            proven: None,
            presses: PRESSES.full(),
        };
        self.enter(leg, now);
        self.keep_invite(key, id);
        self.tell(Event::Incoming(Box::new(incoming)));
        self.transactions.respond(id, &trying, now);
    }

    pub(super) fn ring(&mut self, key: LegKey, body: Option<&str>, now: Duration) -> Result<(), CommandError> {
        let (invite, request, flow, tag) = self.offered(key)?;
        let (status, phrase) = if body.is_some() {
            (183, "Session Progress")
        } else {
            (180, "Ringing")
        };
        let bytes = self
            .dialog_reply(&request, flow, status, phrase, &tag)
            .optional_sdp(body);
        self.transactions.respond(invite, &bytes, now);
        if let Some(State::Offered(offered)) = self.legs.get_mut(&key).map(|leg| &mut leg.state) {
            offered.provisional = Some(bytes);
        }
        self.set(key, Timer::Provisional, now.saturating_add(MINUTE));
        Ok(())
    }

    pub(super) fn answer(&mut self, key: LegKey, body: &str, now: Duration) -> Result<(), CommandError> {
        let (invite, request, flow, tag) = self.offered(key)?;
        let bytes = self.dialog_reply(&request, flow, 200, "OK", &tag).sdp(body);
        self.transactions.respond(invite, &bytes, now);
        let ok = Unacknowledged::new(invite, &request, bytes);
        self.step(key, Step::Answer(ok), now);
        Ok(())
    }

    /// The 2xx goes out again until its ACK, on reliable transports too: a hop beyond may not be one (13.3.1.4).
    pub(super) fn on_again(&mut self, key: LegKey, at: Duration, now: Duration) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let is_late = leg.timers.at(Timer::AckLost).is_some_and(|end| end <= now);
        let Some(ok) = leg.state.unacknowledged_mut().filter(|_| !is_late) else {
            return;
        };
        ok.interval = ok.interval.saturating_mul(2).min(T2);
        let (next, transaction, bytes) = (at.saturating_add(ok.interval), ok.transaction, ok.bytes.clone());
        self.transactions.respond(transaction, &bytes, now);
        self.set(key, Timer::Again, next);
    }

    pub(super) fn on_ack_lost(&mut self, key: LegKey, now: Duration) {
        let Some(leg) = self.legs.get(&key) else { return };
        let waiting = leg.state.waiting().cloned();
        let why = waiting
            .unwrap_or_else(|| Reason::new(408, "No ACK came within 32 s; check that our Contact can be reached"));
        // A leg that left had its BYE.
        if leg.state.stage() != Stage::Left {
            self.bye(key, why.status, &why.text, now);
        }
        let ending = Ending {
            by: EndedBy::Nobody,
            cause: LegEndCause::AckTimeout,
            status: 408,
            reason: "No ACK came within 32 s",
        };
        self.end(key, End::AckLost, &ending, now);
    }

    pub(super) fn on_provisional_due(&mut self, key: LegKey, now: Duration) {
        if let Some(State::Offered(offered)) = self.legs.get(&key).map(|leg| &leg.state)
            && let Some(bytes) = &offered.provisional
        {
            self.transactions.respond(offered.invite, bytes, now);
            self.set(key, Timer::Provisional, now.saturating_add(MINUTE));
        }
    }

    pub(super) fn on_unanswered(&mut self, key: LegKey, now: Duration) {
        let sentence = "Nobody answered within 300 s; try again later";
        if self.refuse_offered(key, 480, sentence, &[], now).is_ok() {
            let ending = Ending {
                by: EndedBy::Nobody,
                cause: LegEndCause::Timeout,
                status: 480,
                reason: sentence,
            };
            self.end(key, End::Hangup(Reason::new(480, sentence)), &ending, now);
        }
    }

    /// Send the final refusal of an INVITE that is not answered.
    pub(super) fn refuse_offered(
        &mut self,
        key: LegKey,
        status: u16,
        sentence: &str,
        headers: &[(String, String)],
        now: Duration,
    ) -> Result<(), CommandError> {
        let (invite, request, flow, tag) = self.offered(key)?;
        let sentence = if sentence.is_empty() { phrase(status) } else { sentence };
        let has_retry = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Retry-After"));
        let text = if has_retry {
            reply(&request, flow, status, sentence, Some(&tag))
                .header("Server", &self.config.product)
                .header("Warning", warning(&flow.local.to_string(), sentence))
        } else {
            self.refusal(&request, flow, status, sentence, Some(&tag))
        };
        self.transactions.respond(invite, &text.headers(headers).finish(), now);
        Ok(())
    }

    fn on_cancel(&mut self, id: TransactionId, cancel: &Request, flow: Flow, now: Duration) {
        let found = self
            .transactions
            .cancelled_invite(cancel)
            .filter(|(_, way)| way.peer.ip() == flow.peer.ip());
        let Some((invite, _)) = found else {
            let sentence = "No INVITE with this branch is here; it may have been answered long ago";
            return self.refuse(id, cancel, flow, 481, sentence, now);
        };
        let key = self.invites.get(&invite).copied();
        let tag = key
            .and_then(|key| self.legs.get(&key).map(|leg| leg.local_tag.clone()))
            .unwrap_or_else(|| self.token(8));
        let text = reply(cancel, flow, 200, "OK", Some(&tag)).header("Server", &self.config.product);
        self.transactions.respond(id, &text.finish(), now);
        if let Some(key) = key {
            let reason = cancel.reason().1;
            // After our final response a CANCEL has no effect (9.2); the BYE that follows it has.
            if self.refuse_offered(key, 487, "The caller cancelled", &[], now).is_ok() {
                let ending = Ending {
                    by: EndedBy::Remote,
                    cause: LegEndCause::Cancel,
                    status: 487,
                    reason: &reason,
                };
                self.end(key, End::Cancel, &ending, now);
            } else {
                self.cancel_reoffer(key, invite, now);
            }
        }
    }

    /// A response that makes or is in a dialog: Record-Route is copied, our Contact is where we listen (12.1.1).
    pub(super) fn dialog_reply(&self, request: &Request, flow: Flow, status: u16, phrase: &str, tag: &str) -> Text {
        let mut text = reply(request, flow, status, phrase, Some(tag));
        for route in request.values("Record-Route") {
            text = text.header("Record-Route", route);
        }
        text.header("Contact", contact(flow))
            .header("Allow", ALLOW)
            .header("Supported", "")
            .header("Server", &self.config.product)
    }

    fn offered(&self, key: LegKey) -> Result<(TransactionId, Arc<Request>, Flow, String), CommandError> {
        let leg = self.legs.get(&key).ok_or(CommandError::UnknownLeg)?;
        match &leg.state {
            State::Offered(offered) => Ok((offered.invite, offered.request.clone(), leg.flow, leg.local_tag.clone())),
            other if other.is_live() => Err(ONLY_UNANSWERED),
            _ => Err(CommandError::UnknownLeg),
        }
    }
}
