//! Every operation, heard and seen from the far end.

use std::net::UdpSocket;

use offhook_codec::WavFormat;
use offhook_engine::media::{MediaCommand, MediaEvent};
use offhook_rtp::{EventSender, TelephoneEvent, code_of_digit};
use offhook_words::{DigitMethod, Encoding, EndCause, FailureCode, Interrupt, PauseBehavior, Side, Source};

use crate::rig::{Call, LEG, NEVER, decoded, file, wav};

#[test]
fn one_continuous_stream_of_silence_flows_from_connect_to_close() {
    let mut call = Call::new("stream", Some(101));
    let packets = call.talk(25, |_| 0);
    assert!(packets[0].header.marker);
    for pair in packets.windows(2) {
        assert_eq!(pair[1].header.sequence, pair[0].header.sequence.wrapping_add(1));
        assert_eq!(pair[1].header.timestamp, pair[0].header.timestamp.wrapping_add(160));
        assert_eq!(pair[1].header.ssrc, pair[0].header.ssrc);
        assert_eq!(pair[1].payload, [0xff; 160]);
    }
    call.pool.close(LEG);
    let stats = call.wait(|event| match event {
        MediaEvent::Closed { stats, .. } => Some(*stats),
        _ => None,
    });
    assert!(stats.packets_sent >= 25 && stats.packets_received >= 24);
    assert_eq!((stats.packets_lost, stats.packets_dropped), (0, 0));
}

#[test]
fn files_play_whole_and_back_to_back_without_a_gap() {
    let mut call = Call::new("files", Some(101));
    let value = |n: i32| (8000.0 * (f64::from(n) * 0.2).sin()) as i16;
    call.directories.prompt("a.wav", &wav((0..1237).map(value)));
    call.directories.prompt("b.wav", &wav((1237..4000).map(value)));
    call.play(1, vec![file("a.wav"), file("b.wav")], NEVER);
    let heard = decoded(&call.talk(40, |_| 0));
    assert_eq!(call.ended(1), (EndCause::Finished, 500, 0));
    let start = heard
        .windows(3)
        .position(|part| part[0] == 0 && part[1] > 1000 && part[2] > part[1])
        .unwrap();
    for (n, sample) in heard[start..start + 4000].iter().enumerate() {
        let error = (i32::from(*sample) - i32::from(value(i32::try_from(n).unwrap()))).abs();
        assert!(error <= 300, "sample {n}: {sample}");
    }
    assert!(heard[start + 4000..].iter().all(|sample| *sample == 0));
}

#[test]
fn a_file_that_grows_is_played_to_its_end_and_no_further() {
    let mut call = Call::new("growing", Some(101));
    let whole = wav(std::iter::repeat_n(4000, 3200));
    call.directories.prompt("g.wav", &whole[..1000]);
    let source = Source::File {
        prompt: "g.wav".into(),
        encoding: Encoding::Auto,
        rate_hz: 8000,
        growing: true,
    };
    call.play(1, vec![source], NEVER);
    call.talk(10, |_| 0);
    call.directories.prompt("g.wav", &whole);
    call.talk(5, |_| 0);
    let size_bytes = i64::try_from(whole.len()).unwrap();
    call.command(MediaCommand::PromptDone {
        prompt: "g.wav".into(),
        size_bytes,
    });
    call.talk(25, |_| 0);
    assert_eq!(call.ended(1), (EndCause::Finished, 400, 0));
}

#[test]
fn what_cannot_be_played_ends_with_a_sentence_or_is_refused() {
    let mut call = Call::new("bad", Some(101));
    call.directories
        .prompt("noise", b"this is text and no audio at all, whatever it is called");
    call.play(1, vec![file("noise")], NEVER);
    let detail = call.wait(|event| match event {
        MediaEvent::Ended {
            cause: EndCause::Error,
            detail,
            ..
        } => detail.clone(),
        _ => None,
    });
    assert!(detail.contains("neither WAV nor MP3"));
    call.play(2, vec![file("missing.wav")], NEVER);
    let detail = call.wait(|event| match event {
        MediaEvent::Ended { op: 2, detail, .. } => detail.clone(),
        _ => None,
    });
    assert_eq!(*detail, *"file missing.wav: No such file or directory (os error 2)");
    let play = MediaCommand::Play {
        id: 3,
        leg: LEG,
        sources: vec![file("../noise")],
        side: Side::Heard,
        volume_db: 0.0,
        loops: 1,
        more: false,
        interrupt: NEVER,
    };
    assert_eq!(call.pool.command(play).unwrap_err().code, FailureCode::BadRequest);
}

