//! Presses as senders of all kinds send them.

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

/// What is heard of packets that come one a frame, numbered in this order.
fn heard(packets: impl IntoIterator<Item = EventPacket>) -> String {
    let numbered = packets.into_iter().zip(0_u16..);
    of_streams(numbered.map(|(packet, sequence)| (9, sequence, packet)))
}

/// The same of packets that each have an SSRC and a number.
fn of_streams(packets: impl IntoIterator<Item = (u32, u16, EventPacket)>) -> String {
    let mut receiver = EventReceiver::default();
    let packets = packets.into_iter().zip(0_u32..);
    packets
        .filter_map(|((ssrc, sequence, packet), tick)| {
            let header = Header {
                marker: packet.marker,
                payload_type: 101,
                sequence,
                timestamp: packet.timestamp,
                ssrc,
            };
            receiver.packet(&header, packet.event, tick * 160)
        })
        .map(|key| key.digit)
        .collect()
}

/// The packets of `presses`, with timestamps moved by `moved(packet of its press, is it an end)`.
fn moving(presses: &str, moved: impl Fn(u32, bool) -> u32) -> Vec<EventPacket> {
    let mut all = packets(presses, 800, 70_000);
    for press in all.chunks_mut(7) {
        for (packet, at) in press.iter_mut().zip(0..) {
            packet.timestamp += moved(at, packet.event.is_end);
        }
    }
    all
}

/// sipwise/rtpengine#1812: three digits were made of one key whose end packets had timestamps of their own.
#[test]
fn timestamps_that_move_within_a_press_make_no_other() {
    let ends = |step: u32| move |at: u32, is_end: bool| if is_end { (at - 4) * step } else { 0 };
    for step in [80, 160, 240] {
        assert_eq!(heard(moving("2259", ends(step))), "2259", "ends {step} apart");
    }
    for first in [0, 160, 800, 960] {
        let later = move |at: u32, is_end: bool| if is_end { first + (at - 4) * 160 } else { 0 };
        assert_eq!(heard(moving("22", later)), "22", "ends from {first} on");
    }
    let growing = moving("115#5", |at, _| at * 160);
    assert_eq!(heard(growing.clone()), "115#5");
    let unmarked = |packet: EventPacket| EventPacket {
        marker: false,
        ..packet
    };
    assert_eq!(heard(growing.iter().copied().map(unmarked)), "115#5");
    // Two packets of each press change places.
    let mut swapped = growing.clone();
    swapped.chunks_mut(7).for_each(|press| press.swap(2, 3));
    assert_eq!(heard(swapped), "115#5");
    // Durations that begin anew in each packet, as its timestamp does.
    let own = growing.iter().copied().map(|mut packet| {
        packet.event.duration = 160;
        packet
    });
    assert_eq!(heard(own), "115#5");
}

/// sipwise/rtpengine#1569: digits in a stream of their own were heard with each packet, or not at all.
/// What is heard of presses of 100 ms and a pause of 200, with a packet each `step` samples; `change` makes what is odd.
fn stepped(presses: &str, step: u32, change: impl Fn(u32, &mut EventPacket)) -> String {
    let mut receiver = EventReceiver::default();
    let (mut sequence, mut digits) = (0, String::new());
    for (digit, number) in presses.chars().zip(0..) {
        let start = 70_000 + number * 2400;
        let last = 800_u32.div_ceil(step) - 1;
        for at in 0..last + 3 {
            let event = TelephoneEvent {
                code: code_of_digit(digit).unwrap(),
                is_end: at >= last,
                volume: 10,
                duration: (step * (at + 1)).min(800) as u16,
            };
            let (marker, timestamp) = (at == 0, start);
            let mut packet = EventPacket {
                marker,
                timestamp,
                event,
            };
            change(at, &mut packet);
            let EventPacket {
                marker,
                timestamp,
                event,
            } = packet;
            let header = Header {
                marker,
                payload_type: 101,
                sequence,
                timestamp,
                ssrc: 9,
            };
            digits.extend(receiver.packet(&header, event, start + at * step).map(|key| key.digit));
            sequence += 1;
        }
    }
    digits
}

