//! G.722 in packets of all kinds, on legs of both rates.

use std::f64::consts::TAU;
use std::sync::Arc;

use offhook_codec::{Encoder, G722Decoder, Law};
use offhook_mix::{Recorder, RecorderLimits};
use offhook_rtp::Header;
use offhook_words::{Codec, Rate, Side};

use super::by;
use super::line::{Line, with};
use crate::media::ring::record_ring;

/// Of what the peer says.
const HZ: f64 = 1000.0;

/// A peer that says one tone, in packets of `size` codes, and hears it back.
struct Peer {
    line: Line,
    codec: Codec,
    size: u32,
    ssrc: u32,
    encoder: Encoder,
    decoder: G722Decoder,
    /// Codes.
    said: u32,
    sequence: u16,
}

impl Peer {
    /// In a call that began with this codec, and speaks it.
    fn new(codec: Codec, size: u32) -> Self {
        let mut line = Line::agreed(|formats| *formats = by(codec, *formats));
        assert!(line.leg().mixer.add_echo(1, 600_000, 1));
        Self {
            line,
            codec,
            size,
            ssrc: 9,
            encoder: Encoder::default(),
            decoder: G722Decoder::default(),
            said: 0,
            sequence: 0,
        }
    }

    /// The next packet of the tone.
    fn packet(&mut self) -> Vec<u8> {
        let sample = |n: u32| (8000.0 * (TAU * HZ * f64::from(n) / 16_000.0).sin()) as i16;
        let samples: Vec<i16> = (self.said * 2..(self.said + self.size) * 2).map(sample).collect();
        let mut codes = vec![0; self.size as usize];
        for (samples, codes) in samples.chunks(320).zip(codes.chunks_mut(160)) {
            self.encoder.encode(self.codec, samples, codes);
        }
        let packet = self.beside(self.codec.static_payload_type(), &codes);
        self.said += self.size;
        packet
    }

    /// A packet of anything at the time of the next.
    fn beside(&mut self, payload_type: u8, payload: &[u8]) -> Vec<u8> {
        let header = Header {
            marker: false,
            payload_type,
            sequence: self.sequence,
            timestamp: self.said,
            ssrc: self.ssrc,
        };
        self.sequence += 1;
        with(header, payload)
    }

    fn send(&self, packet: &[u8]) {
        self.line.peer.send(packet).unwrap();
    }

    /// What is heard back in so many ticks. `deliver` gets the packets of each tick, if there are some.
    fn talk(&mut self, ticks: u32, mut deliver: impl FnMut(&Self, Vec<Vec<u8>>)) -> Vec<i16> {
        let mut heard = Vec::new();
        let begun = self.said;
        for tick in 1..=ticks {
            let mut packets = Vec::new();
            while self.said + self.size <= begun + tick * 160 {
                packets.push(self.packet());
            }
            deliver(self, packets);
            self.line.tick();
            heard.extend(self.heard());
        }
        heard
    }

    fn speak(&mut self, ticks: u32) -> Vec<i16> {
        self.talk(ticks, |peer, packets| {
            for packet in packets {
                peer.send(&packet);
            }
        })
    }

    /// What came back, at the rate of the codec that was agreed on.
    fn heard(&mut self) -> Vec<i16> {
        let formats = self.line.stream.formats;
        let mut heard = Vec::new();
        for came in self.line.came() {
            assert_eq!(came.header.payload_type, formats.payload_type_tx);
            let mut samples = vec![0; came.payload.len() * formats.codec.rate().factor()];
            match formats.codec {
                Codec::Pcmu => Law::Mu.decode(&came.payload, &mut samples),
                Codec::Pcma => Law::A.decode(&came.payload, &mut samples),
                Codec::G722 => self.decoder.decode(&came.payload, &mut samples),
            }
            heard.extend(samples);
        }
        heard
    }

    /// The part of the energy that is the tone, each 40 ms by its own phase; it is as loud as it was said.
    fn share(&self, samples: &[i16]) -> f64 {
        let rate = self.line.stream.formats.codec.rate();
        let (mut tone, mut energy) = (0.0, 0.0);
        for piece in samples.chunks_exact(rate.frame() * 2) {
            let (mut re, mut im) = (0.0, 0.0);
            for (n, sample) in piece.iter().enumerate() {
                let (turn, sample) = (TAU * HZ * n as f64 / f64::from(rate.hz()), f64::from(*sample));
                (re, im, energy) = (
                    re + sample * turn.cos(),
                    im + sample * turn.sin(),
                    energy + sample * sample,
                );
            }
            tone += 2.0 * (re * re + im * im) / piece.len() as f64;
        }
        let level = energy / samples.len() as f64 / 32e6;
        assert!((0.7..1.3).contains(&level), "{level:.2} of the level");
        tone / energy
    }
}

