//! A session description in a body of several parts (RFC 2046, RFC 2387, RFC 5621), wherever one may come.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use offhook_sip::{Command, Event};
use proptest::prelude::*;
use support::{ANSWER, Bench, OFFER, field, in_dialog, invite, request, response, tag_of};

const SDP: &str = "Content-Type: application/sdp\r\n\r\n";
const PLACE: &str = "Content-Type: application/pidf+xml\r\nContent-ID: <place@x>\r\n\r\n<presence/>";
const ISUP: &str =
    "Content-Type: application/isup;version=itu-t92+\r\nContent-Disposition: signal;handling=optional\r\n\r\n\u{c}";

/// Parts between the lines of a boundary.
fn multipart(boundary: &str, parts: &[&str]) -> String {
    let parts = parts.iter().fold(String::new(), |text, part| {
        text + &format!("--{boundary}\r\n{part}\r\n")
    });
    format!("{parts}--{boundary}--\r\n")
}

fn with_body(content_type: &str, body: &str) -> String {
    let extra = format!("Content-Type: {content_type}\r\n");
    let text = request("INVITE", "sip:ivr@127.0.0.1:5060", 1, "", "z9hG4bKinvite", &extra, body);
    text.replace("Content-Type: application/sdp\r\nContent-Length", "Content-Length")
}

/// The offer of an INVITE that is taken.
fn offer(content_type: &str, body: &str) -> Option<String> {
    Bench::new().incoming(&with_body(content_type, body)).offer
}

fn refusal(content_type: &str, body: &str) -> String {
    let mut bench = Bench::new();
    bench.feed(&with_body(content_type, body));
    let answer = bench.only();
    assert!(
        bench.events().is_empty() && !field(&answer, "Warning").is_empty(),
        "{answer}"
    );
    answer.split("\r\n").next().unwrap().to_owned()
}

#[test]
fn the_session_description_is_found_among_other_parts() {
    // sems-server/sems#129, freeswitch/sofia-sip#121: SDP with a location document, or with ISUP.
    let sdp = format!("{SDP}{OFFER}");
    let nested = format!(
        "Content-Type: multipart/alternative; boundary=in\r\n\r\n{}",
        multipart("in", &[PLACE, &sdp])
    );
    let session =
        format!("content-type:APPLICATION/SDP ; x=y\r\nContent-Disposition: Session;handling=required\r\n\r\n{OFFER}");
    for (content_type, body) in [
        ("multipart/mixed;boundary=b1", multipart("b1", &[&sdp, PLACE])),
        ("multipart/mixed;boundary=b1", multipart("b1", &[PLACE, ISUP, &sdp])),
        (
            "Multipart/Mixed ; BOUNDARY = \"b 1;=?/\"",
            multipart("b 1;=?/", &[PLACE, &session]),
        ),
        ("multipart/mixed;boundary=\"b\\\"1\"", multipart("b\"1", &[&sdp])),
        ("multipart/mixed;boundary==_a=b", multipart("=_a=b", &[&sdp])),
        ("multipart/mixed;boundary=b", multipart("b", &[&nested, PLACE])),
        (
            "multipart/signed;boundary=b;protocol=\"x/y\"",
            multipart("b", &[&sdp, PLACE]),
        ),
        ("multipart/digest;boundary=b", multipart("b", &[&sdp])),
        (
            "multipart/mixed;boundary=b",
            format!(
                "Preamble\r\n--bb\r\nnothing\r\n{}epilogue\r\n--b\r\n{SDP}x",
                multipart("b", &[&sdp])
            ),
        ),
        (
            "multipart/mixed;boundary=b",
            multipart("b", &[&sdp]).replace("--b\r\n", "--b \t\r\n"),
        ),
        (
            "multipart/mixed;boundary=b",
            multipart("b", &[&sdp]).replace("--b--\r\n", ""),
        ),
        (
            "multipart/mixed;boundary=b",
            multipart("b", &[&sdp]).replace("\r\n", "\n"),
        ),
        (
            "multipart/mixed;boundary=b",
            multipart("b", &["\r\nwords without a type", &sdp]),
        ),
        (
            "multipart/mixed;boundary=b",
            multipart(
                "b",
                &[&format!("Content-Type:\r\n application/sdp\r\nX: y\r\n\r\n{OFFER}")],
            ),
        ),
        (
            "multipart/mixed;boundary=b",
            multipart("b", &[&format!("Content-Transfer-Encoding: 8bit\r\n{SDP}{OFFER}")]),
        ),
    ] {
        let found = offer(content_type, &body).unwrap_or_else(|| panic!("{content_type}: {body}"));
        assert_eq!(
            found.trim_end().replace("\r\n", "\n"),
            OFFER.trim_end().replace("\r\n", "\n"),
            "{content_type}"
        );
    }
    for content_type in [
        "application/SDP ; charset=utf-8;",
        "application/sdp\r\nContent-Type: application/sdp",
    ] {
        assert_eq!(offer(content_type, OFFER).as_deref(), Some(OFFER), "{content_type}");
    }
}

