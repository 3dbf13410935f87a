#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;

use offhook_dsp::FRAME;
use offhook_mix::FrameSink;
use rtrb::RingBuffer;

use super::*;
use crate::media::ring::{RecordSink, record_ring};

struct Bench {
    root: PathBuf,
    directory: Arc<Directory>,
    writer: Writer,
    done: rtrb::Consumer<Written>,
    faults: Faults,
}

impl Bench {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("offhook-writer-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let directory = Arc::new(Directory::open(&root).unwrap());
        let (done_in, done) = RingBuffer::new(4);
        let faults = Faults::default();
        let writer = Writer::start(Arc::clone(&directory), vec![done_in], faults.clone()).unwrap();
        Self {
            root,
            directory,
            writer,
            done,
            faults,
        }
    }

    fn recording(file: File) -> (RecordSink, Recording) {
        let state = Arc::new(RecordState::default());
        let (sink, samples) = record_ring(2, &state);
        let recording = Recording {
            op: 1,
            leg: LegKey(1),
            name: "r.wav".to_owned(),
            file: Arc::new(file),
            channels: 2,
            samples,
            state,
            thread: 0,
            fault: None,
        };
        (sink, recording)
    }

    fn written(&mut self) -> Written {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            match self.done.pop() {
                Ok(written) => return written,
                Err(_) => thread::yield_now(),
            }
        }
        panic!("the writer did not tell");
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.root).unwrap();
    }
}

#[test]
fn a_full_disk_ends_the_recording_and_the_reason_is_told() {
    let mut bench = Bench::new("full");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (mut sink, recording) = Bench::recording(full);
    sink.push(&[1; FRAME * 2]);
    assert!(bench.writer.send(recording));
    let written = bench.written();
    let why = written.error.unwrap();
    assert!(why.contains("cannot be written: No space left on device"), "{why}");
    // Nobody writes any more, and the sink takes what comes all the same.
    for _ in 0..1000 {
        sink.push(&[1; FRAME * 2]);
    }
}

#[test]
fn a_writer_that_comes_late_leaves_silence_of_the_right_length_and_tells_how_much() {
    let mut bench = Bench::new("late");
    let file = bench.directory.create_part("r.wav").unwrap();
    let (mut sink, recording) = Bench::recording(file);
    // 8 s, of which 5.4 s wait.
    for _ in 0..400 {
        sink.push(&[1; FRAME * 2]);
    }
    sink.finish();
    assert!(bench.writer.send(recording));
    let written = bench.written();
    assert_eq!((written.duration_ms, written.gap_ms), (8000, 2600));
    assert!(written.error.is_none());
    let bytes = std::fs::read(bench.root.join("r.wav")).unwrap();
    assert_eq!(bytes.len() as u64, written.size_bytes);
    let silent = bytes.iter().skip(WAV_HEADER_BYTES).rev().take_while(|byte| **byte == 0);
    // The last byte of the last sample that is heard is 0 as well.
    assert_eq!(silent.count(), 2600 * 32 + 1);
}

impl Bench {
    fn named(&self, op: OperationId, name: &str) -> (RecordSink, Recording) {
        let (sink, recording) = Self::recording(self.directory.create_part(name).unwrap());
        let name = name.to_owned();
        (sink, Recording { op, name, ..recording })
    }
}

#[test]
fn a_panic_while_one_recording_is_written_ends_that_one_and_is_counted() {
    let mut bench = Bench::new("fault");
    let (mut good_sink, good) = bench.named(1, "good.wav");
    let (mut bad_sink, bad) = bench.named(2, "bad.wav");
    let bad = Recording {
        fault: Some(false),
        ..bad
    };
    good_sink.push(&[1; FRAME * 2]);
    bad_sink.push(&[1; FRAME * 2]);
    assert!(bench.writer.send(bad) && bench.writer.send(good));
    let ended = bench.written();
    assert_eq!(ended.op, 2);
    assert!(ended.error.unwrap().contains("this is a bug"));
    assert_eq!(bench.faults.take(), 1);
    good_sink.finish();
    bench.writer.thread.unpark();
    let ended = bench.written();
    assert_eq!((ended.op, ended.duration_ms, ended.error), (1, 20, None));
    assert!(bench.root.join("good.wav").exists());
    // And new ones are taken.
    let (mut sink, recording) = bench.named(3, "new.wav");
    sink.push(&[1; FRAME * 2]);
    sink.finish();
    assert!(bench.writer.send(recording));
    let ended = bench.written();
    assert_eq!((ended.op, ended.error), (3, None));
}

#[test]
fn a_panic_while_recordings_are_synced_ends_these_and_new_ones_are_taken() {
    let mut bench = Bench::new("sync-fault");
    let (mut bad_sink, bad) = bench.named(1, "bad.wav");
    let bad = Recording {
        fault: Some(true),
        ..bad
    };
    bad_sink.push(&[1; FRAME * 2]);
    assert!(bench.writer.send(bad));
    let ended = bench.written();
    assert_eq!(ended.op, 1);
    assert!(ended.error.unwrap().contains("syncing failed"));
    assert_eq!(bench.faults.take(), 1);
    let (mut sink, recording) = bench.named(2, "new.wav");
    sink.push(&[1; FRAME * 2]);
    sink.finish();
    assert!(bench.writer.send(recording));
    let ended = bench.written();
    assert_eq!((ended.op, ended.error), (2, None));
}
