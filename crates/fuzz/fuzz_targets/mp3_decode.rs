//! Frames as they are cut, into the decoder that the engine uses (symphonia): its panics end a play, and are told upstream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offhook_codec::MpegFramer;
use symphonia::core::codecs::audio::well_known::CODEC_ID_MP3;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::codecs::MpaDecoder;

fuzz_target!(|file: &[u8]| {
    let (mut framer, mut at) = (MpegFramer::default(), 0);
    let mut decoder: Option<(u32, u8, MpaDecoder)> = None;
    loop {
        let cut = framer.next(&file[at..], true);
        at += cut.used;
        let Some(frame) = cut.frame else { return };
        let kind = (frame.header.rate_hz, frame.header.channels);
        if !matches!(&decoder, Some((rate_hz, channels, _)) if (*rate_hz, *channels) == kind) {
            let mut parameters = AudioCodecParameters::new();
            parameters.for_codec(CODEC_ID_MP3).with_sample_rate(kind.0);
            let made = MpaDecoder::try_new(&parameters, &AudioDecoderOptions::default()).unwrap();
            decoder = Some((kind.0, kind.1, made));
        }
        let packet = Packet::new(0, Timestamp::from(0), Duration::from(1152_u64), frame.bytes);
        let (_, _, decoder) = decoder.as_mut().unwrap();
        if let Ok(audio) = decoder.decode(&packet) {
            assert_eq!(audio.spec().channels().count(), usize::from(kind.1));
            let mut samples: Vec<i16> = Vec::new();
            audio.copy_to_vec_interleaved(&mut samples);
            assert!(samples.len() <= 2304);
        }
    }
});
