//! Descriptions of the field: what is taken though it is not written as the grammar wants it, and what is refused.
//!
//! The rule is in `docs/internals/sip.md`, "What is understood".
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use offhook_sdp::{Local, MediaSession, answer};
use offhook_words::Codec;

const HEAD: &str = "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n";

fn local() -> Local {
    Local::new("198.51.100.7:30000".parse().unwrap(), Vec::new(), 7)
}

fn taken(offer: &str) -> (String, MediaSession) {
    answer(offer, &mut local()).unwrap_or_else(|refusal| panic!("{offer}: {refusal}"))
}

fn refused(offer: &str) -> (u16, String) {
    let refusal = answer(offer, &mut local()).unwrap_err();
    (refusal.status, refusal.reason)
}

fn streams(answer: &str) -> Vec<&str> {
    answer.lines().filter(|line| line.starts_with("m=")).collect()
}

#[test]
fn telephone_event_is_known_in_every_spelling_at_8000_hz() {
    // DoubangoTelecom/doubango#208, pjsip/pjproject#4615: "/1" says what is so without it (RFC 4566, 6).
    for (map, number) in [
        ("a=rtpmap:101 telephone-event/8000/1", Some(101)),
        ("a=rtpmap:101 TELEPHONE-EVENT/8000", Some(101)),
        ("a=rtpmap: 101  telephone-event/8000 ", Some(101)),
        ("a=rtpmap:101\ttelephone-event/8000", Some(101)),
        ("a=RTPMAP:101 telephone-event/8000", Some(101)),
        ("a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-11,16", Some(101)),
        ("a=fmtp:101 0-15\na=rtpmap:101 telephone-event/8000", Some(101)),
        (
            "a=rtpmap:101 telephone-event/16000\na=rtpmap:102 telephone-event/8000",
            Some(102),
        ),
        ("a=rtpmap:101 telephone-event/8000/2", None),
        ("a=rtpmap:101 telephone-event/16000", None),
        ("a=rtpmap:103 telephone-event/8000", None),
        ("a=fmtp:101 0-15", None),
    ] {
        let (_, stream) = taken(&format!("{HEAD}m=audio 4000 RTP/AVP 0 101 102\n{map}\n"));
        assert_eq!(stream.formats.telephone_event_tx, number, "{map}");
    }
}

#[test]
fn a_codec_is_known_by_its_map_or_by_its_static_number() {
    for (formats, maps, chosen) in [
        ("0", "", Some((0, Codec::Pcmu))),
        ("8 0", "", Some((8, Codec::Pcma))),
        ("9 0", "", Some((9, Codec::G722))),
        (
            "0 109",
            "a=rtpmap:0 x/8000\na=rtpmap:109 g722/8000/1\n",
            Some((109, Codec::G722)),
        ),
        // RFC 3551 section 4.5.2: its clock is of 8000 Hz, by an error that stays.
        ("9 0", "a=rtpmap:9 G722/16000\n", Some((0, Codec::Pcmu))),
        ("0", "a=rtpmap:0 PCMU/8000/1\n", Some((0, Codec::Pcmu))),
        ("0", "a=rtpmap:0 pcmu/8000\na=fmtp:0 x=y\n", Some((0, Codec::Pcmu))),
        ("0", "a=rtpmap:0 PCMU\n", Some((0, Codec::Pcmu))),
        ("118 9", "a=rtpmap:118 PCMA/8000\n", Some((118, Codec::Pcma))),
        ("0 8", "a=rtpmap:0 PCMU/8000/2\n", Some((8, Codec::Pcma))),
        ("0 8", "a=rtpmap:0 PCMU/16000\n", Some((8, Codec::Pcma))),
        ("0", "a=rtpmap:0 PCMU/8000/2\n", None),
        ("8", "a=rtpmap:8 PCMU\n", None),
        ("97", "", None),
        ("x 256 0", "", Some((0, Codec::Pcmu))),
    ] {
        let offer = format!("{HEAD}m=audio 4000 RTP/AVP {formats}\n{maps}");
        let got = answer(&offer, &mut local())
            .ok()
            .map(|(_, stream)| (stream.formats.payload_type_tx, stream.formats.codec));
        assert_eq!(got, chosen, "{offer}");
    }
}

