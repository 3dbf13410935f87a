//! Frames that tell their number, after any law, and after two of them were blended into one.

use offhook_words::FRAME;

type Frame = [i16; FRAME];

/// A number and what proves it, as signs of samples.
const BITS: usize = 24;
/// Where they stand: behind what a concealer blends after a loss. Up to here a blend has the signs of its first frame.
const FIRST: usize = 12;
/// From here on a blend has the signs of its second frame.
const SECOND: usize = 100;

/// What was heard of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heard {
    /// The frame that it begins with.
    pub first: Option<u32>,
    /// The frame that it ends with: another one if two were blended.
    pub second: Option<u32>,
}

fn word(number: u32, key: u32) -> u32 {
    let proof = (number ^ key).wrapping_mul(0x9E37_79B1) >> 22;
    number << 10 | proof
}

fn put(frame: &mut Frame, at: usize, word: u32, loudness: i16) {
    // The second time it is inverted: what does not change is no word.
    for (bit, flip) in (0..BITS).map(|bit| (bit, 0)).chain((0..BITS).map(|bit| (bit, 1))) {
        let is_high = word >> bit & 1 != flip;
        frame[at + bit + BITS * flip as usize] = if is_high { loudness } else { -loudness };
    }
}

fn get(frame: &[i16], at: usize, key: u32) -> Option<u32> {
    let bits = |from: usize| (0..BITS).fold(0, |word, bit| word | u32::from(frame[from + bit] > 0) << bit);
    let (plain, inverted) = (bits(at), bits(at + BITS));
    let number = plain >> 10;
    (plain ^ inverted == (1 << BITS) - 1 && plain == word(number, key)).then_some(number)
}

/// A frame that says a number below 16,384.
pub fn say(number: u32, loudness: i16) -> Frame {
    let mut frame = std::array::from_fn(|at| if at % 3 == 0 { -loudness } else { loudness });
    put(&mut frame, FIRST, word(number, 1), loudness);
    put(&mut frame, SECOND, word(number, 2), loudness);
    frame
}

/// What a frame says; what was made up says nothing.
pub fn hear(frame: &[i16]) -> Heard {
    assert_eq!(frame.len(), FRAME);
    let first = get(frame, FIRST, 1);
    Heard {
        first,
        second: first.and_then(|_| get(frame, SECOND, 2)),
    }
}

#[test]
fn a_blend_of_two_frames_tells_both_and_silence_and_a_shifted_frame_tell_nothing() {
    for (number, loudness) in [(0, 300), (1, 8000), (9999, 300), (16_382, 8000)] {
        let (one, two) = (say(number, loudness), say(number + 1, loudness));
        let blend: Frame = std::array::from_fn(|at| {
            let weight = i32::try_from(at).unwrap();
            ((i32::from(one[at]) * (160 - weight) + i32::from(two[at]) * weight) / 160) as i16
        });
        let told = |first, second| Heard {
            first: Some(first),
            second: Some(second),
        };
        assert_eq!(hear(&one), told(number, number));
        assert_eq!(hear(&blend), told(number, number + 1));
        let both = [one, two].concat();
        assert!((1..FRAME).all(|shift| hear(&both[shift..shift + FRAME]) == Heard::default()));
    }
    assert_eq!(hear(&[0; FRAME]), Heard::default());
}
