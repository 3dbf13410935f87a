//! Whom we dialled is no friend: it gets our responses and may speak in the call, nothing else.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use offhook_sip::{Config, Event, Flow, Trust};
use offhook_words::Transport;
use support::{ANSWER, Bench, OFFER, address, field, in_dialog, invite, request, response, udp};

const CALLEE: &str = "203.0.113.7";

fn bench() -> Bench {
    let config = Config {
        trusted: Trust::parse(&["192.0.2.0/24"]).unwrap(),
        ..Config::default()
    };
    Bench::with(config, from(5_070))
}

fn from(port: u16) -> Flow {
    Flow {
        peer: address(&format!("{CALLEE}:{port}")),
        ..udp()
    }
}

/// A call to a stranger that is up: a maker of requests in it.
fn up(bench: &mut Bench) -> impl Fn(&str, u32, &str) -> String + use<> {
    let (_, ours) = bench.dial();
    bench.feed(&response(&ours, "200 OK", "bob", "", ANSWER));
    assert!(matches!(bench.events()[..], [Event::Answered { .. }]));
    bench.take();
    let our_tag = field(&ours, "From").split_once("tag=").unwrap().1.to_owned();
    let call_id = format!("Call-ID: {}", field(&ours, "Call-ID"));
    move |method, cseq, body| {
        in_dialog(method, cseq, &our_tag, &format!("z9hG4bK{method}{cseq}"), "", body)
            .replace("Call-ID: call-1", &call_id)
            .replace(";tag=peer", ";tag=bob")
    }
}

fn uninvited() -> Vec<String> {
    let other = |method: &str| request(method, "sip:ivr@127.0.0.1", 1, "", &format!("z9hG4bKo{method}"), "", "");
    let mut all = vec![
        invite(),
        invite().replace("Via: SIP/2.0/UDP", "Via: SIP/2.0/TCP"),
        "INVITE sip:x SIP/2.0\r\nnonsense\r\n\r\n".to_owned(),
        "INVITE sip:x@127.0.0.1 SIP/7.0\r\nVia: SIP/2.0/UDP 203.0.113.7;branch=z9hG4bKv\r\n\r\n".to_owned(),
        invite().replace("CSeq: 1 INVITE", "CSeq: 1 BYE"),
        in_dialog("BYE", 9, "guessed", "z9hG4bKguess", "", ""),
        in_dialog("INVITE", 9, "guessed", "z9hG4bKguess2", "", OFFER),
        in_dialog("UPDATE", 9, "guessed", "z9hG4bKguess3", "", ""),
        in_dialog("ACK", 9, "guessed", "z9hG4bKguess4", "", ""),
    ];
    all.extend(
        [
            "OPTIONS",
            "REGISTER",
            "SUBSCRIBE",
            "MESSAGE",
            "REFER",
            "CANCEL",
            "BYE",
            "FOO",
        ]
        .map(other),
    );
    all
}

#[test]
fn whom_we_dialled_may_not_call_us_nor_ask_anything_outside_of_the_call() {
    let mut bench = bench();
    let (_, ours) = bench.dial();
    for stage in ["calling", "ringing", "up"] {
        match stage {
            "ringing" => bench.feed(&response(&ours, "180 Ringing", "bob", "", "")),
            "up" => bench.feed(&response(&ours, "200 OK", "bob", "", ANSWER)),
            _ => {}
        }
        bench.take();
        bench.events();
        let before = bench.agent.counts();
        for flow in [
            from(5_070),
            from(6_666),
            Flow {
                transport: Transport::Tcp,
                connection: 3,
                ..from(5_070)
            },
        ] {
            for text in uninvited() {
                // Some of it loses the framing of a connection, which is closed then.
                let _ = bench.agent.receive(flow, text.as_bytes(), bench.now);
                bench.drain();
                assert_eq!(bench.take(), Vec::<String>::new(), "{stage}: {text}");
                assert_eq!(bench.events(), [], "{stage}: {text}");
            }
        }
        assert_eq!(bench.agent.counts(), before, "{stage}");
    }
}

