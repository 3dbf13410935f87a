//! Calls that come in, on virtual time. Some lines over 800: one subject, told from INVITE to BYE.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use offhook_sip::{Command, CommandError, Config, Event, Output, Refusal};
use offhook_words::{EndedBy, LegEndCause};
use support::{ANSWER, Bench, OFFER, field, fields, in_dialog, invite, ms, request, response, tag_of, tcp, udp};

#[test]
fn an_invite_is_told_with_its_facts_and_gets_100_at_once() {
    let mut bench = Bench::new();
    let incoming = bench.incoming(&invite());
    assert_eq!(incoming.from_uri, "sip:caller@127.0.0.1");
    assert_eq!(incoming.from_display, "Caller");
    assert_eq!(incoming.request_uri, "sip:ivr@127.0.0.1:5060");
    assert_eq!(incoming.call_id, "call-1");
    assert_eq!(incoming.offer.as_deref(), Some(OFFER));
    assert!(incoming.headers.contains(&("Max-Forwards".to_owned(), "70".to_owned())));
}

#[test]
fn ringing_early_media_and_the_answer_share_one_tag_and_name_our_address() {
    let mut bench = Bench::new();
    let leg = bench.incoming(&invite()).leg;
    bench.command(Command::Ring { leg, body: None }).unwrap();
    let ringing = bench.only();
    bench
        .command(Command::Ring {
            leg,
            body: Some(ANSWER.to_owned()),
        })
        .unwrap();
    let progress = bench.only();
    bench
        .command(Command::Answer {
            leg,
            body: ANSWER.to_owned(),
        })
        .unwrap();
    let answer = bench.only();
    assert!(ringing.starts_with("SIP/2.0 180 Ringing\r\n"));
    assert!(progress.starts_with("SIP/2.0 183 Session Progress\r\n") && progress.ends_with(ANSWER));
    assert!(answer.starts_with("SIP/2.0 200 OK\r\n") && answer.ends_with(ANSWER));
    assert!(!tag_of(&ringing).is_empty());
    assert_eq!(
        (tag_of(&ringing), tag_of(&ringing)),
        (tag_of(&progress), tag_of(&answer))
    );
    assert_eq!(field(&answer, "Contact"), "<sip:127.0.0.1:5060>", "livekit/sip#208");
    assert_eq!(
        field(&answer, "Via"),
        "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKinvite;rport=5070;received=127.0.0.1"
    );
}

#[test]
fn an_unacknowledged_answer_is_repeated_for_32_s_and_then_the_call_is_cleared_with_bye() {
    // restsend/rustpbx#280
    let mut bench = Bench::new();
    let leg = bench.incoming(&invite()).leg;
    bench
        .command(Command::Answer {
            leg,
            body: ANSWER.to_owned(),
        })
        .unwrap();
    let answer = bench.only();
    bench.pass(ms(31_999));
    let copies = bench.take();
    assert_eq!(copies.len(), 10, "0.5, 1.5, 3.5, then every 4 s");
    assert!(copies.iter().all(|copy| *copy == answer));
    assert!(bench.events().is_empty());
    bench.pass(ms(1));
    let bye = bench.only();
    assert!(bye.starts_with("BYE sip:caller@127.0.0.1:5070 SIP/2.0\r\n"), "{bye}");
    assert!(field(&bye, "Reason").contains("No ACK"), "{bye}");
    assert!(matches!(
        bench.events()[..],
        [Event::Ended {
            by: EndedBy::Nobody,
            cause: LegEndCause::AckTimeout,
            status: 408,
            ..
        }]
    ));
}

#[test]
fn an_answer_over_tcp_is_repeated_too_and_stays_on_its_connection() {
    let mut bench = Bench::with(Config::default(), tcp());
    let leg = bench.incoming(&invite().replace("/UDP", "/TCP")).leg;
    bench
        .command(Command::Answer {
            leg,
            body: ANSWER.to_owned(),
        })
        .unwrap();
    bench.pass(ms(600));
    let sent = bench.take_flows();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|(flow, _)| *flow == tcp()));
    assert_eq!(field(&sent[0].1, "Contact"), "<sip:127.0.0.1:5060;transport=tcp>");
}

#[test]
fn copies_of_an_invite_make_no_second_call() {
    let mut bench = Bench::new();
    bench.incoming(&invite());
    bench.feed(&invite());
    assert!(bench.only().starts_with("SIP/2.0 100"));
    assert!(bench.events().is_empty());
}

