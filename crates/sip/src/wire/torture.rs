//! RFC 4475: none of the 49 messages breaks the agent, each valid one is accepted, each invalid one refused.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Message, check, parse};
use crate::{Agent, Config, Dice, Event, Flow, Output};

/// What the RFC wants of an endpoint, as this one meets it.
enum Expect {
    /// A well-formed request; the first answer has this status, which is none for malformed syntax.
    Answered(u16),
    /// A well-formed response; nothing of ours waits for it, so nothing follows.
    Read,
    /// A malformed request: refused with this status.
    Refused(u16),
    /// A malformed response: dropped.
    Dropped,
    /// The application layer that the RFC has in mind is not here; what comes instead, and why.
    NotYet(u16, &'static str),
}
use Expect::{Answered, Dropped, NotYet, Read, Refused};
use offhook_words::Transport;

const NO_REGISTRAR: &str = "REGISTER is not served, so there is no binding to compare or refuse";

const CASES: [(&str, Expect); 49] = [
    // 3.1.1 valid. wsinv has a To tag of a call that is not here; methods that are not served are still well formed.
    ("wsinv", Answered(481)),
    ("intmeth", Answered(501)),
    ("esc01", Answered(100)),
    ("escnull", Answered(405)),
    ("esc02", Answered(501)),
    ("lwsdisp", Answered(200)),
    ("longreq", Answered(100)),
    ("dblreq", Answered(405)),
    ("semiuri", Answered(200)),
    ("transports", Answered(200)),
    ("mpart01", Answered(405)),
    ("unreason", Read),
    ("noreason", Read),
    // 3.1.2 invalid.
    ("badinv01", Refused(400)),
    ("clerr", Refused(400)),
    ("ncl", Refused(400)),
    ("scalar02", Refused(400)),
    ("scalarlg", Dropped),
    ("quotbal", Refused(400)),
    ("ltgtruri", Refused(400)),
    ("lwsruri", Refused(400)),
    // Both sections leave it to the element: three words are three, with however many blanks between and behind them.
    ("lwsstart", Answered(100)),
    ("trws", Answered(200)),
    ("escruri", Refused(400)),
    ("baddate", Answered(100)),
    ("regbadct", Refused(400)),
    ("badaspec", Refused(400)),
    // A bare name with a comma, which can be no address: what it means is clear, so it is taken.
    ("baddn", Answered(200)),
    ("badvers", Refused(505)),
    ("mismatch01", Refused(400)),
    ("mismatch02", Refused(400)),
    ("bigcode", Dropped),
    // 3.2 transaction layer.
    ("badbranch", Refused(400)),
    // 3.3 application layer.
    ("insuf", Refused(400)),
    ("unkscm", Answered(416)),
    ("novelsc", Answered(416)),
    ("unksm2", Answered(405)),
    ("bext01", Answered(420)),
    ("invut", Answered(415)),
    ("regaut01", NotYet(405, NO_REGISTRAR)),
    ("multi01", Refused(400)),
    ("mcl01", Refused(400)),
    ("bcast", Read),
    ("zeromf", Answered(200)),
    ("cparam01", NotYet(405, NO_REGISTRAR)),
    ("cparam02", NotYet(405, NO_REGISTRAR)),
    ("regescrt", NotYet(405, NO_REGISTRAR)),
    ("sdp01", Answered(406)),
    // 3.4 RFC 2543.
    ("inv2543", Answered(100)),
];

struct Zeros;

impl Dice for Zeros {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

fn read(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../vectors/rfc4475/{name}.sip"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What an agent that has no calls sends and tells.
fn feed(transport: Transport, bytes: &[u8]) -> (Vec<String>, usize) {
    let address: SocketAddr = "127.0.0.1:5060".parse().unwrap();
    let flow = Flow {
        transport,
        local: address,
        peer: "127.0.0.1:5070".parse().unwrap(),
        connection: 1,
    };
    let mut agent = Agent::new(Config::default(), Box::new(Zeros));
    // A stream that is lost has sent its refusal, which is looked at below.
    let _ = agent.receive(flow, bytes, Duration::ZERO);
    let (mut sent, mut told) = (Vec::new(), 0);
    while let Some(output) = agent.poll_output() {
        match output {
            Output::Send { bytes, .. } => sent.push(String::from_utf8_lossy(&bytes).into_owned()),
            Output::Probe(_) | Output::Event(Event::Trace { .. }) => {}
            Output::Event(_) => told += 1,
        }
    }
    (sent, told)
}

fn is_well_formed(bytes: &[u8]) -> bool {
    match parse(bytes) {
        Ok(Message::Request(request)) => check(&request).is_ok(),
        Ok(Message::Response(response)) => response.is_valid(),
        Err(_) => false,
    }
}

#[test]
fn every_message_of_rfc_4475_gets_what_the_rfc_says() {
    let mut not_yet = 0;
    for (name, expect) in &CASES {
        let bytes = read(name);
        let (sent, told) = feed(Transport::Udp, &bytes);
        let first = sent.first().map(String::as_str).unwrap_or_default();
        match expect {
            Answered(status) | NotYet(status, _) => {
                if let NotYet(_, why) = expect {
                    println!("not yet: {name}: {why}");
                }
                assert!(is_well_formed(&bytes), "{name} is valid");
                assert!(first.starts_with(&format!("SIP/2.0 {status} ")), "{name}: {first}");
                assert_eq!(told, usize::from(*status == 100), "{name}");
                not_yet += usize::from(matches!(expect, NotYet(..)));
            }
            Read => {
                assert!(is_well_formed(&bytes), "{name} is valid");
                assert!(sent.is_empty() && told == 0, "{name}: {sent:?}");
            }
            Refused(status) => {
                assert!(!is_well_formed(&bytes), "{name} is not valid");
                assert!(first.starts_with(&format!("SIP/2.0 {status} ")), "{name}: {first}");
                assert!(first.contains("Warning: 399 "), "{name} has a sentence: {first}");
                assert_eq!(told, 0, "{name}");
            }
            Dropped => {
                assert!(!is_well_formed(&bytes), "{name} is not valid");
                assert!(sent.is_empty() && told == 0, "{name}: {sent:?}");
            }
        }
    }
    assert!(not_yet <= 8, "{not_yet} application-layer cases are left out");
}

#[test]
fn every_message_gets_the_same_on_a_stream_however_it_is_cut() {
    for (name, _) in &CASES {
        let bytes = read(name);
        let whole = feed(Transport::Tcp, &bytes);
        assert!(whole.0.len() + whole.1 <= 4, "{name}: {whole:?}");
        // Each cut is one more agent; every seventh keeps this under a second.
        for cut in (1..bytes.len()).step_by(7) {
            let (head, tail) = bytes.split_at(cut);
            let flow = Flow {
                transport: Transport::Tcp,
                local: "127.0.0.1:5060".parse().unwrap(),
                peer: "127.0.0.1:5070".parse().unwrap(),
                connection: 1,
            };
            let mut agent = Agent::new(Config::default(), Box::new(Zeros));
            if agent.receive(flow, head, Duration::ZERO).is_ok() {
                // As above: a lost stream has sent its refusal.
                let _ = agent.receive(flow, tail, Duration::ZERO);
            }
            let mut sent = Vec::new();
            while let Some(output) = agent.poll_output() {
                if let Output::Send { bytes, .. } = output {
                    sent.push(String::from_utf8_lossy(&bytes).into_owned());
                }
            }
            let statuses = |texts: &[String]| -> Vec<String> {
                texts.iter().map(|text| text.chars().take(11).collect()).collect()
            };
            assert_eq!(statuses(&sent), statuses(&whole.0), "{name} cut at {cut}");
        }
    }
}