#[test]
fn whom_we_dialled_may_speak_in_the_call_from_any_port() {
    let mut bench = bench();
    let text = up(&mut bench);
    bench.feed_from(from(6_000), &text("INVITE", 2, OFFER));
    assert!(matches!(bench.events()[..], [Event::Reoffer { .. }]));
    bench.feed_from(
        from(6_000),
        &text("CANCEL", 2, "").replace("z9hG4bKCANCEL2", "z9hG4bKINVITE2"),
    );
    let sent = bench.take();
    assert!(
        sent[1].starts_with("SIP/2.0 200 ") && sent[2].starts_with("SIP/2.0 487 "),
        "{sent:?}"
    );
    bench.feed_from(
        from(6_000),
        &text("ACK", 2, "").replace("z9hG4bKACK2", "z9hG4bKINVITE2"),
    );
    for (cseq, method) in [(3, "UPDATE"), (4, "OPTIONS"), (5, "INFO"), (6, "BYE")] {
        bench.feed_from(from(6_001), &text(method, cseq, ""));
        assert!(bench.only().starts_with("SIP/2.0 200 "), "{method}");
    }
    assert!(matches!(bench.events()[..], [Event::Ended { .. }]));
    // A copy of the BYE whose answer was lost.
    bench.feed_from(from(6_001), &text("BYE", 6, ""));
    assert!(bench.only().starts_with("SIP/2.0 200 "));
}

#[test]
fn a_fork_that_rings_at_a_stranger_may_speak_in_its_early_dialog() {
    let mut bench = bench();
    let (_, ours) = bench.dial();
    bench.feed(&response(&ours, "180 Ringing", "bob", "", ""));
    let our_tag = field(&ours, "From").split_once("tag=").unwrap().1.to_owned();
    let update = in_dialog("UPDATE", 2, &our_tag, "z9hG4bKearly", "", "")
        .replace("Call-ID: call-1", &format!("Call-ID: {}", field(&ours, "Call-ID")))
        .replace(";tag=peer", ";tag=bob");
    bench.feed_from(from(6_000), &update);
    assert!(bench.only().starts_with("SIP/2.0 200 "));
}

#[test]
fn who_is_trusted_is_answered_as_ever_dialled_or_not() {
    let mut bench = bench();
    let _in_call = up(&mut bench);
    let trusted = Flow {
        peer: address("192.0.2.9:5060"),
        ..udp()
    };
    bench.feed_from(trusted, &invite());
    assert!(matches!(bench.events()[..], [Event::Incoming(_)]));
    bench.pass(Duration::from_secs(1));
    bench.take();
    bench.feed_from(trusted, &in_dialog("BYE", 9, "guessed", "z9hG4bKguess", "", ""));
    assert!(bench.only().starts_with("SIP/2.0 481 "));
}

/// After a crash the 200 of a callee outside of the trust list was dropped as a stranger's: the BYE went out for 32 s.
#[test]
fn whom_a_process_before_us_had_dialled_may_answer_its_farewell_and_do_nothing_else() {
    let mut before = bench();
    let (leg, ours) = before.dial();
    before.feed(&response(&ours, "200 OK", "bob", "", ANSWER));
    let farewell = before.agent.farewell(leg, 503, "the engine was restarted").unwrap();
    let callee = farewell.flow.peer.ip();

    let mut next = bench();
    assert!(!next.agent.is_dialled(callee));
    assert!(next.agent.send_farewell(&farewell, next.now));
    next.drain();
    let bye = next.only();
    assert!(next.agent.is_dialled(callee), "its packets are read");
    for request in uninvited() {
        next.feed(&request);
        assert!(next.take().is_empty() && next.events().is_empty(), "{request}");
    }
    next.feed(&response(&bye, "200 OK", "", "", ""));
    next.pass(Duration::from_secs(31));
    assert!(next.take().is_empty(), "nothing is repeated");
    next.pass(Duration::from_secs(2));
    next.agent.on_time(next.now);
    assert!(!next.agent.is_dialled(callee));
}
