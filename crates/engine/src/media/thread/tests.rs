#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::time::Instant;

use offhook_mix::{FrameSource, RecorderLimits, Supply, record_beep};
use offhook_rtp::{Header, RtpPacket, write_header};
use offhook_words::{Codec, EndCause, FRAME, Formats, Interrupt, Source};
use rtrb::RingBuffer;

use super::*;
use crate::media::api::{MediaCommand, MediaConfig};
use crate::media::pool::MediaPool;
use crate::media::ring::{PlayState, RecordState, record_ring};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NEVER: Interrupt = Interrupt {
    digit: false,
    speech: false,
};

mod line;
mod peer;
mod time;
mod wide;

use line::{Line, parameters};

/// These formats, by the codec's own number.
fn by(codec: Codec, formats: Formats) -> Formats {
    let number = codec.static_payload_type();
    Formats {
        codec,
        payload_type_rx: number,
        payload_type_tx: number,
        ..formats
    }
}

struct Faults {
    root: PathBuf,
    pool: MediaPool,
}

impl Faults {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("offhook-thread-{name}-{}", std::process::id()));
        let (prompts, recordings) = (root.join("prompts"), root.join("recordings"));
        std::fs::create_dir_all(&prompts).unwrap();
        std::fs::create_dir_all(&recordings).unwrap();
        let mut config = MediaConfig::new(prompts, recordings);
        config.threads = 1;
        let pool = MediaPool::start(config, Box::new(|| {})).unwrap();
        Self { root, pool }
    }

    /// A leg that is recorded and hears silence without end: operations 10 and 11 times its number.
    fn open(&mut self, leg: u32) -> UdpSocket {
        let peer = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let port = self.pool.bind(LOOPBACK).unwrap();
        self.pool.open(LegKey(leg), port).unwrap();
        self.pool.connect(LegKey(leg), parameters(&peer)).unwrap();
        let play = MediaCommand::Play {
            id: u64::from(leg) * 10,
            leg: LegKey(leg),
            sources: vec![Source::Silence { duration_ms: 100_000 }],
            side: Side::Heard,
            volume_db: 0.0,
            loops: 1,
            more: false,
            interrupt: NEVER,
        };
        let record = MediaCommand::Record {
            id: u64::from(leg) * 10 + 1,
            leg: LegKey(leg),
            recording: format!("{leg}.wav"),
            side: Side::Both,
            stereo: false,
            beep: false,
            initial_timeout_ms: 0,
            end_silence_timeout_ms: 0,
            max_length_ms: 0,
            terminators: String::new(),
            sensitivity: 44.0,
        };
        self.pool.command(play).unwrap();
        self.pool.command(record).unwrap();
        peer
    }

    /// What is told until so many legs are closed.
    fn until_closed(&mut self, legs: usize) -> Vec<MediaEvent> {
        let began = Instant::now();
        let mut events = Vec::new();
        let is_closed = |event: &&MediaEvent| matches!(event, MediaEvent::Closed { .. });
        while events.iter().filter(is_closed).count() < legs {
            assert!(began.elapsed() < Duration::from_secs(10), "{events:?}");
            match self.pool.poll_event() {
                Some(event) => events.push(event),
                None => std::thread::yield_now(),
            }
        }
        events
    }

    fn wait_for_recording(&self, leg: u32) {
        let path = self.root.join("recordings").join(format!("{leg}.wav"));
        let began = Instant::now();
        while !path.exists() {
            assert!(began.elapsed() < Duration::from_secs(10), "{path:?} was not finished");
            std::thread::yield_now();
        }
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.root).unwrap();
    }
}

fn sequence(peer: &UdpSocket) -> u16 {
    let mut buffer = [0; 2048];
    let size = peer.recv(&mut buffer).unwrap();
    RtpPacket::parse(buffer.get(..size).unwrap()).unwrap().header.sequence
}

/// Operations of a leg that ended by a fault, before the leg was closed.
fn faults(events: &[MediaEvent], wanted: u32) -> Vec<OperationId> {
    let mut ops: Vec<OperationId> = events
        .iter()
        .take_while(|event| !matches!(event, MediaEvent::Closed { leg, .. } if leg.0 == wanted))
        .filter_map(|event| match event {
            MediaEvent::Ended {
                leg,
                op,
                cause: EndCause::Error,
                detail: Some(_),
                ..
            } if leg.0 == wanted => Some(*op),
            _ => None,
        })
        .collect();
    ops.sort_unstable();
    ops
}

#[test]
fn a_fault_of_one_leg_ends_that_leg_and_no_other() {
    let mut faulty = Faults::new("one");
    let (first, second) = (faulty.open(1), faulty.open(2));
    sequence(&first);
    sequence(&second);
    faulty.pool.send(0, ThreadCommand::Fail(LegKey(1), false)).unwrap();
    let events = faulty.until_closed(1);
    assert_eq!(faults(&events, 1), [10, 11]);
    assert!(faults(&events, 2).is_empty());
    faulty.wait_for_recording(1);
    let mut last = sequence(&second);
    for _ in 0..10 {
        let next = sequence(&second);
        assert_eq!(next, last.wrapping_add(1));
        last = next;
    }
    faulty.pool.close(LegKey(2));
    faulty.until_closed(1);
}

#[test]
fn a_fault_of_the_thread_ends_its_legs_and_the_next_leg_is_served() {
    let mut faulty = Faults::new("all");
    let (first, second) = (faulty.open(1), faulty.open(2));
    sequence(&first);
    sequence(&second);
    faulty.pool.send(0, ThreadCommand::Fail(LegKey(1), true)).unwrap();
    let events = faulty.until_closed(2);
    assert_eq!(faults(&events, 1), [10, 11]);
    assert_eq!(faults(&events, 2), [20, 21]);
    let third = faulty.open(3);
    (0..10).for_each(|_| _ = sequence(&third));
    faulty.pool.close(LegKey(3));
    faulty.until_closed(1);
}

