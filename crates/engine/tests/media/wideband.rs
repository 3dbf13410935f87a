//! A leg of G.722: 16 kHz through players, recordings, echo and keys, and a change of codec in the call.

use std::f64::consts::TAU;

use offhook_codec::{G722Decoder, G722Encoder, Law, WavFormat};
use offhook_engine::media::{MediaCommand, MediaEvent};
use offhook_test_support::tone_energy;
use offhook_words::{Codec, EndCause, Formats, Side};

use crate::rig::{Call, LEG, NEVER, Packet, file, wav_at};
use crate::stream::parameters;

const HZ: f64 = 16_000.0;

fn wideband(formats: &mut Formats) {
    (formats.codec, formats.payload_type_tx, formats.payload_type_rx) = (Codec::G722, 9, 9);
}

fn call(name: &str) -> Call {
    Call::agreed(name, wideband, |_| {})
}

fn without_events(name: &str) -> Call {
    let agree = |formats: &mut Formats| {
        wideband(formats);
        (formats.telephone_event_tx, formats.telephone_event_rx) = (None, None);
    };
    Call::agreed(name, agree, |_| {})
}

/// A tone at 16 kHz.
fn tone(hz: f64) -> impl Fn(u32) -> i16 + Copy {
    move |n| (8000.0 * (TAU * hz * f64::from(n) / HZ).sin()) as i16
}

/// The other end: what it says and hears is one stream of codes each way.
#[derive(Default)]
struct Phone {
    encoder: G722Encoder,
    decoder: G722Decoder,
    said: u32,
}

impl Phone {
    /// For each packet that comes one goes back; gives what was heard, at 16 kHz.
    fn talk(&mut self, call: &mut Call, packets: u32, sample: impl Fn(u32) -> i16) -> Vec<i16> {
        let mut heard = Vec::new();
        for _ in 0..packets {
            let packet = call.read();
            heard.extend(self.decoded(&packet));
            let samples: Vec<i16> = (self.said..self.said + 320).map(&sample).collect();
            let mut codes = [0; 160];
            self.encoder.encode(&samples, &mut codes);
            self.said += 320;
            let timestamp = call.timestamp;
            call.send(false, 9, timestamp, &codes);
            call.timestamp += 160;
        }
        heard
    }

    fn decoded(&mut self, packet: &Packet) -> [i16; 320] {
        assert_eq!((packet.header.payload_type, packet.payload.len()), (9, 160));
        let mut samples = [0; 320];
        self.decoder.decode(&packet.payload, &mut samples);
        samples
    }
}

/// How much of the energy is a tone, and its ratio to all else in dB.
fn tone_of(samples: &[i16], hz: f64, rate_hz: f64) -> (f64, f64) {
    let (of_tone, all) = tone_energy(samples, hz, rate_hz);
    (
        of_tone / all.max(1.0),
        10.0 * (of_tone / (all - of_tone).max(1.0)).log10(),
    )
}

/// Whether a stretch of half a second of what was heard is this tone.
fn has_tone(samples: &[i16], hz: f64) -> bool {
    samples.chunks(8000).any(|half| tone_of(half, hz, HZ).0 > 0.9)
}

#[test]
fn a_prompt_is_heard_up_to_7_khz() {
    let mut call = call("wide-prompt");
    let mut phone = Phone::default();
    for (id, hz) in (1..).zip([300.0, 1000.0, 3400.0, 5000.0, 6500.0]) {
        call.directories
            .prompt(&format!("{hz}.wav"), &wav_at(16_000, (0..16_000).map(tone(hz))));
        call.play(id, vec![file(&format!("{hz}.wav"))], NEVER);
        let heard = phone.talk(&mut call, 56, |_| 0);
        assert_eq!(call.ended(id).0, EndCause::Finished);
        let begin = heard.iter().position(|sample| sample.abs() > 2000).unwrap();
        let (share, snr_db) = tone_of(&heard[begin + 1600..begin + 14_400], hz, HZ);
        println!("{hz} Hz: {snr_db:.1} dB");
        assert!(share > 0.96, "{hz} Hz: {snr_db:.1} dB");
    }
}

#[test]
fn a_recording_has_16_khz_and_what_was_said_and_heard() {
    let mut call = call("wide-record");
    let mut phone = Phone::default();
    // Written as of 16 kHz, read as of 48: 5.7 kHz.
    call.directories
        .prompt("p.wav", &wav_at(48_000, (0..96_000).map(tone(1900.0))));
    phone.talk(&mut call, 10, tone(6000.0));
    call.record(1, "r.wav", Side::Both, true, 0);
    call.play(2, vec![file("p.wav")], NEVER);
    phone.talk(&mut call, 100, tone(6000.0));
    call.command(MediaCommand::Stop { target: 1 });
    let (cause, duration_ms, size_bytes) = call.ended(1);
    assert_eq!(cause, EndCause::Stopped);
    assert!((1900..=2100).contains(&duration_ms), "{duration_ms}");
    assert_eq!(size_bytes, 44 + duration_ms * 16 * 4);
    let bytes = std::fs::read(call.directories.recording("r.wav")).unwrap();
    let format = WavFormat::parse(&bytes).unwrap();
    assert_eq!((format.rate_hz, format.channels), (16_000, 2));
    let samples: Vec<i16> = bytes[44..]
        .as_chunks()
        .0
        .iter()
        .map(|pair| i16::from_le_bytes(*pair))
        .collect();
    let side = |at: usize| -> Vec<i16> { samples.chunks_exact(2).map(|pair| pair[at]).collect() };
    let (said, heard) = (side(0), side(1));
    assert!(tone_of(&said[8000..24_000], 6000.0, HZ).0 > 0.95);
    assert!(tone_of(&heard[8000..24_000], 5700.0, HZ).0 > 0.95);
}

