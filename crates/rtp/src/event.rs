//! telephone-event: digits in RTP (RFC 4733).

use offhook_words::{FRAME, RATE_HZ};

use crate::packet::Header;

/// Events that are looked at in one packet.
pub const MOST_EVENTS: usize = 8;

/// One event (RFC 4733 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// 0-15 are the digits.
    pub code: u8,
    /// The key was released.
    pub is_end: bool,
    /// In -dBm0, 0-63.
    pub volume: u8,
    /// So far, in samples.
    pub duration: u16,
}

impl TelephoneEvent {
    /// The events of a payload, each with the samples from the packet's timestamp to its start: one, or a key and those that
    /// followed at once. All but the last have ended; what stands behind that is padding. At most [`MOST_EVENTS`].
    pub fn all(payload: &[u8]) -> impl Iterator<Item = (u32, Self)> {
        let mut offset = 0_u32;
        let mut is_over = false;
        let events = payload.chunks(4).take(MOST_EVENTS).map_while(Self::parse).enumerate();
        events.map_while(move |(at, event)| {
            if is_over || at > 0 && event.duration == 0 {
                return None;
            }
            is_over = !event.is_end;
            let start = offset;
            offset += u32::from(event.duration);
            Some((start, event))
        })
    }

    /// The first event of a payload.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (fixed, _) = payload.split_first_chunk::<4>()?;
        let [code, flags, high, low] = *fixed;
        Some(Self {
            code,
            is_end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    /// As payload.
    pub fn dump(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.code, u8::from(self.is_end) << 7 | (self.volume & 0x3f), high, low]
    }
}

const DIGITS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D',
];

/// The event of a digit.
pub fn code_of_digit(digit: char) -> Option<u8> {
    DIGITS
        .iter()
        .position(|known| *known == digit.to_ascii_uppercase())
        .map(|code| code as u8)
}

/// The digit of an event.
pub fn digit_of_code(code: u8) -> Option<char> {
    DIGITS.get(usize::from(code)).copied()
}

/// Longest duration of a segment; a longer press goes on in another (RFC 4733 section 2.5.1.3).
const LONGEST: u16 = 0xff00;

/// A key that is pressed: what to send in each frame.
#[derive(Debug, Clone)]
pub struct EventSender {
    code: u8,
    timestamp: u32,
    frame: u16,
    duration: u16,
    left: u32,
    is_first: bool,
    /// How often the end is still to be sent.
    ends: u8,
}

/// What to send of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPacket {
    /// On the first packet of the press alone.
    pub marker: bool,
    /// Of the start of the segment.
    pub timestamp: u32,
    /// What it says.
    pub event: TelephoneEvent,
}

impl EventSender {
    /// Press a key at `timestamp` for `samples`, in frames of `frame` samples.
    pub fn press(code: u8, timestamp: u32, samples: u32, frame: u16) -> Self {
        Self {
            code,
            timestamp,
            frame,
            duration: 0,
            left: samples.max(1),
            is_first: true,
            ends: 3,
        }
    }

    /// The packet of this frame; three times the end, then none.
    pub fn frame(&mut self) -> Option<EventPacket> {
        if self.left == 0 {
            self.ends = self.ends.checked_sub(1)?;
            return Some(self.packet(true));
        }
        if self.duration > LONGEST - self.frame {
            self.timestamp = self.timestamp.wrapping_add(u32::from(self.duration));
            self.duration = 0;
        }
        self.duration += self.frame;
        self.left = self.left.saturating_sub(u32::from(self.frame));
        self.ends -= u8::from(self.left == 0);
        let packet = self.packet(self.left == 0);
        self.is_first = false;
        Some(packet)
    }

    /// Let the key go before its time: what is left to send is its end.
    pub fn release(&mut self) {
        self.left = 0;
    }

    /// The key is still pressed: its next packet takes the place of audio.
    pub fn is_pressed(&self) -> bool {
        self.left > 0
    }

    fn packet(&self, is_end: bool) -> EventPacket {
        let event = TelephoneEvent {
            code: self.code,
            is_end,
            volume: 10,
            duration: self.duration,
        };
        EventPacket {
            marker: self.is_first,
            timestamp: self.timestamp,
            event,
        }
    }
}

/// A key, recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PressedKey {
    /// `0-9 * # A-D`.
    pub digit: char,
    /// So far, in samples.
    pub duration: u16,
}

