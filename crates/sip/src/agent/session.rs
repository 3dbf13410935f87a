//! Requests inside a dialog: ACK, BYE, re-INVITE, UPDATE, INFO (RFC 3261, sections 12 to 15; RFC 3311; RFC 6086).

use std::sync::Arc;
use std::time::Duration;

use offhook_words::{EndedBy, LegEndCause};

use super::Agent;
use super::refuse::{phrase, reason};
use super::roll::Ending;
use super::state::{End, Reason, Reoffer, Stage, State, Step, Unacknowledged};
use crate::api::{CommandError, Event, Flow, LegKey, Refusal};
use crate::dialog::Dialog;
use crate::shares::Rate;
use crate::wire::{Request, TransactionId, reply};

/// Digits by INFO.
pub(super) const DIGITS: [&str; 2] = ["application/dtmf-relay", "application/dtmf"];

/// What a leg may press by INFO: no hand is as fast, and each press is a report that is kept.
pub(super) const PRESSES: Rate = Rate {
    a_second: 16.0,
    at_once: 64.0,
};

impl Agent {
    pub(super) fn on_request_in_dialog(&mut self, id: TransactionId, request: Request, flow: Flow, now: Duration) {
        let Some(key) = self.find(&request) else {
            return self.on_request_in_early_dialog(id, &request, flow, now);
        };
        let number = request.cseq().map(|(number, _)| number).unwrap_or_default();
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        if let Some(dialog) = leg.state.dialog_mut() {
            if dialog.remote_cseq.is_some_and(|last| number <= last) {
                let sentence = "CSeq is not higher than that of the last request in this call; count on";
                return self.refuse(id, &request, flow, 500, sentence, now);
            }
            dialog.remote_cseq = Some(number);
        }
        let is_live = leg.state.is_live();
        match request.method() {
            "BYE" => self.on_bye(key, id, &request, flow, now),
            "OPTIONS" => self.on_options(id, &request, flow, now),
            "INFO" if is_live => self.on_info(key, id, &request, flow, now),
            "UPDATE" if is_live && request.sdp().is_none() => self.on_update(key, id, &request, flow, now),
            "INVITE" | "UPDATE" if is_live => self.on_offer(key, id, request, flow, now),
            _ => self.no_dialog(id, &request, flow, now),
        }
    }

    /// A fork of a call of ours that rings: our offer is open, so another one is glare (14.2; RFC 3311, section 5.2).
    /// An UPDATE without one is none.
    fn on_request_in_early_dialog(&mut self, id: TransactionId, request: &Request, flow: Flow, now: Duration) {
        let is_early = self.is_in_early_dialog(request);
        match request.method() {
            "UPDATE" if is_early && request.sdp().is_none() => self.accept_update(id, request, flow, now),
            "INVITE" | "UPDATE" if is_early => {
                let sentence = "Our offer is not answered yet; answer the INVITE first, then try again";
                self.refuse(id, request, flow, 491, sentence, now);
            }
            "OPTIONS" if is_early => self.on_options(id, request, flow, now),
            _ => self.no_dialog(id, request, flow, now),
        }
    }

    pub(super) fn is_in_early_dialog(&self, request: &Request) -> bool {
        let (Some(to), Some(from)) = (request.to(), request.from()) else {
            return false;
        };
        let leg = self.tags.get(&to.tag).and_then(|key| self.legs.get(key));
        leg.is_some_and(|leg| {
            leg.state.placed().is_some() && leg.call_id == request.call_id() && leg.forks.is_ringing(&from.tag)
        })
    }

    /// The leg whose dialog a request is in: our tag, their tag and the Call-ID (12.2.2).
    pub(super) fn find(&self, request: &Request) -> Option<LegKey> {
        let (to, from) = (request.to()?, request.from()?);
        let key = self.tags.get(&to.tag).copied()?;
        let leg = self.legs.get(&key)?;
        let dialog = leg.state.dialog()?;
        (leg.call_id == request.call_id() && dialog.remote_tag == from.tag).then_some(key)
    }

