//! MP3: frames are cut out by our codec crate, so that a file can be decoded while it grows; symphonia decodes them.

use offhook_codec::{Frame, MOST_LEADING_JUNK, MpegFramer};
use offhook_dsp::Resampler;
use offhook_words::Rate;
use symphonia::core::audio::GenericAudioBufferRef;
use symphonia::core::codecs::audio::well_known::CODEC_ID_MP3;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::codecs::MpaDecoder;

use super::resamplers::Resamplers;

/// So much at the end of a file may be unreadable (a cut frame, a tag that nobody knows): with more, it was not heard.
const MOST_LOST_S: f64 = 1.0;

/// Frames of one rate and number of channels. Where files were joined, another begins.
struct Stream {
    rate_hz: u32,
    channels: u8,
    decoder: MpaDecoder,
    resampler: Resampler,
}

/// What could not be decoded, beside what could.
#[derive(Default)]
struct Loss {
    heard_s: f64,
    heard_bytes: u64,
    /// Of the framer's count, what was seen with the last frame that was heard.
    seen_bytes: u64,
    /// Frames that did not decode, since the last that did.
    broken_s: f64,
    before_s: f64,
}

impl Loss {
    /// Since the last frame that was heard: bytes count as long as frames of that size.
    fn since_s(&self, lost_bytes: u64) -> f64 {
        let bytes = (lost_bytes - self.seen_bytes) as f64;
        self.broken_s + bytes * self.heard_s / self.heard_bytes.max(1) as f64
    }

    fn heard(&mut self, frame: &Frame<'_>, lost_bytes: u64) {
        self.before_s += self.since_s(lost_bytes);
        self.seen_bytes = lost_bytes;
        self.broken_s = 0.0;
        self.heard_s += seconds(frame);
        self.heard_bytes += frame.bytes.len() as u64;
    }
}

fn seconds(frame: &Frame<'_>) -> f64 {
    f64::from(frame.header.samples) / f64::from(frame.header.rate_hz)
}

/// Takes MP3 in pieces, gives samples at one of our rates.
pub struct MpegDecoder {
    rate: Rate,
    framer: MpegFramer,
    stream: Option<Stream>,
    loss: Loss,
    mono: Vec<i16>,
}

impl MpegDecoder {
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            framer: MpegFramer::default(),
            stream: None,
            loss: Loss::default(),
            mono: Vec::new(),
        }
    }

    /// Decode all whole frames and say how many bytes were used.
    pub fn decode(
        &mut self,
        bytes: &[u8],
        is_whole: bool,
        resamplers: &mut Resamplers,
        out: &mut Vec<i16>,
    ) -> Result<usize, String> {
        let mut at = 0;
        loop {
            let cut = self.framer.next(bytes.get(at..).unwrap_or(&[]), is_whole);
            at += cut.used;
            let Some(frame) = cut.frame else {
                let is_begun = self.framer.is_begun();
                if !is_begun && (is_whole || self.framer.lost() > MOST_LEADING_JUNK) {
                    return Err(self.no_frames());
                }
                return Ok(at);
            };
            if !frame.is_table() {
                self.frame(&frame, resamplers, out)?;
            }
        }
    }

    fn no_frames(&self) -> String {
        if self.framer.saw_free_format() {
            return "MP3 of the free format is not read; convert it to a bit rate that has a number".into();
        }
        "the prompt is neither WAV nor MP3".into()
    }

    fn frame(&mut self, frame: &Frame<'_>, resamplers: &mut Resamplers, out: &mut Vec<i16>) -> Result<(), String> {
        let (rate_hz, channels) = (frame.header.rate_hz, frame.header.channels);
        let stream = match &mut self.stream {
            Some(stream) if (stream.rate_hz, stream.channels) == (rate_hz, channels) => stream,
            other => {
                if let Some(before) = other {
                    before.resampler.finish(out);
                }
                other.insert(Stream {
                    rate_hz,
                    channels,
                    decoder: decoder(rate_hz)?,
                    resampler: resamplers.of(rate_hz, self.rate),
                })
            }
        };
        let packet = Packet::new(0, Timestamp::from(0), Duration::from(1152_u64), frame.bytes);
        // A damaged frame is left out; the ones behind it are heard.
        let Ok(audio) = stream.decoder.decode(&packet) else {
            self.loss.broken_s += seconds(frame);
            return Ok(());
        };
        self.mono.clear();
        mix_down(&audio, &mut self.mono);
        stream.resampler.process(&self.mono, out);
        self.loss.heard(frame, self.framer.lost());
        Ok(())
    }

    /// The file is over. What is played to its end was heard, or this is an error: more than a second at the end of
    /// which nothing could be decoded, or more in all than what could.
    pub fn finish(&mut self, out: &mut Vec<i16>) -> Result<(), String> {
        if let Some(stream) = &mut self.stream {
            stream.resampler.finish(out);
        }
        let loss = &self.loss;
        let (heard_s, since_s) = (loss.heard_s, loss.since_s(self.framer.lost()));
        if heard_s == 0.0 {
            return Err("the MP3 file holds no audio that can be read".into());
        }
        if since_s > MOST_LOST_S {
            return Err(format!(
                "the MP3 file is damaged: the last {since_s:.1} s of it could not be decoded"
            ));
        }
        let lost_s = since_s + loss.before_s;
        if lost_s > heard_s {
            return Err(format!(
                "the MP3 file is damaged: {heard_s:.1} s of it were decoded, {lost_s:.1} s could not be"
            ));
        }
        Ok(())
    }
}

fn decoder(rate_hz: u32) -> Result<MpaDecoder, String> {
    let mut parameters = AudioCodecParameters::new();
    parameters.for_codec(CODEC_ID_MP3).with_sample_rate(rate_hz);
    MpaDecoder::try_new(&parameters, &AudioDecoderOptions::default())
        .map_err(|error| format!("no MP3 decoder: {error}"))
}

fn mix_down(decoded: &GenericAudioBufferRef<'_>, mono: &mut Vec<i16>) {
    let channels = decoded.spec().channels().count().max(1);
    let mut samples: Vec<i16> = Vec::new();
    decoded.copy_to_vec_interleaved(&mut samples);
    let count = i32::try_from(channels).unwrap_or(1);
    mono.extend(samples.chunks_exact(channels).map(|block| {
        let sum: i32 = block.iter().map(|sample| i32::from(*sample)).sum();
        (sum / count) as i16
    }));
}