/// The kind of sipwise/rtpengine#1812, with the packets each 50 ms of RFC 4733 section 2.5.1.2: `555555111122`.
#[test]
fn timestamps_that_move_make_no_other_press_where_packets_are_50_or_60_ms_apart() {
    for step in [160, 240, 320, 400, 480] {
        for marked in [true, false] {
            let moved = |at: u32, packet: &mut EventPacket| {
                packet.timestamp += at * step;
                packet.marker &= marked;
            };
            assert_eq!(stepped("555112", step, moved), "555112", "{step} {marked}");
            let ends = |at: u32, packet: &mut EventPacket| {
                packet.timestamp += if packet.event.is_end { at * step } else { 0 };
                packet.marker &= marked;
            };
            assert_eq!(stepped("555112", step, ends), "555112", "ends {step} {marked}");
        }
        let own = |at: u32, packet: &mut EventPacket| {
            packet.timestamp += at * step;
            packet.event.duration = step as u16;
        };
        assert_eq!(stepped("555112", step, own), "555112", "own durations {step}");
        let none = |at: u32, packet: &mut EventPacket| {
            packet.timestamp += at * step;
            packet.event.duration = 0;
        };
        assert_eq!(stepped("555112", step, none), "555112", "no durations {step}");
    }
}

/// The third of equal keys was taken for a late packet of the first.
#[test]
fn timestamps_in_another_unit_than_durations_lose_no_press() {
    let ms = |_, packet: &mut EventPacket| packet.timestamp /= 8;
    assert_eq!(stepped("555112", 160, ms), "555112");
    let slow = |_, packet: &mut EventPacket| packet.timestamp = 9000 + (packet.timestamp - 70_000) / 15;
    assert_eq!(stepped("555112", 160, slow), "555112");
}

#[test]
fn two_streams_have_their_own_presses_however_they_mix() {
    let (one, other) = (packets("429", 800, 70_000), packets("1442", 800, 5));
    let streams = one.into_iter().zip(other).zip(0_u16..);
    let mixed = streams.flat_map(|((a, b), n)| [(1, n, a), (2, n + 500, b)]);
    let mut keys: Vec<char> = of_streams(mixed).chars().collect();
    keys.sort_unstable();
    assert_eq!(
        keys.iter().collect::<String>(),
        "124449",
        "three presses of each, as far as both go"
    );
}

#[test]
fn a_source_with_another_name_in_each_packet_presses_each_key_once() {
    for digits in ["5", "55", "4291", "333"] {
        let renamed = packets(digits, 800, 0_u32.wrapping_sub(2000))
            .into_iter()
            .zip(65_530_u16..=65_535);
        let first: String = of_streams(renamed.map(|(packet, n)| (u32::from(n) * 77, n, packet)));
        assert_eq!(first, digits[..1]);
        let all = packets(digits, 800, 0_u32.wrapping_sub(2000)).into_iter().zip(0_u16..);
        assert_eq!(
            of_streams(all.map(|(packet, n)| (u32::from(n) * 77, n, packet))),
            digits
        );
    }
}

#[test]
fn a_source_with_another_name_in_each_packet_presses_each_key_once_though_packets_overtake_each_other() {
    for digits in ["5", "55", "4291", "333"] {
        let sent = packets(digits, 800, 0_u32.wrapping_sub(2000)).into_iter();
        let sent: Vec<_> = sent
            .zip(0_u16..)
            .map(|(packet, n)| (u32::from(n) * 77 + 1, n.wrapping_sub(3), packet))
            .collect();
        for together in 2..=4 {
            for first in 0..together {
                let (straight, mixed) = sent.split_at(first);
                let turned = mixed.chunks(together).flat_map(|some| some.iter().rev());
                let heard = of_streams(straight.iter().chain(turned).copied());
                assert_eq!(heard, digits, "{together} turned round from {first} on");
            }
        }
        let doubled = sent
            .iter()
            .zip(sent.iter().skip(1))
            .flat_map(|(one, next)| [*next, *one]);
        assert_eq!(of_streams(doubled), digits, "each comes again behind the next");
    }
}

