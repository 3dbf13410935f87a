//! The writer thread: recordings, so that a crash costs a fifth of a second and a power cut one.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use offhook_codec::{WAV_HEADER_BYTES, wav_header};
use offhook_words::{OperationId, Rate};
use rtrb::Producer;

use super::api::LegKey;
use super::directory::Directory;
use super::faults::Faults;
use super::ring::{RecordOut, RecordState};
use super::sync::Syncer;

/// How often samples go to the file: what a killed process loses at most.
const PERIOD: Duration = Duration::from_millis(180);
const SYNC: Duration = Duration::from_secs(1);
/// A WAV file cannot be longer; a recording ends there.
const MOST_BYTES: u64 = u32::MAX as u64 - 1_000_000;

/// A recording to be written.
pub struct Recording {
    pub op: OperationId,
    pub leg: LegKey,
    pub name: String,
    pub channels: u16,
    pub rate: Rate,
    pub samples: RecordOut,
    pub state: Arc<RecordState>,
    /// Which media thread to tell.
    pub thread: usize,
    /// A fault while it is written, or (`true`) while it is made to last.
    #[cfg(test)]
    pub fault: Option<bool>,
    /// Written to this instead of a new file.
    #[cfg(test)]
    pub device: Option<File>,
}

/// A recording is on the disk under its name, or failed.
#[derive(Debug)]
pub struct Written {
    pub op: OperationId,
    pub leg: LegKey,
    pub duration_ms: u64,
    pub size_bytes: u64,
    /// Silent in the file, since the disk was too slow.
    pub gap_ms: u64,
    pub error: Option<Arc<str>>,
}

/// The thread, as core sees it.
pub struct Writer {
    recordings: Sender<Recording>,
    pub thread: Thread,
}

impl Writer {
    /// `done`: a ring to each media thread.
    pub fn start(directory: Arc<Directory>, done: Vec<Producer<Written>>, faults: Faults) -> io::Result<Self> {
        let (recordings, inbox) = channel();
        let syncer = Syncer::start(Arc::clone(&directory), faults.clone())?;
        let handle = thread::Builder::new()
            .name("media-writer".into())
            .spawn(move || run(&inbox, &directory, done, syncer, &faults))?;
        Ok(Self {
            recordings,
            thread: handle.thread().clone(),
        })
    }

    /// `false`: the thread is gone.
    pub fn send(&self, recording: Recording) -> bool {
        let is_sent = self.recordings.send(recording).is_ok();
        // Its file is to be there soon.
        self.thread.unpark();
        is_sent
    }
}

struct Job {
    recording: Recording,
    /// Made with the first work.
    file: Option<Arc<File>>,
    data_bytes: u64,
    is_dirty: bool,
    /// The sync that is under way is of it, too.
    is_in_lot: bool,
    error: Option<Arc<str>>,
}

fn run(
    inbox: &Receiver<Recording>,
    directory: &Directory,
    mut done: Vec<Producer<Written>>,
    mut syncer: Syncer,
    faults: &Faults,
) {
    let mut begun = Instant::now();
    let mut jobs: Vec<Job> = Vec::new();
    let mut waiting: Vec<(usize, Written)> = Vec::new();
    let mut bytes = Vec::with_capacity(160_000);
    loop {
        loop {
            match inbox.try_recv() {
                Ok(recording) => jobs.push(Job::new(recording)),
                Err(TryRecvError::Disconnected) if jobs.is_empty() => return,
                Err(_) => break,
            }
        }
        let mut at = 0;
        while let Some(job) = jobs.get_mut(at) {
            if job.guarded(directory, &mut bytes, faults) {
                at += 1;
            } else {
                let job = jobs.swap_remove(at);
                waiting.push((job.recording.thread, job.written()));
            }
        }
        waiting = waiting
            .into_iter()
            .filter_map(|(thread, written)| tell(&mut done, thread, written))
            .collect();
        sync(&mut jobs, &mut syncer, &mut begun);
        thread::park_timeout(PERIOD);
    }
}

/// Once a second, what was written is made to last.
fn sync(jobs: &mut [Job], syncer: &mut Syncer, begun: &mut Instant) {
    if let Some(outcome) = syncer.outcome() {
        for job in jobs.iter_mut() {
            if std::mem::take(&mut job.is_in_lot)
                && let Err(error) = &outcome
            {
                job.note(Err(copied(error)));
            }
        }
    }
    if syncer.is_busy() || begun.elapsed() < SYNC {
        return;
    }
    let dirty = jobs.iter_mut().filter_map(|job| {
        job.is_in_lot = std::mem::take(&mut job.is_dirty);
        job.file.as_ref().filter(|_| job.is_in_lot)
    });
    let lot: Vec<Arc<File>> = dirty.map(Arc::clone).collect();
    if !lot.is_empty() {
        *begun = Instant::now();
        #[cfg(test)]
        let is_fault = jobs
            .iter()
            .any(|job| job.is_in_lot && job.recording.fault == Some(true));
        #[cfg(test)]
        syncer.fault.store(is_fault, Ordering::Relaxed);
        syncer.begin(lot);
    }
}

