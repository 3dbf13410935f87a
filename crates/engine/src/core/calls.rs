//! What SIP tells: new calls, answers, changed sessions, ends. The offer/answer policy is asked of `offhook_sdp`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use offhook_sip::{Command, Event, Incoming, Refusal};
use offhook_words::{Codec, DigitMethod, EndedBy, Failure, LegEndCause};
use serde_json::json;

use crate::control::wire::{DigitTransport, Direction, Header, LegEnded, LegIncoming, LegState, ReportBody};
use crate::core::legs::{Leg, Presses};
use crate::core::pace::{Changes, State, Told};
use crate::core::{Core, convert, now_us, random, random_uuid, shutdown};
use crate::descriptors::{self, NoWay};
use crate::media::{self, BoundPort, MediaCommand};

/// Said to new calls while half of what may wait for the node does.
const BEHIND: &str = "the application is far behind with its calls; try again shortly";

/// The leg an event is about.
pub fn leg_of(event: &Event) -> Option<offhook_sip::LegKey> {
    match event {
        Event::Incoming(incoming) => Some(incoming.leg),
        Event::Progress { leg, .. }
        | Event::Answered { leg, .. }
        | Event::Confirmed { leg, .. }
        | Event::Reoffer { leg, .. }
        | Event::Ended { leg, .. }
        | Event::InfoDigit { leg, .. } => Some(*leg),
        Event::Trace { leg, .. } => *leg,
    }
}

/// What a new leg is made of.
pub(super) struct NewLeg {
    pub id: String,
    pub sip: offhook_sip::LegKey,
    pub direction: Direction,
    pub from_uri: String,
    pub to_uri: String,
    pub label: String,
    pub offer: Option<String>,
    pub codecs: Vec<Codec>,
    /// Where the peer reaches us.
    pub local: SocketAddr,
}

impl Core {
    pub(super) fn sip(&mut self, event: Event) {
        match event {
            Event::Incoming(incoming) => self.incoming(*incoming),
            Event::Progress {
                leg,
                status,
                reason,
                body,
            } => self.progress(leg, status, reason, body.as_deref()),
            Event::Answered { leg, body } => self.answered_by_peer(leg, &body),
            Event::Confirmed { leg, body } => self.confirmed(leg, body.as_deref()),
            Event::Reoffer { leg, body } => self.reoffer(leg, body.as_deref()),
            Event::Ended {
                leg,
                by,
                cause,
                status,
                reason,
            } => self.dialog_ended(leg, by, cause, status, reason),
            Event::InfoDigit {
                leg,
                digit,
                duration_ms,
            } => self.info_digit(leg, digit, duration_ms),
            Event::Trace {
                leg,
                sent,
                summary,
                peer,
            } => self.trace(leg, sent, summary, peer),
        }
    }

    fn incoming(&mut self, incoming: Incoming) {
        let sip = incoming.leg;
        if let Err(refusal) = self.take_in(incoming) {
            self.log.info(
                "call refused",
                &[("status", json!(refusal.status)), ("reason", json!(refusal.reason))],
            );
            self.refuse(sip, refusal);
        }
    }

    fn refuse(&mut self, leg: offhook_sip::LegKey, refusal: Refusal) {
        let command = Command::Hangup {
            leg,
            status: refusal.status,
            reason: refusal.reason,
            headers: Vec::new(),
        };
        if let Err(error) = self.signal.command(command) {
            self.log
                .warning("a call could not be refused", &[("why", json!(error.to_string()))]);
        }
    }

