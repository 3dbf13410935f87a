//! Decoder threads: files, tones and pushed samples become 8 kHz samples ahead of their time.

mod cache;
mod file;
mod mpeg;
mod play;

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread;
use std::time::Duration;

pub use file::Growth;
pub use play::{Play, Prepared};

use self::cache::PromptCache;
use super::api::{MediaEvent, OperationId};

/// How often rings are filled up.
const PERIOD: Duration = Duration::from_millis(100);
/// The same, while a play waits for samples that grow or are pushed.
const WAITING: Duration = Duration::from_millis(20);

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
    commands: Sender<DecoderCommand>,
}

impl Decoder {
    pub fn start(name: &str, report: Report) -> io::Result<Self> {
        let (commands, inbox) = channel();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&inbox, &report))?;
        Ok(Self { commands })
    }

    /// `false`: the thread is gone.
    pub fn send(&self, command: DecoderCommand) -> bool {
        self.commands.send(command).is_ok()
    }
}

fn run(inbox: &Receiver<DecoderCommand>, report: &Report) {
    let mut plays: Vec<Play> = Vec::new();
    let mut cache = PromptCache::default();
    loop {
        let first = match plays.iter().map(Play::is_waiting).reduce(|a, b| a || b) {
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(true) => inbox.recv_timeout(WAITING),
            Some(false) => inbox.recv_timeout(PERIOD),
        };
        match first {
            Ok(command) => take(command, &mut plays),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        loop {
            match inbox.try_recv() {
                Ok(command) => take(command, &mut plays),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        // The emptiest first, so that a new play does not wait for the others to be filled.
        plays.sort_by_key(Play::buffered);
        plays.retain_mut(|play| play.fill(&mut cache, report));
    }
}

fn take(command: DecoderCommand, plays: &mut Vec<Play>) {
    let find = |plays: &mut Vec<Play>, id| plays.iter().position(|play| play.id == id);
    match command {
        DecoderCommand::Play(play) => plays.push(*play),
        DecoderCommand::Append { target, sources, more } => {
            if let Some(play) = find(plays, target).and_then(|at| plays.get_mut(at)) {
                play.append(sources, more);
            }
        }
        DecoderCommand::Pcm {
            target,
            stream,
            samples,
            last,
        } => {
            if let Some(play) = find(plays, target).and_then(|at| plays.get_mut(at)) {
                play.pushed(stream, &samples, last);
            }
        }
        DecoderCommand::Look => {}
    }
}
