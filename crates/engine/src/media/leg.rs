//! One leg on its media thread: what comes from the socket goes through the mixer and back, once a tick.

use std::hint::black_box;
use std::net::UdpSocket;
use std::sync::Arc;
use std::thread::Thread;

use offhook_dsp::{Concealer, DtmfDetector, FRAME, Frame};
use offhook_mix::{Input, KeyOutput, LegMixer, SPEECH_WINDOW};
use offhook_rtp::{
    Accepted, EventReceiver, EventSender, HEADER_BYTES, Header, JitterBuffer, Placement, Pulled, Reception, RtpPacket,
    TelephoneEvent, code_of_digit, write_header,
};

use super::api::{DigitMethod, LegKey, LegStats, MediaEvent, StreamParameters};
use super::content::Content;
use super::ended::Endings;
use super::notice::{Notice, Notices};
use super::report::Reports;
use super::ring::{PlaySource, RecordSink, TapSink};
use super::socket::{Read, RtpSocket};
use super::writer::Written;

/// Read in one tick; what is beyond waits in the socket or is lost there.
const MOST_READS: u32 = 64;
/// Three times the nominal rate is heard; the rest is dropped.
const PACKETS_PER_TICK: u32 = 3;
/// A burst after a stall of a second.
const BURST: u32 = 60;
/// Digits that are looked at in one tick.
const MOST_DIGITS: usize = 16;
/// A recording that is not closed by then is given up, so that the leg can end.
const CLOSE_US: u64 = 5_000_000;

/// The mixer of a leg, with the rings it works on.
pub type Mixer = LegMixer<PlaySource, RecordSink, TapSink>;

/// The time of a tick.
#[derive(Debug, Clone, Copy)]
pub struct TickTime {
    /// Ticks since the thread began.
    pub index: u64,
    /// The same in samples.
    pub samples: u32,
    /// Unix time.
    pub us: u64,
    /// It began when it should.
    pub is_punctual: bool,
}

/// What the stream that we send starts from.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
}

/// A leg.
pub struct Leg {
    pub key: LegKey,
    pub mixer: Mixer,
    rtp: RtpSocket,
    stream: Option<StreamParameters>,
    identity: Identity,
    marker: bool,
    reception: Reception,
    jitter: JitterBuffer,
    placement: Placement,
    concealer: Concealer,
    detector: DtmfDetector,
    events: EventReceiver,
    key_down: Option<EventSender>,
    digits: Vec<char>,
    tokens: u32,
    /// The last tick read one packet, as it should be.
    is_steady: bool,
    stats: LegStats,
    reports: Reports,
    endings: Endings,
    heard_us: u64,
    is_silent: bool,
    closing_us: Option<u64>,
    #[cfg(test)]
    pub fault: Option<&'static str>,
}

impl Leg {
    pub fn new(key: LegKey, sockets: [Arc<UdpSocket>; 2], identity: Identity, writer: Thread) -> Self {
        let [rtp, control] = sockets;
        Self {
            key,
            mixer: Mixer::default(),
            rtp: RtpSocket::new(rtp),
            stream: None,
            identity,
            marker: true,
            reception: Reception::default(),
            jitter: JitterBuffer::default(),
            placement: Placement::default(),
            concealer: Concealer::default(),
            detector: DtmfDetector::default(),
            events: EventReceiver::default(),
            key_down: None,
            digits: Vec::with_capacity(MOST_DIGITS),
            tokens: BURST,
            is_steady: false,
            stats: LegStats::default(),
            reports: Reports::new(control, identity.ssrc, key),
            endings: Endings::new(key, writer),
            heard_us: 0,
            is_silent: false,
            closing_us: None,
            #[cfg(test)]
            fault: None,
        }
    }

    pub fn connect(&mut self, stream: StreamParameters, now_us: u64) {
        if self.stream.is_none() || stream.receive {
            self.heard_us = now_us;
        }
        self.rtp.connected(stream.remote_rtp);
        self.reports.connect(stream.remote_rtcp);
        self.stream = Some(stream);
    }

    pub fn stats(&self) -> LegStats {
        LegStats {
            packets_lost: self.reception.lost(),
            packets_late: self.jitter.counts().late,
            jitter_ms: self.reception.jitter() / 8.0,
            round_trip_ms: self.reports.round_trip_ms(),
            playout_delay_ms: self.jitter.target_ms(),
            ..self.stats
        }
    }

    /// A key was pressed.
    pub fn pressed(&mut self, digit: char, method: DigitMethod, duration_ms: u32, notices: &mut Notices) {
        if self.digits.len() < MOST_DIGITS && self.closing_us.is_none() {
            self.digits.push(digit);
            notices.event(MediaEvent::Digit {
                leg: self.key,
                digit,
                method,
                duration_ms,
            });
        }
    }

