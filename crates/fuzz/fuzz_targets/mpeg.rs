//! MP3 framing: any bytes in any pieces give the same frames, each inside of what was given.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offhook_codec::MpegFramer;

fn frames(file: &[u8], piece: usize) -> (Vec<(u32, usize)>, u64) {
    let mut framer = MpegFramer::default();
    let (mut found, mut kept, mut given) = (Vec::new(), Vec::new(), 0);
    loop {
        let is_whole = given == file.len();
        loop {
            let cut = framer.next(&kept, is_whole);
            assert!(cut.used <= kept.len());
            if is_whole && cut.frame.is_none() {
                assert_eq!(cut.used, kept.len());
            }
            let is_frame = cut.frame.is_some();
            if let Some(frame) = cut.frame {
                assert_eq!(frame.bytes.len(), frame.header.bytes);
                frame.is_table();
                found.push((frame.header.rate_hz, frame.header.bytes));
            }
            let used = cut.used;
            kept.drain(..used);
            if !is_frame {
                break;
            }
        }
        // It holds back a frame and a tag of lyrics, not the file.
        assert!(kept.len() <= piece + (33 << 10), "{}", kept.len());
        if is_whole {
            return (found, framer.lost());
        }
        let more = file.len().min(given + piece);
        kept.extend(&file[given..more]);
        given = more;
    }
}

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, file) = input;
    assert_eq!(frames(file, usize::from(piece) + 1), frames(file, file.len().max(1)));
});
