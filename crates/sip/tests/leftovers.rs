//! What was dealt with leaves nothing behind, however long the call lasts, and an end costs only what it ends.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use offhook_sip::{Command, Config, Event, Flow, Refusal};
use offhook_test_support::used;
use offhook_words::Transport;
use support::{
    ANSWER, Bench, OFFER, address, field, fields, in_dialog, invite, ms, request, response, tag_of, tcp, udp,
};

/// A peer's part of a long call: each request, answered as it asks for.
fn chatter(bench: &mut Bench, tag: &str, leg: offhook_sip::LegKey, requests: std::ops::Range<u32>) {
    for cseq in requests {
        let (method, extra, body) = match cseq % 6 {
            0 => ("INVITE", "", OFFER),
            1 => ("INVITE", "", ""),
            2 => ("UPDATE", "", OFFER),
            3 => ("UPDATE", "", ""),
            4 => ("INFO", "Content-Type: application/dtmf\r\n", "1"),
            _ => ("OPTIONS", "", ""),
        };
        bench.feed(&in_dialog(method, cseq, tag, &format!("z9hG4bKc{cseq}"), extra, body));
        let is_offer = bench
            .events()
            .iter()
            .any(|event| matches!(event, Event::Reoffer { .. }));
        if is_offer {
            let is_refused = cseq % 5 == 0;
            let body = if is_refused {
                let (status, reason) = (488, "no".to_owned());
                Err(Refusal { status, reason })
            } else {
                Ok(ANSWER.to_owned())
            };
            bench.command(Command::AnswerReoffer { leg, body }).unwrap();
        }
        if method == "INVITE" {
            let final_response = bench.take().pop().unwrap_or_default();
            let body = if body.is_empty() { ANSWER } else { "" };
            let branch = if final_response.starts_with("SIP/2.0 200") {
                format!("z9hG4bKa{cseq}")
            } else {
                format!("z9hG4bKc{cseq}")
            };
            bench.feed(&in_dialog("ACK", cseq, tag, &branch, "", body));
        }
        bench.pass(ms(10));
    }
    bench.take();
}

#[test]
fn requests_in_a_call_leave_nothing_behind_once_their_transactions_are_over() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    bench.pass(Duration::from_secs(40));
    let before = (bench.agent.counts(), bench.agent.kept_bytes());
    chatter(&mut bench, &tag, leg, 2..3_000);
    bench.pass(Duration::from_secs(40));
    bench.take();
    bench.events();
    assert_eq!((bench.agent.counts(), bench.agent.kept_bytes()), before);
    assert_eq!(bench.agent.poll_deadline(), None, "nor is anything waited for");
    bench.hangup(leg, 0, "");
    bench.pass(Duration::from_secs(400));
    assert_eq!((bench.agent.counts(), bench.agent.kept_bytes()), ((0, 0, 0), 0));
    assert_eq!(bench.agent.remembered(), 0);
    assert_eq!(bench.agent.poll_deadline(), None);
}

#[test]
fn a_cancelled_or_forgotten_offer_leaves_nothing_behind() {
    let mut bench = Bench::new();
    let (_, tag) = bench.answered();
    bench.pass(Duration::from_secs(40));
    let before = (bench.agent.counts(), bench.agent.kept_bytes());
    for cseq in 2..60 {
        let branch = format!("z9hG4bKc{cseq}");
        bench.feed(&in_dialog("INVITE", cseq, &tag, &branch, "", OFFER));
        if cseq % 2 == 0 {
            bench.feed(&in_dialog("CANCEL", cseq, &tag, &branch, "", ""));
            bench.pass(ms(200));
        } else {
            bench.pass(ms(10_500));
        }
    }
    bench.pass(Duration::from_secs(80));
    bench.take();
    assert_eq!((bench.agent.counts(), bench.agent.kept_bytes()), before);
}

fn connection(number: u64) -> Flow {
    Flow {
        transport: Transport::Tcp,
        local: address("127.0.0.1:5060"),
        peer: address(&format!("127.0.0.1:{}", 10_000 + number % 50_000)),
        connection: 100 + number,
    }
}

/// 20,000 connections that close beside 20,000 transactions and 2,000 calls took some 20 s when each looked at all.
#[test]
fn a_connection_that_closes_looks_at_nothing_that_is_not_its_own() {
    let config = Config {
        max_other_transactions: 100_000,
        ..Config::default()
    };
    let mut bench = Bench::with(config, udp());
    for number in 0..20_000 {
        let text = request(
            "OPTIONS",
            "sip:x@127.0.0.1",
            1,
            "",
            &format!("z9hG4bKn{number}"),
            "",
            "",
        );
        bench.feed(&text.replace("call-1", &format!("call-n{number}")));
    }
    for number in 0..1_000 {
        let text = invite().replace("z9hG4bKinvite", &format!("z9hG4bKi{number}"));
        bench.feed(&text.replace("call-1", &format!("call-i{number}")));
    }
    bench.take();
    bench.events();
    assert!(bench.agent.counts().2 > 20_000);
    let before = used();
    for number in 0..20_000 {
        let flow = connection(number);
        assert!(!bench.agent.uses(flow));
        bench.agent.on_flow_closed(flow, bench.now);
        bench.agent.on_flow_closed(Flow { connection: 0, ..flow }, bench.now);
    }
    bench.drain();
    assert!(bench.events().is_empty() && bench.sent.is_empty());
    let took = used().saturating_sub(before);
    assert!(took < Duration::from_secs(4), "{took:?}");
}

