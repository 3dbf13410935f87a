//! The commands of core: checked, prepared, and sent to the threads that do them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use offhook_mix::{DigitScript, Player, Recorder, RecorderLimits, record_beep};
use offhook_words::{Failure, FailureCode, OperationId, PauseBehavior, Source};
use rtrb::RingBuffer;

use super::api::{LegKey, MediaCommand};
use super::clock::unix_us;
use super::decode::{Decoder, DecoderCommand, Play, Taken};
use super::directory::is_recording_name;
use super::pool::MediaPool;
use super::prepare::{MOST_SOURCES, named, sources, within};
use super::registry::{Kind, OperationEntry, refuse};
use super::ring::{PLAY_RING, PlaySource, PlayState, RecordState, TAP_RING, TapSink, record_ring};
use super::thread::ThreadCommand;
use super::writer::Recording;

/// Sources of one play that wait to be played, however they came.
const MOST_WAITING: usize = 2 * MOST_SOURCES;

impl MediaPool {
    /// Start an operation, or tell one what to do. `Err`: refused, nothing will follow.
    pub fn command(&mut self, command: MediaCommand) -> Result<(), Failure> {
        match command {
            MediaCommand::Play { .. } => self.play(command),
            MediaCommand::Append { target, sources, more } => self.append(target, &sources, more),
            MediaCommand::Record { .. } => self.record(command),
            MediaCommand::SendDigits {
                id,
                leg,
                digits,
                duration_ms,
                gap_ms,
            } => {
                let (thread, rate) = self.registry.admit(id, leg, Kind::SendDigits)?;
                within("duration_ms", duration_ms as f32, 20.0, 60_000.0)?;
                within("gap_ms", gap_ms as f32, 20.0, 60_000.0)?;
                let Some(script) = DigitScript::new(id, rate, &digits, duration_ms, gap_ms, unix_us()) else {
                    let message = "digits are 1 to 256 of 0-9 * # A-D, w and W";
                    return refuse(FailureCode::BadRequest, message);
                };
                self.send(thread, ThreadCommand::Digits(leg, Box::new(script)))?;
                self.add(id, OperationEntry::new(leg, Kind::SendDigits));
                Ok(())
            }
            MediaCommand::Echo { id, leg, timeout_ms } => {
                let (thread, _) = self.registry.admit(id, leg, Kind::Echo)?;
                self.send(thread, ThreadCommand::Echo(leg, id, timeout_ms))?;
                self.add(id, OperationEntry::new(leg, Kind::Echo));
                Ok(())
            }
            MediaCommand::Listen {
                id,
                leg,
                side,
                block_ms,
                credit_ms,
            } => {
                let (thread, _) = self.registry.admit(id, leg, Kind::Listen)?;
                within("block_ms", block_ms as f32, 20.0, 500.0)?;
                let (samples, tap) = RingBuffer::new(TAP_RING);
                let sink = Box::new(TapSink::new(samples, block_ms, credit_ms));
                self.send(thread, ThreadCommand::Listen(leg, id, side, sink))?;
                let entry = OperationEntry {
                    tap: Some(tap),
                    ..OperationEntry::new(leg, Kind::Listen)
                };
                self.add(id, entry);
                Ok(())
            }
            MediaCommand::InfoDigit {
                leg,
                digit,
                duration_ms,
            } => self.info_digit(leg, digit, duration_ms),
            MediaCommand::PromptDone { prompt, size_bytes } => {
                self.prompts.done(&prompt, size_bytes);
                // One that is full looks anyway, as soon as it can.
                let is_gone = |decoder: &Decoder| decoder.send(DecoderCommand::Look) == Taken::Gone;
                if self.decoders.iter().any(is_gone) {
                    return refuse(FailureCode::Internal, "a decoder thread is gone");
                }
                Ok(())
            }
            MediaCommand::Pcm { stream, samples, last } => self.pcm(stream, samples, last),
            MediaCommand::Stop { target } => match self.registry.target(target) {
                Ok((thread, entry)) => {
                    let leg = entry.leg;
                    self.send(thread, ThreadCommand::Stop(leg, target))
                }
                // It ended already, or is about to.
                Err(_) => Ok(()),
            },
            MediaCommand::Credit { target, ms } => {
                let (thread, leg) = self.target(target, &[Kind::Listen], "credit is for a listen")?;
                self.send(thread, ThreadCommand::Credit(leg, target, ms))
            }
            MediaCommand::Volume { target, volume_db } => {
                let (thread, leg) = self.target(target, &[Kind::Play], "only a play has a volume")?;
                within("volume_db", volume_db, -40.0, 40.0)?;
                self.send(thread, ThreadCommand::Volume(leg, target, volume_db))
            }
            MediaCommand::Pause { target, behavior } => self.pause(target, Some(behavior)),
            MediaCommand::Resume { target } => self.pause(target, None),
        }
    }

