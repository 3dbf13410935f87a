//! What a leg costs: legs that play and record against a peer on loopback, for a bounded time.
//!
//!     cargo run --release -p offhook-engine --example media_bench -- [legs] [seconds] [tone]
//!
//! Prints the processor time of the media, decoder and writer threads, per leg and tick, and what the peers received.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use offhook_engine::media::{LegKey, MediaCommand, MediaConfig, MediaEvent, MediaPool, StreamParameters};
use offhook_words::{Codec, Encoding, FailureCode, Formats, Interrupt, Side, Source, Tone};

const TICKS_PER_SECOND: f64 = 50.0;

/// Processor seconds of each thread of this process, by name.
fn thread_seconds() -> Vec<(String, f64)> {
    let mut all = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let Ok(stat) = std::fs::read_to_string(task.path().join("schedstat")) else {
            continue;
        };
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let ns: f64 = stat.split_whitespace().next().unwrap().parse().unwrap();
        all.push((name.trim().to_owned(), ns / 1e9));
    }
    all
}

fn rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Twenty seconds of something with a spectrum, as WAV at 22.05 kHz.
fn prompt() -> Vec<u8> {
    let samples: Vec<u8> = (0..22_050 * 20)
        .flat_map(|n| {
            let t = f64::from(n) / 22_050.0;
            let value = 6000.0 * (t * 1300.0).sin() + 3000.0 * (t * 4400.0).sin() * (t * 3.0).sin();
            (value as i16).to_le_bytes()
        })
        .collect();
    let mut file = offhook_codec::wav_header(1, 22_050, samples.len() as u32).to_vec();
    file.extend(samples);
    file
}

