//! Where the peer's RTP comes from: the address of its description, or another port of the same host (RFC 4566 section 5.14
//! says where it receives; RFC 4961 recommends to send from there, and nothing demands it).
//!
//! Another port is believed after [`RUN`] packets of one stream in a row, and only while nobody else is heard; another host never.
//! Whoever is heard stays until silent, or until the address of the description speaks: what came before it from another port
//! may have been what is left of another call.

use std::net::SocketAddr;

use crate::packet::Header;

/// Packets of one SSRC, numbered in a row, that make another port the peer's.
pub const RUN: u8 = 5;
/// They come within 2 s.
const WINDOW: i32 = 16_000;
/// Packets of them that may be lost in a row.
const MOST_LOST: u16 = 3;
/// Who was silent for half a second may be followed by another.
const QUIET: i32 = 4000;
/// While another port is heard, the address of the description is listened for: all of the first 10 s, then half a second in 2.5.
const DOUBT: u32 = 80_000;
const WAIT: u32 = 4000;
const WAITS: u32 = 5;
/// A stream that goes on from another port is numbered at most so far on.
const GOES_ON: u16 = 3000;

/// Who is heard, or wants to be.
#[derive(Debug, Clone, Copy)]
struct Source {
    address: SocketAddr,
    ssrc: u32,
    sequence: u16,
    /// When its last packet came; of a candidate, when its first one did.
    at: u32,
    run: u8,
}

impl Source {
    fn new(address: SocketAddr, header: &Header, now: u32) -> Self {
        Self {
            address,
            ssrc: header.ssrc,
            sequence: header.sequence,
            at: now,
            run: 1,
        }
    }
}

/// Judges where packets come from. Times are samples of the local clock, of any origin, and wrap.
#[derive(Debug, Clone)]
pub struct Latch {
    signalled: SocketAddr,
    remote: SocketAddr,
    source: Option<Source>,
    /// When it was taken.
    since: u32,
    candidates: [Option<Source>; 2],
}

impl Latch {
    /// The peer's description names this address.
    pub fn new(signalled: SocketAddr) -> Self {
        Self {
            signalled,
            remote: signalled,
            source: None,
            since: 0,
            candidates: [None; 2],
        }
    }

    /// It names this one now. If it is the one that was, who is heard stays.
    pub fn signal(&mut self, signalled: SocketAddr) {
        if signalled != self.signalled {
            *self = Self::new(signalled);
        }
    }

    /// The address of the description.
    pub fn signalled(&self) -> SocketAddr {
        self.signalled
    }

    /// Where to send: the address of the description; or where the stream that came from there goes on.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Who is heard; `None`: nobody yet.
    pub fn source(&self) -> Option<SocketAddr> {
        self.source.map(|source| source.address)
    }

    /// Nobody is heard, or not any more.
    pub fn is_quiet(&self, now: u32) -> bool {
        self.source
            .is_none_or(|source| now.wrapping_sub(source.at) as i32 >= QUIET)
    }

    /// Whom alone to listen to; `None`: everybody may turn out to be the peer.
    pub fn only(&self, now: u32) -> Option<SocketAddr> {
        let source = self.source().filter(|_| !self.is_quiet(now))?;
        let is_doubted = now.wrapping_sub(self.since) < DOUBT || (now / WAIT).is_multiple_of(WAITS);
        (source == self.remote || !is_doubted).then_some(source)
    }

    /// A packet of the source came.
    pub fn heard(&mut self, header: &Header, now: u32) {
        if let Some(source) = &mut self.source {
            (source.ssrc, source.sequence, source.at) = (header.ssrc, header.sequence, now);
        }
    }

    /// Whether what came from here is the peer's. `header` is `None` for what is no RTP: that is nobody's beginning.
    pub fn admits(&mut self, from: SocketAddr, header: Option<&Header>, now: u32) -> bool {
        let Some(header) = header else {
            return self.source.map_or(self.signalled, |source| source.address) == from;
        };
        if self.source() == Some(from) {
            return true;
        }
        if from.ip() != self.signalled.ip() || from.ip().is_unspecified() {
            return false;
        }
        let (is_free, is_signalled) = (self.is_quiet(now), from == self.signalled);
        let is_proven = self.follow(from, header, now) >= RUN;
        let is_peer = is_free && is_signalled || is_proven && (is_free || is_signalled);
        if is_peer {
            self.take(from, header, now);
        }
        is_peer
    }

