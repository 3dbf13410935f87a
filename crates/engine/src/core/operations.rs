//! What the node asks: each operation is done or refused with a sentence, and told so by one reply.

use std::net::SocketAddr;
use std::time::Duration;

use offhook_sip::{Command, Invite};
use offhook_words::{Failure, FailureCode, Side, Source};
use serde_json::json;

use crate::control::wire::{Direction, LegDial, LegState, Operation, OperationKind, Play, Record, ReportBody};
use crate::core::calls::NewLeg;
use crate::core::snapshot::{self, Running};
use crate::core::{Core, convert};
use crate::media::{LegKey, MediaCommand};

const LABEL_BYTES: usize = 8192;
const LEG_NAME_BYTES: usize = 64;
/// However long the node wants to let it ring.
const RINGING_LIMIT: Duration = Duration::from_secs(600);

impl Core {
    pub(super) fn operation(&mut self, operation: Operation) {
        if let Some((op, outcome)) = self.execute(operation) {
            let error = outcome.err();
            self.report(ReportBody::Reply { op, error });
        }
    }

    /// `None`: this kind is not replied to.
    fn execute(&mut self, operation: Operation) -> Option<(u64, Result<(), Failure>)> {
        match operation {
            Operation::Hello(_) => {
                self.log.warning("a second hello on one connection is ignored", &[]);
                None
            }
            Operation::Ack { seq } => {
                self.outbox.borrow_mut().ack(seq);
                None
            }
            Operation::Ping { id } => Some((id, Ok(()))),
            Operation::LegDial(dial) => Some((dial.id, self.dial(dial))),
            Operation::LegRing { id, leg, early_media } => Some((id, self.ring(&leg, early_media))),
            Operation::LegAnswer { id, leg, codecs } => Some((id, self.answer(&leg, &codecs))),
            Operation::LegHangup {
                id,
                leg,
                status,
                reason,
            } => {
                if let Some(key) = self.legs.by_id(&leg).map(|leg| leg.media) {
                    self.hang_up(key, status, &reason);
                }
                Some((id, Ok(())))
            }
            Operation::LegLabel { leg, label } => {
                if let Some(leg) = self.legs.by_id(&leg).filter(|_| label.len() <= LABEL_BYTES) {
                    leg.label = label;
                }
                None
            }
            operation => self.media_operation(operation),
        }
    }

    fn media_operation(&mut self, operation: Operation) -> Option<(u64, Result<(), Failure>)> {
        match operation {
            Operation::Play(play) => Some((play.id, self.play(play))),
            Operation::Record(record) => Some((record.id, self.record(record))),
            Operation::SendDigits {
                id,
                leg,
                digits,
                duration_ms,
                gap_ms,
            } => Some((
                id,
                self.begin(&leg, id, OperationKind::SendDigits, |leg| MediaCommand::SendDigits {
                    id,
                    leg,
                    digits,
                    duration_ms,
                    gap_ms,
                }),
            )),
            Operation::Echo { id, leg, timeout_ms } => Some((
                id,
                self.begin(&leg, id, OperationKind::Echo, |leg| MediaCommand::Echo {
                    id,
                    leg,
                    timeout_ms,
                }),
            )),
            Operation::Listen {
                id,
                leg,
                side,
                block_ms,
                credit_ms,
            } => Some((id, self.listen(id, &leg, side, block_ms, credit_ms))),
            operation => self.steer(operation),
        }
    }

    fn steer(&mut self, operation: Operation) -> Option<(u64, Result<(), Failure>)> {
        let (id, command) = match operation {
            Operation::Append {
                id,
                target,
                mut sources,
                more,
            } => match self.done_prompts.complete(&mut sources) {
                Ok(()) => return Some((id, self.append(target, sources, more))),
                Err(failure) => return Some((id, Err(failure))),
            },
            Operation::Pause { id, target, behavior } => (id, MediaCommand::Pause { target, behavior }),
            Operation::Resume { id, target } => (id, MediaCommand::Resume { target }),
            Operation::Volume { id, target, volume_db } => (id, MediaCommand::Volume { target, volume_db }),
            Operation::Stop { id, target } => (id, MediaCommand::Stop { target }),
            Operation::PromptDone { id, prompt, size_bytes } => {
                return Some((id, self.prompt_done(prompt, size_bytes)));
            }
            Operation::Credit { target, ms } => return self.unanswered(MediaCommand::Credit { target, ms }),
            Operation::Pcm { stream, samples, last } => {
                let samples = samples.into_vec();
                return self.unanswered(MediaCommand::Pcm { stream, samples, last });
            }
            _ => return None,
        };
        Some((id, self.media.command(command)))
    }

    /// Late credit and samples for what has ended are ignored here, in one place.
    fn unanswered(&mut self, command: MediaCommand) -> Option<(u64, Result<(), Failure>)> {
        if let Err(late) = self.media.command(command)
            && late.code != FailureCode::UnknownOperation
        {
            self.log
                .warning("samples or credit refused", &[("why", json!(late.message))]);
        }
        None
    }