#[test]
fn of_alternatives_the_last_that_is_understood_is_taken() {
    let (first, last) = (format!("{SDP}{OFFER}"), format!("{SDP}{ANSWER}"));
    let required = "Content-Type: text/html\r\nContent-Disposition: render;handling=required\r\n\r\n<p>";
    for parts in [
        vec![&*first, &last],
        vec![&*first, &last, PLACE],
        vec![&*last, required],
    ] {
        let found = offer("multipart/alternative;boundary=b", &multipart("b", &parts)).unwrap();
        assert_eq!(found.trim_end(), ANSWER.trim_end());
    }
}

#[test]
fn of_related_parts_the_root_is_taken() {
    let (first, root) = (
        format!("{SDP}{OFFER}"),
        format!("Content-ID: <root@x>\r\n{SDP}{ANSWER}"),
    );
    let body = multipart("b", &[&first, &root]);
    let named = offer(
        "multipart/related;boundary=b;start=\"<root@x>\";type=\"application/sdp\"",
        &body,
    )
    .unwrap();
    assert_eq!(named.trim_end(), ANSWER.trim_end());
    let unnamed = offer("multipart/related;boundary=b", &body).unwrap();
    assert_eq!(unnamed.trim_end(), OFFER.trim_end());
}

#[test]
fn parts_that_are_not_a_session_leave_the_invite_without_an_offer() {
    let early = format!("Content-Disposition: early-session;handling=optional\r\n{SDP}{OFFER}");
    for part in [PLACE, ISUP, early.as_str()] {
        assert_eq!(offer("multipart/mixed;boundary=b", &multipart("b", &[part])), None);
    }
    let sdp = format!("{SDP}{ANSWER}");
    let found = offer("multipart/mixed;boundary=b", &multipart("b", &[&early, &sdp])).unwrap();
    assert_eq!(
        found.trim_end(),
        ANSWER.trim_end(),
        "RFC 3959: an early session is another one"
    );
    let optional = with_body(
        "application/pidf+xml\r\nContent-Disposition: render;handling=optional",
        "<presence/>",
    );
    assert_eq!(Bench::new().incoming(&optional).offer, None, "RFC 3261, 8.2.3");
}

#[test]
fn what_has_to_be_understood_and_is_not_gets_415() {
    let sdp = format!("{SDP}{OFFER}");
    let required = PLACE.replace(
        "\r\n\r\n",
        "\r\nContent-Disposition: by-reference; handling = \"Required\"\r\n\r\n",
    );
    let base64 =
        format!("Content-Transfer-Encoding: base64\r\nContent-Disposition: session;handling=required\r\n{SDP}dj0w");
    let early = format!("Content-Disposition: early-session;handling=required\r\n{SDP}{OFFER}");
    // An offer in base64 was taken for none, and the caller was asked to answer ours.
    let encoded = [
        format!("Content-Transfer-Encoding: base64\r\n{SDP}dj0w"),
        format!("Content-Encoding: gzip\r\n{SDP}x"),
        format!("Content-Transfer-Encoding: quoted-printable\r\nContent-Disposition: session\r\n{SDP}{OFFER}"),
    ];
    for encoded in encoded {
        let answer = refusal("multipart/mixed;boundary=b", &multipart("b", &[PLACE, &encoded]));
        assert!(answer.starts_with("SIP/2.0 415 The body is encoded"), "{answer}");
        let found = offer("multipart/alternative;boundary=b", &multipart("b", &[&sdp, &encoded])).unwrap();
        assert_eq!(found.trim_end(), OFFER.trim_end());
    }
    for (content_type, body) in [
        ("multipart/mixed;boundary=b", multipart("b", &[&sdp, &required])),
        ("multipart/mixed;boundary=b", multipart("b", &[&base64])),
        ("multipart/mixed;boundary=b", multipart("b", &[&sdp, &early])),
        ("multipart/alternative;boundary=b", multipart("b", &[&required])),
        ("application/sdp\r\nContent-Disposition: render", OFFER.to_owned()),
        ("application/isup", "\u{c}".to_owned()),
        ("sdp", OFFER.to_owned()),
    ] {
        let answer = refusal(content_type, &body);
        assert!(answer.starts_with("SIP/2.0 415 "), "{content_type}: {answer}");
    }
}

