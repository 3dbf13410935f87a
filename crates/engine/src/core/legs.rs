//! The legs that live, and the names by which each party knows them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use offhook_sip::Rate;
use offhook_words::{DigitMethod, OperationId};

use crate::control::wire::{Direction, LegEnded, LegState};
use crate::core::pace::{Changes, Pace};
use crate::core::snapshot::Running;
use crate::media;

/// One press that came by two methods arrives within this long.
const SAME_PRESS: Duration = Duration::from_millis(1500);

/// One call with one party: a dialog and its media.
#[derive(Debug)]
pub struct Leg {
    /// Its name on the control socket.
    pub id: String,
    /// Its name in `signal`.
    pub sip: offhook_sip::LegKey,
    /// Its name in `media`.
    pub media: media::LegKey,
    /// Who placed it.
    pub direction: Direction,
    /// How far it is.
    pub state: LegState,
    /// From.
    pub from_uri: String,
    /// To.
    pub to_uri: String,
    /// The node's own words.
    pub label: String,
    /// Unix microseconds.
    pub started_us: u64,
    /// Unix microseconds; 0: not yet.
    pub answered_us: u64,
    /// When it came to be.
    pub since: Instant,
    /// Since when media flows.
    pub answered_since: Option<Instant>,
    /// The peer's offer, where it made one.
    pub offer: Option<String>,
    /// Our side of the session.
    pub local: offhook_sdp::Local,
    /// Our answer, once it was given in a 183: the 200 repeats it.
    pub answer: Option<String>,
    /// What was settled last.
    pub session: Option<offhook_sdp::MediaSession>,
    /// Since when the peer holds.
    pub held_since: Option<Instant>,
    /// Our 200 or a re-INVITE's carried our offer: its answer comes with the ACK.
    pub answer_is_owed: bool,
    /// Running operations.
    pub operations: BTreeMap<OperationId, Running>,
    /// Presses seen of late.
    pub presses: Presses,
    /// Changes of the session that the peer makes.
    pub changes: Changes,
    /// Media was told to close.
    pub media_closing: bool,
    /// Media is closed.
    pub media_closed: bool,
    /// What media counted, once it is closed.
    pub last_stats: Option<crate::control::wire::LegStats>,
    /// Why we end it, where the dialog's own end would not tell.
    pub verdict: Option<LegEnded>,
    /// How the dialog ended.
    pub ended: Option<LegEnded>,
}

/// All legs, found by any of their three names.
#[derive(Debug, Default)]
pub struct Legs {
    by_media: HashMap<media::LegKey, Leg>,
    by_id: HashMap<String, media::LegKey>,
    by_sip: HashMap<offhook_sip::LegKey, media::LegKey>,
    last_key: u32,
}

impl Legs {
    /// A key that no live leg has.
    pub fn next_key(&mut self) -> media::LegKey {
        loop {
            self.last_key = self.last_key.wrapping_add(1);
            if !self.by_media.contains_key(&media::LegKey(self.last_key)) {
                return media::LegKey(self.last_key);
            }
        }
    }

    /// Add a leg.
    pub fn insert(&mut self, leg: Leg) {
        self.by_id.insert(leg.id.clone(), leg.media);
        self.by_sip.insert(leg.sip, leg.media);
        self.by_media.insert(leg.media, leg);
    }

    /// Forget a leg.
    pub fn remove(&mut self, key: media::LegKey) -> Option<Leg> {
        let leg = self.by_media.remove(&key)?;
        self.by_id.remove(&leg.id);
        self.by_sip.remove(&leg.sip);
        Some(leg)
    }

    /// By the name of `media`.
    pub fn get_mut(&mut self, key: media::LegKey) -> Option<&mut Leg> {
        self.by_media.get_mut(&key)
    }

    /// By the name of `media`.
    pub fn get(&self, key: media::LegKey) -> Option<&Leg> {
        self.by_media.get(&key)
    }

    /// By the name of the control socket.
    pub fn by_id(&mut self, id: &str) -> Option<&mut Leg> {
        self.by_media.get_mut(self.by_id.get(id)?)
    }

    /// By the name of `signal`.
    pub fn by_sip(&mut self, key: offhook_sip::LegKey) -> Option<&mut Leg> {
        self.by_media.get_mut(self.by_sip.get(&key)?)
    }

