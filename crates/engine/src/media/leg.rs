//! One leg, without sockets: what came goes through the mixer and back, once a tick.
//!
//! It is told of datagrams as they come ([`Leg::receive`], [`Leg::receive_report`]) and of time ([`Leg::tick`]), and sends by an
//! [`Outlet`]. Whose the datagrams are by their addresses, and how many of them it is told of, is known at the door
//! ([`super::path`]).

use std::thread::Thread;

use offhook_codec::{Decoder, Encoder};
use offhook_dsp::{Concealer, DtmfDetector, Halver};
use offhook_mix::{Input, LegMixer};
use offhook_rtp::{Doubles, EventReceiver, EventSender, JitterBuffer, KeyBudget, Placement, Reception, Timeline};
use offhook_words::{DigitMethod, FRAME, Frame, MediaStats, Rate};

use super::api::{LegKey, MediaEvent, StreamParameters};
use super::clock::Tick;
use super::ended::Endings;
use super::notice::{Notice, Notices};
use super::report::Reports;
use super::ring::{PlaySource, RecordSink, TapSink};
use super::writer::Written;

mod hear;
mod speak;

/// Digits that are looked at in one tick.
const MOST_DIGITS: usize = 16;
/// A recording that is not closed by then is given up, so that the leg can end.
const CLOSE_US: u64 = 5_000_000;

/// Reports come every 5 s or so; who sent some and then none for so long is gone.
const REPORTLESS_US: u64 = 30_000_000;

/// The mixer of a leg, with the rings it works on.
pub type Mixer = LegMixer<PlaySource, RecordSink, TapSink, Decoder>;

/// The time of a tick.
#[derive(Debug, Clone, Copy)]
pub struct TickTime {
    /// Ticks since the thread began.
    pub index: u64,
    /// The same in samples at 8 kHz.
    pub samples: u32,
    /// Microseconds of a clock that nobody sets. All that is measured is measured by it.
    pub us: u64,
    /// Microseconds of the Unix epoch, for reports: whoever sets the clock may move it.
    pub unix_us: u64,
    /// It began when it should.
    pub is_punctual: bool,
}

impl TickTime {
    /// Of a tick; `index` counts those that were skipped before it.
    pub fn new(index: u64, tick: Tick, unix_us: u64) -> Self {
        Self {
            index,
            samples: (index as u32).wrapping_mul(FRAME as u32),
            us: tick.us,
            unix_us,
            is_punctual: tick.is_punctual,
        }
    }
}

/// Where a report came from, as far as its address tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// An address that the peer named, or that its audio comes from.
    Peer,
    /// Another port of that host.
    Host,
    /// Elsewhere.
    Stranger,
}

/// Where what a leg sends goes to. Must not wait.
pub trait Outlet {
    /// A packet of RTP. `false`: it was not taken, and is lost as on any network.
    fn rtp(&mut self, packet: &[u8]) -> bool;

    /// A compound of RTCP.
    fn rtcp(&mut self, compound: &[u8]);
}

/// What the stream that we send starts from.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    pub ssrc: u32,
    pub spare_ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
}

/// A leg. Its first codec decides its rate; whatever it changes to later is heard and spoken at that.
pub struct Leg {
    pub key: LegKey,
    pub mixer: Mixer,
    stream: Option<StreamParameters>,
    identity: Identity,
    /// What we call ourselves when the peer has our name.
    spare_ssrc: Option<u32>,
    /// It has.
    has_collided: bool,
    marker: bool,
    reception: Reception,
    timeline: Timeline,
    jitter: JitterBuffer,
    decoder: Decoder,
    encoder: Encoder,
    placement: Placement,
    concealer: Concealer,
    detector: DtmfDetector,
    halver: Halver,
    events: EventReceiver,
    keys: KeyBudget,
    doubles: Doubles<DigitMethod>,
    key_down: Option<EventSender>,
    digits: Vec<char>,
    stats: MediaStats,
    reports: Reports,
    endings: Endings,
    heard_us: u64,
    is_silent: bool,
    closing_us: Option<u64>,
    #[cfg(test)]
    pub fault: Option<&'static str>,
}

impl Leg {
    pub fn new(key: LegKey, identity: Identity, writer: Thread) -> Self {
        Self {
            key,
            mixer: Mixer::new(Rate::Narrow),
            stream: None,
            identity,
            spare_ssrc: Some(identity.spare_ssrc),
            has_collided: false,
            marker: true,
            reception: Reception::default(),
            timeline: Timeline::default(),
            jitter: JitterBuffer::default(),
            decoder: Decoder::default(),
            encoder: Encoder::default(),
            placement: Placement::default(),
            concealer: Concealer::new(Rate::Narrow),
            detector: DtmfDetector::default(),
            halver: Halver::default(),
            events: EventReceiver::default(),
            keys: KeyBudget::default(),
            doubles: Doubles::default(),
            key_down: None,
            digits: Vec::with_capacity(MOST_DIGITS),
            stats: MediaStats::default(),
            reports: Reports::new(identity.ssrc, key),
            endings: Endings::new(key, writer),
            heard_us: 0,
            is_silent: false,
            closing_us: None,
            #[cfg(test)]
            fault: None,
        }
    }

