//! Who floods has a share, and only that; everybody else is served (RFC 3261, section 21.5.4).
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use offhook_sip::{Command, Config, Event, Flow, Incoming};
use support::{ANSWER, Bench, address, field, in_dialog, invite, ms, request, tag_of, udp};

fn from_port(port: u16) -> Flow {
    Flow {
        peer: address(&format!("127.0.0.1:{port}")),
        ..udp()
    }
}

fn numbered(method: &str, number: usize) -> String {
    let text = request(method, "sip:x@127.0.0.1", 1, "", &format!("z9hG4bKn{number}"), "", "");
    text.replace("call-1", &format!("call-n{number}"))
}

fn new_call(number: usize) -> String {
    invite()
        .replace("z9hG4bKinvite", &format!("z9hG4bKi{number}"))
        .replace("call-1", &format!("call-i{number}"))
}

fn small() -> Bench {
    let config = Config {
        max_call_transactions: 60,
        max_other_transactions: 60,
        ..Config::default()
    };
    Bench::with(config, udp())
}

fn answer(incoming: &Incoming) -> Command {
    Command::Answer {
        leg: incoming.leg,
        body: ANSWER.to_owned(),
    }
}

fn count(answers: &[String], start: &str) -> usize {
    answers.iter().filter(|answer| answer.starts_with(start)).count()
}

#[test]
fn a_flood_of_one_source_leaves_room_for_every_other() {
    let mut bench = small();
    for number in 0..1_000 {
        bench.feed_from(from_port(6_000), &numbered("OPTIONS", number));
    }
    let answers = bench.take();
    assert_eq!(count(&answers, "SIP/2.0 200 "), 30, "half of what there is");
    assert_eq!(count(&answers, "SIP/2.0 503 Too much at once"), 970);
    assert!(!field(&answers[999], "Retry-After").is_empty());
    for number in 2_000..2_010 {
        bench.feed_from(from_port(6_001), &numbered("OPTIONS", number));
        assert!(bench.only().starts_with("SIP/2.0 200 "));
    }
    // A second flood halves what is left, and so on: there is always a rest.
    for port in 6_002..6_006 {
        for number in 3_000..3_100 {
            bench.feed_from(
                from_port(port),
                &numbered("OPTIONS", usize::from(port) * 1_000 + number),
            );
        }
    }
    bench.take();
    bench.feed_from(from_port(6_010), &numbered("OPTIONS", 9_000));
    assert!(bench.only().starts_with("SIP/2.0 200 "));
    assert!(bench.agent.counts().2 <= 60);
}

#[test]
fn a_flood_of_calls_costs_its_source_alone() {
    let mut bench = Bench::new();
    bench.agent.set_strained(true);
    for number in 0..1_000 {
        bench.feed_from(from_port(6_000), &new_call(number));
    }
    let calls = bench.events().len();
    assert_eq!(calls, 50, "the calls that one source may begin in a second");
    assert_eq!(count(&bench.take(), "SIP/2.0 503 Too many calls at once"), 950);
    bench.feed_from(from_port(6_001), &new_call(5_000));
    assert!(matches!(bench.events()[..], [Event::Incoming(_)]));
    // The share comes back with time.
    bench.take();
    bench.now += ms(5_100);
    bench.feed_from(from_port(6_000), &new_call(6_000));
    assert!(bench.only().starts_with("SIP/2.0 100 "));
}

#[test]
fn one_trunk_begins_hundreds_of_calls_a_second_while_we_keep_up() {
    let mut bench = Bench::new();
    for number in 0..15_000 {
        bench.feed_from(from_port(6_000), &new_call(number));
        for event in bench.events() {
            let Event::Incoming(incoming) = event else {
                panic!("{event:?}")
            };
            bench.command(answer(&incoming)).unwrap();
            let tag = tag_of(&bench.take()[1]);
            let then = |text: String| text.replace("call-1", &format!("call-i{number}"));
            bench.feed_from(from_port(6_000), &then(in_dialog("ACK", 1, &tag, "z9hG4bKa", "", "")));
            let bye = in_dialog("BYE", 2, &tag, &format!("z9hG4bKb{number}"), "", "");
            bench.feed_from(from_port(6_000), &then(bye));
            bench.events();
            assert!(bench.only().starts_with("SIP/2.0 200 "), "call {number}");
        }
        assert_eq!(bench.take(), Vec::<String>::new(), "call {number} is refused");
        bench.pass(ms(3));
    }
}