fn ringing(bench: &mut Bench, number: usize) -> offhook_sip::LegKey {
    let text = invite()
        .replace("z9hG4bKinvite", &format!("z9hG4bKr{number}"))
        .replace("call-1", &format!("call-r{number}"));
    bench.incoming(&text).leg
}

/// One failed `sendto` of a route that flaps ended every call in set-up with the trunk.
#[test]
fn datagrams_that_cannot_be_sent_end_no_call_and_the_answer_goes_out_with_the_next_copy() {
    let mut bench = Bench::new();
    let legs: Vec<_> = (0..4).map(|number| ringing(&mut bench, number)).collect();
    let (dialled, ours) = bench.dial();
    bench.agent.on_flow_closed(udp(), bench.now);
    for bytes in ["SIP/2.0 180 Ringing\r\n\r\n", "nonsense"] {
        bench.agent.on_send_failed(bytes.as_bytes(), bench.now);
    }
    bench.drain();
    assert_eq!(bench.events(), []);
    for leg in legs {
        let body = ANSWER.to_owned();
        bench.command(Command::Answer { leg, body }).unwrap();
        let answer = bench.only();
        bench.agent.on_send_failed(answer.as_bytes(), bench.now);
        bench.drain();
    }
    bench.pass(ms(600));
    let again = bench.take();
    assert_eq!(again.iter().filter(|text| text.starts_with("SIP/2.0 200 ")).count(), 4);
    bench.feed(&response(&ours, "200 OK", "bob", "", ANSWER));
    assert!(matches!(bench.events()[..], [Event::Answered { leg, .. }] if leg == dialled));
}

#[test]
fn a_request_that_can_never_be_sent_fails_alone() {
    let mut bench = Bench::new();
    let (first, invite) = bench.dial();
    let (_, second) = bench.dial();
    bench.agent.on_send_failed(invite.as_bytes(), bench.now);
    bench.drain();
    assert!(matches!(
        bench.events()[..],
        [Event::Ended { leg, cause: offhook_words::LegEndCause::Unreachable, status: 503, .. }] if leg == first
    ));
    bench.feed(&response(&second, "200 OK", "bob", "", ANSWER));
    assert!(matches!(bench.events()[..], [Event::Answered { .. }]));
}

#[test]
fn what_the_network_says_of_one_call_ends_none_that_was_placed_later() {
    let mut bench = Bench::new();
    let (asked, _) = bench.dial();
    bench.pass(ms(500));
    assert_eq!(bench.probes.len(), 1);
    bench.take();
    let (_, later) = bench.dial();
    bench.agent.on_unreachable(bench.flow, bench.now);
    bench.drain();
    assert!(matches!(bench.events()[..], [Event::Ended { leg, .. }] if leg == asked));
    bench.feed(&response(&later, "180 Ringing", "bob", "", ""));
    assert!(matches!(bench.events()[..], [Event::Progress { .. }]));
}

#[test]
fn a_call_is_found_by_the_connection_it_moved_to_and_by_no_other() {
    let mut bench = Bench::with(Config::default(), tcp());
    let (leg, tag) = bench.answered();
    bench.pass(Duration::from_secs(40));
    let second = Flow {
        connection: 8,
        peer: address("127.0.0.1:5071"),
        ..tcp()
    };
    assert!(bench.agent.uses(tcp()) && !bench.agent.uses(second));
    bench.feed_from(second, &in_dialog("UPDATE", 2, &tag, "z9hG4bKu", "", ""));
    bench.pass(Duration::from_secs(40));
    assert!(!bench.agent.uses(tcp()) && bench.agent.uses(second));
    bench.agent.on_flow_closed(tcp(), bench.now);
    assert!(bench.agent.uses(second));
    bench.agent.on_flow_closed(second, bench.now);
    bench.take();
    bench.hangup(leg, 0, "");
    let (flow, bye) = bench.take_flows().remove(0);
    assert!(bye.starts_with("BYE "));
    assert_eq!(flow.connection, 0, "the next request opens one");
    bench.feed_from(flow, &response(&bye, "200 OK", "", "", ""));
    bench.pass(Duration::from_secs(400));
    assert_eq!((bench.agent.counts(), bench.agent.kept_bytes()), ((0, 0, 0), 0));
    assert_eq!(bench.agent.remembered(), 0);
}

