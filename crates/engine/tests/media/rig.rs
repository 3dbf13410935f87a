//! A leg on real media threads, and the far end of it.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use offhook_codec::{Law, wav_header};
use offhook_engine::media::{LegKey, MediaCommand, MediaConfig, MediaEvent, MediaPool};
use offhook_rtp::{Header, RtpPacket, write_header};
use offhook_words::{Encoding, EndCause, FailureCode, Formats, Interrupt, Side, Source};

use crate::stream::parameters;

pub const LEG: LegKey = LegKey(7);
pub const LIMIT: Duration = Duration::from_secs(5);

pub struct Directories(pub PathBuf);

impl Directories {
    pub fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("offhook-media-{name}-{}", std::process::id()));
        std::fs::create_dir_all(root.join("prompts")).unwrap();
        std::fs::create_dir_all(root.join("recordings")).unwrap();
        Self(root)
    }

    pub fn prompt(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.0.join("prompts").join(name), bytes).unwrap();
    }

    pub fn recording(&self, name: &str) -> PathBuf {
        self.0.join("recordings").join(name)
    }
}

impl Drop for Directories {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A leg, the far end of it, and what was told.
pub struct Call {
    pub pool: MediaPool,
    pub woken: Receiver<()>,
    pub peer: UdpSocket,
    pub sequence: u16,
    pub timestamp: u32,
    pub events: Vec<MediaEvent>,
    pub directories: Directories,
}

#[derive(Debug, Clone)]
pub struct Packet {
    pub header: Header,
    pub payload: Vec<u8>,
}

impl Call {
    pub fn new(name: &str, telephone_event: Option<u8>) -> Self {
        Self::with(name, telephone_event, |_| {})
    }

    pub fn with(name: &str, telephone_event: Option<u8>, settle: impl FnOnce(&mut MediaConfig)) -> Self {
        let agree = |formats: &mut Formats| {
            (formats.telephone_event_tx, formats.telephone_event_rx) = (telephone_event, telephone_event);
        };
        Self::agreed(name, agree, settle)
    }

    /// The same with other formats than µ-law and telephone-event.
    pub fn agreed(name: &str, agree: impl FnOnce(&mut Formats), settle: impl FnOnce(&mut MediaConfig)) -> Self {
        let directories = Directories::new(name);
        let mut config = MediaConfig::new(directories.0.join("prompts"), directories.0.join("recordings"));
        config.threads = 1;
        settle(&mut config);
        let (wake, woken) = channel();
        let mut pool = MediaPool::start(config, Box::new(move || _ = wake.send(()))).unwrap();
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let port = pool.bind(ip).unwrap();
        assert_eq!(port.rtp_address().port() % 2, 0);
        let peer = UdpSocket::bind((ip, 0)).unwrap();
        peer.connect(port.rtp_address()).unwrap();
        peer.set_read_timeout(Some(LIMIT)).unwrap();
        let remote = peer.local_addr().unwrap();
        pool.open(LEG, port).unwrap();
        let refused = pool
            .command(MediaCommand::Echo {
                id: 1,
                leg: LEG,
                timeout_ms: 0,
            })
            .unwrap_err();
        assert_eq!(refused.code, FailureCode::WrongState);
        let mut parameters = parameters(remote);
        agree(&mut parameters.formats);
        pool.connect(LEG, parameters).unwrap();
        Self {
            pool,
            woken,
            peer,
            sequence: 5,
            timestamp: 1000,
            events: Vec::new(),
            directories,
        }
    }

    pub fn read(&self) -> Packet {
        let mut buffer = [0; 2048];
        let size = self.peer.recv(&mut buffer).unwrap();
        let packet = RtpPacket::parse(&buffer[..size]).unwrap();
        Packet {
            header: packet.header,
            payload: packet.payload.to_vec(),
        }
    }

    pub fn send(&mut self, marker: bool, payload_type: u8, timestamp: u32, payload: &[u8]) {
        let mut packet = vec![0; 12];
        packet.extend(payload);
        let header = Header {
            marker,
            payload_type,
            sequence: self.sequence,
            timestamp,
            ssrc: 99,
        };
        write_header(&header, &mut packet);
        self.sequence = self.sequence.wrapping_add(1);
        self.peer.send(&packet).unwrap();
    }

    /// For each packet that comes one goes back, with `sample(n)` as its samples; gives those that came.
    pub fn talk(&mut self, packets: u32, sample: impl Fn(u32) -> i16) -> Vec<Packet> {
        (0..packets)
            .map(|n| {
                let packet = self.read();
                let payload: Vec<u8> = (0..160).map(|at| Law::Mu.encode_sample(sample(n * 160 + at))).collect();
                let timestamp = self.timestamp;
                self.send(false, 0, timestamp, &payload);
                self.timestamp += 160;
                packet
            })
            .collect()
    }

    pub fn command(&mut self, command: MediaCommand) {
        self.pool.command(command).unwrap();
    }

    pub fn play(&mut self, id: u64, sources: Vec<Source>, interrupt: Interrupt) {
        let (side, volume_db, loops, more) = (Side::Heard, 0.0, 1, false);
        self.command(MediaCommand::Play {
            id,
            leg: LEG,
            sources,
            side,
            volume_db,
            loops,
            more,
            interrupt,
        });
    }

    pub fn record(&mut self, id: u64, recording: &str, side: Side, stereo: bool, max_length_ms: u32) {
        self.command(MediaCommand::Record {
            id,
            leg: LEG,
            recording: recording.to_owned(),
            side,
            stereo,
            beep: false,
            initial_timeout_ms: 0,
            end_silence_timeout_ms: 0,
            max_length_ms,
            terminators: "#".into(),
            sensitivity: 44.0,
        });
    }

    /// The first event that `find` takes; all are kept.
    pub fn wait<T>(&mut self, find: impl Fn(&MediaEvent) -> Option<T>) -> T {
        let until = Instant::now() + LIMIT;
        loop {
            while let Some(event) = self.pool.poll_event() {
                let found = find(&event);
                self.events.push(event);
                if let Some(found) = found {
                    return found;
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it was not told; events: {:?}", self.events);
            let _ = self.woken.recv_timeout(left);
        }
    }

    pub fn ended(&mut self, id: u64) -> (EndCause, u64, u64) {
        self.wait(|event| match event {
            MediaEvent::Ended {
                op,
                cause,
                duration_ms,
                size_bytes,
                ..
            } if *op == id => Some((*cause, *duration_ms, *size_bytes)),
            _ => None,
        })
    }

    pub fn digits(&self) -> String {
        let digit = |event: &MediaEvent| match event {
            MediaEvent::Digit { digit, .. } => Some(*digit),
            _ => None,
        };
        self.events.iter().filter_map(digit).collect()
    }
}

pub fn file(prompt: &str) -> Source {
    Source::File {
        prompt: prompt.to_owned(),
        encoding: Encoding::Auto,
        rate_hz: 8000,
        growing: false,
    }
}

pub fn wav(samples: impl Iterator<Item = i16>) -> Vec<u8> {
    wav_at(8000, samples)
}

pub fn wav_at(rate_hz: u32, samples: impl Iterator<Item = i16>) -> Vec<u8> {
    let data: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    let mut bytes = wav_header(1, rate_hz, data.len() as u32).to_vec();
    bytes.extend(data);
    bytes
}

pub fn decoded(packets: &[Packet]) -> Vec<i16> {
    packets
        .iter()
        .flat_map(|packet| packet.payload.iter().map(|code| Law::Mu.decode_sample(*code)))
        .collect()
}

pub const NEVER: Interrupt = Interrupt {
    digit: false,
    speech: false,
};
