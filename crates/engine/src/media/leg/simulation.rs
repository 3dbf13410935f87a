//! A leg over 1,000 networks, each made of one seed: what holds of what it sends, plays, records and counts, whatever comes.
//!
//! `OFFHOOK_SEED=17 cargo test -p offhook-engine simulation` runs one of them.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::net::Ipv4Addr;
use std::panic::catch_unwind;
use std::sync::Arc;

use offhook_codec::Law;
use offhook_mix::{Recorder, RecorderLimits};
use offhook_rtp::{
    HEADER_BYTES, Header, ReportBlock, RtcpPacket, RtcpParser, RtpPacket, SenderInfo, write_header, write_report,
};
use offhook_words::{Codec, FRAME, Formats, MediaStats, Rate, Side};
use rtrb::{Consumer, RingBuffer};

use self::network::{DURATION_US, Dice, Network};
use self::voice::{Heard, hear, say};
use super::{Identity, Leg, Origin, Outlet, TickTime};
use crate::media::api::{LegKey, MediaEvent, StreamParameters};
use crate::media::clock::Clock;
use crate::media::notice::{Notice, Notices};
use crate::media::ring::{RecordOut, RecordState, record_ring};
use crate::media::stream_of_tests;
use crate::media::writer::Written;

mod judge;
mod network;
mod voice;

const SEEDS: u64 = 1000;
const TICK_US: u64 = 20_000;
/// What a tick takes.
const WORK_US: u64 = 50;
/// Of the clock that nobody sets, when the thread began.
const BEGAN_US: u64 = 77_000_000;
/// Of the Unix epoch, at the same time.
const WALL_US: u64 = 1_700_000_000_000_000;
const ECHO: u64 = 1;
const RECORD: u64 = 2;
const PEER: u32 = 0x1234_5678;

/// What left in a tick.
#[derive(Debug)]
struct Turn {
    now: TickTime,
    /// Ticks that were left out before it.
    skipped: u32,
    /// What left, and whether it was taken.
    packets: Vec<(Header, bool)>,
    /// What is said in it.
    heard: Heard,
    reports: Vec<SenderInfo>,
    byes: usize,
}

/// A datagram that the leg was told of.
#[derive(Debug, Clone, Copy)]
struct Told {
    packet: usize,
    tick: u64,
}

/// All that is known of a leg's life.
struct Run {
    network: Network,
    /// The first tick.
    first: u64,
    /// When it was due.
    due_us: u64,
    turns: Vec<Turn>,
    told: Vec<Told>,
    /// The tick with which the recording began, and that in which the leg was closed.
    recorded: [TickTime; 2],
    /// How late the latter began.
    closed_late_us: u64,
    /// What the peer says, and what it hears.
    recording: Vec<[i16; 2]>,
    stats: MediaStats,
    events: Vec<MediaEvent>,
    /// What the leg measured, and what it should have, in ms.
    round_trips: Vec<[f32; 2]>,
}

#[derive(Default)]
struct Line {
    is_full: bool,
    packets: Vec<(Vec<u8>, bool)>,
    reports: Vec<Vec<u8>>,
}

impl Outlet for Line {
    fn rtp(&mut self, packet: &[u8]) -> bool {
        self.packets.push((packet.to_vec(), !self.is_full));
        !self.is_full
    }

    fn rtcp(&mut self, compound: &[u8]) {
        self.reports.push(compound.to_vec());
    }
}

/// The peer's answer to a report of ours.
#[derive(Debug, Clone, Copy)]
struct Answer {
    at_us: u64,
    about: SenderInfo,
    told_us: u64,
}

