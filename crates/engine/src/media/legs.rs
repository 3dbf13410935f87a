//! The legs of a media thread, in the order of their ticks, found by their keys.

use std::collections::HashMap;

use super::api::LegKey;
use super::slot::Slot;

/// Legs side by side: in boxes of their own they cost a tick 5 to 10 % more.
#[derive(Default)]
pub struct Legs {
    slots: Vec<Slot>,
    places: HashMap<LegKey, usize>,
}

impl Legs {
    /// Room for so many is made once.
    pub fn with_capacity(most: usize) -> Self {
        Self {
            slots: Vec::with_capacity(most),
            places: HashMap::with_capacity(most),
        }
    }

    pub fn push(&mut self, slot: Slot) {
        self.places.insert(slot.key(), self.slots.len());
        self.slots.push(slot);
    }

    pub fn get_mut(&mut self, key: LegKey) -> Option<&mut Slot> {
        let place = self.places.get(&key)?;
        self.slots.get_mut(*place)
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slots.iter_mut()
    }

    /// Each leg in its turn; it stays when `tick` says so.
    pub fn retain(&mut self, mut tick: impl FnMut(&mut Slot) -> bool) {
        let mut at = 0;
        while let Some(slot) = self.slots.get_mut(at) {
            if tick(slot) {
                at += 1;
                continue;
            }
            let slot = self.slots.swap_remove(at);
            self.places.remove(&slot.key());
            if let Some(moved) = self.slots.get(at) {
                self.places.insert(moved.key(), at);
            }
        }
    }

    /// All of them go.
    pub fn drain(&mut self) -> impl Iterator<Item = Slot> {
        self.places.clear();
        self.slots.drain(..)
    }
}
