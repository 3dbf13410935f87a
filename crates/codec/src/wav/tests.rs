use super::*;
use proptest::prelude::*;

fn file(tag: u16, channels: u16, rate_hz: u32, bits: u16, data: &[u8]) -> Vec<u8> {
    let block = channels * bits / 8;
    let mut bytes = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
    bytes.extend(tag.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate_hz.to_le_bytes());
    bytes.extend((rate_hz * u32::from(block)).to_le_bytes());
    bytes.extend(block.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

fn decoded(bytes: &[u8]) -> Vec<i16> {
    let format = WavFormat::parse(bytes).unwrap();
    let mut samples = Vec::new();
    format.decode_mono(&bytes[format.data_offset as usize..], &mut samples);
    samples
}

#[test]
fn our_own_header_reads_back() {
    let format = WavFormat::parse(&wav_header(2, 8000, 640)).unwrap();
    assert_eq!(format.format, SampleFormat::Signed16);
    assert_eq!((format.channels, format.rate_hz), (2, 8000));
    assert_eq!((format.data_offset, format.data_bytes), (44, Some(640)));
}

#[test]
fn each_sample_format_gives_the_same_half_scale() {
    assert_eq!(decoded(&file(1, 1, 8000, 8, &[192])), [16384]);
    assert_eq!(decoded(&file(1, 1, 8000, 16, &[0, 64])), [16384]);
    assert_eq!(decoded(&file(1, 1, 8000, 24, &[9, 0, 64])), [16384]);
    assert_eq!(decoded(&file(1, 1, 8000, 32, &[9, 9, 0, 64])), [16384]);
    assert_eq!(decoded(&file(3, 1, 8000, 32, &0.5_f32.to_le_bytes())), [16384]);
    assert_eq!(decoded(&file(7, 1, 8000, 8, &[0x8f])), [16764]);
    assert_eq!(decoded(&file(6, 1, 8000, 8, &[0xaa])), [32256]);
}

#[test]
fn stereo_is_mixed_without_overflow() {
    assert_eq!(
        decoded(&file(1, 2, 44100, 16, &[0xff, 0x7f, 0xff, 0x7f, 0, 0, 2, 0])),
        [32767, 1]
    );
}

#[test]
fn a_header_written_before_the_length_was_known_reads_to_the_end() {
    for size in [0_u32, u32::MAX, 0x7fff_f000] {
        let mut bytes = file(1, 1, 22050, 16, &[]);
        let at = bytes.len() - 4;
        bytes[at..].copy_from_slice(&size.to_le_bytes());
        assert_eq!(WavFormat::parse(&bytes).unwrap().data_bytes, None);
    }
}

#[test]
fn an_unknown_format_says_what_to_do() {
    let error = WavFormat::parse(&file(85, 1, 8000, 0, &[])).unwrap_err();
    assert!(error.to_string().contains("convert to 16-bit PCM"), "{error}");
}

/// A chunk; `pad`: its pad byte, if it is odd and has one.
fn chunk(name: [u8; 4], body: &[u8], pad: Option<u8>) -> Vec<u8> {
    let mut bytes = name.to_vec();
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend(body);
    bytes.extend(pad.filter(|_| body.len() % 2 == 1));
    bytes
}

fn fmt(tag: u16, channels: u16, rate_hz: u32, bits: u16, block: u16, rest: &[u8]) -> Vec<u8> {
    let mut body = tag.to_le_bytes().to_vec();
    body.extend(channels.to_le_bytes());
    body.extend(rate_hz.to_le_bytes());
    body.extend((rate_hz * u32::from(block)).to_le_bytes());
    body.extend(block.to_le_bytes());
    body.extend(bits.to_le_bytes());
    body.extend(rest);
    chunk(*b"fmt ", &body, Some(0))
}

fn riff(kind: [u8; 4], chunks: &[&[u8]]) -> Vec<u8> {
    let body = chunks.concat();
    let mut bytes = kind.to_vec();
    bytes.extend((body.len() as u32 + 4).to_le_bytes());
    bytes.extend(b"WAVE");
    bytes.extend(body);
    bytes
}

/// 16 bit, mono, 8 kHz.
fn plain() -> Vec<u8> {
    fmt(1, 1, 8000, 16, 2, &[])
}

const HALF: [u8; 2] = [0, 64];

#[test]
fn float_and_integer_samples_of_64_bits_are_read() {
    // scipy/scipy#12751
    assert_eq!(decoded(&file(3, 1, 8000, 64, &0.5_f64.to_le_bytes())), [16384]);
    assert_eq!(decoded(&file(1, 1, 8000, 64, &(1_i64 << 62).to_le_bytes())), [16384]);
    let wild = [2.0, -2.0, f64::NAN, f64::INFINITY].map(f64::to_le_bytes).concat();
    assert_eq!(decoded(&file(3, 1, 8000, 64, &wild)), [32767, -32768, 0, 32767]);
}

#[test]
fn samples_in_larger_containers_are_at_their_top() {
    let loose = |bits, block, data: &[u8]| {
        decoded(&riff(
            *b"RIFF",
            &[&fmt(1, 1, 8000, bits, block, &[]), &chunk(*b"data", data, None)],
        ))
    };
    assert_eq!(loose(20, 3, &[0, 0, 64]), [16384]);
    assert_eq!(loose(12, 2, &HALF), [16384]);
    assert_eq!(loose(24, 4, &[0, 0, 0, 64]), [16384]);
    // A block that does not fit 16 bits is a mistake of the writer.
    assert_eq!(loose(16, 4, &[0, 64, 0, 64]), [16384, 16384]);
}

#[test]
fn the_extensible_format_has_its_tag_in_the_subformat() {
    for (tag, bits, data) in [
        (1_u8, 16, HALF.to_vec()),
        (3, 32, 0.5_f32.to_le_bytes().to_vec()),
        (3, 64, 0.5_f64.to_le_bytes().to_vec()),
        (6, 8, vec![0xaa; 2]),
        (7, 8, vec![0x8f; 2]),
    ] {
        let mut rest = vec![22, 0, bits as u8, 0, 4, 0, 0, 0, tag, 0, 0, 0, 0, 0, 0x10, 0];
        rest.extend([0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
        let bytes = riff(
            *b"RIFF",
            &[
                &fmt(0xfffe, 1, 8000, bits, bits / 8, &rest),
                &chunk(*b"data", &data, None),
            ],
        );
        let same = file(u16::from(tag), 1, 8000, bits, &data);
        assert_eq!(decoded(&bytes), decoded(&same), "{tag}");
    }
    let bare = riff(
        *b"RIFF",
        &[&fmt(0xfffe, 1, 8000, 16, 2, &[0, 0]), &chunk(*b"data", &HALF, None)],
    );
    assert!(
        WavFormat::parse(&bare)
            .unwrap_err()
            .to_string()
            .contains("convert to 16-bit PCM")
    );
}

#[test]
fn a_format_of_any_length_from_14_bytes_on_is_read() {
    let short = &plain()[8..22];
    let lengths: [Vec<u8>; 4] = [
        chunk(*b"fmt ", short, None),
        plain(),
        fmt(1, 1, 8000, 16, 2, &[0, 0]),
        fmt(1, 1, 8000, 16, 2, &[0; 1001]),
    ];
    for fmt in lengths {
        assert_eq!(
            decoded(&riff(*b"RIFF", &[&fmt, &chunk(*b"data", &HALF, None)])),
            [16384],
            "{}",
            fmt.len()
        );
    }
    let cut = riff(*b"RIFF", &[&chunk(*b"fmt ", &short[..12], None)]);
    assert!(WavFormat::parse(&cut).unwrap_err().to_string().contains("too few"));
}

#[test]
fn numbers_that_nobody_means_are_refused_or_ignored() {
    let parsed = |bits, block, size: usize| {
        let fmt = fmt(1, 1, 8000, bits, 0, &[]);
        let mut body = fmt[8..].to_vec();
        body[12..14].copy_from_slice(&u16::to_le_bytes(block));
        body.truncate(size);
        WavFormat::parse(&riff(
            *b"RIFF",
            &[&chunk(*b"fmt ", &body, None), &chunk(*b"data", &HALF, None)],
        ))
    };
    assert!(parsed(u16::MAX, u16::MAX, 16).is_err());
    assert!(parsed(24, u16::MAX, 16).is_ok());
    assert!(parsed(16, u16::MAX, 16).is_ok());
    assert!(parsed(0, u16::MAX, 14).is_err());
}

#[test]
fn the_highest_byte_is_first_in_rifx() {
    let mut bytes =
        b"RIFX\0\0\0\x26WAVEfmt \0\0\0\x10\0\x01\0\x01\0\0\x1f\x40\0\0\x3e\x80\0\x02\0\x10data\0\0\0\x02".to_vec();
    bytes.extend([64, 0]);
    assert_eq!(decoded(&bytes), [16384]);
    let floats = |bits: u8, data: &[u8]| {
        let mut bytes = b"RIFX\0\0\0\x26WAVEfmt \0\0\0\x10\0\x03\0\x01\0\0\x1f\x40\0\0\x3e\x80\0\x02\0".to_vec();
        bytes.extend([bits]);
        bytes.extend(b"data\0\0\0");
        bytes.extend([data.len() as u8]);
        bytes.extend(data);
        decoded(&bytes)
    };
    assert_eq!(floats(32, &0.5_f32.to_be_bytes()), [16384]);
    assert_eq!(floats(64, &0.5_f64.to_be_bytes()), [16384]);
}

#[test]
fn the_long_size_of_rf64_and_bw64_counts_and_without_it_the_file_does() {
    // gchudov/cuetools.net#344; EBU Tech 3306
    let long = |size: u64| [&[0; 8][..], &size.to_le_bytes(), &[0; 12]].concat();
    for kind in [b"RF64", b"BW64"] {
        for (size, known) in [(2, Some(2)), (0, None), (u64::MAX, None)] {
            let ds64 = chunk(*b"ds64", &long(size), None);
            let list = chunk(*b"LIST", &[b'x'; 300], None);
            let mut bytes = riff(*kind, &[&ds64, &plain(), &list, b"data\xff\xff\xff\xff"]);
            bytes[4..8].fill(0xff);
            let at = bytes.len() as u64;
            bytes.extend(HALF);
            let format = WavFormat::parse(&bytes).unwrap();
            assert_eq!((format.data_offset, format.data_bytes), (at, known));
            assert_eq!(decoded(&bytes), [16384]);
        }
    }
}

#[test]
fn chunks_of_any_length_are_skipped_with_and_without_their_pad_byte() {
    // stemdeckapp/stemdeck#358, mackron/dr_libs#243, NativeInstruments/ni-media#65, naudio/NAudio#386
    for length in [0, 1, 3, 26, 65_535, 65_536, 1 << 20] {
        for pad in [None, Some(0), Some(b'd'), Some(b'x'), Some(0xff)] {
            for name in [b"JUNK", b"LIST", b"bext", b"id3 ", b"fact", b"PEAK"] {
                for fill in [0, b' ', b'x'] {
                    let extra = chunk(*name, &vec![fill; length], pad);
                    let data = chunk(*b"data", &HALF, None);
                    for chunks in [[&extra[..], &plain()], [&plain(), &extra]] {
                        let bytes = riff(*b"RIFF", &[&chunks.concat(), &data]);
                        assert_eq!(decoded(&bytes), [16384], "{length} bytes of {fill}, padded by {pad:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_chunk_with_more_padding_than_it_needs_is_skipped_with_it() {
    let data = chunk(*b"data", &HALF, None);
    let bytes = riff(*b"RIFF", &[&plain(), &chunk(*b"LIST", &[7; 9], None), &[0; 7], &data]);
    assert_eq!(decoded(&bytes), [16384]);
}

#[test]
fn a_size_of_nothing_is_unknown_unless_another_chunk_follows() {
    let empty = riff(*b"RIFF", &[&plain(), b"data\0\0\0\0", &chunk(*b"LIST", b"INFO", None)]);
    assert_eq!(WavFormat::parse(&empty).unwrap().data_bytes, Some(0));
    let unknown = riff(*b"RIFF", &[&plain(), b"data\0\0\0\0", &[7; 100]]);
    assert_eq!(WavFormat::parse(&unknown).unwrap().data_bytes, None);
}

#[test]
fn a_header_is_read_a_few_bytes_at_a_time_and_long_chunks_are_not_read() {
    let chunks = [
        plain(),
        chunk(*b"JUNK", &vec![9; 1 << 20], None),
        chunk(*b"data", &HALF, None),
    ];
    let bytes = riff(*b"RIFF", &[&chunks.concat()]);
    let mut header = WavHeader::default();
    let (mut given, mut have) = (0, 1);
    let format = loop {
        let at = header.wanted() as usize;
        let some = &bytes[at..bytes.len().min(at + have)];
        given += 1;
        if let Some(format) = header.read(some).unwrap() {
            break format;
        }
        have = if header.wanted() == at as u64 { have + 1 } else { 1 };
    };
    assert_eq!(format.data_offset, bytes.len() as u64 - 2);
    assert!(given < 100, "{given}");
}

proptest! {
    #[test]
    fn no_bytes_panic_the_reader(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), riff: bool) {
        if riff && bytes.len() >= 12 {
            bytes[..4].copy_from_slice(b"RIFF");
            bytes[8..12].copy_from_slice(b"WAVE");
        }
        if let Ok(format) = WavFormat::parse(&bytes) {
            format.decode_mono(&bytes, &mut Vec::new());
        }
    }

    #[test]
    fn every_prefix_of_a_header_is_incomplete(cut in 0_usize..44) {
        let header = wav_header(1, 8000, 0);
        prop_assert_eq!(WavFormat::parse(&header[..cut]), Err(WavError::Incomplete));
    }
}