#[test]
fn the_same_invite_by_another_way_is_merged_with_482() {
    let mut bench = Bench::new();
    bench.incoming(&invite());
    bench.feed(&invite().replace("z9hG4bKinvite", "z9hG4bKother"));
    assert!(bench.only().starts_with("SIP/2.0 482 "));
    assert!(bench.events().is_empty());
}

#[test]
fn record_route_is_copied_into_the_answer_and_becomes_the_route_of_our_bye() {
    let mut bench = Bench::new();
    let routes = "Record-Route: <sip:127.0.0.1:5080;lr>\r\nRecord-Route: <sip:127.0.0.1:5090;lr>\r\n";
    let leg = bench
        .incoming(&request(
            "INVITE",
            "sip:ivr@127.0.0.1",
            1,
            "",
            "z9hG4bKr",
            routes,
            OFFER,
        ))
        .leg;
    bench
        .command(Command::Answer {
            leg,
            body: ANSWER.to_owned(),
        })
        .unwrap();
    let answer = bench.only();
    assert_eq!(
        fields(&answer, "Record-Route"),
        ["<sip:127.0.0.1:5080;lr>", "<sip:127.0.0.1:5090;lr>"]
    );
    bench.feed(&in_dialog("ACK", 1, &tag_of(&answer), "z9hG4bKa", "", ""));
    bench.hangup(leg, 0, "");
    let (flow, bye) = bench.take_flows().remove(0);
    assert!(bye.starts_with("BYE sip:caller@127.0.0.1:5070 SIP/2.0\r\n"));
    assert_eq!(
        fields(&bye, "Route"),
        ["<sip:127.0.0.1:5080;lr>", "<sip:127.0.0.1:5090;lr>"]
    );
    assert_eq!(flow.peer.port(), 5080);
}

#[test]
fn a_strict_router_becomes_the_request_uri_and_the_target_goes_last() {
    let mut bench = Bench::new();
    let routes = "Record-Route: <sip:127.0.0.1:5080>, <sip:127.0.0.1:5090;lr>\r\n";
    let leg = bench
        .incoming(&request(
            "INVITE",
            "sip:ivr@127.0.0.1",
            1,
            "",
            "z9hG4bKr",
            routes,
            OFFER,
        ))
        .leg;
    bench
        .command(Command::Answer {
            leg,
            body: ANSWER.to_owned(),
        })
        .unwrap();
    let tag = tag_of(&bench.only());
    bench.feed(&in_dialog("ACK", 1, &tag, "z9hG4bKa", "", ""));
    bench.hangup(leg, 0, "");
    let (flow, bye) = bench.take_flows().remove(0);
    assert!(bye.starts_with("BYE sip:127.0.0.1:5080 SIP/2.0\r\n"), "{bye}");
    assert_eq!(
        fields(&bye, "Route"),
        ["<sip:127.0.0.1:5090;lr>", "<sip:caller@127.0.0.1:5070>"]
    );
    assert_eq!(flow.peer.port(), 5080);
}

#[test]
fn a_contact_outside_of_the_trusted_networks_does_not_get_our_packets() {
    let mut bench = Bench::new();
    let text = invite().replace("<sip:caller@127.0.0.1:5070>", "<sip:caller@203.0.113.9:5060>");
    let leg = bench.incoming(&text).leg;
    bench
        .command(Command::Answer {
            leg,
            body: ANSWER.to_owned(),
        })
        .unwrap();
    let tag = tag_of(&bench.only());
    bench.feed(&in_dialog("ACK", 1, &tag, "z9hG4bKa", "", ""));
    bench.hangup(leg, 0, "");
    let (flow, bye) = bench.take_flows().remove(0);
    assert!(bye.starts_with("BYE sip:caller@203.0.113.9:5060 SIP/2.0\r\n"));
    assert_eq!(flow.peer, udp().peer);
}

