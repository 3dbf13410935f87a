//! What each source may have, at once and in a time: who takes more waits for itself alone.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::api::{Flow, Transport};

/// Beyond so many sources at once the rest share one allowance.
const SOURCES: usize = 8_192;

/// What a refused one costs: who sends more than four times its share goes into debt.
const PRICE: f64 = 0.25;
/// As many seconds of its share may a source owe.
const DEBT_S: f64 = 4.0;

/// Who sends: an address with its port (many peers may share an address), by datagrams or by one connection.
pub(crate) type Source = (Transport, SocketAddr);

pub(crate) fn source(flow: Flow) -> Source {
    (flow.transport, flow.peer)
}

/// How much of something each source has now.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    of: HashMap<Source, usize>,
    total: usize,
}

impl Holdings {
    pub(crate) fn add(&mut self, source: Source) {
        *self.of.entry(source).or_default() += 1;
        self.total += 1;
    }

    pub(crate) fn remove(&mut self, source: Source) {
        if let Some(count) = self.of.get_mut(&source) {
            *count = count.saturating_sub(1);
            self.total = self.total.saturating_sub(1);
            if *count == 0 {
                self.of.remove(&source);
            }
        }
    }

    /// Whether a source may take one more of `most`: as many as are free, so that one alone gets half, and there is
    /// always a rest for others.
    pub(crate) fn has_room(&self, source: Source, most: usize) -> bool {
        self.held_by(source) < most.saturating_sub(self.total)
    }

    pub(crate) fn held_by(&self, source: Source) -> usize {
        self.of.get(&source).copied().unwrap_or_default()
    }
}

/// So many things a second for each source, a second's worth at once (token buckets, bounded in number).
#[derive(Debug)]
pub struct Shares {
    a_second: u32,
    buckets: HashMap<Source, Bucket>,
    /// Of those for whom there is no room.
    rest: Bucket,
    /// When those that are full again were last forgotten.
    swept: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Duration,
}

impl Bucket {
    fn take(&mut self, a_second: f64, now: Duration) -> bool {
        self.fill(a_second, now);
        let is_left = self.left >= 1.0;
        if is_left {
            self.left -= 1.0;
        }
        is_left
    }

    /// As [`Shares::admits`].
    fn admits(&mut self, a_second: f64, now: Duration, is_contended: bool) -> bool {
        if self.take(a_second, now) {
            return true;
        }
        if is_contended {
            self.left = (self.left - PRICE).max(-DEBT_S * a_second);
            return false;
        }
        self.left >= 0.0
    }

    fn fill(&mut self, a_second: f64, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.left = (self.left + passed * a_second).min(a_second);
        self.at = now;
    }
}

impl Shares {
    /// Nobody took anything yet.
    pub fn new(a_second: u32) -> Self {
        let rest = Bucket {
            left: f64::from(a_second),
            at: Duration::ZERO,
        };
        Self {
            a_second,
            buckets: HashMap::new(),
            rest,
            swept: Duration::ZERO,
        }
    }

    /// Take one; false where the peer of the flow has had its share of this moment.
    pub fn take(&mut self, flow: Flow, now: Duration) -> bool {
        let a_second = f64::from(self.a_second);
        self.bucket(flow, now).take(a_second, now)
    }

    /// Take one, or go beyond the share where nothing is contended. Who goes far beyond it while something is stays
    /// refused for up to 4 s, so that a flood does not use each moment of relief.
    pub fn admits(&mut self, flow: Flow, now: Duration, is_contended: bool) -> bool {
        let a_second = f64::from(self.a_second);
        self.bucket(flow, now).admits(a_second, now, is_contended)
    }

    fn bucket(&mut self, flow: Flow, now: Duration) -> &mut Bucket {
        let a_second = f64::from(self.a_second);
        if self.buckets.len() >= SOURCES {
            self.sweep(a_second, now);
        }
        let key = source(flow);
        if self.buckets.len() >= SOURCES && !self.buckets.contains_key(&key) {
            return &mut self.rest;
        }
        self.buckets.entry(key).or_insert(Bucket {
            left: a_second,
            at: now,
        })
    }

    /// Forget who has its whole share again; at most once a second, because it looks at all.
    fn sweep(&mut self, a_second: f64, now: Duration) {
        if now.saturating_sub(self.swept) < Duration::from_secs(1) {
            return;
        }
        self.swept = now;
        self.buckets.retain(|_, bucket| {
            bucket.fill(a_second, now);
            bucket.left < a_second
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Duration, Flow, SOURCES, Shares, SocketAddr, Transport};

    fn flow(port: u16, last: u8) -> Flow {
        Flow {
            transport: Transport::Udp,
            local: "127.0.0.1:5060".parse().unwrap(),
            peer: SocketAddr::from(([127, 0, 0, last], port)),
            connection: 0,
        }
    }

    #[test]
    fn each_source_has_its_share_and_it_comes_back_with_time() {
        let mut shares = Shares::new(10);
        let taken = |shares: &mut Shares, port, at| (0..100).filter(|_| shares.take(flow(port, 1), at)).count();
        assert_eq!(taken(&mut shares, 1, Duration::ZERO), 10);
        assert_eq!(taken(&mut shares, 2, Duration::ZERO), 10);
        assert_eq!(taken(&mut shares, 1, Duration::from_millis(500)), 5);
        assert_eq!(taken(&mut shares, 1, Duration::from_secs(3_600)), 10);
    }

    #[test]
    fn beyond_the_share_is_free_until_something_is_contended_and_a_flood_then_pays() {
        let mut shares = Shares::new(10);
        let mut admitted = |port, attempts, at, is_contended| {
            (0..attempts)
                .filter(|_| shares.admits(flow(port, 1), Duration::from_millis(at), is_contended))
                .count()
        };
        assert_eq!(admitted(1, 1_000, 0, false), 1_000);
        assert_eq!(admitted(1, 1_000, 1, true), 0, "it had its share");
        assert_eq!(admitted(1, 1_000, 3_000, false), 0, "in debt");
        assert_eq!(admitted(1, 1_000, 4_100, false), 1_000);
        // Twice its share: some are refused while it is contended, and none afterwards.
        assert_eq!(admitted(2, 10, 0, true), 10);
        let some: usize = (1..=20).map(|step| admitted(2, 1, step * 50, true)).sum();
        assert!((5..=10).contains(&some), "{some}");
        assert_eq!(admitted(2, 5, 1_200, false), 5);
    }

    #[test]
    fn the_table_is_bounded_and_forgets_who_has_its_share_again() {
        let mut shares = Shares::new(10);
        for port in 1..=30_000 {
            shares.take(flow(port, 1), Duration::ZERO);
        }
        assert_eq!(shares.buckets.len(), SOURCES);
        assert!(!shares.take(flow(1, 2), Duration::ZERO), "the rest have one share");
        assert!(shares.take(flow(1, 2), Duration::from_secs(2)));
        assert_eq!(shares.buckets.len(), 1);
    }
}
