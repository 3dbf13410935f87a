//! What a media thread tells core, without waiting for it.

use std::collections::VecDeque;

use offhook_words::{MediaStats, OperationId};
use rtrb::{Producer, PushError};

use super::api::{LegKey, MediaEvent};
use super::clock::TickCounts;
use super::ring::Block;

/// Notices that wait for core.
pub const NOTICE_RING: usize = 8192;
/// Free places below which audio is dropped.
const RESERVE: usize = NOTICE_RING / 2;

/// An event, or what core makes one of.
#[derive(Debug)]
pub enum Notice {
    /// As it is.
    Event(MediaEvent),
    /// A block of a Listen waits in its ring.
    Block { op: OperationId, leg: LegKey, block: Block },
    /// Statistics of one leg; [`Notice::StatsEnd`] follows.
    Stats(LegKey, MediaStats),
    /// All legs of the thread were told.
    StatsEnd { ticks: TickCounts },
    /// A tick of this leg panicked; it is gone, with all its operations.
    Crashed(LegKey),
}

/// The way out of a media thread. Events are never lost; audio and statistics are, when core does not read.
pub struct Notices {
    ring: Producer<Notice>,
    overflow: VecDeque<Notice>,
    has_news: bool,
}

impl Notices {
    pub fn new(ring: Producer<Notice>) -> Self {
        Self {
            ring,
            overflow: VecDeque::with_capacity(1024),
            has_news: false,
        }
    }

    pub fn event(&mut self, event: MediaEvent) {
        self.push(Notice::Event(event));
    }

    pub fn push(&mut self, notice: Notice) {
        self.has_news = true;
        if !self.overflow.is_empty() {
            self.overflow.push_back(notice);
        } else if let Err(PushError::Full(notice)) = self.ring.push(notice) {
            self.overflow.push_back(notice);
        }
    }

    /// There is room for what may be lost.
    pub fn has_room(&self) -> bool {
        self.ring.slots() > RESERVE
    }

    /// At the end of a tick: something is new for core.
    pub fn flush(&mut self) -> bool {
        while let Some(notice) = self.overflow.pop_front() {
            if let Err(PushError::Full(notice)) = self.ring.push(notice) {
                self.overflow.push_front(notice);
                break;
            }
        }
        std::mem::take(&mut self.has_news)
    }
}
