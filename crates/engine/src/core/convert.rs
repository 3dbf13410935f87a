//! One party's words in another's: control socket, SIP, SDP and media never see each other's types.

use std::net::SocketAddr;

use crate::control::wire::{self, Failure, FailureCode, LegEndCause};
use crate::media::{self, LegKey, MediaCommand};

impl From<media::Refusal> for Failure {
    fn from(refusal: media::Refusal) -> Self {
        use media::RefusalCode as Code;
        let code = match refusal.code {
            Code::BadRequest => FailureCode::BadRequest,
            Code::UnknownLeg => FailureCode::UnknownLeg,
            Code::UnknownOperation => FailureCode::UnknownOperation,
            Code::WrongState => FailureCode::WrongState,
            Code::NoCapacity => FailureCode::NoCapacity,
            Code::Internal => FailureCode::Internal,
        };
        Self::new(code, refusal.message)
    }
}

impl From<offhook_sip::CommandError> for Failure {
    fn from(error: offhook_sip::CommandError) -> Self {
        use offhook_sip::CommandError as Error;
        let code = match &error {
            Error::UnknownLeg => FailureCode::UnknownLeg,
            Error::WrongState(_) => FailureCode::WrongState,
            Error::BadRequest(_) => FailureCode::BadRequest,
        };
        Self::new(code, error.to_string())
    }
}

/// An operation that media does, with the leg's key in place of its name.
pub fn play(play: wire::Play, leg: LegKey) -> MediaCommand {
    MediaCommand::Play {
        id: play.id,
        leg,
        sources: sources(play.sources),
        side: side(play.side),
        volume_db: play.volume_db,
        loops: play.loops,
        more: play.more,
        interrupt: media::Interrupt {
            digit: play.interrupt.contains(&wire::Interrupt::Digit),
            speech: play.interrupt.contains(&wire::Interrupt::Speech),
        },
    }
}

/// See [`play`].
pub fn record(record: wire::Record, leg: LegKey) -> MediaCommand {
    MediaCommand::Record {
        id: record.id,
        leg,
        recording: record.recording,
        side: side(record.side),
        stereo: record.stereo,
        beep: record.beep,
        initial_timeout_ms: record.initial_timeout_ms,
        end_silence_timeout_ms: record.end_silence_timeout_ms,
        max_length_ms: record.max_length_ms,
        terminators: record.terminators,
        sensitivity: record.sensitivity,
    }
}

/// What is played.
pub fn sources(sources: Vec<wire::Source>) -> Vec<media::Source> {
    sources.into_iter().map(source).collect()
}

fn source(source: wire::Source) -> media::Source {
    match source {
        wire::Source::File {
            prompt,
            encoding,
            rate_hz,
            growing,
        } => media::Source::File {
            prompt,
            encoding: match encoding {
                wire::Encoding::Auto => media::FileEncoding::Auto,
                wire::Encoding::PcmS16le => media::FileEncoding::PcmS16le { rate_hz },
            },
            growing,
        },
        wire::Source::Tone { cadence, duration_ms } => media::Source::Tone {
            cadence: cadence
                .into_iter()
                .map(|tone| media::Tone {
                    duration_ms: tone.duration_ms,
                    frequencies_hz: tone.frequencies_hz,
                    level_dbm0: tone.level_dbm0,
                })
                .collect(),
            duration_ms,
        },
        wire::Source::Silence { duration_ms } => media::Source::Silence { duration_ms },
        wire::Source::Pcm { stream, rate_hz } => media::Source::Pcm { stream, rate_hz },
    }
}

/// Which side of a leg.
pub fn side(side: wire::Side) -> media::Side {
    match side {
        wire::Side::Listen => media::Side::Listen,
        wire::Side::Speak => media::Side::Speak,
        wire::Side::Both => media::Side::Both,
    }
}

/// What a paused recording does.
pub fn pause_behavior(behavior: wire::PauseBehavior) -> media::PauseBehavior {
    match behavior {
        wire::PauseBehavior::Skip => media::PauseBehavior::Skip,
        wire::PauseBehavior::Silence => media::PauseBehavior::Silence,
    }
}

/// Why an operation ended.
pub fn end_cause(cause: media::EndCause) -> wire::EndCause {
    match cause {
        media::EndCause::Finished => wire::EndCause::Finished,
        media::EndCause::Stopped => wire::EndCause::Stopped,
        media::EndCause::Interrupted => wire::EndCause::Interrupted,
        media::EndCause::Silence => wire::EndCause::Silence,
        media::EndCause::Terminator => wire::EndCause::Terminator,
        media::EndCause::MaxLength => wire::EndCause::MaxLength,
        media::EndCause::NoInput => wire::EndCause::NoInput,
        media::EndCause::Timeout => wire::EndCause::Timeout,
        media::EndCause::Hangup => wire::EndCause::Hangup,
        media::EndCause::Error => wire::EndCause::Error,
    }
}

