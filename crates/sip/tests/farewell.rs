//! A BYE made in advance ends the dialog from another process.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use support::{Bench, field, in_dialog, ms, response};

#[test]
fn a_bye_made_in_advance_ends_the_call_from_another_process() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    let farewell = bench.agent.farewell(leg, 503, "the engine was restarted").unwrap();

    let mut next = Bench::new();
    assert!(next.agent.send_farewell(&farewell, next.now));
    next.drain();
    let bye = next.only();
    assert!(bye.starts_with("BYE sip:"), "{bye}");
    assert!(field(&bye, "From").ends_with(&format!(";tag={tag}")), "{bye}");
    assert_eq!(field(&bye, "Reason"), "SIP;cause=503;text=\"the engine was restarted\"");
    next.pass(ms(500));
    assert_eq!(next.only(), bye, "repeated until it is answered");
    next.feed(&response(&bye, "200 OK", "", "", ""));
    next.pass(ms(40_000));
    assert!(next.take().is_empty());
    assert!(next.events().is_empty());
}

#[test]
fn a_leg_that_is_not_answered_or_over_has_no_farewell() {
    let mut bench = Bench::new();
    let (dialled, _) = bench.dial();
    assert_eq!(bench.agent.farewell(dialled, 503, ""), None);

    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    bench.feed(&in_dialog("BYE", 2, &tag, "z9hG4bKbye", "", ""));
    assert_eq!(bench.agent.farewell(leg, 503, ""), None);
}
