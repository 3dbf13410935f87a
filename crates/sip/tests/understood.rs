//! What is understood of a request whose sender did not keep to the grammar, and what is refused with a sentence.
//!
//! The rule is in `docs/internals/sip.md`, "What is understood".
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use offhook_sip::{Command, Event, Incoming};
use proptest::prelude::*;
use support::{ANSWER, Bench, OFFER, field, in_dialog, invite, request, response, tag_of};

const FROM: &str = "\"Caller\" <sip:caller@127.0.0.1>;tag=peer";
const TO: &str = "<sip:ivr@127.0.0.1>";
const CONTACT: &str = "<sip:caller@127.0.0.1:5070>";

/// The facts of an INVITE that is taken, with other words in one place.
fn taken(from: &str, to: &str) -> Incoming {
    let text = invite().replace(from, to);
    assert!(text.contains(to), "{to}");
    Bench::new().incoming(&text)
}

/// Status and sentence of the one answer.
fn refused(text: &str) -> (u16, String) {
    let mut bench = Bench::new();
    bench.feed(text);
    let answer = bench.only();
    assert!(bench.events().is_empty(), "{answer}");
    let status = answer.get(8..11).unwrap().parse().unwrap();
    (status, field(&answer, "Warning"))
}

#[test]
fn fields_that_nothing_here_reads_may_be_malformed() {
    // SIPp/sipp#535: its [date] writes UTC where RFC 3261, 20.17 wants GMT.
    for field in [
        "Date: Mon, 02 Nov 2026 09:15:00 UTC",
        "Date: yesterday",
        "Expires: soon",
        "Expires: 99999999999999999999",
        "Timestamp: a.b.c",
        "Organization: \"open",
        "Subject: \"",
        "Warning: what",
        "Retry-After: later (",
        "Reply-To: Bell, Alexander <sip:a@b>",
        "User-Agent: (((",
        "Allow: ;;",
        "Supported: ,,;",
        "P-Asserted-Identity: <<sip:a@b",
        "P-Preferred-Identity: nobody",
        "Remote-Party-ID: \"x <sip:a@b>;party",
        "Diversion: ,",
        "Privacy:",
        "Min-SE: x",
        "Session-Expires: often",
        "Route: not a route",
        "Accept: ,;",
        "Accept-Language: ;;;",
        "Accept-Encoding: \"",
        "Alert-Info: <",
        "Call-Info: http",
        "In-Reply-To: ,",
        "Priority: very much so",
        "Server: /",
        "Geolocation: <cid",
        "History-Info: <sip:a@b?Reason=%",
        "Content-Language: 7",
        "MIME-Version: one",
        "Authorization: Basic",
    ] {
        let text = invite().replace("Max-Forwards", &format!("{field}\r\nMax-Forwards"));
        let incoming = Bench::new().incoming(&text);
        assert!(incoming.offer.is_some(), "{field}");
    }
}

