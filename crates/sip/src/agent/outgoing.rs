//! Calls that we place (RFC 3261, section 13.2), their forks and their cancellation.

use std::time::Duration;

use offhook_words::{EndedBy, LegEndCause, Transport};

use super::forks::{Answer, Forks};
use super::leg::{Calling, Leg, Stage};
use super::refuse::{ALLOW, reason};
use super::session::PRESSES;
use super::{Agent, Alarm, GIVE_UP, cut};
use crate::api::{CommandError, Event, Flow, Invite, LegKey, Output};
use crate::dialog::{Dialog, Unreadable, contact, via};
use crate::wire::{Response, Text, TransactionId, canonical, is_header, parse_uri, quote};

/// Who serves SIP answers an INVITE by then, be it with 100; else it is asked whether anybody is there.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the agent writes itself; an application cannot send a second one.
const OWN_HEADERS: [&str; 17] = [
    "via",
    "from",
    "to",
    "call-id",
    "cseq",
    "contact",
    "max-forwards",
    "route",
    "record-route",
    "content-type",
    "content-length",
    "content-encoding",
    "allow",
    "supported",
    "require",
    "user-agent",
    "proxy-require",
];

impl Agent {
    pub(super) fn invite(&mut self, invite: Invite, now: Duration) -> Result<(), CommandError> {
        if self.legs.contains_key(&invite.leg) || invite.leg.0 >= self.next_leg {
            return Err(CommandError::WrongState(
                "the key of a new leg comes from allocate_leg, once each",
            ));
        }
        check_invite(&invite)?;
        let (local_tag, call_id, branch) = (self.token(8), self.token(16), self.branch());
        let flow = invite.flow;
        let display = if invite.from_display.is_empty() {
            String::new()
        } else {
            format!("{} ", quote(&invite.from_display))
        };
        let local = format!("{display}<{}>;tag={local_tag}", invite.from_uri).into_bytes();
        let text = Text::request("INVITE", &invite.to_uri)
            .header("Via", via(flow, &branch))
            .header("Max-Forwards", "70")
            .header("From", &local)
            .header("To", format!("<{}>", invite.to_uri))
            .header("Call-ID", &call_id)
            .header("CSeq", "1 INVITE")
            .header("Contact", contact(flow))
            .header("Allow", ALLOW)
            .header("Supported", "")
            .header("User-Agent", &self.config.product)
            .headers(&invite.headers)
            .sdp(&invite.body);
        let Some(id) = self.transactions.request(&text, flow, now) else {
            return Err(CommandError::BadRequest(
                "the INVITE cannot be written with these URIs".to_owned(),
            ));
        };
        self.enter(Leg {
            key: invite.leg,
            flow,
            local_tag,
            call_id,
            stage: Stage::Calling(Calling {
                uri: invite.to_uri,
                local,
                cseq: 1,
                branch,
                is_proceeding: false,
                is_asked: false,
                cancel: None,
            }),
            is_told: false,
            dialog: None,
            accepted: None,
            reoffer: None,
            invites: Vec::new(),
            line: None,
            forks: Forks::default(),
            dialled: Some(flow.peer.ip()),
            merge: None,
            places: None,
            proven: None,
            presses: PRESSES.full(),
        });
        self.keep_invite(invite.leg, id);
        self.arm(invite.leg, Alarm::RingTimeout, now.saturating_add(invite.ring_timeout));
        if flow.transport == Transport::Udp {
            self.arm(invite.leg, Alarm::Probe, now.saturating_add(PATIENCE));
        }
        Ok(())
    }

    pub(super) fn on_probe_due(&mut self, key: LegKey) {
        if let Some(leg) = self.legs.get_mut(&key)
            && let Stage::Calling(calling) = &mut leg.stage
            && !calling.is_proceeding
        {
            calling.is_asked = true;
            self.outputs.push_back(Output::Probe(leg.flow));
        }
    }

