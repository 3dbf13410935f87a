//! What ends, is refused or goes elsewhere: silence, ports, hold, another address.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use offhook_engine::media::{MediaConfig, MediaEvent, MediaPool, StreamParameters};

use crate::rig::{Call, Directories, LEG, LIMIT, decoded};
use crate::stream::parameters;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn timeouts(call: &Call) -> usize {
    let is_timeout = |event: &&MediaEvent| matches!(event, MediaEvent::MediaTimeout { .. });
    call.events.iter().filter(is_timeout).count()
}

/// Hear so many packets and say nothing; keep what is told.
fn listen(call: &mut Call, packets: u32) {
    (0..packets).for_each(|_| _ = call.read());
    while let Some(event) = call.pool.poll_event() {
        call.events.push(event);
    }
}

#[test]
fn a_peer_that_falls_silent_is_told_once_and_again_after_it_spoke() {
    let mut call = Call::with("silent", Some(101), |config| {
        config.media_timeout = Duration::from_millis(400);
    });
    call.talk(30, |_| 0);
    listen(&mut call, 1);
    assert_eq!(timeouts(&call), 0, "as long as packets come");
    listen(&mut call, 50);
    assert_eq!(timeouts(&call), 1, "in a second of silence");
    call.talk(5, |_| 0);
    listen(&mut call, 50);
    assert_eq!(timeouts(&call), 2);
}

#[test]
fn a_peer_that_is_not_to_be_heard_may_be_silent() {
    let mut call = Call::with("held", Some(101), |config| {
        config.media_timeout = Duration::from_millis(300);
    });
    let held = StreamParameters {
        receive: false,
        ..parameters(call.peer.local_addr().unwrap())
    };
    call.pool.connect(LEG, held).unwrap();
    listen(&mut call, 50);
    assert_eq!(timeouts(&call), 0);
}

#[test]
fn on_hold_nothing_is_sent_and_the_stream_goes_on_where_it_would_be() {
    let mut call = Call::new("hold", Some(101));
    let before = call.talk(10, |_| 0).pop().unwrap();
    let both = parameters(call.peer.local_addr().unwrap());
    let hold = StreamParameters { send: false, ..both };
    call.pool.connect(LEG, hold).unwrap();
    // What was on its way when the thread was told.
    call.peer.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut buffer = [0; 2048];
    let mut last = before.header.sequence;
    while let Ok(size) = call.peer.recv(&mut buffer) {
        last = offhook_rtp::RtpPacket::parse(&buffer[..size]).unwrap().header.sequence;
    }
    call.peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    call.pool.connect(LEG, both).unwrap();
    let after = call.talk(5, |_| 0);
    let (header, next) = (after[0].header, last.wrapping_add(1));
    assert_eq!((header.ssrc, header.sequence), (before.header.ssrc, next));
    assert!(header.marker && !after[1].header.marker);
    let passed = header.timestamp.wrapping_sub(before.header.timestamp);
    let frames = passed / 160 - u32::from(last.wrapping_sub(before.header.sequence));
    assert!(
        passed.is_multiple_of(160) && frames >= 15,
        "{frames} frames of hold in the timestamps"
    );
}

#[test]
fn another_address_is_sent_to_and_heard_and_the_old_one_is_a_stranger() {
    let mut call = Call::new("moved", Some(101));
    call.command(offhook_engine::media::MediaCommand::Echo {
        id: 1,
        leg: LEG,
        timeout_ms: 0x00ff_ffff,
    });
    call.talk(10, |_| 3000);
    let next = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    next.connect(call.peer.peer_addr().unwrap()).unwrap();
    next.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let old = std::mem::replace(&mut call.peer, next);
    // These wait in the socket when it is told of the other address.
    (0..3).for_each(|_| _ = old.send(&[0x80, 0, 9, 9, 0, 0, 0, 0, 0, 0, 0, 9]).unwrap());
    let moved = parameters(call.peer.local_addr().unwrap());
    call.pool.connect(LEG, moved).unwrap();
    let heard = decoded(&call.talk(40, |_| -7000));
    assert!(heard.iter().filter(|sample| **sample < -6000).count() > 20 * 160);
    // And these the kernel does not let in any more, and says so to the sender.
    (0..3).for_each(|_| drop(old.send(&[0x80, 0, 9, 9, 0, 0, 0, 0, 0, 0, 0, 9])));
    listen(&mut call, 3);
    call.pool.close(LEG);
    let stats = call.wait(|event| match event {
        MediaEvent::Closed { stats, .. } => Some(*stats),
        _ => None,
    });
    let all = stats.packets_received + stats.packets_foreign + stats.packets_dropped;
    assert_eq!(all, 10 + 3 + 40, "{stats:?}");
    // The last of the ten may have waited with them.
    assert!(stats.packets_received >= 49, "{stats:?}");
}

/// A pool on the pairs of this range, which nobody has just now.
fn pool_on(directories: &Directories, pairs: u16, quarantine: Duration) -> MediaPool {
    let (prompts, recordings) = (directories.0.join("prompts"), directories.0.join("recordings"));
    for first in (40_000..60_000).step_by(64) {
        let ports = first..first + pairs * 2;
        if ports.clone().all(|port| UdpSocket::bind((LOOPBACK, port)).is_ok()) {
            let mut config = MediaConfig::new(prompts, recordings);
            (config.ports, config.quarantine) = (ports.start..=ports.end - 1, quarantine);
            return MediaPool::start(config, Box::new(|| {})).unwrap();
        }
    }
    panic!("no free ports");
}

#[test]
fn every_pair_is_given_once_and_then_the_refusal_says_what_to_do() {
    let directories = Directories::new("ports");
    let mut pool = pool_on(&directories, 8, Duration::from_secs(30));
    let bound: Vec<_> = (0..8).map(|_| pool.bind(LOOPBACK).unwrap()).collect();
    let ports: HashSet<u16> = bound.iter().map(|pair| pair.rtp_address().port()).collect();
    assert!(ports.len() == 8 && ports.iter().all(|port| port.is_multiple_of(2)));
    let refused = pool.bind(LOOPBACK).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    assert!(refused.to_string().contains("widen the range"), "{refused}");
    drop(bound);
    assert!(pool.bind(LOOPBACK).is_ok(), "unused, they are free again");
}

#[test]
fn a_port_rests_after_its_leg_closed() {
    let directories = Directories::new("quarantine");
    let quarantine = Duration::from_millis(600);
    let mut pool = pool_on(&directories, 1, quarantine);
    let port = pool.bind(LOOPBACK).unwrap();
    let number = port.rtp_address().port();
    pool.open(LEG, port).unwrap();
    // It rests from its close on; when we learn of that is the machine's affair.
    let asked = Instant::now();
    pool.close(LEG);
    while !matches!(pool.poll_event(), Some(MediaEvent::Closed { .. })) {
        assert!(asked.elapsed() < LIMIT, "the leg was not closed");
        std::thread::yield_now();
    }
    let again = loop {
        if let Ok(port) = pool.bind(LOOPBACK) {
            break port;
        }
        assert!(asked.elapsed() < LIMIT, "it rests for ever");
        std::thread::yield_now();
    };
    let rested = asked.elapsed();
    assert!(rested >= quarantine, "it rested {rested:?} only");
    assert_eq!(again.rtp_address().port(), number);
}
