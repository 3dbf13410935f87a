//! Small bounded memories: prompts that are complete, traces of legs that are not there yet or no more.

use std::collections::{HashMap, VecDeque};

use offhook_sip::LegKey;
use offhook_words::{Failure, FailureCode, Source};

use crate::control::wire::ReportBody;

const PROMPTS: usize = 4096;
const ENDED: usize = 1024;
const EARLY: usize = 256;

/// Prompts whose `PromptDone` came; it may come before the play that names them as growing.
/// A name is for one making: what the node writes anew, it names anew.
#[derive(Debug, Default)]
pub struct DonePrompts {
    order: VecDeque<String>,
    sizes: HashMap<String, i64>,
}

impl DonePrompts {
    /// A growing prompt has its final size, or -1.
    pub fn done(&mut self, prompt: String, size_bytes: i64) {
        if self.sizes.insert(prompt.clone(), size_bytes).is_none() {
            self.order.push_back(prompt);
        }
        if self.order.len() > PROMPTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.sizes.remove(&oldest);
        }
    }

    /// Sources that are complete do not grow any more; one that failed is refused.
    pub fn complete(&self, sources: &mut [Source]) -> Result<(), Failure> {
        for source in sources {
            let Source::File { prompt, growing, .. } = source else {
                continue;
            };
            match self.sizes.get(prompt) {
                Some(size_bytes) if *size_bytes >= 0 => *growing = false,
                Some(_) if *growing => {
                    let sentence = "this prompt could not be written; make it again";
                    return Err(Failure::new(FailureCode::NotFound, sentence));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// SIP messages are traced before their leg is known (the INVITE) and after it ended (the 200 to a BYE).
#[derive(Debug, Default)]
pub struct LateTraces {
    early: VecDeque<(LegKey, ReportBody)>,
    ended: VecDeque<(LegKey, String)>,
}

impl LateTraces {
    /// Keep a trace until its leg is known.
    pub fn early(&mut self, leg: LegKey, trace: ReportBody) {
        self.early.push_back((leg, trace));
        if self.early.len() > EARLY {
            self.early.pop_front();
        }
    }

    /// The leg is known now: what was traced before, under its name.
    pub fn take(&mut self, leg: LegKey, name: &str) -> Vec<ReportBody> {
        let (mine, others) = std::mem::take(&mut self.early)
            .into_iter()
            .partition(|(key, _)| *key == leg);
        self.early = others;
        let mine: VecDeque<(LegKey, ReportBody)> = mine;
        mine.into_iter().map(|(_, trace)| named(trace, name)).collect()
    }

    /// Remember the name of a leg that ended.
    pub fn ended(&mut self, leg: LegKey, name: String) {
        self.ended.push_back((leg, name));
        if self.ended.len() > ENDED {
            self.ended.pop_front();
        }
    }

    /// The name of a leg that ended a while ago.
    pub fn name(&self, leg: LegKey) -> Option<&str> {
        self.ended
            .iter()
            .rev()
            .find(|(key, _)| *key == leg)
            .map(|(_, name)| name.as_str())
    }
}

/// The same trace, of this leg.
fn named(trace: ReportBody, name: &str) -> ReportBody {
    match trace {
        ReportBody::Sip {
            sent, summary, peer, ..
        } => ReportBody::Sip {
            leg: name.to_owned(),
            sent,
            summary,
            peer,
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(prompt: &str) -> Vec<Source> {
        vec![Source::File {
            prompt: prompt.to_owned(),
            encoding: offhook_words::Encoding::PcmS16le,
            rate_hz: 8000,
            growing: true,
        }]
    }

    #[test]
    fn a_prompt_that_was_done_before_it_is_played_does_not_grow() {
        let mut prompts = DonePrompts::default();
        prompts.done("whole".to_owned(), 10);
        prompts.done("failed".to_owned(), -1);
        let mut sources = file("whole");
        assert_eq!(prompts.complete(&mut sources), Ok(()));
        assert!(matches!(sources.first(), Some(Source::File { growing: false, .. })));
        assert!(prompts.complete(&mut file("failed")).is_err());
        let mut sources = file("unknown");
        assert_eq!(prompts.complete(&mut sources), Ok(()));
        assert!(matches!(sources.first(), Some(Source::File { growing: true, .. })));
    }

    #[test]
    fn the_memories_are_bounded() {
        let mut prompts = DonePrompts::default();
        let mut traces = LateTraces::default();
        for index in 0..10_000 {
            prompts.done(index.to_string(), 1);
            prompts.done("again".to_owned(), index);
            traces.ended(LegKey(index as u64), String::new());
            traces.early(
                LegKey(index as u64),
                ReportBody::Stats {
                    legs: Vec::new(),
                    thread: 0,
                    ticks_late: 0,
                    ticks_skipped: 0,
                    panics: 0,
                },
            );
        }
        assert!(prompts.sizes.len() <= PROMPTS && prompts.order.len() <= PROMPTS);
        assert!(traces.ended.len() <= ENDED && traces.early.len() <= EARLY);
    }
}