#[test]
fn a_source_that_begins_anew_while_a_key_is_down_presses_it_once() {
    let sent = packets("77", 800, 3_000_000);
    let changed = sent.iter().zip(0_u16..).map(|(packet, n)| {
        let mut packet = *packet;
        if n < 3 {
            return (1, n, packet);
        }
        packet.timestamp = packet.timestamp.wrapping_sub(2_000_000);
        (2, n.wrapping_add(40_000), packet)
    });
    assert_eq!(of_streams(changed), "77");
    let jumped = sent.iter().copied().enumerate().map(|(n, mut packet)| {
        packet.timestamp += if n < 3 { 0 } else { 500_000 };
        packet
    });
    assert_eq!(heard(jumped), "77");
}

#[test]
fn a_sender_whose_timestamp_stands_still_presses_each_key() {
    for is_marked in [true, false] {
        let still = |packet: &EventPacket| EventPacket {
            marker: packet.marker && is_marked,
            timestamp: 100,
            ..*packet
        };
        let sent: Vec<_> = packets("5588", 800, 0)
            .iter()
            .map(still)
            .zip(0_u16..)
            .map(|(packet, n)| (1, n, packet))
            .collect();
        // The first packet of each press comes again behind its end.
        let all: Vec<_> = sent
            .chunks(7)
            .flat_map(|press| press.iter().chain(&press[..1]))
            .copied()
            .collect();
        if is_marked {
            assert_eq!(of_streams(all), "5588");
        } else {
            // Nothing but the pause tells them apart.
            let pause = EventPacket {
                marker: false,
                timestamp: 100,
                event: TelephoneEvent {
                    code: 16,
                    is_end: false,
                    volume: 0,
                    duration: 0,
                },
            };
            let paused = all
                .chunks(8)
                .flat_map(|press| press.iter().copied().chain([(1, 0, pause); 8]));
            assert_eq!(of_streams(paused), "5588");
        }
    }
}

/// Two presses of one key 60 to 100 ms apart: their ends are sent thrice, so that one or three frames are between their packets.
#[test]
fn the_same_key_pressed_again_soon_by_a_sender_without_markers_whose_timestamp_stands_still_counts_again() {
    for pause in [1_u32, 2, 3] {
        let mut receiver = EventReceiver::default();
        let (mut now, mut digits) = (u32::MAX - 3000, String::new());
        for (n, packet) in (0_u32..).zip(packets("555", 800, 0)) {
            let header = Header {
                marker: false,
                payload_type: 101,
                sequence: (n + n / 7 * pause) as u16,
                timestamp: 100,
                ssrc: 9,
            };
            now = now.wrapping_add(if n > 0 && n % 7 == 0 { (1 + pause) * 160 } else { 160 });
            digits.extend(receiver.packet(&header, packet.event, now).map(|key| key.digit));
            // The copy of a packet that is late is none.
            let late = Header {
                sequence: header.sequence.wrapping_sub(2),
                ..header
            };
            let old = TelephoneEvent {
                is_end: false,
                duration: 160,
                ..packet.event
            };
            assert_eq!(receiver.packet(&late, old, now), None, "{n}");
        }
        assert_eq!(digits, "555", "{pause} frames between");
    }
}

#[test]
fn the_same_key_pressed_again_after_40_ms_counts_again() {
    let mut all = Vec::new();
    for press in 0..6_u32 {
        let mut sender = EventSender::press(3, 1000 + press * 640, 320, 160);
        all.extend(std::iter::from_fn(|| sender.frame()));
    }
    assert_eq!(heard(all.clone()), "333333");
    let unmarked = |packet: EventPacket| EventPacket {
        marker: false,
        ..packet
    };
    assert_eq!(heard(all.into_iter().map(unmarked)), "333333");
}

#[test]
fn a_key_of_a_minute_is_one_digit_whether_its_time_is_split_stands_or_begins_again() {
    let sent = packets("6", 480_000, 4_000_000_000);
    let start = sent[0].timestamp;
    let still = |packet: &EventPacket| EventPacket {
        timestamp: start,
        ..*packet
    };
    assert_eq!(
        heard(sent.iter().map(still)),
        "6",
        "durations that restart at one timestamp"
    );
    let stuck = sent.iter().zip(1_u32..).map(|(packet, n)| {
        let mut packet = still(packet);
        packet.event.duration = (n * 160).min(0xffff) as u16;
        packet
    });
    assert_eq!(heard(stuck), "6", "a duration that stays at its longest");
    let ended = sent.iter().copied().map(|mut packet| {
        packet.event.is_end |= packet.event.duration == 0xff00;
        packet
    });
    assert_eq!(heard(ended), "6", "each segment has an end");
}

