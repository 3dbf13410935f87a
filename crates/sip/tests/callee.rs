//! What a callee can repeat without end has an end: forks, ringing, answers, refusals, digits.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use offhook_sip::{Event, LegKey};
use support::{ANSWER, Bench, OFFER, field, in_dialog, ms, response};

fn count(sent: &[String], start: &str) -> usize {
    sent.iter().filter(|text| text.starts_with(start)).count()
}

fn up(bench: &mut Bench) -> (LegKey, String) {
    let (leg, invite) = bench.dial();
    bench.feed(&response(&invite, "200 OK", "bob", "", ANSWER));
    assert!(matches!(bench.events()[..], [Event::Answered { .. }]));
    bench.take();
    (leg, invite)
}

#[test]
fn answers_of_forks_without_end_cost_sixteen_byes_and_then_nothing() {
    let mut bench = Bench::new();
    let (leg, invite) = up(&mut bench);
    for fork in 0..5_000 {
        bench.feed(&response(&invite, "200 OK", &format!("fork-{fork}"), "", ANSWER));
    }
    let sent = bench.take();
    assert_eq!(
        (count(&sent, "ACK "), count(&sent, "BYE ")),
        (15, 15),
        "16 forks with ours"
    );
    assert!(bench.agent.counts().2 <= 16, "{:?}", bench.agent.counts());
    bench.pass(Duration::from_secs(31));
    let repeated = bench.take();
    assert!(repeated.len() <= 15 * 11, "{}", repeated.len());
    bench.hangup(leg, 0, "");
    assert!(bench.only().contains("tag=bob"), "the call itself ends as ever");
}

#[test]
fn each_fork_gets_its_ack_as_often_as_it_repeats_within_32_s_and_not_for_ever() {
    let mut bench = Bench::new();
    let (_, invite) = up(&mut bench);
    let copy = response(&invite, "200 OK", "bob", "", ANSWER);
    for _ in 0..5_000 {
        bench.feed(&copy);
    }
    assert_eq!(bench.take().len(), 16, "a 200 is repeated 10 times (13.3.1.4)");
}

#[test]
fn answers_of_forks_after_we_gave_up_are_bounded_too() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.dial();
    bench.feed(&response(&invite, "180 Ringing", "bob", "", ""));
    bench.hangup(leg, 0, "");
    bench.take();
    for fork in 0..1_000 {
        bench.feed(&response(&invite, "200 OK", &format!("fork-{fork}"), "", ANSWER));
    }
    let sent = bench.take();
    assert_eq!((count(&sent, "ACK "), count(&sent, "BYE ")), (16, 16));
    bench.pass(Duration::from_secs(200));
    assert_eq!(bench.agent.counts(), (0, 0, 0));
}

#[test]
fn a_refusal_that_is_repeated_without_end_gets_its_ack_a_few_times() {
    let mut bench = Bench::new();
    let (_, invite) = bench.dial();
    let refusal = response(&invite, "486 Busy Here", "bob", "", "");
    for _ in 0..5_000 {
        bench.feed(&refusal);
    }
    let sent = bench.take();
    assert!((11..=32).contains(&count(&sent, "ACK ")), "{}", sent.len());
    assert_eq!(bench.events().len(), 1);
}

#[test]
fn ringing_that_says_the_same_again_is_told_once() {
    let mut bench = Bench::new();
    let (_, invite) = bench.dial();
    for _ in 0..5_000 {
        bench.feed(&response(&invite, "180 Ringing", "bob", "", ""));
    }
    assert_eq!(bench.events().len(), 1);
    // What changes is told: the early media, and the way back.
    bench.feed(&response(&invite, "183 Session Progress", "bob", "", ANSWER));
    bench.feed(&response(&invite, "180 Ringing", "bob", "", ""));
    bench.feed(&response(&invite, "180 Ringing", "carol", "", ""));
    assert_eq!(bench.events().len(), 3);
}

#[test]
fn ringing_without_end_is_told_32_times_a_call_and_the_answer_is_still_taken() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.dial();
    for number in 0..5_000 {
        let status = format!("18{} Still {number}", number % 4);
        bench.feed(&response(
            &invite,
            &status,
            &format!("fork-{}", number % 300),
            "",
            ANSWER,
        ));
    }
    assert_eq!(bench.events().len(), 32);
    assert!(bench.take().is_empty());
    bench.feed(&response(&invite, "200 OK", "last", "", ANSWER));
    assert_eq!(
        bench.events(),
        [Event::Answered {
            leg,
            body: ANSWER.to_owned()
        }]
    );
}

