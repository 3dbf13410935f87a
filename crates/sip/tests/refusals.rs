//! Each refusal: its status, what stands beside it, and a sentence that says what to change.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use offhook_sip::{Config, Event, FramingLost};
use support::{Bench, OFFER, field, invite, request, tcp};

/// Feed a request and get its one answer, which carries a sentence.
fn refused(text: &str) -> String {
    let mut bench = Bench::new();
    bench.feed(text);
    let answer = bench.only();
    assert!(bench.events().is_empty());
    let sentence = answer.lines().next().unwrap().splitn(3, ' ').nth(2).unwrap().to_owned();
    assert!(sentence.len() > 20, "{sentence}");
    assert!(
        field(&answer, "Warning").contains(&sentence.replace('"', "'")),
        "{answer}"
    );
    answer
}

fn options(extra: &str) -> String {
    request("OPTIONS", "sip:127.0.0.1", 1, "", "z9hG4bKo", extra, "")
}

#[test]
fn malformed_requests_get_400_that_names_the_header() {
    for (from, to, word) in [
        ("CSeq: 1 OPTIONS", "CSeq: 1 INVITE", "CSeq"),
        ("CSeq: 1 OPTIONS", "CSeq: 99999999999 OPTIONS", "CSeq"),
        (
            "Call-ID: call-1\r\n",
            "Call-ID: call-1\r\nCall-ID: call-1\r\n",
            "more than once",
        ),
        ("From: \"Caller\" <", "From: \"Caller <", "From"),
        ("sip:127.0.0.1 SIP", "sip:127.0.0.1?X=y SIP", "Request-URI"),
        ("branch=z9hG4bKo", "branch=z9hG4bK", "branch"),
        ("Content-Length: 0", "Content-Length: 99", "cannot be read"),
        ("Content-Length: 0", "Content-Length: -1", "cannot be read"),
    ] {
        let answer = refused(&options("").replace(from, to));
        assert!(
            answer.starts_with("SIP/2.0 400 ") && answer.contains(word),
            "{to}: {answer}"
        );
    }
}

#[test]
fn a_missing_max_forwards_is_no_reason_to_refuse() {
    let mut bench = Bench::new();
    bench.feed(&options("").replace("Max-Forwards: 70\r\n", ""));
    assert!(bench.only().starts_with("SIP/2.0 200 "));
}

#[test]
fn options_tell_what_is_served() {
    let mut bench = Bench::new();
    bench.feed(&options(""));
    let answer = bench.only();
    assert!(answer.starts_with("SIP/2.0 200 OK\r\n"));
    assert_eq!(
        field(&answer, "Allow"),
        "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE"
    );
    assert!(field(&answer, "Accept").starts_with("application/sdp"));
    assert!(answer.contains("\r\nSupported:"));
}

#[test]
fn methods_that_are_not_served_get_405_and_unknown_ones_501_both_with_allow() {
    for (method, status) in [
        ("REGISTER", 405),
        ("SUBSCRIBE", 405),
        ("NOTIFY", 405),
        ("REFER", 405),
        ("MESSAGE", 405),
        ("PUBLISH", 405),
        ("PRACK", 405),
        ("NEWMETHOD", 501),
        ("invite", 501),
    ] {
        let answer = refused(&request(method, "sip:127.0.0.1", 1, "", "z9hG4bKm", "", ""));
        assert!(answer.starts_with(&format!("SIP/2.0 {status} ")), "{answer}");
        assert!(field(&answer, "Allow").contains("INVITE"));
    }
}

#[test]
fn bodies_that_cannot_be_read_get_415_with_what_can() {
    let text = invite().replace("application/sdp", "application/isup");
    let answer = refused(&text);
    assert!(
        answer.starts_with("SIP/2.0 415 ") && field(&answer, "Accept").starts_with("application/sdp, multipart/mixed")
    );
    let answer = refused(&request(
        "INVITE",
        "sip:a@b",
        1,
        "",
        "z9hG4bKe",
        "Content-Encoding: gzip\r\n",
        OFFER,
    ));
    assert!(answer.starts_with("SIP/2.0 415 ") && field(&answer, "Accept-Encoding") == "identity");
}