    fn prompt_done(&mut self, prompt: String, size_bytes: i64) -> Result<(), Failure> {
        self.done_prompts.done(prompt.clone(), size_bytes);
        match self.media.command(MediaCommand::PromptDone { prompt, size_bytes }) {
            // Nothing plays it at the moment.
            Err(failure) if failure.code == FailureCode::UnknownOperation => Ok(()),
            outcome => outcome,
        }
    }

    // --- legs ----------------------------------------------------------------------------------------------------

    fn dial(&mut self, dial: LegDial) -> Result<(), Failure> {
        if self.ending.is_some() {
            return Err(Failure::new(FailureCode::NoCapacity, "this engine is shutting down"));
        }
        if dial.leg.is_empty() || dial.leg.len() > LEG_NAME_BYTES || self.legs.by_id(&dial.leg).is_some() {
            let sentence = "leg must be a fresh name of 1 to 64 characters: use a new UUID";
            return Err(Failure::new(FailureCode::BadRequest, sentence));
        }
        let destination: SocketAddr = dial.destination.parse().map_err(|_| {
            Failure::new(
                FailureCode::BadRequest,
                "destination must be ip:port; resolve the name first",
            )
        })?;
        let codecs = convert::codecs(&dial.codecs)?;
        let flow = self
            .signal
            .flow_to(dial.transport, destination)
            .map_err(|error| Failure::new(FailureCode::Unreachable, format!("no way to {destination}: {error}")))?;
        let sip = self.signal.allocate_leg();
        let key = self
            .new_leg(NewLeg {
                id: dial.leg,
                sip,
                direction: Direction::Outbound,
                from_uri: dial.from_uri.clone(),
                to_uri: dial.to_uri.clone(),
                label: dial.label.chars().take(LABEL_BYTES).collect(),
                offer: None,
                codecs,
                local: flow.local,
            })
            .map_err(|sentence| Failure::new(FailureCode::NoCapacity, sentence))?;
        let body = self
            .legs
            .get_mut(key)
            .map(|leg| offhook_sdp::offer(&mut leg.local))
            .unwrap_or_default();
        let invite = Invite {
            leg: sip,
            flow,
            to_uri: dial.to_uri,
            from_uri: dial.from_uri,
            from_display: dial.from_display,
            headers: dial
                .headers
                .into_iter()
                .map(|header| (header.name, header.value))
                .collect(),
            body,
            ring_timeout: Duration::from_millis(dial.ring_timeout_ms).min(RINGING_LIMIT),
            response_timeout: Some(Duration::from_millis(dial.response_timeout_ms)).filter(|time| !time.is_zero()),
        };
        if let Err(error) = self.signal.command(Command::Invite(invite)) {
            // It never was: no report tells of it.
            self.legs.remove(key);
            self.media.close(key);
            return Err(error.into());
        }
        Ok(())
    }

    fn ring(&mut self, leg: &str, early_media: bool) -> Result<(), Failure> {
        let leg = self.unanswered_leg(leg)?;
        // Where we have to make the offer it goes into the 200: a 183 that nobody acknowledges may not carry one
        // (RFC 3261, section 13.2.1).
        let is_asked = self.legs.get(leg).is_some_and(|leg| leg.offer.is_some());
        let body = if early_media && is_asked {
            Some(self.describe(leg, &[])?)
        } else {
            None
        };
        let Some(leg) = self.legs.get_mut(leg) else {
            return Err(unknown_leg());
        };
        let (sip, key) = (leg.sip, leg.media);
        self.signal.command(Command::Ring {
            leg: sip,
            body: body.clone(),
        })?;
        leg.state = LegState::Ringing;
        if let Some(body) = body {
            leg.answer = Some(body);
            self.connect_settled(key)?;
        }
        Ok(())
    }

    fn answer(&mut self, leg: &str, codecs: &[String]) -> Result<(), Failure> {
        let key = self.unanswered_leg(leg)?;
        let earlier = self.legs.get(key).and_then(|leg| leg.answer.clone());
        let body = match earlier {
            Some(body) => body,
            None => self.describe(key, codecs)?,
        };
        let Some(leg) = self.legs.get_mut(key) else {
            return Err(unknown_leg());
        };
        let sip = leg.sip;
        self.signal.command(Command::Answer { leg: sip, body })?;
        match leg.session {
            Some(session) => self.settled(key, session),
            None => {
                leg.answer_is_owed = true;
            }
        }
        Ok(())
    }

