//! A session over many descriptions: streams keep their places and numbers their formats (RFC 3264, sections 8 and 8.3.2).
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashMap;

use offhook_sdp::{Local, accept, answer, offer};
use offhook_words::Codec;
use proptest::prelude::*;

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";

fn local() -> Local {
    Local::new("198.51.100.7:30000".parse().unwrap(), Vec::new(), 7)
}

fn streams(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("m=")).collect()
}

#[test]
fn our_offer_repeats_every_stream_in_its_place_and_every_number() {
    let mut local = local();
    let first = format!(
        "{HEAD}m=video 5000 RTP/AVP 31 34\r\nm=audio 4000 RTP/AVPF 8 96\r\na=rtpmap:96 telephone-event/8000\r\nm=image 0 udptl t38\r\n"
    );
    answer(&first, &mut local).unwrap();
    let text = offer(&mut local);
    assert_eq!(
        streams(&text),
        [
            "m=video 0 RTP/AVP 31",
            "m=audio 30000 RTP/AVPF 0 8 9 96",
            "m=image 0 udptl t38"
        ]
    );
    assert!(
        text.contains("a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\n"),
        "{text}"
    );
    let reply = format!("{HEAD}m=video 0 RTP/AVP 31\r\nm=audio 4444 RTP/AVPF 0 96\r\nm=image 0 udptl t38\r\n");
    let stream = accept(&reply, &mut local).unwrap();
    assert_eq!(
        (stream.formats.codec, stream.remote),
        (Codec::Pcmu, Some("192.0.2.1:4444".parse().unwrap()))
    );
    assert_eq!(
        stream.formats.telephone_event_tx,
        Some(96),
        "known from before, though its map is left out"
    );
}

#[test]
fn an_answer_that_does_not_keep_the_places_is_refused() {
    let mut local = local();
    answer(
        &format!("{HEAD}m=video 5000 RTP/AVP 31\r\nm=audio 4000 RTP/AVP 0\r\n"),
        &mut local,
    )
    .unwrap();
    offer(&mut local);
    for (reply, words) in [
        (format!("{HEAD}m=audio 4000 RTP/AVP 0\r\n"), "fewer m= lines"),
        (
            format!("{HEAD}m=audio 4000 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\n"),
            "no audio",
        ),
        (
            format!("{HEAD}m=video 0 RTP/AVP 31\r\nm=audio 0 RTP/AVP 0\r\n"),
            "refuses the audio",
        ),
    ] {
        let refusal = accept(&reply, &mut local).unwrap_err();
        assert!(refusal.reason.contains(words), "{reply}: {refusal}");
    }
}

#[test]
fn a_number_that_the_peer_gave_to_another_format_is_not_used_for_ours() {
    let mut local = local();
    let first = format!(
        "{HEAD}m=audio 4000 RTP/AVP 112 0 101 96\r\na=rtpmap:112 PCMA/8000\r\na=rtpmap:0 iLBC/8000\r\na=rtpmap:101 opus/48000/2\r\n"
    );
    answer(&first, &mut local).unwrap();
    let text = offer(&mut local);
    assert_eq!(streams(&text), ["m=audio 30000 RTP/AVP 97 112 9 98"]);
    assert!(
        text.contains(
            "a=rtpmap:97 PCMU/8000\r\na=rtpmap:112 PCMA/8000\r\na=rtpmap:9 G722/8000\r\na=rtpmap:98 telephone-event/8000\r\n"
        ),
        "{text}"
    );
}

#[test]
fn a_later_offer_may_have_another_codec_and_stays_in_its_stream() {
    // livekit/sip#766, emiago/diago#150.
    let mut local = local();
    let both = |one: &str, other: &str| format!("{HEAD}m=audio 4000 RTP/AVP {one}\r\nm=audio 4010 RTP/AVP {other}\r\n");
    assert_eq!(
        answer(&both("18", "0"), &mut local).unwrap().1.formats.codec,
        Codec::Pcmu
    );
    let (text, stream) = answer(&both("0", "8"), &mut local).unwrap();
    assert_eq!(
        (stream.formats.codec, streams(&text)),
        (Codec::Pcma, vec!["m=audio 0 RTP/AVP 0", "m=audio 30000 RTP/AVP 8"])
    );
    let before = local.clone();
    answer(&both("18", "18"), &mut local).unwrap_err();
    assert_eq!(local, before, "what is refused changes nothing");
}

