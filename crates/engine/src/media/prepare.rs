//! Checks of what a command asks. Nothing here touches a file.

use std::collections::HashMap;
use std::sync::Arc;

use offhook_dsp::{ToneSequence, ToneStep};
use offhook_words::{Encoding, Failure, FailureCode, Rate, Source, Tone};

use super::decode::{FileEncoding, Growth, Prepared};
use super::directory::{bad_name, is_name};
use super::registry::refuse;

/// Sources that one operation may bring: more than a verb of the node has items.
pub const MOST_SOURCES: usize = 512;
/// Finished prompts that are remembered, for plays that come after their `PromptDone`.
const MOST_PROMPTS: usize = 1024;

/// Growing prompts, by name.
#[derive(Default)]
pub struct Prompts {
    growing: HashMap<String, Arc<Growth>>,
}

impl Prompts {
    pub fn done(&mut self, prompt: &str, size_bytes: i64) {
        self.of(prompt).done(size_bytes);
    }

    fn of(&mut self, prompt: &str) -> Arc<Growth> {
        if self.growing.len() > MOST_PROMPTS {
            self.growing.retain(|_, growth| Arc::strong_count(growth) > 1);
        }
        Arc::clone(self.growing.entry(prompt.to_owned()).or_default())
    }
}

fn bad<T>(message: impl Into<String>) -> Result<T, Failure> {
    refuse(FailureCode::BadRequest, message)
}

/// The value lies in the range.
pub fn within(name: &str, value: f32, least: f32, most: f32) -> Result<(), Failure> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    bad(format!("{name} is {value}; it must be between {least} and {most}"))
}

/// The name is one of a file of a directory.
pub fn named(is_name: impl FnOnce(&str) -> bool, name: &str) -> Result<(), Failure> {
    if is_name(name) {
        return Ok(());
    }
    bad(format!("file {name}: {}", bad_name()))
}

/// Check the sources of a play. Their files are opened when they come to be played, by who plays them.
pub fn sources(prompts: &mut Prompts, rate: Rate, sources: &[Source]) -> Result<Vec<Prepared>, Failure> {
    if sources.len() > MOST_SOURCES {
        return bad(format!(
            "{} sources are too many at once; append those beyond {MOST_SOURCES}",
            sources.len()
        ));
    }
    sources.iter().map(|source| one(prompts, rate, source)).collect()
}

fn one(prompts: &mut Prompts, leg: Rate, source: &Source) -> Result<Prepared, Failure> {
    match source {
        Source::File {
            prompt,
            encoding,
            rate_hz,
            growing,
        } => {
            let encoding = match encoding {
                Encoding::Auto => FileEncoding::Auto,
                Encoding::PcmS16le => FileEncoding::PcmS16le {
                    rate_hz: rate(*rate_hz)?,
                },
            };
            named(is_name, prompt)?;
            let growth = growing.then(|| prompts.of(prompt));
            Ok(Prepared::File {
                name: Arc::from(prompt.as_str()),
                encoding,
                growth,
            })
        }
        Source::Tone { cadence, duration_ms } => {
            let steps: Result<Vec<ToneStep>, Failure> = cadence.iter().map(|step| tone(leg, step)).collect();
            let steps = steps?;
            if steps.is_empty() || steps.len() > 64 || cadence.iter().all(|tone| tone.duration_ms == 0) {
                return bad("a cadence has 1 to 64 steps, and not all of length 0");
            }
            Ok(Prepared::Tone(Box::new(ToneSequence::new(leg, steps, *duration_ms))))
        }
        Source::Silence { duration_ms } => Ok(Prepared::Silence {
            samples: duration_ms.saturating_mul(leg.per_ms()),
        }),
        Source::Pcm { stream, rate_hz } => {
            _ = rate(*rate_hz)?;
            Ok(Prepared::Pcm { stream: *stream })
        }
    }
}

fn tone(leg: Rate, tone: &Tone) -> Result<ToneStep, Failure> {
    if tone.frequencies_hz.len() > 4 {
        return bad("a tone has at most four frequencies at once");
    }
    for hz in &tone.frequencies_hz {
        within("a frequency in Hz", *hz, 1.0, 3999.0)?;
    }
    within("level_dbm0", tone.level_dbm0, -90.0, 3.17)?;
    Ok(ToneStep::new(
        leg,
        tone.duration_ms,
        &tone.frequencies_hz,
        tone.level_dbm0,
    ))
}

fn rate(rate_hz: u32) -> Result<u32, Failure> {
    if (8000..=48_000).contains(&rate_hz) {
        return Ok(rate_hz);
    }
    bad(format!("rate_hz is {rate_hz}; it must be between 8000 and 48000"))
}
