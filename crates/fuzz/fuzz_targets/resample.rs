//! Every rate that a file may have, in any pieces: as long as it should be, from a filter of bounded size.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offhook_dsp::Resampler;
use offhook_words::Rate;

fuzz_target!(|input: (u32, Vec<Vec<i16>>)| {
    let (rate, pieces) = input;
    let rate_hz = 4000 + rate % 188_001;
    let to = Rate::ALL[usize::from(rate % 2 == 0)];
    let mut resampler = Resampler::new(rate_hz, to);
    assert!(resampler.filter_bytes() <= 128 << 10);
    let mut out = Vec::new();
    for piece in &pieces {
        resampler.process(piece, &mut out);
    }
    resampler.finish(&mut out);
    let count: usize = pieces.iter().map(Vec::len).sum();
    assert_eq!(out.len(), (count * to.hz() as usize).div_ceil(rate_hz as usize));
});
