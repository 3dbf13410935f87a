//! Calls that we place, on virtual time.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use offhook_sip::{Command, CommandError, Config, Event, Invite, LegKey};
use offhook_words::{EndedBy, LegEndCause};
use support::{ANSWER, Bench, OFFER, address, field, fields, ms, response, tcp};

fn answered(bench: &mut Bench) -> (LegKey, String) {
    let (leg, invite) = bench.dial();
    bench.feed(&response(&invite, "200 OK", "bob", "", ANSWER));
    assert_eq!(
        bench.events(),
        [Event::Answered {
            leg,
            body: ANSWER.to_owned()
        }]
    );
    assert!(bench.only().starts_with("ACK "));
    (leg, invite)
}

#[test]
fn an_invite_names_both_sides_our_address_and_the_applications_headers() {
    let mut bench = Bench::new();
    let (_, invite) = bench.dial();
    assert!(
        invite.starts_with("INVITE sip:bob@127.0.0.1:5070 SIP/2.0\r\n"),
        "{invite}"
    );
    assert!(field(&invite, "From").starts_with("\"Alice \\\"A\\\"\" <sip:alice@127.0.0.1>;tag="));
    assert_eq!(field(&invite, "To"), "<sip:bob@127.0.0.1:5070>");
    assert_eq!(field(&invite, "Contact"), "<sip:127.0.0.1:5060>");
    assert_eq!(field(&invite, "X-Account"), "7");
    assert!(field(&invite, "Via").starts_with("SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK"));
    assert!(field(&invite, "Via").ends_with(";rport"));
    assert!(invite.ends_with(OFFER));
}

#[test]
fn an_unanswered_invite_is_repeated_and_given_up_after_32_s() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.dial();
    bench.pass(ms(31_999));
    let copies = bench.take();
    assert_eq!(copies.len(), 6, "0.5, 1.5, 3.5, 7.5, 15.5, 31.5");
    assert!(copies.iter().all(|copy| *copy == invite));
    bench.pass(ms(1));
    assert!(matches!(
        bench.events()[..],
        [Event::Ended { leg: ended, by: EndedBy::Nobody, cause: LegEndCause::Timeout, status: 408, .. }] if ended == leg
    ));
    bench.pass(Duration::from_secs(100));
    assert_eq!(bench.agent.counts(), (0, 0, 0));
}

#[test]
fn a_peer_that_is_silent_for_half_a_second_is_probed_and_where_nobody_is_the_call_ends() {
    let mut bench = Bench::new();
    let (leg, _) = bench.dial();
    bench.pass(ms(499));
    assert!(bench.probes.is_empty());
    bench.pass(ms(1));
    assert_eq!(bench.probes, [bench.flow]);
    bench.agent.on_unreachable(bench.flow, bench.now);
    bench.drain();
    assert!(matches!(
        bench.events()[..],
        [Event::Ended { leg: ended, by: EndedBy::Nobody, cause: LegEndCause::Unreachable, status: 503, .. }] if ended == leg
    ));
    bench.take();
    bench.pass(Duration::from_secs(100));
    assert!(bench.take().is_empty());
    assert_eq!(bench.agent.counts(), (0, 0, 0));
}

#[test]
fn who_answered_is_not_probed_and_what_the_network_says_later_is_ignored() {
    let mut bench = Bench::new();
    let (_, invite) = bench.dial();
    bench.feed(&response(&invite, "100 Trying", "", "", ""));
    bench.pass(ms(1_000));
    assert!(bench.probes.is_empty());
    bench.agent.on_unreachable(bench.flow, bench.now);
    bench.drain();
    assert!(bench.events().is_empty());
    let mut bench = Bench::with(Config::default(), tcp());
    bench.dial();
    bench.pass(ms(1_000));
    assert!(bench.probes.is_empty(), "TCP tells itself");
}