    fn add(&mut self, id: OperationId, entry: OperationEntry) {
        self.registry.began(id, entry);
    }

    fn target(&mut self, id: OperationId, kinds: &[Kind], else_say: &str) -> Result<(usize, LegKey), Failure> {
        let (thread, entry) = self.registry.target(id)?;
        if kinds.contains(&entry.kind) {
            return Ok((thread, entry.leg));
        }
        refuse(FailureCode::WrongState, else_say)
    }

    fn pause(&mut self, id: OperationId, behavior: Option<PauseBehavior>) -> Result<(), Failure> {
        self.target(
            id,
            &[Kind::Play, Kind::Record],
            "only a play or a recording can be paused and resumed",
        )?;
        let (thread, entry) = self.registry.target(id)?;
        if entry.is_paused == behavior.is_some() {
            let message = if entry.is_paused {
                "it is paused already; resume it first"
            } else {
                "it is not paused"
            };
            return refuse(FailureCode::WrongState, message);
        }
        let leg = entry.leg;
        self.send(
            thread,
            match behavior {
                Some(behavior) => ThreadCommand::Pause(leg, id, behavior),
                None => ThreadCommand::Resume(leg, id),
            },
        )?;
        if let Ok((_, entry)) = self.registry.target(id) {
            entry.is_paused = behavior.is_some();
        }
        Ok(())
    }

    fn info_digit(&mut self, leg: LegKey, digit: char, duration_ms: u32) -> Result<(), Failure> {
        let thread = self.registry.ready_leg(leg)?.thread;
        let digit = digit.to_ascii_uppercase();
        if !offhook_dsp::DTMF_DIGITS.contains(&digit) {
            return refuse(FailureCode::BadRequest, "a digit is one of 0-9 * # A-D");
        }
        self.send(thread, ThreadCommand::Pressed(leg, digit, duration_ms))
    }

    /// Who plays this: what no disk can hold up has the last thread for itself.
    fn decoder_of(&self, id: OperationId, sources: &[Source], more: bool) -> usize {
        let files = self.decoders.len().saturating_sub(1);
        if more || sources.iter().any(|source| matches!(source, Source::File { .. })) {
            id as usize % files.max(1)
        } else {
            files
        }
    }

    fn decode(&self, decoder: usize, command: DecoderCommand) -> Result<(), Failure> {
        match self.decoders.get(decoder).map(|decoder| decoder.send(command)) {
            Some(Taken::Yes) => Ok(()),
            Some(Taken::Full) => refuse(
                FailureCode::NoCapacity,
                "the disk with the prompts does not keep up; try again later",
            ),
            Some(Taken::Gone) | None => refuse(FailureCode::Internal, "the decoder thread is gone"),
        }
    }

    fn play(&mut self, command: MediaCommand) -> Result<(), Failure> {
        let MediaCommand::Play {
            id,
            leg,
            sources: list,
            side,
            volume_db,
            loops,
            more,
            interrupt,
        } = command
        else {
            return Ok(());
        };
        let (thread, rate) = self.registry.admit(id, leg, Kind::Play)?;
        within("volume_db", volume_db, -40.0, 40.0)?;
        if list.is_empty() && !more {
            return refuse(
                FailureCode::BadRequest,
                "sources is empty; name one, or say that more will come",
            );
        }
        let streams = self.streams(&list)?;
        let prepared = sources(&mut self.prompts, rate, &list)?;
        let decoder = self.decoder_of(id, &list, more);
        let state = Arc::new(PlayState::default());
        let (ring, samples) = RingBuffer::new(PLAY_RING * rate.factor());
        state.waiting.store(prepared.len(), Ordering::Relaxed);
        let mut play = Play::new(id, rate, ring, Arc::clone(&state), prepared, loops, more);
        for (stream, rate_hz) in &streams {
            play.expect(*stream, *rate_hz);
        }
        let source = PlaySource {
            samples,
            state: Arc::clone(&state),
        };
        let player = Player::new(id, source, side, volume_db, interrupt, unix_us());
        // The leg last: what is refused never plays. A decoder drops what nobody listens to.
        self.decode(decoder, DecoderCommand::Play(Box::new(play)))?;
        self.send(thread, ThreadCommand::Play(leg, Box::new(player)))?;
        let streams: Vec<u64> = streams.into_iter().map(|(stream, _)| stream).collect();
        self.registry.streams.extend(streams.iter().map(|stream| (*stream, id)));
        let entry = OperationEntry {
            more,
            streams,
            play: Some((decoder, state)),
            ..OperationEntry::new(leg, Kind::Play)
        };
        self.add(id, entry);
        Ok(())
    }