#[test]
fn an_answer_with_a_number_of_its_own_sends_by_it_and_is_sent_to_by_it() {
    // pjsip/pjproject#3700.
    let mut local = local();
    assert!(offer(&mut local).contains("RTP/AVP 0 8 9 101\r\n"));
    let reply = format!("{HEAD}m=audio 4000 RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/8000\r\n");
    for _ in 0..2 {
        let stream = accept(&reply, &mut local).unwrap();
        assert_eq!(
            (stream.formats.telephone_event_tx, stream.formats.telephone_event_rx),
            (Some(96), Some(101))
        );
    }
    assert!(offer(&mut local).contains("RTP/AVP 0 8 9 101\r\n"), "ours stays ours");
}

#[test]
fn no_more_than_16_streams_and_128_numbers_are_kept() {
    let mut local = local();
    let formats: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    let maps: String = (0..300).fold(String::new(), |text, number| {
        text + &format!("a=rtpmap:{number} x{number}/8000\r\n")
    });
    let lines = |count: usize| "m=video 5000 RTP/AVP 31 32 33\r\n".repeat(count);
    let audio = format!(
        "m=audio 4000 RTP/AVP 0 {}\r\n{}",
        formats.join(" "),
        maps.replace("x0/", "PCMU/")
    );
    let refusal = answer(&format!("{HEAD}{audio}{}", lines(16)), &mut local).unwrap_err();
    assert!(
        refusal.status == 400 && refusal.reason.contains("more than 16"),
        "{refusal}"
    );
    assert_eq!(local, self::local());
    for _ in 0..20 {
        answer(&format!("{HEAD}{audio}{}", lines(15)), &mut local).unwrap();
        let text = offer(&mut local);
        assert_eq!(streams(&text)[1..], ["m=video 0 RTP/AVP 31"; 15]);
        assert!(text.len() < 1_000, "{text}");
    }
    assert!(format!("{local:?}").len() < 8_000);
}

/// What a peer that keeps the rules may do next.
#[derive(Debug, Clone)]
enum Step {
    /// It offers its streams, more of them, and audio with these formats.
    Offer {
        more: Vec<&'static str>,
        formats: Vec<u8>,
        refuses: bool,
    },
    /// It asks us for an offer and answers with these formats, or does not understand them.
    Ask { formats: Vec<u8> },
}

/// The peer's numbers, which never change their meaning; 0 and 8 are static, 98 is in no map.
const MEANING: [(u8, &str); 7] = [
    (0, "PCMU/8000"),
    (8, "PCMA/8000"),
    (96, "telephone-event/8000"),
    (97, "telephone-event/8000/1"),
    (101, "opus/48000/2"),
    (110, "PCMU/8000"),
    (98, ""),
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let line = prop::sample::select(vec![
        "video 5000 RTP/AVP 31",
        "audio 6000 RTP/SAVP 0",
        "image 7000 udptl t38",
        "audio 0 RTP/AVP 0",
    ]);
    let formats = || {
        prop::sample::subsequence(MEANING.iter().map(|(number, _)| *number).collect::<Vec<_>>(), 1..5).prop_shuffle()
    };
    let offer = (prop::collection::vec(line, 0..2), formats(), any::<bool>())
        .prop_map(|(more, formats, refuses)| Step::Offer { more, formats, refuses });
    prop::collection::vec(
        prop_oneof![offer, formats().prop_map(|formats| Step::Ask { formats })],
        1..12,
    )
}

fn audio(formats: &[u8]) -> String {
    let numbers: Vec<String> = formats.iter().map(u8::to_string).collect();
    let maps = formats.iter().filter_map(|number| {
        let (_, encoding) = MEANING.iter().find(|(other, _)| other == number)?;
        (!encoding.is_empty()).then(|| format!("a=rtpmap:{number} {encoding}\r\n"))
    });
    format!(
        "m=audio 4000 RTP/AVP {}\r\n{}",
        numbers.join(" "),
        maps.collect::<String>()
    )
}

/// Whether we used a number before the peer gave it a meaning.
fn first_use(written: &[(String, Vec<u8>)], number: &str, told: &[u8]) -> bool {
    let used = |text: &str| text.contains(&format!("a=rtpmap:{number} "));
    let is_told = |told: &[u8]| told.iter().any(|other| other.to_string() == number);
    is_told(told) && written.iter().any(|(text, told)| used(text) && !is_told(told))
}

