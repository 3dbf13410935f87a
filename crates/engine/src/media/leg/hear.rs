//! What comes in on a leg: datagrams of the peer, to the jitter buffer, the recordings' time line and the keys.

use offhook_codec::G711;
use offhook_mix::SPEECH_WINDOW;
use offhook_rtp::{Accepted, Header, MOST_SAMPLES, Pulled, RtpPacket, TelephoneEvent};
use offhook_words::{Codec, DigitMethod, FRAME, Frame};

use super::{BURST, Leg, TickTime};
use crate::media::api::StreamParameters;
use crate::media::content::Content;
use crate::media::notice::Notices;
use crate::media::path::{Path, Read};
use crate::media::report::{Known, Told};

/// Read in one tick: what a stall leaves in a socket.
const MOST_READS: u32 = BURST;
/// Of these, so many that are nobody's or that no token is left for.
const MOST_WASTED: u32 = 8;
/// A stranger's are cheaper, and the peer's may be behind them.
const MOST_FOREIGN: u32 = 32;
/// RTCP on the port of RTP has these in the place of marker and payload type (RFC 5761 section 4).
const RTCP: std::ops::RangeInclusive<u8> = 192..=223;

impl Leg {
    pub(super) fn receive(&mut self, now: TickTime, notices: &mut Notices) {
        let mut buffer = Path::buffer();
        // A steady stream is asked for more than its one packet every fourth tick only: that read mostly finds nothing.
        let is_enough = self.is_steady && !(now.index + u64::from(self.key.0)).is_multiple_of(4);
        self.is_steady = false;
        let (mut wasted, mut foreign) = (0, 0);
        for count in 0..MOST_READS {
            if count == 1 && is_enough {
                self.is_steady = true;
                return;
            }
            match self.path.read(&mut buffer, now.samples) {
                Read::Packet(datagram) => {
                    wasted += u32::from(self.tokens == 0);
                    if let Some(stream) = self.stream {
                        self.datagram(datagram, &stream, now, notices);
                    }
                }
                Read::Foreign => {
                    self.stats.packets_foreign += 1;
                    foreign += 1;
                }
                Read::Empty => {
                    self.is_steady = count == 1;
                    return;
                }
                Read::Again => {}
            }
            if wasted >= MOST_WASTED || foreign >= MOST_FOREIGN {
                return;
            }
        }
    }

    /// The peer is there.
    fn alive(&mut self, now: TickTime) {
        self.heard_us = now.us;
        self.is_silent = false;
    }

    /// What reports told.
    pub(super) fn told(&mut self, told: Told, now: TickTime) {
        if told.is_alive {
            self.alive(now);
        }
        if told.has_collided {
            self.collided(now);
        }
    }

    /// What its reports are measured by.
    pub(super) fn known(&self) -> Known {
        Known {
            rtp: [self.path.source(), self.stream.map(|stream| stream.remote_rtp)],
            ssrc: self.reception.ssrc(),
        }
    }

    fn datagram(&mut self, datagram: &[u8], stream: &StreamParameters, now: TickTime, notices: &mut Notices) {
        if self.tokens == 0 {
            self.stats.packets_dropped += 1;
            return;
        }
        self.tokens -= 1;
        let kind = datagram.get(1).copied().unwrap_or(0);
        if RTCP.contains(&kind) && stream.content(kind & 0x7f) == Content::Unknown {
            if let Some(from) = self.path.source() {
                let told = self.reports.take(datagram, from, now, self.known());
                self.told(told, now);
            }
            return;
        }
        match RtpPacket::parse(datagram) {
            Ok(packet) => self.packet(&packet, stream, now, notices),
            Err(_) => self.stats.packets_dropped += 1,
        }
    }

    fn packet(&mut self, packet: &RtpPacket<'_>, stream: &StreamParameters, now: TickTime, notices: &mut Notices) {
        let header = &packet.header;
        self.path.heard(header, now.samples);
        self.alive(now);
        if header.ssrc == self.identity.ssrc && !self.is_reflected(header) {
            self.collided(now);
        }
        let content = if packet.payload.is_empty() {
            // A keep-alive (RFC 6263 section 4.2).
            Content::ComfortNoise
        } else {
            stream.content(header.payload_type)
        };
        if matches!(content, Content::Audio(_)) {
            match self.reception.packet(header, now.samples) {
                Accepted::Yes => {}
                Accepted::Restarted => {
                    self.timeline.restart();
                    self.jitter.restart();
                    self.placement.restart();
                }
                Accepted::No => {
                    self.stats.packets_dropped += 1;
                    return;
                }
            }
        } else {
            self.reception.beside(header);
        }
        self.stats.packets_received += 1;
        match content {
            _ if !stream.receive => {}
            Content::Audio(codec) if packet.payload.len() <= FRAME => self.audio::<FRAME>(packet, codec, now),
            Content::Audio(codec) => self.audio::<MOST_SAMPLES>(packet, codec, now),
            Content::TelephoneEvent => self.keys(packet, now, notices),
            Content::ComfortNoise => {}
            Content::Unknown => self.stats.packets_dropped += 1,
        }
    }

    fn keys(&mut self, packet: &RtpPacket<'_>, now: TickTime, notices: &mut Notices) {
        for (offset, event) in TelephoneEvent::all(packet.payload) {
            let header = Header {
                timestamp: packet.header.timestamp.wrapping_add(offset),
                ..packet.header
            };
            if let Some(key) = self.events.packet(&header, event, now.samples) {
                self.pressed(
                    key.digit,
                    DigitMethod::Rfc4733,
                    u32::from(key.duration) / 8,
                    now,
                    notices,
                );
            }
        }
    }

    fn audio<const MOST: usize>(&mut self, packet: &RtpPacket<'_>, codec: Codec, now: TickTime) {
        let mut samples = [0; MOST];
        let count = packet.payload.len().min(MOST);
        let samples = samples.get_mut(..count).unwrap_or(&mut []);
        codec.decode(packet.payload, samples);
        let timestamp = self.timeline.place(&packet.header, count as u32, now.samples);
        self.jitter.insert(timestamp, samples, now.samples);
        let at = self
            .placement
            .place(timestamp, now.samples, now.is_punctual, SPEECH_WINDOW);
        self.mixer.said(at, samples, now.samples);
    }

    pub(super) fn play_out(&mut self, now: TickTime, frame: &mut Frame) {
        match self.jitter.pull(now.samples, frame) {
            Pulled::Audio | Pulled::Idle => self.concealer.good(frame),
            Pulled::Missing => {
                self.stats.frames_concealed += 1;
                self.concealer.conceal(frame);
            }
        }
    }
}