#[test]
fn an_echo_is_wide_too() {
    let mut call = call("wide-echo");
    call.command(MediaCommand::Echo {
        id: 1,
        leg: LEG,
        timeout_ms: 2000,
    });
    assert!(has_tone(&Phone::default().talk(&mut call, 100, tone(6200.0)), 6200.0));
}

#[test]
fn keys_in_the_audio_are_found_and_sent() {
    let mut call = without_events("wide-keys");
    let mut phone = Phone::default();
    phone.talk(&mut call, 10, |_| 0);
    // A 5 of 100 ms in each 200.
    let key = |n: u32| {
        let part = |hz: f64| 6000.0 * (TAU * hz * f64::from(n) / HZ).sin();
        if (n / 1600).is_multiple_of(2) {
            (part(770.0) + part(1336.0)) as i16
        } else {
            0
        }
    };
    phone.talk(&mut call, 50, key);
    call.command(MediaCommand::SendDigits {
        id: 1,
        leg: LEG,
        digits: "1".into(),
        duration_ms: 600,
        gap_ms: 100,
    });
    let heard = phone.talk(&mut call, 50, |_| 0);
    assert_eq!(call.ended(1).0, EndCause::Finished);
    assert_eq!(call.digits(), "55555");
    let begin = heard.iter().position(|sample| sample.abs() > 1000).unwrap();
    let pressed = &heard[begin + 800..begin + 8000];
    assert!(tone_of(pressed, 697.0, HZ).0 > 0.4 && tone_of(pressed, 1209.0, HZ).0 > 0.4);
}

#[test]
fn another_codec_in_the_call_changes_neither_the_recording_nor_what_runs() {
    let mut call = call("wide-narrow");
    let mut phone = Phone::default();
    phone.talk(&mut call, 5, tone(1000.0));
    call.record(1, "r.wav", Side::Said, false, 0);
    phone.talk(&mut call, 50, tone(1000.0));
    let narrow = parameters(call.peer.local_addr().unwrap());
    call.pool.connect(LEG, narrow).unwrap();
    call.command(MediaCommand::Echo {
        id: 2,
        leg: LEG,
        timeout_ms: 3000,
    });
    let at_8_khz = |n: u32| tone(1000.0)(2 * n);
    let came = call.talk(60, at_8_khz);
    let heard: Vec<i16> = came
        .iter()
        .filter(|packet| packet.header.payload_type == 0)
        .flat_map(|packet| packet.payload.iter().map(|code| Law::Mu.decode_sample(*code)))
        .collect();
    assert!(tone_of(&heard[3200..8000], 1000.0, 8000.0).0 > 0.98);
    call.command(MediaCommand::Stop { target: 1 });
    let (_, duration_ms, _) = call.ended(1);
    let bytes = std::fs::read(call.directories.recording("r.wav")).unwrap();
    assert_eq!(WavFormat::parse(&bytes).unwrap().rate_hz, 16_000);
    assert_eq!(bytes.len() as u64, 44 + duration_ms * 32);
    let said: Vec<i16> = bytes[44..]
        .as_chunks()
        .0
        .iter()
        .map(|pair| i16::from_le_bytes(*pair))
        .collect();
    for half in [&said[1600..12_800], &said[19_200..30_400]] {
        assert!(tone_of(half, 1000.0, HZ).0 > 0.95);
    }
}

#[test]
fn a_call_that_began_narrow_stays_so_with_g722() {
    let mut call = Call::new("narrow-wide", Some(101));
    call.talk(5, |_| 0);
    let mut wide = parameters(call.peer.local_addr().unwrap());
    wideband(&mut wide.formats);
    call.pool.connect(LEG, wide).unwrap();
    call.command(MediaCommand::Echo {
        id: 1,
        leg: LEG,
        timeout_ms: 3000,
    });
    call.command(MediaCommand::Listen {
        id: 2,
        leg: LEG,
        side: Side::Said,
        block_ms: 100,
        credit_ms: 500,
    });
    // The first packets are of before.
    (0..4).for_each(|_| drop(call.read()));
    let heard = Phone::default().talk(&mut call, 60, tone(1000.0));
    assert!(has_tone(&heard, 1000.0));
    call.command(MediaCommand::Stop { target: 2 });
    call.ended(2);
    let blocks = call.events.iter().filter_map(|event| match event {
        MediaEvent::Audio { samples, .. } => Some(samples.len()),
        _ => None,
    });
    assert!(blocks.clone().count() > 0 && blocks.into_iter().all(|size| size == 1600));
}