/// One leg on a thread that the test ticks itself, and the far ends of all its rings.
struct Busy {
    line: Line,
    to_play: Producer<i16>,
    recorded: crate::media::ring::RecordOut,
    tapped: Consumer<i16>,
}

impl Busy {
    fn new(codec: Codec) -> Self {
        let mut line = Line::agreed(|formats| *formats = by(codec, *formats));
        let rate = codec.rate();
        let leg = line.leg();
        let (to_play, samples) = RingBuffer::new(8000 * rate.factor());
        let state = Arc::new(PlayState::default());
        let source = PlaySource { samples, state };
        let player = Player::new(1, source, Side::Both, -6.0, NEVER, 1);
        let state = Arc::new(RecordState::default());
        let (sink, recorded) = record_ring(2, rate, &state);
        let limits = RecorderLimits {
            end_silence_timeout_ms: 60_000,
            sensitivity: 44.0,
            ..RecorderLimits::default()
        };
        let taker = Recorder::new(2, sink, Side::Both, true, Some(record_beep(rate)), limits, 1);
        let (tap_in, tapped) = RingBuffer::new(8000);
        let tap = TapSink::new(tap_in, 40, 500);
        let digits = DigitScript::new(4, rate, "1w2#", 100, 100, 1).unwrap();
        assert!(leg.mixer.add_player(player) && leg.mixer.add_recorder(taker));
        assert!(leg.mixer.add_tap(3, Side::Both, tap, 1) && leg.mixer.add_digits(digits));
        assert!(leg.mixer.add_echo(5, 2000, 1));
        Self {
            line,
            to_play,
            recorded,
            tapped,
        }
    }

    /// A packet of the peer: of speech, or of a key that is down.
    fn say(&self, number: u16, is_key: bool) {
        let mut packet = vec![0x55; if is_key { 16 } else { 172 }];
        let header = Header {
            marker: number == 0,
            payload_type: if is_key {
                101
            } else {
                self.line.stream.formats.payload_type_rx
            },
            sequence: number,
            timestamp: u32::from(number) * 160,
            ssrc: 9,
        };
        write_header(&header, &mut packet);
        self.line.peer.send(&packet).unwrap();
    }

    /// Empty and fill what others would.
    fn serve(&mut self, bytes: &mut Vec<u8>) -> usize {
        while self.to_play.push(1000).is_ok() {}
        bytes.clear();
        self.recorded.take(bytes);
        while self.tapped.pop().is_ok() {}
        let mut told = 0;
        while self.line.notices.pop().is_ok() {
            told += 1;
        }
        let mut buffer = [0; 2048];
        while self.line.peer.recv(&mut buffer).is_ok() {}
        told
    }
}

#[test]
fn no_tick_allocates_with_every_kind_of_operation_jitter_loss_and_keys() {
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(counted.count_total, 1, "allocations are counted");
    for codec in [Codec::Pcmu, Codec::G722] {
        busy_ticks(codec);
    }
}

fn busy_ticks(first: Codec) {
    let mut busy = Busy::new(first);
    let mut bytes = Vec::new();
    let (mut told, mut written) = (0, 0);
    // Over 5 s: reports of RTCP and statistics are among them.
    for tick in 0_u16..300 {
        told += busy.serve(&mut bytes);
        written += bytes.len();
        // Every seventh is lost, and after every ninth tick two come at once.
        // For 0.8 s nothing comes: the socket is let open, and closed again behind that.
        if !tick.is_multiple_of(7) && !tick.is_multiple_of(9) && !(150..190).contains(&tick) {
            busy.say(tick, tick.is_multiple_of(50));
        }
        if tick % 9 == 1 && !(150..190).contains(&tick) {
            busy.say(tick.wrapping_sub(1), false);
        }
        if tick.is_multiple_of(40) {
            let report = [[0x80, 201, 0, 1, 0, 0, 0, 9], [0x81, 203, 0, 1, 0, 0, 0, 9]].concat();
            busy.line.reports.send_to(&report, busy.line.rtcp).unwrap();
        }
        if tick.is_multiple_of(25) {
            let leg = busy.line.leg();
            leg.mixer.tap_mut(3).unwrap().credit(500);
        }
        if tick % 60 == 59 {
            // To a codec of another rate, on hold, and back.
            let stream = busy.line.stream;
            let next = Codec::ALL[usize::from(tick / 60 + 1) % 3];
            let is_held = tick == 119;
            busy.line.connect(StreamParameters {
                formats: by(if tick < 240 { next } else { first }, stream.formats),
                send: !is_held,
                receive: !is_held,
                ..stream
            });
        }
        let used = allocation_counter::measure(|| busy.line.tick());
        assert_eq!((used.count_total, used.bytes_total), (0, 0), "in tick {tick}");
    }
    assert!(told > 20, "{told} notices: something was going on");
    let frame_bytes = first.rate().frame() * 4;
    assert!(written > 250 * frame_bytes, "{written} bytes were recorded");
}

#[test]
fn a_source_without_samples_starves_and_allocates_nothing() {
    let (_to_play, samples) = RingBuffer::new(8000);
    let state = Arc::new(PlayState::default());
    let mut source = PlaySource { samples, state };
    let used = allocation_counter::measure(|| assert_eq!(source.pull(&mut [0; FRAME]), Supply::Starved));
    assert_eq!(used.count_total, 0);
}