    /// So many packets of this stream came in a row.
    fn follow(&mut self, from: SocketAddr, header: &Header, now: u32) -> u8 {
        let is_next = |known: &Source| {
            let ahead = header.sequence.wrapping_sub(known.sequence);
            let is_recent = now.wrapping_sub(known.at) as i32 <= WINDOW;
            known.address == from && known.ssrc == header.ssrc && (1..=MOST_LOST + 1).contains(&ahead) && is_recent
        };
        let mut candidates = self.candidates.iter_mut().flatten();
        if let Some(known) = candidates.find(|known| is_next(known)) {
            known.sequence = header.sequence;
            known.run = known.run.saturating_add(1);
            return known.run;
        }
        self.candidates.rotate_right(1);
        if let Some(slot) = self.candidates.first_mut() {
            *slot = Some(Source::new(from, header, now));
        }
        1
    }

    fn take(&mut self, from: SocketAddr, header: &Header, now: u32) {
        // The stream that was sent to goes on from elsewhere: the way to the peer has moved.
        let has_moved = self.source.is_some_and(|source| {
            let ahead = header.sequence.wrapping_sub(source.sequence);
            source.address == self.remote && source.ssrc == header.ssrc && ahead < GOES_ON
        });
        if has_moved || from == self.signalled {
            self.remote = from;
        }
        self.source = Some(Source::new(from, header, now));
        self.since = now;
        self.candidates = [None; 2];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PEER: ([u8; 4], u16) = ([192, 0, 2, 1], 4000);
    const OTHER: ([u8; 4], u16) = ([192, 0, 2, 1], 4711);
    const THIRD: ([u8; 4], u16) = ([192, 0, 2, 1], 9);
    const STRANGER: ([u8; 4], u16) = ([192, 0, 2, 66], 4000);

    fn header(ssrc: u32, sequence: u32) -> Header {
        Header {
            marker: false,
            payload_type: 0,
            sequence: sequence as u16,
            timestamp: sequence.wrapping_mul(160),
            ssrc,
        }
    }

    struct Line {
        latch: Latch,
        tick: u32,
    }

    impl Line {
        fn new() -> Self {
            Self {
                latch: Latch::new(PEER.into()),
                tick: u32::MAX / 160 - 20,
            }
        }

        /// A packet a tick of each; how many of the first were admitted.
        fn run(&mut self, count: u32, sources: &[(([u8; 4], u16), u32)]) -> Vec<usize> {
            let mut admitted = vec![0; sources.len()];
            for _ in 0..count {
                self.tick += 1;
                let now = self.tick.wrapping_mul(160);
                for ((from, ssrc), count) in sources.iter().zip(&mut admitted) {
                    let header = header(*ssrc, self.tick);
                    if self.latch.admits((*from).into(), Some(&header), now) {
                        self.latch.heard(&header, now);
                        *count += 1;
                    }
                }
            }
            admitted
        }
    }

    #[test]
    fn the_address_of_the_description_is_heard_at_once() {
        let mut line = Line::new();
        assert_eq!(line.run(50, &[(PEER, 1)]), [50]);
        assert_eq!(line.latch.remote(), PEER.into());
    }

    /// sipwise/rtpengine#1566: a gateway that sends from another port than it receives on was not heard.
    #[test]
    fn another_port_of_the_same_host_is_heard_from_its_fifth_packet_and_not_sent_to() {
        let mut line = Line::new();
        assert_eq!(line.run(50, &[(OTHER, 1)]), [46]);
        assert_eq!(line.latch.remote(), PEER.into());
        // Audio and keys in streams of their own, of which one is enough.
        assert_eq!(Line::new().run(50, &[(OTHER, 1), (OTHER, 2)]), [46, 46]);
    }

    #[test]
    fn another_host_is_never_heard_and_never_in_the_way() {
        let mut line = Line::new();
        assert_eq!(line.run(500, &[(STRANGER, 1)]), [0]);
        assert_eq!(line.run(50, &[(STRANGER, 1), (PEER, 1)]), [0, 50]);
        assert_eq!(line.run(500, &[(STRANGER, 1)]), [0]);
        assert_eq!(line.run(50, &[(STRANGER, 1), (OTHER, 1)]), [0, 46]);
    }

    #[test]
    fn who_is_heard_stays_as_long_as_it_speaks() {
        let mut line = Line::new();
        line.run(50, &[(PEER, 1)]);
        assert_eq!(line.run(500, &[(OTHER, 1), (PEER, 1)]), [0, 500]);
        let mut line = Line::new();
        line.run(50, &[(OTHER, 1)]);
        assert_eq!(line.run(500, &[(THIRD, 2), (OTHER, 1)]), [0, 500]);
    }

    #[test]
    fn a_stream_that_goes_on_from_another_port_is_followed_both_ways() {
        let mut line = Line::new();
        line.run(50, &[(PEER, 1)]);
        let heard = line.run(100, &[(OTHER, 1)]);
        assert!(heard[0] >= 70, "{heard:?}");
        assert_eq!(line.latch.remote(), OTHER.into());
        assert_eq!(line.run(50, &[(OTHER, 1)]), [50]);
    }

    #[test]
    fn another_stream_from_another_port_is_heard_after_silence_and_not_sent_to() {
        let mut line = Line::new();
        line.run(50, &[(PEER, 1)]);
        line.tick += 100;
        assert_eq!(line.run(50, &[(OTHER, 2)]), [46]);
        assert_eq!(line.latch.remote(), PEER.into());
        // The address of the description is the peer's whoever speaks.
        assert_eq!(line.run(50, &[(OTHER, 2), (PEER, 1)]), [5, 46]);
    }

    #[test]
    fn while_another_port_is_heard_the_address_of_the_description_is_listened_for() {
        let mut line = Line::new();
        let only = |line: &Line| line.latch.only(line.tick.wrapping_mul(160));
        assert_eq!(only(&line), None);
        line.run(499, &[(OTHER, 1)]);
        assert_eq!(only(&line), None);
        let closed = (0..1250).filter(|_| {
            line.run(1, &[(OTHER, 1)]);
            only(&line) == Some(OTHER.into())
        });
        assert!((990..=1000).contains(&closed.count()));
        line.run(5, &[(OTHER, 1), (PEER, 2)]);
        assert_eq!(only(&line), Some(PEER.into()));
        // A way that moved is no other's.
        line.run(80, &[(OTHER, 2)]);
        assert_eq!((line.latch.remote(), only(&line)), (OTHER.into(), Some(OTHER.into())));
        line.tick += 100;
        assert_eq!(only(&line), None);
    }

    #[test]
    fn scattered_packets_and_what_is_no_rtp_prove_nothing() {
        let mut line = Line::new();
        for step in [0, 1, 5, 40_000, 65_535] {
            for n in 0..100_u32 {
                let header = header(1, n * step);
                let from = OTHER.into();
                line.tick += 1;
                let now = line.tick.wrapping_mul(if step == 1 { 8000 } else { 160 });
                assert!(!line.latch.admits(from, Some(&header), now), "{step}");
                assert!(!line.latch.admits(from, None, now));
            }
        }
        assert!(line.latch.admits(PEER.into(), None, 0));
        assert_eq!(line.latch.source(), None);
    }

    #[test]
    fn a_new_description_begins_anew_and_the_same_one_changes_nothing() {
        let mut line = Line::new();
        line.run(50, &[(OTHER, 1)]);
        line.latch.signal(PEER.into());
        assert_eq!(line.run(10, &[(OTHER, 1)]), [10]);
        line.latch.signal(STRANGER.into());
        assert_eq!(line.run(10, &[(OTHER, 1)]), [0]);
        assert_eq!(line.latch.remote(), STRANGER.into());
    }

    #[test]
    fn an_unspecified_address_is_nobody() {
        let mut latch = Latch::new(([0, 0, 0, 0], 4000).into());
        assert!(!latch.admits(([0, 0, 0, 0], 4000).into(), Some(&header(1, 1)), 0));
    }

    proptest! {
        #[test]
        fn no_packets_make_another_host_the_peer(
            packets in proptest::collection::vec((0_usize..4, 0_u32..3, any::<u16>(), 0_u32..5000), 0..200),
        ) {
            let mut latch = Latch::new(PEER.into());
            let mut now = 0;
            for (who, ssrc, sequence, wait) in packets {
                now += wait;
                let from = [PEER, OTHER, THIRD, STRANGER][who];
                let admitted = latch.admits(from.into(), Some(&header(ssrc, sequence.into())), now);
                prop_assert!(who != 3 || !admitted);
                prop_assert!(latch.source() != Some(STRANGER.into()));
            }
        }
    }
}
