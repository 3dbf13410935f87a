#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Instant;

use offhook_mix::{FrameSource, Supply};
use offhook_words::{FRAME, Rate};
use rtrb::RingBuffer;

use super::*;
use crate::media::ring::{PLAY_RING, PlaySource, PlayState};

fn play(id: OperationId, sources: Vec<Prepared>) -> (Box<Play>, PlaySource) {
    let state = Arc::new(PlayState::default());
    let (ring, samples) = RingBuffer::new(PLAY_RING);
    let play = Play::new(id, Rate::Narrow, ring, Arc::clone(&state), sources, 1, false);
    (Box::new(play), PlaySource { samples, state })
}

/// Frames that come until the play ends, and how.
fn heard(source: &mut PlaySource) -> (usize, Supply) {
    let began = Instant::now();
    let mut frames = 0;
    while began.elapsed() < Duration::from_secs(10) {
        match source.pull(&mut [0; FRAME]) {
            Supply::Frame => frames += 1,
            Supply::Starved => thread::yield_now(),
            end => return (frames, end),
        }
    }
    panic!("the play did not end after {frames} frames");
}

/// A directory without prompts.
fn nothing() -> OpenPrompt {
    Arc::new(|_| Err(io::ErrorKind::NotFound.into()))
}

fn silence(frames: u64) -> Prepared {
    Prepared::Silence {
        samples: frames * FRAME as u64,
    }
}

#[test]
fn a_panic_in_one_play_ends_it_after_what_was_made_and_is_counted_and_the_others_go_on() {
    let faults = Faults::default();
    let decoder = Decoder::start("decoder-fault", nothing(), Box::new(|_| {}), faults.clone()).unwrap();
    let (other, mut other_source) = play(1, vec![silence(200)]);
    let (bad, mut bad_source) = play(2, vec![silence(3), Prepared::Fault]);
    assert_eq!(decoder.send(DecoderCommand::Play(other)), Taken::Yes);
    assert_eq!(decoder.send(DecoderCommand::Play(bad)), Taken::Yes);
    assert_eq!(heard(&mut bad_source), (3, Supply::Failed));
    assert_eq!(bad_source.state.error().as_deref(), Some(FAULT));
    assert_eq!(faults.take(), 1);
    assert_eq!(heard(&mut other_source), (200, Supply::Ended));
    let (new, mut new_source) = play(3, vec![silence(5)]);
    assert_eq!(decoder.send(DecoderCommand::Play(new)), Taken::Yes);
    assert_eq!(heard(&mut new_source), (5, Supply::Ended));
}

#[test]
fn a_panic_over_pushed_samples_ends_their_play_and_is_counted_and_the_others_go_on() {
    let faults = Faults::default();
    let decoder = Decoder::start("decoder-push", nothing(), Box::new(|_| {}), faults.clone()).unwrap();
    let stream = Play::FAULTY_STREAM;
    let (other, mut other_source) = play(1, vec![silence(100)]);
    let (mut bad, mut bad_source) = play(2, vec![Prepared::Pcm { stream }]);
    bad.expect(stream, 8000);
    let pushed = DecoderCommand::Pcm {
        target: 2,
        stream,
        samples: vec![0; 320],
        last: true,
    };
    for command in [DecoderCommand::Play(other), DecoderCommand::Play(bad), pushed] {
        assert_eq!(decoder.send(command), Taken::Yes);
    }
    assert_eq!(heard(&mut bad_source), (0, Supply::Failed));
    assert_eq!(bad_source.state.error().as_deref(), Some(FAULT));
    assert_eq!(faults.take(), 1);
    assert_eq!(heard(&mut other_source), (100, Supply::Ended));
}

#[test]
fn a_play_whose_decoder_is_gone_ends_as_failed_and_one_that_was_done_as_ended() {
    let (play_made, mut source) = play(1, vec![silence(5)]);
    assert_eq!(source.pull(&mut [0; FRAME]), Supply::Starved);
    drop(play_made);
    assert_eq!(source.pull(&mut [0; FRAME]), Supply::Failed);
    assert!(source.state.error().unwrap().contains("is gone"));

    let (play_made, mut source) = play(2, Vec::new());
    source.state.end();
    drop(play_made);
    assert_eq!(source.pull(&mut [0; FRAME]), Supply::Ended);
}

