//! A media thread: commands, then every leg, then sleep until the next 20 ms.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use offhook_mix::{DigitScript, Player, Recorder};
use offhook_words::{DigitMethod, OperationId, PauseBehavior, Side};
use rtrb::{Consumer, Producer};

use super::api::{LegKey, MediaEvent, StreamParameters};
use super::clock::{Clock, Tick, TickCounts};
use super::inbox::Inbox;
use super::leg::TickTime;
use super::legs::Legs;
use super::notice::{Notice, Notices};
use super::pool::Waker;
use super::ring::{PlaySource, RecordSink, TapSink};
use super::slot::Slot;
use super::writer::Written;

/// Commands that wait for a thread.
pub const COMMAND_RING: usize = 1024;

/// What core tells a media thread.
pub enum ThreadCommand {
    Open(Box<Slot>),
    Connect(LegKey, StreamParameters),
    Close(LegKey),
    Play(LegKey, Box<Player<PlaySource>>),
    Record(LegKey, Box<Recorder<RecordSink>>),
    Digits(LegKey, Box<DigitScript>),
    Echo(LegKey, OperationId, u32),
    Listen(LegKey, OperationId, Side, Box<TapSink>),
    Credit(LegKey, OperationId, u32),
    Pause(LegKey, OperationId, PauseBehavior),
    Resume(LegKey, OperationId),
    Volume(LegKey, OperationId, f32),
    Stop(LegKey, OperationId),
    Pressed(LegKey, char, u32),
    /// A fault in the tick of a leg, or (`true`) outside of it.
    #[cfg(test)]
    Fail(LegKey, bool),
    /// Wait until whoever has the other end lets go.
    #[cfg(test)]
    Hang(LegKey, std::sync::mpsc::Receiver<()>),
}

impl ThreadCommand {
    fn leg(&self) -> LegKey {
        match self {
            Self::Open(slot) => slot.key(),
            Self::Connect(leg, ..)
            | Self::Close(leg)
            | Self::Play(leg, ..)
            | Self::Record(leg, ..)
            | Self::Digits(leg, ..)
            | Self::Echo(leg, ..)
            | Self::Listen(leg, ..)
            | Self::Credit(leg, ..)
            | Self::Pause(leg, ..)
            | Self::Resume(leg, ..)
            | Self::Volume(leg, ..)
            | Self::Stop(leg, ..)
            | Self::Pressed(leg, ..) => *leg,
            #[cfg(test)]
            Self::Fail(leg, _) | Self::Hang(leg, _) => *leg,
        }
    }
}

/// The ends of the rings that a media thread holds.
pub struct ThreadRings {
    pub commands: Consumer<ThreadCommand>,
    pub written: Consumer<Written>,
    pub notices: Producer<Notice>,
    /// Counted up each tick.
    pub turns: Arc<AtomicU64>,
}

/// What a media thread is told once.
#[derive(Clone)]
pub struct ThreadSettings {
    pub media_timeout: Duration,
    pub stats_interval: Duration,
    pub max_legs: usize,
    pub wake: Arc<Waker>,
    /// Microseconds of the Unix epoch.
    pub unix_us: fn() -> u64,
}

/// Start a media thread. It ends when the pool is dropped.
pub fn start(index: usize, rings: ThreadRings, settings: ThreadSettings) -> io::Result<()> {
    let mut media = MediaThread::new(rings, settings)?;
    thread::Builder::new()
        .name(format!("media-{index}"))
        .spawn(move || media.run())?;
    Ok(())
}

struct MediaThread {
    legs: Legs,
    commands: Consumer<ThreadCommand>,
    written: Consumer<Written>,
    notices: Notices,
    inbox: Inbox,
    settings: ThreadSettings,
    counts: TickCounts,
    ticks: u64,
    turns: Arc<AtomicU64>,
}

impl MediaThread {
    fn new(rings: ThreadRings, settings: ThreadSettings) -> io::Result<Self> {
        Ok(Self {
            legs: Legs::with_capacity(settings.max_legs),
            commands: rings.commands,
            written: rings.written,
            notices: Notices::new(rings.notices),
            inbox: Inbox::new()?,
            settings,
            counts: TickCounts::default(),
            ticks: 0,
            turns: rings.turns,
        })
    }

    fn run(&mut self) {
        let mut clock = Clock::start();
        while !self.commands.is_abandoned() {
            let tick = clock.wait();
            self.turns.fetch_add(1, Ordering::Relaxed);
            self.counts.count(tick);
            if tick.skipped > 0 {
                self.ticks += u64::from(tick.skipped);
                self.legs.iter_mut().for_each(|slot| slot.leg.skip(tick.skipped));
            }
            // A panic outside of a leg's own tick: who was at fault is not known, so all legs of this thread end.
            if catch_unwind(AssertUnwindSafe(|| self.tick(tick))).is_err() {
                self.crash();
            }
        }
    }