#[test]
fn cancel_is_answered_and_ends_the_invite_with_487() {
    let mut bench = Bench::new();
    let leg = bench.incoming(&invite()).leg;
    bench.command(Command::Ring { leg, body: None }).unwrap();
    let tag = tag_of(&bench.only());
    let extra = "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n";
    bench.feed(&request(
        "CANCEL",
        "sip:ivr@127.0.0.1:5060",
        1,
        "",
        "z9hG4bKinvite",
        extra,
        "",
    ));
    let sent = bench.take();
    assert!(sent[0].starts_with("SIP/2.0 200 OK") && field(&sent[0], "CSeq") == "1 CANCEL");
    assert!(sent[1].starts_with("SIP/2.0 487 ") && field(&sent[1], "CSeq") == "1 INVITE");
    assert_eq!((tag_of(&sent[0]), tag_of(&sent[1])), (tag.clone(), tag));
    assert_eq!(
        bench.events(),
        [Event::Ended {
            leg,
            by: EndedBy::Remote,
            cause: LegEndCause::Cancel,
            status: 487,
            reason: "Call completed elsewhere".to_owned()
        }]
    );
    assert_eq!(
        bench.command(Command::Answer {
            leg,
            body: ANSWER.to_owned()
        }),
        Err(CommandError::UnknownLeg)
    );
}

#[test]
fn a_cancel_that_crosses_our_answer_changes_nothing() {
    let mut bench = Bench::new();
    let leg = bench.incoming(&invite()).leg;
    bench
        .command(Command::Answer {
            leg,
            body: ANSWER.to_owned(),
        })
        .unwrap();
    let tag = tag_of(&bench.only());
    bench.feed(&request(
        "CANCEL",
        "sip:ivr@127.0.0.1:5060",
        1,
        "",
        "z9hG4bKinvite",
        "",
        "",
    ));
    assert!(bench.only().starts_with("SIP/2.0 200 OK"));
    assert!(bench.events().is_empty());
    bench.feed(&in_dialog("ACK", 1, &tag, "z9hG4bKa", "", ""));
    bench.feed(&in_dialog("BYE", 2, &tag, "z9hG4bKb", "", ""));
    assert!(bench.only().starts_with("SIP/2.0 200 OK"));
    assert!(matches!(
        bench.events()[..],
        [
            Event::Confirmed { .. },
            Event::Ended {
                by: EndedBy::Remote,
                cause: LegEndCause::Bye,
                ..
            }
        ]
    ));
}

#[test]
fn a_cancel_without_its_invite_or_from_elsewhere_gets_481() {
    let mut bench = Bench::new();
    let cancel = request("CANCEL", "sip:ivr@127.0.0.1:5060", 1, "", "z9hG4bKinvite", "", "");
    bench.feed(&cancel);
    assert!(bench.only().starts_with("SIP/2.0 481 "));
    bench.pass(Duration::from_secs(40));
    bench.incoming(&invite());
    let mut elsewhere = udp();
    elsewhere.peer = support::address("127.0.0.9:5070");
    bench.feed_from(elsewhere, &cancel);
    assert!(bench.only().starts_with("SIP/2.0 481 "));
    assert!(bench.events().is_empty());
}

#[test]
fn a_refusal_carries_its_sentence_twice_and_is_repeated_until_its_ack() {
    let mut bench = Bench::new();
    let leg = bench.incoming(&invite()).leg;
    bench.hangup(leg, 404, "No such number here; dial 100 for the menu");
    let refusal = bench.only();
    assert!(refusal.starts_with("SIP/2.0 404 No such number here; dial 100 for the menu\r\n"));
    assert_eq!(
        field(&refusal, "Warning"),
        "399 127.0.0.1:5060 \"No such number here; dial 100 for the menu\""
    );
    assert!(matches!(
        bench.events()[..],
        [Event::Ended {
            by: EndedBy::Local,
            cause: LegEndCause::Rejected,
            status: 404,
            ..
        }]
    ));
    bench.pass(ms(1_500));
    assert_eq!(bench.take().len(), 2);
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
    bench.pass(Duration::from_secs(100));
    assert!(bench.take().is_empty());
    assert_eq!(bench.agent.counts(), (0, 0, 0), "nothing is left behind");
}

#[test]
fn hanging_up_before_the_ack_waits_with_the_bye() {
    let mut bench = Bench::new();
    let leg = bench.incoming(&invite()).leg;
    bench
        .command(Command::Answer {
            leg,
            body: ANSWER.to_owned(),
        })
        .unwrap();
    let tag = tag_of(&bench.only());
    bench.hangup(leg, 503, "control lost");
    assert!(bench.take().is_empty());
    assert!(matches!(
        bench.events()[..],
        [Event::Ended {
            by: EndedBy::Local,
            cause: LegEndCause::Bye,
            ..
        }]
    ));
    bench.feed(&in_dialog("ACK", 1, &tag, "z9hG4bKa", "", ""));
    let bye = bench.only();
    assert_eq!(field(&bye, "Reason"), "SIP;cause=503;text=\"control lost\"");
    assert!(bench.events().is_empty());
}

