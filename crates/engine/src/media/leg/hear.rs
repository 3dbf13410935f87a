//! What comes in on a leg: datagrams of the peer, to the jitter buffer, the recordings' time line, the keys and the reports.

use offhook_codec::Decoder;
use offhook_mix::SPEECH_WINDOW;
use offhook_rtp::{Accepted, Header, Pulled, RtpPacket, TelephoneEvent};
use offhook_words::{Codec, DigitMethod};

use super::{Leg, Origin, TickTime};
use crate::media::api::StreamParameters;
use crate::media::content::Content;
use crate::media::notice::Notices;

/// RTCP on the port of RTP has these in the place of marker and payload type (RFC 5761 section 4).
const RTCP: std::ops::RangeInclusive<u8> = 192..=223;

impl Leg {
    /// A datagram of the peer came on the port of RTP. Gives its header if it is RTP: this is where the peer is.
    pub fn receive(&mut self, datagram: &[u8], now: TickTime, notices: &mut Notices) -> Option<Header> {
        let stream = self.stream?;
        let kind = datagram.get(1).copied().unwrap_or(0);
        if RTCP.contains(&kind) && stream.content(kind & 0x7f) == Content::Unknown {
            self.receive_report(datagram, Origin::Peer, now);
            return None;
        }
        let Ok(packet) = RtpPacket::parse(datagram) else {
            self.stats.packets_dropped += 1;
            return None;
        };
        self.packet(&packet, &stream, now, notices);
        Some(packet.header)
    }

    /// A datagram that should be a compound of reports came. Gives whether it is of the peer.
    pub fn receive_report(&mut self, datagram: &[u8], origin: Origin, now: TickTime) -> bool {
        let told = self.reports.take(datagram, origin, self.reception.ssrc(), now);
        if told.is_alive {
            self.alive(now);
        }
        self.has_collided |= told.has_collided;
        told.is_alive
    }

    /// The peer is there.
    fn alive(&mut self, now: TickTime) {
        self.heard_us = now.us;
        self.is_silent = false;
    }

    fn packet(&mut self, packet: &RtpPacket<'_>, stream: &StreamParameters, now: TickTime, notices: &mut Notices) {
        let header = &packet.header;
        self.alive(now);
        self.has_collided |= header.ssrc == self.identity.ssrc && !self.is_reflected(header);
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
                    self.decoder = Decoder::default();
                    self.mixer.begin_anew();
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
            Content::Audio(codec) => self.audio(packet, codec, now),
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

    fn audio(&mut self, packet: &RtpPacket<'_>, codec: Codec, now: TickTime) {
        let said = packet.payload;
        let timestamp = self.timeline.place(&packet.header, said.len() as u32, now.samples);
        self.jitter.insert(timestamp, codec, said, now.samples);
        let place = self
            .placement
            .place(timestamp, now.samples, now.is_punctual, SPEECH_WINDOW);
        if let Some(at) = place {
            self.mixer.said(at, codec, said, now.samples);
        }
    }

    pub(super) fn play_out(&mut self, now: TickTime, frame: &mut [i16]) {
        match self.jitter.pull(now.samples, &mut self.decoder, frame) {
            Pulled::Audio | Pulled::Idle => self.concealer.good(frame),
            Pulled::Missing => {
                self.stats.frames_concealed += 1;
                self.concealer.conceal(frame);
            }
        }
    }
}