/// Open a leg that plays a prompt and records both sides; returns the socket of its peer.
fn open_leg(pool: &mut MediaPool, leg: u32, is_tone: bool) -> UdpSocket {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let port = pool.bind(ip).unwrap();
    let peer = UdpSocket::bind((ip, 0)).unwrap();
    peer.connect(port.rtp_address()).unwrap();
    peer.set_nonblocking(true).unwrap();
    let remote = peer.local_addr().unwrap();
    pool.open(LegKey(leg), port).unwrap();
    let parameters = StreamParameters {
        remote_rtp: remote,
        remote_rtcp: remote,
        formats: Formats {
            codec: Codec::Pcmu,
            payload_type_tx: 0,
            payload_type_rx: 0,
            telephone_event_tx: Some(101),
            telephone_event_rx: Some(101),
        },
        send: true,
        receive: true,
    };
    pool.connect(LegKey(leg), parameters).unwrap();
    // The thread takes commands each tick; its ring is bounded.
    for command in [play(leg, is_tone), record(leg)] {
        while let Err(refusal) = pool.command(command.clone()) {
            assert_eq!(refusal.code, FailureCode::NoCapacity, "{refusal}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    peer
}

fn play(leg: u32, is_tone: bool) -> MediaCommand {
    let step = |duration_ms, frequencies_hz: &[f32]| Tone {
        duration_ms,
        frequencies_hz: frequencies_hz.to_vec(),
        level_dbm0: -16.0,
    };
    let source = if is_tone {
        Source::Tone {
            cadence: vec![step(2000, &[440.0, 480.0]), step(4000, &[])],
            duration_ms: -1,
        }
    } else {
        Source::File {
            prompt: "p.wav".into(),
            encoding: Encoding::Auto,
            rate_hz: 8000,
            growing: false,
        }
    };
    MediaCommand::Play {
        id: u64::from(leg) * 2 + 1,
        leg: LegKey(leg),
        sources: vec![source],
        side: Side::Heard,
        volume_db: 0.0,
        loops: 0,
        more: false,
        interrupt: Interrupt {
            digit: true,
            speech: false,
        },
    }
}

fn record(leg: u32) -> MediaCommand {
    MediaCommand::Record {
        id: u64::from(leg) * 2 + 2,
        leg: LegKey(leg),
        recording: format!("r{leg}.wav"),
        side: Side::Both,
        stereo: true,
        beep: false,
        initial_timeout_ms: 0,
        end_silence_timeout_ms: 0,
        max_length_ms: 0,
        terminators: String::new(),
        sensitivity: 44.0,
    }
}

/// CPU of each thread of the engine between two readings.
fn print_threads(start: &[(String, f64)], end: &[(String, f64)], elapsed: f64, legs: u32) {
    let mut total = 0.0;
    for (name, seconds) in end {
        let before = start.iter().find(|(known, _)| known == name);
        let used = seconds - before.map_or(0.0, |(_, seconds)| *seconds);
        if name.starts_with("media") || name.starts_with("decoder") {
            total += used;
            let per_tick = used / elapsed / TICKS_PER_SECOND / f64::from(legs) * 1e6;
            println!(
                "  {name:14} {:6.2} % of a core, {per_tick:6.2} us per leg and tick",
                used / elapsed * 100.0
            );
        }
    }
    let per_leg = total / elapsed / f64::from(legs);
    println!(
        "  all            {:6.2} % of a core, {:6.2} us per leg and tick",
        total / elapsed * 100.0,
        per_leg / TICKS_PER_SECOND * 1e6
    );
    println!("  per call       {:.4} % of a core (goal 0.05)", per_leg * 100.0);
}

fn main() {
    let arguments: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let legs = arguments.first().copied().unwrap_or(200).min(2000) as u32;
    let is_tone = std::env::args().any(|word| word == "tone");
    let seconds = arguments.get(1).copied().unwrap_or(10).min(120);
    let root = std::env::temp_dir().join(format!("offhook-media-bench-{}", std::process::id()));
    let directory = |name: &str| -> PathBuf {
        let path = root.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    let (prompts, recordings) = (directory("prompts"), directory("recordings"));
    std::fs::write(prompts.join("p.wav"), prompt()).unwrap();
    let before_kib = rss_kib();
    let mut config = MediaConfig::new(prompts, recordings);
    config.ports = 20_000..=29_999;
    let mut pool = MediaPool::start(config, Box::new(|| {})).unwrap();

    let peers = (0..legs)
        .map(|leg| open_leg(&mut pool, leg, is_tone))
        .collect::<Vec<_>>();

    let stop = Arc::new(AtomicBool::new(false));
    let received = Arc::new(AtomicU64::new(0));
    let peer_thread = std::thread::Builder::new().name("peers".into());
    let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&received));
    let peer_thread = peer_thread.spawn(move || talk(&peers, &stopped, &counted)).unwrap();

    std::thread::sleep(Duration::from_secs(2));
    let start = thread_seconds();
    let begun = Instant::now();
    let received_before = received.load(Ordering::Relaxed);
    std::thread::sleep(Duration::from_secs(seconds));
    let elapsed = begun.elapsed().as_secs_f64();
    let end = thread_seconds();
    let packets = received.load(Ordering::Relaxed) - received_before;
    let (mut late, mut concealed, mut ticks_late) = (0, 0, 0);
    while let Some(event) = pool.poll_event() {
        if let MediaEvent::Stats { legs, ticks, .. } = event {
            late = legs.iter().map(|(_, stats)| stats.packets_late).sum();
            concealed = legs.iter().map(|(_, stats)| stats.frames_concealed).sum();
            ticks_late = ticks.late;
        }
    }
    println!(
        "{legs} legs playing ({}) and recording (stereo), {elapsed:.1} s",
        if is_tone { "ringing tone" } else { "WAV 22.05 kHz" }
    );
    print_threads(&start, &end, elapsed, legs);
    println!(
        "  packets received by peers: {packets} of {:.0}",
        elapsed * TICKS_PER_SECOND * f64::from(legs)
    );
    println!("  late ticks {ticks_late}, late packets {late}, concealed frames {concealed}");
    println!(
        "  RSS per leg    {} KiB (peers' sockets are the kernel's)",
        (rss_kib() - before_kib) / u64::from(legs)
    );

    stop.store(true, Ordering::Relaxed);
    peer_thread.join().unwrap();
    let closing = Instant::now();
    (0..legs).for_each(|leg| pool.close(LegKey(leg)));
    let mut closed = 0;
    while closed < legs && closing.elapsed() < Duration::from_secs(10) {
        match pool.poll_event() {
            Some(MediaEvent::Closed { .. }) => closed += 1,
            Some(_) => {}
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    println!("  closed {closed} in {:.2} s", closing.elapsed().as_secs_f64());
    std::fs::remove_dir_all(&root).unwrap();
}

/// Send a packet each 20 ms from every peer, and drain what comes.
fn talk(peers: &[UdpSocket], stop: &AtomicBool, received: &AtomicU64) {
    let mut next = Instant::now();
    let mut sequence = 0_u16;
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let mut packet = [0xff; 172];
        let header = offhook_rtp::Header {
            marker: false,
            payload_type: 0,
            sequence,
            timestamp: u32::from(sequence) * 160,
            ssrc: 9,
        };
        offhook_rtp::write_header(&header, &mut packet);
        sequence = sequence.wrapping_add(1);
        for peer in peers {
            drop(peer.send(&packet));
            while let Ok(size) = peer.recv(&mut buffer) {
                received.fetch_add(u64::from(size == 172), Ordering::Relaxed);
            }
        }
        next += Duration::from_millis(20);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}