#[test]
fn fields_that_are_needed_are_refused_by_name_when_they_are_broken() {
    for (from, to, words) in [
        ("SIP/2.0/UDP 127.0.0.1:5070", "SIP/2.0/UDP", "Via"),
        (";rport", ";rport=\"", "Via"),
        (";rport", ";=x", "Via"),
        (
            ";rport",
            ";branch=z9hG4bKother",
            "it has more than one branch; send one",
        ),
        ("CSeq: 1 INVITE", "CSeq: one INVITE", "CSeq"),
        ("Call-ID: call-1", "Call-ID:", "Call-ID"),
        (
            TO,
            "<sip:ivr@127.0.0.1",
            "To header field is malformed: close the URI with >",
        ),
        (TO, "ivr", "To header field is malformed"),
        (TO, "", "To header field is malformed"),
        (
            TO,
            "\"ivr <sip:ivr@127.0.0.1>",
            "To header field is malformed: close the quotes",
        ),
        (
            FROM,
            "<sip:caller@127.0.0.1>;tag=",
            "From header field is malformed: the tag is empty",
        ),
        (FROM, "<sip:caller@127.0.0.1>;tag=a;tag=b", "one tag"),
        (FROM, "<sip:a@b>;tag=a, <sip:c@d>;tag=e", "send one address"),
        (FROM, "<sip:a@b>;tag=a,b", "send one address"),
        (FROM, "<sip:a@b>;tag=a\"b", "close the quotes"),
        (FROM, "<sip:a@b>;x=\"a;tag=peer", "close the quotes"),
        (FROM, "<sip:a@b>;tag=\"a b\"", "the tag is no token"),
        (FROM, "<sip:a@b>;tag=<peer>", "the tag is no token"),
        (FROM, "", "From header field is malformed: no URI"),
        (TO, "<>", "To header field is malformed: no URI"),
        (TO, "<anonymous>", "To header field is malformed"),
        (FROM, "< sip:a@b >;tag=peer", "From header field is malformed: the URI"),
        (FROM, "<sip:a@b@c>;tag=peer", "From header field is malformed: the URI"),
        (
            FROM,
            "<sip:a@2001:db8::1>;tag=peer",
            "From header field is malformed: the URI",
        ),
        (FROM, "<sip:a b@c>;tag=peer", "From header field is malformed: the URI"),
        (FROM, "<sip:a@b> x;tag=peer", "From header field is malformed"),
        (TO, "<tel:>", "To header field is malformed: the URI"),
        (FROM, "<an;tag=x>;tag=peer", "From header field is malformed: the URI"),
        (FROM, "<a\"b>;tag=peer", "From header field is malformed"),
        (CONTACT, "*", "Contact"),
        (
            CONTACT,
            "sip:caller@127.0.0.1?X=y",
            "Contact header field is malformed: put the URI into <>",
        ),
        (CONTACT, "<sip:caller@127.0.0.1:99999>", "Contact"),
        (CONTACT, "<sip:a@b>\r\nRecord-Route: <sip:p1;lr>, <sip:", "Record-Route"),
    ] {
        let text = invite().replacen(from, to, 1);
        assert_ne!(text, invite(), "{from}");
        let (status, sentence) = refused(&text);
        assert!(status == 400 && sentence.contains(words), "{to}: {status} {sentence}");
    }
}

/// Whether a request is in a call decides how a proxy routes and whom it asks for credentials: an empty tag of To is one to
/// some of them and none to others.
#[test]
fn a_to_with_an_empty_tag_is_refused_and_no_answer_has_two_tags() {
    for (to, told) in [
        ("<sip:ivr@127.0.0.1>;tag=", "<sip:ivr@127.0.0.1>;tag=OURS"),
        ("<sip:ivr@127.0.0.1>;tag", "<sip:ivr@127.0.0.1>;tag=OURS"),
        ("<sip:ivr@127.0.0.1>; TAG = ;x=y", "<sip:ivr@127.0.0.1>;tag=OURS;x=y"),
        ("<sip:ivr@127.0.0.1>;tag=\"\"", "<sip:ivr@127.0.0.1>;tag=OURS"),
        ("<sip:ivr@127.0.0.1>;tag=;tag=", "<sip:ivr@127.0.0.1>;tag=OURS"),
        ("sip:ivr@127.0.0.1;tag=", "sip:ivr@127.0.0.1;tag=OURS"),
        (
            "\"a;tag=b\" <sip:ivr@127.0.0.1;tag=c>;tag=",
            "\"a;tag=b\" <sip:ivr@127.0.0.1;tag=c>;tag=OURS",
        ),
        // Two of the sender's get no third one, nor does one that is no token.
        ("<sip:ivr@127.0.0.1>;tag=a;tag=b", "<sip:ivr@127.0.0.1>;tag=a;tag=b"),
        ("<sip:ivr@127.0.0.1>;tag=a;tag=", "<sip:ivr@127.0.0.1>;tag=a;tag="),
        ("<sip:ivr@127.0.0.1>;tag=<a>", "<sip:ivr@127.0.0.1>;tag=<a>"),
        ("\"ivr <sip:ivr@127.0.0.1>;tag=a", "\"ivr <sip:ivr@127.0.0.1>;tag=a"),
        ("<sip:ivr@127.0.0.1;tag=a", "<sip:ivr@127.0.0.1;tag=a"),
        // Where there is none it gets one.
        ("<sip:>", "<sip:>;tag=OURS"),
    ] {
        for method in ["INVITE", "BYE", "OPTIONS"] {
            let mut bench = Bench::new();
            let text = request(method, "sip:ivr@127.0.0.1:5060", 1, "", "z9hG4bKt", "", "");
            bench.feed(&text.replace(TO, to));
            let answer = bench.only();
            assert!(answer.starts_with("SIP/2.0 400 "), "{to}: {answer}");
            let back = field(&answer, "To");
            let (before, after) = told.split_once("OURS").unwrap_or((told, ""));
            assert!(back.starts_with(before) && back.ends_with(after), "{to}: {back}");
            let ours = &back[before.len()..back.len() - after.len()];
            assert_eq!(ours.len(), if told.contains("OURS") { 16 } else { 0 }, "{to}: {back}");
        }
    }
    let (_, sentence) = refused(&invite().replace(TO, "<sip:ivr@127.0.0.1>;tag="));
    assert!(
        sentence.contains("To header field is malformed: the tag is empty"),
        "{sentence}"
    );
}