#[test]
fn a_bye_and_an_ack_of_a_call_are_never_refused_for_a_share() {
    let mut bench = small();
    let (_, tag) = bench.answered();
    for number in 0..1_000 {
        bench.feed(&in_dialog(
            "OPTIONS",
            2 + number,
            &tag,
            &format!("z9hG4bKd{number}"),
            "",
            "",
        ));
    }
    bench.agent.set_strained(true);
    bench.take();
    bench.feed(&in_dialog("BYE", 5_000, &tag, "z9hG4bKbye", "", ""));
    assert!(bench.only().starts_with("SIP/2.0 200 "));
    for number in 0..100 {
        bench.feed(&in_dialog(
            "BYE",
            5_001 + number,
            &tag,
            &format!("z9hG4bKbye{number}"),
            "",
            "",
        ));
    }
    assert_eq!(count(&bench.take(), "SIP/2.0 503 "), 100, "the call is over");
}

#[test]
fn calls_that_ring_or_are_not_acknowledged_take_the_last_lines_from_nobody() {
    let config = Config {
        max_legs: 20,
        ..Config::default()
    };
    let mut bench = Bench::with(config, udp());
    let mut calls = 0;
    for number in 0..40 {
        bench.feed_from(from_port(6_000), &new_call(number));
        for event in bench.events() {
            let Event::Incoming(incoming) = event else {
                panic!("{event:?}")
            };
            calls += 1;
            if calls % 2 == 0 {
                bench.command(answer(&incoming)).unwrap();
            }
        }
    }
    assert_eq!(calls, 5, "a quarter of the lines");
    bench.take();
    bench.feed_from(from_port(6_001), &new_call(100));
    assert!(matches!(bench.events()[..], [Event::Incoming(_)]));
}

/// A share of few lines would be less than one call: what a small house has, one trunk may ring.
#[test]
fn all_lines_of_a_small_house_ring_for_one_trunk_and_four_of_a_larger_one() {
    for (lines, rings) in [
        (0, 0),
        (1, 1),
        (2, 2),
        (3, 3),
        (4, 4),
        (5, 4),
        (8, 4),
        (16, 4),
        (17, 5),
        (20, 5),
        (40, 10),
    ] {
        let config = Config {
            max_legs: lines,
            ..Config::default()
        };
        let mut bench = Bench::with(config, udp());
        for number in 0..50 {
            bench.feed_from(from_port(6_000), &new_call(number));
        }
        assert_eq!(bench.events().len(), rings, "{lines} lines");
        assert_eq!(count(&bench.take(), "SIP/2.0 503 All lines are busy"), 50 - rings);
        // What is left is for others, be it at the same address.
        let is_left = lines > rings;
        bench.feed_from(from_port(6_001), &new_call(100));
        let other = address("127.0.0.2:6000");
        bench.feed_from(Flow { peer: other, ..udp() }, &new_call(101));
        assert_eq!(!bench.events().is_empty(), is_left, "{lines} lines");
    }
}

/// Calls that are up are no calls that ring: the last lines of a small house are taken by who comes first.
#[test]
fn one_trunk_fills_a_small_house_with_calls_that_are_up() {
    let config = Config {
        max_legs: 4,
        ..Config::default()
    };
    let mut bench = Bench::with(config, udp());
    for number in 0..5 {
        bench.feed_from(from_port(6_000), &new_call(number));
        let events = bench.events();
        let [Event::Incoming(incoming)] = &events[..] else {
            assert!(number == 4 && events.is_empty(), "{number}: {events:?}");
            break;
        };
        bench.command(answer(incoming)).unwrap();
    }
    assert_eq!(count(&bench.take(), "SIP/2.0 503 All lines are busy"), 1);
}

#[test]
fn a_copy_of_a_request_that_was_served_is_no_flood() {
    let mut bench = small();
    bench.feed_from(from_port(6_000), &new_call(1));
    for number in 0..100 {
        bench.feed_from(from_port(6_000), &numbered("OPTIONS", number));
    }
    bench.take();
    bench.feed_from(from_port(6_000), &new_call(1));
    assert!(bench.only().starts_with("SIP/2.0 100 "));
}

#[test]
fn requests_in_a_call_and_cancels_of_nothing_are_bounded_too() {
    let mut bench = small();
    let (_, tag) = bench.answered();
    for number in 0..1_000 {
        bench.feed(&in_dialog(
            "OPTIONS",
            2 + number,
            &tag,
            &format!("z9hG4bKd{number}"),
            "",
            "",
        ));
    }
    assert!(bench.agent.counts().2 <= 61, "{:?}", bench.agent.counts());
    let mut bench = small();
    for number in 0..1_000 {
        bench.feed(&numbered("CANCEL", number));
    }
    assert!(bench.agent.counts().2 <= 30, "{:?}", bench.agent.counts());
}