#[test]
fn a_body_that_could_mean_two_things_is_refused_with_what_to_change() {
    let sdp = format!("{SDP}{OFFER}");
    let mut deep = sdp.clone();
    for level in 0..6 {
        deep = format!(
            "Content-Type: multipart/mixed;boundary=b{level}\r\n\r\n{}",
            multipart(&format!("b{level}"), &[&deep])
        );
    }
    let many = vec![PLACE; 40];
    for (content_type, body, words) in [
        ("multipart/mixed;boundary=b", multipart("b", &[&sdp, &sdp]), "two parts"),
        ("multipart/mixed", multipart("b", &[&sdp]), "no boundary"),
        ("multipart/mixed;boundary=\"\"", multipart("b", &[&sdp]), "no boundary"),
        ("multipart/mixed;boundary=c", multipart("b", &[&sdp]), "nowhere in it"),
        (
            "multipart/mixed;boundary=b",
            multipart("b", &many),
            "more than 32 parts",
        ),
        ("multipart/mixed;boundary=b", multipart("b", &[&deep]), "4 deep"),
        (
            "application/sdp\r\nContent-Type: text/plain",
            OFFER.to_owned(),
            "more than once",
        ),
    ] {
        let answer = refusal(content_type, &body);
        assert!(
            answer.starts_with("SIP/2.0 400 ") && answer.contains(words),
            "{content_type}: {answer}"
        );
    }
}

#[test]
fn answers_in_parts_are_read_in_200_in_18x_and_in_the_ack() {
    // SIPp/sipp#862, signalwire/freeswitch#1816.
    let body = multipart("b1", &[&format!("{SDP}{ANSWER}"), ISUP]);
    let mixed = |text: String| {
        text.replace(
            "application/sdp\r\nContent-Length",
            "multipart/mixed;boundary=b1\r\nContent-Length",
        )
    };
    let mut bench = Bench::new();
    let (leg, invite) = bench.dial();
    bench.feed(&mixed(response(&invite, "183 Session Progress", "theirs", "", &body)));
    bench.feed(&mixed(response(&invite, "200 OK", "theirs", "", &body)));
    let events = bench.events();
    assert!(
        matches!(&events[0], Event::Progress { body: Some(text), .. } if text.trim_end() == ANSWER.trim_end()),
        "{events:?}"
    );
    assert!(
        matches!(&events[1], Event::Answered { leg: answered, body } if *answered == leg && body.trim_end() == ANSWER.trim_end())
    );

    let mut bench = Bench::new();
    let leg = bench
        .incoming(
            &support::invite()
                .replace(OFFER, "")
                .replace(&format!("Content-Length: {}", OFFER.len()), "Content-Length: 0"),
        )
        .leg;
    bench
        .command(Command::Answer {
            leg,
            body: OFFER.to_owned(),
        })
        .unwrap();
    let tag = tag_of(&bench.only());
    bench.feed(&in_dialog(
        "ACK",
        1,
        &tag,
        "z9hG4bKack",
        "Content-Type: multipart/mixed;boundary=b1\r\n",
        &body,
    ));
    let events = bench.events();
    assert!(
        matches!(&events[0], Event::Confirmed { body: Some(text), .. } if text.trim_end() == ANSWER.trim_end()),
        "{events:?}"
    );
}