#[test]
fn blanks_and_tabs_between_the_words_of_a_request_line_are_one_blank() {
    // RFC 4475, 3.1.2.9 and 3.1.2.10 leave the choice; there are three words, whoever counts.
    for line in [
        "INVITE  sip:ivr@127.0.0.1  SIP/2.0",
        "INVITE\tsip:ivr@127.0.0.1\tSIP/2.0",
        "INVITE \t sip:ivr@127.0.0.1 \t SIP/2.0 \t ",
        "INVITE sip:ivr@127.0.0.1 SIP/2.0 ",
        "INVITE  sip:ivr@127.0.0.1  sip/2.0\t",
    ] {
        let text = invite().replace("INVITE sip:ivr@127.0.0.1:5060 SIP/2.0", line);
        for flow in [support::udp(), support::tcp()] {
            let mut bench = Bench::with(offhook_sip::Config::default(), flow);
            assert_eq!(bench.incoming(&text).request_uri, "sip:ivr@127.0.0.1", "{line:?}");
        }
    }
    // A blank within the URI is in it: another element may read another one, or more words.
    for line in [
        "INVITE sip:ivr@127.0.0.1; lr SIP/2.0",
        "INVITE sip:i vr@127.0.0.1 SIP/2.0",
        "INVITE sip:ivr@127.0.0.1\t;lr SIP/2.0",
        "INVITE sip:ivr@127.0.0.1 SIP/2.0 SIP/2.0",
        "INVITE\u{b}sip:ivr@127.0.0.1 SIP/2.0",
        "INVITE \u{c}sip:ivr@127.0.0.1 SIP/2.0",
        "IN VITE sip:ivr@127.0.0.1 SIP/2.0",
    ] {
        let (status, sentence) = refused(&invite().replace("INVITE sip:ivr@127.0.0.1:5060 SIP/2.0", line));
        assert!(
            status == 400 && sentence.contains("cannot be read"),
            "{line:?}: {sentence}"
        );
    }
    // An ACK is never answered, however it is written.
    for line in ["ACK\tsip:ivr@127.0.0.1 SIP/2.0", "ACK  sip:ivr @127.0.0.1  SIP/2.0 "] {
        let mut bench = Bench::new();
        let ack = invite().replace("INVITE sip:ivr@127.0.0.1:5060 SIP/2.0", line);
        bench.feed(&ack.replace("Max-Forwards: 70", "no colon"));
        assert!(bench.take().is_empty(), "{line:?}");
    }
}

#[test]
fn a_contact_is_looked_at_only_where_it_is_needed() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    let broken = |text: String| text.replace(CONTACT, "nobody at home");
    bench.feed(&broken(in_dialog("INFO", 2, &tag, "z9hG4bKi", "", "")));
    assert!(bench.only().starts_with("SIP/2.0 200 "));
    bench.feed(&broken(in_dialog("INVITE", 3, &tag, "z9hG4bKr", "", OFFER)));
    let answer = bench.only();
    assert!(
        answer.starts_with("SIP/2.0 400 ") && answer.contains("Contact"),
        "{answer}"
    );
    bench.feed(&broken(in_dialog("BYE", 4, &tag, "z9hG4bKb", "", "")));
    assert!(bench.only().starts_with("SIP/2.0 200 "));
    assert!(matches!(bench.events()[..], [Event::Ended { leg: ended, .. }] if ended == leg));
}

#[test]
fn a_name_without_its_quotes_is_shown_as_it_stands() {
    // DoubangoTelecom/doubango#333.
    for (display, shown) in [
        ("Zoë Müller", "Zoë Müller"),
        ("日本 太郎", "日本 太郎"),
        ("John Smith (Sales)", "John Smith (Sales)"),
        ("+1 (555) 010-0199", "+1 (555) 010-0199"),
        ("alice@example.com", "alice@example.com"),
        ("sip:alice@example.com", "sip:alice@example.com"),
        ("Dept: 7/8 [east]", "Dept: 7/8 [east]"),
        ("\"Müller, Zoë \\\"Z\\\" <x>\"", "Müller, Zoë \"Z\" <x>"),
        ("\"\"", ""),
        ("", ""),
    ] {
        let incoming = taken(FROM, &format!("{display} <sip:a@b.example>;tag=peer"));
        assert_eq!(
            (incoming.from_display.as_str(), incoming.from_uri.as_str()),
            (shown, "sip:a@b.example")
        );
        let incoming = taken(TO, &format!("{display} <sip:a@b.example>"));
        assert_eq!(incoming.to_uri, "sip:a@b.example");
    }
}

