//! One leg on a media thread that the test ticks itself, by a clock of its own.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use offhook_rtp::{Header, RtpPacket, write_header};
use offhook_words::{Formats, MediaStats};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::media::api::{LegKey, MediaEvent, StreamParameters};
use crate::media::clock::Tick;
use crate::media::leg::{Identity, Leg, TickTime};
use crate::media::notice::{NOTICE_RING, Notice};
use crate::media::ports::{BoundPort, Ports};
use crate::media::slot::Slot;
use crate::media::stream_of_tests;
use crate::media::thread::{MediaThread, ThreadCommand, ThreadRings, ThreadSettings};

pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub const OUR_SSRC: u32 = 1;
pub const OUR_SPARE: u32 = 77;

thread_local! {
    static WALL_US: Cell<u64> = const { Cell::new(1_700_000_000_000_000) };
}

/// Both ways, in µ-law, with digits as events.
pub fn parameters(peer: &UdpSocket) -> StreamParameters {
    stream_of_tests::parameters(peer.local_addr().unwrap())
}

/// A packet as it came.
#[derive(Debug, Clone)]
pub struct Came {
    pub header: Header,
    pub payload: Vec<u8>,
}

pub struct Line {
    pub media: MediaThread,
    pub peer: UdpSocket,
    /// Of the peer, beside `peer`.
    pub reports: UdpSocket,
    pub stream: StreamParameters,
    pub notices: Consumer<Notice>,
    pub us: u64,
    pub rtp: SocketAddr,
    pub rtcp: SocketAddr,
    pub commands: Producer<ThreadCommand>,
}

/// A socket of this host.
pub fn socket(ip: IpAddr) -> UdpSocket {
    let socket = UdpSocket::bind((ip, 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// A pair of ours, as legs have them.
fn own() -> BoundPort {
    let mut first = 33_000;
    loop {
        let range = first..=first + 199;
        let bound = Ports::new(&range, Duration::ZERO).and_then(|mut ports| ports.bind(LOOPBACK));
        if let Ok(bound) = bound {
            return bound;
        }
        first += 200;
    }
}

impl Line {
    pub fn new() -> Self {
        Self::agreed(|_| {})
    }

    /// The same with other formats than µ-law and telephone-event.
    pub fn agreed(agree: impl FnOnce(&mut Formats)) -> Self {
        let (commands_in, commands) = RingBuffer::new(16);
        let (_, written) = RingBuffer::new(16);
        let (notices_in, notices) = RingBuffer::new(NOTICE_RING);
        let settings = ThreadSettings {
            media_timeout: Duration::from_secs(4),
            stats_interval: Duration::from_secs(1),
            max_legs: 4,
            wake: Arc::new(Box::new(|| {})),
            unix_us: || WALL_US.with(Cell::get),
        };
        let rings = ThreadRings {
            commands,
            written,
            notices: notices_in,
            turns: Arc::default(),
        };
        let media = MediaThread::new(rings, settings).unwrap();
        let ours = own();
        let [media_address, report_address] = [&ours.rtp, &ours.rtcp].map(|socket| socket.local_addr().unwrap());
        let (peer, reports) = (socket(LOOPBACK), socket(LOOPBACK));
        peer.connect(media_address).unwrap();
        let mut stream = StreamParameters {
            remote_rtcp: reports.local_addr().unwrap(),
            ..parameters(&peer)
        };
        agree(&mut stream.formats);
        let identity = Identity {
            ssrc: OUR_SSRC,
            spare_ssrc: OUR_SPARE,
            sequence: 2,
            timestamp: 3,
        };
        let slot = Slot::new(LegKey(1), ours, identity, std::thread::current());
        let mut line = Self {
            media,
            peer,
            reports,
            stream,
            notices,
            us: 5_000_000,
            rtp: media_address,
            rtcp: report_address,
            commands: commands_in,
        };
        line.media.open(slot);
        line.connect(stream);
        line
    }

    pub fn slot(&mut self) -> &mut Slot {
        self.media.legs.iter_mut().next().unwrap()
    }

    pub fn leg(&mut self) -> &mut Leg {
        &mut self.slot().leg
    }

    pub fn stats(&mut self) -> MediaStats {
        self.slot().stats()
    }

    /// What was settled anew.
    pub fn connect(&mut self, stream: StreamParameters) {
        self.stream = stream;
        let now = TickTime {
            index: 0,
            samples: 0,
            us: self.us,
            unix_us: 0,
            is_punctual: true,
        };
        self.slot().connect(stream, now);
    }

    pub fn set_wall(to: impl FnOnce(u64) -> u64) {
        WALL_US.with(|wall| wall.set(to(wall.get())));
    }

    /// 20 ms later.
    pub fn tick(&mut self) {
        self.us += 20_000;
        Self::set_wall(|wall| wall + 20_000);
        let tick = Tick {
            is_late: false,
            is_punctual: true,
            skipped: 0,
            us: self.us,
        };
        self.media.tick(tick);
    }

    /// What came to the peer since it was asked last.
    pub fn came(&self) -> Vec<Came> {
        let mut buffer = [0; 2048];
        let datagrams = std::iter::from_fn(|| {
            let size = self.peer.recv(&mut buffer).ok()?;
            let packet = RtpPacket::parse(buffer.get(..size).unwrap()).unwrap();
            Some(Came {
                header: packet.header,
                payload: packet.payload.to_vec(),
            })
        });
        datagrams.collect()
    }

    /// What was told since it was asked last.
    pub fn told(&mut self) -> Vec<MediaEvent> {
        let notices = std::iter::from_fn(|| self.notices.pop().ok());
        let event = |notice| match notice {
            Notice::Event(event) => Some(event),
            _ => None,
        };
        notices.filter_map(event).collect()
    }

    pub fn digits(&mut self) -> String {
        let digit = |event| match event {
            MediaEvent::Digit { digit, .. } => Some(digit),
            _ => None,
        };
        self.told().into_iter().filter_map(digit).collect()
    }

    pub fn timeouts(&mut self) -> usize {
        let is_timeout = |event: &MediaEvent| matches!(event, MediaEvent::MediaTimeout { .. });
        self.told().iter().filter(|event| is_timeout(event)).count()
    }
}

/// A packet of a peer.
pub fn packet(ssrc: u32, sequence: u32, payload_type: u8, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        marker: false,
        payload_type,
        sequence: sequence as u16,
        timestamp: sequence.wrapping_mul(160),
        ssrc,
    };
    with(header, payload)
}

pub fn with(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 12];
    write_header(&header, &mut packet);
    packet.extend(payload);
    packet
}