#[test]
fn an_invite_without_an_offer_gets_ours_and_the_ack_brings_the_answer() {
    let mut bench = Bench::new();
    let text = request("INVITE", "sip:ivr@127.0.0.1", 1, "", "z9hG4bKx", "", "");
    let incoming = bench.incoming(&text);
    assert_eq!(incoming.offer, None);
    let leg = incoming.leg;
    bench
        .command(Command::Answer {
            leg,
            body: OFFER.to_owned(),
        })
        .unwrap();
    let tag = tag_of(&bench.only());
    bench.feed(&in_dialog("ACK", 1, &tag, "z9hG4bKa", "", ANSWER));
    assert_eq!(
        bench.events(),
        [Event::Confirmed {
            leg,
            body: Some(ANSWER.to_owned())
        }]
    );
}

#[test]
fn an_ack_that_owes_an_answer_and_has_none_ends_the_call() {
    let mut bench = Bench::new();
    let leg = bench
        .incoming(&request("INVITE", "sip:ivr@127.0.0.1", 1, "", "z9hG4bKx", "", ""))
        .leg;
    bench
        .command(Command::Answer {
            leg,
            body: OFFER.to_owned(),
        })
        .unwrap();
    let tag = tag_of(&bench.only());
    bench.feed(&in_dialog("ACK", 1, &tag, "z9hG4bKa", "", ""));
    assert!(bench.only().starts_with("BYE "));
    assert!(matches!(
        bench.events()[..],
        [Event::Ended {
            cause: LegEndCause::Error,
            ..
        }]
    ));
}

#[test]
fn bye_tells_its_reason_and_its_copies_are_answered_alike() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    let bye = in_dialog(
        "BYE",
        2,
        &tag,
        "z9hG4bKb",
        "Reason: SIP;cause=480;text=\"gone home\"\r\n",
        "",
    );
    bench.feed(&bye);
    bench.feed(&bye);
    assert!(bench.take().iter().all(|text| text.starts_with("SIP/2.0 200 OK")));
    assert_eq!(
        bench.events(),
        [Event::Ended {
            leg,
            by: EndedBy::Remote,
            cause: LegEndCause::Bye,
            status: 480,
            reason: "gone home".to_owned()
        }]
    );
    bench.pass(Duration::from_secs(100));
    assert_eq!(bench.agent.counts(), (0, 0, 0));
}

#[test]
fn two_byes_that_cross_are_both_answered() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    bench.hangup(leg, 0, "");
    assert!(bench.only().starts_with("BYE "));
    bench.feed(&in_dialog("BYE", 2, &tag, "z9hG4bKb", "", ""));
    assert!(bench.only().starts_with("SIP/2.0 200 OK"));
    assert_eq!(bench.events().len(), 1);
}

#[test]
fn a_reinvite_is_told_and_answered_and_its_ack_stops_the_copies() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    let hold = OFFER.replace("RTP/AVP 0\r\n", "RTP/AVP 0\r\na=sendonly\r\n");
    bench.feed(&in_dialog("INVITE", 2, &tag, "z9hG4bKre", "", &hold));
    assert!(bench.only().starts_with("SIP/2.0 100"));
    assert_eq!(bench.events(), [Event::Reoffer { leg, body: Some(hold) }]);
    bench
        .command(Command::AnswerReoffer {
            leg,
            body: Ok(ANSWER.to_owned()),
        })
        .unwrap();
    assert!(bench.only().ends_with(ANSWER));
    bench.pass(ms(500));
    assert!(bench.only().starts_with("SIP/2.0 200 OK"));
    bench.feed(&in_dialog("ACK", 2, &tag, "z9hG4bKreack", "", ""));
    assert_eq!(bench.events(), [Event::Confirmed { leg, body: None }]);
    bench.pass(Duration::from_secs(40));
    assert!(bench.take().is_empty() && bench.events().is_empty());
}