    pub(super) fn on_ack(&mut self, ack: &Request, now: Duration) {
        let Some(key) = self.find(ack) else { return };
        let Some(leg) = self.legs.get(&key) else { return };
        let number = ack.cseq().map(|(number, _)| number);
        let Some(ok) = leg.state.unacknowledged().filter(|ok| Some(ok.cseq) == number) else {
            return;
        };
        let (stage, is_offer, peer) = (leg.state.stage(), ok.is_offer, leg.flow.peer);
        let waiting = leg.state.waiting().cloned();
        self.step(key, Step::Ack, now);
        if matches!(stage, Stage::Answered | Stage::Leaving) {
            self.prove(key, peer);
        }
        if let Some(why) = waiting {
            return self.bye(key, why.status, &why.text, now);
        }
        if !stage.is_live() {
            return;
        }
        let body = ack.sdp().filter(|_| is_offer);
        if is_offer && body.is_none() {
            return self.give_up(key, 488, "The ACK had no SDP answer to the offer in our 200", now);
        }
        self.tell(Event::Confirmed { leg: key, body });
    }

    fn on_bye(&mut self, key: LegKey, id: TransactionId, request: &Request, flow: Flow, now: Duration) {
        let text = reply(request, flow, 200, "OK", None).header("Server", &self.config.product);
        self.transactions.respond(id, &text.finish(), now);
        let (status, reason) = request.reason();
        self.refuse_reoffer(key, 487, "The call has ended", now);
        if self.is_at(key, Stage::Offered) {
            // BYE on an early dialog ends the INVITE too (15.1.2).
            let _already_final = self.refuse_offered(key, 487, "The caller hung up", &[], now);
        }
        let ending = Ending {
            by: EndedBy::Remote,
            cause: LegEndCause::Bye,
            status,
            reason: &reason,
        };
        self.end(key, End::Bye, &ending, now);
    }

    fn on_info(&mut self, key: LegKey, id: TransactionId, request: &Request, flow: Flow, now: Duration) {
        let digit = match request.body(&DIGITS) {
            Ok(Some(body)) => Some(parse_info(&body.text)),
            // An INFO without a body is a keep-alive.
            _ => None,
        };
        if digit == Some(None) {
            let sentence = "The body names no digit; send Signal= and one of 0-9, *, #, A-D";
            return self.refuse(id, request, flow, 400, sentence, now);
        }
        let leg = self.legs.get_mut(&key);
        if digit.is_some() && leg.is_some_and(|leg| !leg.presses.take(PRESSES, now)) {
            let sentence = "Digits come too fast; send at most 16 a second";
            let later = [("Retry-After", "1".to_owned())];
            return self.refuse_with(id, request, flow, 500, sentence, &later, now);
        }
        let text = reply(request, flow, 200, "OK", None).header("Server", &self.config.product);
        self.transactions.respond(id, &text.finish(), now);
        if let Some(Some((digit, duration_ms))) = digit {
            self.tell(Event::InfoDigit {
                leg: key,
                digit,
                duration_ms,
            });
        }
    }

    fn on_update(&mut self, key: LegKey, id: TransactionId, request: &Request, flow: Flow, now: Duration) {
        self.refresh(key, request, flow);
        self.accept_update(id, request, flow, now);
    }

    fn accept_update(&mut self, id: TransactionId, request: &Request, flow: Flow, now: Duration) {
        // It is in a dialog: our tag is in its To.
        let tag = request.to().map(|to| to.tag).unwrap_or_default();
        let bytes = self.dialog_reply(request, flow, 200, "OK", &tag).finish();
        self.transactions.respond(id, &bytes, now);
    }

