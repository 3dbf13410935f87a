use proptest::prelude::*;

use super::*;

const SIGNAL: &[u8] = include_bytes!("../../../../vectors/g722/signal.s16");
const CODES: &[u8] = include_bytes!("../../../../vectors/g722/signal.g722");
const DECODED: &[u8] = include_bytes!("../../../../vectors/g722/signal-decoded.s16");
const JUNK: &[u8] = include_bytes!("../../../../vectors/g722/junk.g722");
const JUNK_DECODED: &[u8] = include_bytes!("../../../../vectors/g722/junk-decoded.s16");

fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|pair| i16::from_le_bytes(*pair))
        .collect()
}

fn encode(samples: &[i16]) -> Vec<u8> {
    let mut codes = vec![0; samples.len() / 2];
    G722Encoder::default().encode(samples, &mut codes);
    codes
}

fn decode(codes: &[u8]) -> Vec<i16> {
    let mut samples = vec![0; codes.len() * 2];
    G722Decoder::default().decode(codes, &mut samples);
    samples
}

/// Ours is theirs, but where a sum is beyond 16 bits: ours is the loudest then, theirs (0.0.6) begins again at the other end.
fn is_theirs(ours: &[i16], theirs: &[i16]) -> bool {
    let is_same = |(ours, theirs): (&i16, &i16)| match *ours {
        i16::MAX => *theirs == i16::MAX || *theirs < -20_000,
        i16::MIN => *theirs == i16::MIN || *theirs > 20_000,
        ours => ours == *theirs,
    };
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(is_same)
}

#[test]
fn it_is_spandsps_bit_for_bit() {
    assert!(encode(&samples(SIGNAL)) == CODES);
    assert!(is_theirs(&decode(CODES), &samples(DECODED)));
    assert!(is_theirs(&decode(JUNK), &samples(JUNK_DECODED)));
}

#[test]
fn a_tone_comes_back_clean_in_both_bands() {
    for hz in [300.0, 1000.0, 3400.0, 5000.0, 6500.0] {
        let tone = |n: usize| 8000.0 * (std::f64::consts::TAU * hz * n as f64 / 16_000.0).sin();
        let back = decode(&encode(&(0..16_000).map(|n| tone(n) as i16).collect::<Vec<_>>()));
        // Both filters together are 22 samples late.
        let (mut signal, mut noise) = (0.0, 0.0);
        for (n, sample) in back.iter().enumerate().skip(8000) {
            let ideal = tone(n - 22);
            signal += ideal * ideal;
            noise += (f64::from(*sample) - ideal).powi(2);
        }
        let snr_db = 10.0 * (signal / noise).log10();
        assert!(snr_db > 14.0, "{hz} Hz: {snr_db:.1} dB");
    }
}

proptest! {
    #[test]
    fn it_does_not_matter_in_what_pieces_a_stream_comes(
        bytes in proptest::collection::vec(any::<u8>(), 0..900),
        cuts in proptest::collection::vec(0_usize..400, 0..6),
    ) {
        let (mut decoder, mut encoder) = (G722Decoder::default(), G722Encoder::default());
        let (mut heard, mut codes, mut rest) = (Vec::new(), Vec::new(), &bytes[..]);
        for cut in cuts.into_iter().chain([bytes.len()]) {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            rest = after;
            let mut samples = vec![0; piece.len() * 2];
            decoder.decode(piece, &mut samples);
            let mut again = vec![0; piece.len()];
            encoder.encode(&samples, &mut again);
            heard.extend(samples);
            codes.extend(again);
        }
        prop_assert_eq!(&heard, &decode(&bytes));
        prop_assert_eq!(codes, encode(&heard));
    }

    #[test]
    fn no_input_overflows(input in proptest::collection::vec(prop_oneof![Just(i16::MIN), Just(i16::MAX), any::<i16>()], 0..2000)) {
        decode(&encode(&input));
    }
}
