//! A WAV file, whole and in pieces: the same header, or the same refusal; its samples are as many as its bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offhook_codec::{WavError, WavFormat, WavHeader};

/// As the engine reads a file: what the header does not want is not read.
fn in_pieces(file: &[u8], piece: usize) -> Result<WavFormat, WavError> {
    let mut header = WavHeader::default();
    let mut have = piece;
    loop {
        let at = usize::try_from(header.wanted()).unwrap_or(usize::MAX);
        let rest = file.get(at..).unwrap_or(&[]);
        let given = &rest[..have.min(rest.len())];
        if let Some(format) = header.read(given)? {
            return Ok(format);
        }
        if header.wanted() != at as u64 {
            have = piece;
        } else if given.len() == rest.len() {
            return Err(WavError::Incomplete);
        } else {
            have += piece;
        }
    }
}

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, file) = input;
    let whole = WavFormat::parse(file);
    let cut = in_pieces(file, usize::from(piece) + 1);
    match (&whole, &cut) {
        // Whether a chunk follows an empty one is seen only when it is given.
        (Ok(a), Ok(b)) => assert_eq!(WavFormat { data_bytes: None, ..*a }, WavFormat { data_bytes: None, ..*b }),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => panic!("{whole:?} {cut:?}"),
        (Err(_), Err(_)) => {}
    }
    if let Ok(format) = whole {
        assert!((1..=64).contains(&format.block_bytes()));
        let data = usize::try_from(format.data_offset).ok().and_then(|at| file.get(at..)).unwrap_or(&[]);
        let mut samples = Vec::new();
        let taken = format.decode_mono(data, &mut samples);
        assert_eq!(taken, samples.len() * format.block_bytes());
        assert!(data.len() - taken < format.block_bytes());
    }
});
