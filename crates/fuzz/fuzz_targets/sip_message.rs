//! One datagram into an agent that has a ringing and an answered call, then a minute of time.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use offhook_sip::{Agent, Command, Config, Dice, Event, Flow, Output};
use offhook_words::Transport;

const SDP: &str = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\n";

struct Counter(u8);

impl Dice for Counter {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let flow = Flow {
        transport: Transport::Udp,
        local: "127.0.0.1:5060".parse().unwrap(),
        peer: "127.0.0.1:5070".parse().unwrap(),
        connection: 0,
    };
    let mut agent = Agent::new(Config::default(), Box::new(Counter(0)));
    for id in ["a", "b"] {
        let invite = format!(
            "INVITE sip:x@h SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK{id};rport\r\nFrom: <sip:a@h>;tag={id}\r\n\
             To: <sip:x@h>\r\nCall-ID: {id}\r\nCSeq: 1 INVITE\r\nContact: <sip:a@127.0.0.1:5070>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
            SDP.len()
        );
        agent.receive(flow, invite.as_bytes(), Duration::ZERO).unwrap();
    }
    let mut first = true;
    while let Some(output) = agent.poll_output() {
        if let Output::Event(Event::Incoming(incoming)) = output
            && std::mem::take(&mut first)
        {
            agent.command(Command::Answer { leg: incoming.leg, body: SDP.to_owned() }, Duration::ZERO).unwrap();
        }
    }
    let _ = agent.receive(flow, bytes, Duration::from_millis(1));
    agent.on_time(Duration::from_secs(60));
    while let Some(output) = agent.poll_output() {
        if let Output::Send { bytes, .. } = output {
            // Whatever came in, what goes out is one message with one head.
            assert!(bytes.windows(4).any(|window| window == b"\r\n\r\n"));
        }
    }
});