fn loudest(samples: &[i16]) -> i32 {
    let sizes = samples.iter().map(|sample| i32::from(*sample).abs());
    sizes.max().unwrap_or(0)
}

#[test]
fn packets_of_any_length_are_heard_whole_at_both_rates() {
    for rate in [Codec::Pcmu, Codec::G722] {
        for size in [80, 161, 240, 333, 480, 1600] {
            let mut peer = Peer::new(rate, size);
            peer.codec = Codec::G722;
            peer.speak(100);
            let heard = peer.speak(200);
            let share = peer.share(&heard);
            assert!(share > 0.98, "{size} codes, on a leg of {rate:?}: {share:.3}");
        }
    }
}

#[test]
fn each_codec_is_heard_by_its_static_number_whatever_was_agreed_on() {
    for agreed in Codec::ALL {
        let mut peer = Peer::new(agreed, 160);
        for (spoken, ssrc) in Codec::ALL.into_iter().zip(1..) {
            (peer.codec, peer.ssrc, peer.encoder) = (spoken, ssrc, Encoder::default());
            peer.speak(30);
            let heard = peer.speak(50);
            let share = peer.share(&heard);
            assert!(share > 0.98, "{spoken:?} where {agreed:?} was agreed on: {share:.3}");
        }
        assert_eq!(peer.line.stats().packets_dropped, 0);
    }
}

#[test]
fn what_is_lost_or_out_of_order_costs_little_more_than_itself() {
    let mut peer = Peer::new(Codec::G722, 160);
    peer.speak(50);
    let mut tick = 0;
    let mut kept = None;
    let heard = peer.talk(400, |peer, packets| {
        for packet in packets {
            tick += 1;
            match tick % 20 {
                0 => {}
                // Behind the next one.
                10 => kept = Some(packet),
                _ => {
                    peer.send(&packet);
                    if let Some(late) = kept.take() {
                        peer.send(&late);
                    }
                }
            }
        }
    });
    let share = peer.share(&heard);
    assert!(share > 0.95, "{share:.3}");
    // An encoder that heard the lost and a decoder that did not come together in a frame or two.
    assert!(loudest(&heard) < 16_000, "{}", loudest(&heard));
}

#[test]
fn another_source_begins_without_a_burst_for_the_ear_and_in_a_recording() {
    let mut peer = Peer::new(Codec::G722, 160);
    let (sink, mut recorded) = record_ring(1, Rate::Wide, &Arc::default());
    let limits = RecorderLimits::default();
    let taker = Recorder::new(2, sink, Side::Said, false, None, limits, 1);
    assert!(peer.line.leg().mixer.add_recorder(taker));
    peer.speak(50);
    for ssrc in 20..24 {
        (peer.ssrc, peer.encoder) = (ssrc, Encoder::default());
        (peer.sequence, peer.said) = (peer.sequence + 9000, peer.said + 8_000_003);
        let heard = peer.speak(50);
        assert!(loudest(&heard) < 12_000, "{}", loudest(&heard));
        assert!(peer.share(&heard[8000..]) > 0.98);
        let mut bytes = Vec::new();
        recorded.take(&mut bytes);
        let bytes = bytes.as_chunks().0.iter();
        let said: Vec<i16> = bytes.map(|pair| i16::from_le_bytes(*pair)).collect();
        assert!(loudest(&said) < 12_000, "{} recorded", loudest(&said));
    }
}

#[test]
fn comfort_noise_and_keys_between_speech_are_not_heard() {
    let mut peer = Peer::new(Codec::G722, 160);
    peer.speak(50);
    for round in 0..3 {
        for tick in 0..30 {
            let other = match (round, tick % 10) {
                (0, 0) => Some(peer.beside(13, &[0x40])),
                (1, _) => Some(peer.beside(101, &[5, 10, 0, 160])),
                (2, 0) => Some(peer.beside(9, &[])),
                _ => None,
            };
            if let Some(packet) = other {
                peer.send(&packet);
            }
            peer.said += 160;
            peer.line.tick();
            let heard = peer.heard();
            assert!(
                tick < 20 || loudest(&heard) < 100,
                "{round} {tick}: {}",
                loudest(&heard)
            );
        }
        let heard = peer.speak(50);
        assert!(peer.share(&heard[8000..]) > 0.98, "{round}");
    }
}

#[test]
fn a_leg_keeps_its_rate_whatever_it_is_connected_to_later() {
    for codec in Codec::ALL {
        let mut peer = Peer::new(codec, 160);
        let stream = peer.line.stream;
        for next in Codec::ALL {
            peer.line.connect(crate::media::api::StreamParameters {
                formats: by(next, stream.formats),
                ..stream
            });
            assert_eq!(peer.line.leg().mixer.rate(), codec.rate());
        }
    }
    assert_eq!(Codec::ALL.map(Codec::rate), [Rate::Narrow, Rate::Narrow, Rate::Wide]);
}
