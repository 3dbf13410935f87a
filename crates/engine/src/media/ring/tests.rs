use super::*;
use proptest::prelude::*;

fn samples(bytes: &[u8]) -> Vec<i16> {
    let (pairs, _) = bytes.as_chunks::<2>();
    pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
}

#[test]
fn five_seconds_wait_for_a_slow_disk_and_what_is_beyond_becomes_silence_of_its_length() {
    let state = Arc::new(RecordState::default());
    let (mut sink, mut out) = record_ring(2, Rate::Narrow, &state);
    for frame in 0..400 {
        sink.push(&[frame + 1; FRAME * 2]);
    }
    let mut bytes = Vec::new();
    out.take(&mut bytes);
    let kept = bytes.len() / 4 / FRAME;
    assert_eq!(kept, 270, "frames of 5.4 s");
    sink.push(&[1000; FRAME * 2]);
    sink.finish();
    out.take(&mut bytes);
    let heard = samples(&bytes);
    let tail = state.tail.load(Ordering::Relaxed) as usize;
    assert_eq!(heard.len() + tail, 401 * 2 * FRAME);
    assert_eq!(state.gap.load(Ordering::Relaxed) as usize, 130 * FRAME * 2);
    let ideal = (0..401).flat_map(|frame| {
        let sample = if frame < 270 {
            frame + 1
        } else if frame < 400 {
            0
        } else {
            1000
        };
        [sample; FRAME * 2]
    });
    assert!(heard.into_iter().eq(ideal));
}

proptest! {
    #[test]
    fn samples_come_in_order_whenever_they_are_taken(steps in proptest::collection::vec(0_u32..40, 1..200)) {
        let state = Arc::new(RecordState::default());
        let (mut sink, mut out) = record_ring(1, Rate::Narrow, &state);
        let (mut bytes, mut next) = (Vec::new(), 0_i16);
        for frames in steps {
            for _ in 0..frames {
                let frame: [i16; FRAME] = std::array::from_fn(|_| { next = next.wrapping_add(1); next });
                sink.push(&frame);
            }
            if frames % 3 == 0 {
                out.take(&mut bytes);
            }
        }
        prop_assume!(state.gap.load(Ordering::Relaxed) == 0);
        out.take(&mut bytes);
        let mut ideal = 0_i16;
        for sample in samples(&bytes) {
            ideal = ideal.wrapping_add(1);
            prop_assert_eq!(sample, ideal);
        }
        prop_assert_eq!(ideal, next);
    }
}