    /// Our SDP: the answer to the offer (what it settles is kept in the leg), or an offer where there was none.
    fn describe(&mut self, key: LegKey, codecs: &[String]) -> Result<String, Failure> {
        let wanted = convert::codecs(codecs)?;
        let Some(leg) = self.legs.get_mut(key) else {
            return Err(unknown_leg());
        };
        let Some(offer) = &leg.offer else {
            leg.local.codecs = wanted;
            return Ok(offhook_sdp::offer(&mut leg.local));
        };
        let offered = offhook_sdp::codecs(offer, &leg.local)
            .map_err(|error| Failure::new(FailureCode::NotNegotiated, error.reason))?;
        if !wanted.is_empty() && !wanted.iter().any(|codec| offered.contains(codec)) {
            let names: Vec<_> = offered.iter().map(|codec| codec.name()).collect();
            let sentence = format!("the caller offers {} alone; allow one of these", names.join(", "));
            return Err(Failure::new(FailureCode::NotNegotiated, sentence));
        }
        leg.local.codecs = wanted;
        let (body, session) = offhook_sdp::answer(offer, &mut leg.local)
            .map_err(|error| Failure::new(FailureCode::NotNegotiated, error.reason))?;
        leg.session = Some(session);
        Ok(body)
    }

    fn connect_settled(&mut self, key: LegKey) -> Result<(), Failure> {
        let session = self.legs.get(key).and_then(|leg| leg.session.as_ref());
        let Some(parameters) = session.and_then(|session| convert::stream(session, None)) else {
            return Ok(());
        };
        self.media.connect(key, parameters)
    }

    fn unanswered_leg(&mut self, leg: &str) -> Result<LegKey, Failure> {
        let leg = self.legs.by_id(leg).ok_or_else(unknown_leg)?;
        match (leg.direction, leg.state) {
            (Direction::Inbound, LegState::Trying | LegState::Ringing) if !leg.answer_is_owed => Ok(leg.media),
            (Direction::Inbound, LegState::Ending) => Err(unknown_leg()),
            (Direction::Inbound, _) => Err(Failure::new(FailureCode::WrongState, "this call is answered already")),
            (Direction::Outbound, _) => {
                let sentence = "this is a call that we placed: its other party answers it";
                Err(Failure::new(FailureCode::WrongState, sentence))
            }
        }
    }

    // --- media ---------------------------------------------------------------------------------------------------

    fn play(&mut self, mut play: Play) -> Result<(), Failure> {
        self.done_prompts.complete(&mut play.sources)?;
        if play.sources.is_empty() && !play.more {
            return Err(Failure::new(
                FailureCode::BadRequest,
                "sources must name at least one, or more be true",
            ));
        }
        let (id, leg): (u64, String) = (play.id, play.leg.clone());
        let prompts = snapshot::prompts(&play.sources);
        self.begin(&leg, id, OperationKind::Play, |leg| convert::play(play, leg))?;
        self.names(id, prompts);
        Ok(())
    }

    fn append(&mut self, target: u64, sources: Vec<Source>, more: bool) -> Result<(), Failure> {
        let prompts = snapshot::prompts(&sources);
        self.media.command(MediaCommand::Append { target, sources, more })?;
        self.names(target, prompts);
        Ok(())
    }

    /// A running play names these prompts, until it ends.
    fn names(&mut self, play: u64, prompts: Vec<String>) {
        let leg = self.media.leg_of(play).and_then(|leg| self.legs.get_mut(leg));
        if let Some(running) = leg.and_then(|leg| leg.operations.get_mut(&play)) {
            running.name(prompts);
        }
    }

    fn record(&mut self, record: Record) -> Result<(), Failure> {
        let (id, leg) = (record.id, record.leg.clone());
        self.begin(&leg, id, OperationKind::Record, |leg| convert::record(record, leg))
    }

    fn listen(&mut self, id: u64, leg: &str, side: Side, block_ms: u32, credit_ms: u32) -> Result<(), Failure> {
        self.begin(leg, id, OperationKind::Listen, |leg| MediaCommand::Listen {
            id,
            leg,
            side,
            block_ms,
            credit_ms,
        })
    }

    /// Start an operation on an answered leg and remember it for the snapshot.
    fn begin(
        &mut self,
        leg: &str,
        id: u64,
        kind: OperationKind,
        command: impl FnOnce(LegKey) -> MediaCommand,
    ) -> Result<(), Failure> {
        let leg = self.legs.by_id(leg).ok_or_else(unknown_leg)?;
        match (leg.state, leg.direction) {
            (LegState::Answered, _) => {}
            (LegState::Ending, _) => return Err(unknown_leg()),
            (_, Direction::Inbound) => return Err(Failure::new(FailureCode::WrongState, "answer() first")),
            (_, Direction::Outbound) => return Err(Failure::new(FailureCode::WrongState, "not answered yet")),
        }
        self.media.command(command(leg.media))?;
        leg.operations.insert(id, Running::new(kind));
        Ok(())
    }
}

fn unknown_leg() -> Failure {
    Failure::new(FailureCode::UnknownLeg, "this leg does not exist, or has ended")
}