    fn take_in(&mut self, incoming: Incoming) -> Result<(), Refusal> {
        if self.controller.is_none() {
            return Err(refusal(503, shutdown::NO_NODE));
        }
        if self.outbox.borrow().is_full() {
            return Err(refusal(503, BEHIND));
        }
        let codecs = match &incoming.offer {
            Some(offer) => {
                let ours = Some(self.config.rtp_ip).filter(|ip| !ip.is_unspecified());
                let mut trial = offhook_sdp::Local::new(
                    SocketAddr::new(ours.unwrap_or(incoming.flow.local.ip()), 9),
                    Vec::new(),
                    1,
                );
                let refused = |error: offhook_sdp::Refusal| refusal(error.status, &error.reason);
                let codecs = offhook_sdp::codecs(offer, &trial).map_err(refused)?;
                let (_, session) = offhook_sdp::answer(offer, &mut trial).map_err(refused)?;
                can_reach(self.config.rtp_ip, &session)?;
                codecs
            }
            None => Codec::ALL.to_vec(),
        };
        let id = random_uuid().map_err(|_| refusal(500, "no random numbers are left"))?;
        let key = self.new_leg(NewLeg {
            id: id.clone(),
            sip: incoming.leg,
            direction: Direction::Inbound,
            from_uri: incoming.from_uri.clone(),
            to_uri: incoming.to_uri.clone(),
            label: String::new(),
            offer: incoming.offer,
            codecs: Vec::new(),
            local: incoming.flow.local,
        });
        key.map_err(|sentence| refusal(503, &sentence))?;
        let headers = incoming.headers.into_iter().map(|(name, value)| Header { name, value });
        self.report(ReportBody::LegIncoming(Box::new(LegIncoming {
            leg: id.clone(),
            transport: incoming.flow.transport,
            source: incoming.flow.peer.to_string(),
            sip_call_id: incoming.call_id,
            request_uri: incoming.request_uri,
            from_uri: incoming.from_uri,
            to_uri: incoming.to_uri,
            from_display: incoming.from_display,
            headers: headers.collect(),
            codecs: codecs.into_iter().map(|codec| codec.name().to_owned()).collect(),
        })));
        for trace in self.late_traces.take(incoming.leg, &id) {
            self.report(trace);
        }
        Ok(())
    }

    /// A leg with its port and its silent media. An error is a sentence.
    pub(super) fn new_leg(&mut self, new: NewLeg) -> Result<media::LegKey, String> {
        let port: BoundPort = self.media.bind(self.config.rtp_ip).map_err(|error| no_socket(&error))?;
        let mut address = port.rtp_address();
        if address.ip().is_unspecified() {
            address.set_ip(new.local.ip());
        }
        let session_id = random().map(u64::from_be_bytes).map_err(|error| error.to_string())? >> 2;
        let key = self.legs.next_key();
        self.media.open(key, port).map_err(|refusal| refusal.message)?;
        self.legs.insert(Leg {
            id: new.id,
            sip: new.sip,
            media: key,
            direction: new.direction,
            state: LegState::Trying,
            from_uri: new.from_uri,
            to_uri: new.to_uri,
            label: new.label,
            started_us: now_us(),
            answered_us: 0,
            since: Instant::now(),
            answered_since: None,
            offer: new.offer,
            local: offhook_sdp::Local::new(address, new.codecs, session_id),
            answer: None,
            session: None,
            held_since: None,
            answer_is_owed: false,
            operations: std::collections::BTreeMap::new(),
            presses: Presses::default(),
            changes: Changes::default(),
            media_closing: false,
            media_closed: false,
            last_stats: None,
            verdict: None,
            ended: None,
        });
        Ok(key)
    }

    fn progress(&mut self, sip: offhook_sip::LegKey, status: u16, reason: String, body: Option<&str>) {
        let Some(leg) = self.legs.by_sip(sip) else { return };
        if leg.state == LegState::Trying {
            leg.state = LegState::Ringing;
        }
        let (key, id) = (leg.media, leg.id.clone());
        // Early media that we do not understand is no reason to end the call: its answer may be another.
        let session = body.and_then(|body| offhook_sdp::accept(body, &mut leg.local).ok());
        let early_media = session.is_some_and(|session| self.settle(key, session).is_ok());
        self.report(ReportBody::LegProgress {
            leg: id,
            status,
            reason,
            early_media,
        });
    }

    fn answered_by_peer(&mut self, sip: offhook_sip::LegKey, body: &str) {
        let Some(leg) = self.legs.by_sip(sip) else { return };
        if leg.state == LegState::Ending {
            return;
        }
        let key = leg.media;
        match offhook_sdp::accept(body, &mut leg.local) {
            Ok(session) => self.settled(key, session),
            Err(error) => self.condemn(key, LegEndCause::Error, error.status, &error.reason),
        }
    }

