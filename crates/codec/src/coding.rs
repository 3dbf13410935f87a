//! A stream of codes of any codec of ours, from and to the rate of a leg.

use offhook_dsp::{Doubler, Halver};
use offhook_ring::Decode;
use offhook_words::{Codec, FRAME, MOST_FRAME};

use crate::g711::Law;
use crate::g722::{G722Decoder, G722Encoder};

/// Decodes what a peer sends, whose packets may be of one codec or another, to the rate of the frame that is asked for.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    is_g722: bool,
    g722: G722Decoder,
    halver: Halver,
    doubler: Doubler,
}

impl Decode for Decoder {
    type Format = Codec;

    fn decode(&mut self, of: Codec, codes: &[u8], samples: &mut [i16]) {
        let is_wide = samples.len() > codes.len();
        let law = law(of);
        if law.is_none() != self.is_g722 {
            // Its peer has an encoder that is new; what this one knows of the one before would be a burst of noise.
            *self = Self {
                is_g722: law.is_none(),
                ..Self::default()
            };
        }
        match (law, is_wide) {
            (Some(law), false) => law.decode(codes, samples),
            (None, true) => self.g722.decode(codes, samples),
            (Some(law), true) => {
                for (codes, samples) in codes.chunks(FRAME).zip(samples.chunks_mut(MOST_FRAME)) {
                    let mut narrow = [0; FRAME];
                    let narrow = narrow.get_mut(..codes.len()).unwrap_or(&mut []);
                    law.decode(codes, narrow);
                    self.doubler.double(narrow, samples);
                }
            }
            (None, false) => {
                for (codes, samples) in codes.chunks(FRAME).zip(samples.chunks_mut(FRAME)) {
                    let mut wide = [0; MOST_FRAME];
                    let wide = wide.get_mut(..2 * codes.len()).unwrap_or(&mut []);
                    self.g722.decode(codes, wide);
                    self.halver.halve(wide, samples);
                }
            }
        }
    }
}

/// Encodes what is sent to a peer, of the rate that it has.
#[derive(Debug, Clone, Default)]
pub struct Encoder {
    g722: G722Encoder,
    halver: Halver,
    doubler: Doubler,
}

impl Encoder {
    /// The codes of at most a frame.
    pub fn encode(&mut self, to: Codec, samples: &[i16], codes: &mut [u8]) {
        let is_wide = samples.len() > codes.len();
        match (law(to), is_wide) {
            (Some(law), false) => law.encode(samples, codes),
            (None, true) => self.g722.encode(samples, codes),
            (Some(law), true) => {
                let mut narrow = [0; FRAME];
                self.halver.halve(samples, &mut narrow);
                law.encode(&narrow, codes);
            }
            (None, false) => {
                let mut wide = [0; MOST_FRAME];
                self.doubler.double(samples, &mut wide);
                self.g722.encode(&wide, codes);
            }
        }
    }
}

fn law(codec: Codec) -> Option<Law> {
    match codec {
        Codec::Pcmu => Some(Law::Mu),
        Codec::Pcma => Some(Law::A),
        Codec::G722 => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offhook_test_support::tone_energy;
    use offhook_words::Rate;
    use proptest::prelude::*;

    /// A tone of 1 kHz through an encoder at one rate and a decoder at another, each frame by frame; its SNR in dB.
    fn snr_db(codec: Codec, from: Rate, to: Rate) -> f64 {
        let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
        let turn = |n: usize, rate: Rate| std::f64::consts::TAU * 1000.0 * n as f64 / f64::from(rate.hz());
        let said: Vec<i16> = (0..from.frame() * 50)
            .map(|n| (8000.0 * turn(n, from).sin()) as i16)
            .collect();
        let mut heard = Vec::new();
        for frame in said.chunks(from.frame()) {
            let (mut sent, mut samples) = ([0; FRAME], vec![0; to.frame()]);
            encoder.encode(codec, frame, &mut sent);
            decoder.decode(codec, &sent, &mut samples);
            heard.extend(samples);
        }
        let heard = &heard[to.frame() * 10..];
        let (of_tone, all) = tone_energy(heard, 1000.0, f64::from(to.hz()));
        assert!(
            of_tone > 0.8 * 32e6 * heard.len() as f64,
            "{codec:?} {from:?} {to:?}: it became quiet"
        );
        10.0 * (of_tone / (all - of_tone)).log10()
    }

    #[test]
    fn each_codec_is_heard_at_each_rate() {
        for codec in Codec::ALL {
            for (from, to) in [Rate::Narrow, Rate::Wide]
                .map(|from| Rate::ALL.map(|to| (from, to)))
                .concat()
            {
                let snr_db = snr_db(codec, from, to);
                assert!(snr_db > 30.0, "{codec:?} from {from:?} to {to:?}: {snr_db:.1} dB");
            }
        }
    }

    #[test]
    fn another_stream_of_g722_begins_without_a_burst_when_another_codec_was_between() {
        let said: Vec<i16> = (0..320)
            .map(|n| (8000.0 * (f64::from(n) * std::f64::consts::FRAC_PI_8).sin()) as i16)
            .collect();
        let (mut decoder, mut loudest) = (Decoder::default(), 0);
        for codec in [Codec::G722, Codec::Pcma, Codec::G722, Codec::Pcmu, Codec::G722] {
            // The peer's is new each time.
            let mut encoder = Encoder::default();
            for _ in 0..25 {
                let (mut codes, mut samples) = ([0; FRAME], [0; MOST_FRAME]);
                encoder.encode(codec, &said, &mut codes);
                decoder.decode(codec, &codes, &mut samples);
                loudest = samples
                    .iter()
                    .map(|sample| i32::from(*sample).abs())
                    .fold(loudest, i32::max);
            }
        }
        assert!(loudest < 12_000, "{loudest}");
    }

    fn decoded(codec: Codec, to: Rate, pieces: &[&[u8]]) -> Vec<i16> {
        let mut decoder = Decoder::default();
        let mut heard = Vec::new();
        for codes in pieces {
            let mut samples = vec![7; codes.len() * to.factor()];
            decoder.decode(codec, codes, &mut samples);
            heard.extend(samples);
        }
        heard
    }

    proptest! {
        #[test]
        fn pieces_of_any_length_decode_to_what_the_whole_does(
            codes in proptest::collection::vec(any::<u8>(), 0..700),
            cuts in proptest::collection::vec(0_usize..200, 0..8),
        ) {
            let (mut pieces, mut rest) = (Vec::new(), &codes[..]);
            for cut in cuts {
                let (piece, later) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = later;
            }
            pieces.push(rest);
            for codec in Codec::ALL {
                for to in Rate::ALL {
                    prop_assert_eq!(decoded(codec, to, &pieces), decoded(codec, to, &[&codes]), "{:?} {:?}", codec, to);
                }
            }
        }
    }
}