#[test]
fn required_extensions_get_420_with_their_names() {
    for method in ["INVITE", "OPTIONS"] {
        let answer = refused(&request(
            method,
            "sip:a@b",
            1,
            "",
            "z9hG4bKr",
            "Require: 100rel, nothing\r\n",
            "",
        ));
        assert!(answer.starts_with("SIP/2.0 420 "));
        assert_eq!(field(&answer, "Unsupported"), "100rel, nothing");
    }
}

#[test]
fn unknown_schemes_get_416_and_dialogs_that_are_not_481() {
    let answer = refused(&request(
        "INVITE",
        "soap.beep://192.0.2.103:3002",
        1,
        "",
        "z9hG4bKs",
        "",
        "",
    ));
    assert!(answer.starts_with("SIP/2.0 416 "));
    for method in ["BYE", "INFO", "UPDATE", "INVITE"] {
        let answer = refused(&request(method, "sip:a@b", 1, "nowhere", "z9hG4bKd", "", ""));
        assert!(answer.starts_with("SIP/2.0 481 "), "{answer}");
    }
}

#[test]
fn another_version_gets_505() {
    let answer = refused(&options("").replacen("SIP/2.0\r\n", "SIP/7.0\r\n", 1));
    assert!(answer.starts_with("SIP/2.0 505 Only SIP/2.0"));
}

#[test]
fn a_closed_or_full_house_gets_503_with_retry_after() {
    let mut bench = Bench::with(
        Config {
            max_legs: 1,
            ..Config::default()
        },
        support::udp(),
    );
    bench.incoming(&invite());
    bench.feed(
        &invite()
            .replace("call-1", "call-2")
            .replace("z9hG4bKinvite", "z9hG4bK2"),
    );
    let full = bench.only();
    assert!(full.starts_with("SIP/2.0 503 "));
    let seconds: u64 = field(&full, "Retry-After").parse().unwrap();
    assert!((5..=10).contains(&seconds));
    bench
        .agent
        .set_open(Some("no application is connected; start one".to_owned()));
    for text in [
        invite()
            .replace("call-1", "call-3")
            .replace("z9hG4bKinvite", "z9hG4bK3"),
        options(""),
    ] {
        bench.feed(&text);
        let closed = bench.only();
        assert!(
            closed.starts_with("SIP/2.0 503 no application is connected; start one\r\n"),
            "{closed}"
        );
        assert!(!field(&closed, "Retry-After").is_empty());
    }
}

#[test]
fn what_must_not_be_answered_is_not() {
    let mut bench = Bench::new();
    for text in [
        "SIP/2.0 200 OK\r\n\r\n",
        "garbage\r\n\r\n",
        "",
        "\r\n\r\n",
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKnobody\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n",
    ] {
        bench.feed(text);
    }
    bench.feed(&request("ACK", "sip:a@b", 1, "nowhere", "z9hG4bKack", "", ""));
    bench.feed(&request("ACK", "sip:a@b", 1, "nowhere", "z9hG4bK", "", ""));
    bench.feed(
        &request("ACK", "sip:a@b", 1, "nowhere", "z9hG4bKx", "", "").replace("Content-Length: 0", "Content-Length: 9"),
    );
    assert!(bench.take().is_empty() && bench.events().is_empty());
}

#[test]
fn a_stream_gives_the_same_messages_however_it_is_cut() {
    // reliability B5: pipelined, keep-alives between, split at every byte.
    let text = format!(
        "\r\n\r\n{}{}\r\n{}",
        options(""),
        invite().replace("/UDP", "/TCP"),
        options("")
            .replace("z9hG4bKo", "z9hG4bKo2")
            .replace("Content-Length: 0", "l :\r\n 0")
    );
    let whole = {
        let mut bench = Bench::with(Config::default(), tcp());
        bench.feed(&text);
        bench.take()
    };
    assert_eq!(whole.len(), 4, "a pong, 200, 100, 200: {whole:#?}");
    for cut in 0..=text.len() {
        let mut bench = Bench::with(Config::default(), tcp());
        bench.feed(&text[..cut]);
        bench.feed(&text[cut..]);
        assert_eq!(bench.take().len(), 4, "cut at {cut}");
        assert!(matches!(bench.events()[..], [Event::Incoming(_)]), "cut at {cut}");
    }
    let mut bench = Bench::with(Config::default(), tcp());
    for byte in text.as_bytes() {
        bench.agent.receive(tcp(), &[*byte], bench.now).unwrap();
        bench.drain();
    }
    assert_eq!(bench.take().len(), 4);
}