#[test]
fn a_bare_name_with_a_comma_a_semicolon_or_quotes_is_shown_where_it_can_be_nothing_else() {
    for display in [
        "Bell, Alexander",
        "Bell, Alexander Graham, Jr.",
        "Sales; East",
        "Ops;",
        ",",
        "John \"Jack\" Smith",
        "\"Jack\" Smith",
        "\"Jack\" \"Smith\"",
        "\"Bell, A.\" (work)",
        "24\" screens",
        "O\"Brien, Pat",
        "Dept: 7, east",
    ] {
        let incoming = taken(FROM, &format!("{display} <sip:a@b.example>;tag=peer"));
        assert_eq!(
            (incoming.from_display.as_str(), incoming.from_uri.as_str()),
            (display, "sip:a@b.example")
        );
        assert_eq!(
            taken(TO, &format!("{display} <sip:a@b.example>")).to_uri,
            "sip:a@b.example"
        );
        // In a list too: what has no address is no element of it. What has a colon may be one.
        if display.contains(':') {
            continue;
        }
        let text = invite().replace(CONTACT, &format!("{display} <sip:caller@127.0.0.1:5070>"));
        assert!(Bench::new().incoming(&text).offer.is_some(), "{display}");
    }
}

#[test]
fn a_bare_name_that_could_be_an_address_or_end_one_is_refused() {
    for from in [
        "sip:x@y, Bell <sip:a@b>;tag=peer",
        "x@y, Bell <sip:a@b>;tag=peer",
        "Bell, tel:1 <sip:a@b>;tag=peer",
        "Bell;tag=other <sip:a@b>;tag=peer",
        "Bell ; TAG = other <sip:a@b>;tag=peer",
        "sip:x@y;user=phone <sip:a@b>;tag=peer",
        "a\"b <sip:a@b>;x=\"y\";tag=peer",
        "a\"b <sip:a@b>;x=\"<sip:c@d>\";tag=peer",
        "a\"b <sip:c@d> c\" <sip:a@b>;tag=peer",
        "Bell, A. <sip:a@b>;tag=peer, <sip:c@d>",
        "\"Bell, Alexander <sip:a@b>;tag=peer",
    ] {
        let (status, sentence) = refused(&invite().replace(FROM, from));
        assert!(
            status == 400 && sentence.contains("From header field is malformed"),
            "{from}: {sentence}"
        );
    }
}

/// meetecho/janus-gateway#3164, ringcentral/ringcentral-web-phone#104: who withholds its number writes what it likes.
#[test]
fn a_caller_that_does_not_say_who_it_is_calls() {
    const NOBODY: &str = "sip:anonymous@anonymous.invalid";
    for (written, told) in [
        ("<sip:>", NOBODY),
        ("<sips:>", NOBODY),
        ("<sip:@>", NOBODY),
        ("<sip:;user=phone>", NOBODY),
        ("<sip::5060>", NOBODY),
        ("<>", NOBODY),
        ("< >", NOBODY),
        ("\"Anonymous\" <>", NOBODY),
        ("\"Anonymous\"", NOBODY),
        ("Anonymous", NOBODY),
        ("", NOBODY),
        ("<anonymous>", NOBODY),
        ("<Unavailable>", NOBODY),
        ("<sip:anonymous>", NOBODY),
        ("<sip:Anonymous@>", NOBODY),
        ("<tel:anonymous>", NOBODY),
        ("<tel:>", NOBODY),
        ("<tel:anonymous@h.example>", NOBODY),
        ("<tel:15550199@h.example>", "tel:15550199"),
        ("<TEL:Restricted;x=y>", NOBODY),
        ("<15550199>", "tel:15550199"),
        ("<+15550199>", "tel:+15550199"),
        ("+1-555-0199", "tel:+1-555-0199"),
        ("<sip:+15550199>", "tel:+15550199"),
        ("<sip:15550199>", "tel:15550199"),
        ("<sip:15550199@>", "tel:15550199"),
        ("<sip:alice@>", "sip:alice@anonymous.invalid"),
        ("<alice>", "sip:alice@anonymous.invalid"),
        ("<tel:call-me-maybe>", "sip:call-me-maybe@anonymous.invalid"),
        ("<alice@h.example>", "sip:alice@h.example"),
        (
            "<alice@h.example:5070;user=phone>",
            "sip:alice@h.example:5070;user=phone",
        ),
    ] {
        let text = invite().replace(FROM, &format!("{written};tag=peer"));
        let mut bench = Bench::new();
        let incoming = bench.incoming(&text);
        assert_eq!(incoming.from_uri, told, "{written}");
        // It speaks in its call as anybody does.
        bench
            .command(Command::Answer {
                leg: incoming.leg,
                body: ANSWER.to_owned(),
            })
            .unwrap();
        let answer = bench.only();
        assert_eq!(field(&answer, "From"), format!("{written};tag=peer"));
        let tag = tag_of(&answer);
        let in_call = |text: String| text.replace(FROM, &format!("{written};tag=peer"));
        bench.feed(&in_call(in_dialog("ACK", 1, &tag, "z9hG4bKack", "", "")));
        bench.feed(&in_call(in_dialog("BYE", 2, &tag, "z9hG4bKbye", "", "")));
        assert!(bench.only().starts_with("SIP/2.0 200 "), "{written}");
    }
    assert_eq!(taken(TO, "<15550100>").to_uri, "tel:15550100");
    assert_eq!(taken(TO, "ivr@h.example").to_uri, "sip:ivr@h.example");
}