    /// The ACK came; with an answer where ours was the offer.
    fn confirmed(&mut self, sip: offhook_sip::LegKey, body: Option<&str>) {
        let Some(leg) = self.legs.by_sip(sip) else { return };
        if !std::mem::take(&mut leg.answer_is_owed) || leg.state == LegState::Ending {
            return;
        }
        let key = leg.media;
        let answer = body.map(|body| offhook_sdp::accept(body, &mut leg.local));
        let is_first = leg.answered_us == 0;
        match answer {
            Some(Ok(session)) if is_first => self.settled(key, session),
            Some(Ok(session)) => self.changed(key, session),
            Some(Err(error)) => self.condemn(key, LegEndCause::Error, error.status, &error.reason),
            None => {
                let sentence = "the ACK must carry the SDP answer to the offer in our 200";
                self.condemn(key, LegEndCause::Error, 488, sentence);
            }
        }
    }

    /// Media flows: first answer of either side.
    pub(super) fn settled(&mut self, key: media::LegKey, session: offhook_sdp::MediaSession) {
        let codec = session.formats.codec.name().to_owned();
        let digits = match session.formats.telephone_event_tx {
            Some(_) => DigitTransport::Rfc4733,
            None => DigitTransport::Inband,
        };
        let remote_media = remote_text(&session);
        if let Err(refusal) = self.settle(key, session) {
            return self.condemn(key, LegEndCause::Error, 500, &refusal.message);
        }
        let Some(leg) = self.legs.get_mut(key) else { return };
        leg.state = LegState::Answered;
        leg.answered_us = now_us();
        leg.answered_since = Some(Instant::now());
        let leg = leg.id.clone();
        self.keep_farewell(key);
        self.report(ReportBody::LegAnswered {
            leg,
            codec,
            digits,
            remote_media,
        });
    }

    /// Tell media what was settled, and remember it.
    fn settle(&mut self, key: media::LegKey, session: offhook_sdp::MediaSession) -> Result<(), Failure> {
        let Some(leg) = self.legs.get_mut(key) else {
            return Ok(());
        };
        if let Some(parameters) = convert::stream(&session, leg.session.as_ref()) {
            self.media.connect(key, parameters)?;
        }
        leg.held_since = session.is_hold().then(|| leg.held_since.unwrap_or_else(Instant::now));
        leg.session = Some(session);
        Ok(())
    }

    /// Write down how this dialog is ended should this process die.
    fn keep_farewell(&mut self, key: media::LegKey) {
        let Some(leg) = self.legs.get(key) else { return };
        let Some(farewell) = self.signal.farewell(leg.sip, 503, "the engine was restarted") else {
            return;
        };
        if let Err(error) = self.farewells.keep(&leg.id, &farewell) {
            self.log
                .warning("a farewell could not be kept", &[("why", json!(error.to_string()))]);
        }
    }

    fn reoffer(&mut self, sip: offhook_sip::LegKey, body: Option<&str>) {
        let Some(leg) = self.legs.by_sip(sip) else { return };
        let key = leg.media;
        let mut local = leg.local.clone();
        let (answer, session) = match body {
            None => {
                leg.answer_is_owed = true;
                (Ok(offhook_sdp::offer(&mut local)), None)
            }
            Some(offer) => {
                // Codecs that the program did not name are better than none: nobody can ask it now.
                let wanted = local.codecs.clone();
                local.codecs = convert::wanted_first(&wanted);
                let answer = offhook_sdp::answer(offer, &mut local)
                    .map_err(|error| refusal(error.status, &error.reason))
                    .and_then(|(answer, session)| can_reach(self.config.rtp_ip, &session).map(|()| (answer, session)));
                local.codecs = wanted;
                match answer {
                    Ok((answer, session)) => (Ok(answer), Some(session)),
                    Err(refusal) => (Err(refusal), None),
                }
            }
        };
        let is_refused = answer.is_err();
        if !is_refused {
            leg.local = local;
        }
        if let Err(error) = self.signal.command(Command::AnswerReoffer { leg: sip, body: answer }) {
            self.log.warning(
                "a changed session could not be answered",
                &[("why", json!(error.to_string()))],
            );
            return;
        }
        if let Some(session) = session {
            self.changed(key, session);
        }
    }

