//! Which stream and codec are taken, and the description that says so (RFC 3264).

use std::fmt::Write;
use std::net::SocketAddr;

use crate::description::{Description, Media, malformed, unacceptable};
use crate::{Codec, Direction, Local, Refusal, StreamParameters};

/// Our telephone-event in an offer; what RTP implementations commonly use.
const TELEPHONE_EVENT: u8 = 101;
/// Every packet of ours holds this much.
const PTIME_MS: u32 = 20;

/// Write an offer: our codecs, telephone-event 101, ptime 20, sendrecv. Raises `local.version`.
pub fn offer(local: &mut Local) -> String {
    let mut text = head(local, "0 0");
    let codecs: Vec<(u8, Codec)> = local
        .codecs()
        .into_iter()
        .map(|codec| (codec.static_payload_type(), codec))
        .collect();
    stream(
        &mut text,
        "RTP/AVP",
        local.media,
        &codecs,
        Some(TELEPHONE_EVENT),
        Direction::SendReceive,
    );
    text
}

/// Answer an offer: the first audio stream that has a codec in common; every other stream is refused with port 0.
///
/// Raises `local.version` if it succeeds.
pub fn answer(offer: &str, local: &mut Local) -> Result<(String, StreamParameters), Refusal> {
    let description = Description::parse(offer)?;
    let (index, media, payload_type, codec) = choose(&description, local)?;
    let direction = media
        .direction
        .or(description.direction)
        .unwrap_or(Direction::SendReceive)
        .reversed();
    let telephone_event = media.telephone_event();
    let parameters = parameters(&description, media, local, (payload_type, codec), direction)?;

    let timing = description
        .timing
        .as_deref()
        .filter(|timing| is_timing(timing))
        .unwrap_or("0 0");
    let mut text = head(local, timing);
    for (position, other) in description.media.iter().enumerate() {
        if position == index {
            let codecs = [(payload_type, codec)];
            stream(
                &mut text,
                &media.protocol,
                local.media,
                &codecs,
                telephone_event,
                direction,
            );
        } else {
            let formats = if other.formats.is_empty() {
                "0".to_owned()
            } else {
                other.formats.join(" ")
            };
            let _ = write!(text, "m={} 0 {} {formats}\r\n", other.kind, other.protocol);
        }
    }
    Ok((text, parameters))
}

/// Read the answer to an offer that [`offer`] wrote with this `local`.
pub fn accept(answer: &str, local: &Local) -> Result<StreamParameters, Refusal> {
    let description = Description::parse(answer)?;
    let Some(media) = description.media.first() else {
        return Err(malformed("the answer has no m= line"));
    };
    if media.port == 0 {
        return Err(unacceptable("the answer refuses the audio stream"));
    }
    let (_, media, payload_type, codec) = choose_in(0, media, local)?;
    let direction = media
        .direction
        .or(description.direction)
        .unwrap_or(Direction::SendReceive)
        .reversed();
    let mut parameters = parameters(&description, media, local, (payload_type, codec), direction)?;
    // What we receive is numbered as we offered it (RFC 3264, section 5.1).
    parameters.payload_type_rx = codec.static_payload_type();
    parameters.telephone_event_rx = parameters.telephone_event_tx.map(|_| TELEPHONE_EVENT);
    Ok(parameters)
}

/// The codecs that an offer has in common with this build, in its order; refused if nothing of it can be taken.
pub fn codecs(offer: &str) -> Result<Vec<Codec>, Refusal> {
    let description = Description::parse(offer)?;
    let local = Local {
        media: SocketAddr::from(([127, 0, 0, 1], 0)),
        codecs: Vec::new(),
        session_id: 0,
        version: 0,
    };
    let (_, media, _, _) = choose(&description, &local)?;
    Ok(media.codecs().into_iter().map(|(_, codec)| codec).collect())
}

/// The first stream that can be taken; the first refusal with a reason of its own if none can.
fn choose<'a>(description: &'a Description, local: &Local) -> Result<(usize, &'a Media, u8, Codec), Refusal> {
    let mut refusal = None;
    for (index, media) in description.media.iter().enumerate() {
        if !media.kind.eq_ignore_ascii_case("audio") || media.port == 0 {
            continue;
        }
        match choose_in(index, media, local) {
            Ok(chosen) => return Ok(chosen),
            Err(reason) => refusal = refusal.or(Some(reason)),
        }
    }
    Err(refusal.unwrap_or_else(|| unacceptable("offer an audio stream (m=audio) with a port other than 0")))
}

fn choose_in<'a>(index: usize, media: &'a Media, local: &Local) -> Result<(usize, &'a Media, u8, Codec), Refusal> {
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
    let offered = media.codecs();
    // The application's order wins where it named codecs, else the peer's.
    let chosen = if local.codecs.is_empty() {
        offered.first().copied()
    } else {
        local
            .codecs
            .iter()
            .find_map(|codec| offered.iter().find(|(_, other)| other == codec).copied())
    };
    let Some((payload_type, codec)) = chosen else {
        let names: Vec<&str> = local.codecs().into_iter().map(Codec::name).collect();
        return Err(unacceptable(&format!(
            "no codec in common; offer {} at 8000 Hz",
            names.join(" or ")
        )));
    };
    Ok((index, media, payload_type, codec))
}

fn parameters(
    description: &Description,
    media: &Media,
    local: &Local,
    (payload_type, codec): (u8, Codec),
    direction: Direction,
) -> Result<StreamParameters, Refusal> {
    let remotes = media.remotes(description)?;
    if remotes.is_some_and(|(rtp, _)| rtp.is_ipv4() != local.media.is_ipv4()) {
        let family = if local.media.is_ipv4() { "IPv4" } else { "IPv6" };
        return Err(unacceptable(&format!(
            "send an {family} address in the c= line; this call runs over {family}"
        )));
    }
    let telephone_event = media.telephone_event();
    Ok(StreamParameters {
        remote: remotes.map(|(rtp, _)| rtp),
        remote_rtcp: remotes.map(|(_, rtcp)| rtcp),
        codec,
        payload_type_tx: payload_type,
        payload_type_rx: payload_type,
        telephone_event_tx: telephone_event,
        telephone_event_rx: telephone_event,
        direction,
        ptime_ms: media.ptime_ms.unwrap_or(PTIME_MS),
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
    media: SocketAddr,
    codecs: &[(u8, Codec)],
    telephone_event: Option<u8>,
    direction: Direction,
) {
    let _ = write!(text, "m=audio {} {protocol}", media.port());
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
