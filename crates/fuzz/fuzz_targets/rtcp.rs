//! Any bytes as a compound packet; what is in it fits into it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offhook_rtp::{NtpTime, RtcpPacket, RtcpParser};

fuzz_target!(|input: (u64, &[u8])| {
    let (now, datagram) = input;
    let Ok(parser) = RtcpParser::new(datagram) else { return };
    let mut count = 0;
    for packet in parser {
        count += 1;
        if let RtcpPacket::Sender { block: Some(block), .. } | RtcpPacket::Receiver { block: Some(block), .. } = packet
            && let Some(ms) = block.round_trip_ms(NtpTime(now))
        {
            assert!(ms >= 0.0, "{ms}");
        }
    }
    assert!((1..=datagram.len() / 4).contains(&count));
});