    /// A changed session takes effect.
    fn changed(&mut self, key: media::LegKey, session: offhook_sdp::MediaSession) {
        let Some(leg) = self.legs.get(key) else { return };
        let before = leg.session.as_ref().map(state);
        if let Err(refusal) = self.settle(key, session) {
            return self.condemn(key, LegEndCause::Error, 500, &refusal.message);
        }
        self.keep_farewell(key);
        self.tell_change(key, before);
    }

    /// Tell what changed since `before`, or since what was told last, as far as the pace of a call allows.
    pub(super) fn tell_change(&mut self, key: media::LegKey, before: Told) {
        let Some(leg) = self.legs.get_mut(key) else { return };
        let after = leg.session.as_ref().map(state);
        let Some(State {
            hold,
            remote_media,
            codec,
        }) = leg.changes.tell(before, after, Instant::now())
        else {
            return;
        };
        let leg = leg.id.clone();
        self.report(ReportBody::LegChanged {
            leg,
            hold,
            remote_media,
            codec,
        });
    }

    fn dialog_ended(&mut self, sip: offhook_sip::LegKey, by: EndedBy, cause: LegEndCause, status: u16, reason: String) {
        let Some(leg) = self.legs.by_sip(sip) else { return };
        leg.state = LegState::Ending;
        leg.ended = Some(LegEnded {
            leg: leg.id.clone(),
            by,
            cause,
            status,
            reason,
            stats: None,
            label: String::new(),
        });
        let key = leg.media;
        self.close_media(key);
        self.finish(key);
    }

    fn info_digit(&mut self, sip: offhook_sip::LegKey, digit: char, duration_ms: u32) {
        let Some(leg) = self.legs.by_sip(sip) else { return };
        if leg.state != LegState::Answered || !leg.presses.is_new(digit, DigitMethod::Info, Instant::now()) {
            return;
        }
        let command = MediaCommand::InfoDigit {
            leg: leg.media,
            digit,
            duration_ms,
        };
        if let Err(refusal) = self.media.command(command) {
            self.log
                .warning("a digit by INFO was refused", &[("why", json!(refusal.message))]);
        }
    }

    fn trace(&mut self, sip: Option<offhook_sip::LegKey>, sent: bool, summary: String, peer: SocketAddr) {
        let Some(sip) = sip else { return };
        let known = self.legs.by_sip(sip).map(|leg| leg.id.clone());
        let name = known.or_else(|| self.late_traces.name(sip).map(str::to_owned));
        let peer = peer.to_string();
        let trace = |leg: String| ReportBody::Sip {
            leg,
            sent,
            summary,
            peer,
        };
        match name {
            Some(name) => self.report(trace(name)),
            None => self.late_traces.early(sip, trace(String::new())),
        }
    }
}

/// Whether there is a way from our address to where the peer wants its media: asked before a call is answered.
fn can_reach(ours: IpAddr, session: &offhook_sdp::MediaSession) -> Result<(), Refusal> {
    let Some(remote) = session.remote else { return Ok(()) };
    descriptors::can_reach(ours, &[remote]).map_err(|why| match why {
        NoWay::Network(error) => {
            let sentence =
                format!("there is no way for media from {ours} to {remote} ({error}); send another c= address");
            refusal(488, &sentence)
        }
        NoWay::Shortage(error) => refusal(503, &no_socket(&error)),
    })
}

/// Why there is no socket for the media of a call.
fn no_socket(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!("no port is free for media ({error}); widen the range of RTP ports"),
        _ if descriptors::is_shortage(error) => {
            format!("no socket is left for media ({error}); raise the limit of open files, or try again later")
        }
        _ => format!("no socket for media can be opened ({error}); check the address of the media"),
    }
}

fn refusal(status: u16, reason: &str) -> Refusal {
    Refusal {
        status,
        reason: reason.to_owned(),
    }
}

fn state(session: &offhook_sdp::MediaSession) -> State {
    State {
        hold: session.is_hold(),
        remote_media: remote_text(session),
        codec: session.formats.codec.name().to_owned(),
    }
}

fn remote_text(session: &offhook_sdp::MediaSession) -> String {
    session.remote.map_or_else(String::new, |remote| remote.to_string())
}