    /// One frame in, one frame out. `false`: the leg is closed and all its operations have ended.
    pub fn tick(&mut self, now: TickTime, notices: &mut Notices) -> bool {
        if let Some(closing_us) = self.closing_us {
            if now.us.saturating_sub(closing_us) > CLOSE_US {
                self.endings.give_up(notices);
            }
            return !self.endings.is_settled();
        }
        #[cfg(test)]
        assert_eq!(self.fault, None);
        black_box(self.mixer.touch() ^ u64::from(self.jitter.touch().unsigned_abs()));
        self.tokens = (self.tokens + PACKETS_PER_TICK).min(BURST);
        self.receive(now, notices);
        if let Some(stream) = self.stream {
            self.frame(&stream, now, notices);
        }
        true
    }

    fn frame(&mut self, stream: &StreamParameters, now: TickTime, notices: &mut Notices) {
        let mut received = [0; FRAME];
        self.play_out(now, &mut received);
        let digit = self.detector_for(stream).and_then(|detector| detector.frame(&received));
        if let Some(digit) = digit {
            self.pressed(digit, DigitMethod::Inband, 40, notices);
        }
        let tones = stream.telephone_event_tx.is_none();
        let input = Input {
            received: &received,
            digits: &self.digits,
            now: now.samples,
            now_us: now.us,
            tones,
        };
        let output = self.mixer.tick(&input);
        self.digits.clear();
        self.settle(now.us, notices);
        if stream.send {
            self.send(stream, &output.frame, output.key);
        } else {
            self.marker = true;
            self.key_down = None;
        }
        self.identity.timestamp = self.identity.timestamp.wrapping_add(FRAME as u32);
        self.reports
            .tick(now, self.identity.timestamp, &self.stats, &mut self.reception);
    }

    /// Digits are looked for in the audio when telephone-event was not agreed on.
    fn detector_for(&mut self, stream: &StreamParameters) -> Option<&mut DtmfDetector> {
        (stream.telephone_event_rx.is_none() && stream.receive).then_some(&mut self.detector)
    }

    /// Turn what happened in the mixer into events.
    fn settle(&mut self, now_us: u64, notices: &mut Notices) {
        for (op, tap) in self.mixer.taps_mut() {
            if let Some(block) = tap.take().filter(|_| notices.has_room()) {
                notices.push(Notice::Block {
                    leg: self.key,
                    op,
                    block,
                });
            }
        }
        for event in self.mixer.drain() {
            self.endings.happened(event, self.identity.timestamp, now_us, notices);
        }
    }

    /// A recording is on the disk, or failed.
    pub fn written(&mut self, written: Written, notices: &mut Notices) {
        let op = written.op;
        if self.endings.written(written, notices) {
            self.mixer.stop(op);
        }
    }

    /// No packet came for so long that it must be told (once).
    pub fn timed_out(&mut self, now_us: u64, limit_us: u64) -> bool {
        let expects = self.closing_us.is_none() && self.stream.is_some_and(|stream| stream.receive);
        let is_new = expects && !self.is_silent && now_us.saturating_sub(self.heard_us) > limit_us;
        self.is_silent |= is_new;
        is_new
    }

    /// Ticks that did not happen: our timestamps jump over them; the mixer sees it by the clock.
    pub fn skip(&mut self, ticks: u32) {
        if self.stream.is_some() && self.closing_us.is_none() {
            self.identity.timestamp = self.identity.timestamp.wrapping_add(ticks.wrapping_mul(FRAME as u32));
            self.marker = true;
        }
    }

    /// End everything and say BYE.
    pub fn close(&mut self, now_us: u64, notices: &mut Notices) {
        if self.closing_us.is_none() {
            self.closing_us = Some(now_us);
            self.mixer.close();
            self.settle(now_us, notices);
            self.reports
                .bye(now_us, self.identity.timestamp, &self.stats, &mut self.reception);
        }
    }

    fn receive(&mut self, now: TickTime, notices: &mut Notices) {
        let mut buffer = RtpSocket::buffer();
        // A steady stream is asked for more than its one packet every fourth tick only: that read mostly finds nothing.
        let is_enough = self.is_steady && !(now.index + u64::from(self.key.0)).is_multiple_of(4);
        self.is_steady = false;
        for count in 0..MOST_READS {
            if count == 1 && is_enough {
                self.is_steady = true;
                return;
            }
            match self.rtp.read(&mut buffer) {
                Read::Packet(datagram) => {
                    if let Some(stream) = self.stream {
                        self.packet(datagram, &stream, now, notices);
                    }
                }
                Read::Foreign => self.stats.packets_foreign += 1,
                Read::Empty => {
                    self.is_steady = count == 1;
                    return;
                }
                Read::Again => {}
            }
        }
    }