/// A gateway that wants its ISUP understood (ITU-T Q.1912.5) answered, and got a BYE for it: a response cannot be refused.
#[test]
fn answers_are_read_beside_a_part_that_has_to_be_understood() {
    let required = ISUP.replace("optional", "required");
    let body = multipart("b1", &[&required, &format!("{SDP}{ANSWER}")]);
    let mut bench = Bench::new();
    let (leg, invite) = bench.dial();
    let answer = response(&invite, "200 OK", "theirs", "", &body);
    bench.feed(&answer.replace(
        "application/sdp\r\nContent-Length",
        "multipart/mixed;boundary=b1\r\nContent-Length",
    ));
    let events = bench.events();
    assert!(
        matches!(&events[0], Event::Answered { leg: answered, body } if *answered == leg && body.trim_end() == ANSWER.trim_end()),
        "{events:?}"
    );
}

#[test]
fn offers_in_parts_are_read_in_a_re_invite_and_in_update() {
    let body = multipart("b1", &[PLACE, &format!("{SDP}{OFFER}")]);
    for method in ["INVITE", "UPDATE"] {
        let mut bench = Bench::new();
        let (leg, tag) = bench.answered();
        bench.feed(&in_dialog(
            method,
            2,
            &tag,
            "z9hG4bKr",
            "Content-Type: multipart/mixed;boundary=b1\r\n",
            &body,
        ));
        let events = bench.events();
        assert!(
            matches!(&events[0], Event::Reoffer { leg: offered, body: Some(text) } if *offered == leg && text.trim_end() == OFFER.trim_end()),
            "{events:?}"
        );
    }
    let mut bench = Bench::new();
    let (_, tag) = bench.answered();
    bench.feed(&in_dialog(
        "UPDATE",
        2,
        &tag,
        "z9hG4bKr",
        "Content-Type: multipart/mixed;boundary=b1\r\n",
        &multipart("b1", &[PLACE]),
    ));
    assert!(
        bench.only().starts_with("SIP/2.0 200 ") && bench.events().is_empty(),
        "no offer is in it"
    );
}

#[test]
fn a_digit_by_info_may_stand_in_a_part() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    let body = multipart(
        "b",
        &["Content-Type: application/dtmf-relay\r\n\r\nSignal=5\r\nDuration=160"],
    );
    bench.feed(&in_dialog(
        "INFO",
        2,
        &tag,
        "z9hG4bKi",
        "Content-Type: multipart/mixed;boundary=b\r\n",
        &body,
    ));
    assert_eq!(
        bench.events(),
        [Event::InfoDigit {
            leg,
            digit: '5',
            duration_ms: 160
        }]
    );
}

/// Senders confuse the two types of a digit, and end it as C ends a string.
#[test]
fn a_digit_by_info_is_known_in_either_form_under_either_type() {
    for content_type in [
        "application/dtmf-relay",
        "application/dtmf",
        "Application/DTMF; charset=utf-8",
    ] {
        for (body, key) in [
            ("Signal=5\r\nDuration=160\r\n", ('5', 160)),
            ("Signal= 5\nDuration= 160\n", ('5', 160)),
            ("Signal=11\r\nDuration=250\0", ('#', 250)),
            ("5", ('5', 0)),
            (" d \r\n\r\n", ('D', 0)),
            ("*\0", ('*', 0)),
        ] {
            let mut bench = Bench::new();
            let (leg, tag) = bench.answered();
            let field = format!("Content-Type: {content_type}\r\n");
            bench.feed(&in_dialog("INFO", 2, &tag, "z9hG4bKi", &field, body));
            let (digit, duration_ms) = key;
            let told = [Event::InfoDigit {
                leg,
                digit,
                duration_ms,
            }];
            assert_eq!(bench.events(), told, "{content_type}: {body:?}");
        }
    }
}