    fn crash(&mut self) {
        for slot in self.legs.drain() {
            self.notices.push(Notice::Crashed(slot.key()));
        }
        self.notices.flush();
        (self.settings.wake)();
    }

    fn tick(&mut self, tick: Tick) {
        let now = TickTime::new(self.ticks, tick, (self.settings.unix_us)());
        self.ticks += 1;
        while let Ok(command) = self.commands.pop() {
            self.command(command, now);
        }
        while let Ok(written) = self.written.pop() {
            if let Some(slot) = self.legs.get_mut(written.leg) {
                slot.leg.written(written, &mut self.notices);
            }
        }
        self.tick_legs(now);
        self.watch(now);
        if self.notices.flush() {
            (self.settings.wake)();
        }
    }

    fn tick_legs(&mut self, now: TickTime) {
        let Self {
            legs, inbox, notices, ..
        } = self;
        inbox.look();
        legs.retain(|slot| {
            let has_report = inbox.has(slot.key());
            // A panic ends one call. The leg is not looked at again.
            let outcome = catch_unwind(AssertUnwindSafe(|| slot.tick(now, has_report, notices)));
            let notice = match outcome {
                Ok(true) => return true,
                Ok(false) => Notice::Event(MediaEvent::Closed {
                    leg: slot.key(),
                    stats: slot.stats(),
                }),
                Err(_) => Notice::Crashed(slot.key()),
            };
            notices.push(notice);
            false
        });
    }

    /// Time-outs and statistics, each at its interval.
    fn watch(&mut self, now: TickTime) {
        let limit_us = self.settings.media_timeout.as_micros() as u64;
        if now.index.is_multiple_of(10) {
            for slot in self.legs.iter_mut() {
                if slot.leg.timed_out(now.us, limit_us) {
                    self.notices.event(MediaEvent::MediaTimeout { leg: slot.key() });
                }
            }
        }
        let interval = (self.settings.stats_interval.as_millis() as u64 / 20).max(1);
        if now.index.is_multiple_of(interval) && !self.legs.is_empty() && self.notices.has_room() {
            for slot in self.legs.iter() {
                self.notices.push(Notice::Stats(slot.key(), slot.stats()));
            }
            self.notices.push(Notice::StatsEnd { ticks: self.counts });
        }
    }

    fn open(&mut self, slot: Slot) {
        self.inbox.add(&slot);
        self.legs.push(slot);
    }

    fn command(&mut self, command: ThreadCommand, now: TickTime) {
        if let ThreadCommand::Open(slot) = command {
            self.open(*slot);
            return;
        }
        let key = command.leg();
        let Some(slot) = self.legs.get_mut(key) else {
            return;
        };
        let leg = &mut slot.leg;
        // Core counts operations: they fit.
        match command {
            ThreadCommand::Open(_) => {}
            ThreadCommand::Connect(_, stream) => slot.connect(stream, now),
            ThreadCommand::Close(_) => slot.close(now, &mut self.notices),
            ThreadCommand::Play(_, player) => drop(leg.mixer.add_player(*player)),
            ThreadCommand::Record(_, recorder) => drop(leg.mixer.add_recorder(*recorder)),
            ThreadCommand::Digits(_, script) => drop(leg.mixer.add_digits(*script)),
            ThreadCommand::Echo(_, op, timeout_ms) => drop(leg.mixer.add_echo(op, timeout_ms, now.unix_us)),
            ThreadCommand::Listen(_, op, side, tap) => drop(leg.mixer.add_tap(op, side, *tap, now.unix_us)),
            ThreadCommand::Credit(_, op, ms) => {
                if let Some(tap) = leg.mixer.tap_mut(op) {
                    tap.credit(ms);
                }
            }
            ThreadCommand::Pause(_, op, behavior) => leg.mixer.pause(op, behavior),
            ThreadCommand::Resume(_, op) => leg.mixer.resume(op),
            ThreadCommand::Volume(_, op, volume_db) => leg.mixer.set_volume(op, volume_db),
            ThreadCommand::Stop(_, op) => leg.mixer.stop(op),
            ThreadCommand::Pressed(_, digit, duration_ms) => {
                leg.pressed(digit, DigitMethod::Info, duration_ms, now, &mut self.notices);
            }
            #[cfg(test)]
            ThreadCommand::Hang(_, released) => drop(released.recv()),
            #[cfg(test)]
            ThreadCommand::Fail(_, is_outside) => {
                leg.fault = Some("as the test wants it");
                assert!(!is_outside, "a fault outside of a leg's tick, as the test wants it");
            }
        }
    }
}

#[cfg(test)]
mod tests;