    pub(super) fn on_response(&mut self, id: TransactionId, response: &Response, flow: Flow, now: Duration) {
        // Answers to BYE and CANCEL change nothing: their legs are told to be gone.
        let Some(key) = self.invites.get(&id).copied() else {
            return;
        };
        if flow.transport == Transport::Tcp
            && let Some(leg) = self.legs.get_mut(&key)
        {
            // The call stays on the connection that was opened for it.
            leg.flow = flow;
            self.place(key);
        }
        match response.status() {
            100..=199 => self.on_provisional(key, response, now),
            200..=299 => self.on_answered(key, response, now),
            status => self.on_rejected(key, status, response, now),
        }
    }

    fn on_provisional(&mut self, key: LegKey, response: &Response, now: Duration) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let is_told = leg.is_told;
        let Stage::Calling(calling) = &mut leg.stage else {
            return;
        };
        calling.is_proceeding = true;
        if let Some((status, text)) = calling.cancel.take() {
            return self.send_cancel(key, status, &text, now);
        }
        let status = response.status();
        if is_told || status == 100 {
            return;
        }
        let (tag, body, reason) = (tag(response), response.sdp(), cut(&response.reason()));
        if leg.forks.rings(&tag, status, &reason, body.as_deref()) {
            self.tell(Event::Progress {
                leg: key,
                status,
                reason,
                body,
            });
        }
    }

    fn on_answered(&mut self, key: LegKey, response: &Response, now: Duration) {
        let tag = tag(response);
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        match leg.forks.answer(&tag) {
            Answer::New => {}
            Answer::Copy(flow, ack) => return self.send(flow, ack),
            Answer::Surplus => return,
        }
        let (flow, is_told) = (leg.flow, leg.is_told);
        let (is_first, local, uri, cseq, early) = match &leg.stage {
            Stage::Calling(calling) => {
                let early = leg.forks.choose(&tag);
                (true, calling.local.clone(), calling.uri.clone(), calling.cseq, early)
            }
            Stage::Offered(_) | Stage::Up | Stage::Over => {
                let Some(dialog) = &leg.dialog else { return };
                (false, dialog.local.clone(), dialog.target.clone(), 1, None)
            }
        };
        let dialog = Dialog::of_client(response, &local, &uri, cseq, flow);
        let body = response.sdp().or(early);
        self.acknowledge(key, &tag, &dialog, cseq);
        if !is_first {
            // Another fork answered too: it gets its ACK and a BYE.
            return self.bye_in(&dialog, 0, "Another fork answered first", now);
        }
        if let Some(leg) = self.legs.get_mut(&key) {
            leg.dialog = Some(dialog.clone());
            leg.stage = if is_told { Stage::Over } else { Stage::Up };
        }
        self.place(key);
        self.prove(key, flow.peer);
        match (body, dialog.unreadable) {
            _ if is_told => self.bye_in(&dialog, 487, "The call was given up before it was answered", now),
            // Without the tag, the target and the whole route set (12.1.2) later requests would go astray.
            (_, Some(Unreadable { field, change })) => {
                let text = format!("The {field} of the 200 cannot be read: {change}");
                self.give_up(key, 502, &text, now);
            }
            (Some(body), None) => self.tell(Event::Answered { leg: key, body }),
            (None, None) => self.give_up(key, 488, "The 200 had no SDP answer", now),
        }
    }

    /// End a call whose answer is of no use.
    fn give_up(&mut self, key: LegKey, status: u16, text: &str, now: Duration) {
        self.bye(key, status, text, now);
        self.end(key, EndedBy::Local, LegEndCause::Error, status, text, now);
    }

    /// The ACK to a 2xx has a branch of its own and no transaction; copies of the 2xx get it again (13.2.2.4).
    fn acknowledge(&mut self, key: LegKey, tag: &str, dialog: &Dialog, cseq: u32) {
        let branch = self.branch();
        let flow = dialog.next_flow(&self.config.trusted);
        let ack = dialog
            .request("ACK", cseq, &branch, flow)
            .header("User-Agent", &self.config.product)
            .finish();
        if let Some(leg) = self.legs.get_mut(&key) {
            leg.forks.acknowledged(tag, flow, &ack);
        }
        self.send(flow, ack);
    }

    fn on_rejected(&mut self, key: LegKey, status: u16, response: &Response, now: Duration) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        if !matches!(leg.stage, Stage::Calling(_)) {
            return;
        }
        leg.stage = Stage::Over;
        let phrase = response.reason();
        let text = if phrase.is_empty() {
            response.explanation().unwrap_or_default()
        } else {
            phrase
        };
        self.end(key, EndedBy::Remote, LegEndCause::Rejected, status, &text, now);
    }

    pub(super) fn on_no_response(&mut self, id: TransactionId, cause: LegEndCause, now: Duration) {
        let Some(key) = self.invites.get(&id).copied() else {
            return;
        };
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        if !matches!(leg.stage, Stage::Calling(_)) {
            return;
        }
        leg.stage = Stage::Over;
        let (status, text) = match cause {
            LegEndCause::Timeout => (
                408,
                "No response within 32 s; check the address and that SIP is served there",
            ),
            _ => (
                503,
                "The address could not be reached; check the address and that SIP is served there",
            ),
        };
        self.end(key, EndedBy::Nobody, cause, status, text, now);
    }

    pub(super) fn on_ring_timeout(&mut self, key: LegKey, now: Duration) {
        let Some(leg) = self.legs.get(&key) else {
            return;
        };
        if leg.is_told || !matches!(leg.stage, Stage::Calling(_)) {
            return;
        }
        self.cancel(key, 408, "Nobody answered in time", now);
        self.end(
            key,
            EndedBy::Nobody,
            LegEndCause::Timeout,
            408,
            "Nobody answered within the ring timeout",
            now,
        );
    }

    /// CANCEL now, or as soon as anything comes back (9.1).
    pub(super) fn cancel(&mut self, key: LegKey, status: u16, text: &str, now: Duration) {
        let Some(Leg {
            stage: Stage::Calling(calling),
            ..
        }) = self.legs.get_mut(&key)
        else {
            return;
        };
        if calling.is_proceeding {
            self.send_cancel(key, status, text, now);
        } else {
            calling.cancel = Some((status, text.to_owned()));
        }
    }

    fn send_cancel(&mut self, key: LegKey, status: u16, text: &str, now: Duration) {
        let Some(Leg {
            stage: Stage::Calling(calling),
            flow,
            call_id,
            ..
        }) = self.legs.get(&key)
        else {
            return;
        };
        let mut cancel = Text::request("CANCEL", &calling.uri)
            .header("Via", via(*flow, &calling.branch))
            .header("Max-Forwards", "70")
            .header("From", &calling.local)
            .header("To", format!("<{}>", calling.uri))
            .header("Call-ID", call_id)
            .header("CSeq", format!("{} CANCEL", calling.cseq));
        if status != 0 {
            cancel = cancel.header("Reason", reason(status, text));
        }
        let (bytes, flow) = (cancel.finish(), *flow);
        self.transactions.request(&bytes, flow, now);
        // Whoever does not answer the INVITE even now is given up after 32 s (9.1).
        self.arm(key, Alarm::Forget, now.saturating_add(GIVE_UP));
    }
}

