//! Any text as an offer and as an answer, again and again in one session; what we write back can be read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offhook_sdp::{Local, accept, answer, codecs, offer};

fuzz_target!(|text: &str| {
    let mut local = Local::new("127.0.0.1:30000".parse().unwrap(), Vec::new(), 1);
    let _ = codecs(text, &local);
    for _ in 0..2 {
        if let Ok((reply, stream)) = answer(text, &mut local) {
            assert!(reply.lines().all(|line| line.as_bytes().get(1) == Some(&b'=')), "{reply}");
            if stream.remote.is_some() {
                assert_eq!(codecs(&reply, &local).unwrap().first(), Some(&stream.formats.codec));
            }
        }
        let ours = offer(&mut local);
        assert!(ours.lines().all(|line| line.as_bytes().get(1) == Some(&b'=')), "{ours}");
        let _ = accept(text, &mut local);
    }
});