#[test]
fn what_is_kept_of_a_call_that_rings_is_bounded_in_bytes() {
    let mut bench = Bench::new();
    let (_, invite) = bench.dial();
    let before = bench.agent.kept_bytes();
    let long = format!("{ANSWER}{}", "a=x:0123456789\r\n".repeat(1_800));
    for fork in 0..200 {
        let tag = format!("{fork}{}", "t".repeat(4_000));
        bench.feed(&response(&invite, "183 Session Progress", &tag, "", &long));
    }
    let kept = bench.agent.kept_bytes() - before;
    assert!((60_000..=192 * 1_024).contains(&kept), "{kept}");
    for fork in 0..200 {
        let (tag, routes) = ("t".repeat(4_000), "Record-Route: <sip:127.0.0.1;lr>\r\n".repeat(100));
        bench.feed(&response(&invite, "200 OK", &format!("{fork}{tag}"), &routes, &long));
    }
    let kept = bench.agent.kept_bytes() - before;
    assert!((60_000..=192 * 1_024).contains(&kept), "{kept}");
    for event in bench.events() {
        if let Event::Progress { reason, .. } = event {
            assert!(reason.len() <= 256);
        }
    }
}

#[test]
fn words_of_the_peer_in_reports_are_cut() {
    let words = "no ".repeat(2_000);
    let mut bench = Bench::new();
    let (_, invite) = bench.dial();
    bench.feed(&response(&invite, &format!("182 {words}"), "bob", "", ""));
    bench.feed(&response(&invite, &format!("486 {words}"), "bob", "", ""));
    let mut told = 0;
    for event in bench.events() {
        let (Event::Progress { reason, .. } | Event::Ended { reason, .. }) = event else {
            panic!("{event:?}")
        };
        assert!(reason.chars().count() <= 256);
        told += 1;
    }
    assert_eq!(told, 2);
    let mut bench = Bench::new();
    let (_, tag) = bench.answered();
    let why = format!("Reason: SIP;cause=200;text=\"{words}\"\r\n");
    bench.feed(&in_dialog("BYE", 2, &tag, "z9hG4bKbye", &why, ""));
    assert!(matches!(&bench.events()[..], [Event::Ended { reason, .. }] if reason.chars().count() <= 256));
}

#[test]
fn digits_by_info_faster_than_any_hand_are_refused_and_the_call_goes_on() {
    let mut bench = Bench::new();
    let (_, tag) = bench.answered();
    let press = |cseq: u32| {
        let branch = format!("z9hG4bKi{cseq}");
        in_dialog("INFO", cseq, &tag, &branch, "Content-Type: application/dtmf\r\n", "5")
    };
    for cseq in 2..20_002 {
        bench.feed(&press(cseq));
    }
    assert_eq!(bench.events().len(), 64);
    let answers = bench.take();
    assert_eq!(count(&answers, "SIP/2.0 200 "), 64);
    let refused = answers
        .iter()
        .find(|answer| answer.starts_with("SIP/2.0 500 Digits come too fast"))
        .unwrap();
    assert!(!field(refused, "Retry-After").is_empty());
    // A second later there is room again, for 16.
    bench.pass(ms(1_000));
    for cseq in 30_000..30_100 {
        bench.feed(&press(cseq));
    }
    assert_eq!(bench.events().len(), 16);
    bench.take();
    bench.feed(&in_dialog("BYE", 40_000, &tag, "z9hG4bKbye", "", ""));
    assert!(bench.only().starts_with("SIP/2.0 200 "));
}

#[test]
fn requests_of_a_fork_that_rings_leave_nothing_behind() {
    let mut bench = Bench::new();
    let (_, invite) = bench.dial();
    bench.feed(&response(&invite, "180 Ringing", "bob", "", ""));
    let our_tag = field(&invite, "From").split_once("tag=").unwrap().1.to_owned();
    let call_id = format!("Call-ID: {}", field(&invite, "Call-ID"));
    let before = (bench.agent.counts(), bench.agent.kept_bytes());
    for cseq in 1..500 {
        for (method, body) in [
            ("UPDATE", OFFER),
            ("UPDATE", ""),
            ("INVITE", OFFER),
            ("OPTIONS", ""),
            ("INFO", ""),
        ] {
            let text = in_dialog(
                method,
                cseq,
                &our_tag,
                &format!("z9hG4bK{method}{cseq}{}", body.len()),
                "",
                body,
            )
            .replace("Call-ID: call-1", &call_id)
            .replace(";tag=peer", ";tag=bob");
            bench.feed(&text);
        }
    }
    bench.take();
    bench.pass(Duration::from_secs(40));
    bench.take();
    assert_eq!((bench.agent.counts(), bench.agent.kept_bytes()), before);
}
