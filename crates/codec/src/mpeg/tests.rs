use super::*;
use proptest::prelude::*;

/// A frame of MPEG 1, 44.1 kHz, 64 kbit/s, mono: 208 bytes.
const MONO_44: [u8; 4] = [0xff, 0xfb, 0x50, 0xc4];
/// The same of MPEG 2, 24 kHz, 64 kbit/s, stereo: 192 bytes.
const STEREO_24: [u8; 4] = [0xff, 0xf3, 0x84, 0x04];
/// And of MPEG 2.5, 8 kHz, 8 kbit/s, mono, with a CRC: 72 bytes.
const MONO_8: [u8; 4] = [0xff, 0xe2, 0x18, 0xc4];

fn frames(head: [u8; 4], count: usize) -> Vec<u8> {
    let size = FrameHeader::parse(&head).unwrap().bytes;
    let mut frame = head.to_vec();
    frame.resize(size, 0x55);
    frame.repeat(count)
}

/// Rates of the frames that are found, given the file in pieces; how many bytes were lost.
fn found(bytes: &[u8], piece: usize) -> (Vec<u32>, u64) {
    let mut framer = MpegFramer::default();
    let (mut rates, mut kept, mut given) = (Vec::new(), Vec::new(), 0);
    loop {
        let is_whole = given == bytes.len();
        loop {
            let cut = framer.next(&kept, is_whole);
            let used = cut.used;
            let is_frame = cut.frame.map(|frame| rates.push(frame.header.rate_hz)).is_some();
            kept.drain(..used);
            if !is_frame {
                break;
            }
        }
        if is_whole {
            return (rates, framer.lost());
        }
        let more = bytes.len().min(given + piece);
        kept.extend(&bytes[given..more]);
        given = more;
    }
}

#[track_caller]
fn expect(bytes: &[u8], rates: &[(u32, usize)]) {
    let expected: Vec<u32> = rates.iter().flat_map(|(rate, count)| vec![*rate; *count]).collect();
    for piece in [7, 1000, 16_384, usize::MAX / 2] {
        assert_eq!(found(bytes, piece).0, expected, "pieces of {piece}");
    }
}

fn id3(body: &[u8], flags: u8) -> Vec<u8> {
    let size = [21, 14, 7, 0].map(|shift| (body.len() >> shift & 127) as u8);
    [b"ID3\x04\0", &[flags][..], &size, body].concat()
}

fn ape(flags: u8, size: u32) -> Vec<u8> {
    [
        &b"APETAGEX\xd0\x07\0\0"[..],
        &size.to_le_bytes(),
        &[1, 0, 0, 0, 0, 0, 0, flags],
        &[0; 8],
    ]
    .concat()
}

#[test]
fn headers_of_every_version_give_the_rate_and_the_size() {
    for (head, rate_hz, channels, samples, bytes) in [
        (MONO_44, 44_100, 1, 1152, 208),
        (STEREO_24, 24_000, 2, 576, 192),
        (MONO_8, 8_000, 1, 576, 72),
    ] {
        let header = FrameHeader::parse(&head).unwrap();
        assert_eq!((header.rate_hz, header.channels), (rate_hz, channels));
        assert_eq!((header.samples, header.bytes), (samples, bytes));
    }
    // Layer II, AAC, a reserved version, a reserved rate, a bad bit rate.
    for bad in [
        [0xff, 0xfd, 0x50, 0],
        [0xff, 0xf1, 0x50, 0],
        [0xff, 0xeb, 0x50, 0],
        [0xff, 0xfb, 0x5c, 0],
        [0xff, 0xfb, 0xf0, 0],
    ] {
        assert_eq!(FrameHeader::parse(&bad), None);
    }
}

