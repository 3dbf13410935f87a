//! What core knows of legs and operations, as of the events it has read.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use offhook_words::{Failure, FailureCode, OperationId, Rate};
use rtrb::Consumer;

use super::api::LegKey;
use super::ring::PlayState;

/// The kinds of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Play,
    Record,
    SendDigits,
    Echo,
    Listen,
}

/// A leg.
pub struct LegEntry {
    /// Index of its media thread.
    pub thread: usize,
    /// Ours, of its media.
    pub ip: IpAddr,
    pub port: u16,
    /// Of its first codec.
    pub rate: Rate,
    pub is_connected: bool,
    pub is_closing: bool,
    /// What runs on it.
    pub operations: Vec<(OperationId, Kind)>,
}

/// A running operation.
pub struct OperationEntry {
    pub leg: LegKey,
    pub kind: Kind,
    pub is_paused: bool,
    /// A play that takes more sources.
    pub more: bool,
    pub streams: Vec<u64>,
    /// Of a play: the index of its decoder thread, and what both know.
    pub play: Option<(usize, Arc<PlayState>)>,
    /// The samples of a Listen.
    pub tap: Option<Consumer<i16>>,
}

impl OperationEntry {
    pub fn new(leg: LegKey, kind: Kind) -> Self {
        Self {
            leg,
            kind,
            is_paused: false,
            more: false,
            streams: Vec::new(),
            play: None,
            tap: None,
        }
    }
}

/// Legs and operations.
#[derive(Default)]
pub struct Registry {
    pub legs: HashMap<LegKey, LegEntry>,
    pub operations: HashMap<OperationId, OperationEntry>,
    /// Which play a stream of pushed samples belongs to.
    pub streams: HashMap<u64, OperationId>,
}

pub fn refuse<T>(code: FailureCode, message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure {
        code,
        message: message.into(),
    })
}

impl Registry {
    /// A leg on which an operation may begin.
    pub fn ready_leg(&self, leg: LegKey) -> Result<&LegEntry, Failure> {
        match self.legs.get(&leg) {
            None => refuse(FailureCode::UnknownLeg, "this leg does not exist (any more)"),
            Some(entry) if entry.is_closing => refuse(FailureCode::UnknownLeg, "this leg is ending"),
            Some(entry) if !entry.is_connected => {
                refuse(FailureCode::WrongState, "no media is agreed on yet; answer() first")
            }
            Some(entry) => Ok(entry),
        }
    }

    /// A new operation may begin on the leg: its thread and rate.
    pub fn admit(&self, id: OperationId, leg: LegKey, kind: Kind) -> Result<(usize, Rate), Failure> {
        let entry = self.ready_leg(leg)?;
        let admitted = (entry.thread, entry.rate);
        if self.operations.contains_key(&id) {
            return refuse(
                FailureCode::WrongState,
                "an operation with this id is running; use a fresh id",
            );
        }
        let running = entry.operations.iter().filter(|(_, other)| *other == kind).count();
        if running >= offhook_mix::MAX_OPERATIONS {
            let most = offhook_mix::MAX_OPERATIONS;
            return refuse(
                FailureCode::NoCapacity,
                format!("{most} operations of this kind run on the leg; stop one first"),
            );
        }
        Ok(admitted)
    }

    /// A running operation, and the thread it runs on.
    pub fn target(&mut self, id: OperationId) -> Result<(usize, &mut OperationEntry), Failure> {
        let Some(entry) = self.operations.get_mut(&id) else {
            return refuse(
                FailureCode::UnknownOperation,
                "no such operation is running; it may have ended",
            );
        };
        match self.legs.get(&entry.leg) {
            Some(leg) if !leg.is_closing => Ok((leg.thread, entry)),
            _ => refuse(FailureCode::UnknownOperation, "the leg of this operation is ending"),
        }
    }

    /// The rate of the leg of a running operation.
    pub fn rate_of(&self, id: OperationId) -> Rate {
        let leg = self.operations.get(&id).and_then(|entry| self.legs.get(&entry.leg));
        leg.map_or(Rate::default(), |leg| leg.rate)
    }

    /// An operation began.
    pub fn began(&mut self, id: OperationId, entry: OperationEntry) {
        if let Some(leg) = self.legs.get_mut(&entry.leg) {
            leg.operations.push((id, entry.kind));
        }
        self.operations.insert(id, entry);
    }

    /// An operation ended.
    pub fn ended(&mut self, id: OperationId) {
        if let Some(entry) = self.operations.remove(&id) {
            if let Some(leg) = self.legs.get_mut(&entry.leg) {
                leg.operations.retain(|(other, _)| *other != id);
            }
            for stream in entry.streams {
                self.streams.remove(&stream);
            }
        }
    }

    /// Operations of a leg.
    pub fn of_leg(&self, leg: LegKey) -> Vec<OperationId> {
        let operations = self.legs.get(&leg).map(|entry| entry.operations.iter());
        operations.into_iter().flatten().map(|(id, _)| *id).collect()
    }
}