proptest! {
    #[test]
    fn over_any_sequence_places_and_numbers_stay(steps in steps(), before in 0usize..3, ours_first in any::<bool>()) {
        let mut local = local();
        let others = ["video 5000 RTP/AVP 31", "image 7000 udptl t38"];
        let mut lines: Vec<String> = others.iter().take(if ours_first { 0 } else { before }).map(|line| format!("m={line}\r\n")).collect();
        let place = lines.len();
        lines.push(audio(&[0]));
        // What we wrote, and the numbers that the peer had given a meaning by then.
        let mut written: Vec<(String, Vec<u8>)> = Vec::new();
        let mut told: Vec<u8> = Vec::new();
        if ours_first {
            written.push((offer(&mut local), Vec::new()));
        } else {
            written.push((answer(&format!("{HEAD}{}", lines.concat()), &mut local).unwrap().0, vec![0]));
        }
        for step in steps {
            match step {
                Step::Offer { more, formats, refuses } => {
                    lines.extend(more.into_iter().map(|line| format!("m={line}\r\n")));
                    lines[place] = audio(&formats);
                    if refuses {
                        for line in &mut lines {
                            *line = line.replace("m=video 5000", "m=video 0");
                        }
                    }
                    if let Ok((text, stream)) = answer(&format!("{HEAD}{}", lines.concat()), &mut local) {
                        prop_assert!(formats.contains(&stream.formats.payload_type_tx));
                        prop_assert_eq!(streams(&text).len(), lines.len());
                        told.extend(&formats);
                        written.push((text, told.clone()));
                    }
                }
                Step::Ask { formats } => {
                    let text = offer(&mut local);
                    let count = streams(&text).len();
                    written.push((text, told.clone()));
                    let reply: Vec<String> = (0..count).map(|at| if at == place { audio(&formats) } else { "m=video 0 RTP/AVP 31\r\n".to_owned() }).collect();
                    // Some answers have no codec of ours.
                    if accept(&format!("{HEAD}{}", reply.concat()), &mut local).is_ok() {
                        told.extend(&formats);
                    }
                }
            }
        }
        let mut meaning: HashMap<String, String> = HashMap::new();
        let mut kinds: Vec<String> = Vec::new();
        for (text, told) in &written {
            let now: Vec<String> = streams(text).iter().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect();
            prop_assert!(now.starts_with(&kinds), "{kinds:?} {now:?}");
            kinds = now;
            prop_assert_eq!(streams(text).iter().position(|line| line.starts_with("m=audio 30000 ")), Some(place));
            for map in text.lines().filter_map(|line| line.strip_prefix("a=rtpmap:")) {
                let (number, encoding) = map.split_once(' ').unwrap();
                let first = meaning.entry(number.to_owned()).or_insert_with(|| encoding.to_owned());
                prop_assert_eq!(&*first, encoding, "{:?}", written);
                for (_, theirs) in MEANING.iter().filter(|(other, _)| other.to_string() == number && told.contains(other)) {
                    let is_same = theirs.is_empty() || theirs.trim_end_matches("/1") == encoding;
                    // Before it told us, an offer of ours may have used the number.
                    prop_assert!(is_same || first_use(&written, number, told), "{} is {} for the peer: {}", number, theirs, text);
                }
            }
        }
    }

    #[test]
    fn no_texts_break_a_session(texts in prop::collection::vec("(v=0\n)?([a-z]=[ -~é]{0,30}\r?\n|m=audio [0-9]{1,5} RTP/AVP [0-9 ]{0,12}\n|c=IN IP4 192.0.2.1\n|a=rtpmap:[0-9]{1,3} (pcmu|telephone-event)/8000\n){0,12}", 0..6)) {
        let mut local = local();
        for text in texts {
            if let Ok((reply, _)) = answer(&text, &mut local) {
                prop_assert!(reply.lines().all(|line| line.as_bytes().get(1) == Some(&b'=')));
            }
            let ours = offer(&mut local);
            prop_assert!(ours.lines().all(|line| line.as_bytes().get(1) == Some(&b'=')));
            let _ = accept(&text, &mut local);
        }
    }
}
