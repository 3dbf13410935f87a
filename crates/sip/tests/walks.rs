//! B4: random walks of messages, commands and time in any order end cleanly, once.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use offhook_sip::{Command, Event, LegKey, Refusal};
use proptest::prelude::*;
use support::{ANSWER, Bench, OFFER, field, ms, request, response, tag_of};

#[derive(Debug, Clone)]
enum Step {
    /// A request of the peer: method, `CSeq`, which tag, which branch, with SDP or not.
    Request(&'static str, u32, u8, u8, bool),
    /// A response to some request of ours: status, which fork.
    Response(&'static str, u8, bool, usize),
    Dial,
    Ring(bool),
    Answer,
    Hangup,
    AnswerReoffer(bool),
    Pass(u64),
    FlowClosed,
}

fn step() -> impl Strategy<Value = Step> {
    let method = prop::sample::select(vec![
        "INVITE", "INVITE", "ACK", "ACK", "BYE", "CANCEL", "UPDATE", "PRACK", "REFER", "INFO", "OPTIONS",
    ]);
    let status = prop::sample::select(vec![
        "100 Trying",
        "180 Ringing",
        "183 Progress",
        "200 OK",
        "200 OK",
        "202 Accepted",
        "302 Moved",
        "401 Unauthorized",
        "481 None",
        "487 Terminated",
        "603 Decline",
    ]);
    prop_oneof![
        6 => (method, 1..6_u32, 0..4_u8, 0..4_u8, any::<bool>()).prop_map(|(m, c, t, b, s)| Step::Request(m, c, t, b, s)),
        4 => (status, 0..3_u8, any::<bool>(), 0..50_usize).prop_map(|(s, f, b, n)| Step::Response(s, f, b, n)),
        2 => Just(Step::Dial),
        1 => any::<bool>().prop_map(Step::Ring),
        2 => Just(Step::Answer),
        2 => Just(Step::Hangup),
        1 => any::<bool>().prop_map(Step::AnswerReoffer),
        2 => (0..40_000_u64).prop_map(Step::Pass),
        1 => Just(Step::FlowClosed),
    ]
}

#[derive(Default)]
struct Walk {
    legs: Vec<LegKey>,
    ended: HashSet<LegKey>,
    requests: Vec<String>,
    tags: Vec<String>,
    finals: HashMap<(String, String), String>,
}

impl Walk {
    fn look(&mut self, bench: &mut Bench) {
        for event in bench.events() {
            let leg = match &event {
                Event::Incoming(incoming) => {
                    self.legs.push(incoming.leg);
                    incoming.leg
                }
                Event::Progress { leg, .. }
                | Event::Answered { leg, .. }
                | Event::Confirmed { leg, .. }
                | Event::Reoffer { leg, .. }
                | Event::InfoDigit { leg, .. }
                | Event::Ended { leg, .. } => *leg,
                Event::Trace { .. } => continue,
            };
            assert!(!self.ended.contains(&leg), "{event:?} after the end");
            assert!(self.legs.contains(&leg), "{event:?} of no leg");
            if matches!(event, Event::Ended { .. }) {
                self.ended.insert(leg);
            }
        }
        for text in bench.take() {
            if !text.starts_with("SIP/2.0") {
                self.requests.push(text);
                continue;
            }
            let tag = tag_of(&text);
            if !tag.is_empty() {
                self.tags.push(tag);
            }
            let status = text.split(' ').nth(1).unwrap().to_owned();
            if status.as_str() >= "200" && field(&text, "Warning").is_empty() {
                // At most one final response to each transaction, however often it is sent.
                let key = (field(&text, "Via"), field(&text, "CSeq"));
                let first = self.finals.entry(key).or_insert_with(|| status.clone());
                assert_eq!(*first, status, "{text}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]
    #[test]
    fn any_order_of_messages_commands_and_time_ends_each_leg_once_and_leaves_nothing(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        let mut bench = Bench::new();
        let mut walk = Walk::default();
        for (number, step) in steps.into_iter().enumerate() {
            let leg = walk.legs.last().copied().unwrap_or(LegKey(0));
            match step {
                Step::Request(method, cseq, tag, branch, has_sdp) => {
                    let tag = match tag {
                        0 => String::new(),
                        1 => "foreign".to_owned(),
                        _ => walk.tags.last().cloned().unwrap_or_default(),
                    };
                    let branch = match branch {
                        0 => "z9hG4bKsame".to_owned(),
                        1 => "old-style".to_owned(),
                        _ => format!("z9hG4bKw{number}"),
                    };
                    let body = if has_sdp { OFFER } else { "" };
                    bench.feed(&request(method, "sip:ivr@127.0.0.1", cseq, &tag, &branch, "", body));
                }
                Step::Response(status, fork, has_sdp, which) => {
                    if !walk.requests.is_empty() {
                        let to = &walk.requests[which % walk.requests.len()];
                        let body = if has_sdp { ANSWER } else { "" };
                        let text = response(to, status, &format!("fork{fork}"), "", body);
                        bench.feed(&text);
                    }
                }
                Step::Dial => {
                    let (leg, invite) = bench.dial();
                    walk.legs.push(leg);
                    walk.requests.push(invite);
                }
                Step::Ring(early) => {
                    let _ = bench.command(Command::Ring { leg, body: early.then(|| ANSWER.to_owned()) });
                }
                Step::Answer => {
                    let _ = bench.command(Command::Answer { leg, body: ANSWER.to_owned() });
                }
                Step::Hangup => {
                    let _ = bench.command(Command::Hangup { leg, status: 486, reason: String::new(), headers: Vec::new() });
                }
                Step::AnswerReoffer(good) => {
                    let refusal = Refusal { status: 488, reason: "offer PCMU".to_owned() };
                    let body = if good { Ok(ANSWER.to_owned()) } else { Err(refusal) };
                    let _ = bench.command(Command::AnswerReoffer { leg, body });
                }
                Step::Pass(milliseconds) => bench.pass(ms(milliseconds)),
                Step::FlowClosed => {
                    let flow = bench.flow;
                    bench.agent.on_flow_closed(flow, bench.now);
                    bench.drain();
                }
            }
            walk.look(&mut bench);
        }
        for leg in walk.legs.clone() {
            let _ = bench.command(Command::Hangup { leg, status: 0, reason: String::new(), headers: Vec::new() });
        }
        bench.pass(Duration::from_secs(400));
        walk.look(&mut bench);
        prop_assert_eq!(walk.ended.len(), walk.legs.len(), "each leg ends");
        prop_assert_eq!(bench.agent.counts(), (0, 0, 0), "nothing is left");
        prop_assert!(bench.agent.is_quiet());
    }

    #[test]
    fn no_bytes_break_the_agent(bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0..400_usize) {
        let mut bench = Bench::new();
        let mut text = request("INVITE", "sip:ivr@127.0.0.1", 1, "", "z9hG4bKm", "", OFFER).into_bytes();
        let at = at.min(text.len());
        text.splice(at..(at + bytes.len() / 8).min(text.len()), bytes.iter().copied().take(8));
        for bytes in [bytes, text] {
            let _ = bench.agent.receive(support::udp(), &bytes, bench.now);
            let _ = bench.agent.receive(support::tcp(), &bytes, bench.now);
            while bench.agent.poll_output().is_some() {}
        }
    }
}