#[test]
fn a_stream_that_cannot_be_framed_is_lost_after_a_sentence() {
    for (length, word) in [
        ("", "Content-Length is missing"),
        ("Content-Length: -1\r\n", "not a number"),
        ("Content-Length: 2147483648\r\n", "64 KiB"),
        ("Content-Length: 99999999999999999999\r\n", "not a number"),
        ("Content-Length: 0\r\nl: 5\r\n", "different"),
        ("Content-Length: 0\r\nCSeq2: x\r\nl: 5\r\n", "different"),
        ("Content-Length: 0, 5\r\n", "different"),
        ("Content-Length: 0\r\nl: none\r\n", "not a number"),
        ("Content-Length: 0,\r\n", "not a number"),
        // One number over two lines is none: others read the first.
        ("Content-Length: 1\r\n 0\r\n", "not a number"),
    ] {
        let mut bench = Bench::with(Config::default(), tcp());
        let text = options("").replace("Content-Length: 0\r\n", length);
        assert_eq!(
            bench.agent.receive(tcp(), text.as_bytes(), bench.now),
            Err(FramingLost),
            "{length}"
        );
        bench.drain();
        let answer = bench.only();
        assert!(answer.starts_with("SIP/2.0 400 ") && answer.contains(word), "{answer}");
    }
    let mut bench = Bench::with(Config::default(), tcp());
    let mut lost = false;
    for _ in 0..70 {
        lost = lost || bench.agent.receive(tcp(), &[b'x'; 1_024], bench.now).is_err();
    }
    assert!(lost, "an endless header section");
}

/// RFC 7230, 3.3.2: who repeats one and the same length says one length; nobody can tell which of two different ones is meant.
#[test]
fn a_content_length_that_is_there_again_in_the_same_words_is_one_and_of_different_ones_none_is_taken() {
    for length in [
        "Content-Length: 4\r\nl: 4\r\n",
        "l: 4\r\nX: y\r\nCONTENT-LENGTH : 04\r\nContent-Length:\r\n 4\r\n",
        "Content-Length: 4, 4\r\n",
    ] {
        // On a stream the next message begins right behind those four octets.
        let text = options("").replace("Content-Length: 0\r\n", length) + "body";
        for (flow, text) in [(support::udp(), text.clone()), (tcp(), format!("{text}{text}"))] {
            let mut bench = Bench::with(Config::default(), flow);
            bench.feed(&text);
            let answers = bench.take();
            assert!(
                !answers.is_empty() && answers.iter().all(|answer| answer.starts_with("SIP/2.0 200 ")),
                "{answers:#?}"
            );
            bench.feed(&options("").replace("z9hG4bKo", "z9hG4bKnext"));
            assert!(bench.only().starts_with("SIP/2.0 200 "), "{length:?}");
        }
    }
    for (length, words) in [
        ("Content-Length: 4\r\nl: 0\r\n", "different"),
        ("Content-Length: 4\r\nContent-Length: 4\r\nl: 3\r\n", "different"),
        ("Content-Length: 4, 3\r\n", "Content-Length is not a number"),
        ("Content-Length: 4\r\nl: 4;x\r\n", "Content-Length"),
        ("Content-Length: 1\r\n 0\r\n", "Content-Length is not a number"),
    ] {
        let answer = refused(&(options("").replace("Content-Length: 0\r\n", length) + "body"));
        assert!(answer.starts_with("SIP/2.0 400 ") && answer.contains(words), "{answer}");
    }
}

