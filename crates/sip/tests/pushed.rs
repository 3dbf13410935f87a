//! Bounds that a peer can push at and that no other file pushes at: `docs/internals/bounds.md` has them all.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use offhook_sip::{Command, Config, Event, Flow};
use offhook_words::LegEndCause;
use support::{ANSWER, Bench, OFFER, address, in_dialog, invite, ms, request, tag_of, tcp, udp};

fn count(sent: &[String], start: &str) -> usize {
    sent.iter().filter(|text| text.starts_with(start)).count()
}

#[test]
fn a_connection_that_pings_without_end_gets_eight_pongs_a_read() {
    let mut bench = Bench::with(Config::default(), tcp());
    bench.feed(&"\r\n\r\n".repeat(2_000));
    assert_eq!(bench.take(), ["\r\n"; 8]);
    bench.feed("\r\n\r\n");
    assert_eq!(bench.take().len(), 1);
}

#[test]
fn copies_of_a_request_are_answered_32_times_in_each_state() {
    let mut bench = Bench::new();
    let leg = bench.incoming(&invite()).leg;
    for _ in 0..1_000 {
        bench.feed(&invite());
    }
    assert_eq!(count(&bench.take(), "SIP/2.0 100 "), 32);
    // What is ours to send goes out all the same.
    bench.command(Command::Ring { leg, body: None }).unwrap();
    assert!(bench.only().starts_with("SIP/2.0 180 "));
    bench.hangup(leg, 486, "Busy");
    assert!(bench.only().starts_with("SIP/2.0 486 "));
    bench.pass(ms(600));
    assert!(bench.only().starts_with("SIP/2.0 486 "), "by its timer");
    let mut bench = Bench::new();
    let options = request("OPTIONS", "sip:x@127.0.0.1", 1, "", "z9hG4bKo", "", "");
    for _ in 0..1_000 {
        bench.feed(&options);
    }
    assert_eq!(count(&bench.take(), "SIP/2.0 200 "), 33);
}

#[test]
fn made_up_ports_of_one_address_take_half_of_the_lines_that_ring() {
    let config = Config {
        max_legs: 100,
        ..Config::default()
    };
    let mut bench = Bench::with(config, udp());
    let from = |ip: &str, port: u16| Flow {
        peer: address(&format!("{ip}:{port}")),
        ..udp()
    };
    let call = |ip: &str, port: u16| {
        let (branch, id) = (format!("z9hG4bK{ip}{port}"), format!("call-{ip}-{port}"));
        invite().replace("z9hG4bKinvite", &branch).replace("call-1", &id)
    };
    let mut begun = |ip: &str| {
        for port in 10_000..11_000 {
            bench.feed_from(from(ip, port), &call(ip, port));
        }
        let refused = count(&bench.take(), "SIP/2.0 503 All lines are busy");
        let calls = bench.events().len();
        assert_eq!(calls + refused, 1_000);
        calls
    };
    assert_eq!(
        (begun("127.0.0.1"), begun("127.0.0.2"), begun("127.0.0.3")),
        (50, 25, 13)
    );
}

#[test]
fn an_invite_that_nobody_answers_is_refused_after_300_s() {
    let mut bench = Bench::new();
    let leg = bench.incoming(&invite()).leg;
    bench.pass(Duration::from_secs(299));
    assert!(bench.events().is_empty());
    bench.pass(Duration::from_secs(2));
    assert!(bench.take()[0].starts_with("SIP/2.0 480 Nobody answered within 300 s"));
    assert!(matches!(
        bench.events()[..],
        [Event::Ended { leg: ended, cause: LegEndCause::Timeout, .. }] if ended == leg
    ));
}

#[test]
fn what_is_told_of_an_invite_is_bounded_whatever_it_holds() {
    let mut bench = Bench::new();
    let headers = "X-Long: 0123456789012345678901234567890123456789\r\n".repeat(240);
    let text = invite().replace("Max-Forwards: 70\r\n", &format!("Max-Forwards: 70\r\n{headers}"));
    let incoming = bench.incoming(&text);
    let size: usize = incoming
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    assert!(incoming.headers.len() <= 64 && size <= 8_192);
    let mut bench = Bench::new();
    bench.feed(&invite().replace(
        "<sip:caller@127.0.0.1>",
        &format!("<sip:{}@127.0.0.1>", "c".repeat(9_000)),
    ));
    assert!(
        bench.only().starts_with("SIP/2.0 400 "),
        "a header field of more than 8 KiB"
    );
    assert!(bench.events().is_empty());
}

#[test]
fn offers_without_end_are_one_at_a_time_and_their_transactions_a_share() {
    let config = Config {
        max_call_transactions: 60,
        ..Config::default()
    };
    let mut bench = Bench::with(config, udp());
    let (leg, tag) = bench.answered();
    for cseq in 2..1_000 {
        bench.feed(&in_dialog("INVITE", cseq, &tag, &format!("z9hG4bK{cseq}"), "", OFFER));
    }
    assert_eq!(
        bench.events(),
        [Event::Reoffer {
            leg,
            body: Some(OFFER.to_owned())
        }]
    );
    assert!(bench.agent.counts().2 <= 61, "{:?}", bench.agent.counts());
    bench.take();
    bench
        .command(Command::AnswerReoffer {
            leg,
            body: Ok(ANSWER.to_owned()),
        })
        .unwrap();
    assert_eq!(tag_of(&bench.only()), tag);
    bench.feed(&in_dialog("BYE", 2_000, &tag, "z9hG4bKbye", "", ""));
    assert!(bench.only().starts_with("SIP/2.0 200 "));
}
