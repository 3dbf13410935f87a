//! The jitter buffer in hostile time: packets and pulls in any order, clocks that jump either way. A step is bounded work.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offhook_codec::Decoder;
use offhook_rtp::{JitterBuffer, Pulled};
use offhook_words::Codec;

fuzz_target!(|steps: Vec<(u8, u8, i16, i32)>| {
    let (mut jitter, mut decoder) = (JitterBuffer::default(), Decoder::default());
    let (mut now, mut timestamp) = (0_u32, 0_u32);
    for (kind, length, wait, jump) in steps {
        // Mostly as a call goes, sometimes as nothing does.
        now = now.wrapping_add(if kind & 0x80 == 0 { u32::from(wait.unsigned_abs()) % 800 } else { jump.cast_unsigned() });
        match kind & 7 {
            0..3 => {
                // Codes of samples that are not negative.
                let codes = vec![length | 0x80; usize::from(length) * 8];
                let codec = if kind & 8 == 0 { Codec::Pcmu } else { Codec::Pcma };
                jitter.insert(timestamp, codec, &codes, now);
                timestamp = timestamp.wrapping_add(u32::from(length) * 8);
            }
            3 => {
                timestamp = timestamp.wrapping_add(jump.cast_unsigned());
                jitter.insert(timestamp, Codec::Pcma, &[0xd5; 160], now);
            }
            4 if kind & 0x78 == 0x78 => jitter.restart(),
            _ => {
                let mut frame = [i16::MIN; 160];
                if jitter.pull(now, &mut decoder, &mut frame) == Pulled::Audio {
                    assert!(frame.iter().all(|sample| *sample >= 0), "{frame:?}");
                }
            }
        }
        assert!((20..=120).contains(&jitter.target_ms()), "{}", jitter.target_ms());
        jitter.touch();
    }
});