/// Each kind of what cannot be read, in our words: they say what to change, and nothing that the sender wrote.
#[test]
fn what_cannot_be_read_is_told_by_its_kind_and_in_our_words() {
    let with = |from: &str, to: &str| options("").replacen(from, to, 1);
    let uri = |uri: &str| with("sip:127.0.0.1 SIP", &format!("{uri} SIP"));
    let many = "X: y\r\n".repeat(300);
    let long = format!("X: {}\r\n", "y".repeat(9_000));
    let folded = format!("X: y{}\r\n", "\r\n z".repeat(20));
    let before = |lines: &str| with("Max-Forwards", &format!("{lines}Max-Forwards"));
    for (text, words) in [
        (
            with("OPTIONS sip:127.0.0.1 SIP/2.0", "OPTIONS sip:s3cret SIP/2.0 SIP/2.0"),
            "three words",
        ),
        (with("OPTIONS sip", "OPT{s3cret} sip"), "method"),
        (uri("s3cret"), "Request-URI: begin it with its scheme"),
        (uri("sip:"), "Request-URI: name a host"),
        (uri("sip:s3cret@"), "Request-URI: name a host"),
        (uri("sip:s3cret@h_{x}"), "Request-URI: correct the host"),
        (uri("sip:s3cret@h:99999"), "Request-URI: correct the port"),
        (uri("sip:s3cret@[::1"), "Request-URI: close the [ of the IPv6 address"),
        (uri("<sip:s3cret@h>"), "Request-URI: "),
        (uri("sip:s3\"cret@h"), "Request-URI: escape"),
        (uri("sip:h;s3cret=1;s3cret=2"), "Request-URI: send each parameter once"),
        (uri("sip:h;=s3cret"), "Request-URI: name each parameter"),
        (uri("tel:s3cret"), "Request-URI: write a number behind tel:"),
        (uri("mailto:%s3cret"), "Request-URI: "),
        (before("s3cret\r\n"), "colon"),
        (before("s3cret\u{1}: x\r\n"), "name of a header field"),
        (before("X: s3cret\nY: z\r\n"), "CRLF"),
        (before("X: s3cret\rY: z\r\n"), "CRLF"),
        (format!(" {}", options("s3: cret\r\n")), "begin"),
        (before(&many), "256 header fields"),
        (before(&long), "8 KiB"),
        (before(&folded), "16 lines"),
        (
            with("Content-Length: 0", "Content-Length: s3cret"),
            "Content-Length is not a number",
        ),
        (with("Content-Length: 0", "Content-Length: 70000"), "64 KiB"),
        (with("Content-Length: 0", "Content-Length: 99"), "Content-Length says"),
        (with("\r\n\r\n", "\r\n"), "empty line"),
    ] {
        let answer = refused(&text);
        let sentence = answer.lines().next().unwrap().to_owned();
        assert!(
            sentence.starts_with("SIP/2.0 400 The request cannot be read: ") && sentence.contains(words),
            "{words}: {sentence}"
        );
        let said = answer
            .lines()
            .filter(|line| line.starts_with("SIP/") || line.starts_with("Warning"));
        for line in said {
            assert!(
                !line.contains("s3") && !line.contains("0x") && line.is_ascii(),
                "{line}"
            );
        }
    }
}

#[test]
fn what_a_sender_requires_is_in_unsupported_and_not_in_our_sentence() {
    let answer = refused(&options("Require: s3cret \"x\", <b>\r\n"));
    assert!(answer.starts_with("SIP/2.0 420 "), "{answer}");
    assert_eq!(field(&answer, "Unsupported"), "s3cret \"x\", <b>");
    assert!(!answer.lines().next().unwrap().contains("s3cret") && !field(&answer, "Warning").contains("s3cret"));
}

/// RFC 3261, 8.2.6 copies fields into an answer; where one is missing the others do.
#[test]
fn what_cannot_be_read_is_refused_with_the_fields_that_are_there() {
    let broken = options("").replace("Max-Forwards: 70", "no colon");
    let lines = ["From", "To", "Call-ID", "CSeq"];
    let without = |gone: &[&str]| -> String {
        let is_kept = |line: &&str| !gone.iter().any(|name| line.starts_with(&format!("{name}: ")));
        broken.split_inclusive("\r\n").filter(is_kept).collect()
    };
    for gone in [&lines[..1], &lines[1..2], &lines[2..3], &lines[3..], &lines[..]] {
        let answer = refused(&without(gone));
        assert!(
            answer.starts_with("SIP/2.0 400 The request cannot be read: "),
            "{answer}"
        );
        assert!(field(&answer, "Via").contains("branch=z9hG4bKo"), "{answer}");
        for name in lines {
            assert_eq!(
                support::fields(&answer, name).len(),
                usize::from(!gone.contains(&name)),
                "{answer}"
            );
        }
    }
    // A stream too, and a To without a tag gets one (8.2.6.2).
    let mut bench = Bench::with(Config::default(), tcp());
    let text = without(&["From"]).replace("Content-Length: 0", "Content-Length: none");
    assert!(bench.agent.receive(tcp(), text.as_bytes(), bench.now).is_err());
    bench.drain();
    let answer = bench.only();
    assert!(
        answer.contains("Content-Length") && !support::tag_of(&answer).is_empty(),
        "{answer}"
    );
}

