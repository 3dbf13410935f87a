//! What both sides are bound to by what they said before: streams keep their places (RFC 3264, section 8), numbers keep
//! their formats (section 8.3.2).

use offhook_words::Codec;

use crate::description::{Description, Media};

/// Numbers for formats that have none of their own.
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;
/// Our telephone-event where nothing else was agreed on; what RTP implementations commonly use.
const TELEPHONE_EVENT: u8 = 101;

/// What a payload type stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Codec(Codec),
    /// telephone-event at 8000 Hz (RFC 4733).
    TelephoneEvent,
    /// Not of this build.
    Other,
}

/// What was said in a session so far; the default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// The `m=` lines of the last description that was taken, ours or theirs.
    slots: Vec<Slot>,
    /// Which of them is our audio.
    audio: usize,
    /// The number we wrote last for each of our formats.
    ours: Vec<(u8, Format)>,
    /// Every number that anybody used.
    used: Vec<(u8, Format)>,
}

/// One `m=` line, as it has to stand there again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) kind: String,
    pub(crate) protocol: String,
    /// One format is enough for a stream that is refused.
    format: String,
}

impl Slot {
    fn of(media: &Media) -> Self {
        let format = media.formats.first().cloned();
        Self {
            kind: media.kind.clone(),
            protocol: media.protocol.clone(),
            format: format.unwrap_or_else(|| "0".to_owned()),
        }
    }

    /// The line that refuses it.
    pub(crate) fn refused(&self) -> String {
        format!("m={} 0 {} {}\r\n", self.kind, self.protocol, self.format)
    }
}

impl Memory {
    /// The streams that a description of ours has to have, at least our own.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        if self.slots.is_empty() {
            let (kind, protocol) = ("audio".to_owned(), "RTP/AVP".to_owned());
            let format = "0".to_owned();
            return vec![Slot { kind, protocol, format }];
        }
        self.slots.clone()
    }

    /// The place of our audio.
    pub(crate) fn audio(&self) -> usize {
        self.audio
    }

    /// What a number means in this session, where its description does not say.
    pub(crate) fn meaning(&self, payload_type: u8) -> Option<Format> {
        let known = |(number, format): &(u8, Format)| (*number == payload_type).then_some(*format);
        self.used.iter().find_map(known)
    }

    /// The number that we use for a format of ours from now on; `None` if all are taken.
    pub(crate) fn number(&mut self, format: Format) -> Option<u8> {
        let number = self.ours(format).or_else(|| self.free(format))?;
        self.said(number, format);
        Some(number)
    }

    /// The number that we wrote last for a format.
    pub(crate) fn ours(&self, format: Format) -> Option<u8> {
        let known = |(number, other): &(u8, Format)| (*other == format).then_some(*number);
        self.ours.iter().find_map(known)
    }

    fn free(&self, format: Format) -> Option<u8> {
        let usual = match format {
            Format::Codec(codec) => codec.static_payload_type(),
            Format::TelephoneEvent | Format::Other => TELEPHONE_EVENT,
        };
        let is_free = |number: &u8| self.meaning(*number).is_none_or(|meaning| meaning == format);
        std::iter::once(usual).chain(DYNAMIC).find(is_free)
    }

    /// We said that this number is this format.
    pub(crate) fn said(&mut self, number: u8, format: Format) {
        self.ours.retain(|(_, other)| *other != format);
        self.ours.push((number, format));
        self.heard(number, format);
    }

    /// The peer's description was taken: its lines are those of the session, and its numbers are used.
    pub(crate) fn taken(&mut self, description: &Description, audio: usize) {
        self.slots = description.media.iter().map(Slot::of).collect();
        self.audio = audio;
    }

    /// What the numbers of a stream mean.
    pub(crate) fn numbers(&mut self, media: &Media) {
        for payload_type in media.payload_types() {
            let format = media.format(payload_type, self);
            self.heard(payload_type, format);
        }
    }

    /// We offered these lines.
    pub(crate) fn offered(&mut self, slots: Vec<Slot>) {
        self.slots = slots;
    }

    fn heard(&mut self, number: u8, format: Format) {
        self.used.retain(|(other, _)| *other != number);
        self.used.push((number, format));
    }
}
