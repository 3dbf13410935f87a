//! The pool as core holds it: legs, ports, and the check of every command.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::available_parallelism;

use offhook_words::{EndCause, Failure, FailureCode, MediaStats, OperationId, Rate};
use rtrb::{Consumer, Producer, RingBuffer};

use super::api::{LegKey, MediaConfig, MediaEvent, StreamParameters};
use super::clock::unix_us;
use super::decode::{Decoder, OpenPrompt};
use super::directory::Directory;
use super::faults::Faults;
use super::leg::Identity;
use super::notice::{NOTICE_RING, Notice};
use super::ports::{BoundPort, Ports, random};
use super::prepare::Prompts;
use super::registry::{LegEntry, Registry, refuse};
use super::ring::Block;
use super::slot::Slot;
use super::thread::{self, COMMAND_RING, ThreadCommand, ThreadRings, ThreadSettings};
use super::writer::Writer;
use crate::descriptors::{NoWay, can_reach};

/// Called from media threads when events wait. Must not block.
pub type Waker = Box<dyn Fn() + Send + Sync>;

/// Recordings that wait to be told to one thread.
const WRITTEN_RING: usize = 1024;

/// How much media holds; all of it is 0 some seconds after the last call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeldMedia {
    /// Legs with media of their own: a pair of RTP ports each.
    pub streams: usize,
    /// Operations whose end was not told yet.
    pub operations: usize,
    /// Streams of samples that the node pushes.
    pub pushed_streams: usize,
    /// Pairs of ports that rest after use.
    pub resting_ports: usize,
}

pub(super) struct ThreadLink {
    commands: Producer<ThreadCommand>,
    notices: Consumer<Notice>,
    legs: usize,
    turns: Arc<AtomicU64>,
    turns_seen: u64,
}

/// All media of the engine.
pub struct MediaPool {
    pub(super) registry: Registry,
    pub(super) prompts: Prompts,
    pub(super) decoders: Vec<Decoder>,
    pub(super) writer: Writer,
    threads: Vec<ThreadLink>,
    ports: Ports,
    max_legs: usize,
    from_decoders: Receiver<MediaEvent>,
    faults: Faults,
    ready: VecDeque<MediaEvent>,
    /// Statistics of a thread until they are whole.
    stats: Vec<(LegKey, MediaStats)>,
    /// Closes that did not fit into the ring.
    unsent: Vec<LegKey>,
}

impl MediaPool {
    /// Open the directories and start the threads.
    pub fn start(config: MediaConfig, wake: Waker) -> io::Result<Self> {
        let directory = Directory::open(&config.prompts)?;
        Self::with_prompts(config, Arc::new(move |name| directory.read(name)), wake)
    }

    /// The same, with prompts from elsewhere.
    #[expect(clippy::needless_pass_by_value, reason = "the pool is configured once")]
    pub(crate) fn with_prompts(config: MediaConfig, prompts: OpenPrompt, wake: Waker) -> io::Result<Self> {
        let cores = available_parallelism().map_or(1, usize::from);
        let count = if config.threads > 0 {
            config.threads
        } else {
            (cores / 2).max(1)
        };
        let recordings = Arc::new(Directory::open(&config.recordings)?);
        let wake = Arc::new(wake);
        let settings = ThreadSettings {
            media_timeout: config.media_timeout,
            stats_interval: config.stats_interval,
            max_legs: config.max_legs,
            wake: Arc::clone(&wake),
            unix_us,
        };
        let mut threads = Vec::with_capacity(count);
        let mut done = Vec::with_capacity(count);
        for index in 0..count {
            let (command_in, commands) = RingBuffer::new(COMMAND_RING);
            let (written_in, written) = RingBuffer::new(WRITTEN_RING);
            let (notices, notices_out) = RingBuffer::new(NOTICE_RING);
            let turns = Arc::<AtomicU64>::default();
            thread::start(
                index,
                ThreadRings {
                    commands,
                    written,
                    notices,
                    turns: Arc::clone(&turns),
                },
                settings.clone(),
            )?;
            threads.push(ThreadLink {
                commands: command_in,
                notices: notices_out,
                legs: 0,
                turns,
                turns_seen: 0,
            });
            done.push(written_in);
        }
        let (to_core, from_decoders) = channel();
        let faults = Faults::default();
        let mut decoders = Vec::new();
        // One more, for what no disk can hold up: tones, silence, pushed samples.
        for index in 0..=(cores / 2).max(1) {
            let prompts = Arc::clone(&prompts);
            let (to_core, wake) = (to_core.clone(), Arc::clone(&wake));
            let report = Box::new(move |event| {
                if to_core.send(event).is_ok() {
                    wake();
                }
            });
            decoders.push(Decoder::start(
                &format!("decoder-{index}"),
                prompts,
                report,
                faults.clone(),
            )?);
        }
        Ok(Self {
            registry: Registry::default(),
            writer: Writer::start(recordings, done, faults.clone())?,
            prompts: Prompts::default(),
            decoders,
            threads,
            ports: Ports::new(&config.ports, config.quarantine)?,
            max_legs: config.max_legs,
            from_decoders,
            faults,
            ready: VecDeque::new(),
            stats: Vec::new(),
            unsent: Vec::new(),
        })
    }