#[test]
fn a_flow_is_used_while_a_call_or_a_request_is_on_it() {
    let mut bench = Bench::with(Config::default(), tcp());
    assert!(!bench.agent.uses(bench.flow));
    let (leg, _) = answered(&mut bench);
    bench.pass(Duration::from_secs(3_600));
    assert!(bench.agent.uses(bench.flow));
    bench.hangup(leg, 0, "");
    let bye = bench.only();
    assert!(bench.agent.uses(bench.flow), "the BYE waits");
    bench.feed(&response(&bye, "200 OK", "", "", ""));
    bench.pass(Duration::from_secs(100));
    assert!(!bench.agent.uses(bench.flow));
}

#[test]
fn progress_is_told_with_its_sdp_and_100_is_not() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.dial();
    bench.feed(&response(&invite, "100 Trying", "", "", ""));
    bench.feed(&response(&invite, "180 Ringing", "bob", "", ""));
    bench.feed(&response(&invite, "183 Session Progress", "bob", "", ANSWER));
    assert_eq!(
        bench.events(),
        [
            Event::Progress {
                leg,
                status: 180,
                reason: "Ringing".to_owned(),
                body: None
            },
            Event::Progress {
                leg,
                status: 183,
                reason: "Session Progress".to_owned(),
                body: Some(ANSWER.to_owned())
            },
        ]
    );
    bench.pass(Duration::from_secs(50));
    assert!(bench.take().is_empty(), "a provisional response stops the copies");
}

#[test]
fn an_answer_is_acknowledged_along_its_routes_and_each_copy_again() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.dial();
    let routes = "Record-Route: <sip:127.0.0.1:5090;lr>\r\nRecord-Route: <sip:127.0.0.1:5080;lr>\r\n";
    let ok = response(&invite, "200 OK", "bob", routes, ANSWER);
    bench.feed(&ok);
    bench.feed(&ok);
    let acks = bench.take_flows();
    assert_eq!(acks.len(), 2);
    assert_eq!(acks[0], acks[1], "the same ACK, not a new one");
    let (flow, ack) = &acks[0];
    assert!(ack.starts_with("ACK sip:bob@127.0.0.1:5070 SIP/2.0\r\n"));
    assert_eq!(field(ack, "CSeq"), "1 ACK");
    assert_ne!(field(ack, "Via"), field(&invite, "Via"), "a branch of its own");
    assert_eq!(
        fields(ack, "Route"),
        ["<sip:127.0.0.1:5080;lr>", "<sip:127.0.0.1:5090;lr>"]
    );
    assert_eq!(flow.peer.port(), 5080);
    assert_eq!(bench.events().len(), 1);
    bench.hangup(leg, 0, "");
    let bye = bench.only();
    assert_eq!(field(&bye, "CSeq"), "2 BYE");
    assert_eq!(
        fields(&bye, "Route"),
        ["<sip:127.0.0.1:5080;lr>", "<sip:127.0.0.1:5090;lr>"]
    );
}

#[test]
fn the_fork_that_answers_second_gets_its_ack_and_a_bye_once() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.dial();
    bench.feed(&response(&invite, "180 Ringing", "bob", "", ""));
    bench.feed(&response(&invite, "180 Ringing", "carol", "", ""));
    bench.feed(&response(&invite, "200 OK", "bob", "", ANSWER));
    bench.take();
    let second = response(&invite, "200 OK", "carol", "", ANSWER).replace(
        "<sip:bob@127.0.0.1:5070>\r\nContent",
        "<sip:carol@127.0.0.1:6070>\r\nContent",
    );
    bench.feed(&second);
    let sent = bench.take_flows();
    assert_eq!(sent.len(), 2);
    assert!(sent[0].1.starts_with("ACK sip:carol@127.0.0.1:6070") && sent[0].1.contains("tag=carol"));
    assert!(sent[1].1.starts_with("BYE sip:carol@127.0.0.1:6070") && sent[1].1.contains("tag=carol"));
    assert_eq!(sent[1].0.peer.port(), 6070);
    bench.feed(&second);
    assert!(
        bench.only().starts_with("ACK "),
        "its copy gets the ACK and no second BYE"
    );
    let answered = bench
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::Answered { .. }))
        .count();
    assert_eq!(answered, 1);
    bench.hangup(leg, 0, "");
    assert!(bench.only().contains("tag=bob"));
}

