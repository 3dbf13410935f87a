//! Limits of this process are changed: these tests have it for themselves, one after another.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};

use offhook_engine::descriptors::{NoWay, can_reach, raise_limit};
use offhook_engine::media::{LegKey, MediaConfig, MediaPool, StreamParameters};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[path = "support/stream.rs"]
mod stream;

static LIMITS: Mutex<()> = Mutex::new(());

fn set_soft(current: u64) {
    let limit = Rlimit {
        current: Some(current),
        ..getrlimit(Resource::Nofile)
    };
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[test]
fn the_soft_limit_is_raised_to_the_hard_one_and_a_shortage_is_told_from_a_network_without_a_way() {
    let _alone = LIMITS.lock().unwrap_or_else(PoisonError::into_inner);
    let hard = getrlimit(Resource::Nofile).maximum;
    set_soft(100);
    assert_eq!(raise_limit(), hard.unwrap_or(u64::MAX));
    assert_eq!(getrlimit(Resource::Nofile).current, hard);

    let ours = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (there, nowhere) = ([(ours, 9).into()], ["[2001:db8::1]:9".parse().unwrap()]);
    can_reach(ours, &there).unwrap();
    assert!(matches!(can_reach(ours, &nowhere), Err(NoWay::Network(_))));
    // As many as are open: none is left.
    set_soft(3);
    let refused = can_reach(ours, &there);
    raise_limit();
    assert!(matches!(refused, Err(NoWay::Shortage(_))), "{refused:?}");
    can_reach(ours, &there).unwrap();
}

#[test]
fn media_that_has_its_sockets_begins_without_another_descriptor() {
    let _alone = LIMITS.lock().unwrap_or_else(PoisonError::into_inner);
    let root = std::env::temp_dir().join(format!("offhook-descriptors-{}", std::process::id()));
    std::fs::create_dir_all(&root).unwrap();
    let mut pool = MediaPool::start(MediaConfig::new(root.clone(), root.clone()), Box::new(|| {})).unwrap();
    let ours = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let port = pool.bind(ours).unwrap();
    pool.open(LegKey(1), port).unwrap();
    let stream = stream::parameters((ours, 9).into());
    set_soft(3);
    let connected = pool.connect(LegKey(1), stream);
    raise_limit();
    std::fs::remove_dir_all(&root).unwrap();
    connected.unwrap();
}