/// RFC 3261, 8.2.7: where no transaction knows a copy for one, its answer is to the caller the same all the same.
#[test]
fn copies_of_what_is_refused_without_a_transaction_get_the_same_tag_and_nobody_else_does() {
    let malformed = options("").replace("CSeq: 1 OPTIONS", "CSeq: 1 INVITE");
    let unreadable = options("").replace("Max-Forwards: 70", "no colon");
    for text in [malformed, unreadable] {
        let mut bench = Bench::new();
        let mut tag = |text: &str| {
            bench.feed(text);
            let answer = bench.only();
            assert!(answer.starts_with("SIP/2.0 400 "), "{answer}");
            support::tag_of(&answer)
        };
        let first = tag(&text);
        assert!(!first.is_empty());
        assert_eq!(tag(&text), first);
        assert_ne!(tag(&text.replace("branch=z9hG4bKo", "branch=z9hG4bKp")), first);
        let mut other = Bench::new();
        other.agent = offhook_sip::Agent::new(Config::default(), Box::new(support::Seeded(7)));
        other.feed(&text);
        assert_ne!(support::tag_of(&other.only()), first, "it cannot be foretold");
    }
}

#[test]
fn who_gives_no_via_gets_no_answer_for_there_is_nobody_to_give_it_to() {
    let whole = options("");
    for via in ["", "Via:\r\n", "Via: , \r\n"] {
        let text = whole.replace("Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKo;rport\r\n", via);
        for text in [text.clone(), text.replace("Max-Forwards: 70", "no colon")] {
            let mut bench = Bench::new();
            bench.feed(&text);
            assert!(bench.take().is_empty() && bench.events().is_empty(), "{text}");
        }
    }
}

/// RFC 3261, 18.2.2: without `rport` an answer goes to the port of the Via, be the rest of the message readable or not.
#[test]
fn a_refusal_of_what_cannot_be_read_goes_where_any_answer_goes() {
    for text in [options(""), options("").replace("Max-Forwards: 70", "no colon")] {
        let mut bench = Bench::new();
        bench.feed(&text.replace("127.0.0.1:5070;branch=z9hG4bKo;rport", "127.0.0.1:5099;branch=z9hG4bKo"));
        let (flow, answer) = bench.take_flows().remove(0);
        assert_eq!(flow.peer, support::address("127.0.0.1:5099"), "{answer}");
    }
}

#[test]
fn a_flood_gets_503_without_memory_and_calls_that_are_up_go_on() {
    let mut bench = Bench::with(
        Config {
            max_call_transactions: 50,
            max_other_transactions: 50,
            ..Config::default()
        },
        support::udp(),
    );
    let (_, tag) = bench.answered();
    for number in 0..1_000 {
        bench.feed(&options("").replace("z9hG4bKo", &format!("z9hG4bKf{number}")));
    }
    let answers = bench.take();
    let served = answers
        .iter()
        .filter(|answer| answer.starts_with("SIP/2.0 200 "))
        .count();
    let refused = answers
        .iter()
        .filter(|answer| answer.starts_with("SIP/2.0 503 Too much at once"))
        .count();
    assert_eq!((served, refused), (25, 975));
    assert!(
        answers
            .last()
            .is_some_and(|answer| !field(answer, "Retry-After").is_empty())
    );
    assert_eq!(bench.agent.counts().2, 26);
    bench.feed(&support::in_dialog("BYE", 2, &tag, "z9hG4bKb", "", ""));
    assert!(bench.only().starts_with("SIP/2.0 200 OK"));
    bench.pass(std::time::Duration::from_secs(40));
    bench.feed(&options("").replace("z9hG4bKo", "z9hG4bKlater"));
    assert!(bench.only().starts_with("SIP/2.0 200 OK"));
}
