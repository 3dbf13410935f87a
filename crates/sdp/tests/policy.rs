//! Offers and answers, one rule of RFC 3264 a test.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::net::SocketAddr;

use offhook_sdp::{Direction, Local, accept, answer, codecs, offer};
use offhook_words::Codec;
use proptest::prelude::*;

const OFFER: &str = "v=0\r\no=alice 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 18 8 0 97\r\na=rtpmap:97 telephone-event/8000\r\na=ptime:20\r\n";

fn local() -> Local {
    Local {
        version: 1,
        ..Local::new("198.51.100.7:30000".parse().unwrap(), Vec::new(), 7)
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn the_peers_order_chooses_the_codec_where_the_application_named_none() {
    let (text, stream) = answer(OFFER, &mut local()).unwrap();
    assert_eq!((stream.formats.codec, stream.formats.payload_type_tx), (Codec::Pcma, 8));
    assert_eq!(stream.formats.telephone_event_rx, Some(97));
    assert_eq!(stream.remote, Some(address("192.0.2.1:4000")));
    assert_eq!(stream.remote_rtcp, Some(address("192.0.2.1:4001")));
    assert!(text.contains("m=audio 30000 RTP/AVP 8 97\r\n"), "{text}");
    assert!(
        text.contains("a=rtpmap:97 telephone-event/8000\r\na=fmtp:97 0-15\r\n"),
        "{text}"
    );
    assert!(text.contains("a=ptime:20\r\na=sendrecv\r\n"), "{text}");
}

#[test]
fn the_applications_order_chooses_the_codec_where_it_named_some() {
    let mut local = Local {
        codecs: vec![Codec::Pcmu, Codec::Pcma],
        ..local()
    };
    assert_eq!(answer(OFFER, &mut local).unwrap().1.formats.codec, Codec::Pcmu);
}

#[test]
fn a_dynamic_payload_type_is_a_codec_by_its_rtpmap_and_a_remapped_static_one_is_not() {
    let text = "v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0 112\na=rtpmap:0 iLBC/8000\na=rtpmap:112 pcmu/8000\n";
    let (_, stream) = answer(text, &mut local()).unwrap();
    assert_eq!(
        (stream.formats.codec, stream.formats.payload_type_rx),
        (Codec::Pcmu, 112)
    );
    assert_eq!(stream.formats.telephone_event_tx, None);
}

#[test]
fn every_other_stream_is_refused_in_its_place() {
    let text = format!("{OFFER}m=video 5000 RTP/AVP 31 34\r\nm=audio 6000 RTP/AVP 0\r\nm=image 7000 udptl t38\r\n");
    let (text, _) = answer(&text, &mut local()).unwrap();
    let streams: Vec<&str> = text.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        streams,
        [
            "m=audio 30000 RTP/AVP 8 97",
            "m=video 0 RTP/AVP 31 34",
            "m=audio 0 RTP/AVP 0",
            "m=image 0 udptl t38"
        ]
    );
}

#[test]
fn a_second_audio_stream_is_taken_where_the_first_cannot_be() {
    let text = "v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/SAVP 0\nm=audio 4010 RTP/AVP 0\n";
    let (text, stream) = answer(text, &mut local()).unwrap();
    assert_eq!(stream.remote, Some(address("192.0.2.1:4010")));
    assert!(
        text.contains("m=audio 0 RTP/SAVP 0\r\nm=audio 30000 RTP/AVP 0\r\n"),
        "{text}"
    );
}

#[test]
fn hold_is_answered_from_our_side_and_by_the_null_address_too() {
    for (attribute, direction, is_hold) in [
        ("sendonly", Direction::ReceiveOnly, true),
        ("recvonly", Direction::SendOnly, false),
        ("inactive", Direction::Inactive, true),
        ("sendrecv", Direction::SendReceive, false),
    ] {
        let (text, stream) = answer(&format!("{OFFER}a={attribute}\r\n"), &mut local()).unwrap();
        assert_eq!(
            (stream.direction, stream.is_hold()),
            (direction, is_hold),
            "{attribute}"
        );
        assert!(text.contains(&format!("a={}\r\n", direction.name())));
    }
    let text = OFFER.replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0");
    let stream = answer(&text, &mut local()).unwrap().1;
    assert!(stream.is_hold() && stream.remote.is_none());
}

#[test]
fn a_direction_at_session_level_holds_until_a_stream_says_otherwise() {
    let text = OFFER.replace("t=0 0\r\n", "t=0 0\r\na=inactive\r\n");
    assert_eq!(answer(&text, &mut local()).unwrap().1.direction, Direction::Inactive);
    assert_eq!(
        answer(&format!("{text}a=sendrecv\r\n"), &mut local())
            .unwrap()
            .1
            .direction,
        Direction::SendReceive
    );
}

#[test]
fn addresses_of_the_stream_win_and_rtcp_may_have_a_port_of_its_own() {
    let text = format!("{OFFER}c=IN IP4 192.0.2.9\r\na=rtcp:4444\r\na=rtcp-mux\r\n");
    let (text, stream) = answer(&text, &mut local()).unwrap();
    assert_eq!(stream.remote, Some(address("192.0.2.9:4000")));
    assert_eq!(stream.remote_rtcp, Some(address("192.0.2.9:4444")));
    assert!(!text.contains("rtcp-mux"), "multiplexing is declined");
}

#[test]
fn the_version_rises_with_every_description() {
    let mut local = local();
    assert!(
        answer(OFFER, &mut local)
            .unwrap()
            .0
            .contains("o=- 7 1 IN IP4 198.51.100.7\r\n")
    );
    assert!(offer(&mut local).contains("o=- 7 2 IN IP4 198.51.100.7\r\n"));
}

#[test]
fn refusals_say_what_to_change() {
    for (text, status, words) in [
        ("", 400, "v=0"),
        ("v=0\nm=audio x RTP/AVP 0\n", 400, "0 to 65535"),
        ("v=0\nm=audio 4000 RTP/AVP 0\n", 400, "c= line is missing"),
        (
            "v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 4 18\n",
            488,
            "offer PCMU, PCMA or G722 at 8000 Hz",
        ),
        ("v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/SAVP 0\n", 488, "SRTP"),
        (
            "v=0\nc=IN IP4 192.0.2.1\nm=audio 0 RTP/AVP 0\n",
            488,
            "port other than 0",
        ),
        (
            "v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\na=maxptime:10\n",
            488,
            "maxptime",
        ),
        (
            "v=0\nc=IN IP4 phone.example\nm=audio 4000 RTP/AVP 0\n",
            488,
            "IP address",
        ),
        ("v=0\nc=IN IP6 2001:db8::1\nm=audio 4000 RTP/AVP 0\n", 488, "IPv4"),
        ("v=0\nc=IN IP4 239.1.1.1/3\nm=audio 4000 RTP/AVP 0\n", 488, "unicast"),
    ] {
        let refusal = answer(text, &mut local()).unwrap_err();
        assert_eq!(refusal.status, status, "{text}: {refusal}");
        assert!(refusal.reason.contains(words), "{text}: {refusal}");
    }
}

#[test]
fn our_offer_is_accepted_with_the_peers_numbers_for_sending_and_ours_for_receiving() {
    let mut local = local();
    let text = offer(&mut local);
    assert!(text.contains("m=audio 30000 RTP/AVP 0 8 9 101\r\n"), "{text}");
    let reply = "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 8 96\r\na=rtpmap:96 telephone-event/8000\r\n";
    let stream = accept(reply, &mut local).unwrap();
    assert_eq!(
        (
            stream.formats.codec,
            stream.formats.payload_type_tx,
            stream.formats.payload_type_rx
        ),
        (Codec::Pcma, 8, 8)
    );
    assert_eq!(
        (stream.formats.telephone_event_tx, stream.formats.telephone_event_rx),
        (Some(96), Some(101))
    );
    let refused = accept("v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 0 RTP/AVP 0\r\n", &mut local).unwrap_err();
    assert!(refused.reason.contains("refuses the audio stream"));
}

#[test]
fn what_an_application_may_choose_from_is_told_before_the_answer() {
    assert_eq!(codecs(OFFER, &local()).unwrap(), [Codec::Pcma, Codec::Pcmu]);
}

#[test]
fn ipv6_works_where_the_call_runs_over_it() {
    let mut local = Local {
        media: "[2001:db8::7]:30000".parse().unwrap(),
        ..local()
    };
    let text = "v=0\r\nc=IN IP6 2001:db8::1\r\nm=audio 4000 RTP/AVP 0\r\n";
    let (text, stream) = answer(text, &mut local).unwrap();
    assert_eq!(stream.remote, Some(address("[2001:db8::1]:4000")));
    assert!(text.contains("c=IN IP6 2001:db8::7\r\n"));
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader_and_what_it_answers_has_no_foreign_line(text in "(v=0\n)?([a-z]=[ -~]{0,30}\r?\n){0,12}") {
        if let Ok((reply, _)) = answer(&text, &mut local()) {
            prop_assert!(reply.lines().all(|line| line.as_bytes().get(1) == Some(&b'=')));
            prop_assert_eq!(
                reply.lines().filter(|line| line.starts_with("m=")).count(),
                text.lines().filter(|line| line.starts_with("m=")).count()
            );
        }
    }

    #[test]
    fn an_offer_of_ours_is_answered_by_ourselves_and_both_agree(port in 2u16..65_000, order in any::<bool>()) {
        let codecs = if order { vec![Codec::Pcma, Codec::Pcmu] } else { Vec::new() };
        let mut here = Local::new(SocketAddr::from(([198, 51, 100, 7], port)), codecs, 1);
        let mut there = Local { media: address("192.0.2.1:4000"), ..local() };
        let (reply, theirs) = answer(&offer(&mut here), &mut there).unwrap();
        let ours = accept(&reply, &mut here).unwrap();
        prop_assert_eq!(ours.formats.codec, theirs.formats.codec);
        prop_assert_eq!(ours.formats.telephone_event_tx, theirs.formats.telephone_event_rx);
        prop_assert_eq!(theirs.remote, Some(here.media));
        prop_assert_eq!(ours.remote, Some(there.media));
    }
}
