//! Peers of all kinds: who is heard, what a flood costs, what keeps a call.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use offhook_codec::Law;
use offhook_mix::DigitScript;
use offhook_rtp::{EventSender, Header, NtpTime, ReportBlock, RtcpPacket, RtcpParser, SenderInfo, write_report};
use offhook_words::{Codec, Formats, Rate};

use super::line::{Came, LOOPBACK, Line, OUR_SPARE, OUR_SSRC, packet, socket, with};
use crate::media::api::{LegKey, StreamParameters};
use crate::media::thread::ThreadCommand;

const LOUD: [u8; 160] = [0x10; 160];

/// Speak from a socket for so many ticks; how many of the packets were heard.
fn speak(line: &mut Line, from: &UdpSocket, ssrc: u32, start: u32, ticks: u32) -> u64 {
    let before = line.stats().packets_received;
    for n in start..start + ticks {
        say(line, from, &packet(ssrc, n, 0, &LOUD));
        line.tick();
    }
    line.stats().packets_received - before
}

fn press(line: &mut Line, from: &UdpSocket, ssrc: u32, number: u32, digit: u8) {
    let mut sender = EventSender::press(digit, number.wrapping_mul(160), 800, 160);
    for n in number.. {
        let Some(event) = sender.frame() else { break };
        let header = Header {
            marker: event.marker,
            payload_type: 101,
            sequence: n as u16,
            timestamp: event.timestamp,
            ssrc,
        };
        say(line, from, &with(header, &event.event.dump()));
        line.tick();
    }
}

/// sipwise/rtpengine#1566: a gateway that sends from another port than it receives on was not heard.
#[test]
fn another_port_of_the_peers_host_is_heard_and_the_answer_goes_where_it_was_asked_for() {
    let mut line = Line::new();
    let other = socket(LOOPBACK);
    assert!(speak(&mut line, &other, 9, 100, 50) >= 45);
    press(&mut line, &other, 9, 150, 7);
    assert_eq!(line.digits(), "7");
    assert!(line.came().len() >= 50);
    assert!(other.recv(&mut [0; 100]).is_err());
    // A stranger of another host is not let in by the kernel, and after a silence by nobody.
    let stranger = socket(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)));
    assert_eq!(speak(&mut line, &stranger, 5, 1, 100), 0);
    press(&mut line, &stranger, 5, 200, 3);
    assert!(speak(&mut line, &other, 9, 400, 50) >= 48);
    assert_eq!(line.digits(), "");
}

/// What is left of another call, from the same gateway, came first: its port was let in by the kernel and the peer was not.
#[test]
fn the_address_of_the_description_is_heard_though_another_port_of_its_host_spoke_first() {
    for ticks_before in [50, 700] {
        let mut line = Line::new();
        let (peer, other) = (line.peer.try_clone().unwrap(), socket(LOOPBACK));
        assert!(speak(&mut line, &other, 5, 1000, ticks_before) >= u64::from(ticks_before) - 5);
        for n in 0..150 {
            say(&line, &other, &packet(5, 1000 + ticks_before + n, 0, &LOUD));
            say(&line, &peer, &packet(9, 100 + n, 0, &LOUD));
            line.tick();
        }
        press(&mut line, &other, 5, 3000, 3);
        press(&mut line, &peer, 9, 300, 7);
        assert_eq!(line.digits(), "7", "{ticks_before}");
    }
}

/// The kernel was told whom to let in only once nothing waited, which a flood never lets happen.
#[test]
fn a_flood_of_strangers_that_began_before_the_call_is_not_in_the_peers_way() {
    let mut line = Line::new();
    let (peer, stranger) = (
        line.peer.try_clone().unwrap(),
        socket(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2))),
    );
    let mut heard = 0;
    for n in 0..200 {
        let before = line.stats().packets_received;
        for at in 0..200 {
            if at == 100 {
                say(&line, &peer, &packet(9, n, 0, &LOUD));
            }
            say(&line, &stranger, &packet(5, n * 200 + at, 0, &LOUD));
        }
        line.tick();
        heard += line.stats().packets_received - before;
    }
    assert!(heard >= 150, "{heard} of 200");
}

