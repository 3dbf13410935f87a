//! What goes out on a leg: one stream, a packet a frame, and the keys that are pressed.

use offhook_mix::KeyOutput;
use offhook_rtp::{EventSender, HEADER_BYTES, Header, code_of_digit, write_header};
use offhook_words::FRAME;

use super::{Identity, Leg, Outlet, TickTime};
use crate::media::api::StreamParameters;

/// A packet of ours that comes back was sent at most so many packets ago.
const REFLECTED: u16 = 1000;

impl Leg {
    pub(super) fn send(&mut self, stream: &StreamParameters, frame: &[i16], key: KeyOutput, out: &mut impl Outlet) {
        let kind = stream.formats.telephone_event_tx.unwrap_or(101);
        if key != KeyOutput::Hold
            && let Some(event) = &mut self.key_down
        {
            // Nobody holds it any more: it was stopped, or another one is next.
            event.release();
        }
        if let KeyOutput::Press { digit, samples } = key {
            // Three packets at most, the end of the one before.
            while self.key_down.is_some() {
                self.send_event(kind, out);
            }
            if let Some(code) = code_of_digit(digit) {
                self.key_down = Some(EventSender::press(code, self.identity.timestamp, samples, FRAME as u16));
            }
        }
        let is_pressed = self.key_down.as_ref().is_some_and(EventSender::is_pressed);
        if self.key_down.is_some() {
            self.send_event(kind, out);
        }
        if !is_pressed {
            let mut packet = [0; HEADER_BYTES + FRAME];
            if let Some(payload) = packet.get_mut(HEADER_BYTES..) {
                self.encoder.encode(stream.formats.codec, frame, payload);
            }
            self.send_packet(
                &mut packet,
                stream.formats.payload_type_tx,
                self.identity.timestamp,
                self.marker,
                out,
            );
            self.marker = false;
        }
    }

    /// The next packet of the key that is down, or of its end.
    fn send_event(&mut self, payload_type: u8, out: &mut impl Outlet) {
        let Some(event) = self.key_down.as_mut().and_then(EventSender::frame) else {
            self.key_down = None;
            return;
        };
        let mut packet = [0; HEADER_BYTES + 4];
        if let Some(payload) = packet.last_chunk_mut::<4>() {
            *payload = event.event.dump();
        }
        self.send_packet(&mut packet, payload_type, event.timestamp, event.marker, out);
    }

    fn send_packet(
        &mut self,
        packet: &mut [u8],
        payload_type: u8,
        timestamp: u32,
        marker: bool,
        out: &mut impl Outlet,
    ) {
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
        if out.rtp(packet) {
            self.stats.packets_sent += 1;
            self.reports.sent((packet.len() - HEADER_BYTES) as u32);
        } else {
            self.stats.packets_dropped += 1;
        }
    }

    /// A packet of ours: the peer sends back what it gets, as echo tests do.
    pub(super) fn is_reflected(&self, header: &Header) -> bool {
        let age = self.identity.timestamp.wrapping_sub(header.timestamp);
        let packets = self.identity.sequence.wrapping_sub(header.sequence);
        packets <= REFLECTED && age <= u32::from(REFLECTED) * FRAME as u32
    }

    /// The peer calls itself what we call ourselves: say BYE by that name and take another (RFC 3550 section 8.2). Once a
    /// leg: who does it again wants to.
    pub(super) fn rename(&mut self, now: TickTime, out: &mut impl Outlet) {
        let Some(ssrc) = self.spare_ssrc.take() else {
            return;
        };
        self.reports
            .bye(now, self.identity.timestamp, &self.stats, &mut self.reception, out);
        self.identity.ssrc = ssrc;
        self.reports.rename(ssrc, &self.stats);
        self.marker = true;
    }
}