/// How a digit came.
pub fn digit_method(method: media::DigitMethod) -> wire::DigitMethod {
    match method {
        media::DigitMethod::Rfc4733 => wire::DigitMethod::Rfc4733,
        media::DigitMethod::Info => wire::DigitMethod::Info,
        media::DigitMethod::Inband => wire::DigitMethod::Inband,
    }
}

/// Counters of a leg, with its name.
pub fn stats(leg: &str, stats: media::LegStats) -> wire::LegStats {
    wire::LegStats {
        leg: leg.to_owned(),
        packets_sent: stats.packets_sent,
        packets_received: stats.packets_received,
        packets_lost: stats.packets_lost,
        packets_late: stats.packets_late,
        packets_dropped: stats.packets_dropped,
        packets_foreign: stats.packets_foreign,
        frames_concealed: stats.frames_concealed,
        jitter_ms: stats.jitter_ms,
        round_trip_ms: stats.round_trip_ms,
        playout_delay_ms: stats.playout_delay_ms,
    }
}

/// Who ended a leg.
pub fn ended_by(by: offhook_sip::By) -> wire::EndedBy {
    match by {
        offhook_sip::By::Local => wire::EndedBy::Local,
        offhook_sip::By::Remote => wire::EndedBy::Remote,
        offhook_sip::By::Nobody => wire::EndedBy::None,
    }
}

/// How a leg ended.
pub fn leg_end_cause(cause: offhook_sip::Cause) -> LegEndCause {
    match cause {
        offhook_sip::Cause::Bye => LegEndCause::Bye,
        offhook_sip::Cause::Cancel => LegEndCause::Cancel,
        offhook_sip::Cause::Rejected => LegEndCause::Rejected,
        offhook_sip::Cause::Timeout => LegEndCause::Timeout,
        offhook_sip::Cause::AckTimeout => LegEndCause::AckTimeout,
        offhook_sip::Cause::Unreachable => LegEndCause::Unreachable,
        offhook_sip::Cause::Error => LegEndCause::Error,
    }
}

/// What carries SIP.
pub fn transport(transport: offhook_sip::Transport) -> wire::Transport {
    match transport {
        offhook_sip::Transport::Udp => wire::Transport::Udp,
        offhook_sip::Transport::Tcp => wire::Transport::Tcp,
    }
}

/// What carries SIP.
pub fn sip_transport(transport: wire::Transport) -> offhook_sip::Transport {
    match transport {
        wire::Transport::Udp => offhook_sip::Transport::Udp,
        wire::Transport::Tcp => offhook_sip::Transport::Tcp,
    }
}

/// A settled session as media needs it. On hold without an address, packets go nowhere, and the last address stays.
pub fn stream(
    session: &offhook_sdp::StreamParameters,
    before: Option<&offhook_sdp::StreamParameters>,
) -> Option<media::StreamParameters> {
    let last = before.and_then(|before| before.remote);
    let remote = session.remote.or(last)?;
    Some(media::StreamParameters {
        remote_rtp: remote,
        remote_rtcp: session.remote_rtcp.unwrap_or_else(|| above(remote)),
        codec: codec(session.codec),
        payload_type_tx: session.payload_type_tx,
        payload_type_rx: session.payload_type_rx,
        telephone_event_tx: session.telephone_event_tx,
        telephone_event_rx: session.telephone_event_rx,
        send: !session.is_hold(),
        receive: session.direction.receives(),
    })
}

fn above(rtp: SocketAddr) -> SocketAddr {
    SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1))
}

fn codec(codec: offhook_sdp::Codec) -> media::Codec {
    match codec {
        offhook_sdp::Codec::Pcmu => media::Codec::Pcmu,
        offhook_sdp::Codec::Pcma => media::Codec::Pcma,
    }
}

/// The codecs that were asked for, and behind them those that were not; none asked for: none, so that the peer's order wins.
pub fn wanted_first(wanted: &[offhook_sdp::Codec]) -> Vec<offhook_sdp::Codec> {
    let mut codecs = wanted.to_vec();
    if !wanted.is_empty() {
        let all = [offhook_sdp::Codec::Pcmu, offhook_sdp::Codec::Pcma];
        codecs.extend(all.into_iter().filter(|codec| !wanted.contains(codec)));
    }
    codecs
}

/// The codecs that were asked for by name; an empty list means all.
pub fn codecs(names: &[String]) -> Result<Vec<offhook_sdp::Codec>, Failure> {
    let known: Vec<_> = names
        .iter()
        .filter_map(|name| offhook_sdp::Codec::parse(name))
        .collect();
    if known.is_empty() && !names.is_empty() {
        let sentence = "none of these codecs is built: ask for PCMU or PCMA, or leave codecs empty";
        return Err(Failure::new(FailureCode::NotNegotiated, sentence));
    }
    Ok(known)
}