#[test]
fn a_way_that_moves_to_another_port_is_followed_both_ways() {
    let mut line = Line::new();
    let peer = line.peer.try_clone().unwrap();
    assert_eq!(speak(&mut line, &peer, 9, 100, 50), 50);
    let other = socket(LOOPBACK);
    assert!(speak(&mut line, &other, 9, 150, 100) >= 65);
    line.came();
    speak(&mut line, &other, 9, 250, 10);
    assert!(line.came().is_empty());
    assert!(other.recv(&mut [0; 2000]).is_ok());
}

/// The kernel of the sender may tell it of an earlier packet that was not let in; this one went all the same.
fn say(line: &Line, from: &UdpSocket, datagram: &[u8]) {
    while from.send_to(datagram, line.rtp).is_err() {}
}

#[test]
fn ten_thousand_packets_of_strangers_a_second_are_not_in_the_peers_way() {
    let mut line = Line::new();
    let peer = line.peer.try_clone().unwrap();
    let strangers = [socket(LOOPBACK), socket(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)))];
    speak(&mut line, &peer, 9, 0, 20);
    let before = line.stats().packets_received;
    for n in 20..120_u32 {
        for stranger in &strangers {
            for m in 0..100 {
                // Refused by the kernel.
                drop(stranger.send_to(&packet(9, n * 100 + m, 0, &LOUD), line.rtp));
            }
        }
        peer.send(&packet(9, n, 0, &LOUD)).unwrap();
        line.tick();
    }
    assert_eq!(line.stats().packets_received - before, 100);
}

#[test]
fn a_peer_that_floods_is_heard_at_three_times_its_rate_and_read_eight_packets_further() {
    let mut line = Line::new();
    let peer = line.peer.try_clone().unwrap();
    let mut sent = 0;
    let mut flood = |line: &mut Line| {
        for _ in 0..200 {
            peer.send(&packet(9, sent, 0, &LOUD)).unwrap();
            sent += 1;
        }
        let before = line.stats();
        line.tick();
        let after = line.stats();
        let heard = after.packets_received - before.packets_received;
        (heard, heard + after.packets_dropped - before.packets_dropped)
    };
    (0..10).for_each(|_| _ = flood(&mut line));
    for _ in 0..20 {
        let (heard, read) = flood(&mut line);
        assert!(heard <= 3 && read <= 3 + 8, "{heard} heard, {read} read");
    }
}

#[test]
fn a_burst_as_long_as_the_socket_holds_is_taken_whole() {
    let mut line = Line::new();
    let peer = line.peer.try_clone().unwrap();
    speak(&mut line, &peer, 9, 0, 200);
    // Nothing comes for a while, then all of it.
    (0..5).for_each(|_| line.tick());
    let before = line.stats();
    for n in 200..500_u32 {
        peer.send(&packet(9, n, 0, &LOUD)).unwrap();
    }
    (0..4).for_each(|_| line.tick());
    let after = line.stats();
    assert_eq!(after.packets_dropped, before.packets_dropped);
    let heard = after.packets_received - before.packets_received;
    assert!((25..=128).contains(&heard), "{heard}: half a second to two and a half");
}

#[test]
fn presses_faster_than_any_dialler_are_no_keys_and_the_slow_ones_after_them_are() {
    let mut line = Line::new();
    let peer = line.peer.try_clone().unwrap();
    let mut n = 0_u32;
    let mut heard = 0;
    for _ in 0..250 {
        for _ in 0..3 {
            n += 1;
            let event = offhook_rtp::TelephoneEvent {
                code: (n % 10) as u8,
                is_end: true,
                volume: 10,
                duration: 160,
            };
            peer.send(&with(header(9, n, n * 1600), &event.dump())).unwrap();
        }
        line.tick();
        heard += line.digits().len();
    }
    assert!((60..=24 + 84).contains(&heard), "{heard} of 750 in 5 s");
    (0..100).for_each(|_| line.tick());
    for digit in 0..10_u8 {
        press(&mut line, &peer, 9, n + 2000 + u32::from(digit) * 30, digit);
    }
    assert_eq!(line.digits(), "0123456789");
}

fn peer_of(line: &Line) -> UdpSocket {
    line.peer.try_clone().unwrap()
}

fn header(ssrc: u32, sequence: u32, timestamp: u32) -> Header {
    Header {
        marker: false,
        payload_type: 101,
        sequence: sequence as u16,
        timestamp,
        ssrc,
    }
}

