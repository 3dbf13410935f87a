//! Which stream and codec are taken, and the description that says so (RFC 3264).

use std::fmt::Write;

use offhook_words::{Codec, Formats};

use crate::description::{Description, Media, malformed, unacceptable};
use crate::memory::Format;
use crate::{Direction, Local, MediaSession, Refusal};

/// Every packet of ours holds this much.
const PTIME_MS: u32 = 20;

/// Write an offer: our codecs, telephone-event, ptime 20, sendrecv. Raises `local.version`.
///
/// In a session that had descriptions before, every stream stands in its place again, those that are not ours with port 0,
/// and every format has the number it had (RFC 3264, sections 8 and 8.3.2).
pub fn offer(local: &mut Local) -> String {
    let mut text = head(local, "0 0");
    let codecs: Vec<(u8, Codec)> = local
        .codecs()
        .into_iter()
        .filter_map(|codec| Some((local.memory.number(Format::Codec(codec))?, codec)))
        .collect();
    let telephone_event = local.memory.number(Format::TelephoneEvent);
    let slots = local.memory.slots();
    for (place, slot) in slots.iter().enumerate() {
        if place == local.memory.audio() {
            let direction = Direction::SendReceive;
            stream(&mut text, &slot.protocol, local, &codecs, telephone_event, direction);
        } else {
            text.push_str(&slot.refused());
        }
    }
    local.memory.offered(slots);
    text
}

/// Answer an offer: the audio stream we have, else the first that can be taken; every other stream is refused with port 0.
///
/// Raises `local.version` if it succeeds, and changes nothing if it does not.
pub fn answer(offer: &str, local: &mut Local) -> Result<(String, MediaSession), Refusal> {
    let description = Description::parse(offer)?;
    let (place, session) = choose(&description, local)?;
    let timing = description
        .timing
        .as_deref()
        .filter(|timing| is_timing(timing))
        .unwrap_or("0 0");
    let mut text = head(local, timing);
    let codecs = [(session.formats.payload_type_tx, session.formats.codec)];
    let telephone_event = session.formats.telephone_event_tx;
    for (position, media) in description.media.iter().enumerate() {
        if position == place {
            let direction = session.direction;
            stream(&mut text, &media.protocol, local, &codecs, telephone_event, direction);
            local.memory.numbers(media);
        } else {
            let formats = if media.formats.is_empty() {
                "0".to_owned()
            } else {
                media.formats.join(" ")
            };
            let _ = write!(text, "m={} 0 {} {formats}\r\n", media.kind, media.protocol);
        }
    }
    local.memory.taken(&description, place);
    let [(number, codec)] = codecs;
    local.memory.said(number, Format::Codec(codec));
    if let Some(number) = telephone_event {
        local.memory.said(number, Format::TelephoneEvent);
    }
    Ok((text, session))
}

/// Read the answer to the last offer that [`offer`] wrote with this `local`.
pub fn accept(answer: &str, local: &mut Local) -> Result<MediaSession, Refusal> {
    let description = Description::parse(answer)?;
    let place = local.memory.audio();
    let Some(media) = description.media.get(place) else {
        return Err(malformed(
            "the answer has fewer m= lines than the offer; answer each in its place",
        ));
    };
    if !media.kind.eq_ignore_ascii_case("audio") {
        return Err(malformed(
            "the m= line in the place of our audio stream is no audio; answer each in its place",
        ));
    }
    if media.port == Some(0) {
        return Err(unacceptable("the answer refuses the audio stream"));
    }
    let mut session = settle(&description, media, local)?;
    local.memory.numbers(media);
    // What we receive is numbered as we offered it (RFC 3264, section 5.1).
    let ours = |format| local.memory.ours(format);
    session.formats.payload_type_rx =
        ours(Format::Codec(session.formats.codec)).unwrap_or(session.formats.payload_type_tx);
    session.formats.telephone_event_rx = session
        .formats
        .telephone_event_tx
        .and_then(|_| ours(Format::TelephoneEvent));
    Ok(session)
}

/// The codecs that an offer has in common with this build, in its order; refused if nothing of it can be taken.
pub fn codecs(offer: &str, local: &Local) -> Result<Vec<Codec>, Refusal> {
    let description = Description::parse(offer)?;
    let (place, _) = choose(&description, local)?;
    let codecs = description.media.get(place).map(|media| media.codecs(&local.memory));
    Ok(codecs.unwrap_or_default().into_iter().map(|(_, codec)| codec).collect())
}

