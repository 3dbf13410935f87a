//! Any text as an offer and as an answer; what we write back can be read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offhook_sdp::{Local, accept, answer, codecs, offer};

fuzz_target!(|text: &str| {
    let mut local = Local { media: "127.0.0.1:30000".parse().unwrap(), codecs: Vec::new(), session_id: 1, version: 1 };
    let _ = codecs(text);
    if let Ok((reply, stream)) = answer(text, &mut local) {
        assert!(reply.lines().all(|line| line.as_bytes().get(1) == Some(&b'=')), "{reply}");
        if stream.remote.is_some() {
            assert_eq!(codecs(&reply).unwrap().first(), Some(&stream.codec));
        }
    }
    let _ = offer(&mut local);
    let _ = accept(text, &local);
});