    /// Two free ports on `ip`, RTP on an even one. Dropped unused, they are free again.
    pub fn bind(&mut self, ip: IpAddr) -> io::Result<BoundPort> {
        self.ports.bind(ip)
    }

    /// A new leg, silent until it is connected.
    pub fn open(&mut self, leg: LegKey, port: BoundPort) -> Result<(), Failure> {
        if self.registry.legs.contains_key(&leg) {
            return refuse(FailureCode::WrongState, "a leg of this key exists");
        }
        if self.registry.legs.len() >= self.max_legs {
            return refuse(
                FailureCode::NoCapacity,
                format!("{} legs are open, the most allowed", self.max_legs),
            );
        }
        let identity = identity().or_else(|error| refuse(FailureCode::Internal, format!("no random bits: {error}")))?;
        let thread = (0..self.threads.len())
            .min_by_key(|at| self.threads.get(*at).map_or(0, |link| link.legs))
            .unwrap_or(0);
        let address = port.address;
        let slot = Box::new(Slot::new(leg, port, identity, self.writer.thread.clone()));
        self.send(thread, ThreadCommand::Open(slot))?;
        if let Some(link) = self.threads.get_mut(thread) {
            link.legs += 1;
        }
        let entry = LegEntry {
            thread,
            ip: address.ip(),
            port: address.port(),
            rate: Rate::default(),
            is_connected: false,
            is_closing: false,
            operations: Vec::new(),
        };
        self.registry.legs.insert(leg, entry);
        Ok(())
    }

    /// Start or move the media of a leg (first SDP, re-INVITE).
    pub fn connect(&mut self, leg: LegKey, parameters: StreamParameters) -> Result<(), Failure> {
        let Some(entry) = self.registry.legs.get_mut(&leg).filter(|entry| !entry.is_closing) else {
            return refuse(FailureCode::UnknownLeg, "this leg does not exist (any more)");
        };
        let remote = parameters.remote_rtp;
        // The leg has its sockets: that there is none to ask with ends no call that was answered.
        if let Err(NoWay::Network(error)) = can_reach(entry.ip, &[remote, parameters.remote_rtcp]) {
            return refuse(
                FailureCode::BadRequest,
                format!("media cannot be sent to {remote}: {error}"),
            );
        }
        if !entry.is_connected {
            entry.rate = parameters.formats.codec.rate();
        }
        entry.is_connected = true;
        let thread = entry.thread;
        self.send(thread, ThreadCommand::Connect(leg, parameters))
    }

    /// End all operations of the leg, say BYE on RTCP, and report `Closed`. Unknown legs are ignored.
    pub fn close(&mut self, leg: LegKey) {
        if let Some(entry) = self.registry.legs.get_mut(&leg).filter(|entry| !entry.is_closing) {
            entry.is_closing = true;
            self.unsent.push(leg);
            self.send_closes();
        }
    }

    fn send_closes(&mut self) {
        for leg in std::mem::take(&mut self.unsent) {
            let thread = self.registry.legs.get(&leg).map_or(0, |entry| entry.thread);
            if self.send(thread, ThreadCommand::Close(leg)).is_err() {
                self.unsent.push(leg);
            }
        }
    }

    pub(super) fn send(&mut self, thread: usize, command: ThreadCommand) -> Result<(), Failure> {
        let sent = self
            .threads
            .get_mut(thread)
            .map(|link| link.commands.push(command).is_ok());
        if sent == Some(true) {
            return Ok(());
        }
        refuse(
            FailureCode::NoCapacity,
            "the media thread does not keep up; try again later",
        )
    }

