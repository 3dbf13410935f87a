#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;

use offhook_mix::FrameSink;
use offhook_words::{FRAME, Rate};
use rtrb::RingBuffer;

use super::*;
use crate::media::ring::{RecordSink, record_ring};

struct Bench {
    root: PathBuf,
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
            writer,
            done,
            faults,
        }
    }

    fn recording(device: Option<File>) -> (RecordSink, Recording) {
        let state = Arc::new(RecordState::default());
        let (sink, samples) = record_ring(2, Rate::Narrow, &state);
        let recording = Recording {
            op: 1,
            leg: LegKey(1),
            name: "r.wav".to_owned(),
            channels: 2,
            rate: Rate::Narrow,
            samples,
            state,
            thread: 0,
            fault: None,
            device,
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
    let (mut sink, recording) = Bench::recording(Some(full));
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
    let (mut sink, recording) = Bench::recording(None);
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
    fn named(op: OperationId, name: &str) -> (RecordSink, Recording) {
        let (sink, recording) = Self::recording(None);
        let name = name.to_owned();
        (sink, Recording { op, name, ..recording })
    }
}

#[test]
fn a_panic_while_one_recording_is_written_ends_that_one_and_is_counted() {
    let mut bench = Bench::new("fault");
    let (mut good_sink, good) = Bench::named(1, "good.wav");
    let (mut bad_sink, bad) = Bench::named(2, "bad.wav");
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
    let (mut sink, recording) = Bench::named(3, "new.wav");
    sink.push(&[1; FRAME * 2]);
    sink.finish();
    assert!(bench.writer.send(recording));
    let ended = bench.written();
    assert_eq!((ended.op, ended.error), (3, None));
}

#[test]
fn a_panic_while_recordings_are_synced_ends_these_and_new_ones_are_taken() {
    let mut bench = Bench::new("sync-fault");
    let (mut bad_sink, bad) = Bench::named(1, "bad.wav");
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
    let (mut sink, recording) = Bench::named(2, "new.wav");
    sink.push(&[1; FRAME * 2]);
    sink.finish();
    assert!(bench.writer.send(recording));
    let ended = bench.written();
    assert_eq!((ended.op, ended.error), (2, None));
}

#[test]
fn a_recording_whose_name_is_taken_ends_with_a_sentence_and_the_other_goes_on() {
    let mut bench = Bench::new("taken");
    let (mut first_sink, first) = Bench::named(1, "one.wav");
    let (mut second_sink, second) = Bench::named(2, "one.wav");
    first_sink.push(&[1; FRAME * 2]);
    second_sink.push(&[2; FRAME * 2]);
    assert!(bench.writer.send(first) && bench.writer.send(second));
    let ended = bench.written();
    assert_eq!((ended.op, ended.size_bytes), (2, 0));
    assert!(ended.error.unwrap().contains("exists"));
    first_sink.finish();
    let ended = bench.written();
    assert_eq!((ended.op, ended.size_bytes, ended.error), (1, 44 + 640, None));
}

#[test]
fn a_recording_ends_where_a_wav_file_does_and_says_so() {
    let bench = Bench::new("longest");
    let directory = Directory::open(&bench.root).unwrap();
    let (_sink, recording) = Bench::named(1, "long.wav");
    let mut job = Job::new(recording);
    job.begin(&directory).unwrap();
    job.data_bytes = MOST_BYTES - 100;
    job.append(&[0; 100]).unwrap();
    let error = job.append(&[0; 4]).unwrap_err();
    assert!(error.to_string().contains("set a max_length"), "{error}");
}
