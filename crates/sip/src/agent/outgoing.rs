//! Calls that we place (RFC 3261, section 13.2), their forks and their cancellation.

use std::time::Duration;

use offhook_words::{EndedBy, LegEndCause, Transport};

use super::forks::{Answer, Forks};
use super::leg::Leg;
use super::refuse::{ALLOW, reason};
use super::roll::Ending;
use super::session::PRESSES;
use super::state::{End, Placed, Reason, Silent, Stage, State, Step};
use super::timers::Timers;
use super::{Agent, cut};
use crate::api::{CommandError, Event, Flow, Invite, LegKey, Output};
use crate::dialog::{Dialog, Unreadable, contact, via};
use crate::wire::{Response, Text, TransactionId, canonical, is_header, parse_uri, quote};

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
        let placed = Placed {
            uri: invite.to_uri,
            local,
            cseq: 1,
            branch,
        };
        let leg = Leg {
            key: invite.leg,
            flow,
            local_tag,
            call_id,
            state: State::Calling(Silent {
                placed,
                ring_timeout: invite.ring_timeout,
                response_timeout: invite.response_timeout,
                is_asked: false,
            }),
            timers: Timers::default(),
            deadline: None,
            invites: Vec::new(),
            forks: Forks::default(),
            dialled: Some(flow.peer.ip()),
            merge: None,
            places: None,
            proven: None,
            presses: PRESSES.full(),
        };
        self.enter(leg, now);
        self.keep_invite(invite.leg, id);
        Ok(())
    }

    pub(super) fn on_probe_due(&mut self, key: LegKey) {
        if let Some(leg) = self.legs.get_mut(&key)
            && let State::Calling(silent) | State::Cancelling(silent, _) = &mut leg.state
        {
            silent.is_asked = true;
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
        let waiting = self.legs.get(&key).and_then(|leg| leg.state.waiting().cloned());
        let is_moved = self.step(key, Step::Provisional, now);
        if let Some(why) = waiting.filter(|_| is_moved) {
            return self.send_cancel(key, &why, now);
        }
        let status = response.status();
        let is_ringing = |leg: &&mut Leg| leg.state.stage() == Stage::Proceeding && status != 100;
        let Some(leg) = self.legs.get_mut(&key).filter(is_ringing) else {
            return;
        };
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
        let (flow, is_live) = (leg.flow, leg.state.is_live());
        let (is_first, local, uri, cseq, early) = match (leg.state.placed(), leg.state.dialog()) {
            (Some(placed), _) => {
                let early = leg.forks.choose(&tag);
                (true, placed.local.clone(), placed.uri.clone(), placed.cseq, early)
            }
            (None, Some(dialog)) => (false, dialog.local.clone(), dialog.target.clone(), 1, None),
            (None, None) => return,
        };
        let dialog = Dialog::of_client(response, &local, &uri, cseq, flow);
        let body = response.sdp().or(early);
        self.acknowledge(key, &tag, &dialog, cseq);
        if !is_first {
            // Another fork answered too: it gets its ACK and a BYE.
            return self.bye_in(&dialog, 0, "Another fork answered first", now);
        }
        self.step(key, Step::Success(dialog.clone()), now);
        self.place(key);
        self.prove(key, flow.peer);
        match (body, dialog.unreadable) {
            _ if !is_live => self.bye_in(&dialog, 487, "The call was given up before it was answered", now),
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
    pub(super) fn give_up(&mut self, key: LegKey, status: u16, text: &str, now: Duration) {
        self.bye(key, status, text, now);
        let ending = Ending {
            by: EndedBy::Local,
            cause: LegEndCause::Error,
            status,
            reason: text,
        };
        self.end(key, End::Hangup(Reason::new(status, text)), &ending, now);
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
        let phrase = response.reason();
        let text = if phrase.is_empty() {
            response.explanation().unwrap_or_default()
        } else {
            phrase
        };
        let ending = Ending {
            by: EndedBy::Remote,
            cause: LegEndCause::Rejected,
            status,
            reason: &text,
        };
        self.end(key, End::Failure, &ending, now);
    }

    pub(super) fn on_no_response(&mut self, id: TransactionId, cause: LegEndCause, now: Duration) {
        let Some(key) = self.invites.get(&id).copied() else {
            return;
        };
        let (status, reason) = match cause {
            LegEndCause::Timeout => (
                408,
                "No response within 32 s; check the address and that SIP is served there",
            ),
            _ => (
                503,
                "The address could not be reached; check the address and that SIP is served there",
            ),
        };
        let ending = Ending {
            by: EndedBy::Nobody,
            cause,
            status,
            reason,
        };
        self.end(key, End::Failure, &ending, now);
    }

    pub(super) fn on_silence(&mut self, key: LegKey, now: Duration) {
        let ending = Ending {
            by: EndedBy::Nobody,
            cause: LegEndCause::Timeout,
            status: 408,
            reason: "No response in time; check the address and that SIP is served there",
        };
        self.cancel(key, Reason::new(408, "No response came in time"), &ending, now);
    }

    pub(super) fn on_ring_timeout(&mut self, key: LegKey, now: Duration) {
        let ending = Ending {
            by: EndedBy::Nobody,
            cause: LegEndCause::Timeout,
            status: 408,
            reason: "Nobody answered within the ring timeout",
        };
        self.cancel(key, Reason::new(408, "Nobody answered in time"), &ending, now);
    }

    /// End a call that nobody answered: CANCEL now, or as soon as anything comes back (9.1).
    pub(super) fn cancel(&mut self, key: LegKey, why: Reason, ending: &Ending<'_>, now: Duration) {
        if self.is_at(key, Stage::Proceeding) {
            self.send_cancel(key, &why, now);
        }
        self.end(key, End::Hangup(why), ending, now);
    }

    fn send_cancel(&mut self, key: LegKey, why: &Reason, now: Duration) {
        let Some(leg) = self.legs.get(&key) else { return };
        let Some(placed) = leg.state.placed() else { return };
        let mut cancel = Text::request("CANCEL", &placed.uri)
            .header("Via", via(leg.flow, &placed.branch))
            .header("Max-Forwards", "70")
            .header("From", &placed.local)
            .header("To", format!("<{}>", placed.uri))
            .header("Call-ID", &leg.call_id)
            .header("CSeq", format!("{} CANCEL", placed.cseq));
        if why.status != 0 {
            cancel = cancel.header("Reason", reason(why.status, &why.text));
        }
        let flow = leg.flow;
        self.transactions.request(&cancel.finish(), flow, now);
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