#[test]
fn keys_in_a_stream_of_their_own_are_heard_once_and_the_audio_beside_them_whole() {
    let mut line = Line::new();
    let mut heard = String::new();
    for (numbered, ssrc) in [(500, 0x0D7F_0001), (40_000, 9)] {
        for (at, digit) in [4, 2, 9].into_iter().enumerate() {
            let start = 1000 + at as u32 * 30;
            let mut sender = EventSender::press(digit, start * 160, 800, 160);
            for n in start..start + 20 {
                line.peer.send(&packet(9, n, 0, &LOUD)).unwrap();
                if let Some(event) = sender.frame() {
                    let number = numbered + (n - start) + at as u32 * 7;
                    line.peer
                        .send(&with(header(ssrc, number, event.timestamp), &event.event.dump()))
                        .unwrap();
                }
                line.tick();
                heard += &line.digits();
            }
            (0..20).for_each(|_| line.tick());
        }
    }
    assert_eq!(heard, "429429");
    assert_eq!(line.stats().packets_dropped, 0);
}

/// Phones that are set to "RFC 2833 and INFO" send both: `4455229`.
#[test]
fn a_key_that_comes_as_event_and_by_info_is_heard_once() {
    let mut line = Line::new();
    let peer = line.peer.try_clone().unwrap();
    for (digit, at) in [(4, 0), (4, 20), (5, 40), (2, 60), (9, 80)] {
        let key = char::from(b'0' + digit);
        let by_info = ThreadCommand::Pressed(LegKey(1), key, 100);
        if digit == 5 {
            line.commands.push(by_info).unwrap();
            line.tick();
            press(&mut line, &peer, 9, 100 + at, digit);
        } else {
            press(&mut line, &peer, 9, 100 + at, digit);
            line.commands.push(by_info).unwrap();
        }
        line.tick();
    }
    assert_eq!(line.digits(), "44529");
}

#[test]
fn a_key_that_is_stopped_is_let_go_at_once_and_the_next_one_begins_alone() {
    let mut line = Line::new();
    let script = |id, digits| DigitScript::new(id, Rate::Narrow, digits, 60_000, 100, 1).unwrap();
    assert!(line.leg().mixer.add_digits(script(1, "5")));
    (0..10).for_each(|_| line.tick());
    line.came();
    line.leg().mixer.stop(1);
    (0..50).for_each(|_| line.tick());
    let after = line.came();
    let events: Vec<_> = after.iter().filter(|came| came.header.payload_type == 101).collect();
    assert_eq!(events.len(), 3, "its end, three times");
    assert!(
        events
            .iter()
            .all(|came| came.payload.get(1).is_some_and(|flags| flags & 0x80 != 0))
    );
    assert!(after.len() - events.len() >= 48, "and audio again");
    // Stopped, and another one in the same tick.
    assert!(line.leg().mixer.add_digits(script(2, "6")));
    (0..10).for_each(|_| line.tick());
    line.came();
    line.leg().mixer.stop(2);
    assert!(line.leg().mixer.add_digits(script(3, "7")));
    line.tick();
    assert!(line.came().len() <= 4, "no burst");
}

/// livekit/sip#766: after a re-INVITE to another codec the audio was noise.
#[test]
fn another_codec_is_sent_at_once_and_late_packets_of_the_old_one_are_no_noise() {
    let mut line = Line::new();
    let spoken = |law: Law| [law.encode_sample(4000); 160];
    let dynamic = StreamParameters {
        formats: Formats {
            payload_type_rx: 97,
            payload_type_tx: 97,
            ..line.stream.formats
        },
        ..line.stream
    };
    line.connect(dynamic);
    assert!(line.leg().mixer.add_echo(1, 60_000, 1));
    for n in 0..30 {
        line.peer.send(&packet(9, n, 97, &spoken(Law::Mu))).unwrap();
        line.tick();
    }
    line.came();
    let alaw = StreamParameters {
        formats: Formats {
            codec: Codec::Pcma,
            payload_type_rx: 8,
            payload_type_tx: 8,
            ..line.stream.formats
        },
        ..line.stream
    };
    line.connect(alaw);
    for n in 30..80 {
        // Three of the old kind are still under way: of the number that means nothing now, and of one that always does.
        let (kind, law) = match n {
            30 | 31 => (97, Law::Mu),
            32 => (0, Law::Mu),
            _ => (8, Law::A),
        };
        line.peer.send(&packet(9, n, kind, &spoken(law))).unwrap();
        line.tick();
    }
    let came = line.came();
    assert!(came.iter().all(|came| came.header.payload_type == 8));
    let heard: Vec<i16> = came
        .iter()
        .flat_map(|came| came.payload.iter().map(|code| Law::A.decode_sample(*code)))
        .collect();
    assert!(
        heard.iter().all(|sample| (-500..=4600).contains(sample)),
        "{:?}",
        heard.iter().max()
    );
    assert_eq!(line.stats().packets_dropped, 2);
}