/// versatica/JsSIP#617: a proxy that tries again with the same Call-ID, From tag and `CSeq` got 482 for a minute.
#[test]
fn the_same_invite_after_a_refusal_that_was_acknowledged_is_a_new_call() {
    for wait in [0, 500, 6_000, 34_000, 70_000] {
        let mut bench = Bench::new();
        let leg = bench.incoming(&invite()).leg;
        bench.hangup(leg, 486, "Busy");
        let refusal = bench.only();
        let again = invite().replace("z9hG4bKinvite", "z9hG4bKagain");
        bench.feed(&again.replace("z9hG4bKagain", "z9hG4bKearly"));
        assert!(
            bench.only().starts_with("SIP/2.0 482 "),
            "its ACK is not there: ongoing"
        );
        let ack = request(
            "ACK",
            "sip:ivr@127.0.0.1:5060",
            1,
            &tag_of(&refusal),
            "z9hG4bKinvite",
            "",
            "",
        );
        bench.feed(&ack);
        bench.events();
        bench.pass(ms(wait));
        bench.take();
        assert_ne!(bench.incoming(&again).leg, leg, "after {wait} ms");
        // And of two at once the second is merged, as ever.
        bench.feed(&invite().replace("z9hG4bKinvite", "z9hG4bKtwice"));
        assert!(bench.only().starts_with("SIP/2.0 482 "));
        bench.pass(Duration::from_secs(500));
        assert_eq!((bench.agent.counts(), bench.agent.kept_bytes()), ((0, 0, 0), 0));
        assert_eq!(bench.agent.remembered(), 0);
    }
}

#[test]
fn a_call_that_is_up_or_was_is_merged_with_its_copies_until_its_transaction_is_over() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    let copy = |branch: &str| invite().replace("z9hG4bKinvite", branch);
    bench.feed(&copy("z9hG4bKone"));
    assert!(bench.only().starts_with("SIP/2.0 482 "));
    bench.feed(&in_dialog("BYE", 2, &tag, "z9hG4bKbye", "", ""));
    assert!(matches!(bench.events()[..], [Event::Ended { leg: ended, .. }] if ended == leg));
    bench.take();
    bench.feed(&copy("z9hG4bKtwo"));
    assert!(bench.only().starts_with("SIP/2.0 482 "));
    bench.pass(Duration::from_secs(33));
    bench.take();
    bench.incoming(&copy("z9hG4bKthree"));
}

/// pjsip/pjproject#1596, #1791: 491 is for an UPDATE that contains an offer (RFC 3311, section 5.2).
#[test]
fn an_update_without_an_offer_is_taken_before_the_answer_on_either_side() {
    let mut bench = Bench::new();
    let (_, ours) = bench.dial();
    bench.feed(&response(&ours, "180 Ringing", "bob", "", ""));
    bench.events();
    let our_tag = field(&ours, "From").split_once("tag=").unwrap().1.to_owned();
    let call_id = format!("Call-ID: {}", field(&ours, "Call-ID"));
    let update = |cseq: u32, tag: &str, body: &str| {
        in_dialog("UPDATE", cseq, &our_tag, &format!("z9hG4bKu{cseq}"), "", body)
            .replace("Call-ID: call-1", &call_id)
            .replace(";tag=peer", &format!(";tag={tag}"))
    };
    bench.feed(&update(7, "bob", ""));
    let taken = bench.only();
    assert!(taken.starts_with("SIP/2.0 200 OK"), "{taken}");
    assert_eq!(tag_of(&taken), our_tag);
    assert_eq!(
        fields(&taken, "Contact"),
        ["<sip:127.0.0.1:5060>"],
        "2xx to UPDATE has one (RFC 3311, 5.2)"
    );
    bench.feed(&update(8, "bob", OFFER));
    assert!(bench.only().starts_with("SIP/2.0 491 "));
    bench.feed(&update(9, "mallory", ""));
    assert!(bench.only().starts_with("SIP/2.0 481 "));

    let mut bench = Bench::new();
    let leg = bench.incoming(&invite()).leg;
    bench.command(Command::Ring { leg, body: None }).unwrap();
    let tag = tag_of(&bench.only());
    let moved = in_dialog("UPDATE", 2, &tag, "z9hG4bKw2", "", "")
        .replace("<sip:caller@127.0.0.1:5070>", "<sip:caller@127.0.0.1:6070>");
    bench.feed(&moved);
    assert!(bench.only().starts_with("SIP/2.0 200 OK"));
    bench.feed(&in_dialog("UPDATE", 3, &tag, "z9hG4bKw3", "", OFFER));
    assert!(bench.only().starts_with("SIP/2.0 500 "), "theirs waits for our answer");
    bench
        .command(Command::Answer {
            leg,
            body: ANSWER.to_owned(),
        })
        .unwrap();
    let (flow, _) = bench.take_flows().remove(0);
    assert_eq!(
        flow.peer.port(),
        5070,
        "the answer to the INVITE goes where the INVITE came from"
    );
    bench.feed(&in_dialog("ACK", 1, &tag, "z9hG4bKack", "", ""));
    bench.hangup(leg, 0, "");
    assert!(
        bench.only().starts_with("BYE sip:caller@127.0.0.1:6070 "),
        "its target was refreshed"
    );
}