/// Presses kept, to know late copies again.
const KEPT: usize = 8;
/// Nearest that a key can be pressed again after its end: 40 ms.
const PAUSE: i32 = 320;
/// So much may be missing of a press that has no end yet: a packet of 20 ms.
const HOLE: i32 = 160;
/// The same where a long press goes on in another segment: 200 ms.
const LONG_HOLE: i32 = 1600;
/// A segment of this length is one that was split (RFC 4733 section 2.5.1.3).
const LONG: u32 = 0xf000;
/// A packet that the first ones of its press overtook is at most so old: 80 ms.
const OVERTAKEN: i32 = 640;
/// A jump of timestamps that no loss explains: 1 s.
const JUMP: i32 = RATE_HZ as i32;
/// A stream under another name is numbered less than this further on.
const GOES_ON: i16 = 100;
/// And at most so much further back, where later packets overtook it.
const COMES_LATE: i16 = 8;
/// A press that goes on in another stream goes on within 60 ms.
const MOVED: i32 = 480;
/// A press that begins without marker and time of its own begins a frame after the packet before, at the earliest.
const STEP: i32 = FRAME as i32;

/// A press, as far as its packets came. Times are timestamps of its stream, but `at`.
#[derive(Debug, Clone, Copy)]
struct Press {
    ssrc: u32,
    code: u8,
    first: u32,
    newest: u32,
    /// What durations count from: the start of its last segment.
    base: u32,
    reached: u32,
    duration: u16,
    is_ended: bool,
    sequence: u16,
    /// When its last packet came, in samples of the local clock.
    at: u32,
}