struct Simulation {
    dice: Dice,
    leg: Leg,
    stream: StreamParameters,
    law: Law,
    loudness: i16,
    line: Line,
    notices: Notices,
    noticed: Consumer<Notice>,
    recorded: Option<RecordOut>,
    bytes: Vec<u8>,
    clock: Clock,
    us: u64,
    due_us: u64,
    ticks: u64,
    answer: Option<Answer>,
    run: Run,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let network = Network::new(seed);
        let mut dice = Dice::new(seed ^ 0x5eed_0000_0000);
        let (notices, heard) = RingBuffer::new(64);
        let identity = Identity {
            ssrc: dice.next() as u32,
            spare_ssrc: 1,
            sequence: dice.next() as u16 | 0xfe00,
            timestamp: dice.next() as u32 | 0xffff_0000,
        };
        let (codec, law) = dice.one_of(&[(Codec::Pcmu, Law::Mu), (Codec::Pcma, Law::A)]);
        let stream = stream_of_tests::parameters((Ipv4Addr::LOCALHOST, 4000).into());
        let formats = Formats {
            codec,
            payload_type_tx: codec.static_payload_type(),
            payload_type_rx: codec.static_payload_type(),
            ..stream.formats
        };
        // The samples of the clock wrap within the call.
        let ticks = u64::from(u32::MAX) / FRAME as u64 - dice.between(0..=500);
        let due_us = BEGAN_US + TICK_US;
        let begin = TickTime {
            index: ticks,
            samples: 0,
            us: 0,
            unix_us: 0,
            is_punctual: true,
        };
        Self {
            leg: Leg::new(LegKey(7), identity, std::thread::current()),
            stream: StreamParameters { formats, ..stream },
            law,
            loudness: dice.one_of(&[300, 8000]),
            line: Line::default(),
            notices: Notices::new(notices),
            noticed: heard,
            recorded: None,
            bytes: Vec::new(),
            clock: Clock::at(BEGAN_US.cast_signed() * 1000),
            us: BEGAN_US,
            due_us,
            ticks,
            answer: None,
            run: Run {
                network,
                first: ticks,
                due_us,
                turns: Vec::new(),
                told: Vec::new(),
                recorded: [begin; 2],
                closed_late_us: 0,
                recording: Vec::new(),
                stats: MediaStats::default(),
                events: Vec::new(),
                round_trips: Vec::new(),
            },
            dice,
        }
    }

    fn run(mut self) -> Run {
        let (now, _) = self.wake();
        self.leg.connect(self.stream, now);
        self.leg.mixer.add_echo(ECHO, 3_600_000, now.unix_us);
        self.tick(now, 0);
        let begin = self.dice.between(0..=100);
        while self.due_us < BEGAN_US + DURATION_US {
            let (now, skipped) = self.wake();
            if self.recorded.is_none() && now.index - self.run.first >= begin {
                self.record(now);
            }
            self.tick(now, skipped);
        }
        self.close();
        self.run
    }

    /// As a media thread does it.
    fn wake(&mut self) -> (TickTime, u32) {
        let since_us = self.due_us - BEGAN_US;
        let woke_us = self.due_us.max(self.us) + self.run.network.oversleep(since_us, &mut self.dice);
        let tick = self.clock.begin(woke_us.cast_signed() * 1000);
        self.us = woke_us + WORK_US;
        self.due_us += u64::from(tick.skipped + 1) * TICK_US;
        if tick.skipped > 0 {
            self.ticks += u64::from(tick.skipped);
            self.leg.skip(tick.skipped);
        }
        let wall_us = WALL_US + woke_us - BEGAN_US;
        let shift_us = self.run.network.shift_us(woke_us - BEGAN_US);
        let now = TickTime::new(self.ticks, tick, wall_us.saturating_add_signed(shift_us));
        self.ticks += 1;
        (now, tick.skipped)
    }

    fn record(&mut self, now: TickTime) {
        let (sink, out) = record_ring(2, Rate::Narrow, &Arc::new(RecordState::default()));
        let recorder = Recorder::new(
            RECORD,
            sink,
            Side::Both,
            true,
            None,
            RecorderLimits::default(),
            now.unix_us,
        );
        self.leg.mixer.add_recorder(recorder);
        self.recorded = Some(out);
        self.run.recorded[0] = now;
    }

    fn tick(&mut self, now: TickTime, skipped: u32) {
        self.receive(now);
        self.line.is_full = self.dice.chance(2);
        assert!(self.leg.tick(now, &mut self.notices, &mut self.line));
        self.after(now, skipped);
        if self.run.turns.len().is_multiple_of(10) {
            self.take();
        }
    }

    fn receive(&mut self, now: TickTime) {
        while let Some(arrival) = self.run.network.arrivals.get(self.run.told.len())
            && arrival.at_us + BEGAN_US <= now.us
        {
            let packet = self.run.network.packets[arrival.packet];
            let mut datagram = vec![0; HEADER_BYTES + packet.frames as usize * FRAME];
            let header = Header {
                marker: false,
                payload_type: self.stream.formats.payload_type_rx,
                sequence: packet.sequence,
                timestamp: packet.timestamp,
                ssrc: PEER,
            };
            write_header(&header, &mut datagram);
            let (frames, _) = datagram[HEADER_BYTES..].as_chunks_mut::<FRAME>();
            for (number, frame) in (packet.first..).zip(frames) {
                self.law.encode(&say(number, self.loudness), frame);
            }
            let told = self.leg.receive(&datagram, now, &mut self.notices);
            assert_eq!(told, Some(header));
            self.run.told.push(Told {
                packet: arrival.packet,
                tick: now.index,
            });
        }
        if let Some(answer) = self.answer.take_if(|answer| answer.at_us <= now.us) {
            self.receive_report(answer, now);
        }
    }

    /// The peer answers to a report half a second after it came.
    fn receive_report(&mut self, answer: Answer, now: TickTime) {
        let block = ReportBlock {
            ssrc: self.run.turns[0].packets[0].0.ssrc,
            fraction_lost: 0,
            cumulative_lost: 0,
            highest_sequence: 0,
            jitter: 0,
            last_sender_report: answer.about.ntp.middle(),
            delay_since: 32_768,
        };
        let mut report = [0; 160];
        let size = write_report(&mut report, PEER, None, Some(&block), "peer", false);
        assert!(self.leg.receive_report(&report[..size], Origin::Peer, now));
        let ideal_ms = (now.us - answer.told_us) as f32 / 1000.0 - 500.0;
        self.run.round_trips.push([self.leg.stats().round_trip_ms, ideal_ms]);
    }

    /// What left, and what was told.
    fn after(&mut self, now: TickTime, skipped: u32) {
        let mut turn = Turn {
            now,
            skipped,
            packets: Vec::new(),
            heard: Heard::default(),
            reports: Vec::new(),
            byes: 0,
        };
        for (packet, is_taken) in self.line.packets.drain(..) {
            let packet = RtpPacket::parse(&packet).unwrap();
            let mut frame = [0; FRAME];
            self.law.decode(packet.payload, &mut frame);
            turn.heard = hear(&frame);
            turn.packets.push((packet.header, is_taken));
        }
        for compound in self.line.reports.drain(..) {
            for packet in RtcpParser::new(&compound).unwrap() {
                match packet {
                    RtcpPacket::Sender { info, .. } => turn.reports.push(info),
                    RtcpPacket::Bye { .. } => turn.byes += 1,
                    RtcpPacket::Receiver { .. } | RtcpPacket::Other(_) => {}
                }
            }
        }
        if let Some(about) = turn.reports.first() {
            self.answer = Some(Answer {
                at_us: now.us + 2 * self.run.network.delay_us + 500_000,
                about: *about,
                told_us: now.us,
            });
        }
        self.run.turns.push(turn);
        self.notices.flush();
        while let Ok(notice) = self.noticed.pop() {
            if let Notice::Event(event) = notice {
                self.run.events.push(event);
            }
        }
    }

    fn take(&mut self) {
        if let Some(recorded) = &mut self.recorded {
            recorded.take(&mut self.bytes);
        }
    }

    fn close(&mut self) {
        let due_us = self.due_us;
        let (now, skipped) = self.wake();
        self.run.closed_late_us = now.us - due_us - u64::from(skipped) * TICK_US;
        self.run.recorded[1] = now;
        self.leg.close(now, &mut self.notices, &mut self.line);
        assert!(
            self.leg.tick(now, &mut self.notices, &mut self.line),
            "it waits for the disk"
        );
        self.take();
        let (samples, _) = self.bytes.as_chunks::<4>();
        let samples = samples.iter();
        let pair = |[a, b, c, d]: &[u8; 4]| [i16::from_le_bytes([*a, *b]), i16::from_le_bytes([*c, *d])];
        self.run.recording = samples.map(pair).collect();
        let written = Written {
            op: RECORD,
            leg: LegKey(7),
            duration_ms: self.run.recording.len() as u64 / 8,
            size_bytes: self.bytes.len() as u64,
            gap_ms: 0,
            error: None,
        };
        self.leg.written(written, &mut self.notices);
        assert!(!self.leg.tick(now, &mut self.notices, &mut self.line), "it is gone");
        self.after(now, skipped);
        self.run.stats = self.leg.stats();
    }
}

fn seeds() -> std::ops::Range<u64> {
    match std::env::var("OFFHOOK_SEED") {
        Ok(seed) => {
            let seed = seed.parse().unwrap();
            seed..seed + 1
        }
        Err(_) => 0..SEEDS,
    }
}

#[test]
fn whatever_a_network_does_a_leg_keeps_time_plays_in_order_and_not_late_and_records_each_word_at_its_time() {
    let fails = |seed: &u64| {
        let outcome = catch_unwind(|| Simulation::new(*seed).run().judge());
        if outcome.is_err() {
            println!("seed {seed}: see above; OFFHOOK_SEED={seed} runs it alone");
        }
        outcome.is_err()
    };
    let failed: Vec<u64> = seeds().filter(fails).collect();
    assert!(failed.is_empty(), "{} seeds: {failed:?}", failed.len());
}