#[test]
fn a_packet_may_hold_several_presses_and_padding_is_none() {
    let event = |code, is_end, duration| TelephoneEvent {
        code,
        is_end,
        volume: 10,
        duration,
    };
    let (first, last) = (event(1, true, 400), event(2, false, 160));
    let mut payload: Vec<u8> = [first.dump(), last.dump()].concat();
    payload.extend([0; 160]);
    let read: Vec<_> = TelephoneEvent::all(&payload).collect();
    assert_eq!(read, [(0, first), (400, last)]);
    let padded = [event(7, true, 800).dump().as_slice(), &[0; 156]].concat();
    assert_eq!(TelephoneEvent::all(&padded).count(), 1);
    assert_eq!(TelephoneEvent::all(&[7, 0x80, 0]).count(), 0, "cut off");
    let many: Vec<u8> = (0..400).flat_map(|_| event(7, true, 800).dump()).collect();
    assert_eq!(TelephoneEvent::all(&many).count(), MOST_EVENTS);
}

#[test]
fn a_key_let_go_early_is_three_ends_and_nothing_more() {
    let mut sender = EventSender::press(4, 0, 480_000, 160);
    (0..5).for_each(|_| _ = sender.frame());
    sender.release();
    assert!(!sender.is_pressed());
    let rest: Vec<_> = std::iter::from_fn(|| sender.frame()).collect();
    assert_eq!(rest.len(), 3);
    assert!(
        rest.iter()
            .all(|packet| packet.event.is_end && packet.event.duration == 800)
    );
    sender.release();
    assert_eq!(sender.frame(), None);
}

#[test]
fn no_more_than_24_presses_at_once_and_16_a_second_are_believed() {
    let mut budget = KeyBudget::default();
    let mut believed = 0;
    // Ten seconds of 150 presses each.
    for _ in 0..500 {
        budget.frame();
        believed += (0..3).filter(|_| budget.take()).count();
    }
    assert!((160..=24 + 167).contains(&believed), "{believed}");
    // A dialler of 40 ms and 40 ms loses none.
    let mut dialler = KeyBudget::default();
    for _ in 0..256 {
        (0..4).for_each(|_| dialler.frame());
        assert!(dialler.take());
    }
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
    let packet = EventPacket {
        marker: true,
        timestamp: 0,
        event: flash,
    };
    assert_eq!(heard([packet]), "");
}

proptest! {
    #[test]
    fn loss_doubling_and_reordering_keep_each_digit_once(
        digits in "[0-9*#A-D]{1,40}",
        start: u32,
        fates in proptest::collection::vec(0_u8..20, 300),
    ) {
        let sent: Vec<_> = packets(&digits, 800, start).into_iter().zip(0..).map(|(packet, n)| (9, n, packet)).collect();
        let mut arrived: Vec<(u32, u16, EventPacket)> = Vec::new();
        for (at, (packet, fate)) in sent.iter().zip(fates.iter().cycle()).enumerate() {
            // Of each press at least one packet arrives.
            let keep = at % 7 == 3;
            match fate {
                0..8 if !keep => {}
                8..11 => arrived.extend([*packet, *packet]),
                11..13 if arrived.last().is_some_and(|last| last.2.timestamp == packet.2.timestamp) => arrived.insert(arrived.len() - 1, *packet),
                _ => arrived.push(*packet),
            }
        }
        prop_assert_eq!(of_streams(arrived), digits);
    }

    #[test]
    fn payloads_read_back_and_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..8)) {
        if let Some(event) = TelephoneEvent::parse(&bytes) {
            prop_assert_eq!(TelephoneEvent::parse(&event.dump()), Some(event));
        }
    }
}

#[test]
fn a_timestamp_half_the_range_away_is_another_press() {
    let mut receiver = EventReceiver::default();
    let event = TelephoneEvent::parse(&[5, 0x8a, 0, 160]).unwrap();
    let mut press = |timestamp, sequence| {
        let header = Header {
            marker: true,
            payload_type: 101,
            sequence,
            timestamp,
            ssrc: 1,
        };
        receiver.packet(&header, event, u32::from(sequence) * 1600).is_some()
    };
    assert!(press(0, 1));
    assert!(press(1 << 31, 2));
}