#[test]
fn a_refused_or_forgotten_reinvite_leaves_the_call_as_it_was() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    bench.feed(&in_dialog("INVITE", 2, &tag, "z9hG4bK2", "", OFFER));
    bench.take();
    let refusal = Refusal {
        status: 488,
        reason: "offer PCMU or PCMA".to_owned(),
    };
    bench
        .command(Command::AnswerReoffer {
            leg,
            body: Err(refusal),
        })
        .unwrap();
    let refused = bench.only();
    assert!(refused.starts_with("SIP/2.0 488 offer PCMU or PCMA\r\n"));
    bench.feed(&in_dialog("ACK", 2, &tag, "z9hG4bK2", "", ""));
    bench.feed(&in_dialog("INVITE", 3, &tag, "z9hG4bK3", "", OFFER));
    bench.take();
    bench.pass(Duration::from_secs(10));
    assert!(bench.only().starts_with("SIP/2.0 500 "));
    bench.feed(&in_dialog("ACK", 3, &tag, "z9hG4bK3", "", ""));
    bench.hangup(leg, 0, "");
    assert!(bench.only().starts_with("BYE "));
}

#[test]
fn offers_that_overlap_are_refused_with_500_and_491() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    bench.feed(&in_dialog("INVITE", 2, &tag, "z9hG4bK2", "", OFFER));
    bench.take();
    bench.feed(&in_dialog("INVITE", 3, &tag, "z9hG4bK3", "", OFFER));
    let refused = bench.only();
    assert!(refused.starts_with("SIP/2.0 500 ") && !field(&refused, "Retry-After").is_empty());
    bench
        .command(Command::AnswerReoffer {
            leg,
            body: Ok(ANSWER.to_owned()),
        })
        .unwrap();
    bench.feed(&in_dialog("ACK", 2, &tag, "z9hG4bK2a", "", ""));
    bench.take();
    // Without an offer of theirs the 200 carries ours, and until its ACK another offer is glare.
    bench.feed(&in_dialog("INVITE", 4, &tag, "z9hG4bK4", "", ""));
    bench
        .command(Command::AnswerReoffer {
            leg,
            body: Ok(OFFER.to_owned()),
        })
        .unwrap();
    bench.take();
    bench.feed(&in_dialog("UPDATE", 5, &tag, "z9hG4bK5", "", OFFER));
    assert!(bench.only().starts_with("SIP/2.0 491 "));
}

#[test]
fn a_cancelled_reinvite_gets_487_and_the_call_goes_on() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    bench.feed(&in_dialog("INVITE", 2, &tag, "z9hG4bK2", "", OFFER));
    bench.feed(&in_dialog("CANCEL", 2, &tag, "z9hG4bK2", "", ""));
    let sent = bench.take();
    assert!(sent[1].starts_with("SIP/2.0 200 OK") && sent[2].starts_with("SIP/2.0 487 "));
    bench.events();
    assert!(
        bench
            .command(Command::AnswerReoffer {
                leg,
                body: Ok(ANSWER.to_owned())
            })
            .is_err()
    );
    assert!(bench.events().is_empty());
}

#[test]
fn update_refreshes_the_target_with_or_without_an_offer() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    let moved = |text: String| text.replace("<sip:caller@127.0.0.1:5070>", "<sip:caller@127.0.0.1:6070>");
    bench.feed(&moved(in_dialog("UPDATE", 2, &tag, "z9hG4bK2", "", "")));
    assert!(bench.only().starts_with("SIP/2.0 200 OK"));
    bench.feed(&in_dialog("UPDATE", 3, &tag, "z9hG4bK3", "", OFFER));
    bench
        .command(Command::AnswerReoffer {
            leg,
            body: Ok(ANSWER.to_owned()),
        })
        .unwrap();
    assert!(bench.only().ends_with(ANSWER));
    bench.feed(&moved(in_dialog("UPDATE", 4, &tag, "z9hG4bK4", "", "")));
    bench.take();
    bench.hangup(leg, 0, "");
    let (flow, bye) = bench.take_flows().remove(0);
    assert!(bye.starts_with("BYE sip:caller@127.0.0.1:6070 SIP/2.0\r\n"));
    assert_eq!(flow.peer.port(), 6070);
}

