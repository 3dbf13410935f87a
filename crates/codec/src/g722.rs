//! G.722 at 64 kbit/s (ITU-T G.722): 16 kHz in two bands, each by adaptive differences. A code is two samples.
//!
//! The names in brackets are those of the blocks of the recommendation. All arithmetic is that of 16 bits, which saturates; so
//! both ends stay in step bit by bit.

/// Codes that are taken at a time: 20 ms.
const BLOCK: usize = 160;
/// Samples of before that the filter between 16 kHz and the bands looks at.
const MEMORY: usize = 22;
/// That filter (QMF): the first of every two samples, of which the second has the same backwards.
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// Decision levels of the 6 bit quantiser (QUANTL).
const LEVELS: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339,
    1458, 1612, 1765, 1980, 2195, 2557, 2919,
];
/// What the 4 bits of the low band that predict mean (INVQAL).
const LOW_OF_4: [i32; 16] = [
    0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0,
];
/// What all 6 bits of the low band mean (INVQBL).
const LOW_OF_6: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576,
    -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040,
    -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
    4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];
/// What the 2 bits of the high band mean (INVQAH).
const HIGH_OF_2: [i32; 4] = [-7408, -1616, 7408, 1616];
/// How the 4 bits of the low band change the logarithm of its step (LOGSCL).
const LOW_STEP: [i32; 16] = [
    -60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60,
];
/// The same of the high band (LOGSCH).
const HIGH_STEP: [i32; 4] = [798, -214, 798, -214];
/// 2^(n/32) from 1 to 2, in 11 bits (SCALEL, SCALEH).
const EXPONENTIAL: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025,
    3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

fn saturate(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

fn look_up<const N: usize>(table: &[i32; N], at: u8) -> i32 {
    table.get(usize::from(at)).copied().unwrap_or(0)
}

fn have_one_sign(a: i32, b: i32) -> bool {
    (a < 0) == (b < 0)
}

/// How the step of a band's quantiser follows what it quantises.
#[derive(Debug, Clone, Copy)]
struct Scale {
    most: i32,
    shift: i32,
    logarithm: i32,
    step: i32,
}

impl Scale {
    fn adapt(&mut self, change: i32) {
        self.logarithm = (((self.logarithm * 127) >> 7) + change).clamp(0, self.most);
        let mantissa = EXPONENTIAL
            .get(((self.logarithm >> 6) & 31).unsigned_abs() as usize)
            .copied()
            .unwrap_or(0);
        let shift = self.shift - (self.logarithm >> 11);
        let scaled = if shift < 0 {
            mantissa << -shift
        } else {
            mantissa >> shift
        };
        self.step = scaled << 2;
    }

    fn of(self, level: i32) -> i32 {
        (self.step * level) >> 15
    }
}

/// One band: what it expects next, by two poles and six zeros that follow the signal (block 4).
#[derive(Debug, Clone, Copy)]
struct Band {
    scale: Scale,
    estimate: i32,
    of_zeros: i32,
    poles: [i32; 2],
    zeros: [i32; 6],
    reconstructed: i32,
    partial: [i32; 2],
    differences: [i32; 6],
}

impl Band {
    fn new(scale: Scale) -> Self {
        Self {
            scale,
            estimate: 0,
            of_zeros: 0,
            poles: [0; 2],
            zeros: [0; 6],
            reconstructed: 0,
            partial: [0; 2],
            differences: [0; 6],
        }
    }

    fn low() -> Self {
        Self::new(Scale {
            most: 18_432,
            shift: 8,
            logarithm: 0,
            step: 32,
        })
    }

    fn high() -> Self {
        Self::new(Scale {
            most: 22_528,
            shift: 10,
            logarithm: 0,
            step: 8,
        })
    }

    /// Take the difference between the estimate and what came, and estimate what comes next.
    fn follow(&mut self, difference: i32) {
        let reconstructed = saturate(self.estimate + difference);
        let partial = saturate(self.of_zeros + difference);
        self.move_poles(partial);
        self.move_zeros(difference);
        // FILTEP
        let [first, second] = self.poles;
        let tap = |value: i32, weight: i32| (weight * saturate(2 * value)) >> 15;
        let of_poles = saturate(tap(reconstructed, first) + tap(self.reconstructed, second));
        self.reconstructed = reconstructed;
        self.partial = [partial, self.partial[0]];
        // DELAYA, FILTEZ
        self.differences.rotate_right(1);
        self.differences[0] = difference;
        let taps = self.differences.iter().zip(self.zeros);
        self.of_zeros = saturate(taps.map(|(value, weight)| tap(*value, weight)).sum());
        self.estimate = saturate(of_poles + self.of_zeros);
    }

    /// UPPOL1, UPPOL2
    fn move_poles(&mut self, partial: i32) {
        let [first, second] = self.poles;
        let [before, long_before] = self.partial;
        let is_same = have_one_sign(partial, before);
        let push = saturate(first << 2);
        let push = if is_same { -push } else { push }.min(i32::from(i16::MAX));
        let pull = if have_one_sign(partial, long_before) { 128 } else { -128 };
        let second = ((push >> 7) + pull + ((second * 32_512) >> 15)).clamp(-12_288, 12_288);
        let first = saturate(if is_same { 192 } else { -192 } + ((first * 32_640) >> 15));
        let most = 15_360 - second;
        self.poles = [first.clamp(-most, most), second];
    }

    /// UPZERO
    fn move_zeros(&mut self, difference: i32) {
        let step = if difference == 0 { 0 } else { 128 };
        for (zero, before) in self.zeros.iter_mut().zip(self.differences) {
            let step = if have_one_sign(difference, before) { step } else { -step };
            *zero = saturate(step + ((*zero * 32_640) >> 15));
        }
    }
}

/// The codes of 16 kHz. A stream has one from its beginning to its end.
#[derive(Debug, Clone)]
pub struct G722Encoder {
    low: Band,
    high: Band,
    before: [i32; MEMORY],
}

impl Default for G722Encoder {
    fn default() -> Self {
        Self {
            low: Band::low(),
            high: Band::high(),
            before: [0; MEMORY],
        }
    }
}

impl G722Encoder {
    /// Encode as many samples as both slices hold, two to a code.
    pub fn encode(&mut self, samples: &[i16], codes: &mut [u8]) {
        for (samples, codes) in samples.chunks(2 * BLOCK).zip(codes.chunks_mut(BLOCK)) {
            let mut line = Line::after(&self.before);
            line.extend(samples.as_chunks::<2>().0.iter().map(|pair| pair.map(i32::from)));
            for ((first, second), code) in line.filtered().zip(codes) {
                let (low, high) = ((second + first) >> 14, (second - first) >> 14);
                *code = (self.high(high) << 6) | self.low(low);
            }
            self.before = line.newest();
        }
    }

    fn low(&mut self, sample: i32) -> u8 {
        let band = &mut self.low;
        let error = saturate(sample - band.estimate);
        let size = if error < 0 { !error } else { error };
        let is_below = |level: &i32| size < (level * band.scale.step) >> 12;
        let level = LEVELS.iter().position(is_below).unwrap_or(LEVELS.len()) as u8;
        let code = match (error < 0, level) {
            (true, 0) => 63,
            (true, 1) => 62,
            (true, level) => 33 - level,
            (false, level) => 61 - level,
        };
        let four = code >> 2;
        band.follow_low(four);
        code
    }

    fn high(&mut self, sample: i32) -> u8 {
        let band = &mut self.high;
        let error = saturate(sample - band.estimate);
        let size = if error < 0 { !error } else { error };
        let is_large = size >= (564 * band.scale.step) >> 12;
        let code = match (error < 0, is_large) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        };
        band.follow_high(code);
        code
    }
}

