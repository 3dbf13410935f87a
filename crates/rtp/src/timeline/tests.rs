//! Senders whose timestamps are wrong, and who must be heard; and senders whose odd timestamps are right.

use super::*;
use crate::{JitterBuffer, Pulled};
use offhook_test_support::Linear;
use proptest::prelude::*;

const START: u32 = u32::MAX - 9000;

/// A packet: its number, its timestamp, when it came in frames.
type Sent = (u16, u32, u32);

/// How many different packets of 20 ms are heard, at least half of each in a piece; each has its own level.
fn heard(sent: &[Sent]) -> usize {
    let mut timeline = Timeline::default();
    let mut jitter = JitterBuffer::default();
    let mut levels = std::collections::BTreeSet::new();
    let end = sent.iter().map(|packet| packet.2).max().unwrap() + 20;
    for tick in 0..end {
        let now = START.wrapping_mul(7).wrapping_add(tick * 160);
        for (at, (sequence, timestamp, _)) in sent.iter().enumerate().filter(|(_, packet)| packet.2 == tick) {
            let timestamp = timeline.place(&header(*sequence, *timestamp), 160, now);
            jitter.insert(timestamp, Linear, &[1000 + at as i16 * 8; 160], now);
        }
        let mut frame = [0; 160];
        if jitter.pull(now, &mut Linear, &mut frame) == Pulled::Audio {
            levels.extend(frame.chunk_by(i16::eq).filter(|run| run.len() >= 80).map(|run| run[0]));
        }
    }
    levels.len()
}

fn header(sequence: u16, timestamp: u32) -> Header {
    Header {
        marker: false,
        payload_type: 0,
        sequence,
        timestamp,
        ssrc: 1,
    }
}

/// A packet a frame.
fn stream(count: u32, timestamp: impl Fn(u32) -> u32) -> Vec<Sent> {
    let packet = |n: u32| (65_500_u16.wrapping_add(n as u16), START.wrapping_add(timestamp(n)), n);
    (0..count).map(packet).collect()
}

#[test]
fn a_sender_whose_timestamps_stand_or_crawl_is_heard_from_its_third_packet() {
    for step in [0, 1, 8, 20, 80, 100] {
        assert!(heard(&stream(500, |n| n * step)) >= 490, "{step} a packet");
    }
    assert!(
        heard(&stream(500, |n| n.wrapping_mul(160).wrapping_neg())) >= 490,
        "backwards"
    );
}

#[test]
fn a_sender_whose_timestamps_are_dice_is_heard() {
    assert!(heard(&stream(500, |n| n.wrapping_mul(2_654_435_761))) >= 490);
    assert!(heard(&stream(500, |n| if n % 2 == 0 { 0 } else { 1 << 31 })) >= 490);
}

#[test]
fn a_sender_whose_timestamps_run_is_heard_whole_after_half_a_second() {
    for step in [240, 320, 480, 960, 1764] {
        let count = heard(&stream(500, |n| n * step));
        assert!(count >= 460, "{step} a packet: {count}");
    }
    let split = heard(
        &stream(498, |n| n / 3 * 480)
            .iter()
            .map(|(s, t, at)| (*s, *t, at / 3 * 3))
            .collect::<Vec<_>>(),
    );
    assert!(split >= 450, "three packets of one timestamp: {split}");
}

#[test]
fn losses_and_copies_and_disorder_of_such_a_sender_are_what_they_are() {
    let sent = stream(500, |_| 0);
    let lossy: Vec<_> = sent.iter().copied().filter(|packet| packet.2 % 10 != 9).collect();
    assert!(heard(&lossy) >= 440);
    let mut doubled: Vec<_> = sent.iter().flat_map(|packet| [*packet; 2]).collect();
    assert!(heard(&doubled) >= 490);
    doubled.dedup();
    doubled[10..].chunks_exact_mut(2).for_each(|pair| {
        let came = pair[1].2;
        pair[0].2 = came;
        pair.swap(0, 1);
    });
    assert!(heard(&doubled) >= 480);
}

#[test]
fn a_pause_of_such_a_sender_is_no_delay_afterwards() {
    let paused: Vec<_> = stream(500, |_| 0)
        .into_iter()
        .map(|(s, t, at)| (s, t, at + at / 100 * 30))
        .collect();
    let count = heard(&paused);
    assert!(count >= 480, "{count}");
}

/// What is added to each timestamp.
fn shifts(sent: impl IntoIterator<Item = (u16, u32, u32)>) -> Vec<u32> {
    let mut timeline = Timeline::default();
    let places = sent.into_iter().map(|(sequence, timestamp, now)| {
        timeline
            .place(&header(sequence, timestamp), 160, now)
            .wrapping_sub(timestamp)
    });
    places.collect()
}

#[test]
fn silence_that_is_left_out_and_packets_that_are_sent_thrice_and_single_jumps_are_believed() {
    let silence = (0..2000_u32).map(|n| (n as u16, n * 160 + n / 5 * 4000, n * 160 + n / 5 * 4000));
    assert!(
        shifts(silence).iter().all(|shift| *shift == 0),
        "talk spurts of five packets"
    );
    let alive = (0..200_u32).map(|n| (n as u16, n * 80_000, n * 80_000));
    assert!(shifts(alive).iter().all(|shift| *shift == 0), "one packet in 10 s");
    let sparse = (0..2000_u32).map(|n| (n as u16, n * 480, n * 480));
    assert!(
        shifts(sparse).iter().all(|shift| *shift == 0),
        "a packet of 20 ms in 60"
    );
    let thrice = (0..2000_u32).map(|n| (n as u16, n / 3 * 160, n / 3 * 160));
    assert!(shifts(thrice).iter().all(|shift| *shift == 0));
    let jumps = (0..2000_u32).map(|n| (n as u16, n * 160 + n / 100 * 777_777, n * 160));
    assert!(shifts(jumps).iter().all(|shift| *shift == 0));
}

#[test]
fn a_sender_that_learns_to_tell_is_believed_again_without_a_break() {
    let healed = (0..500_u32).map(|n| (n as u16, n.saturating_sub(100) * 160, n * 160));
    let shifts = shifts(healed);
    assert!(shifts[101..].iter().all(|shift| *shift == shifts[101]), "{shifts:?}");
    let mut timeline = Timeline::default();
    for n in 0..300_u32 {
        timeline.place(&header(n as u16, n.saturating_sub(100) * 160), 160, n * 160);
    }
    assert!(!timeline.is_numbered);
}

proptest! {
    #[test]
    fn what_is_told_well_is_left_as_it_is(
        start in any::<u32>(),
        packets in proptest::collection::vec((0_u32..4, prop_oneof![Just(80_u32), Just(160), Just(480)]), 1..300),
    ) {
        let mut timeline = Timeline::default();
        let (mut sequence, mut timestamp) = (start as u16, start);
        for (lost, samples) in packets {
            let given = timeline.place(&header(sequence, timestamp), samples, timestamp.wrapping_add(77));
            prop_assert_eq!(given, timestamp);
            sequence = sequence.wrapping_add(1 + lost as u16);
            timestamp = timestamp.wrapping_add((1 + lost) * samples);
        }
    }

    #[test]
    fn nothing_that_is_sent_overflows(packets in proptest::collection::vec((any::<u16>(), any::<u32>(), 0_u32..2001, any::<u32>()), 0..300)) {
        let mut timeline = Timeline::default();
        for (sequence, timestamp, samples, now) in packets {
            timeline.place(&header(sequence, timestamp), samples, now);
        }
    }
}