#[test]
fn a_stream_of_an_odd_rate_costs_core_nothing_and_is_heard() {
    let decoder = Decoder::start("decoder-stream", nothing(), Box::new(|_| {}), Faults::default()).unwrap();
    let (mut made, mut source) = play(1, vec![Prepared::Pcm { stream: 7 }]);
    made.expect(7, 47_999);
    assert_eq!(decoder.send(DecoderCommand::Play(made)), Taken::Yes);
    let samples = vec![1; 47_999 / 5 * 2];
    let pushed = DecoderCommand::Pcm {
        target: 1,
        stream: 7,
        samples,
        last: true,
    };
    assert_eq!(decoder.send(pushed), Taken::Yes);
    assert_eq!(heard(&mut source), (10, Supply::Ended));
}

/// A case of `vectors/prompts`.
#[derive(serde::Deserialize)]
struct Case {
    name: String,
    parts: Vec<Part>,
    heard_s: Option<f64>,
    error: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Part {
    Hex(String),
    Fill {
        fill: String,
        times: usize,
    },
    File {
        file: String,
        from: Option<isize>,
        to: Option<isize>,
    },
}

fn vectors() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/prompts")
}

fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
    digits.as_chunks::<2>().0.iter().map(|[a, b]| a << 4 | b).collect()
}

impl Part {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Hex(digits) => hex(digits),
            Self::Fill { fill, times } => hex(fill).repeat(*times),
            Self::File { file, from, to } => {
                let bytes = std::fs::read(vectors().join(file)).unwrap();
                let at = |index: isize| index.rem_euclid(bytes.len().cast_signed()).unsigned_abs();
                let (from, to) = (from.map_or(0, at), to.map_or(bytes.len(), at));
                bytes.get(from..to).unwrap().to_vec()
            }
        }
    }
}

/// An open file without a name.
fn file(bytes: &[u8]) -> Arc<std::fs::File> {
    use std::io::Write;
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("offhook-decode-{}-{number}", std::process::id()));
    let mut file = std::fs::File::options();
    let mut file = file.read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file.write_all(bytes).unwrap();
    Arc::new(file)
}

/// Samples of a file, and how it ended.
fn decoded(bytes: &[u8]) -> (Vec<i16>, Result<(), String>) {
    let mut resamplers = resamplers::Resamplers::default();
    let mut decoder = file::FileDecoder::new(file(bytes), FileEncoding::Auto, None, Rate::Narrow, &mut resamplers);
    let mut samples = Vec::new();
    loop {
        match decoder.step(&mut resamplers, &mut samples) {
            Ok(file::Step::Done) => return (samples, Ok(())),
            Ok(_) => {}
            Err(why) => return (samples, Err(why)),
        }
    }
}

#[test]
fn each_prompt_of_the_vectors_is_heard_or_says_why_not() {
    let text = std::fs::read_to_string(vectors().join("cases.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    assert!(cases.len() > 100);
    let mut wrong = Vec::new();
    for case in cases {
        let bytes: Vec<u8> = case.parts.iter().flat_map(Part::bytes).collect();
        let (samples, outcome) = decoded(&bytes);
        let heard_s = samples.len() as f64 / 8000.0;
        let is_right = match (&outcome, &case.error) {
            (Ok(()), None) => {
                (heard_s - case.heard_s.unwrap()).abs() <= 0.11 && samples.iter().any(|sample| sample.abs() > 3000)
            }
            (Err(why), Some(part)) => why.contains(part),
            _ => false,
        };
        if !is_right {
            wrong.push(format!("{}: {heard_s:.2} s, {outcome:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_that_is_long_before_its_first_sample_keeps_no_other_play_waiting() {
    // 8 MiB of a chunk that is skipped, and of zeros that have to be looked at.
    let skipped = [&b"RIFF\0\0\0\0WAVEJUNK\0\0\x80\0"[..], &vec![7; 8 << 20]].concat();
    let mut cache = PromptCache::default();
    let report: Report = Box::new(|_| {});
    for (bytes, fills) in [(vec![0; 8 << 20], 8), (skipped, 1)] {
        let prepared = Prepared::File {
            name: Arc::from("long"),
            encoding: FileEncoding::Auto,
            growth: None,
        };
        let (mut play, source) = play(1, vec![prepared]);
        let mut count = 1;
        let held = file(&bytes);
        let prompts: OpenPrompt = Arc::new(move |_| held.try_clone());
        while play.fill(&mut cache, &prompts, &report) {
            assert!(play.is_waiting(), "it is asked again soon");
            count += 1;
        }
        assert!((fills..fills + 4).contains(&count), "{count}");
        assert!(source.state.error().is_some());
    }
}
