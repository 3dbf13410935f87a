//! The jitter buffer in hostile time: packets and pulls in any order, clocks that jump either way. A step is bounded work.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offhook_rtp::{JitterBuffer, Pulled};

fuzz_target!(|steps: Vec<(u8, u8, i16, i32)>| {
    let mut jitter = JitterBuffer::default();
    let (mut now, mut timestamp) = (0_u32, 0_u32);
    for (kind, length, wait, jump) in steps {
        // Mostly as a call goes, sometimes as nothing does.
        now = now.wrapping_add(if kind & 0x80 == 0 { u32::from(wait.unsigned_abs()) % 800 } else { jump.cast_unsigned() });
        match kind & 7 {
            0..3 => {
                let samples = vec![i16::from(length); usize::from(length) * 8];
                jitter.insert(timestamp, &samples, now);
                timestamp = timestamp.wrapping_add(u32::from(length) * 8);
            }
            3 => {
                timestamp = timestamp.wrapping_add(jump.cast_unsigned());
                jitter.insert(timestamp, &[1; 160], now);
            }
            4 if kind & 0x78 == 0x78 => jitter.restart(),
            _ => {
                let mut frame = [i16::MIN; 160];
                if jitter.pull(now, &mut frame) == Pulled::Audio {
                    assert!(frame.iter().all(|sample| (0..=255).contains(sample)), "{frame:?}");
                }
            }
        }
        assert!((20..=120).contains(&jitter.target_ms()), "{}", jitter.target_ms());
        jitter.touch();
    }
});