fn reports(line: &Line, ssrc: u32, block: Option<ReportBlock>) -> Vec<u8> {
    let mut buffer = vec![0; 160];
    let info = SenderInfo {
        ntp: NtpTime::from_unix_us(line.us + 77_000_000),
        timestamp: 1,
        packets: 0,
        octets: 0,
    };
    let size = write_report(&mut buffer, ssrc, Some(&info), block.as_ref(), "peer", false);
    buffer.truncate(size);
    buffer
}

/// baresip#271: a muted phone with silence suppression sent nothing but RTCP, and was hung up.
#[test]
fn who_sends_rtcp_is_there_and_who_sends_garbage_is_not() {
    let mut line = Line::new();
    let (report, rtcp) = (reports(&line, 9, None), line.rtcp);
    for second in 0..20 {
        line.reports.send_to(&report, rtcp).unwrap();
        (0..50).for_each(|_| line.tick());
        assert_eq!(line.timeouts(), 0, "in second {second}");
    }
    // On the port of RTP it is as good.
    for _ in 0..10 {
        line.peer.send(&report).unwrap();
        (0..50).for_each(|_| line.tick());
    }
    assert_eq!(line.timeouts(), 0);
    let mut lies = report.clone();
    lies[3] = 200;
    for garbage in [&lies[..], b"hello", &[0x80], &[0x81, 203, 0, 1, 0, 0, 0, 9]] {
        for _ in 0..6 {
            line.reports.send_to(garbage, rtcp).unwrap();
            line.peer.send(garbage).unwrap();
            (0..50).for_each(|_| line.tick());
        }
        assert_eq!(line.timeouts(), 1, "{garbage:02x?}");
        line.reports.send_to(&report, rtcp).unwrap();
        line.tick();
    }
}

#[test]
fn reports_of_another_host_or_of_who_knows_nothing_keep_no_call() {
    let mut line = Line::new();
    let rtcp = line.rtcp;
    let strangers = [socket(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2))), socket(LOOPBACK)];
    for _ in 0..6 {
        let report = reports(&line, 9, None);
        for stranger in &strangers {
            stranger.send_to(&report, rtcp).unwrap();
        }
        (0..50).for_each(|_| line.tick());
    }
    assert_eq!(line.timeouts(), 1);
    line.peer.send(&packet(9, 0, 0, &LOUD)).unwrap();
    line.tick();
    // From another port of the peer's host, by somebody who hears us.
    let block = ReportBlock {
        ssrc: OUR_SSRC,
        fraction_lost: 0,
        cumulative_lost: 0,
        highest_sequence: 1,
        jitter: 0,
        last_sender_report: 0,
        delay_since: 0,
    };
    for _ in 0..10 {
        let report = reports(&line, 9, Some(block));
        strangers[1].send_to(&report, rtcp).unwrap();
        (0..50).for_each(|_| line.tick());
    }
    assert_eq!(line.timeouts(), 0);
}

#[test]
fn a_flood_of_reports_costs_eight_reads_in_200_ms() {
    let mut line = Line::new();
    let mut counted = 0;
    for n in 0..100_u32 {
        for _ in 0..20 {
            let report = reports(&line, 9, None);
            line.reports.send_to(&report, line.rtcp).unwrap();
        }
        line.tick();
        counted = line.slot().report_reads();
        assert!(counted <= (n / 10 + 2) * 8, "{counted} reads in {n} ticks");
    }
    assert!(counted >= 72);
}

