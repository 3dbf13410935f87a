//! What the node and SIP settle, as media is told it.

use std::net::SocketAddr;

use offhook_words::{Codec, Failure, FailureCode};

use crate::control::wire::{Play, Record};
use crate::media::{LegKey, MediaCommand, StreamParameters};

/// An operation that media does, with the leg's key in place of its name.
pub fn play(play: Play, leg: LegKey) -> MediaCommand {
    MediaCommand::Play {
        id: play.id,
        leg,
        sources: play.sources,
        side: play.side,
        volume_db: play.volume_db,
        loops: play.loops,
        more: play.more,
        interrupt: play.interrupt,
    }
}

/// See [`play`].
pub fn record(record: Record, leg: LegKey) -> MediaCommand {
    MediaCommand::Record {
        id: record.id,
        leg,
        recording: record.recording,
        side: record.side,
        stereo: record.stereo,
        beep: record.beep,
        initial_timeout_ms: record.initial_timeout_ms,
        end_silence_timeout_ms: record.end_silence_timeout_ms,
        max_length_ms: record.max_length_ms,
        terminators: record.terminators,
        sensitivity: record.sensitivity,
    }
}

/// A settled session as media needs it. On hold without an address, packets go nowhere, and the last address stays.
pub fn stream(
    session: &offhook_sdp::MediaSession,
    before: Option<&offhook_sdp::MediaSession>,
) -> Option<StreamParameters> {
    let last = before.and_then(|before| before.remote);
    let remote = session.remote.or(last)?;
    Some(StreamParameters {
        remote_rtp: remote,
        remote_rtcp: session.remote_rtcp.unwrap_or_else(|| above(remote)),
        formats: session.formats,
        send: !session.is_hold(),
        receive: session.direction.receives(),
    })
}

fn above(rtp: SocketAddr) -> SocketAddr {
    SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1))
}

/// The codecs that were asked for, and behind them those that were not; none asked for: none, so that the peer's order wins.
pub fn wanted_first(wanted: &[Codec]) -> Vec<Codec> {
    let mut codecs = wanted.to_vec();
    if !wanted.is_empty() {
        codecs.extend(Codec::ALL.into_iter().filter(|codec| !wanted.contains(codec)));
    }
    codecs
}

/// The codecs that were asked for by name; an empty list means all.
pub fn codecs(names: &[String]) -> Result<Vec<Codec>, Failure> {
    let known: Vec<_> = names.iter().filter_map(|name| Codec::parse(name)).collect();
    if known.is_empty() && !names.is_empty() {
        let sentence = "none of these codecs is built: ask for PCMU, PCMA or G722, or leave codecs empty";
        return Err(Failure::new(FailureCode::NotNegotiated, sentence));
    }
    Ok(known)
}
