//! telephone-event: digits in RTP (RFC 4733).

/// One payload (RFC 4733 section 2.3).
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
            ends: 0,
        }
    }

    /// The packet of this frame; three times the end, then none.
    pub fn frame(&mut self) -> Option<EventPacket> {
        if self.left == 0 {
            self.ends += 1;
            return (self.ends < 3).then(|| self.packet(true));
        }
        if self.duration > LONGEST - self.frame {
            self.timestamp = self.timestamp.wrapping_add(u32::from(self.duration));
            self.duration = 0;
        }
        self.duration += self.frame;
        self.left = self.left.saturating_sub(u32::from(self.frame));
        let packet = self.packet(self.left == 0);
        self.is_first = false;
        Some(packet)
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

/// Timestamps kept, to know late copies again.
const KEPT: usize = 8;

/// Finds presses by their timestamp: marker or not, first packets or last ones lost, doubled or out of order.
#[derive(Debug, Clone, Default)]
pub struct EventReceiver {
    known: [Option<(u32, u8)>; KEPT],
    at: usize,
    /// Where the last segment ended so far, its key, and whether its end was seen.
    last: Option<(u32, u8, bool)>,
}

impl EventReceiver {
    /// Take an event packet; give the key when it is a new press.
    pub fn packet(&mut self, timestamp: u32, event: TelephoneEvent) -> Option<PressedKey> {
        let digit = digit_of_code(event.code)?;
        let end = timestamp.wrapping_add(u32::from(event.duration));
        if self.known.contains(&Some((timestamp, event.code))) {
            if let Some((before, code, ended)) = &mut self.last
                && *code == event.code
                && (end.wrapping_sub(*before) as i32) >= 0
            {
                *before = end;
                *ended |= event.is_end;
            }
            return None;
        }
        if let Some(slot) = self.known.get_mut(self.at) {
            *slot = Some((timestamp, event.code));
        }
        self.at = (self.at + 1) % KEPT;
        // A segment that begins where an unfinished one of the same key reached, at its longest, goes on with it.
        let goes_on = self.last.is_some_and(|(before, code, ended)| {
            let gap = timestamp.wrapping_sub(before) as i32;
            code == event.code && !ended && (0..=1600).contains(&gap) && self.is_long(before, event.code)
        });
        self.last = Some((end, event.code, event.is_end));
        (!goes_on).then_some(PressedKey {
            digit,
            duration: event.duration,
        })
    }

    /// The segment that ends at `end` was long enough to be split.
    fn is_long(&self, end: u32, code: u8) -> bool {
        let of_code = self.known.iter().flatten().filter(|(_, known)| *known == code);
        of_code
            .map(|(timestamp, _)| end.wrapping_sub(*timestamp))
            .any(|length| (0xf000..=0xffff).contains(&length))
    }

    /// The source began anew: its timestamps mean nothing now.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All packets of presses, a fixed pause apart.
    fn packets(digits: &str, samples: u32, start: u32) -> Vec<EventPacket> {
        let mut all = Vec::new();
        let mut timestamp = start;
        for digit in digits.chars() {
            let mut sender = EventSender::press(code_of_digit(digit).unwrap(), timestamp, samples, 160);
            all.extend(std::iter::from_fn(|| sender.frame()));
            timestamp = timestamp.wrapping_add(samples + 800);
        }
        all
    }

    fn heard(packets: impl IntoIterator<Item = EventPacket>) -> String {
        let mut receiver = EventReceiver::default();
        packets
            .into_iter()
            .filter_map(|packet| receiver.packet(packet.timestamp, packet.event))
            .map(|key| key.digit)
            .collect()
    }

    #[test]
    fn a_press_has_one_marker_one_timestamp_growing_durations_and_three_ends() {
        let sent = packets("5", 800, 1000);
        assert_eq!(
            sent.iter().map(|packet| packet.marker).collect::<Vec<_>>(),
            [true, false, false, false, false, false, false]
        );
        assert!(
            sent.iter()
                .all(|packet| packet.timestamp == 1000 && packet.event.code == 5)
        );
        assert_eq!(
            sent.iter().map(|packet| packet.event.duration).collect::<Vec<_>>(),
            [160, 320, 480, 640, 800, 800, 800]
        );
        assert_eq!(sent.iter().filter(|packet| packet.event.is_end).count(), 3);
    }

    #[test]
    fn a_press_of_a_minute_is_split_and_still_one_digit() {
        let sent = packets("7", 480_000, u32::MAX - 70_000);
        let starts: std::collections::BTreeSet<u32> = sent.iter().map(|packet| packet.timestamp).collect();
        assert_eq!(starts.len(), 8);
        assert_eq!(heard(sent.clone()), "7");
        // One end packet of the whole lost, and the last packets of each segment too.
        let fewer = sent
            .iter()
            .copied()
            .filter(|packet| packet.event.duration < 0xff00 - 800);
        assert_eq!(heard(fewer), "7");
    }

    /// livekit/sip#742: digits of a sender that never sets the marker were missed.
    #[test]
    fn digits_come_once_with_or_without_marker() {
        let sent = packets("1*23", 800, 0);
        assert_eq!(heard(sent.clone()), "1*23");
        assert_eq!(
            heard(sent.into_iter().map(|packet| EventPacket {
                marker: false,
                ..packet
            })),
            "1*23"
        );
    }

    #[test]
    fn lost_starts_and_lost_ends_lose_no_digit_and_double_none() {
        let sent = packets("1122", 800, 5);
        assert_eq!(
            heard(sent.iter().copied().filter(|packet| packet.event.duration > 480)),
            "1122"
        );
        assert_eq!(
            heard(sent.iter().copied().filter(|packet| !packet.event.is_end)),
            "1122"
        );
        assert_eq!(
            heard(sent.iter().copied().filter(|packet| packet.event.is_end).step_by(3)),
            "1122"
        );
    }

    #[test]
    fn events_that_are_no_digits_are_left_alone() {
        let flash = TelephoneEvent {
            code: 16,
            is_end: false,
            volume: 0,
            duration: 160,
        };
        assert_eq!(EventReceiver::default().packet(0, flash), None);
    }

    proptest! {
        #[test]
        fn loss_doubling_and_reordering_keep_each_digit_once(
            digits in "[0-9*#A-D]{1,40}",
            start: u32,
            fates in proptest::collection::vec(0_u8..20, 300),
        ) {
            let sent = packets(&digits, 800, start);
            let mut arrived = Vec::new();
            for (at, (packet, fate)) in sent.iter().zip(fates.iter().cycle()).enumerate() {
                // Of each press at least one packet arrives.
                let keep = at % 7 == 3;
                match fate {
                    0..8 if !keep => {}
                    8..11 => arrived.extend([*packet, *packet]),
                    11..13 if arrived.last().is_some_and(|last: &EventPacket| last.timestamp == packet.timestamp) => arrived.insert(arrived.len() - 1, *packet),
                    _ => arrived.push(*packet),
                }
            }
            prop_assert_eq!(heard(arrived), digits);
        }

        #[test]
        fn payloads_read_back_and_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..8)) {
            if let Some(event) = TelephoneEvent::parse(&bytes) {
                prop_assert_eq!(TelephoneEvent::parse(&event.dump()), Some(event));
            }
        }
    }
}