#[test]
fn a_refusal_is_acknowledged_within_its_transaction_and_told() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.dial();
    bench.feed(&response(&invite, "486 Busy Here", "bob", "", ""));
    let ack = bench.only();
    assert!(ack.starts_with("ACK ") && field(&ack, "Via") == field(&invite, "Via"));
    assert_eq!(
        bench.events(),
        [Event::Ended {
            leg,
            by: EndedBy::Remote,
            cause: LegEndCause::Rejected,
            status: 486,
            reason: "Busy Here".to_owned()
        }]
    );
}

#[test]
fn hanging_up_while_it_rings_cancels_with_the_reason() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.dial();
    bench.feed(&response(&invite, "180 Ringing", "bob", "", ""));
    bench.events();
    bench.hangup(leg, 487, "given up");
    let cancel = bench.only();
    assert!(cancel.starts_with("CANCEL sip:bob@127.0.0.1:5070 SIP/2.0\r\n"));
    assert_eq!(field(&cancel, "Via"), field(&invite, "Via"), "the INVITE's branch");
    assert_eq!(field(&cancel, "CSeq"), "1 CANCEL");
    assert_eq!(field(&cancel, "Reason"), "SIP;cause=487;text=\"given up\"");
    assert!(matches!(
        bench.events()[..],
        [Event::Ended {
            by: EndedBy::Local,
            cause: LegEndCause::Cancel,
            ..
        }]
    ));
    bench.feed(&response(&cancel, "200 OK", "bob", "", ""));
    bench.feed(&response(&invite, "487 Request Terminated", "bob", "", ""));
    assert!(bench.only().starts_with("ACK "));
    assert!(bench.events().is_empty(), "the end is told once");
    bench.pass(Duration::from_secs(100));
    assert_eq!(bench.agent.counts(), (0, 0, 0));
}

#[test]
fn a_cancel_waits_for_the_first_provisional_response() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.dial();
    bench.hangup(leg, 0, "");
    assert!(bench.take().is_empty());
    bench.feed(&response(&invite, "100 Trying", "", "", ""));
    assert!(bench.only().starts_with("CANCEL "));
}

#[test]
fn a_cancel_that_crosses_the_answer_ends_the_call_with_ack_and_bye() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.dial();
    bench.feed(&response(&invite, "180 Ringing", "bob", "", ""));
    bench.events();
    bench.hangup(leg, 0, "");
    bench.take();
    bench.feed(&response(&invite, "200 OK", "bob", "", ANSWER));
    let sent = bench.take();
    assert!(sent[0].starts_with("ACK ") && sent[1].starts_with("BYE "), "{sent:?}");
    assert_eq!(bench.events().len(), 1, "only the end; a late answer is no orphan");
    bench.feed(&response(&sent[1], "200 OK", "bob", "", ""));
    bench.pass(Duration::from_secs(100));
    assert_eq!(bench.agent.counts(), (0, 0, 0));
}

#[test]
fn a_cancelled_invite_that_is_never_answered_leaves_nothing_behind() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.dial();
    bench.feed(&response(&invite, "180 Ringing", "bob", "", ""));
    bench.hangup(leg, 0, "");
    bench.pass(Duration::from_secs(100));
    assert_eq!(bench.agent.counts(), (0, 0, 0));
}

