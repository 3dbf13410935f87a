//! Datagrams into what a leg does with each: parsed, judged, counted, and put into the jitter buffer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offhook_codec::Decoder;
use offhook_rtp::{HEADER_BYTES, JitterBuffer, Latch, Reception, RtpPacket, write_header};
use offhook_words::Codec;

fuzz_target!(|datagrams: Vec<(u8, Vec<u8>)>| {
    let (mut reception, mut jitter) = (Reception::default(), JitterBuffer::default());
    let mut decoder = Decoder::default();
    let address = |port: u8| std::net::SocketAddr::from(([127, 0, 0, 1], 4000 + u16::from(port & 3)));
    let mut latch = Latch::new(address(0));
    let mut now = 0_u32;
    for (wait, datagram) in &datagrams {
        now = now.wrapping_add(u32::from(*wait) * 16);
        let from = address(*wait);
        let Ok(packet) = RtpPacket::parse(datagram) else { continue };
        assert!(packet.payload.len() + HEADER_BYTES <= datagram.len());
        // What we write ourselves of it reads back.
        let mut again = vec![0; HEADER_BYTES + packet.payload.len()];
        write_header(&packet.header, &mut again);
        again[HEADER_BYTES..].copy_from_slice(packet.payload);
        let same = RtpPacket::parse(&again).unwrap();
        assert_eq!((same.header, same.payload), (packet.header, packet.payload));
        if latch.admits(from, Some(&packet.header), now) {
            assert_eq!(latch.source(), Some(from));
            latch.heard(&packet.header, now);
        }
        reception.packet(&packet.header, now);
        let codec = Codec::ALL[usize::from(packet.header.payload_type) % 3];
        jitter.insert(packet.header.timestamp, codec, packet.payload, now);
        jitter.pull(now, &mut decoder, &mut [0; 320]);
    }
    assert!(reception.jitter() >= 0.0);
    let _ = reception.report(0, 0);
});
