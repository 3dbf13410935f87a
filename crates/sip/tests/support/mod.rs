//! A bench for one agent: virtual time, a peer that says what the test writes, and seeded dice.
#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::net::SocketAddr;
use std::time::Duration;

use offhook_sip::{Agent, Command, CommandError, Config, Dice, Event, Flow, Incoming, Invite, LegKey, Output};
use offhook_words::Transport;

pub const OFFER: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
pub const ANSWER: &str =
    "v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n";

/// A small generator (xorshift), seeded.
pub struct Seeded(pub u64);

impl Seeded {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }
}

impl Dice for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = (self.next() >> 40) as u8;
        }
    }
}

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub fn udp() -> Flow {
    Flow {
        transport: Transport::Udp,
        local: address("127.0.0.1:5060"),
        peer: address("127.0.0.1:5070"),
        connection: 0,
    }
}

pub fn tcp() -> Flow {
    Flow {
        transport: Transport::Tcp,
        connection: 7,
        ..udp()
    }
}

pub struct Bench {
    pub agent: Agent,
    pub now: Duration,
    pub sent: Vec<(Flow, String)>,
    pub events: Vec<Event>,
    pub probes: Vec<Flow>,
    pub flow: Flow,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(Config::default(), udp())
    }

    pub fn with(config: Config, flow: Flow) -> Self {
        let agent = Agent::new(config, Box::new(Seeded(0x5EED)));
        Self {
            agent,
            now: ms(1_000),
            sent: Vec::new(),
            events: Vec::new(),
            probes: Vec::new(),
            flow,
        }
    }

    pub fn feed(&mut self, text: &str) {
        let flow = self.flow;
        self.feed_from(flow, text);
    }

    pub fn feed_from(&mut self, flow: Flow, text: &str) {
        self.agent.receive(flow, text.as_bytes(), self.now).unwrap();
        self.drain();
    }

    pub fn command(&mut self, command: Command) -> Result<(), CommandError> {
        let outcome = self.agent.command(command, self.now);
        self.drain();
        outcome
    }

    /// Let time pass, alarm by alarm.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.agent.poll_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.agent.on_time(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Send { flow, bytes } => {
                    self.sent.push((flow, String::from_utf8(bytes).unwrap()));
                }
                Output::Probe(flow) => self.probes.push(flow),
                Output::Event(Event::Trace { .. }) => {}
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    /// What was sent since the last call.
    pub fn take(&mut self) -> Vec<String> {
        self.take_flows().into_iter().map(|(_, text)| text).collect()
    }

    pub fn take_flows(&mut self) -> Vec<(Flow, String)> {
        std::mem::take(&mut self.sent)
    }

    /// The one message sent since the last call.
    pub fn only(&mut self) -> String {
        let mut sent = self.take();
        assert_eq!(sent.len(), 1, "{sent:#?}");
        sent.remove(0)
    }

    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Feed an INVITE and get its leg; the 100 is taken away.
    pub fn incoming(&mut self, text: &str) -> Incoming {
        self.feed(text);
        let trying = self.only();
        assert!(trying.starts_with("SIP/2.0 100 Trying\r\n"), "{trying}");
        match self.events().remove(0) {
            Event::Incoming(incoming) => *incoming,
            other => panic!("{other:?}"),
        }
    }

    /// A call that was answered and acknowledged; our tag is returned.
    pub fn answered(&mut self) -> (LegKey, String) {
        let leg = self.incoming(&invite()).leg;
        self.command(Command::Answer {
            leg,
            body: ANSWER.to_owned(),
        })
        .unwrap();
        let tag = tag_of(&self.only());
        self.feed(&in_dialog("ACK", 1, &tag, "z9hG4bKack", "", ""));
        assert_eq!(self.events(), [Event::Confirmed { leg, body: None }]);
        (leg, tag)
    }

    /// Place a call; its key and INVITE are returned.
    pub fn dial(&mut self) -> (LegKey, String) {
        let leg = self.agent.allocate_leg();
        let flow = self.flow;
        self.command(Command::Invite(Invite {
            leg,
            flow,
            to_uri: "sip:bob@127.0.0.1:5070".to_owned(),
            from_uri: "sip:alice@127.0.0.1".to_owned(),
            from_display: "Alice \"A\"".to_owned(),
            headers: vec![("X-Account".to_owned(), "7".to_owned())],
            body: OFFER.to_owned(),
            ring_timeout: Duration::from_secs(60),
            response_timeout: None,
        }))
        .unwrap();
        (leg, self.only())
    }

    pub fn hangup(&mut self, leg: LegKey, status: u16, reason: &str) {
        self.command(Command::Hangup {
            leg,
            status,
            reason: reason.to_owned(),
            headers: Vec::new(),
        })
        .unwrap();
    }
}

/// The first value of a header field.
pub fn field(text: &str, name: &str) -> String {
    fields(text, name).first().cloned().unwrap_or_default()
}

pub fn fields(text: &str, name: &str) -> Vec<String> {
    text.split("\r\n\r\n")
        .next()
        .unwrap()
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .filter(|(field, _)| *field == name)
        .map(|(_, value)| value.to_owned())
        .collect()
}

/// The To tag.
pub fn tag_of(text: &str) -> String {
    field(text, "To")
        .split_once("tag=")
        .map(|(_, tag)| tag.to_owned())
        .unwrap_or_default()
}

pub fn invite() -> String {
    request("INVITE", "sip:ivr@127.0.0.1:5060", 1, "", "z9hG4bKinvite", "", OFFER)
}

pub fn request(method: &str, uri: &str, cseq: u32, to_tag: &str, branch: &str, extra: &str, body: &str) -> String {
    let tag = if to_tag.is_empty() {
        String::new()
    } else {
        format!(";tag={to_tag}")
    };
    let content_type = if body.starts_with("v=0") {
        "Content-Type: application/sdp\r\n"
    } else {
        ""
    };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch={branch};rport\r\nMax-Forwards: 70\r\n\
         From: \"Caller\" <sip:caller@127.0.0.1>;tag=peer\r\nTo: <sip:ivr@127.0.0.1>{tag}\r\nCall-ID: call-1\r\n\
         CSeq: {cseq} {method}\r\nContact: <sip:caller@127.0.0.1:5070>\r\n{extra}{content_type}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub fn in_dialog(method: &str, cseq: u32, tag: &str, branch: &str, extra: &str, body: &str) -> String {
    request(method, "sip:127.0.0.1:5060", cseq, tag, branch, extra, body)
}

/// A response to a request that the agent sent.
pub fn response(request: &str, status: &str, to_tag: &str, extra: &str, body: &str) -> String {
    let tag = if to_tag.is_empty() || field(request, "To").contains("tag=") {
        String::new()
    } else {
        format!(";tag={to_tag}")
    };
    let content_type = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:bob@127.0.0.1:5070>\r\n{extra}{content_type}Content-Length: {}\r\n\r\n{body}",
        field(request, "Via"),
        field(request, "From"),
        field(request, "To"),
        field(request, "Call-ID"),
        field(request, "CSeq"),
        body.len()
    )
}