fn tag(response: &Response) -> String {
    response.to().map(|to| to.tag).unwrap_or_default()
}

fn check_invite(invite: &Invite) -> Result<(), CommandError> {
    for (what, uri) in [("to_uri", &invite.to_uri), ("from_uri", &invite.from_uri)] {
        let facts = parse_uri(uri).map_err(|change| CommandError::BadRequest(format!("{what} is no URI: {change}")))?;
        if facts.scheme != "sip" || facts.has_headers {
            return Err(CommandError::BadRequest(format!(
                "{what} has to be sip:user@host, without ?headers"
            )));
        }
    }
    if invite.from_display.contains(|c: char| c.is_control()) {
        return Err(CommandError::BadRequest(
            "from_display holds a control character; remove it".to_owned(),
        ));
    }
    if invite.headers.len() > 64 {
        return Err(CommandError::BadRequest("more than 64 headers; send fewer".to_owned()));
    }
    for (name, value) in &invite.headers {
        if OWN_HEADERS.contains(&canonical(name).as_str()) {
            return Err(CommandError::BadRequest(format!(
                "the header {name} is written by the engine; leave it out"
            )));
        }
        if value.len() > 4_096 || !is_header(name, value) {
            return Err(CommandError::BadRequest(format!(
                "the header {name} cannot be sent; the name has to be a token, the value one line of up to 4 KiB"
            )));
        }
    }
    Ok(())
}
