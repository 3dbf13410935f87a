//! Event packets in any order and of any streams: a press is told of what is a key, and no more often than packets came.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offhook_rtp::{EventReceiver, Header, KeyBudget, MOST_EVENTS, TelephoneEvent, digit_of_code};

fuzz_target!(|packets: Vec<(u32, u16, u8, u16, [u8; 8])>| {
    let (mut receiver, mut budget) = (EventReceiver::default(), KeyBudget::default());
    let (mut now, mut believed) = (0_u32, 0);
    for (timestamp, sequence, source, wait, payload) in &packets {
        now = now.wrapping_add(u32::from(*wait));
        let header = Header {
            marker: source & 0x80 != 0,
            payload_type: 101,
            sequence: *sequence,
            timestamp: *timestamp,
            ssrc: u32::from(source & 3),
        };
        let mut events = 0;
        for (offset, event) in TelephoneEvent::all(payload) {
            events += 1;
            let header = Header { timestamp: timestamp.wrapping_add(offset), ..header };
            let first = receiver.packet(&header, event, now);
            if let Some(pressed) = first {
                assert_eq!(Some(pressed.digit), digit_of_code(event.code));
                believed += u32::from(budget.take());
                // The same packet once more is the same press.
                assert_eq!(receiver.packet(&header, event, now), None);
            }
        }
        assert!(events <= MOST_EVENTS.min(2));
    }
    assert!(believed <= 24, "without a frame of time");
});