#[test]
fn max_forwards_is_read_by_proxies_alone() {
    for value in [
        "-1",
        "",
        "256",
        "99999999999999999999",
        "many",
        "70;x",
        "70\r\nMax-Forwards: 69",
    ] {
        let text = invite().replace("Max-Forwards: 70", &format!("Max-Forwards: {value}"));
        assert!(Bench::new().incoming(&text).offer.is_some(), "{value}");
    }
}

#[test]
fn a_line_with_a_name_that_is_none_is_no_field_and_loses_no_call() {
    for line in [
        "X Account: 7",
        "X-Account(1): 7",
        "[id]: 7",
        "\"Via\": x",
        "Übung: 7",
        "X/Y: 7\r\n and more",
        "@: ",
        ": 7",
        "Call Info: <http://h.example>",
    ] {
        let text = invite().replace("Max-Forwards", &format!("{line}\r\nMax-Forwards"));
        let incoming = Bench::new().incoming(&text);
        assert!(incoming.offer.is_some(), "{line}");
        assert!(
            incoming.headers.iter().any(|(name, _)| name == "Max-Forwards"),
            "{line}"
        );
    }
    for line in ["no colon", "X\u{1}: 7", "X Y: 7\nVia: z", "X Y: 7\rVia: z"] {
        let (status, sentence) = refused(&invite().replace("Max-Forwards", &format!("{line}\r\nMax-Forwards")));
        assert!(
            status == 400 && sentence.contains("cannot be read"),
            "{line}: {sentence}"
        );
    }
}

/// A proxy in between took them as they were; only the topmost says where the answer goes (RFC 3261, 18.2.2).
#[test]
fn vias_below_the_topmost_are_those_of_others_and_go_back_as_they_came() {
    for below in [
        "SIP/2.0/UDP phone;branch=z9hG4bK{1-2}@x",
        "SIP/2.0/UDP fe80::1;branch=z9hG4bK1",
        "garbage",
        "",
        "SIP/2.0/UDP 10.0.0.1:99999;x=a=b",
    ] {
        let top = "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKtop;rport";
        let via = |between: &str| format!("{top}{between}{below}");
        let with = |via: &str| invite().replace("SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKinvite;rport", via);
        let mut bench = Bench::new();
        bench.feed(&with(&via("\r\nVia: ")));
        let answer = bench.only();
        assert!(answer.starts_with("SIP/2.0 100 "), "{below}: {answer}");
        let told = format!("Via: {top}=5070;received=127.0.0.1\r\nVia: {below}\r\n");
        assert!(answer.contains(&told), "{answer}");
        // In one field with it they are one list, which is read as a whole (RFC 4475, 3.1.2.1).
        assert_eq!(refused(&with(&via(", "))).0, 400);
    }
}