    fn packet(&mut self, datagram: &[u8], stream: &StreamParameters, now: TickTime, notices: &mut Notices) {
        let packet = match RtpPacket::parse(datagram) {
            Ok(packet) if self.tokens > 0 => packet,
            _ => {
                self.stats.packets_dropped += 1;
                return;
            }
        };
        self.tokens -= 1;
        match self.reception.packet(&packet.header, now.samples) {
            Accepted::Yes => {}
            Accepted::Restarted => {
                self.jitter.restart();
                self.placement.restart();
                self.events.reset();
            }
            Accepted::No => {
                self.stats.packets_dropped += 1;
                return;
            }
        }
        self.stats.packets_received += 1;
        self.heard_us = now.us;
        self.is_silent = false;
        if stream.receive {
            self.payload(&packet, stream, now, notices);
        }
    }

    fn payload(&mut self, packet: &RtpPacket<'_>, stream: &StreamParameters, now: TickTime, notices: &mut Notices) {
        let codec = match stream.content(packet.header.payload_type) {
            Content::Audio(codec) => codec,
            Content::ComfortNoise => return,
            Content::TelephoneEvent => {
                let event = TelephoneEvent::parse(packet.payload);
                if let Some(key) = event.and_then(|event| self.events.packet(packet.header.timestamp, event)) {
                    self.pressed(key.digit, DigitMethod::Rfc4733, u32::from(key.duration) / 8, notices);
                }
                return;
            }
            Content::Unknown => {
                self.stats.packets_dropped += 1;
                return;
            }
        };
        let mut samples = [0; FRAME * 6];
        let count = packet.payload.len().min(samples.len());
        let samples = samples.get_mut(..count).unwrap_or(&mut []);
        codec.decode(packet.payload, samples);
        let timestamp = packet.header.timestamp;
        self.jitter.insert(timestamp, samples, now.samples);
        let at = self
            .placement
            .place(timestamp, now.samples, now.is_punctual, SPEECH_WINDOW);
        self.mixer.said(at, samples, now.samples);
    }

    fn play_out(&mut self, now: TickTime, frame: &mut Frame) {
        match self.jitter.pull(now.samples, frame) {
            Pulled::Audio | Pulled::Idle => self.concealer.good(frame),
            Pulled::Missing => {
                self.stats.frames_concealed += 1;
                self.concealer.conceal(frame);
            }
        }
    }

    fn send(&mut self, stream: &StreamParameters, frame: &Frame, key: KeyOutput) {
        let kind = stream.telephone_event_tx.unwrap_or(101);
        if let KeyOutput::Press { digit, samples } = key {
            while self.key_down.is_some() {
                self.send_event(kind);
            }
            if let Some(code) = code_of_digit(digit) {
                self.key_down = Some(EventSender::press(code, self.identity.timestamp, samples, FRAME as u16));
            }
        }
        let is_pressed = self.key_down.as_ref().is_some_and(EventSender::is_pressed);
        if self.key_down.is_some() {
            self.send_event(kind);
        }
        if !is_pressed {
            let mut packet = [0; HEADER_BYTES + FRAME];
            if let Some(payload) = packet.get_mut(HEADER_BYTES..) {
                stream.codec.encode(frame, payload);
            }
            self.send_packet(
                &mut packet,
                stream.payload_type_tx,
                self.identity.timestamp,
                self.marker,
            );
            self.marker = false;
        }
    }

    /// The next packet of the key that is down, or of its end.
    fn send_event(&mut self, payload_type: u8) {
        let Some(event) = self.key_down.as_mut().and_then(EventSender::frame) else {
            self.key_down = None;
            return;
        };
        let mut packet = [0; HEADER_BYTES + 4];
        if let Some(payload) = packet.last_chunk_mut::<4>() {
            *payload = event.event.dump();
        }
        self.send_packet(&mut packet, payload_type, event.timestamp, event.marker);
    }

    fn send_packet(&mut self, packet: &mut [u8], payload_type: u8, timestamp: u32, marker: bool) {
        let Identity { ssrc, sequence, .. } = self.identity;
        write_header(
            &Header {
                marker,
                payload_type,
                sequence,
                timestamp,
                ssrc,
            },
            packet,
        );
        self.identity.sequence = sequence.wrapping_add(1);
        // What is lost here is told by the far end's reports.
        if self.rtp.send(packet) {
            self.stats.packets_sent += 1;
            self.reports.sent((packet.len() - HEADER_BYTES) as u32);
        } else {
            self.stats.packets_dropped += 1;
        }
    }
}