/// The stream that is taken, and its place: the one we have where it still can be, else the first; the first refusal with
/// a reason of its own if none can.
fn choose(description: &Description, local: &Local) -> Result<(usize, MediaSession), Refusal> {
    let mut refusal = None;
    let is_offered = |media: &&Media| media.kind.eq_ignore_ascii_case("audio") && media.port != Some(0);
    let mut places: Vec<(usize, &Media)> = description.media.iter().enumerate().collect();
    places.sort_by_key(|(place, _)| *place != local.memory.audio());
    for (place, media) in places.into_iter().filter(|(_, media)| is_offered(media)) {
        match settle(description, media, local) {
            Ok(session) => return Ok((place, session)),
            Err(reason) => refusal = refusal.or(Some(reason)),
        }
    }
    Err(refusal.unwrap_or_else(|| unacceptable("offer an audio stream (m=audio) with a port other than 0")))
}

/// What media needs to know, should this stream be taken.
fn settle(description: &Description, media: &Media, local: &Local) -> Result<MediaSession, Refusal> {
    let (payload_type, codec) = choose_codec(media, local)?;
    let remotes = media.remotes(description)?;
    if remotes.is_some_and(|(rtp, _)| rtp.is_ipv4() != local.media.is_ipv4()) {
        let family = if local.media.is_ipv4() { "IPv4" } else { "IPv6" };
        return Err(unacceptable(&format!(
            "send an {family} address in the c= line; this call runs over {family}"
        )));
    }
    let telephone_event = media.telephone_event(&local.memory);
    Ok(MediaSession {
        remote: remotes.map(|(rtp, _)| rtp),
        remote_rtcp: remotes.map(|(_, rtcp)| rtcp),
        formats: Formats {
            codec,
            payload_type_tx: payload_type,
            payload_type_rx: payload_type,
            telephone_event_tx: telephone_event,
            telephone_event_rx: telephone_event,
        },
        direction: media
            .direction
            .or(description.direction)
            .unwrap_or(Direction::SendReceive)
            .reversed(),
        ptime_ms: media.ptime_ms.unwrap_or(PTIME_MS),
    })
}

fn choose_codec(media: &Media, local: &Local) -> Result<(u8, Codec), Refusal> {
    if !media.is_plain_audio() {
        return Err(unacceptable(
            "offer audio over RTP/AVP; SRTP and other profiles are not built yet",
        ));
    }
    if media.maxptime_ms.is_some_and(|limit| limit < PTIME_MS) {
        return Err(unacceptable(
            "packets of 20 ms are sent; raise a=maxptime to 20 or more",
        ));
    }
    let offered = media.codecs(&local.memory);
    // The application's order wins where it named codecs, else the peer's.
    let chosen = if local.codecs.is_empty() {
        offered.first().copied()
    } else {
        local
            .codecs
            .iter()
            .find_map(|codec| offered.iter().find(|(_, other)| other == codec).copied())
    };
    chosen.ok_or_else(|| {
        let names: Vec<&str> = local.codecs().into_iter().map(Codec::name).collect();
        let names = match names.split_last() {
            Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
            _ => names.concat(),
        };
        unacceptable(&format!("no codec in common; offer {names} at 8000 Hz"))
    })
}

fn head(local: &mut Local, timing: &str) -> String {
    let address = local.media.ip();
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    let (id, version) = (local.session_id, local.version);
    local.version = local.version.wrapping_add(1);
    format!("v=0\r\no=- {id} {version} IN {family} {address}\r\ns=offhook\r\nc=IN {family} {address}\r\nt={timing}\r\n")
}

fn stream(
    text: &mut String,
    protocol: &str,
    local: &Local,
    codecs: &[(u8, Codec)],
    telephone_event: Option<u8>,
    direction: Direction,
) {
    let _ = write!(text, "m=audio {} {protocol}", local.media.port());
    for (payload_type, _) in codecs {
        let _ = write!(text, " {payload_type}");
    }
    if let Some(payload_type) = telephone_event {
        let _ = write!(text, " {payload_type}");
    }
    text.push_str("\r\n");
    for (payload_type, codec) in codecs {
        let _ = write!(text, "a=rtpmap:{payload_type} {}/8000\r\n", codec.name());
    }
    if let Some(payload_type) = telephone_event {
        let _ = write!(
            text,
            "a=rtpmap:{payload_type} telephone-event/8000\r\na=fmtp:{payload_type} 0-15\r\n"
        );
    }
    let _ = write!(text, "a=ptime:{PTIME_MS}\r\na={}\r\n", direction.name());
}

/// `<start> <stop>`, digits both; anything else of a peer's is not copied.
fn is_timing(timing: &str) -> bool {
    let mut words = timing.split(' ');
    let is_number =
        |word: Option<&str>| word.is_some_and(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit()));
    is_number(words.next()) && is_number(words.next()) && words.next().is_none()
}