#[test]
fn the_ring_timeout_cancels() {
    let mut bench = Bench::new();
    let (_, invite) = bench.dial();
    bench.feed(&response(&invite, "180 Ringing", "bob", "", ""));
    bench.events();
    bench.pass(ms(59_999));
    assert!(bench.take().is_empty());
    bench.pass(ms(1));
    assert!(bench.only().starts_with("CANCEL "));
    assert!(matches!(
        bench.events()[..],
        [Event::Ended {
            by: EndedBy::Nobody,
            cause: LegEndCause::Timeout,
            status: 408,
            ..
        }]
    ));
}

/// Place a call to whom some seconds are given for the first word.
fn dial_impatiently(bench: &mut Bench) -> String {
    let leg = bench.agent.allocate_leg();
    bench
        .command(Command::Invite(Invite {
            leg,
            flow: support::udp(),
            to_uri: "sip:bob@127.0.0.1:5070".to_owned(),
            from_uri: "sip:alice@127.0.0.1".to_owned(),
            from_display: String::new(),
            headers: Vec::new(),
            body: OFFER.to_owned(),
            ring_timeout: Duration::from_secs(60),
            response_timeout: Some(Duration::from_secs(4)),
        }))
        .unwrap();
    bench.only()
}

#[test]
fn who_says_nothing_in_the_time_that_it_is_given_is_left_and_told_so_when_it_speaks() {
    let mut bench = Bench::new();
    let invite = dial_impatiently(&mut bench);
    bench.pass(ms(3_999));
    bench.take();
    assert!(bench.events().is_empty());
    bench.pass(ms(1));
    assert!(matches!(
        bench.events()[..],
        [Event::Ended {
            by: EndedBy::Nobody,
            cause: LegEndCause::Timeout,
            status: 408,
            ..
        }]
    ));
    bench.feed(&response(&invite, "180 Ringing", "bob", "", ""));
    assert!(bench.only().starts_with("CANCEL "));
    assert!(bench.events().is_empty());
}

#[test]
fn a_hundred_is_a_word() {
    let mut bench = Bench::new();
    let invite = dial_impatiently(&mut bench);
    bench.feed(&response(&invite, "100 Trying", "", "", ""));
    bench.pass(Duration::from_secs(30));
    assert!(bench.events().is_empty());
}

#[test]
fn a_connection_that_cannot_be_opened_is_unreachable() {
    let mut bench = Bench::with(Config::default(), tcp());
    let (leg, _) = bench.dial();
    bench.agent.on_flow_closed(tcp(), bench.now);
    bench.drain();
    assert!(matches!(
        bench.events()[..],
        [Event::Ended { leg: ended, cause: LegEndCause::Unreachable, .. }] if ended == leg
    ));
}

#[test]
fn an_answer_without_sdp_takes_that_of_its_early_media_or_ends_the_call() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.dial();
    bench.feed(&response(&invite, "183 Session Progress", "bob", "", ANSWER));
    bench.events();
    bench.feed(&response(&invite, "200 OK", "bob", "", ""));
    assert_eq!(
        bench.events(),
        [Event::Answered {
            leg,
            body: ANSWER.to_owned()
        }]
    );

    let mut bench = Bench::new();
    let (_, invite) = bench.dial();
    bench.feed(&response(&invite, "200 OK", "bob", "", ""));
    let sent = bench.take();
    assert!(sent[0].starts_with("ACK ") && sent[1].starts_with("BYE "));
    assert!(matches!(
        bench.events()[..],
        [Event::Ended {
            cause: LegEndCause::Error,
            ..
        }]
    ));
}

