//! Both sides of the control protocol have the same words; see `vectors/control/README.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use offhook_engine::control::wire::{Operation, Report};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn vectors(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../vectors/control")
        .join(name)
}

fn split(data: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    let mut rest = data;
    while let Some((head, tail)) = rest.split_first_chunk::<4>() {
        let (frame, next) = tail.split_at(u32::from_be_bytes(*head) as usize);
        frames.push(frame);
        rest = next;
    }
    frames
}

fn again<T: DeserializeOwned + Serialize>(frame: &[u8]) -> Vec<u8> {
    let message: T = rmp_serde::from_slice(frame).expect("a frame of the other side parses");
    let body = rmp_serde::to_vec_named(&message).unwrap();
    let mut framed = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    framed.extend(body);
    framed
}

#[derive(serde::Deserialize)]
struct Tag {
    #[serde(default)]
    op: Option<serde_json::Value>,
    #[serde(default)]
    report: Option<String>,
}

fn is_report(frame: &[u8]) -> bool {
    let tag: Tag = rmp_serde::from_slice(frame).unwrap();
    assert!(tag.op.is_some() || tag.report.is_some());
    tag.report.is_some()
}

fn tag(frame: &[u8]) -> String {
    let tag: Tag = rmp_serde::from_slice(frame).unwrap();
    match (tag.report, tag.op) {
        (Some(report), _) => report,
        (None, Some(op)) => op.as_str().expect("the tag of an operation is a word").to_owned(),
        (None, None) => panic!("a frame without a tag"),
    }
}

/// The tags this side knows, from the words of the refusal of one it does not.
fn known<T: DeserializeOwned>(field: &str) -> BTreeSet<String> {
    let unknown = rmp_serde::to_vec_named(&std::collections::BTreeMap::from([(field, "?")])).unwrap();
    let Err(error) = rmp_serde::from_slice::<T>(&unknown) else {
        panic!("an unknown tag was taken")
    };
    let words = error.to_string();
    words.split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_message_of_the_node_is_read_and_written_again_with_all_its_fields() {
    let node = std::fs::read(vectors("node.bin")).unwrap();
    let frames = split(&node);
    let written: Vec<u8> = frames
        .iter()
        .flat_map(|frame| {
            if is_report(frame) {
                again::<Report>(frame)
            } else {
                again::<Operation>(frame)
            }
        })
        .collect();
    if std::env::var_os("OFFHOOK_WRITE_VECTORS").is_some() {
        std::fs::write(vectors("engine.bin"), &written).unwrap();
    }
    assert_eq!(std::fs::read(vectors("engine.bin")).unwrap(), written);
}

#[test]
fn this_side_knows_exactly_the_tags_of_the_other() {
    let node = std::fs::read(vectors("node.bin")).unwrap();
    let (reports, operations): (Vec<&[u8]>, Vec<&[u8]>) = split(&node).into_iter().partition(|frame| is_report(frame));
    let tags = |frames: Vec<&[u8]>| -> BTreeSet<String> { frames.into_iter().map(tag).collect() };
    assert_eq!(known::<Operation>("op"), tags(operations));
    assert_eq!(known::<Report>("report"), tags(reports));
}

#[test]
fn a_field_of_a_later_version_is_ignored() {
    let frame = rmp_serde::to_vec_named(&std::collections::BTreeMap::from([("op", 0), ("id", 1)])).unwrap();
    assert!(rmp_serde::from_slice::<Operation>(&frame).is_err(), "the tag is a word");
    let ping = serde_json::json!({"op": "ping", "id": 7, "of_a_later_version": [1, {"a": 2}]});
    let frame = rmp_serde::to_vec_named(&ping).unwrap();
    assert_eq!(
        rmp_serde::from_slice::<Operation>(&frame).unwrap(),
        Operation::Ping { id: 7 }
    );
}

/// The word of a value, as on the socket.
fn word(value: impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).unwrap()
}

#[test]
fn words_that_have_another_name_here_are_written_as_the_node_says_them() {
    use offhook_words::{EndCause, EndedBy, Interrupt, Side};
    assert_eq!(
        [Side::Heard, Side::Said, Side::Both].map(word),
        ["listen", "speak", "both"]
    );
    assert_eq!(
        [EndedBy::Local, EndedBy::Remote, EndedBy::Nobody].map(word),
        ["local", "remote", "none"]
    );
    let causes = [
        EndCause::Finished,
        EndCause::Stopped,
        EndCause::Interrupted,
        EndCause::Silence,
        EndCause::Terminator,
        EndCause::MaxLength,
        EndCause::NoInput,
        EndCause::Timeout,
        EndCause::Hangup,
        EndCause::Error,
    ];
    assert_eq!(causes.map(word), causes.map(EndCause::as_str));
    let (digit, speech) = (true, true);
    let both = Interrupt { digit, speech };
    assert_eq!(word(both), serde_json::json!(["digit", "speech"]));
    let twice = serde_json::json!(["speech", "digit", "speech"]);
    assert_eq!(serde_json::from_value::<Interrupt>(twice).unwrap(), both);
    assert_eq!(word(Interrupt::default()), serde_json::json!([]));
}
