//! What each source may have, at once and in a time: who takes more waits for itself alone.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use offhook_words::Transport;

use crate::api::Flow;

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

/// An address may always hold so many, as long as there are any.
const SMALL: usize = 64;

/// How much of something each source has now.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    of: HashMap<Source, usize>,
    at: HashMap<IpAddr, usize>,
    total: usize,
}

impl Holdings {
    pub(crate) fn add(&mut self, source: Source) {
        *self.of.entry(source).or_default() += 1;
        *self.at.entry(source.1.ip()).or_default() += 1;
        self.total += 1;
    }

    pub(crate) fn remove(&mut self, source: Source) {
        if count_down(&mut self.of, &source) {
            count_down(&mut self.at, &source.1.ip());
            self.total = self.total.saturating_sub(1);
        }
    }

    /// Whether a source may take one more of `most`: as many as are free, so that one alone gets half, and there is
    /// always a rest for others. All ports of an address together get three quarters: who makes up ports takes nothing
    /// from other addresses.
    pub(crate) fn has_room(&self, source: Source, most: usize) -> bool {
        let free = most.saturating_sub(self.total);
        let at_address = self.held_at(source.1.ip());
        self.held_by(source) < free && (at_address < SMALL || at_address / 3 < free)
    }

    /// How much all sources have.
    pub(crate) fn len(&self) -> usize {
        self.total
    }

    pub(crate) fn held_by(&self, source: Source) -> usize {
        self.of.get(&source).copied().unwrap_or_default()
    }

    /// What all ports of an address have.
    pub(crate) fn held_at(&self, ip: IpAddr) -> usize {
        self.at.get(&ip).copied().unwrap_or_default()
    }
}

/// One less, and no entry where none is left; whether there was one.
pub(crate) fn count_down<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) -> bool {
    let Some(count) = counts.get_mut(key) else {
        return false;
    };
    *count = count.saturating_sub(1);
    if *count == 0 {
        counts.remove(key);
    }
    true
}

/// How fast something may come.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// In the long run.
    pub a_second: f64,
    /// After a pause.
    pub at_once: f64,
}

impl Rate {
    /// Of which nothing was taken yet.
    pub const fn full(self) -> Allowance {
        Allowance {
            left: self.at_once,
            at: Duration::ZERO,
        }
    }

    fn even(a_second: u32) -> Self {
        Self {
            a_second: f64::from(a_second),
            at_once: f64::from(a_second),
        }
    }
}

/// What is left of a [`Rate`] (a token bucket).
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    left: f64,
    at: Duration,
}

impl Allowance {
    /// Take one; false where all of this moment is taken.
    pub fn take(&mut self, rate: Rate, now: Duration) -> bool {
        self.fill(rate, now);
        let is_left = self.left >= 1.0;
        if is_left {
            self.left -= 1.0;
        }
        is_left
    }

    /// As [`Shares::admits`].
    fn admits(&mut self, rate: Rate, now: Duration, is_contended: bool) -> bool {
        if self.take(rate, now) {
            return true;
        }
        if is_contended {
            self.left = (self.left - PRICE).max(-DEBT_S * rate.a_second);
            return false;
        }
        self.left >= 0.0
    }

    fn fill(&mut self, rate: Rate, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.left = (self.left + passed * rate.a_second).min(rate.at_once);
        self.at = now;
    }
}

/// One allowance for each key, bounded in number.
#[derive(Debug)]
struct Buckets<K> {
    of: HashMap<K, Allowance>,
    rate: Rate,
    /// When those that are full again were last forgotten.
    swept: Duration,
}

impl<K: Hash + Eq> Buckets<K> {
    fn new(rate: Rate) -> Self {
        Self {
            of: HashMap::new(),
            rate,
            swept: Duration::ZERO,
        }
    }

    /// `None`: there are too many.
    fn of(&mut self, key: K, now: Duration) -> Option<&mut Allowance> {
        if self.of.len() >= SOURCES {
            self.sweep(now);
            if self.of.len() >= SOURCES && !self.of.contains_key(&key) {
                return None;
            }
        }
        let full = Allowance {
            at: now,
            ..self.rate.full()
        };
        Some(self.of.entry(key).or_insert(full))
    }