impl Band {
    fn follow_low(&mut self, four: u8) {
        let difference = self.scale.of(look_up(&LOW_OF_4, four));
        self.scale.adapt(look_up(&LOW_STEP, four));
        self.follow(difference);
    }

    fn follow_high(&mut self, two: u8) -> i32 {
        let difference = self.scale.of(look_up(&HIGH_OF_2, two));
        self.scale.adapt(look_up(&HIGH_STEP, two));
        self.follow(difference);
        difference
    }
}

/// 16 kHz of codes. A stream has one from its beginning to its end, and gives it the codes in their order.
#[derive(Debug, Clone)]
pub struct G722Decoder {
    low: Band,
    high: Band,
    before: [i32; MEMORY],
}

impl Default for G722Decoder {
    fn default() -> Self {
        Self {
            low: Band::low(),
            high: Band::high(),
            before: [0; MEMORY],
        }
    }
}

impl G722Decoder {
    /// Decode as many codes as both slices hold, two samples of each.
    pub fn decode(&mut self, codes: &[u8], samples: &mut [i16]) {
        for (codes, samples) in codes.chunks(BLOCK).zip(samples.chunks_mut(2 * BLOCK)) {
            let mut line = Line::after(&self.before);
            line.extend(codes.iter().map(|code| {
                let (low, high) = (self.low(code & 63), self.high(code >> 6));
                [low + high, low - high]
            }));
            for ((first, second), pair) in line.filtered().zip(samples.as_chunks_mut::<2>().0) {
                *pair = [second, first].map(|sum| saturate(sum >> 11) as i16);
            }
            self.before = line.newest();
        }
    }

    fn low(&mut self, code: u8) -> i32 {
        let band = &mut self.low;
        let sample = band.estimate + band.scale.of(look_up(&LOW_OF_6, code));
        band.follow_low(code >> 2);
        sample.clamp(-16_384, 16_383)
    }

    fn high(&mut self, code: u8) -> i32 {
        let band = &mut self.high;
        let estimate = band.estimate;
        let difference = band.follow_high(code);
        (estimate + difference).clamp(-16_384, 16_383)
    }
}

/// What goes through the filter: what it remembers, and at most a block of pairs.
struct Line {
    values: [i32; MEMORY + 2 * BLOCK],
    size: usize,
}

impl Line {
    fn after(before: &[i32; MEMORY]) -> Self {
        let mut values = [0; MEMORY + 2 * BLOCK];
        if let Some(start) = values.first_chunk_mut() {
            *start = *before;
        }
        Self { values, size: MEMORY }
    }

    fn extend(&mut self, pairs: impl Iterator<Item = [i32; 2]>) {
        let room = self.values.get_mut(self.size..).unwrap_or(&mut []);
        for (place, pair) in room.as_chunks_mut::<2>().0.iter_mut().zip(pairs) {
            *place = pair;
            self.size += 2;
        }
    }

    /// For each pair: the sum over the first of every two values up to it, and over the second.
    fn filtered(&self) -> impl Iterator<Item = (i32, i32)> {
        let values = self.values.get(..self.size).unwrap_or(&[]);
        values.windows(MEMORY + 2).step_by(2).map(|window| {
            let taps = QMF.iter().zip(QMF.iter().rev());
            let pairs = window.as_chunks::<2>().0.iter().zip(taps);
            pairs.fold((0, 0), |(first, second), ([a, b], (forth, back))| {
                (first + a * forth, second + b * back)
            })
        })
    }

    fn newest(&self) -> [i32; MEMORY] {
        let values = self.values.get(..self.size).unwrap_or(&[]);
        values.last_chunk().copied().unwrap_or([0; MEMORY])
    }
}

#[cfg(test)]
mod tests;