#[test]
fn zeros_and_text_before_the_first_frame_are_passed_over() {
    // sindresorhus/file-type#750, agersant/mp3-duration#8
    let audio = frames(MONO_44, 5);
    for length in [1, 2, 3, 2048, 100_000, 1 << 20] {
        expect(&[&vec![0; length][..], &audio].concat(), &[(44_100, 5)]);
    }
    expect(
        &[&b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n"[..], &audio].concat(),
        &[(44_100, 5)],
    );
}

#[test]
fn what_looks_like_a_header_is_one_when_another_follows_where_it_ends() {
    // pdeljanov/Symphonia#96, mixxxdj/mixxx#12464
    let audio = frames(MONO_44, 6);
    for length in [0, 200, 1000, 2000] {
        expect(
            &[&[0xff, 0xfb, 0xe0, 0][..], &vec![0x11; length], &audio].concat(),
            &[(44_100, 6)],
        );
    }
    expect(
        &[&[0xff, 0xf3, 0x84, 4, 0xff, 0xfb, 0x50][..], &[0xff; 90], &audio].concat(),
        &[(44_100, 6)],
    );
}

#[test]
fn tags_before_between_and_behind_are_no_sound_and_their_pictures_no_frames() {
    let audio = frames(MONO_44, 3);
    let picture = [&[0xff, 0xd8, 0xff, 0xe0][..], &MONO_8, &[7; 3000], &MONO_44].concat();
    let big = vec![0xff; 1_500_000];
    for tag in [
        id3(&picture, 0),
        id3(&big, 0),
        id3(&[], 0),
        [id3(&picture, 0), id3(&picture, 0)].concat(),
        [id3(&[1; 20], 0x10), b"3DI\x04\0\x10\0\0\0\x14".to_vec()].concat(),
        [ape(0xa0, 3032 + 32), vec![0xff; 3032], ape(0x80, 3064)].concat(),
    ] {
        let bytes = [&tag[..], &audio, &tag, &audio, &tag].concat();
        expect(&bytes, &[(44_100, 6)]);
        assert_eq!(found(&bytes, 4096).1, 0);
    }
    let old = [b"TAG".to_vec(), vec![0xff; 125]].concat();
    let lyrics = [&b"LYRICSBEGIN"[..], &[0xff; 5000], b"005013LYRICS200"].concat();
    let extended = [b"TAG+".to_vec(), vec![0xff; 223]].concat();
    let bytes = [&audio[..], &extended, &old, &audio, &lyrics, &old].concat();
    expect(&bytes, &[(44_100, 6)]);
    assert_eq!(found(&bytes, 4096).1, 0);
}

#[test]
fn a_tag_whose_size_is_no_size_is_searched_for_frames() {
    expect(
        &[&b"ID3\x03\0\0\xff\xff\xff\xff"[..], &[9; 500], &frames(MONO_44, 4)].concat(),
        &[(44_100, 4)],
    );
}

#[test]
fn junk_between_frames_is_passed_over_and_counted() {
    let audio = frames(STEREO_24, 4);
    let bytes = [&audio[..], &[0x33; 999], &audio, &[0x33; 999]].concat();
    expect(&bytes, &[(24_000, 8)]);
    assert_eq!(found(&bytes, 500).1, 1998);
    assert_eq!(found(&[&audio[..], &[0; 999]].concat(), 500).1, 999);
}

#[test]
fn files_of_different_rates_and_channels_may_be_joined() {
    // JamesHeinrich/getID3#272, paulpacifico/shutter-encoder#175, dmulholl/mp3cat#7
    let bytes = [
        frames(STEREO_24, 3),
        frames(MONO_44, 4),
        frames(MONO_8, 2),
        id3(&[1; 99], 0),
        frames(STEREO_24, 2),
    ];
    expect(&bytes.concat(), &[(24_000, 3), (44_100, 4), (8_000, 2), (24_000, 2)]);
}

#[test]
fn the_last_frame_may_be_cut_off_and_one_alone_is_enough() {
    let audio = frames(MONO_44, 3);
    expect(&audio[..audio.len() - 1], &[(44_100, 2)]);
    expect(&frames(MONO_44, 1), &[(44_100, 1)]);
    expect(
        &[frames(MONO_44, 1), b"TAG".to_vec(), vec![0; 125]].concat(),
        &[(44_100, 1)],
    );
    expect(&MONO_44, &[]);
    expect(&[], &[]);
}

#[test]
fn what_is_no_mp3_has_no_frames() {
    for text in [
        "<!DOCTYPE html><html><body>Sign in</body></html>",
        "{\"error\": \"expired\"}",
        "OggS\0\u{2}",
        "ftypM4A ",
    ] {
        expect(&text.as_bytes().repeat(2000), &[]);
    }
    // AAC in ADTS, and MPEG audio of layer II.
    expect(&[&[0xff, 0xf1, 0x50, 0x80][..], &[0x21; 368]].concat().repeat(50), &[]);
    expect(&[&[0xff, 0xfd, 0x84, 0x04][..], &[0x21; 414]].concat().repeat(50), &[]);
}

#[test]
fn a_tag_is_known_by_its_whole_word_wherever_the_pieces_end() {
    for word in ["TAG", "APETAGEX", "ID3", "LYRICSBEGIN"] {
        for letters in 1..word.len() {
            // A header, and where its frame would end the begin of a word that is none.
            let file = [&frames(MONO_44, 1)[..], &word.as_bytes()[..letters], &[0xb4; 300]].concat();
            for piece in 1..40 {
                assert_eq!(
                    found(&file, piece),
                    found(&file, file.len()),
                    "{letters} of {word}, pieces of {piece}"
                );
                assert_eq!(found(&file, piece).0, [], "{letters} of {word}");
            }
        }
    }
}

#[test]
fn a_free_format_is_told_from_no_format() {
    let free = [&[0xff, 0xfb, 0x00, 0xc4][..], &[0x55; 300]].concat().repeat(5);
    expect(&free, &[]);
    let mut framer = MpegFramer::default();
    assert_eq!(framer.next(&free, true).frame, None);
    assert!(framer.saw_free_format());
}

#[test]
fn the_table_of_an_encoder_is_no_sound() {
    for (head, at, word) in [
        (MONO_44, 21, b"Xing"),
        (MONO_44, 21, b"Info"),
        (STEREO_24, 21, b"Info"),
        (MONO_8, 15, b"Xing"),
        (MONO_44, 36, b"VBRI"),
    ] {
        let mut bytes = frames(head, 2);
        let size = bytes.len() / 2;
        bytes[at..at + 4].copy_from_slice(word);
        let mut framer = MpegFramer::default();
        assert!(framer.next(&bytes, true).frame.unwrap().is_table());
        assert!(!framer.next(&bytes[size..], true).frame.unwrap().is_table());
    }
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_give_the_same_frames(
        parts in proptest::collection::vec((0_usize..6, 0_usize..400), 0..8),
        noise in proptest::collection::vec(any::<u8>(), 400),
        piece in 1_usize..700,
    ) {
        let mut bytes = Vec::new();
        for (kind, length) in parts {
            match kind {
                0 => bytes.extend(frames(MONO_44, length / 60)),
                1 => bytes.extend(frames(STEREO_24, length / 60)),
                2 => bytes.extend(id3(&noise[..length], 0)),
                3 => bytes.extend(vec![0; length]),
                4 => bytes.extend([0xff, 0xfb, 0x50, 0xc4]),
                _ => bytes.extend(&noise[..length]),
            }
        }
        prop_assert_eq!(found(&bytes, piece), found(&bytes, usize::MAX / 2));
    }
}
