//! A byte stream, whole and cut in two: the agent answers the same.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use offhook_sip::{Agent, Config, Dice, Flow, Output};
use offhook_words::Transport;

struct Zeros;

impl Dice for Zeros {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

fn feed(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let flow = Flow {
        transport: Transport::Tcp,
        local: "127.0.0.1:5060".parse().unwrap(),
        peer: "127.0.0.1:5070".parse().unwrap(),
        connection: 1,
    };
    let mut agent = Agent::new(Config::default(), Box::new(Zeros));
    for piece in pieces {
        if agent.receive(flow, piece, Duration::ZERO).is_err() {
            break;
        }
    }
    let mut sent = Vec::new();
    while let Some(output) = agent.poll_output() {
        if let Output::Send { bytes, .. } = output {
            sent.push(bytes);
        }
    }
    sent
}

fuzz_target!(|bytes: &[u8]| {
    let Some((at, bytes)) = bytes.split_first() else { return };
    let cut = usize::from(*at) * bytes.len() / 256;
    let statuses = |sent: Vec<Vec<u8>>| -> Vec<Vec<u8>> {
        // A stream that is lost while cut tells from the part it had; its status is the same.
        sent.into_iter().map(|bytes| bytes.into_iter().take(11).collect()).filter(|head: &Vec<u8>| head != b"\r\n").collect()
    };
    let whole = statuses(feed(&[bytes]));
    let cut = statuses(feed(&[&bytes[..cut], &bytes[cut..]]));
    // The refusal of a lost stream needs its head, which a cut may withhold.
    let common = whole.len().min(cut.len());
    assert_eq!(whole[..common.saturating_sub(1)], cut[..common.saturating_sub(1)]);
});
