//! What is measured, and what a clock that somebody sets may change.

use super::line::{Line, packet};
use crate::media::api::{MediaEvent, StreamParameters};

const HOUR_US: u64 = 3_600_000_000;

/// A peer of DTX: a packet in one of 50 ticks.
fn sparse(line: &mut Line, ticks: u32) {
    for tick in 0..ticks {
        if tick % 50 == 0 {
            line.peer.send(&packet(9, tick, 0, &[0x55; 160])).unwrap();
        }
        line.tick();
    }
}

#[test]
fn a_wall_clock_that_is_set_an_hour_on_or_back_times_nobody_out() {
    let mut line = Line::new();
    sparse(&mut line, 100);
    for _ in 0..3 {
        Line::set_wall(|wall| wall + HOUR_US);
        sparse(&mut line, 100);
        Line::set_wall(|wall| wall - 2 * HOUR_US);
        sparse(&mut line, 100);
    }
    assert_eq!(line.timeouts(), 0);
    // And a peer that is gone is found all the same.
    for tick in 0..250 {
        Line::set_wall(|wall| if tick % 2 == 0 { wall - HOUR_US } else { wall + HOUR_US });
        line.tick();
    }
    assert_eq!(line.timeouts(), 1);
}

#[test]
fn a_wall_clock_of_1970_or_of_a_far_year_breaks_no_report() {
    let mut line = Line::new();
    for us in [0, 1, u64::MAX / 2, u64::MAX - 30_000_000, 0] {
        Line::set_wall(|_| us);
        sparse(&mut line, 400);
    }
    assert_eq!(line.timeouts(), 0);
}

#[test]
fn time_stamps_of_events_are_those_of_the_wall() {
    let mut line = Line::new();
    Line::set_wall(|_| 1_234_000_000);
    assert!(line.leg().mixer.add_echo(5, 100, 7));
    (0..10).for_each(|_| line.tick());
    let ended = |event: &MediaEvent| matches!(event, MediaEvent::Ended { started_us: 7, .. });
    assert!(line.told().iter().any(ended));
}

#[test]
fn a_peer_that_was_silent_on_hold_is_timed_out_when_it_stays_silent_after_it() {
    let mut line = Line::new();
    sparse(&mut line, 10);
    let both = line.stream;
    for held in [
        StreamParameters { send: false, ..both },
        StreamParameters {
            send: false,
            receive: false,
            ..both
        },
    ] {
        line.connect(held);
        (0..500).for_each(|_| line.tick());
        let told = line.timeouts();
        assert_eq!(
            told,
            usize::from(held.receive),
            "told once where somebody was to be heard"
        );
        line.connect(both);
        (0..150).for_each(|_| line.tick());
        assert_eq!(line.timeouts(), 0, "it has its time again");
        (0..300).for_each(|_| line.tick());
        assert_eq!(line.timeouts(), 1);
    }
}

#[test]
fn a_session_that_is_refreshed_again_and_again_keeps_no_dead_peer() {
    let mut line = Line::new();
    let stream = line.stream;
    for _ in 0..10 {
        line.connect(stream);
        (0..50).for_each(|_| line.tick());
    }
    assert_eq!(line.timeouts(), 1);
}
