//! An agent that dials its own address: one transaction key names a client and a server transaction at once.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use offhook_sip::{Agent, Command, Config, Event, Flow, Invite, LegKey, Output};
use offhook_words::{LegEndCause, Transport};
use support::{ANSWER, OFFER, Seeded, address, ms};

/// Carry what the agent sends back to it until it is silent; `lost` packets of the first ones never arrive.
fn carry(agent: &mut Agent, flow: Flow, now: Duration, lost: &mut usize) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(output) = agent.poll_output() {
        match output {
            Output::Probe(_) | Output::Event(Event::Trace { .. }) => {}
            Output::Event(event) => events.push(event),
            Output::Send { .. } if *lost > 0 => *lost -= 1,
            Output::Send { flow: to, bytes } => {
                assert_eq!(to.peer, flow.peer);
                agent.receive(flow, &bytes, now).unwrap();
            }
        }
    }
    events
}

fn dial(agent: &mut Agent, flow: Flow, now: Duration) -> LegKey {
    let leg = agent.allocate_leg();
    let invite = Invite {
        leg,
        flow,
        to_uri: "sip:me@127.0.0.1:5060".to_owned(),
        from_uri: "sip:me@127.0.0.1".to_owned(),
        from_display: String::new(),
        headers: Vec::new(),
        body: OFFER.to_owned(),
        ring_timeout: Duration::from_secs(60),
        response_timeout: None,
    };
    agent.command(Command::Invite(invite), now).unwrap();
    leg
}

#[test]
fn a_call_to_ourselves_is_set_up_refused_and_cleared_like_any_other() {
    let flow = Flow {
        transport: Transport::Udp,
        local: address("127.0.0.1:5060"),
        peer: address("127.0.0.1:5060"),
        connection: 0,
    };
    let mut agent = Agent::new(Config::default(), Box::new(Seeded(0xABCD)));
    let mut now = ms(10);
    let out = dial(&mut agent, flow, now);
    let events = carry(&mut agent, flow, now, &mut 0);
    let Some(Event::Incoming(incoming)) = events.first() else {
        panic!("{events:?}")
    };
    agent
        .command(
            Command::Answer {
                leg: incoming.leg,
                body: ANSWER.to_owned(),
            },
            now,
        )
        .unwrap();
    let events = carry(&mut agent, flow, now, &mut 0);
    assert!(
        matches!(events[..], [Event::Answered { .. }, Event::Confirmed { .. }]),
        "{events:?}"
    );
    agent
        .command(
            Command::Hangup {
                leg: out,
                status: 0,
                reason: String::new(),
                headers: Vec::new(),
            },
            now,
        )
        .unwrap();
    let events = carry(&mut agent, flow, now, &mut 0);
    assert!(
        events.iter().all(|event| matches!(
            event,
            Event::Ended {
                cause: LegEndCause::Bye,
                ..
            }
        )) && events.len() == 2
    );

    // The refusal's first copy is lost: the server transaction has to repeat it although a client one has its key.
    dial(&mut agent, flow, now);
    let events = carry(&mut agent, flow, now, &mut 0);
    let Some(Event::Incoming(incoming)) = events.first() else {
        panic!("{events:?}")
    };
    let refuse = Command::Hangup {
        leg: incoming.leg,
        status: 486,
        reason: String::new(),
        headers: Vec::new(),
    };
    agent.command(refuse, now).unwrap();
    let mut events = carry(&mut agent, flow, now, &mut 1);
    let end = now + Duration::from_secs(100);
    while let Some(at) = agent.poll_deadline().filter(|at| *at <= end) {
        now = at;
        agent.on_time(now);
        events.extend(carry(&mut agent, flow, now, &mut 0));
    }
    let rejected = events.iter().filter(|event| {
        matches!(
            event,
            Event::Ended {
                cause: LegEndCause::Rejected,
                status: 486,
                ..
            }
        )
    });
    assert_eq!(rejected.count(), 2, "{events:?}");
    assert_eq!(agent.counts(), (0, 0, 0));
}
