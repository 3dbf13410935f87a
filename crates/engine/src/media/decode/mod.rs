//! Decoder threads: files, tones and pushed samples become samples of the rate of their leg ahead of their time.

mod cache;
mod file;
mod mpeg;
mod play;
mod resamplers;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use offhook_words::OperationId;

pub use file::Growth;
pub use play::{OpenPrompt, Play, Prepared};

use self::cache::PromptCache;
use super::api::MediaEvent;
use super::faults::Faults;

/// How the samples of a file are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileEncoding {
    /// By content: WAV or MP3.
    Auto,
    /// Headerless, int16, little endian, mono, at this rate.
    PcmS16le { rate_hz: u32 },
}

/// How often rings are filled up.
const PERIOD: Duration = Duration::from_millis(100);
/// The same, while a play waits for samples that grow or are pushed.
const WAITING: Duration = Duration::from_millis(20);

/// What may wait for a decoder thread, which waits for the disk: as many plays as begin at once, and samples.
const MOST_COMMANDS: usize = 4096;

/// What core tells a decoder thread.
pub enum DecoderCommand {
    Play(Box<Play>),
    Append {
        target: OperationId,
        sources: Vec<Prepared>,
        more: bool,
    },
    Pcm {
        target: OperationId,
        stream: u64,
        samples: Vec<u8>,
        last: bool,
    },
    /// A growing prompt got its size.
    Look,
}

/// Tells core what a decoder thread has to say.
pub type Report = Box<dyn Fn(MediaEvent) + Send>;

/// One decoder thread.
pub struct Decoder {
    commands: SyncSender<DecoderCommand>,
}

/// Whether a decoder thread was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Yes,
    /// Too much waits for it.
    Full,
    /// The thread is gone.
    Gone,
}

impl Decoder {
    pub fn start(name: &str, prompts: OpenPrompt, report: Report, faults: Faults) -> io::Result<Self> {
        let (commands, inbox) = sync_channel(MOST_COMMANDS);
        let mut room = Room {
            prompts,
            plays: Vec::new(),
            cache: PromptCache::default(),
            report,
            faults,
        };
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || room.run(&inbox))?;
        Ok(Self { commands })
    }

    /// Tell it. Never waits.
    pub fn send(&self, command: DecoderCommand) -> Taken {
        match self.commands.try_send(command) {
            Ok(()) => Taken::Yes,
            Err(TrySendError::Full(_)) => Taken::Full,
            Err(TrySendError::Disconnected(_)) => Taken::Gone,
        }
    }
}

/// What a play says that ended by a fault.
const FAULT: &str = "decoding this failed; this is a bug";

/// What a decoder thread holds.
struct Room {
    prompts: OpenPrompt,
    plays: Vec<Play>,
    cache: PromptCache,
    report: Report,
    faults: Faults,
}

impl Room {
    fn run(&mut self, inbox: &Receiver<DecoderCommand>) {
        loop {
            let first = match self.plays.iter().map(Play::is_waiting).reduce(|a, b| a || b) {
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(true) => inbox.recv_timeout(WAITING),
                Some(false) => inbox.recv_timeout(PERIOD),
            };
            match first {
                Ok(command) => self.take(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            loop {
                match inbox.try_recv() {
                    Ok(command) => self.take(command),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.fill();
        }
    }

    fn fill(&mut self) {
        // The emptiest first, so that a new play does not wait for the others to be filled.
        self.plays.sort_by_key(Play::buffered);
        let Self {
            prompts,
            plays,
            cache,
            report,
            faults,
        } = self;
        plays.retain_mut(|play| Self::guarded(play, faults, |play| play.fill(cache, prompts, report)));
    }

    /// A panic, of ours or of the MP3 decoder, ends the play that it happened to and no other. `false`: the play is over.
    fn guarded(play: &mut Play, faults: &Faults, work: impl FnOnce(&mut Play) -> bool) -> bool {
        catch_unwind(AssertUnwindSafe(|| work(play))).unwrap_or_else(|_| {
            faults.add();
            play.fail(FAULT);
            false
        })
    }

    fn take(&mut self, command: DecoderCommand) {
        match command {
            DecoderCommand::Play(play) => self.plays.push(*play),
            DecoderCommand::Append { target, sources, more } => {
                if let Some(play) = self.plays.iter_mut().find(|play| play.id == target) {
                    play.append(sources, more);
                }
            }
            DecoderCommand::Pcm {
                target,
                stream,
                samples,
                last,
            } => {
                let Some(at) = self.plays.iter().position(|play| play.id == target) else {
                    return;
                };
                let resamplers = &mut self.cache.resamplers;
                let goes_on = self.plays.get_mut(at).is_some_and(|play| {
                    Self::guarded(play, &self.faults, |play| {
                        play.pushed(stream, &samples, last, resamplers);
                        true
                    })
                });
                if !goes_on {
                    self.plays.swap_remove(at);
                }
            }
            DecoderCommand::Look => {}
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod files_tests;