    fn on_offer(&mut self, key: LegKey, id: TransactionId, request: Request, flow: Flow, now: Duration) {
        let Some(leg) = self.legs.get(&key) else { return };
        if let Some(untimely) = leg.state.untimely() {
            let later = untimely
                .retry_after_s
                .map(|seconds| ("Retry-After", seconds.to_string()));
            let (status, sentence) = (untimely.status, untimely.sentence);
            return self.refuse_with(id, &request, flow, status, sentence, later.as_slice(), now);
        }
        // A new offer proves that the answer to the last one came, even if its ACK did not.
        let peer = leg.flow.peer;
        if self.is_at(key, Stage::Answered) {
            self.prove(key, peer);
            self.tell(Event::Confirmed { leg: key, body: None });
        }
        let body = request.sdp();
        let is_update = request.method() == "UPDATE";
        if !is_update {
            let trying = reply(&request, flow, 100, "Trying", None).finish();
            self.transactions.respond(id, &trying, now);
            self.keep_invite(key, id);
        }
        let reoffer = Reoffer {
            transaction: id,
            request: Arc::new(request),
            flow,
            is_update,
        };
        self.step(key, Step::Offer(reoffer), now);
        self.tell(Event::Reoffer { leg: key, body });
    }

    pub(super) fn answer_reoffer(
        &mut self,
        key: LegKey,
        body: Result<String, Refusal>,
        now: Duration,
    ) -> Result<(), CommandError> {
        let leg = self
            .legs
            .get(&key)
            .filter(|leg| leg.state.is_live())
            .ok_or(CommandError::UnknownLeg)?;
        let tag = leg.local_tag.clone();
        let Some(reoffer) = leg.state.reoffer().cloned() else {
            return Err(CommandError::WrongState(
                "the peer has no offer that waits for an answer",
            ));
        };
        let (request, flow, id) = (&reoffer.request, reoffer.flow, reoffer.transaction);
        let step = match body {
            Ok(body) => {
                self.refresh(key, request, flow);
                let bytes = self.dialog_reply(request, flow, 200, "OK", &tag).sdp(&body);
                self.transactions.respond(id, &bytes, now);
                if reoffer.is_update {
                    Step::Settle
                } else {
                    Step::Reanswer(Unacknowledged::new(id, request, bytes))
                }
            }
            Err(Refusal { status, reason }) => {
                self.refuse(id, request, flow, status, &reason, now);
                Step::Settle
            }
        };
        self.step(key, step, now);
        Ok(())
    }

    pub(super) fn on_reoffer_unanswered(&mut self, key: LegKey, now: Duration) {
        let sentence = "The offer could not be answered in time; the call goes on as it was";
        self.refuse_reoffer(key, 500, sentence, now);
        self.step(key, Step::Settle, now);
    }

    /// CANCEL of a re-INVITE: the session stays as it was.
    pub(super) fn cancel_reoffer(&mut self, key: LegKey, invite: TransactionId, now: Duration) {
        let reoffer = self.legs.get(&key).and_then(|leg| leg.state.reoffer());
        if reoffer.is_some_and(|reoffer| reoffer.transaction == invite) {
            self.refuse_reoffer(key, 487, "The offer was cancelled", now);
            self.step(key, Step::Settle, now);
        }
    }

    /// Refuse an offer that waits for our answer, where there is one; a step that leaves it behind has to follow.
    fn refuse_reoffer(&mut self, key: LegKey, status: u16, sentence: &str, now: Duration) {
        if let Some(reoffer) = self.legs.get(&key).and_then(|leg| leg.state.reoffer().cloned()) {
            self.refuse(
                reoffer.transaction,
                &reoffer.request,
                reoffer.flow,
                status,
                sentence,
                now,
            );
        }
    }