#[test]
fn what_is_said_twice_in_the_same_words_is_said_once() {
    for (written, read) in [
        ("sip:a@h.example;user=phone;user=phone", "sip:a@h.example;user=phone"),
        (
            "sip:a@h.example;lr;transport=udp;LR;Transport=UDP",
            "sip:a@h.example;lr;transport=udp",
        ),
        ("sip:a@h.example;x;y;x?b=c", "sip:a@h.example;x;y?b=c"),
    ] {
        assert_eq!(taken(FROM, &format!("<{written}>;tag=peer")).from_uri, read);
        assert!(taken(CONTACT, &format!("<{written}>")).offer.is_some());
    }
    let uri = "INVITE sip:ivr@127.0.0.1;user=phone;user=phone";
    assert_eq!(
        taken("INVITE sip:ivr@127.0.0.1:5060", uri).request_uri,
        "sip:ivr@127.0.0.1;user=phone"
    );
    let (status, _) = refused(&invite().replace(FROM, "<sip:a@h;user=phone;user=ip>;tag=peer"));
    assert_eq!(status, 400, "which of them?");
}

/// Comparing costs the square of their number, and who calls chooses that.
#[test]
fn the_first_32_parameters_of_a_uri_are_compared_and_no_more() {
    let many = |count: usize| {
        let said: Vec<_> = (0..count).map(|n| format!(";p{n}")).collect();
        said.concat()
    };
    let taken = taken(FROM, &format!("<sip:a@h.example{};p3>;tag=peer", many(31)));
    assert_eq!(taken.from_uri, format!("sip:a@h.example{}", many(31)));
    let (status, reason) = refused(&invite().replace(FROM, &format!("<sip:a@h.example{};p33>;tag=peer", many(34))));
    assert_eq!(status, 400, "{reason}");
}

#[test]
fn a_branch_that_is_there_twice_in_the_same_words_is_one() {
    let again = ";Branch=\"z9hG4bKinvite\";rport";
    assert!(taken(";rport", again).offer.is_some());
}

#[test]
fn an_empty_contact_is_none_and_an_empty_port_of_via_too() {
    let incoming = taken("Contact: <sip:caller@127.0.0.1:5070>", "Contact: ");
    assert!(incoming.offer.is_some());
    let via = "127.0.0.1:;branch=z9hG4bKinvite;rport";
    assert!(taken("127.0.0.1:5070;branch=z9hG4bKinvite;rport", via).offer.is_some());
}

#[test]
fn a_name_in_another_encoding_than_utf_8_loses_no_call() {
    let mut bytes = invite().into_bytes();
    let at = bytes.windows(6).position(|window| window == b"Caller").unwrap();
    bytes[at + 2] = 0xEB;
    let mut bench = Bench::new();
    bench.agent.receive(bench.flow, &bytes, bench.now).unwrap();
    let is_taken = |output: &offhook_sip::Output| matches!(output, offhook_sip::Output::Event(Event::Incoming(_)));
    assert!(std::iter::from_fn(|| bench.agent.poll_output()).any(|output| is_taken(&output)));
}

#[test]
fn uris_of_the_field_are_read_with_what_is_missing_put_in() {
    for (written, read) in [
        // pjsip/pjproject#324, MicrosoftDocs/OfficeDocs-SkypeForBusiness#9145: a carrier's prefix, not escaped.
        ("sip:4021#15550100@h.example", "sip:4021%2315550100@h.example"),
        (
            "sip:a^b[c]{d}|e\\f`g@h.example",
            "sip:a%5Eb%5Bc%5D%7Bd%7D%7Ce%5Cf%60g@h.example",
        ),
        ("sip:100%off@h.example", "sip:100%25off@h.example"),
        ("sip:%41%2@h.example", "sip:%41%252@h.example"),
        ("sip:Zoë@h.example", "sip:Zo%C3%AB@h.example"),
        // meetecho/janus-gateway#3164: a caller whose number is withheld.
        ("sip:@10.9.8.7", "sip:10.9.8.7"),
        ("sips:@10.9.8.7:5061", "sips:10.9.8.7:5061"),
        ("sip:10.9.8.7", "sip:10.9.8.7"),
        ("sip:anonymous@anonymous.invalid", "sip:anonymous@anonymous.invalid"),
        ("sip:a@h.example:;transport=udp", "sip:a@h.example;transport=udp"),
        ("sip:a@h.example;", "sip:a@h.example"),
        ("sip:a@h.example;;user=phone", "sip:a@h.example;user=phone"),
        ("sip:a@h.example;x=Zoë%", "sip:a@h.example;x=Zo%C3%AB%25"),
        (
            "sip:+1555;npdi;rn=+1444@h.example;user=phone",
            "sip:+1555;npdi;rn=+1444@h.example;user=phone",
        ),
        (
            "sip:100;phone-context=a.example@h.example",
            "sip:100;phone-context=a.example@h.example",
        ),
        ("tel:+1-(555).0100", "tel:+1-(555).0100"),
        ("tel:%2B15550100", "tel:+15550100"),
        (
            "tel:7042;phone-context=a.example;ext=9;isub=1",
            "tel:7042;phone-context=a.example;ext=9;isub=1",
        ),
        ("tel:*31#", "tel:*31#"),
    ] {
        let (field_from, field_to) = (format!("<{written}>;tag=peer"), format!("<{written}>"));
        let incoming = taken(FROM, &field_from);
        assert_eq!(incoming.from_uri, read);
        assert_eq!(taken(TO, &field_to).to_uri, read);
        if !written.starts_with("sips") {
            assert_eq!(
                taken("INVITE sip:ivr@127.0.0.1:5060", &format!("INVITE {written}")).request_uri,
                read
            );
        }
    }
    for written in ["mailto:a@h.example", "urn:service:sos", "im:a@h.example"] {
        assert_eq!(taken(FROM, &format!("<{written}>;tag=peer")).from_uri, written);
    }
}

