//! N1: two agents over a network that loses, repeats, delays and reorders; every call is set up and cleared.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use offhook_sip::{Agent, Command, Config, Event, Flow, Invite, LegKey, Output};
use offhook_words::{LegEndCause, Transport};
use support::{ANSWER, OFFER, Seeded, address, ms};

/// When it arrives, a number that keeps the order, at which side, and its bytes.
type Packet = (Duration, u64, usize, Vec<u8>);

struct Side {
    agent: Agent,
    flow: Flow,
    begun: HashMap<LegKey, Duration>,
    answered: usize,
    confirmed: usize,
    incoming: usize,
    ended: Vec<LegEndCause>,
}

impl Side {
    fn new(local: &str, peer: &str, seed: u64) -> Self {
        Self {
            agent: Agent::new(Config::default(), Box::new(Seeded(seed))),
            flow: Flow {
                transport: Transport::Udp,
                local: address(local),
                peer: address(peer),
                connection: 0,
            },
            begun: HashMap::new(),
            answered: 0,
            confirmed: 0,
            incoming: 0,
            ended: Vec::new(),
        }
    }

    fn dial(&mut self, now: Duration) {
        let leg = self.agent.allocate_leg();
        let invite = Invite {
            leg,
            flow: self.flow,
            to_uri: "sip:callee@127.0.0.1:5070".to_owned(),
            from_uri: "sip:caller@127.0.0.1".to_owned(),
            from_display: String::new(),
            headers: Vec::new(),
            body: OFFER.to_owned(),
            ring_timeout: Duration::from_secs(60),
            response_timeout: None,
        };
        self.agent.command(Command::Invite(invite), now).unwrap();
    }

    fn told(&mut self, event: Event, now: Duration) {
        match event {
            Event::Incoming(incoming) => {
                self.incoming += 1;
                let leg = incoming.leg;
                self.agent.command(Command::Ring { leg, body: None }, now).unwrap();
                self.agent
                    .command(
                        Command::Answer {
                            leg,
                            body: ANSWER.to_owned(),
                        },
                        now,
                    )
                    .unwrap();
            }
            Event::Answered { leg, .. } => {
                self.answered += 1;
                self.begun.insert(leg, now);
            }
            Event::Confirmed { .. } => self.confirmed += 1,
            Event::Ended { leg, cause, .. } => {
                self.begun.remove(&leg);
                self.ended.push(cause);
            }
            Event::Progress { .. } | Event::Trace { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn two_hundred_calls_over_a_bad_network_are_all_set_up_and_cleared() {
    for seed in [1, 2, 3] {
        let mut network = Seeded(0x9E37_79B9 + seed);
        let mut sides = [
            Side::new("127.0.0.1:5060", "127.0.0.1:5070", 11 + seed),
            Side::new("127.0.0.1:5070", "127.0.0.1:5060", 77 + seed),
        ];
        let mut wire: BinaryHeap<Reverse<Packet>> = BinaryHeap::new();
        let (mut now, mut number, mut placed) = (Duration::ZERO, 0_u64, 0);
        while now < Duration::from_secs(200) {
            if placed < 200 && now >= ms(50 * placed) {
                sides[0].dial(now);
                placed += 1;
            }
            let over: Vec<LegKey> = sides[0]
                .begun
                .iter()
                .filter(|(_, begun)| now.saturating_sub(**begun) > Duration::from_secs(3))
                .map(|(leg, _)| *leg)
                .collect();
            for leg in over {
                let hangup = Command::Hangup {
                    leg,
                    status: 0,
                    reason: String::new(),
                    headers: Vec::new(),
                };
                sides[0].agent.command(hangup, now).unwrap();
            }
            while let Some(Reverse((at, _, to, bytes))) = wire.peek().cloned() {
                if at > now {
                    break;
                }
                wire.pop();
                let flow = sides[to].flow;
                sides[to].agent.receive(flow, &bytes, now).unwrap();
            }
            for from in [0, 1] {
                if sides[from].agent.poll_deadline().is_some_and(|at| at <= now) {
                    sides[from].agent.on_time(now);
                }
                while let Some(output) = sides[from].agent.poll_output() {
                    match output {
                        Output::Probe(_) => {}
                        Output::Event(event) => sides[from].told(event, now),
                        Output::Send { bytes, .. } => {
                            let copies = match network.below(100) {
                                0..10 => 0,
                                10..15 => 2,
                                _ => 1,
                            };
                            for _ in 0..copies {
                                number += 1;
                                let delay = ms(200 + network.below(60));
                                wire.push(Reverse((now + delay, number, 1 - from, bytes.clone())));
                            }
                        }
                    }
                }
            }
            now += ms(5);
        }
        let [dialling, answering] = sides;
        assert_eq!((dialling.answered, answering.incoming), (200, 200), "seed {seed}");
        // Where ACKs were lost for 3 s the BYE came first; such a call is cleared all the same.
        assert!(answering.confirmed >= 190, "seed {seed}: {}", answering.confirmed);
        assert_eq!((dialling.ended.len(), answering.ended.len()), (200, 200), "seed {seed}");
        assert!(
            dialling
                .ended
                .iter()
                .chain(&answering.ended)
                .all(|cause| *cause == LegEndCause::Bye),
            "seed {seed}"
        );
        assert_eq!(
            (dialling.agent.counts(), answering.agent.counts()),
            ((0, 0, 0), (0, 0, 0)),
            "seed {seed}: ghosts"
        );
    }
}
