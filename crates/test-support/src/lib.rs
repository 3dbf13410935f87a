//! What tests of more than one crate measure by. A dev-dependency: nothing that ships has it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use offhook_ring::{Decode, Format};

/// A codec whose codes are the samples themselves, so that what is heard tells where it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Linear;

impl Format for Linear {
    type Code = i16;

    fn silence(self) -> i16 {
        0
    }
}

impl Decode for Linear {
    type Format = Self;

    fn decode(&mut self, _: Self, codes: &[i16], samples: &mut [i16]) {
        let per_code = samples.len() / codes.len();
        for (samples, code) in samples.chunks_mut(per_code).zip(codes) {
            samples.fill(*code);
        }
    }
}

/// What this thread has used of a CPU: what it waited for one is the machine's (proc(5), schedstat).
///
/// A kernel without `CONFIG_SCHED_INFO` does not tell: then it is the time that passed, since the first question.
pub fn used() -> Duration {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat");
    let told = text.map_err(|error| error.to_string()).and_then(|text| {
        let used_ns = text.split(' ').next().and_then(|field| field.parse().ok());
        used_ns.filter(|ns| *ns > 0).ok_or(format!("it says {text:?}"))
    });
    match told {
        Ok(used_ns) => Duration::from_nanos(used_ns),
        Err(why) => {
            println!("time of the wall instead of the CPU's, for want of schedstat: {why}");
            BEGUN.get_or_init(Instant::now).elapsed()
        }
    }
}

/// The energy of a tone in samples, whatever its phase, and the energy of all of them.
pub fn tone_energy(samples: &[i16], hz: f64, rate_hz: f64) -> (f64, f64) {
    let (mut re, mut im, mut all) = (0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let (turn, sample) = (std::f64::consts::TAU * hz * n as f64 / rate_hz, f64::from(*sample));
        re += sample * turn.cos();
        im += sample * turn.sin();
        all += sample * sample;
    }
    (2.0 * (re * re + im * im) / samples.len() as f64, all)
}