#[test]
fn the_round_trip_is_told_to_within_a_tick() {
    let mut line = Line::new();
    let peer = peer_of(&line);
    let mut trips = 0;
    let mut pending: Option<(u64, Vec<u8>)> = None;
    for n in 0..3000 {
        peer.send(&packet(9, n, 0, &LOUD)).unwrap();
        line.tick();
        let mut buffer = [0; 200];
        if let Ok(size) = line.reports.recv(&mut buffer) {
            let first = RtcpParser::new(buffer.get(..size).unwrap()).unwrap().next();
            let Some(RtcpPacket::Sender { info, .. }) = first else {
                continue;
            };
            let block = ReportBlock {
                ssrc: OUR_SSRC,
                fraction_lost: 0,
                cumulative_lost: 0,
                highest_sequence: 1,
                jitter: 0,
                last_sender_report: info.ntp.middle(),
                delay_since: 0,
            };
            // 60 ms under way, at any place among the ticks.
            pending = Some((line.us + 60_000, reports(&line, 9, Some(block))));
        }
        if let Some((_, report)) = pending.take_if(|(due, _)| line.us >= *due) {
            line.reports.send_to(&report, line.rtcp).unwrap();
            line.tick();
            let trip = line.stats().round_trip_ms;
            assert!((60.0..=81.0).contains(&trip), "{trip} ms");
            trips += 1;
        }
    }
    assert!(trips >= 8, "{trips}");
}

#[test]
fn a_peer_that_takes_our_name_is_told_bye_once_and_one_that_sends_back_what_it_hears_is_not() {
    let mut line = Line::new();
    line.tick();
    // Reflected: the same SSRC, but packets of ours.
    for _ in 0..50 {
        for came in line.came() {
            line.peer.send(&with(came.header, &came.payload)).unwrap();
        }
        line.tick();
    }
    assert!(line.came().iter().all(|came| came.header.ssrc == OUR_SSRC));
    let mut said_bye = false;
    for n in 0..100 {
        line.peer.send(&packet(OUR_SSRC, 30_000 + n, 0, &LOUD)).unwrap();
        line.peer.send(&packet(OUR_SPARE, 50_000 + n, 0, &LOUD)).unwrap();
        line.tick();
        let mut buffer = [0; 200];
        while let Ok(size) = line.reports.recv(&mut buffer) {
            let mut packets = RtcpParser::new(buffer.get(..size).unwrap()).unwrap();
            said_bye |= packets.any(|packet| packet == RtcpPacket::Bye { ssrc: OUR_SSRC });
        }
    }
    assert!(said_bye);
    let names: std::collections::BTreeSet<u32> = line.came().iter().skip(2).map(|came| came.header.ssrc).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), [OUR_SPARE], "once, and no more");
}

#[test]
fn packets_of_200_ms_and_empty_or_padded_ones_are_heard_as_they_are() {
    let mut line = Line::new();
    assert!(line.leg().mixer.add_echo(1, 60_000, 1));
    let loud = [Law::Mu.encode_sample(4000); 1600];
    let mut heard = 0;
    for n in 0..100_u32 {
        if n % 10 == 0 {
            let header = Header {
                marker: false,
                payload_type: 0,
                sequence: (n / 5) as u16,
                timestamp: n * 160,
                ssrc: 9,
            };
            line.peer.send(&with(header, &loud)).unwrap();
            // A keep-alive without payload, and comfort noise.
            let empty = Header {
                sequence: header.sequence + 1,
                timestamp: 77,
                ..header
            };
            let noise = Header {
                payload_type: 13,
                ..empty
            };
            line.peer
                .send(&with(
                    if n % 20 == 0 { empty } else { noise },
                    if n % 20 == 0 { &[] } else { &[60] },
                ))
                .unwrap();
        }
        line.tick();
        let came = line.came();
        heard += came
            .iter()
            .filter(|came| Law::Mu.decode_sample(came.payload[80]) > 3500)
            .count();
    }
    assert!(heard >= 94, "{heard} of 100 frames");
    assert_eq!(line.stats().packets_dropped, 0);
}

