//! Panics of the threads that are not media threads: each ends what it happened to, is counted, and is a bug.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The count, shared by these threads and core.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<AtomicU64>);

impl Faults {
    /// One more.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many since this was asked last.
    pub fn take(&self) -> u64 {
        if self.0.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        self.0.swap(0, Ordering::Relaxed)
    }
}
