//! MP3: frames are cut out here, so that a file can be decoded while it grows; symphonia decodes them.

use super::file::Resamplers;
use offhook_dsp::Resampler;
use symphonia::core::audio::GenericAudioBufferRef;
use symphonia::core::codecs::audio::well_known::CODEC_ID_MP3;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::codecs::MpaDecoder;

const BITRATES_1: [u32; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const BITRATES_2: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
/// Without a frame for so long it is no MP3.
const MOST_GARBAGE: usize = 65_536;

/// What the four bytes of a frame's header say (ISO 11172-3, layer III).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FrameHeader {
    rate_hz: u32,
    bytes: usize,
}

impl FrameHeader {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, _) = bytes.split_first_chunk::<4>()?;
        let [a, b, c, _] = *head;
        let version = (b >> 3) & 3;
        // Sync, layer III, and neither a reserved version, a free nor a bad bit rate.
        if a != 0xff || b & 0xe0 != 0xe0 || (b >> 1) & 3 != 1 || version == 1 {
            return None;
        }
        let full = version == 3;
        let table = if full { &BITRATES_1 } else { &BITRATES_2 };
        let bitrate = *table.get(usize::from(c >> 4)).filter(|rate| **rate > 0)? * 1000;
        let base = *[44_100, 48_000, 32_000].get(usize::from((c >> 2) & 3))?;
        let rate_hz = match version {
            3 => base,
            2 => base / 2,
            _ => base / 4,
        };
        let scale = if full { 144 } else { 72 };
        let size = scale * bitrate / rate_hz + u32::from((c >> 1) & 1);
        Some(Self {
            rate_hz,
            bytes: size as usize,
        })
    }
}

/// Takes MP3 in pieces, gives samples at 8 kHz.
#[derive(Default)]
pub struct MpegDecoder {
    decoder: Option<MpaDecoder>,
    resampler: Option<(u32, Resampler)>,
    tag_left: usize,
    begun: bool,
    garbage: usize,
    mono: Vec<i16>,
}

impl MpegDecoder {
    /// The first bytes may be those of an MP3 file.
    pub fn may_be(start: &[u8]) -> bool {
        start.starts_with(b"ID3") || FrameHeader::parse(start).is_some()
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
            let skip = self.tag_left.min(bytes.len() - at);
            self.tag_left -= skip;
            at += skip;
            let rest = bytes.get(at..).unwrap_or(&[]);
            if rest.len() < 10 {
                return Ok(if is_whole { bytes.len() } else { at });
            }
            if let Some([.., a, b, c, d]) = rest.get(..10).filter(|_| rest.starts_with(b"ID3")) {
                self.tag_left = 10
                    + [a, b, c, d]
                        .iter()
                        .fold(0, |size, byte| size << 7 | usize::from(**byte & 0x7f));
                continue;
            }
            let Some(header) = FrameHeader::parse(rest) else {
                at += 1;
                self.garbage += 1;
                if self.garbage > MOST_GARBAGE {
                    return Err("the MP3 file holds no audio that can be read".into());
                }
                continue;
            };
            let Some(frame) = rest.get(..header.bytes) else {
                return Ok(if is_whole { bytes.len() } else { at });
            };
            at += header.bytes;
            self.frame(header, frame, resamplers, out)?;
        }
    }

    fn frame(
        &mut self,
        header: FrameHeader,
        frame: &[u8],
        resamplers: &mut Resamplers,
        out: &mut Vec<i16>,
    ) -> Result<(), String> {
        let is_first = !std::mem::replace(&mut self.begun, true);
        let holds = |word: &[u8; 4]| {
            frame
                .get(..64.min(frame.len()))
                .is_some_and(|head| head.windows(4).any(|part| part == word))
        };
        if is_first && (holds(b"Xing") || holds(b"Info") || holds(b"VBRI")) {
            return Ok(());
        }
        self.garbage = 0;
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            empty => {
                let mut parameters = AudioCodecParameters::new();
                parameters.for_codec(CODEC_ID_MP3).with_sample_rate(header.rate_hz);
                let made = MpaDecoder::try_new(&parameters, &AudioDecoderOptions::default());
                empty.insert(made.map_err(|error| format!("no MP3 decoder: {error}"))?)
            }
        };
        let packet = Packet::new(0, Timestamp::from(0), Duration::from(1152_u64), frame);
        // A damaged frame is left out; the ones behind it are heard.
        let Ok(audio) = decoder.decode(&packet) else {
            return Ok(());
        };
        self.mono.clear();
        mix_down(&audio, &mut self.mono);
        let rate = audio.spec().rate();
        if !matches!(&self.resampler, Some((known, _)) if *known == rate) {
            self.resampler = Some((rate, resamplers.of(rate)));
        }
        if let Some((_, resampler)) = &mut self.resampler {
            resampler.process(&self.mono, out);
        }
        Ok(())
    }

    /// The file is over.
    pub fn finish(&mut self, out: &mut Vec<i16>) -> Result<(), String> {
        match &mut self.resampler {
            Some((_, resampler)) => {
                resampler.finish(out);
                Ok(())
            }
            None => Err("the MP3 file holds no audio that can be read".into()),
        }
    }
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