/// A gateway whose timestamps stand still, and one that gives itself another name in each packet.
#[test]
fn a_peer_whose_timestamps_stand_still_or_whose_name_changes_with_each_packet_is_heard() {
    let loud = [Law::Mu.encode_sample(4000); 160];
    for (is_still, is_renamed) in [(true, false), (false, true), (true, true)] {
        let mut line = Line::new();
        assert!(line.leg().mixer.add_echo(1, 60_000, 1));
        let mut heard = 0;
        for n in 0..100_u32 {
            let ssrc = if is_renamed { 1000 + n * n } else { 9 };
            let timestamp = if is_still { 777 } else { n * 160 };
            let audio = Header {
                payload_type: 0,
                ..header(ssrc, n, timestamp)
            };
            line.peer.send(&with(audio, &loud)).unwrap();
            line.tick();
            let is_loud = |came: &&Came| Law::Mu.decode_sample(came.payload[80]) > 3500;
            heard += line.came().iter().filter(is_loud).count();
        }
        assert!(heard >= 92, "{heard} of 100 frames: {is_still} {is_renamed}");
    }
}

/// A muted phone sends nothing but RTCP; strangers flood its port before its first report.
#[test]
fn a_flood_of_the_port_of_rtcp_keeps_no_report_of_the_peer_out() {
    let mut line = Line::new();
    let strangers = [socket(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2))), socket(LOOPBACK)];
    let (rtcp, mut timeouts) = (line.rtcp, 0);
    for tick in 0..3000_u32 {
        let report = reports(&line, 9, None);
        for stranger in &strangers {
            (0..20).for_each(|_| drop(stranger.send_to(&report, rtcp)));
        }
        if tick % 50 == 0 {
            line.reports.send_to(&report, rtcp).unwrap();
        }
        line.tick();
        timeouts += line.timeouts();
    }
    assert_eq!(timeouts, 0);
    assert!(line.slot().report_reads() < 3000 / 10 * 8);
}

/// A peer that only listens sends no RTP; while it sends reports, their end is its end.
#[test]
fn a_peer_that_only_listens_is_gone_when_its_reports_end_and_one_without_reports_is_not_judged() {
    let mut line = Line::new();
    let listens = StreamParameters {
        receive: false,
        ..line.stream
    };
    line.connect(listens);
    (0..3000).for_each(|_| line.tick());
    assert_eq!(line.timeouts(), 0, "it never sent a report");
    let (report, rtcp) = (reports(&line, 9, None), line.rtcp);
    for _ in 0..20 {
        line.reports.send_to(&report, rtcp).unwrap();
        (0..250).for_each(|_| line.tick());
    }
    assert_eq!(line.timeouts(), 0, "a report each 5 s");
    (0..2000).for_each(|_| line.tick());
    assert_eq!(line.timeouts(), 1);
    // What is settled anew is judged anew, and neither side of a call on hold is.
    for (send, receive) in [(true, false), (false, false)] {
        line.connect(StreamParameters { send: !send, ..listens });
        line.connect(StreamParameters {
            send,
            receive,
            ..listens
        });
        (0..3000).for_each(|_| line.tick());
    }
    assert_eq!(line.timeouts(), 0);
}

/// A phone that sends no reports while it is on hold had one on its way when that was settled.
#[test]
fn a_peer_on_hold_whose_last_report_came_just_after_that_was_settled_is_not_judged_by_it() {
    let mut line = Line::new();
    line.connect(StreamParameters {
        receive: false,
        ..line.stream
    });
    let report = reports(&line, 9, None);
    line.reports.send_to(&report, line.rtcp).unwrap();
    (0..3000).for_each(|_| line.tick());
    assert_eq!(line.timeouts(), 0);
}

/// A way through a NAT that was forgotten while the peer had nothing to report.
#[test]
fn reports_from_another_port_of_the_peers_host_are_read_once_the_one_before_was_quiet_for_long() {
    let mut line = Line::new();
    let (other, rtcp) = (socket(LOOPBACK), line.rtcp);
    line.peer.send(&packet(9, 0, 0, &LOUD)).unwrap();
    let report = reports(&line, 9, None);
    for _ in 0..5 {
        line.reports.send_to(&report, rtcp).unwrap();
        (0..50).for_each(|_| line.tick());
    }
    assert_eq!(line.timeouts(), 0);
    (0..1100).for_each(|_| line.tick());
    assert_eq!(line.timeouts(), 1);
    for _ in 0..10 {
        other.send_to(&report, rtcp).unwrap();
        (0..50).for_each(|_| line.tick());
    }
    assert_eq!(line.timeouts(), 0);
    (0..300).for_each(|_| line.tick());
    assert_eq!(line.timeouts(), 1, "it was there again");
}