    /// Forget who has its whole share again; at most once a second, because it looks at all.
    fn sweep(&mut self, now: Duration) {
        if now.saturating_sub(self.swept) < Duration::from_secs(1) {
            return;
        }
        self.swept = now;
        let rate = self.rate;
        self.of.retain(|_, allowance| {
            allowance.fill(rate, now);
            allowance.left < rate.at_once
        });
    }
}

/// So many things a second for each source, a second's worth at once. All ports of an address together have four times
/// as much of what is contended; beyond so many sources those that came last have one share for their address.
#[derive(Debug)]
pub struct Shares {
    rate: Rate,
    sources: Buckets<Source>,
    /// Of all ports of an address, where something is contended.
    addresses: Buckets<IpAddr>,
    /// Of those ports of an address that came too late for one of their own.
    late: Buckets<IpAddr>,
    /// Of those for whom there is no room there either.
    rest: Allowance,
}

/// What all ports of an address have together, in shares of one.
const PORTS: u32 = 4;

impl Shares {
    /// Nobody took anything yet.
    pub fn new(a_second: u32) -> Self {
        let rate = Rate::even(a_second);
        Self {
            rate,
            sources: Buckets::new(rate),
            addresses: Buckets::new(Rate::even(a_second.saturating_mul(PORTS))),
            late: Buckets::new(rate),
            rest: rate.full(),
        }
    }

    /// Take one; false where the peer of the flow has had its share of this moment.
    pub fn take(&mut self, flow: Flow, now: Duration) -> bool {
        let rate = self.rate;
        self.bucket(flow, now).take(rate, now)
    }

    /// Take one, or go beyond the share where nothing is contended. Who goes far beyond it while something is stays
    /// refused for up to 4 s, so that a flood does not use each moment of relief.
    pub fn admits(&mut self, flow: Flow, now: Duration, is_contended: bool) -> bool {
        let rate = self.rate;
        let is_admitted = self.bucket(flow, now).admits(rate, now, is_contended);
        if !is_admitted || !is_contended {
            return is_admitted;
        }
        let of_address = self.addresses.rate;
        match self.addresses.of(flow.peer.ip(), now) {
            Some(address) => address.take(of_address, now),
            None => self.rest.take(rate, now),
        }
    }

    fn bucket(&mut self, flow: Flow, now: Duration) -> &mut Allowance {
        if let Some(bucket) = self.sources.of(source(flow), now) {
            return bucket;
        }
        self.late.of(flow.peer.ip(), now).unwrap_or(&mut self.rest)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Duration, Flow, Holdings, SOURCES, Shares, SocketAddr, Transport, source};

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
        assert_eq!(shares.sources.of.len(), SOURCES);
        assert!(
            !shares.take(flow(40_000, 1), Duration::ZERO),
            "ports that came late have one share"
        );
        assert!(
            shares.take(flow(1, 2), Duration::ZERO),
            "and another address one of its own"
        );
        assert!(shares.take(flow(40_000, 1), Duration::from_secs(2)));
        assert_eq!(shares.sources.of.len(), 1);
    }

    #[test]
    fn who_makes_up_ports_has_the_share_of_four() {
        let mut shares = Shares::new(10);
        let mut admitted = |last| {
            (1..=1_000)
                .filter(|port| shares.admits(flow(*port, last), Duration::ZERO, true))
                .count()
        };
        assert_eq!((admitted(1), admitted(2)), (40, 40));
    }

    #[test]
    fn who_makes_up_ports_holds_three_quarters_at_most_and_a_few_are_always_free() {
        let mut holdings = Holdings::default();
        let mut held = |last| {
            let ports = (1..=60_000).map(|port| source(flow(port, last)));
            ports
                .filter(|source| {
                    let has_room = holdings.has_room(*source, 20_000);
                    if has_room {
                        holdings.add(*source);
                    }
                    has_room
                })
                .count()
        };
        assert_eq!(held(1), 15_000);
        assert_eq!(held(2), 3_750);
        assert!(held(3) > 900);
        assert_eq!(held(4) / 100, 2);
        let all: usize = (5..30).map(held).sum();
        assert!(all < 200, "{all}");
    }
}
