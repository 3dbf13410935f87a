//! The thread that waits for the disk, so that the writer does not.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;

use super::directory::Directory;
use super::faults::Faults;

/// So many files are made to last one by one; with more, the whole file system is cheaper.
const MOST_FILES: usize = 8;

/// What was written is made to last, at most one lot at a time.
pub struct Syncer {
    lots: Sender<Vec<Arc<File>>>,
    outcomes: Receiver<io::Result<()>>,
    is_busy: bool,
    /// The next lot meets a fault.
    #[cfg(test)]
    pub fault: Arc<std::sync::atomic::AtomicBool>,
}

impl Syncer {
    pub fn start(directory: Arc<Directory>, faults: Faults) -> io::Result<Self> {
        let (lots, inbox) = channel::<Vec<Arc<File>>>();
        let (done, outcomes) = channel();
        #[cfg(test)]
        let fault = Arc::<std::sync::atomic::AtomicBool>::default();
        #[cfg(test)]
        let fails = Arc::clone(&fault);
        thread::Builder::new().name("media-sync".into()).spawn(move || {
            for lot in inbox {
                // After a panic it is not known what is on the disk: the recordings of this lot failed, later ones go on.
                let outcome = catch_unwind(AssertUnwindSafe(|| {
                    #[cfg(test)]
                    assert!(
                        !fails.swap(false, std::sync::atomic::Ordering::Relaxed),
                        "a fault, as the test wants it"
                    );
                    sync(&lot, &directory)
                }))
                .unwrap_or_else(|_| {
                    faults.add();
                    Err(io::Error::other("syncing failed; this is a bug"))
                });
                if done.send(outcome).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self {
            lots,
            outcomes,
            is_busy: false,
            #[cfg(test)]
            fault,
        })
    }

    /// How the last lot went, once it is known; `None` while it is on its way, or when there was none.
    pub fn outcome(&mut self) -> Option<io::Result<()>> {
        match self.outcomes.try_recv() {
            Ok(outcome) => {
                self.is_busy = false;
                Some(outcome)
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(io::Error::other("the thread that syncs is gone"))),
        }
    }

    /// A lot is on its way.
    pub fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Make these files last.
    pub fn begin(&mut self, lot: Vec<Arc<File>>) {
        // A thread that is gone is told by the next outcome.
        self.is_busy = self.lots.send(lot).is_ok();
    }
}

fn sync(lot: &[Arc<File>], directory: &Directory) -> io::Result<()> {
    if lot.len() > MOST_FILES {
        return directory.sync_all();
    }
    lot.iter().try_for_each(|file| file.sync_data())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn after_a_panic_the_next_lot_is_synced() {
        let root = std::env::temp_dir().join(format!("offhook-sync-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let directory = Arc::new(Directory::open(&root).unwrap());
        let file = Arc::new(directory.create_part("r.wav").unwrap());
        let faults = Faults::default();
        let mut syncer = Syncer::start(directory, faults.clone()).unwrap();
        let mut outcome = |is_fault| {
            syncer.fault.store(is_fault, std::sync::atomic::Ordering::Relaxed);
            syncer.begin(vec![Arc::clone(&file)]);
            loop {
                match syncer.outcome() {
                    None => thread::yield_now(),
                    Some(outcome) => return outcome.is_ok(),
                }
            }
        };
        assert!(!outcome(true));
        assert!(outcome(false));
        assert_eq!(faults.take(), 1);
        std::fs::remove_dir_all(&root).unwrap();
    }
}