#[test]
fn digits_by_info_are_told_once_each() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    let info = |cseq: u32, kind: &str, body: &str| {
        let extra = format!("Content-Type: application/{kind}\r\n");
        in_dialog("INFO", cseq, &tag, &format!("z9hG4bKi{cseq}"), &extra, body)
    };
    bench.feed(&info(2, "dtmf-relay", "Signal=5\r\nDuration=160\r\n"));
    bench.feed(&info(2, "dtmf-relay", "Signal=5\r\nDuration=160\r\n"));
    bench.feed(&info(3, "dtmf-relay", "Signal= *\r\n"));
    bench.feed(&info(4, "dtmf", "#"));
    bench.feed(&info(5, "dtmf-relay", "Signal=11\nDuration=x"));
    assert_eq!(bench.take().len(), 5);
    let digits: Vec<(char, u32)> = bench
        .events()
        .into_iter()
        .map(|event| match event {
            Event::InfoDigit {
                leg: of,
                digit,
                duration_ms,
            } if of == leg => (digit, duration_ms),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(digits, [('5', 160), ('*', 0), ('#', 0), ('#', 0)]);
    bench.feed(&info(6, "dtmf-relay", "Signal=x\r\n"));
    assert!(bench.only().starts_with("SIP/2.0 400 The body names no digit"));
    bench.feed(&info(7, "json", "{}"));
    let refused = bench.only();
    assert!(refused.starts_with("SIP/2.0 415 "));
    assert!(field(&refused, "Accept").starts_with("application/dtmf-relay, application/dtmf, multipart/mixed"));
    bench.feed(&in_dialog("INFO", 8, &tag, "z9hG4bKi8", "", ""));
    assert!(bench.only().starts_with("SIP/2.0 200 OK"));
}

#[test]
fn a_lower_cseq_and_a_foreign_tag_do_nothing_to_a_call() {
    let mut bench = Bench::new();
    let (_, tag) = bench.answered();
    bench.feed(&in_dialog("BYE", 1, &tag, "z9hG4bKlow", "", ""));
    assert!(bench.only().starts_with("SIP/2.0 500 CSeq"));
    bench.feed(&in_dialog("BYE", 9, &tag, "z9hG4bKf", "", "").replace("tag=peer", "tag=other"));
    assert!(bench.only().starts_with("SIP/2.0 481 "));
    bench.feed(&in_dialog("BYE", 9, "wrong", "z9hG4bKg", "", ""));
    assert!(bench.only().starts_with("SIP/2.0 481 "));
    assert!(bench.events().is_empty());
}

#[test]
fn a_connection_that_closes_ends_what_rings_and_spares_what_talks() {
    let mut bench = Bench::with(Config::default(), tcp());
    let (leg, _) = bench.answered();
    let second = invite()
        .replace("call-1", "call-2")
        .replace("z9hG4bKinvite", "z9hG4bKsecond");
    let ringing = bench.incoming(&second).leg;
    bench.agent.on_flow_closed(tcp(), bench.now);
    bench.drain();
    assert!(matches!(
        bench.events()[..],
        [Event::Ended { leg: ended, cause: LegEndCause::Unreachable, .. }] if ended == ringing
    ));
    bench.hangup(leg, 0, "");
    let (flow, bye) = bench.take_flows().remove(0);
    assert!(bye.starts_with("BYE "));
    assert_eq!(
        (flow.connection, flow.peer.port()),
        (0, 5070),
        "a new connection to the Contact"
    );
}

#[test]
fn responses_without_rport_go_to_the_port_of_sent_by_and_maddr_is_ignored() {
    let mut bench = Bench::new();
    let text = invite()
        .replace(";rport", ";maddr=203.0.113.9")
        .replace("UDP 127.0.0.1:5070", "UDP 127.0.0.1:6060");
    bench.feed(&text);
    let (flow, _) = bench.take_flows().remove(0);
    assert_eq!(flow.peer, support::address("127.0.0.1:6060"));
}

#[test]
fn a_hundred_calls_at_once_are_kept_apart() {
    let mut bench = Bench::new();
    let mut legs = Vec::new();
    for number in 0..100 {
        let text = invite()
            .replace("call-1", &format!("many-{number}"))
            .replace("z9hG4bKinvite", &format!("z9hG4bKm{number}"));
        let leg = bench.incoming(&text).leg;
        bench
            .command(Command::Answer {
                leg,
                body: ANSWER.to_owned(),
            })
            .unwrap();
        legs.push((number, leg, tag_of(&bench.only())));
    }
    for (number, leg, tag) in &legs {
        bench.feed(
            &in_dialog("ACK", 1, tag, &format!("z9hG4bKma{number}"), "", "")
                .replace("call-1", &format!("many-{number}")),
        );
        bench.feed(
            &in_dialog("BYE", 2, tag, &format!("z9hG4bKmb{number}"), "", "")
                .replace("call-1", &format!("many-{number}")),
        );
        let events = bench.events();
        assert!(matches!(events[..], [Event::Confirmed { .. }, Event::Ended { leg: ended, .. }] if ended == *leg));
    }
    bench.pass(Duration::from_secs(100));
    assert_eq!(bench.agent.counts(), (0, 0, 0));
}

#[test]
fn traces_show_each_message_once_in_order_and_never_a_body() {
    let mut bench = Bench::new();
    let now = bench.now;
    bench.agent.receive(udp(), invite().as_bytes(), now).unwrap();
    let mut seen = Vec::new();
    while let Some(output) = bench.agent.poll_output() {
        match output {
            offhook_sip::Output::Event(Event::Trace { leg, sent, summary, .. }) => {
                seen.push((leg.is_some(), sent, summary));
            }
            offhook_sip::Output::Event(Event::Incoming(_)) => {
                seen.push((true, false, "incoming".to_owned()));
            }
            _ => {}
        }
    }
    let expected = [
        (true, false, "incoming"),
        (true, false, "INVITE sip:ivr@127.0.0.1:5060 SIP/2.0 (1 INVITE)"),
        (true, true, "SIP/2.0 100 Trying (1 INVITE)"),
    ];
    assert_eq!(
        seen.iter()
            .map(|(leg, sent, text)| (*leg, *sent, text.as_str()))
            .collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn traces_that_nobody_wants_are_not_told_and_everything_else_is() {
    let told = |is_traced: bool| {
        let mut bench = Bench::new();
        bench.agent.set_traced(is_traced);
        bench.agent.receive(udp(), invite().as_bytes(), bench.now).unwrap();
        let outputs = std::iter::from_fn(|| bench.agent.poll_output());
        let is_trace = |output: &Output| matches!(output, Output::Event(Event::Trace { .. }));
        outputs.partition::<Vec<_>, _>(is_trace)
    };
    let ((traces, rest), (none, untraced)) = (told(true), told(false));
    assert_eq!((traces.len(), none.len()), (2, 0));
    assert_eq!(rest, untraced);
}

#[test]
fn a_second_offer_before_the_answer_is_told_to_wait() {
    let mut bench = Bench::new();
    let leg = bench.incoming(&invite()).leg;
    bench.command(Command::Ring { leg, body: None }).unwrap();
    let tag = tag_of(&bench.only());
    for (cseq, method) in [(2, "INVITE"), (3, "UPDATE")] {
        bench.feed(&in_dialog(method, cseq, &tag, &format!("z9hG4bKw{cseq}"), "", OFFER));
        let refused = bench.only();
        assert!(
            refused.starts_with("SIP/2.0 500 The first INVITE is not answered"),
            "{refused}"
        );
        assert!(!field(&refused, "Retry-After").is_empty());
    }
    bench
        .command(Command::Answer {
            leg,
            body: ANSWER.to_owned(),
        })
        .unwrap();
    assert!(bench.only().starts_with("SIP/2.0 200 OK"));
}

#[test]
fn who_is_hung_up_before_the_ack_to_a_reinvite_gets_one_bye_whether_that_ack_comes_or_not() {
    for has_ack in [true, false] {
        let mut bench = Bench::new();
        let (leg, tag) = bench.answered();
        bench.feed(&in_dialog("INVITE", 2, &tag, "z9hG4bKre", "", OFFER));
        bench
            .command(Command::AnswerReoffer {
                leg,
                body: Ok(ANSWER.to_owned()),
            })
            .unwrap();
        bench.take();
        bench.hangup(leg, 0, "");
        let bye = bench.only();
        assert!(bye.starts_with("BYE "), "{bye}");
        bench.feed(&response(&bye, "200 OK", "", "", ""));
        bench.pass(ms(700));
        assert!(
            bench.only().starts_with("SIP/2.0 200 "),
            "the 200 is repeated until its ACK all the same"
        );
        if has_ack {
            bench.feed(&in_dialog("ACK", 2, &tag, "z9hG4bKack2", "", ""));
        }
        bench.pass(Duration::from_secs(100));
        let sent = bench.take();
        assert_eq!(
            sent.iter().filter(|text| text.starts_with("BYE ")).count(),
            0,
            "{sent:#?}"
        );
        assert_eq!(sent.is_empty(), has_ack);
        assert_eq!(bench.agent.counts(), (0, 0, 0));
    }
}
