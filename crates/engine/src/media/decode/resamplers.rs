//! Resamplers by rate: designing a filter takes longer than a second of using it.

use std::collections::HashMap;

use offhook_dsp::Resampler;
use offhook_words::Rate;

/// Rates whose filters are kept, each of at most 128 KiB: files choose them.
const MOST_RATES: usize = 32;

/// The filters of one decoder thread.
#[derive(Default)]
pub struct Resamplers {
    known: HashMap<(u32, Rate), Known>,
    uses: u64,
}

struct Known {
    resampler: Resampler,
    used: u64,
}

impl Resamplers {
    /// One that begins anew.
    pub fn of(&mut self, rate_hz: u32, to: Rate) -> Resampler {
        let rates = (rate_hz, to);
        self.uses += 1;
        if !self.known.contains_key(&rates) && self.known.len() >= MOST_RATES {
            let oldest = self
                .known
                .iter()
                .min_by_key(|(_, known)| known.used)
                .map(|(rates, _)| *rates);
            oldest.map(|rates| self.known.remove(&rates));
        }
        let known = self.known.entry(rates).or_insert_with(|| Known {
            resampler: Resampler::new(rate_hz, to),
            used: 0,
        });
        known.used = self.uses;
        known.resampler.fresh()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_rates_as_files_may_choose_are_not_all_kept_and_the_usual_ones_are() {
        let mut resamplers = Resamplers::default();
        for rate in (4000..=192_000).step_by(1709) {
            resamplers.of(44_100, Rate::Narrow);
            resamplers.of(rate, Rate::Narrow);
        }
        assert_eq!(resamplers.known.len(), MOST_RATES);
        assert!(resamplers.known.contains_key(&(44_100, Rate::Narrow)));
        let bytes: usize = resamplers
            .known
            .values()
            .map(|known| known.resampler.filter_bytes())
            .sum();
        assert!(bytes <= MOST_RATES * 128 * 1024, "{bytes}");
    }
}