    /// The next event, if one waits.
    pub fn poll_event(&mut self) -> Option<MediaEvent> {
        if !self.unsent.is_empty() {
            self.send_closes();
        }
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let count = self.faults.take();
            if count > 0 {
                return Some(MediaEvent::Faults { count });
            }
            if let Ok(event) = self.from_decoders.try_recv() {
                return Some(event);
            }
            let mut threads = self.threads.iter_mut().enumerate();
            let (thread, notice) = threads.find_map(|(at, link)| Some((at, link.notices.pop().ok()?)))?;
            self.notice(thread, notice);
        }
    }

    /// The leg on which an operation runs.
    pub fn leg_of(&self, id: OperationId) -> Option<LegKey> {
        self.registry.operations.get(&id).map(|entry| entry.leg)
    }

    /// A media thread that did not tick since this was asked last. Decoders and the writer may well wait for a disk.
    pub fn standing(&mut self) -> Option<usize> {
        let mut standing = None;
        for (index, link) in self.threads.iter_mut().enumerate() {
            let turns = link.turns.load(Ordering::Relaxed);
            if std::mem::replace(&mut link.turns_seen, turns) == turns {
                standing = Some(index);
            }
        }
        standing
    }

    /// How much is held at the moment.
    pub fn held(&mut self) -> HeldMedia {
        HeldMedia {
            streams: self.registry.legs.len(),
            operations: self.registry.operations.len(),
            pushed_streams: self.registry.streams.len(),
            resting_ports: self.ports.resting(),
        }
    }

    /// This operation did not end yet.
    #[cfg(test)]
    pub(crate) fn runs(&self, id: OperationId) -> bool {
        self.registry.operations.contains_key(&id)
    }

    fn notice(&mut self, thread: usize, notice: Notice) {
        match notice {
            Notice::Event(event) => self.event(event),
            Notice::Block { op, leg, block } => {
                if let Some(event) = self.audio(op, leg, block) {
                    self.ready.push_back(event);
                }
            }
            Notice::Stats(leg, stats) => self.stats.push((leg, stats)),
            Notice::StatsEnd { ticks } => {
                let legs = std::mem::take(&mut self.stats);
                self.ready.push_back(MediaEvent::Stats { legs, thread, ticks });
            }
            Notice::Crashed(leg) => self.crashed(leg),
        }
    }

    fn event(&mut self, event: MediaEvent) {
        match &event {
            MediaEvent::Ended { op, .. } => self.registry.ended(*op),
            MediaEvent::Closed { leg, .. } => self.forget(*leg),
            _ => {}
        }
        self.ready.push_back(event);
    }

    fn forget(&mut self, leg: LegKey) {
        if let Some(entry) = self.registry.legs.remove(&leg) {
            self.ports.close(entry.port);
            if let Some(link) = self.threads.get_mut(entry.thread) {
                link.legs = link.legs.saturating_sub(1);
            }
        }
    }

    fn audio(&mut self, op: OperationId, leg: LegKey, block: Block) -> Option<MediaEvent> {
        let tap = self.registry.operations.get_mut(&op)?.tap.as_mut()?;
        let mut samples = Vec::with_capacity(block.samples as usize * 2);
        for _ in 0..block.samples {
            samples.extend(tap.pop().ok()?.to_le_bytes());
        }
        Some(MediaEvent::Audio {
            leg,
            op,
            offset_ms: block.offset_ms,
            samples,
        })
    }

    /// A leg broke: end what ran on it, so that every operation ends once.
    fn crashed(&mut self, leg: LegKey) {
        let now_us = unix_us();
        for op in self.registry.of_leg(leg) {
            self.event(MediaEvent::Ended {
                leg,
                op,
                cause: EndCause::Error,
                detail: Some(Arc::from("the media of this leg failed; this is a bug")),
                digit: None,
                duration_ms: 0,
                size_bytes: 0,
                started_us: now_us,
                first_frame_us: 0,
            });
        }
        self.event(MediaEvent::Closed {
            leg,
            stats: MediaStats::default(),
        });
    }
}

fn identity() -> io::Result<Identity> {
    Ok(Identity {
        ssrc: random()?,
        spare_ssrc: random()?,
        sequence: random()? as u16 & 0x7fff,
        timestamp: random()?,
    })
}

#[cfg(test)]
mod tests;