#[test]
fn a_digit_by_rfc_4733_interrupts_a_tone_at_once_and_comes_once() {
    let mut call = Call::new("digit", Some(101));
    let tone = offhook_words::Tone {
        duration_ms: 1000,
        frequencies_hz: vec![440.0],
        level_dbm0: -10.0,
    };
    call.play(
        1,
        vec![Source::Tone {
            cadence: vec![tone],
            duration_ms: -1,
        }],
        Interrupt {
            digit: true,
            speech: false,
        },
    );
    call.talk(20, |_| 0);
    let start = call.timestamp;
    let mut press = EventSender::press(code_of_digit('5').unwrap(), start, 800, 160);
    while let Some(packet) = press.frame() {
        let payload: [u8; 4] = TelephoneEvent::dump(packet.event);
        call.send(false, 101, packet.timestamp, &payload);
    }
    let heard = call.talk(6, |_| 0);
    assert_eq!(call.ended(1).0, EndCause::Interrupted);
    let silent = heard
        .iter()
        .position(|packet| packet.payload == [0xff; 160])
        .expect("the tone went on");
    assert!(silent <= 3, "silent after {silent} packets");
    assert_eq!(call.digits(), "5");
}

#[test]
fn digits_in_the_audio_are_found_when_no_event_was_agreed_on_and_sent_as_tones() {
    let mut call = Call::new("inband", None);
    call.command(MediaCommand::SendDigits {
        id: 1,
        leg: LEG,
        digits: "4#".into(),
        duration_ms: 100,
        gap_ms: 100,
    });
    let heard = decoded(&call.talk(30, |_| 0));
    assert_eq!(call.ended(1).0, EndCause::Finished);
    let mut detector = offhook_dsp::DtmfDetector::default();
    let (frames, _) = heard.as_chunks::<160>();
    assert_eq!(
        frames
            .iter()
            .filter_map(|frame| detector.frame(frame))
            .collect::<String>(),
        "4#"
    );
    // And back to where it came from.
    call.talk(30, |n| heard[n as usize]);
    let method = call.wait(|event| match event {
        MediaEvent::Digit { digit: '#', method, .. } => Some(*method),
        _ => None,
    });
    assert_eq!(method, DigitMethod::Inband);
    assert_eq!(call.digits(), "4#");
}

#[test]
fn digits_are_sent_as_events_with_one_marker_and_three_ends() {
    let mut call = Call::new("events", Some(96));
    call.command(MediaCommand::SendDigits {
        id: 1,
        leg: LEG,
        digits: "9".into(),
        duration_ms: 100,
        gap_ms: 100,
    });
    let packets = call.talk(20, |_| 0);
    let events: Vec<_> = packets
        .iter()
        .filter(|packet| packet.header.payload_type == 96)
        .collect();
    assert_eq!(events.len(), 7);
    assert_eq!(events.iter().filter(|packet| packet.header.marker).count(), 1);
    assert!(
        events
            .iter()
            .all(|packet| packet.header.timestamp == events[0].header.timestamp)
    );
    let ends = events
        .iter()
        .filter_map(|packet| TelephoneEvent::parse(&packet.payload))
        .filter(|event| event.is_end);
    assert_eq!(ends.count(), 3);
    for pair in packets.windows(2) {
        assert_eq!(pair[1].header.sequence, pair[0].header.sequence.wrapping_add(1));
    }
}