/// RFC 3261, 20.15: a body has a Content-Type. Some senders forget it, and what it is can be seen.
#[test]
fn a_body_without_content_type_is_known_by_how_it_begins() {
    let without = |text: String| text.replace("Content-Type: application/sdp\r\n", "");
    assert_eq!(Bench::new().incoming(&without(invite())).offer.as_deref(), Some(OFFER));
    let empty = invite().replace("Content-Type: application/sdp", "Content-Type: ");
    assert_eq!(Bench::new().incoming(&empty).offer.as_deref(), Some(OFFER));
    let mut bench = Bench::new();
    let (leg, call) = bench.dial();
    bench.feed(&without(response(&call, "200 OK", "bob", "", ANSWER)));
    let told = [Event::Answered {
        leg,
        body: ANSWER.to_owned(),
    }];
    assert_eq!(bench.events(), told);
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    bench.feed(&in_dialog(
        "INFO",
        2,
        &tag,
        "z9hG4bKi",
        "",
        "Signal=5\r\nDuration=160\r\n",
    ));
    assert!(bench.only().starts_with("SIP/2.0 200 "));
    assert!(matches!(bench.events()[..], [Event::InfoDigit { leg: pressed, digit: '5', .. }] if pressed == leg));
    // What could be anything is not guessed at.
    for body in ["5", "hello", "V=0", " v=0"] {
        let mut bench = Bench::new();
        bench.feed(
            &request("INVITE", "sip:ivr@127.0.0.1", 1, "", "z9hG4bKx", "", "").replace(
                "Content-Length: 0\r\n\r\n",
                &format!("Content-Length: {}\r\n\r\n{body}", body.len()),
            ),
        );
        assert!(bench.only().starts_with("SIP/2.0 415 "), "{body}");
    }
}

/// RFC 3261, 25.1: SLASH has blanks around it.
#[test]
fn blanks_around_the_slash_of_a_media_type_are_nothing() {
    for content_type in ["application / sdp", "Application/ SDP ; x=y", "application\r\n /sdp"] {
        let text = invite().replace("application/sdp", content_type);
        assert_eq!(
            Bench::new().incoming(&text).offer.as_deref(),
            Some(OFFER),
            "{content_type}"
        );
    }
}

/// The bound is ours: RFC 2046, 5.1.1 has 70.
#[test]
fn a_boundary_of_200_octets_is_read_and_a_longer_one_is_refused() {
    let of = |length: usize| {
        let boundary = "b".repeat(length);
        with_body(
            &format!("multipart/mixed;boundary={boundary}"),
            &format!("--{boundary}\r\nContent-Type: application/sdp\r\n\r\n{OFFER}\r\n--{boundary}--\r\n"),
        )
    };
    assert_eq!(Bench::new().incoming(&of(200)).offer.as_deref(), Some(OFFER));
    for length in [201, 7_000] {
        let mut bench = Bench::new();
        bench.feed(&of(length));
        let answer = bench.only();
        assert!(
            answer.starts_with("SIP/2.0 400 ") && answer.contains("boundary is longer than 200"),
            "{answer}"
        );
    }
    let mut bench = Bench::new();
    let (leg, call) = bench.dial();
    let boundary = "b".repeat(201);
    let body = format!("--{boundary}\r\nContent-Type: application/sdp\r\n\r\n{ANSWER}\r\n--{boundary}--\r\n");
    let answer = response(&call, "200 OK", "bob", "", &body);
    bench.feed(&answer.replace(
        "application/sdp\r\nContent-Length",
        &format!("multipart/mixed;boundary={boundary}\r\nContent-Length"),
    ));
    assert!(matches!(bench.events()[..], [Event::Ended { leg: ended, status: 488, .. }] if ended == leg));
}

#[test]
fn a_body_of_a_request_that_needs_none_is_not_looked_at() {
    let mut bench = Bench::new();
    let (_, tag) = bench.answered();
    bench.feed(&in_dialog(
        "BYE",
        2,
        &tag,
        "z9hG4bKb",
        "Content-Type: what\r\nContent-Disposition: x;handling=required\r\n",
        "?",
    ));
    assert!(bench.only().starts_with("SIP/2.0 200 "));
}

proptest! {
    #[test]
    fn no_multipart_breaks_the_agent(
        boundary in "[a-c-]{0,3}",
        kind in "(mixed|alternative|related|x)",
        pieces in prop::collection::vec("(--[a-c-]{0,3}|Content-Type: (application/sdp|multipart/mixed;boundary=[a-c]|x)|Content-Disposition: .;handling=required|v=0|)(\r\n|\n|)", 0..40),
    ) {
        let mut bench = Bench::new();
        bench.feed(&with_body(&format!("multipart/{kind};boundary={boundary}"), &pieces.concat()));
        let answer = bench.only();
        let is_expected = ["100", "400", "415"].iter().any(|status| answer.starts_with(&format!("SIP/2.0 {status} ")));
        prop_assert!(is_expected, "{}", answer);
    }
}