    pub fn connect(&mut self, stream: StreamParameters, now: TickTime) {
        // A session that is only refreshed makes a peer that is gone no younger.
        if self.stream != Some(stream) {
            self.heard_us = now.us;
            self.is_silent = false;
            self.reports.settled();
        }
        let rate = stream.formats.codec.rate();
        if self.stream.is_none() && rate != self.mixer.rate() {
            // Nothing runs on it yet.
            self.mixer = Mixer::new(rate);
            self.concealer = Concealer::new(rate);
        }
        self.stream = Some(stream);
    }

    /// It was not closed.
    pub fn is_open(&self) -> bool {
        self.closing_us.is_none()
    }

    /// Reads a little of what the next tick needs, so that the memory is at hand.
    pub fn touch(&self) {
        self.mixer.touch();
        self.jitter.touch();
    }

    pub fn stats(&self) -> MediaStats {
        MediaStats {
            packets_lost: self.reception.lost(),
            packets_late: self.jitter.counts().late,
            jitter_ms: self.reception.jitter() / 8.0,
            round_trip_ms: self.reports.round_trip_ms(),
            playout_delay_ms: self.jitter.target_ms(),
            ..self.stats
        }
    }

    /// A key was pressed. What comes faster than any finger or dialler presses is dropped, and what came by another method
    /// before is not told again.
    pub fn pressed(
        &mut self,
        digit: char,
        method: DigitMethod,
        duration_ms: u32,
        now: TickTime,
        notices: &mut Notices,
    ) {
        if self.closing_us.is_some() || self.doubles.is_second(digit, method, duration_ms, now.samples) {
            return;
        }
        if self.digits.len() >= MOST_DIGITS || !self.keys.take() {
            self.stats.packets_dropped += 1;
        } else {
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
    pub fn tick(&mut self, now: TickTime, notices: &mut Notices, out: &mut impl Outlet) -> bool {
        if let Some(closing_us) = self.closing_us {
            if now.us.saturating_sub(closing_us) > CLOSE_US {
                self.endings.give_up(notices);
            }
            return !self.endings.is_settled();
        }
        #[cfg(test)]
        assert_eq!(self.fault, None);
        self.keys.frame();
        if std::mem::take(&mut self.has_collided) {
            self.rename(now, out);
        }
        if let Some(stream) = self.stream {
            self.frame(&stream, now, notices, out);
        }
        true
    }

    fn frame(&mut self, stream: &StreamParameters, now: TickTime, notices: &mut Notices, out: &mut impl Outlet) {
        let mut received = Frame::silent(self.mixer.rate());
        self.play_out(now, &mut received);
        if let Some(digit) = self.inband_digit(stream, &received) {
            self.pressed(digit, DigitMethod::Inband, 40, now, notices);
        }
        let tones = stream.formats.telephone_event_tx.is_none();
        let input = Input {
            received: &received,
            digits: &self.digits,
            now: now.samples,
            now_us: now.unix_us,
            tones,
        };
        let output = self.mixer.tick(&input);
        self.digits.clear();
        self.tell(now.unix_us, notices);
        if stream.send {
            self.send(stream, &output.frame, output.key, out);
        } else {
            self.marker = true;
            self.key_down = None;
        }
        self.identity.timestamp = self.identity.timestamp.wrapping_add(FRAME as u32);
        self.reports
            .tick(now, self.identity.timestamp, &self.stats, &mut self.reception, out);
    }

    /// Digits are looked for in the audio when telephone-event was not agreed on.
    fn inband_digit(&mut self, stream: &StreamParameters, received: &[i16]) -> Option<char> {
        if stream.formats.telephone_event_rx.is_some() || !stream.receive {
            return None;
        }
        if self.mixer.rate() == Rate::Narrow {
            return self.detector.frame(received);
        }
        let mut narrow = [0; FRAME];
        self.halver.halve(received, &mut narrow);
        self.detector.frame(&narrow)
    }

    /// Turn what happened in the mixer into events.
    fn tell(&mut self, now_us: u64, notices: &mut Notices) {
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

    /// Nothing came for so long that it must be told (once): no packet of a peer that speaks, no report of one that only
    /// listens and reported before.
    pub fn timed_out(&mut self, now_us: u64, limit_us: u64) -> bool {
        let since = |heard_us| now_us.saturating_sub(heard_us);
        let is_late = match self.stream {
            Some(stream) if stream.receive => since(self.heard_us) > limit_us,
            Some(stream) if stream.send => {
                let reported_us = self.reports.heard_us();
                reported_us.is_some_and(|us| since(us.max(self.heard_us)) > limit_us.max(REPORTLESS_US))
            }
            _ => false,
        };
        let is_new = is_late && self.closing_us.is_none() && !self.is_silent;
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
    pub fn close(&mut self, now: TickTime, notices: &mut Notices, out: &mut impl Outlet) {
        if self.closing_us.is_none() {
            self.closing_us = Some(now.us);
            self.mixer.close(now.samples);
            self.tell(now.unix_us, notices);
            self.reports
                .bye(now, self.identity.timestamp, &self.stats, &mut self.reception, out);
        }
    }
}

#[cfg(test)]
mod simulation;
