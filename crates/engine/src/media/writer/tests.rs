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
}

impl Bench {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("offhook-writer-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let directory = Arc::new(Directory::open(&root).unwrap());
        let (done_in, done) = RingBuffer::new(4);
        let writer = Writer::start(Arc::clone(&directory), vec![done_in]).unwrap();
        Self {
            root,
            directory,
            writer,
            done,
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
