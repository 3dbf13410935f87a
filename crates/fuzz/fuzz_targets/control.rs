//! Frames of the control socket as operations and as reports, one alone or a row as on the socket: what is understood
//! is written as it was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use wire::{Operation, Report};

// The words alone: the engine around them takes minutes to build with sanitizers.
#[path = "../../engine/src/control/wire.rs"]
#[allow(dead_code, unfulfilled_lint_expectations)]
mod wire;

fn check<T: Serialize + DeserializeOwned + Debug>(frame: &[u8]) {
    if let Ok(read) = rmp_serde::from_slice::<T>(frame) {
        let again = rmp_serde::to_vec_named(&read).unwrap();
        let same: T = rmp_serde::from_slice(&again).unwrap();
        // NaN is not equal to itself; its text is.
        assert_eq!(format!("{same:?}"), format!("{read:?}"));
    }
}

fuzz_target!(|bytes: &[u8]| {
    check::<Operation>(bytes);
    check::<Report>(bytes);
    let mut rest = bytes;
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some(frame) = behind.get(..length).filter(|_| length <= wire::MAX_FRAME_BYTES) else { return };
        check::<Operation>(frame);
        check::<Report>(frame);
        rest = &behind[length..];
    }
});