#[test]
fn a_response_has_the_sender_s_own_words_and_a_request_to_it_the_mended_uri() {
    let mut bench = Bench::new();
    let text = invite()
        .replace(FROM, "Zoë Müller <sip:9#1@127.0.0.1>;tag=peer")
        .replace(CONTACT, "Zoë <sip:9#1@127.0.0.1:5070>");
    let leg = bench.incoming(&text).leg;
    bench
        .command(Command::Answer {
            leg,
            body: ANSWER.to_owned(),
        })
        .unwrap();
    let answer = bench.only();
    assert_eq!(field(&answer, "From"), "Zoë Müller <sip:9#1@127.0.0.1>;tag=peer");
    let tag = tag_of(&answer);
    bench.feed(&in_dialog("ACK", 1, &tag, "z9hG4bKack", "", ""));
    bench.hangup(leg, 0, "");
    let bye = bench.only();
    assert!(bye.starts_with("BYE sip:9%231@127.0.0.1:5070 SIP/2.0\r\n"), "{bye}");
    assert_eq!(field(&bye, "To"), "Zoë Müller <sip:9#1@127.0.0.1>;tag=peer");
    // And who writes its own name otherwise in a later request is the same party: the tags say so (RFC 3261, 12.2.2).
    bench.feed(&in_dialog("BYE", 2, &tag, "z9hG4bKbye", "", ""));
    assert!(bench.only().starts_with("SIP/2.0 200 "));
}

#[test]
fn a_response_with_a_bare_name_answers_our_call() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.dial();
    let answer = response(&invite, "200 OK", "theirs", "Date: now\r\nExpires: x\r\n", ANSWER);
    bench.feed(&answer.replace("To: <sip", "To: Zoë Müller <sip"));
    assert!(matches!(bench.events()[..], [Event::Answered { leg: answered, .. }] if answered == leg));
}

#[test]
fn parameters_of_a_party_that_are_not_its_tag_may_be_anything() {
    for tail in [
        ";x=@!;tag=peer",
        ";;tag=peer",
        ";tag=peer;y",
        " ; TAG = peer ; n=\"a;tag=b\"",
        ";x=;tag=peer;",
    ] {
        let mut bench = Bench::new();
        let text = invite().replace(FROM, &format!("<sip:caller@127.0.0.1>{tail}"));
        let leg = bench.incoming(&text).leg;
        bench
            .command(Command::Answer {
                leg,
                body: ANSWER.to_owned(),
            })
            .unwrap();
        let tag = tag_of(&bench.only());
        bench.feed(&in_dialog("ACK", 1, &tag, "z9hG4bKack", "", ""));
        assert_eq!(bench.events(), [Event::Confirmed { leg, body: None }], "{tail}");
    }
    let without = taken(FROM, "sip:caller@127.0.0.1;user=phone;tag=peer");
    assert_eq!(
        without.from_uri, "sip:caller@127.0.0.1",
        "without <> they are the field's (20.10)"
    );
}