    /// Every leg.
    pub fn iter(&self) -> impl Iterator<Item = &Leg> {
        self.by_media.values()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.by_media.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.by_media.is_empty()
    }
}

/// Tells one press that comes by several methods (INFO and RFC 4733) from two presses: presses of one method are
/// paired with the same of another, in order.
///
/// No hand presses faster than 64 at once and 16 a second: what comes beyond is noise, and not told.
#[derive(Debug)]
pub struct Presses {
    unpaired: VecDeque<(char, DigitMethod, Instant)>,
    pace: Pace,
}

impl Default for Presses {
    fn default() -> Self {
        Self {
            unpaired: VecDeque::new(),
            pace: Pace::new(Rate {
                a_second: 16.0,
                at_once: 64.0,
            }),
        }
    }
}

impl Presses {
    /// Whether this is a press that was not seen yet, and is to be told.
    pub fn is_new(&mut self, digit: char, method: DigitMethod, now: Instant) -> bool {
        while self
            .unpaired
            .front()
            .is_some_and(|(_, _, at)| now.saturating_duration_since(*at) > SAME_PRESS)
        {
            self.unpaired.pop_front();
        }
        let twin = self
            .unpaired
            .iter()
            .position(|(other, by, _)| *other == digit && *by != method);
        if let Some(index) = twin {
            self.unpaired.remove(index);
            return false;
        }
        let is_told = self.pace.take(now);
        if is_told {
            self.unpaired.push_back((digit, method, now));
        }
        is_told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(presses: &[(char, DigitMethod, u64)]) -> usize {
        let start = Instant::now();
        let mut seen = Presses::default();
        let mut is_new = |(digit, method, ms): &(char, DigitMethod, u64)| {
            seen.is_new(*digit, *method, start + Duration::from_millis(*ms))
        };
        presses
            .iter()
            .copied()
            .map(|press| is_new(&press))
            .filter(|new| *new)
            .count()
    }

    #[test]
    fn a_press_by_info_and_rfc_4733_counts_once_in_either_order() {
        use DigitMethod::{Info, Rfc4733};
        assert_eq!(count(&[('1', Rfc4733, 0), ('1', Info, 200)]), 1);
        assert_eq!(count(&[('1', Info, 0), ('1', Rfc4733, 30)]), 1);
    }

    #[test]
    fn the_same_key_pressed_twice_counts_twice_however_it_interleaves() {
        use DigitMethod::{Info, Rfc4733};
        assert_eq!(
            count(&[
                ('1', Rfc4733, 0),
                ('1', Info, 90),
                ('1', Rfc4733, 200),
                ('1', Info, 290)
            ]),
            2
        );
        assert_eq!(
            count(&[
                ('1', Rfc4733, 0),
                ('1', Rfc4733, 200),
                ('1', Info, 290),
                ('1', Info, 490)
            ]),
            2
        );
        assert_eq!(count(&[('1', Rfc4733, 0), ('1', Rfc4733, 100)]), 2);
    }

    #[test]
    fn different_keys_and_late_ones_are_presses_of_their_own() {
        use DigitMethod::{Info, Rfc4733};
        assert_eq!(count(&[('1', Rfc4733, 0), ('2', Info, 10)]), 2);
        assert_eq!(count(&[('1', Rfc4733, 0), ('1', Info, 1600)]), 2);
    }

    #[test]
    fn presses_faster_than_any_hand_are_told_64_times_and_then_16_a_second() {
        let start = Instant::now();
        let mut seen = Presses::default();
        let mut told = 0;
        for number in 0..15_000_u64 {
            let method = if number % 2 == 0 {
                DigitMethod::Info
            } else {
                DigitMethod::Rfc4733
            };
            let digit = if number % 2 == 0 { '1' } else { '2' };
            told += u32::from(seen.is_new(digit, method, start + Duration::from_micros(number * 6_667)));
            assert!(seen.unpaired.len() <= 64 + 24);
        }
        assert!((1_600..=1_665).contains(&told), "100 s: {told}");
        assert!(seen.is_new('3', DigitMethod::Info, start + Duration::from_secs(105)));
    }
}