/// The same error once more.
fn copied(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

/// Gives back what did not fit.
fn tell(done: &mut [Producer<Written>], thread: usize, written: Written) -> Option<(usize, Written)> {
    match done.get_mut(thread)?.push(written) {
        Ok(()) => None,
        Err(rtrb::PushError::Full(written)) => Some((thread, written)),
    }
}

impl Job {
    fn new(recording: Recording) -> Self {
        Self {
            recording,
            file: None,
            data_bytes: 0,
            is_dirty: true,
            is_in_lot: false,
            error: None,
        }
    }

    /// Like [`work`](Self::work). A panic ends this recording and no other.
    fn guarded(&mut self, directory: &Directory, bytes: &mut Vec<u8>, faults: &Faults) -> bool {
        catch_unwind(AssertUnwindSafe(|| self.work(directory, bytes))).unwrap_or_else(|_| {
            faults.add();
            self.note(Err(io::Error::other("writing it failed; this is a bug")));
            false
        })
    }

    fn note(&mut self, outcome: io::Result<()>) {
        if let Err(error) = outcome {
            // The first failure is the reason; nothing is tried again as if it had worked.
            self.error
                .get_or_insert_with(|| Arc::from(format!("the recording cannot be written: {error}")));
        }
    }

    /// Write what there is. `false`: the recording is over.
    fn work(&mut self, directory: &Directory, bytes: &mut Vec<u8>) -> bool {
        if self.file.is_none() {
            let outcome = self.begin(directory);
            self.note(outcome);
        }
        #[cfg(test)]
        assert_ne!(self.recording.fault, Some(false), "a fault, as the test wants it");
        let is_finished =
            self.recording.state.finished.load(Ordering::Acquire) || self.recording.samples.is_abandoned();
        self.take(bytes, is_finished);
        if self.error.is_none() && !bytes.is_empty() {
            let outcome = self.append(bytes);
            self.note(outcome);
        }
        if self.error.is_some() {
            return false;
        }
        if is_finished {
            let outcome = self.finish(directory);
            self.note(outcome);
            return false;
        }
        true
    }

    fn begin(&mut self, directory: &Directory) -> io::Result<()> {
        #[cfg(test)]
        if let Some(device) = &self.recording.device {
            self.file = Some(Arc::new(device.try_clone()?));
            return self.write_header();
        }
        self.file = Some(Arc::new(directory.create_part(&self.recording.name)?));
        self.write_header()
    }

    fn file(&self) -> io::Result<&File> {
        self.file
            .as_deref()
            .ok_or_else(|| io::Error::other("it was never begun"))
    }

    fn take(&mut self, bytes: &mut Vec<u8>, is_finished: bool) {
        bytes.clear();
        self.recording.samples.take(bytes);
        if is_finished {
            let tail = self.recording.state.tail.load(Ordering::Relaxed) as usize;
            bytes.resize(bytes.len() + tail * 2, 0);
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.data_bytes + bytes.len() as u64 > MOST_BYTES {
            return Err(io::Error::other(
                "4 GiB are the most that a WAV file holds; set a max_length",
            ));
        }
        self.file()?
            .write_all_at(bytes, WAV_HEADER_BYTES as u64 + self.data_bytes)?;
        self.data_bytes += bytes.len() as u64;
        self.is_dirty = true;
        self.write_header()
    }

    fn write_header(&self) -> io::Result<()> {
        let header = wav_header(
            self.recording.channels,
            self.recording.rate.hz(),
            self.data_bytes as u32,
        );
        self.file()?.write_all_at(&header, 0)
    }

    fn finish(&self, directory: &Directory) -> io::Result<()> {
        self.file()?.sync_all()?;
        directory.finish_part(&self.recording.name)
    }

    fn written(self) -> Written {
        let Recording {
            op,
            leg,
            channels,
            rate,
            ..
        } = self.recording;
        let samples_per_ms = u64::from(channels) * rate.per_ms();
        let gap_ms = self.recording.state.gap.load(Ordering::Relaxed) / samples_per_ms;
        let header_bytes = if self.file.is_some() {
            WAV_HEADER_BYTES as u64
        } else {
            0
        };
        let duration_ms = self.data_bytes / (samples_per_ms * 2);
        Written {
            op,
            leg,
            duration_ms,
            size_bytes: header_bytes + self.data_bytes,
            gap_ms,
            error: self.error,
        }
    }
}

#[cfg(test)]
mod tests;