#[test]
fn of_two_audio_lines_the_one_that_can_be_reached_is_taken_in_its_place() {
    // RFC 4091 and dual-stack phones: baresip/baresip#79, team-telnyx/freeswitch#25.
    let good = "m=audio 4010 RTP/AVP 0\nc=IN IP4 192.0.2.9\n";
    for bad in [
        "m=audio 4000 RTP/AVP 0\nc=IN IP6 2001:db8::1\n",
        "m=audio 4000 RTP/AVP 0\nc=IN IP4 gw.example\n",
        "m=audio 4000 RTP/AVP 0\nc=IN IP4 239.1.1.1\n",
        "m=audio 4000 RTP/AVP 0\nc=what\n",
        "m=audio 4000 RTP/AVP 0\n",
        "m=audio 0 RTP/AVP 0\nc=what\n",
        "m=audio 4000 RTP/SAVP 0\na=crypto:1 x\n",
        "m=audio 4000 RTP/AVP 18\nc=IN IP4 192.0.2.8\n",
        "m=audio 4000 RTP/AVP 0\nc=IN IP4 192.0.2.8\na=maxptime:10\n",
        "m=audio 70000 RTP/AVP 0\n",
    ] {
        for (offer, place) in [(format!("v=0\n{bad}{good}"), 1), (format!("v=0\n{good}{bad}"), 0)] {
            let (text, stream) = taken(&offer);
            assert_eq!(stream.remote, Some("192.0.2.9:4010".parse().unwrap()), "{offer}");
            let ports: Vec<&str> = streams(&text)
                .iter()
                .filter_map(|line| line.split(' ').nth(1))
                .collect();
            assert_eq!(
                ports,
                if place == 0 { ["30000", "0"] } else { ["0", "30000"] },
                "{offer}"
            );
        }
    }
    let (text, _) = taken(&format!("v=0\n{}{good}", good.replace("AVP", "AVPF")));
    assert_eq!(streams(&text), ["m=audio 30000 RTP/AVPF 0", "m=audio 0 RTP/AVP 0"]);
}

#[test]
fn other_lines_in_any_order_are_refused_in_their_place_whatever_they_hold() {
    let audio = "m=audio 4000 RTP/AVP 0";
    let others = [
        "m=video 5000 RTP/AVP 31 34",
        "m=text 6000 RTP/AVP 98",
        "m=image 7000 udptl t38",
        "m=application 9 TCP/BFCP *",
        "m=message 99999 TCP/MSRP *",
        "m=x-none 0 RTP/AVP",
    ];
    for turn in 0..=others.len() {
        let mut lines: Vec<String> = others
            .iter()
            .map(|line| format!("{line}\na=x:y\nc=ATM NSAP 47\n"))
            .collect();
        lines.insert(turn, format!("{audio}\na=x:y\n"));
        let (text, _) = taken(&format!("{HEAD}{}", lines.concat()));
        let answered = streams(&text);
        assert_eq!(answered.len(), lines.len(), "{text}");
        for (position, line) in answered.iter().enumerate() {
            let port = line.split(' ').nth(1).unwrap();
            assert_eq!(port, if position == turn { "30000" } else { "0" }, "{text}");
            assert_eq!(line.split(' ').next(), lines[position].split(' ').next());
        }
    }
}

