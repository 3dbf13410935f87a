//! The thread that waits for the disk, so that the writer does not.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;

use super::directory::Directory;

/// So many files are made to last one by one; with more, the whole file system is cheaper.
const MOST_FILES: usize = 8;

/// What was written is made to last, at most one lot at a time.
pub struct Syncer {
    lots: Sender<Vec<Arc<File>>>,
    outcomes: Receiver<io::Result<()>>,
    is_busy: bool,
}

impl Syncer {
    pub fn start(directory: Arc<Directory>) -> io::Result<Self> {
        let (lots, inbox) = channel::<Vec<Arc<File>>>();
        let (done, outcomes) = channel();
        thread::Builder::new().name("media-sync".into()).spawn(move || {
            for lot in inbox {
                if done.send(sync(&lot, &directory)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self {
            lots,
            outcomes,
            is_busy: false,
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
