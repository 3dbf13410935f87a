//! Whatever comes over the control socket, and in whatever order reports, acks and nodes come and go.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::PathBuf;

use offhook_engine::control::Outbox;
use offhook_engine::control::wire::{CONTROL_VERSION, Operation, Report, ReportBody};
use offhook_words::DigitMethod;
use proptest::prelude::*;

fn frames(data: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    let mut rest = data;
    while let Some((head, tail)) = rest.split_first_chunk::<4>() {
        let (frame, next) = tail.split_at(u32::from_be_bytes(*head) as usize);
        frames.push(frame);
        rest = next;
    }
    frames
}

#[derive(Debug, Clone)]
enum Step {
    Push,
    AckAllSeen,
    Connect,
    Disconnect,
    Write,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Push),
        2 => Just(Step::AckAllSeen),
        1 => Just(Step::Connect),
        1 => Just(Step::Disconnect),
        3 => Just(Step::Write),
    ];
    proptest::collection::vec(step, 0..200)
}

fn welcome() -> ReportBody {
    ReportBody::Welcome {
        version: CONTROL_VERSION,
        boot: String::new(),
        sip_udp: String::new(),
        sip_tcp: String::new(),
        legs: Vec::new(),
        more: false,
    }
}

proptest! {
    #[test]
    fn any_bytes_parse_or_are_refused_and_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = rmp_serde::from_slice::<Operation>(&bytes);
    }

    #[test]
    fn a_damaged_operation_parses_or_is_refused(index in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let node = std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors/control/node.bin")).unwrap();
        let mut frame = index.get(&frames(&node)).to_vec();
        let at = at.index(frame.len());
        frame[at] = byte;
        let _ = rmp_serde::from_slice::<Operation>(&frame);
        frame.truncate(at);
        prop_assert!(rmp_serde::from_slice::<Operation>(&frame).is_err(), "a piece of a message is none");
    }

    /// What a node saw, over all its connections, are all reports once and in order, if it names the last it saw.
    #[test]
    fn no_report_is_lost_doubled_or_out_of_order_whatever_happens(steps in steps()) {
        let mut outbox = Outbox::starting_at(1000);
        let (mut pushed, mut seen, mut connected) = (1000, 1000, false);
        let mut buffer = Vec::new();
        for step in steps.into_iter().chain([Step::Connect, Step::Write]) {
            match step {
                Step::Push => {
                    pushed += 1;
                    let digit = ReportBody::Digit {
                        leg: "L".to_owned(),
                        digit: "1".to_owned(),
                        method: DigitMethod::Info,
                        duration_ms: 0,
                    };
                    prop_assert!(outbox.push(digit));
                }
                Step::AckAllSeen => outbox.ack(seen),
                Step::Connect => {
                    prop_assert!(outbox.connect([welcome()], seen));
                    connected = true;
                }
                Step::Disconnect => {
                    outbox.disconnect();
                    connected = false;
                }
                Step::Write => {
                    outbox.take(&mut buffer);
                    prop_assert!(connected || buffer.is_empty());
                    for frame in frames(&buffer) {
                        let report: Report = rmp_serde::from_slice(frame).unwrap();
                        if report.seq > 0 {
                            seen += 1;
                            prop_assert_eq!(report.seq, seen);
                        }
                    }
                }
            }
        }
        prop_assert_eq!(seen, pushed);
        outbox.ack(seen);
        prop_assert_eq!(outbox.kept_bytes(), 0);
    }
}