    /// The streams among the sources, each new.
    fn streams(&self, sources: &[Source]) -> Result<Vec<(u64, u32)>, Failure> {
        let mut streams: Vec<(u64, u32)> = Vec::new();
        for source in sources {
            if let Source::Pcm { stream, rate_hz } = source {
                let is_known = streams.iter().any(|(known, _)| known == stream);
                if is_known || self.registry.streams.contains_key(stream) {
                    return refuse(
                        FailureCode::WrongState,
                        "a stream of this id is played already; use a fresh one",
                    );
                }
                streams.push((*stream, *rate_hz));
            }
        }
        Ok(streams)
    }

    fn append(&mut self, target: OperationId, list: &[Source], more: bool) -> Result<(), Failure> {
        self.target(target, &[Kind::Play], "sources can be appended to a play alone")?;
        let (_, entry) = self.registry.target(target)?;
        if !entry.more {
            return refuse(
                FailureCode::WrongState,
                "this play was not opened with more, or had its last sources",
            );
        }
        if list.iter().any(|source| matches!(source, Source::Pcm { .. })) {
            return refuse(
                FailureCode::BadRequest,
                "a pcm source cannot be appended; play it in an operation of its own",
            );
        }
        let Some((decoder, state)) = entry.play.clone() else {
            return refuse(FailureCode::WrongState, "sources can be appended to a play alone");
        };
        let waiting = state.waiting.load(Ordering::Relaxed);
        if waiting + list.len() > MOST_WAITING {
            return refuse(
                FailureCode::NoCapacity,
                format!("{waiting} sources of this play wait; {MOST_WAITING} may: append more when some were played"),
            );
        }
        let rate = self.registry.rate_of(target);
        let prepared = sources(&mut self.prompts, rate, list)?;
        let append = DecoderCommand::Append {
            target,
            sources: prepared,
            more,
        };
        // Counted first: the decoder may have played them before this goes on.
        state.waiting.fetch_add(list.len(), Ordering::Relaxed);
        self.decode(decoder, append).inspect_err(|_| {
            state.waiting.fetch_sub(list.len(), Ordering::Relaxed);
        })?;
        if let Ok((_, entry)) = self.registry.target(target) {
            entry.more = more;
        }
        Ok(())
    }

    fn pcm(&mut self, stream: u64, samples: Vec<u8>, last: bool) -> Result<(), Failure> {
        let Some(target) = self.registry.streams.get(&stream).copied() else {
            return refuse(FailureCode::UnknownOperation, "no running play has this stream");
        };
        let Some((decoder, _)) = self.registry.target(target)?.1.play else {
            return refuse(FailureCode::UnknownOperation, "no running play has this stream");
        };
        self.decode(
            decoder,
            DecoderCommand::Pcm {
                target,
                stream,
                samples,
                last,
            },
        )
    }

    fn record(&mut self, command: MediaCommand) -> Result<(), Failure> {
        let MediaCommand::Record {
            id,
            leg,
            recording,
            side,
            stereo,
            beep,
            initial_timeout_ms,
            end_silence_timeout_ms,
            max_length_ms,
            terminators,
            sensitivity,
        } = command
        else {
            return Ok(());
        };
        let (thread, rate) = self.registry.admit(id, leg, Kind::Record)?;
        within("sensitivity", sensitivity, 0.0, 100.0)?;
        let terminators = terminators.to_ascii_uppercase();
        if !terminators
            .chars()
            .all(|digit| offhook_dsp::DTMF_DIGITS.contains(&digit))
        {
            return refuse(FailureCode::BadRequest, "terminators are of 0-9 * # A-D");
        }
        // The writer makes the file: a disk that hangs must not keep core, and with it SIP, waiting.
        named(is_recording_name, &recording)?;
        let channels = if stereo { 2 } else { 1 };
        let state = Arc::new(RecordState::default());
        let (sink, samples) = record_ring(channels, rate, &state);
        let limits = RecorderLimits {
            initial_timeout_ms,
            end_silence_timeout_ms,
            max_length_ms,
            terminators,
            sensitivity,
        };
        let beep = beep.then(|| record_beep(rate));
        let recorder = Box::new(Recorder::new(id, sink, side, stereo, beep, limits, unix_us()));
        let name = recording;
        let job = Recording {
            op: id,
            leg,
            name,
            channels,
            rate,
            samples,
            state,
            thread,
            #[cfg(test)]
            fault: None,
            #[cfg(test)]
            device: None,
        };
        self.send(thread, ThreadCommand::Record(leg, recorder))?;
        if !self.writer.send(job) {
            return refuse(FailureCode::Internal, "the writer thread is gone");
        }
        self.add(id, OperationEntry::new(leg, Kind::Record));
        Ok(())
    }
}
