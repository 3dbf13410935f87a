//! Event packets in any order: a press is told at most once for each timestamp, and never for what is no key.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use offhook_rtp::{EventReceiver, TelephoneEvent, digit_of_code};

fuzz_target!(|packets: Vec<(u32, [u8; 4])>| {
    let mut receiver = EventReceiver::default();
    let mut timestamps = HashSet::new();
    let mut presses = 0;
    for (timestamp, payload) in &packets {
        let Some(event) = TelephoneEvent::parse(payload) else { continue };
        timestamps.insert((*timestamp, event.code));
        if let Some(pressed) = receiver.packet(*timestamp, event) {
            presses += 1;
            assert_eq!(Some(pressed.digit), digit_of_code(event.code));
        }
    }
    // Beyond what it remembers, a late copy may count again.
    if packets.len() <= 8 {
        assert!(presses <= timestamps.len());
    }
});