#[test]
fn the_nul_behind_a_description_and_blanks_around_an_attribute_are_no_part_of_it() {
    for end in ["", "\n", "\0", "\n\0", "\n\0\0"] {
        let (_, stream) = taken(&format!("{HEAD}m=audio 4000 RTP/AVP 0\na=sendonly{end}"));
        assert!(stream.is_hold(), "{end:?}");
    }
    for attribute in ["a= sendonly", "a=sendonly ", "a=\tSendOnly"] {
        let (_, stream) = taken(&format!("{HEAD}m=audio 4000 RTP/AVP 0\n{attribute}\n"));
        assert!(stream.is_hold(), "{attribute}");
        let (_, stream) = taken(&format!("{HEAD}{attribute}\nm=audio 4000 RTP/AVP 0\n"));
        assert!(stream.is_hold(), "{attribute}");
    }
}

#[test]
fn lines_may_end_in_lf_and_those_that_say_nothing_may_be_left_out() {
    for offer in [
        "v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\n",
        "v=0\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.1",
        "\r\n\r\nv=0\r\n\r\nc=IN IP4 192.0.2.1\n\nm=audio 4000 RTP/AVP 0\r\n\r\n",
        "v=0\ns=\no=\nt=\nb=\nc=in ip4 192.0.2.1 \nm=audio 4000 RTP/AVP 0  \na=\na=:\na=rtpmap\na=rtpmap:0\na=ptime:x\n",
        "v=0\nm=audio 4000/1 rtp/avp 0\nc=IN IP4 192.0.2.1/127\n",
        "v=0\nc=IN IP6 2001:db8::1\nm=audio 4000 RTP/AVP 0\nc=IN IP4 192.0.2.1\n",
        "v=0\nc=what\nm=audio 4000 RTP/AVP 0\nc=IN IP4 192.0.2.1\n",
        "v=0\nt=yesterday\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\na=SendRecv\n",
    ] {
        let (text, stream) = taken(offer);
        assert_eq!(stream.remote, Some("192.0.2.1:4000".parse().unwrap()), "{offer}");
        assert!(text.contains("\r\nt=0 0\r\n"), "{text}");
    }
}

#[test]
fn what_cannot_be_taken_is_refused_with_what_to_change() {
    for (offer, status, words) in [
        // sipwise/rtpengine#58. A name is not looked up: who sends it would choose whom we ask, and when we answer.
        (
            "v=0\nc=IN IP4 localhost\nm=audio 4000 RTP/AVP 0\n",
            488,
            "names are not resolved here",
        ),
        ("v=0\nc=IN IP4\nm=audio 4000 RTP/AVP 0\n", 400, "c=IN IP4 <address>"),
        (
            "v=0\nc=ATM NSAP 47\nm=audio 4000 RTP/AVP 0\n",
            400,
            "c=IN IP4 <address>",
        ),
        ("v=0\nc=IN IP4 192.0.2.1\nm=audio 70000 RTP/AVP 0\n", 400, "0 to 65535"),
        ("v=0\nc=IN IP4 192.0.2.1\nm=audio 4000\n", 400, "m=audio <port>"),
        (
            "v=0\nc=IN IP4 192.0.2.1\nm=video 4000\nm=audio 4000 RTP/AVP 0\n",
            400,
            "m=audio <port>",
        ),
        (
            "v=0\nc=IN IP4 192.0.2.1\nm=audio 0 RTP/AVP 0\nm=audio 0 RTP/AVP 8\n",
            488,
            "port other than 0",
        ),
        (
            "v=0\nc=IN IP4 192.0.2.1\nm=video 5000 RTP/AVP 31\n",
            488,
            "port other than 0",
        ),
        (
            "v=0\nc=IN IP4 192.0.2.1\nwords\nm=audio 4000 RTP/AVP 0\n",
            400,
            "<letter>=<value>",
        ),
        ("c=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\n", 400, "v=0"),
        (
            "v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 UDP/TLS/RTP/SAVPF 0\n",
            488,
            "SRTP",
        ),
        (
            "v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 18 101\na=rtpmap:101 telephone-event/8000\n",
            488,
            "PCMU, PCMA or G722",
        ),
    ] {
        let (got, reason) = refused(offer);
        assert!(got == status && reason.contains(words), "{offer}: {got} {reason}");
    }
}