#[test]
fn the_peer_may_offer_hold_and_hang_up_in_a_call_of_ours() {
    let mut bench = Bench::new();
    let (leg, invite) = answered(&mut bench);
    let our_tag = field(&invite, "From").split_once("tag=").unwrap().1.to_owned();
    let call_id = field(&invite, "Call-ID");
    let ours = |text: String| {
        text.replace("Call-ID: call-1", &format!("Call-ID: {call_id}"))
            .replace(";tag=peer", ";tag=bob")
    };
    bench.feed(&ours(support::in_dialog("INVITE", 7, &our_tag, "z9hG4bKh", "", OFFER)));
    assert_eq!(
        bench.events(),
        [Event::Reoffer {
            leg,
            body: Some(OFFER.to_owned())
        }]
    );
    bench
        .command(Command::AnswerReoffer {
            leg,
            body: Ok(ANSWER.to_owned()),
        })
        .unwrap();
    bench.feed(&ours(support::in_dialog("ACK", 7, &our_tag, "z9hG4bKha", "", "")));
    bench.feed(&ours(support::in_dialog("BYE", 8, &our_tag, "z9hG4bKb", "", "")));
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
fn what_cannot_go_on_the_wire_is_refused_with_a_sentence() {
    let mut bench = Bench::new();
    let leg = bench.agent.allocate_leg();
    let good = Invite {
        leg,
        flow: support::udp(),
        to_uri: "sip:bob@127.0.0.1".to_owned(),
        from_uri: "sip:alice@127.0.0.1".to_owned(),
        from_display: String::new(),
        headers: Vec::new(),
        body: OFFER.to_owned(),
        ring_timeout: Duration::from_secs(60),
        response_timeout: None,
    };
    let header = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    for (bad, word) in [
        (
            Invite {
                to_uri: "bob".to_owned(),
                ..good.clone()
            },
            "to_uri",
        ),
        (
            Invite {
                to_uri: "sip:b@h\r\nX: y".to_owned(),
                ..good.clone()
            },
            "to_uri",
        ),
        (
            Invite {
                to_uri: "sip:b@h?X=y".to_owned(),
                ..good.clone()
            },
            "to_uri",
        ),
        (
            Invite {
                from_uri: "tel:+1".to_owned(),
                ..good.clone()
            },
            "from_uri",
        ),
        (
            Invite {
                from_display: "a\nb".to_owned(),
                ..good.clone()
            },
            "from_display",
        ),
        (
            Invite {
                headers: header("v", "x"),
                ..good.clone()
            },
            "written by the engine",
        ),
        (
            Invite {
                headers: header("ROUTE", "x"),
                ..good.clone()
            },
            "written by the engine",
        ),
        (
            Invite {
                headers: header("X-A", "x\r\nY: z"),
                ..good.clone()
            },
            "one line",
        ),
        (
            Invite {
                headers: header("X A", "x"),
                ..good.clone()
            },
            "token",
        ),
    ] {
        match bench.command(Command::Invite(bad)) {
            Err(CommandError::BadRequest(sentence)) => assert!(sentence.contains(word), "{sentence}"),
            other => panic!("{other:?}"),
        }
    }
    let scheme = Invite {
        to_uri: "bob".to_owned(),
        ..good.clone()
    };
    let sentence = "to_uri is no URI: begin it with its scheme, as in sip:user@host";
    assert_eq!(
        bench.command(Command::Invite(scheme)),
        Err(CommandError::BadRequest(sentence.to_owned()))
    );
    assert!(bench.take().is_empty());
    bench.command(Command::Invite(good.clone())).unwrap();
    assert!(matches!(
        bench.command(Command::Invite(good)),
        Err(CommandError::WrongState(_))
    ));
}

#[test]
fn commands_to_legs_that_never_were_are_refused() {
    let mut bench = Bench::new();
    let leg = LegKey(99);
    for command in [
        Command::Ring { leg, body: None },
        Command::Answer {
            leg,
            body: ANSWER.to_owned(),
        },
        Command::Hangup {
            leg,
            status: 0,
            reason: String::new(),
            headers: Vec::new(),
        },
        Command::AnswerReoffer {
            leg,
            body: Ok(ANSWER.to_owned()),
        },
    ] {
        assert_eq!(bench.command(command), Err(CommandError::UnknownLeg));
    }
}

#[test]
fn an_offer_of_a_fork_that_rings_is_glare_and_a_strangers_is_no_call() {
    let mut bench = Bench::new();
    let (_, invite) = bench.dial();
    bench.feed(&response(&invite, "180 Ringing", "bob", "", ""));
    bench.events();
    let our_tag = field(&invite, "From").split_once("tag=").unwrap().1.to_owned();
    let call_id = format!("Call-ID: {}", field(&invite, "Call-ID"));
    let early = |method: &str, cseq: u32, tag: &str| {
        support::in_dialog(method, cseq, &our_tag, &format!("z9hG4bK{method}{cseq}"), "", OFFER)
            .replace("Call-ID: call-1", &call_id)
            .replace(";tag=peer", &format!(";tag={tag}"))
    };
    bench.feed(&early("INVITE", 77, "bob"));
    assert!(bench.only().starts_with("SIP/2.0 491 Our offer is not answered yet"));
    bench.feed(&early("UPDATE", 78, "bob"));
    assert!(bench.only().starts_with("SIP/2.0 491 "));
    bench.feed(&early("INVITE", 79, "mallory"));
    assert!(bench.only().starts_with("SIP/2.0 481 "));
    bench.feed(&response(&invite, "200 OK", "bob", "", ANSWER));
    assert!(matches!(bench.events()[..], [Event::Answered { .. }]));
}

/// The BYE of an answer that cannot be used, and the end of its call, say why in the same words.
fn ended_for(bench: &mut Bench, leg: LegKey, said: &str, why: &str) {
    assert!(said.starts_with(&format!("SIP;cause=502;text=\"{why}")), "{said}");
    let events = bench.events();
    let [
        Event::Ended {
            leg: ended,
            status,
            reason,
            ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((*ended, *status), (leg, 502), "{why}");
    assert!(reason.starts_with(why), "{reason}");
}

/// RFC 3261, 12.1.2: the route set is the Record-Route of the 200. Without all of it nobody knows where the ACK goes.
#[test]
fn an_answer_whose_route_cannot_be_read_is_acknowledged_where_it_came_from_and_ended_with_the_reason() {
    for routes in [
        "Record-Route: <sip:127.0.0.1:5090;lr>, <sip:127.0.0.1:5080;lr\r\n",
        "Record-Route: <sip:127.0.0.1:5090;lr>\r\nRecord-Route: <sip:a b@p;lr>\r\n",
        "Record-Route: what, <sip:127.0.0.1:5090;lr>,\r\nRecord-Route: <sip:[::1;lr>\r\n",
    ] {
        let mut bench = Bench::new();
        let (leg, invite) = bench.dial();
        let ok = response(&invite, "200 OK", "bob", routes, ANSWER);
        bench.feed(&ok);
        let sent = bench.take_flows();
        assert_eq!(sent.len(), 2, "{sent:#?}");
        for ((flow, text), method) in sent.iter().zip(["ACK", "BYE"]) {
            assert!(
                text.starts_with(&format!("{method} sip:bob@127.0.0.1:5070 SIP/2.0\r\n")),
                "{text}"
            );
            assert_eq!(flow.peer, bench.flow.peer, "back the way the answer came");
            assert_eq!(
                fields(text, "Route"),
                ["<sip:127.0.0.1:5090;lr>"],
                "what is known of the way"
            );
        }
        ended_for(
            &mut bench,
            leg,
            &field(&sent[1].1, "Reason"),
            "The Record-Route of the 200 cannot be read: ",
        );
        bench.feed(&ok);
        assert!(bench.only().starts_with("ACK "), "and a copy of it gets the ACK again");
    }
}

/// RFC 3261, 12.1.2: the target is the Contact of the 200. Where that is none nobody knows where a BYE would go later: the
/// call ends while the way is known, and says why.
#[test]
fn an_answer_whose_contact_cannot_be_read_is_acknowledged_where_it_came_from_and_ended_with_the_reason() {
    const CONTACT: &str = "Contact: <sip:bob@127.0.0.1:5070>";
    for (contact, routes) in [
        ("Contact: <sip:bob@127.0.0.1:5070", ""),
        ("Contact: *", ""),
        ("Contact: nobody at home", ""),
        ("Contact: <sip:a@b@c>", ""),
        ("Contact:\r\nm: <sip:bob@[::1>", ""),
        (
            "Contact: <sip:bob@127.0.0.1:99999>",
            "Record-Route: <sip:127.0.0.1:5090;lr>\r\n",
        ),
    ] {
        let mut bench = Bench::new();
        let (leg, invite) = bench.dial();
        let ok = response(&invite, "200 OK", "bob", routes, ANSWER).replace(CONTACT, contact);
        bench.feed(&ok);
        let sent = bench.take_flows();
        assert_eq!(sent.len(), 2, "{sent:#?}");
        for ((flow, text), method) in sent.iter().zip(["ACK", "BYE"]) {
            assert!(
                text.starts_with(&format!("{method} sip:bob@127.0.0.1:5070 SIP/2.0\r\n")),
                "{text}"
            );
            assert_eq!(flow.peer, bench.flow.peer, "back the way the answer came");
            assert_eq!(fields(text, "Route").len(), usize::from(!routes.is_empty()), "{text}");
        }
        ended_for(
            &mut bench,
            leg,
            &field(&sent[1].1, "Reason"),
            "The Contact of the 200 cannot be read: ",
        );
        bench.feed(&ok);
        assert!(bench.only().starts_with("ACK "), "and a copy of it gets the ACK again");
    }
    // None, or an empty one, is what peers of RFC 2543 send: the Request-URI serves.
    for contact in [
        "Contact: ",
        "X-None: 1",
        "Contact:\r\nContact: <sip:bob@127.0.0.1:5070>",
    ] {
        let mut bench = Bench::new();
        let (leg, invite) = bench.dial();
        bench.feed(&response(&invite, "200 OK", "bob", "", ANSWER).replace(CONTACT, contact));
        assert!(bench.only().starts_with("ACK sip:bob@127.0.0.1:5070 "));
        assert!(matches!(bench.events()[..], [Event::Answered { leg: answered, .. }] if answered == leg));
    }
}

/// A response is ours by its branch (RFC 3261, 17.1.3); a To that cannot be read makes no dialog, but a call must not ring on
/// until nobody is taken to have answered.
#[test]
fn a_response_whose_to_cannot_be_read_is_told_all_the_same() {
    for (to, change) in [
        ("<sip:bob@127.0.0.1:5070>;tag=", "the tag is empty; give it a value"),
        (
            "<sip:bob@127.0.0.1:5070>;tag=a;tag=b",
            "it has more than one tag; send one",
        ),
        ("<sip:bob@127.0.0.1:5070;tag=a", "close the URI with >"),
    ] {
        let mut bench = Bench::new();
        let (leg, invite) = bench.dial();
        let with = |status: &str, sdp: &str| {
            let text = response(&invite, status, "bob", "", sdp);
            text.replace(&format!("To: {}", field(&text, "To")), &format!("To: {to}"))
        };
        bench.feed(&with("180 Ringing", ""));
        assert!(matches!(bench.events()[..], [Event::Progress { leg: ringing, status: 180, .. }] if ringing == leg));
        bench.feed(&with("200 OK", ANSWER));
        let sent = bench.take();
        assert_eq!(sent.len(), 2, "{sent:#?}");
        for (text, method) in sent.iter().zip(["ACK", "BYE"]) {
            assert!(text.starts_with(&format!("{method} sip:bob@127.0.0.1:5070 ")), "{text}");
            assert_eq!(field(text, "To"), to, "as the peer wrote it, for it to know");
        }
        let said = format!("The To of the 200 cannot be read: {change}");
        assert_eq!(field(&sent[1], "Reason"), format!("SIP;cause=502;text=\"{said}\""));
        let is_said = |event: &Event| matches!(event, Event::Ended { leg: ended, status: 502, reason, .. } if *ended == leg && *reason == said);
        let events = bench.events();
        assert!(events.len() == 1 && is_said(&events[0]), "{events:?}");

        let mut bench = Bench::new();
        let (leg, invite) = bench.dial();
        let text = response(&invite, "486 Busy Here", "bob", "", "");
        bench.feed(&text.replace(&format!("To: {}", field(&text, "To")), &format!("To: {to}")));
        assert!(bench.only().starts_with("ACK "));
        assert!(matches!(bench.events()[..], [Event::Ended { leg: ended, status: 486, .. }] if ended == leg));
    }
}

/// What a response answers is told by its branch: one that leaves From or To out ends a call no later than any other.
#[test]
fn a_response_without_from_or_to_is_told_all_the_same() {
    for gone in [&["From"][..], &["To"], &["From", "To"]] {
        let without = |text: &str| -> String {
            let is_kept = |line: &&str| !gone.iter().any(|name| line.starts_with(&format!("{name}: ")));
            text.split_inclusive("\r\n").filter(is_kept).collect()
        };
        let mut bench = Bench::new();
        let (leg, invite) = bench.dial();
        bench.feed(&without(&response(&invite, "183 Session Progress", "bob", "", ANSWER)));
        assert!(matches!(bench.events()[..], [Event::Progress { leg: ringing, status: 183, .. }] if ringing == leg));
        bench.feed(&without(&response(&invite, "486 Busy Here", "bob", "", "")));
        assert!(bench.only().starts_with("ACK "));
        assert!(matches!(bench.events()[..], [Event::Ended { leg: ended, status: 486, .. }] if ended == leg));

        let mut bench = Bench::new();
        let (leg, invite) = bench.dial();
        bench.feed(&without(&response(&invite, "200 OK", "bob", "", ANSWER)));
        let (sent, events) = (bench.take(), bench.events());
        if gone == ["From"] {
            assert!(sent.len() == 1 && sent[0].starts_with("ACK "), "{sent:#?}");
            assert!(matches!(events[..], [Event::Answered { .. }]), "{events:?}");
            continue;
        }
        // Without a tag there is no dialog: whoever answered is told so where it answered from.
        assert_eq!(sent.len(), 2, "{sent:#?}");
        for (text, method) in sent.iter().zip(["ACK", "BYE"]) {
            assert!(text.starts_with(&format!("{method} sip:bob@127.0.0.1:5070 ")), "{text}");
            assert_eq!(field(text, "To"), "<sip:bob@127.0.0.1:5070>", "as we wrote it");
        }
        assert!(field(&sent[1], "Reason").contains("The To of the 200 cannot be read: it is missing; add it"));
        assert!(
            matches!(events[..], [Event::Ended { leg: ended, status: 502, .. }] if ended == leg),
            "{events:?}"
        );
    }
}

#[test]
fn a_route_with_what_can_only_be_slips_of_the_pen_is_read() {
    for routes in [
        "Record-Route: <sip:127.0.0.1:5090;lr>,, <sip:127.0.0.1:5080;lr>,\r\n",
        "Record-Route: sip:127.0.0.1:5090;lr, Edge, west <sip:127.0.0.1:5080;lr>\r\n",
        "Record-Route: <sip:127.0.0.1:5090;lr;>;x\r\nRecord-Route:\r\nRecord-Route: <sip:127.0.0.1:5080;lr>\r\n",
    ] {
        let mut bench = Bench::new();
        let (leg, invite) = bench.dial();
        bench.feed(&response(&invite, "200 OK", "bob", routes, ANSWER));
        let (flow, ack) = bench.take_flows().remove(0);
        assert_eq!(
            fields(&ack, "Route"),
            ["<sip:127.0.0.1:5080;lr>", "<sip:127.0.0.1:5090;lr>"],
            "{routes}"
        );
        assert_eq!(flow.peer, address("127.0.0.1:5080"));
        assert!(matches!(bench.events()[..], [Event::Answered { leg: answered, .. }] if answered == leg));
    }
}