#[test]
fn a_recording_holds_both_sides_on_one_time_line_and_its_event_tells_its_size() {
    let mut call = Call::new("record", Some(101));
    call.directories
        .prompt("low.wav", &wav(std::iter::repeat_n(2000, 16_000)));
    call.talk(5, |_| 0);
    call.record(1, "both.wav", Side::Both, true, 1000);
    call.play(2, vec![file("low.wav")], NEVER);
    // Loud for 100 ms, half a second after the start.
    call.talk(60, |n| if (25..30).contains(&(n / 160)) { 8000 } else { 0 });
    let (cause, duration_ms, size_bytes) = call.ended(1);
    assert_eq!(
        (cause, duration_ms, size_bytes),
        (EndCause::MaxLength, 1000, 44 + 32_000)
    );
    let bytes = std::fs::read(call.directories.recording("both.wav")).unwrap();
    assert_eq!(bytes.len() as u64, size_bytes);
    let format = WavFormat::parse(&bytes).unwrap();
    assert_eq!((format.channels, format.data_bytes), (2, Some(32_000)));
    let samples: Vec<i16> = bytes[44..]
        .chunks(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let said: Vec<usize> = (0..8000).filter(|at| samples[at * 2] > 6000).collect();
    let heard = (0..8000).filter(|at| samples[at * 2 + 1] > 1500).count();
    assert!((760..=840).contains(&said.len()), "{}", said.len());
    let place_ms = said[0] / 8;
    assert!((480..=580).contains(&place_ms), "said at {place_ms} ms");
    assert!(heard >= 7000, "{heard}");
    assert!(!call.directories.recording("both.wav.part").exists());
}

#[test]
fn a_recording_is_a_valid_file_while_it_grows_and_is_finished_by_hanging_up() {
    let mut call = Call::new("grow", Some(101));
    call.record(1, "live.wav", Side::Said, false, 0);
    call.talk(75, |_| 500);
    let bytes = std::fs::read(call.directories.recording("live.wav.part")).unwrap();
    let format = WavFormat::parse(&bytes).unwrap();
    assert_eq!(format.data_bytes, Some(bytes.len() as u64 - 44));
    assert!(bytes.len() > 44 + 16_000, "{} bytes after 1.5 s", bytes.len());
    call.pool.close(LEG);
    call.wait(|event| matches!(event, MediaEvent::Closed { .. }).then_some(()));
    let ended = call
        .events
        .iter()
        .position(|event| matches!(event, MediaEvent::Ended { op: 1, .. }))
        .unwrap();
    assert_eq!(
        ended,
        call.events.len() - 2,
        "the operation ends before the leg is closed"
    );
    assert!(call.directories.recording("live.wav").exists());
}

#[test]
fn pausing_twice_is_refused_and_a_name_is_used_once() {
    let mut call = Call::new("refuse", Some(101));
    call.record(1, "one.wav", Side::Said, false, 0);
    let behavior = PauseBehavior::Skip;
    call.command(MediaCommand::Pause { target: 1, behavior });
    let again = call
        .pool
        .command(MediaCommand::Pause { target: 1, behavior })
        .unwrap_err();
    assert_eq!(again.code, FailureCode::WrongState);
    call.command(MediaCommand::Resume { target: 1 });
    let volume = call
        .pool
        .command(MediaCommand::Volume {
            target: 1,
            volume_db: 1.0,
        })
        .unwrap_err();
    assert_eq!(volume.code, FailureCode::WrongState);
    let unknown = call.pool.command(MediaCommand::Resume { target: 77 }).unwrap_err();
    assert_eq!(unknown.code, FailureCode::UnknownOperation);
    call.command(MediaCommand::Stop { target: 77 });
    call.command(MediaCommand::Stop { target: 1 });
    assert_eq!(call.ended(1).0, EndCause::Stopped);
}

#[test]
fn pushed_samples_are_heard_and_credit_comes_back() {
    let mut call = Call::new("pcm", Some(101));
    call.play(
        1,
        vec![Source::Pcm {
            stream: 5,
            rate_hz: 8000,
        }],
        NEVER,
    );
    let samples: Vec<u8> = std::iter::repeat_n(3000_i16, 3200).flat_map(i16::to_le_bytes).collect();
    call.command(MediaCommand::Pcm {
        stream: 5,
        samples: samples.clone(),
        last: false,
    });
    call.talk(20, |_| 0);
    let ms = call.wait(|event| match event {
        MediaEvent::PcmCredit { stream: 5, ms } => Some(*ms),
        _ => None,
    });
    assert!((40..=400).contains(&ms), "{ms}");
    call.command(MediaCommand::Pcm {
        stream: 5,
        samples,
        last: true,
    });
    call.talk(40, |_| 0);
    assert_eq!(call.ended(1), (EndCause::Finished, 800, 0));
}

#[test]
fn a_listen_gives_blocks_while_there_is_credit() {
    let mut call = Call::new("listen", Some(101));
    call.talk(5, |_| 700);
    call.command(MediaCommand::Listen {
        id: 1,
        leg: LEG,
        side: Side::Said,
        block_ms: 100,
        credit_ms: 200,
    });
    call.talk(30, |_| 700);
    call.command(MediaCommand::Credit { target: 1, ms: 100 });
    call.talk(10, |_| 700);
    call.command(MediaCommand::Stop { target: 1 });
    call.ended(1);
    let audio = |event: &MediaEvent| match event {
        MediaEvent::Audio { offset_ms, samples, .. } => Some((*offset_ms, samples.len())),
        _ => None,
    };
    let blocks: Vec<_> = call.events.iter().filter_map(audio).collect();
    assert_eq!(blocks[..2], [(0, 1600), (100, 1600)]);
    assert_eq!(blocks.len(), 3);
    assert!(blocks[2].0 >= 500, "the gap shows: {blocks:?}");
}

#[test]
fn echo_returns_what_is_said() {
    let mut call = Call::new("echo", Some(101));
    call.command(MediaCommand::Echo {
        id: 1,
        leg: LEG,
        timeout_ms: 400,
    });
    let heard = decoded(&call.talk(40, |_| 4000));
    assert_eq!(call.ended(1).0, EndCause::Timeout);
    let loud = heard.iter().filter(|sample| **sample > 3500).count();
    assert!((1600..=3200).contains(&loud), "{loud}");
}

#[test]
fn strangers_and_garbage_are_counted_and_not_heard() {
    let mut call = Call::new("foreign", Some(101));
    call.talk(5, |_| 0);
    for garbage in [&b"x"[..], &[0x80; 11], &[0xff; 200], &[0xa0; 13]] {
        call.peer.send(garbage).unwrap();
    }
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..50 {
        // Refused by the kernel: the socket is connected to the peer.
        drop(stranger.send_to(&[0x80; 172], call.peer.peer_addr().unwrap()));
    }
    let packets = call.talk(15, |_| 0);
    assert!(
        packets
            .windows(2)
            .all(|pair| pair[1].header.sequence == pair[0].header.sequence.wrapping_add(1))
    );
    call.pool.close(LEG);
    let stats = call.wait(|event| match event {
        MediaEvent::Closed { stats, .. } => Some(*stats),
        _ => None,
    });
    assert_eq!(stats.packets_dropped, 4);
    assert_eq!(stats.packets_lost, 0);
}

#[test]
fn an_mp3_made_by_ffmpeg_is_heard_at_its_pitch_and_length() {
    let mut call = Call::new("mp3", Some(101));
    let path = call.directories.0.join("prompts").join("tone.mp3");
    let made = std::process::Command::new("ffmpeg")
        .args([
            "-loglevel",
            "error",
            "-f",
            "lavfi",
            "-i",
            "sine=frequency=500:sample_rate=44100:duration=0.6",
        ])
        .args(["-ac", "2", "-b:a", "128k"])
        .arg(&path)
        .status()
        .expect("ffmpeg is one of the peers that tests need");
    assert!(made.success());
    call.play(1, vec![file("tone.mp3")], NEVER);
    let mut heard = Vec::new();
    let mut start = None;
    while start.is_none_or(|start| heard.len() < start + 3200) {
        assert!(heard.len() < 80_000, "no tone within 10 s");
        heard.extend(decoded(&call.talk(25, |_| 0)));
        start = heard
            .iter()
            .position(|sample| sample.abs() > 1000)
            .map(|first| first + 400);
    }
    let (cause, duration_ms, _) = call.ended(1);
    assert_eq!(cause, EndCause::Finished);
    assert!((600..=700).contains(&duration_ms), "{duration_ms}");
    let start = start.unwrap();
    let crossings = heard[start..start + 3200]
        .windows(2)
        .filter(|pair| pair[0] < 0 && pair[1] >= 0)
        .count();
    assert!((198..=202).contains(&crossings), "{crossings} periods in 400 ms");
}