fn signed(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

impl Press {
    fn new(header: &Header, event: TelephoneEvent, now: u32) -> Self {
        let timestamp = header.timestamp;
        Self {
            ssrc: header.ssrc,
            code: event.code,
            first: timestamp,
            newest: timestamp,
            base: timestamp,
            reached: timestamp.wrapping_add(u32::from(event.duration)),
            duration: event.duration,
            is_ended: event.is_end,
            sequence: header.sequence,
            at: now,
        }
    }

    fn add(&mut self, header: &Header, event: TelephoneEvent, now: u32) {
        if self.is_elsewhere(header) {
            *self = Self::new(header, event, now);
            return;
        }
        self.ssrc = header.ssrc;
        let timestamp = header.timestamp;
        if signed(timestamp, self.newest) > 0 {
            self.newest = timestamp;
        } else if signed(timestamp, self.first) < 0 {
            self.first = timestamp;
        }
        // Behind its end a long press may go on in another segment.
        self.is_ended &= event.is_end || signed(timestamp, self.reached) < 0;
        // A duration that reaches back to the start counts from there, whatever the timestamp says.
        if signed(timestamp, self.base) > i32::from(event.duration) {
            self.base = timestamp;
        }
        let reached = if self.is_ended {
            timestamp
        } else {
            self.base.wrapping_add(u32::from(event.duration))
        };
        if signed(reached, self.reached) > 0 {
            self.reached = reached;
        }
        if (header.sequence.wrapping_sub(self.sequence) as i16) > 0 {
            self.sequence = header.sequence;
            self.duration = event.duration;
        }
        self.is_ended |= event.is_end;
        self.at = now;
    }

    /// In another stream than the packet, or at another time of it.
    fn is_elsewhere(&self, header: &Header) -> bool {
        let since = signed(header.timestamp, self.newest);
        self.ssrc != header.ssrc && !self.is_renamed(header)
            || since.unsigned_abs() > JUMP.unsigned_abs()
                && signed(header.timestamp, self.reached).unsigned_abs() > JUMP.unsigned_abs()
    }

    /// Another name, but numbers and times that go on: some gateways change it with each packet.
    fn is_renamed(&self, header: &Header) -> bool {
        let ahead = header.sequence.wrapping_sub(self.sequence) as i16;
        (-COMES_LATE..GOES_ON).contains(&ahead)
            && signed(header.timestamp, self.newest).unsigned_abs() <= JUMP.unsigned_abs()
    }

    /// The packet belongs to this press, which is the newest of its stream.
    fn goes_on(&self, header: &Header, event: TelephoneEvent, now: u32) -> bool {
        let gap = signed(header.timestamp, self.reached);
        if signed(header.timestamp, self.first) < 0 {
            return signed(header.timestamp, self.first) >= -OVERTAKEN;
        }
        let is_long = self.reached.wrapping_sub(self.base) >= LONG;
        // The next packet of a sender that moves its timestamps; another press begins with less.
        let is_next = gap <= MOVED && signed(now, self.at) <= MOVED && event.duration >= self.duration;
        match (self.is_ended, header.marker) {
            (false, is_marked) => {
                let hole = if event.is_end { 2 * PAUSE } else { PAUSE };
                gap <= HOLE || !is_marked && (gap < hole || is_next) || is_long && gap <= LONG_HOLE
            }
            // An end right behind the end is none of another press, nor is what came before that end.
            (true, false) => gap < 0 || event.is_end && (gap < PAUSE || is_next) || is_long && gap <= HOLE,
            (true, true) => event.is_end && gap <= 0,
        }
    }

    /// The source began anew while this key was down: neither its SSRC nor its time is what it was.
    fn moved(&self, header: &Header, event: TelephoneEvent, now: u32) -> bool {
        let is_recent = signed(now, self.at) <= MOVED;
        is_recent && !self.is_ended && !header.marker && event.duration >= self.duration
    }

    /// It ended, and begins again without a timestamp of its own.
    fn is_again(&self, header: &Header, event: TelephoneEvent, now: u32) -> bool {
        let is_newer = (header.sequence.wrapping_sub(self.sequence) as i16) > 0;
        let is_beginning = !event.is_end && event.duration < self.duration;
        self.is_ended && is_newer && is_beginning && (header.marker || signed(now, self.at) >= STEP)
    }

    /// Behind its newest packet, and before its end.
    fn was_down(&self, timestamp: u32) -> bool {
        signed(timestamp, self.newest) > 0 && signed(timestamp, self.reached) < 0
    }

    fn spans(&self, timestamp: u32) -> bool {
        signed(timestamp, self.first) >= 0 && signed(timestamp, self.newest) <= 0
    }
}

/// Finds presses by their timestamps, in any number of streams: marker or not, first packets or last ones lost, doubled
/// or out of order, and with timestamps that move when they should not.
#[derive(Debug, Clone, Default)]
pub struct EventReceiver {
    /// The newest first.
    presses: [Option<Press>; KEPT],
}

impl EventReceiver {
    /// Take an event that came at `now` (samples, of any origin); give the key when it is a new press.
    pub fn packet(&mut self, header: &Header, event: TelephoneEvent, now: u32) -> Option<PressedKey> {
        let digit = digit_of_code(event.code)?;
        let known = self.find(header, event, now);
        if let Some(press) = known.and_then(|at| self.presses.get_mut(at)?.as_mut()) {
            press.add(header, event, now);
            return None;
        }
        self.presses.rotate_right(1);
        if let Some(slot) = self.presses.first_mut() {
            *slot = Some(Press::new(header, event, now));
        }
        Some(PressedKey {
            digit,
            duration: event.duration,
        })
    }

    /// The press that a packet belongs to.
    fn find(&self, header: &Header, event: TelephoneEvent, now: u32) -> Option<usize> {
        let mut newer: Option<u32> = None;
        for (at, press) in self.presses.iter().enumerate() {
            let press = press.as_ref()?;
            let is_same = press.code == event.code;
            if press.is_elsewhere(header) {
                if at == 0 && is_same && press.moved(header, event, now) {
                    return Some(at);
                }
                if press.ssrc == header.ssrc {
                    newer = Some(press.first);
                }
                continue;
            }
            if is_same && press.spans(header.timestamp) {
                return (!press.is_again(header, event, now)).then_some(at);
            }
            // Of a press that others followed, what was late: before the next one began.
            let is_late = |next: u32| signed(header.timestamp, next) < 0 && press.was_down(header.timestamp);
            if is_same && newer.map_or_else(|| press.goes_on(header, event, now), is_late) {
                return Some(at);
            }
            newer = Some(press.first);
        }
        None
    }
}

/// Presses that are believed at once after a pause.
const BURST: u32 = 24;
/// Frames a press: 16 a second, where 40 ms of key and 40 ms of pause make 12.
const FRAMES: u32 = 3;

/// How many presses a peer may make: what comes faster is no finger and no dialler.
#[derive(Debug, Clone)]
pub struct KeyBudget {
    /// In frames.
    left: u32,
}

impl Default for KeyBudget {
    fn default() -> Self {
        Self { left: BURST * FRAMES }
    }
}

impl KeyBudget {
    /// Another 20 ms are over.
    pub fn frame(&mut self) {
        self.left = (self.left + 1).min(BURST * FRAMES);
    }

    /// A press came; `false`: it is one too many.
    pub fn take(&mut self) -> bool {
        let fits = self.left >= FRAMES;
        if fits {
            self.left -= FRAMES;
        }
        fits
    }
}

#[cfg(test)]
mod tests;
