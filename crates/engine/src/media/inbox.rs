//! Which legs of a media thread have reports waiting: one question to the kernel a tick, not one a leg.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::event::{Timespec, epoll};

use super::api::LegKey;
use super::slot::Slot;

/// Legs that are told of in one tick; the others are in the next.
const MOST: usize = 64;
/// Keys are told apart by so many bits: who shares them with another looks for nothing once in a while.
const BITS: u32 = 1024;

/// The RTCP sockets of the legs. One that is closed, as it is with its leg, leaves it by itself.
pub struct Inbox {
    epoll: OwnedFd,
    /// The kernel did not take a socket (it has a limit for them): from then on every leg is looked at.
    is_blind: bool,
    has: [u64; BITS as usize / 64],
}

fn place(key: LegKey) -> (usize, u64) {
    let bit = key.0 % BITS;
    (bit as usize / 64, 1 << (bit % 64))
}

impl Inbox {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            is_blind: false,
            has: [0; BITS as usize / 64],
        })
    }

    /// A leg came.
    pub fn add(&mut self, slot: &Slot) {
        let data = epoll::EventData::new_u64(slot.key().0.into());
        let added = epoll::add(&self.epoll, slot.report_socket(), data, epoll::EventFlags::IN);
        self.is_blind |= added.is_err();
    }

    /// Ask the kernel, without waiting.
    pub fn look(&mut self) {
        const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
        self.has = [0; BITS as usize / 64];
        let mut events = [MaybeUninit::uninit(); MOST];
        let Ok((events, _)) = epoll::wait(&self.epoll, events.as_mut_slice(), Some(&NOW)) else {
            return;
        };
        for event in events.iter() {
            let (word, bit) = place(LegKey(event.data.u64() as u32));
            if let Some(word) = self.has.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// Reports of this leg may wait.
    pub fn has(&self, leg: LegKey) -> bool {
        let (word, bit) = place(leg);
        self.is_blind || self.has.get(word).is_some_and(|word| word & bit != 0)
    }
}