    /// Target refresh (12.2.2): a new Contact, and the way this request came.
    fn refresh(&mut self, key: LegKey, request: &Request, flow: Flow) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        // An INVITE that waits for its answer stays where it came from.
        if !matches!(leg.state, State::Offered(_)) {
            leg.flow = flow;
        }
        if let Some(dialog) = leg.state.dialog_mut() {
            dialog.flow = flow;
            if let Ok(Some(contact)) = request.contact() {
                dialog.target = contact;
            }
        }
        self.place(key);
    }

    pub(super) fn hangup(
        &mut self,
        key: LegKey,
        status: u16,
        text: &str,
        headers: &[(String, String)],
        now: Duration,
    ) -> Result<(), CommandError> {
        if status != 0 && !(400..=699).contains(&status) {
            return Err(CommandError::BadRequest("status has to be 0 or 400 to 699".to_owned()));
        }
        let stage = self.legs.get(&key).ok_or(CommandError::UnknownLeg)?.state.stage();
        let ending = |cause| Ending {
            by: EndedBy::Local,
            cause,
            status,
            reason: text,
        };
        let why = Reason::new(status, text);
        match stage {
            Stage::Offered => {
                let status = if status == 0 { 603 } else { status };
                let reason = if text.is_empty() { phrase(status) } else { text };
                self.refuse_offered(key, status, reason, headers, now)?;
                let rejected = Ending {
                    status,
                    reason,
                    ..ending(LegEndCause::Rejected)
                };
                self.end(key, End::Hangup(why), &rejected, now);
            }
            Stage::Calling | Stage::Proceeding => self.cancel(key, why, &ending(LegEndCause::Cancel), now),
            // No BYE before the ACK to the first 2xx (15).
            Stage::Answered => self.end(key, End::Hangup(why), &ending(LegEndCause::Bye), now),
            Stage::Up | Stage::Reoffered | Stage::Reanswered => {
                self.refuse_reoffer(key, 487, "The call has ended", now);
                self.bye(key, status, text, now);
                self.end(key, End::Hangup(why), &ending(LegEndCause::Bye), now);
            }
            Stage::Cancelling | Stage::Cancelled | Stage::Leaving | Stage::Left | Stage::Over => {}
        }
        Ok(())
    }

    pub(super) fn bye(&mut self, key: LegKey, status: u16, text: &str, now: Duration) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let Some(dialog) = leg.state.dialog_mut() else {
            return;
        };
        let dialog_now = dialog.clone();
        dialog.local_cseq = dialog.local_cseq.saturating_add(1);
        self.bye_in(&dialog_now, status, text, now);
    }

    pub(super) fn bye_in(&mut self, dialog: &Dialog, status: u16, text: &str, now: Duration) {
        let branch = self.branch();
        let flow = dialog.next_flow(&self.config.trusted);
        let cseq = dialog.local_cseq.saturating_add(1);
        let mut bye = dialog
            .request("BYE", cseq, &branch, flow)
            .header("User-Agent", &self.config.product);
        if status != 0 {
            bye = bye.header("Reason", reason(status, text));
        } else if !text.is_empty() {
            bye = bye.header("Reason", reason(200, text));
        }
        self.transactions.request(&bye.finish(), flow, now);
    }
}

fn parse_digit(text: &str) -> Option<char> {
    match text {
        // Some phones number the two keys after 9.
        "10" => Some('*'),
        "11" => Some('#'),
        _ => {
            let mut characters = text.chars();
            let digit = characters.next()?.to_ascii_uppercase();
            (characters.next().is_none() && matches!(digit, '0'..='9' | '*' | '#' | 'A'..='D')).then_some(digit)
        }
    }
}

/// The digit of an INFO and its length, in the form of `application/dtmf-relay` or as it stands: senders confuse their
/// types, and some end the body as C ends a string.
fn parse_info(body: &str) -> Option<(char, u32)> {
    let body = body.trim_end_matches('\0');
    if !body.contains('=') {
        return Some((parse_digit(body.trim())?, 0));
    }
    let field = |wanted: &str| {
        body.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim().to_owned())
    };
    let digit = parse_digit(&field("Signal")?)?;
    let duration_ms = field("Duration").and_then(|value| value.parse().ok()).unwrap_or(0);
    Some((digit, duration_ms))
}