#[test]
fn schemes_that_are_not_served_are_told_apart() {
    for (uri, words) in [
        ("sips:a@h.example", "sips: needs TLS"),
        ("urn:service:sos", "Only sip: and tel:"),
        ("mailto:a@h.example", "Only sip: and tel:"),
    ] {
        let (status, sentence) = refused(&request("INVITE", uri, 1, "", "z9hG4bKs", "", OFFER));
        assert!(status == 416 && sentence.contains(words), "{sentence}");
    }
    for uri in ["<sip:a@h.example>", "sip:", "tel:", "tel:call-me-maybe", "a@h.example"] {
        let (status, sentence) = refused(&request("INVITE", uri, 1, "", "z9hG4bKs", "", OFFER));
        assert!(status == 400 && sentence.contains("Request-URI"), "{uri}: {sentence}");
    }
}

#[test]
fn accept_is_read_by_its_ranges() {
    for (accept, is_taken) in [
        ("application/sdp", true),
        ("text/plain;x=\"a,application/sdp\"", false),
        ("text/plain, APPLICATION/* ; q=0.1", true),
        ("application / sdp", true),
        ("*/*", true),
        ("application/sdp;q=0", false),
        ("text/nobody\r\nAccept: application/sdp", true),
        ("text/nobody", false),
        ("", false),
    ] {
        let mut bench = Bench::new();
        bench.feed(&invite().replace("Max-Forwards", &format!("Accept: {accept}\r\nMax-Forwards")));
        let answer = bench.only();
        assert!(
            answer.starts_with(if is_taken { "SIP/2.0 100" } else { "SIP/2.0 406" }),
            "{accept}: {answer}"
        );
    }
}

#[test]
fn a_blank_line_before_a_datagram_is_no_part_of_it() {
    let incoming = Bench::new().incoming(&format!("\r\n\r\n{}", invite()));
    assert!(incoming.offer.is_some(), "RFC 3261, 7.5");
}

#[test]
fn a_reason_is_read_by_its_parameters_and_the_sip_one_wins() {
    for (value, status, words) in [
        ("SIP;cause=480;text=\"away\"", 480, "away"),
        ("SIP;text=\"a;cause=5, b\";cause=486", 486, "a;cause=5, b"),
        (
            "Q.850;cause=16;text=\"Normal call clearing\"",
            0,
            "Normal call clearing",
        ),
        (
            "Q.850;cause=16;text=\"clear\", SIP;cause=200;text=\"elsewhere\"",
            200,
            "elsewhere",
        ),
        ("SIP ; cause = 200 ; text = \"say \\\"hi\\\"\"", 200, "say \"hi\""),
        ("sip;text=busy;cause=486", 486, "busy"),
        ("SIPX;cause=200", 0, ""),
        ("\"", 0, ""),
    ] {
        let mut bench = Bench::new();
        let (leg, tag) = bench.answered();
        bench.feed(&in_dialog(
            "BYE",
            2,
            &tag,
            "z9hG4bKb",
            &format!("Reason: {value}\r\n"),
            "",
        ));
        let events = bench.events();
        let Event::Ended {
            leg: ended,
            status: got,
            reason,
            ..
        } = &events[0]
        else {
            panic!("{events:?}")
        };
        assert_eq!((*ended, *got, reason.as_str()), (leg, status, words), "{value}");
    }
}

#[test]
fn bytes_that_are_no_sip_request_get_no_answer() {
    for start in ["GET /SIP/2.0 HTTP/1.1", "INVITE sip:SIP/2.0@h HTTP/1.1"] {
        let mut bench = Bench::new();
        bench.feed(
            &invite()
                .replace("INVITE sip:ivr@127.0.0.1:5060 SIP/2.0", start)
                .replace("Content-Length: ", "Content-Length: x"),
        );
        assert!(bench.take().is_empty(), "{start}");
    }
}

proptest! {
    #[test]
    fn whatever_stands_in_a_party_the_answer_is_one_message_and_the_agent_lives(value in "[ -~ë]{0,40}", uri in "(sip|sips|tel|x):[!-~é]{0,24}") {
        for (from, to) in [(FROM, format!("{value};tag=peer")), (FROM, format!("<{uri}>;tag=peer")), (TO, value.clone()), (CONTACT, format!("<{uri}>"))] {
            let mut bench = Bench::new();
            bench.feed(&invite().replacen(from, &to, 1));
            let answer = bench.only();
            prop_assert!(answer.starts_with("SIP/2.0 100 ") || answer.starts_with("SIP/2.0 400 "), "{}", answer);
            prop_assert_eq!(answer.matches("\r\n\r\n").count(), 1);
        }
    }
}
