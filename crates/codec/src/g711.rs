//! G.711 µ-law and A-law (ITU-T G.711; the integer form of G.191).

const fn expand_mulaw(code: u8) -> i16 {
    let code = !code;
    let exponent = (code >> 4) & 7;
    let mantissa = (code & 0x0f) as i32;
    let magnitude = ((mantissa * 2 + 33) << exponent) - 33;
    let sample = (magnitude * 4) as i16;
    if code & 0x80 == 0 { sample } else { -sample }
}

const fn expand_alaw(code: u8) -> i16 {
    let code = code ^ 0x55;
    let exponent = (code >> 4) & 7;
    let mantissa = (code & 0x0f) as i32 * 2 + 1;
    let magnitude = if exponent == 0 {
        mantissa
    } else {
        (mantissa + 32) << (exponent - 1)
    };
    let sample = (magnitude * 8) as i16;
    if code & 0x80 == 0 { -sample } else { sample }
}

const fn compress_mulaw(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 { (0, !sample) } else { (0x80, sample) };
    let biased = (magnitude as u32 >> 2) + 33;
    let biased = if biased > 0x1fff { 0x1fff } else { biased };
    let exponent = 26 - biased.leading_zeros();
    let mantissa = (biased >> (exponent + 1)) & 0x0f;
    sign | (!((exponent << 4 | mantissa) as u8) & 0x7f)
}

const fn compress_alaw(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 { (0, !sample) } else { (0x80, sample) };
    let magnitude = magnitude as u32 >> 4;
    let code = if magnitude < 16 {
        magnitude
    } else {
        let exponent = 28 - magnitude.leading_zeros();
        exponent << 4 | ((magnitude >> (exponent - 1)) & 0x0f)
    };
    (sign | code as u8) ^ 0x55
}

macro_rules! decode_table {
    ($expand:ident) => {{
        let mut table = [0_i16; 256];
        let mut code = 0;
        while code < 256 {
            #[expect(clippy::indexing_slicing, reason = "a constant; checked when compiled")]
            {
                table[code] = $expand(code as u8);
            }
            code += 1;
        }
        table
    }};
}

macro_rules! encode_table {
    ($compress:ident, $bits:literal) => {{
        let mut table = [0_u8; 1 << $bits];
        let mut at = 0;
        while at < 1 << $bits {
            #[expect(clippy::indexing_slicing, reason = "a constant; checked when compiled")]
            {
                // What is below the kept bits does not change the code.
                table[at] = $compress(((at as u16) << (16 - $bits)).cast_signed());
            }
            at += 1;
        }
        table
    }};
}

static TO_MULAW: [u8; 1 << 14] = encode_table!(compress_mulaw, 14);
static TO_ALAW: [u8; 1 << 12] = encode_table!(compress_alaw, 12);

fn to_mulaw(sample: i16) -> u8 {
    TO_MULAW.get(usize::from(sample as u16 >> 2)).copied().unwrap_or(0)
}

fn to_alaw(sample: i16) -> u8 {
    TO_ALAW.get(usize::from(sample as u16 >> 4)).copied().unwrap_or(0)
}

static MULAW: [i16; 256] = decode_table!(expand_mulaw);
static ALAW: [i16; 256] = decode_table!(expand_alaw);

/// One of the two laws of G.711.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// µ-law: PCMU.
    Mu,
    /// A-law: PCMA.
    A,
}

impl Law {
    /// The sample (int16) of one code.
    pub fn decode_sample(self, code: u8) -> i16 {
        self.table().get(usize::from(code)).copied().unwrap_or(0)
    }

    /// The code of one sample.
    pub fn encode_sample(self, sample: i16) -> u8 {
        match self {
            Self::Mu => to_mulaw(sample),
            Self::A => to_alaw(sample),
        }
    }

    /// Decode as many codes as both slices hold.
    pub fn decode(self, codes: &[u8], samples: &mut [i16]) {
        let table = self.table();
        for (sample, code) in samples.iter_mut().zip(codes) {
            *sample = table.get(usize::from(*code)).copied().unwrap_or(0);
        }
    }

    /// Encode as many samples as both slices hold.
    pub fn encode(self, samples: &[i16], codes: &mut [u8]) {
        match self {
            Self::Mu => {
                for (code, sample) in codes.iter_mut().zip(samples) {
                    *code = to_mulaw(*sample);
                }
            }
            Self::A => {
                for (code, sample) in codes.iter_mut().zip(samples) {
                    *code = to_alaw(*sample);
                }
            }
        }
    }

    fn table(self) -> &'static [i16; 256] {
        match self {
            Self::Mu => &MULAW,
            Self::A => &ALAW,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a, to hold a whole table against one number.
    fn digest(bytes: impl Iterator<Item = u8>) -> u64 {
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    #[test]
    fn the_landmarks_of_the_recommendation_hold() {
        let mulaw = [
            (0x00, -32124),
            (0x80, 32124),
            (0xff, 0),
            (0x7f, 0),
            (0xfe, 8),
            (0x8f, 16764),
        ];
        for (code, sample) in mulaw {
            assert_eq!(Law::Mu.decode_sample(code), sample, "mu-law {code:#x}");
        }
        let alaw = [(0xd5, 8), (0x55, -8), (0xaa, 32256), (0x2a, -32256), (0xd4, 24)];
        for (code, sample) in alaw {
            assert_eq!(Law::A.decode_sample(code), sample, "A-law {code:#x}");
        }
    }

    #[test]
    fn decoding_equals_the_tables_of_another_codec() {
        // Digests of what ffmpeg (pcm_mulaw, pcm_alaw) makes of the bytes 0..=255.
        let of = |codec: Law| digest((0..=255).flat_map(|code| codec.decode_sample(code).to_le_bytes()));
        assert_eq!(of(Law::Mu), MULAW_DIGEST);
        assert_eq!(of(Law::A), ALAW_DIGEST);
    }

    const MULAW_DIGEST: u64 = 0xb91e_65d6_8481_a1a8;
    const ALAW_DIGEST: u64 = 0x693a_40ca_62a3_d2a5;

    #[test]
    fn the_tables_say_what_the_rule_says_for_every_sample() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(Law::Mu.encode_sample(sample), compress_mulaw(sample), "{sample}");
            assert_eq!(Law::A.encode_sample(sample), compress_alaw(sample), "{sample}");
        }
    }

    #[test]
    fn silence_is_the_code_of_zero() {
        use offhook_words::Codec;
        assert_eq!(Law::Mu.encode_sample(0), Codec::Pcmu.silence());
        assert_eq!(Law::A.encode_sample(0), Codec::Pcma.silence());
    }

    #[test]
    fn every_code_survives_decoding_and_encoding() {
        for codec in [Law::Mu, Law::A] {
            for code in 0..=255 {
                let again = codec.encode_sample(codec.decode_sample(code));
                let same = again == code || (codec, code) == (Law::Mu, 0x7f);
                assert!(same, "{codec:?} {code:#x} became {again:#x}");
            }
        }
    }

    #[test]
    fn encoding_picks_a_neighbouring_level() {
        for codec in [Law::Mu, Law::A] {
            let mut previous = i16::MIN;
            for sample in i16::MIN..=i16::MAX {
                let decoded = codec.decode_sample(codec.encode_sample(sample));
                assert!(decoded >= previous, "{codec:?} is not monotonic at {sample}");
                previous = decoded;
                let error = (i32::from(decoded) - i32::from(sample)).abs();
                assert!(
                    error <= 16 + i32::from(sample).abs() / 16,
                    "{codec:?} {sample} -> {decoded}"
                );
            }
        }
    }
}
