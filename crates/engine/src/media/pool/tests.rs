//! A disk with prompts that does not answer: who waits for it, and who does not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use offhook_words::{Encoding, Interrupt, Side, Source, Tone};

use super::*;
use crate::media::api::MediaCommand;
use crate::media::stream_of_tests;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NEVER: Interrupt = Interrupt {
    digit: false,
    speech: false,
};

/// A pool whose prompts are on a disk that does nothing until `hold` is dropped.
struct Stalled {
    root: PathBuf,
    pool: MediaPool,
    hold: Option<Sender<()>>,
    is_waited_for: Arc<AtomicBool>,
    events: Vec<MediaEvent>,
}

impl Stalled {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("offhook-stalled-{name}-{}", std::process::id()));
        let (prompts, recordings) = (root.join("prompts"), root.join("recordings"));
        std::fs::create_dir_all(&prompts).unwrap();
        std::fs::create_dir_all(&recordings).unwrap();
        std::fs::write(prompts.join("a"), vec![1; 8000]).unwrap();
        let directory = Directory::open(&prompts).unwrap();
        let (hold, go) = channel::<()>();
        let go = Mutex::new(go);
        let is_waited_for = Arc::<AtomicBool>::default();
        let waits = Arc::clone(&is_waited_for);
        let stalled: OpenPrompt = Arc::new(move |name| {
            // Once nobody holds it back any more it goes on.
            waits.store(true, Ordering::Release);
            let _ = go.lock().unwrap().recv();
            directory.read(name)
        });
        let mut config = MediaConfig::new(prompts, recordings);
        config.threads = 1;
        let pool = MediaPool::with_prompts(config, stalled, Box::new(|| {})).unwrap();
        Self {
            root,
            pool,
            hold: Some(hold),
            is_waited_for,
            events: Vec::new(),
        }
    }

    fn open(&mut self, leg: u32) -> UdpSocket {
        let peer = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let port = self.pool.bind(LOOPBACK).unwrap();
        self.pool.open(LegKey(leg), port).unwrap();
        let parameters = stream_of_tests::parameters(peer.local_addr().unwrap());
        self.pool.connect(LegKey(leg), parameters).unwrap();
        peer
    }

    fn append(&mut self, target: OperationId, count: usize) -> Result<(), Failure> {
        self.pool.command(MediaCommand::Append {
            target,
            sources: vec![prompt(); count],
            more: true,
        })
    }

    fn play(&mut self, id: OperationId, leg: u32, source: Source, more: bool) -> Result<(), Failure> {
        self.pool.command(MediaCommand::Play {
            id,
            leg: LegKey(leg),
            sources: vec![source],
            side: Side::Heard,
            volume_db: 0.0,
            loops: 1,
            more,
            interrupt: NEVER,
        })
    }

    /// Wait until such an event was told.
    fn until(&mut self, is_it: impl Fn(&MediaEvent) -> bool) {
        let began = Instant::now();
        while !self.events.iter().any(&is_it) {
            assert!(began.elapsed() < Duration::from_secs(20), "{:?}", self.events);
            match self.pool.poll_event() {
                Some(event) => self.events.push(event),
                None => std::thread::yield_now(),
            }
        }
    }

    fn started(&mut self, id: OperationId) {
        self.until(|event| matches!(event, MediaEvent::Started { op, .. } if *op == id));
    }

    fn ended(&mut self, id: OperationId, with: EndCause) {
        self.until(|event| matches!(event, MediaEvent::Ended { op, cause, .. } if *op == id && *cause == with));
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        self.hold = None;
        std::fs::remove_dir_all(&self.root).unwrap();
    }
}

fn prompt() -> Source {
    Source::File {
        prompt: "a".to_owned(),
        encoding: Encoding::PcmS16le,
        rate_hz: 8000,
        growing: false,
    }
}

fn tone() -> Source {
    let step = Tone {
        duration_ms: 200,
        frequencies_hz: vec![440.0],
        level_dbm0: -10.0,
    };
    Source::Tone {
        cadence: vec![step],
        duration_ms: 0,
    }
}

#[test]
fn a_disk_that_stalls_holds_up_its_prompts_alone_and_they_are_heard_once_it_goes_on() {
    let mut stalled = Stalled::new("alone");
    let (first, second) = (stalled.open(1), stalled.open(2));
    // Were a command to wait for the disk, this would never end: core, and SIP with it, would stand still.
    stalled.play(10, 1, prompt(), false).unwrap();
    stalled.play(11, 1, prompt(), true).unwrap();
    stalled.play(20, 2, prompt(), false).unwrap();
    stalled.append(11, 1).unwrap();
    stalled.play(21, 2, tone(), false).unwrap();
    stalled.started(21);
    stalled.ended(21, EndCause::Finished);
    let pushed = Source::Pcm {
        stream: 7,
        rate_hz: 8000,
    };
    stalled.play(22, 2, pushed, false).unwrap();
    let samples = MediaCommand::Pcm {
        stream: 7,
        samples: vec![1; 640],
        last: true,
    };
    stalled.pool.command(samples).unwrap();
    stalled.ended(22, EndCause::Finished);
    for peer in [&first, &second] {
        (0..10).for_each(|_| _ = peer.recv(&mut [0; 2048]).unwrap());
    }
    stalled.pool.command(MediaCommand::Stop { target: 10 }).unwrap();
    stalled.ended(10, EndCause::Stopped);
    stalled.pool.close(LegKey(1));
    stalled.until(|event| matches!(event, MediaEvent::Closed { leg: LegKey(1), .. }));
    let waits = |event: &MediaEvent| matches!(event, MediaEvent::Started { op: 20, .. });
    assert!(!stalled.events.iter().any(waits), "its prompt cannot be read yet");
    stalled.hold = None;
    stalled.started(20);
    stalled.ended(20, EndCause::Finished);
}

#[test]
fn what_waits_for_a_disk_that_stalls_is_bounded_and_refused_with_a_sentence() {
    let mut stalled = Stalled::new("bounded");
    let _peer = stalled.open(1);
    // All on one thread.
    let files = stalled.pool.decoders.len() as u64 - 1;
    stalled.play(files, 1, prompt(), true).unwrap();
    while !stalled.is_waited_for.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
    (2..=5).for_each(|id| stalled.play(id * files, 1, prompt(), true).unwrap());
    let mut taken = 4;
    for id in 1..=4 {
        let refused = loop {
            match stalled.append(id * files, 1) {
                Ok(()) => taken += 1,
                Err(refusal) => break refusal,
            }
        };
        let sentence = "1024 sources of this play wait; 1024 may: append more when some were played";
        assert_eq!(
            (refused.code, refused.message.as_str()),
            (FailureCode::NoCapacity, sentence)
        );
    }
    assert_eq!(taken, 4 + 4 * 1023);
    let refused = stalled.append(5 * files, 1).unwrap_err();
    let sentence = "the disk with the prompts does not keep up; try again later";
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (FailureCode::NoCapacity, sentence)
    );
    assert_eq!(stalled.play(6 * files, 1, prompt(), false), Err(refused));
    stalled.play(7 * files, 1, tone(), false).unwrap();
    stalled.ended(7 * files, EndCause::Finished);
    stalled.hold = None;
    stalled.started(files);
    stalled.append(5 * files, 1).unwrap();
}

#[test]
fn more_than_512_sources_at_once_are_refused_with_a_sentence() {
    let mut stalled = Stalled::new("many");
    let _peer = stalled.open(1);
    let mut play = |id, count: usize| {
        stalled.pool.command(MediaCommand::Play {
            id,
            leg: LegKey(1),
            sources: vec![Source::Silence { duration_ms: 20 }; count],
            side: Side::Heard,
            volume_db: 0.0,
            loops: 2,
            more: false,
            interrupt: NEVER,
        })
    };
    let refused = play(1, 513).unwrap_err();
    assert_eq!(refused.code, FailureCode::BadRequest);
    assert!(
        refused.message.contains("append those beyond 512"),
        "{}",
        refused.message
    );
    play(2, 512).unwrap();
}

#[test]
fn a_media_thread_that_hangs_is_noticed_and_one_that_waits_for_nothing_is_not() {
    let mut stalled = Stalled::new("hung");
    let _peer = stalled.open(1);
    let turns = |pool: &MediaPool| pool.threads.first().unwrap().turns.load(Ordering::Relaxed);
    let until_a_turn = |pool: &MediaPool| {
        let (began, before) = (Instant::now(), turns(pool));
        while turns(pool) == before {
            assert!(began.elapsed() < Duration::from_secs(20), "it does not turn");
            std::thread::yield_now();
        }
    };
    for _ in 0..3 {
        until_a_turn(&stalled.pool);
        assert_eq!(stalled.pool.standing(), None);
    }
    let (release, released) = channel();
    stalled.pool.send(0, ThreadCommand::Hang(LegKey(1), released)).unwrap();
    let began = Instant::now();
    while stalled.pool.standing().is_none() {
        assert!(began.elapsed() < Duration::from_secs(20), "nobody noticed");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(stalled.pool.standing(), Some(0), "for as long as it hangs");
    drop(release);
    until_a_turn(&stalled.pool);
    assert_eq!(stalled.pool.standing(), None);
}

#[test]
fn legs_that_go_in_any_order_leave_the_others_where_they_are_found() {
    let mut line = Stalled::new("order");
    let peers: Vec<UdpSocket> = (0..6).map(|leg| line.open(leg)).collect();
    let mut left: Vec<u32> = (0..6).collect();
    for (round, gone) in (0_u64..).zip([2, 0, 5, 3, 4]) {
        line.pool.close(LegKey(gone));
        line.until(|event| matches!(event, MediaEvent::Closed { leg, .. } if *leg == LegKey(gone)));
        left.retain(|leg| *leg != gone);
        for leg in &left {
            let id = 1 + round * 10 + u64::from(*leg);
            line.play(id, *leg, tone(), false).unwrap();
            line.until(|event| {
                let is_there = |of: &LegKey| *of == LegKey(*leg);
                matches!(event, MediaEvent::Started { leg, op, .. } if *op == id && is_there(leg))
            });
        }
        assert_eq!(line.pool.held().streams, left.len());
    }
    // What ran on the last one is told before it goes, and nothing is left.
    line.pool.close(LegKey(1));
    line.until(|event| matches!(event, MediaEvent::Closed { leg, .. } if *leg == LegKey(1)));
    assert_eq!((line.pool.held().streams, line.pool.held().operations), (0, 0));
    drop(peers);
}
