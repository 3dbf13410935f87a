//! Which files a play holds open, and what it says of those that it cannot open.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use offhook_mix::{FrameSource, Supply};
use offhook_words::{FRAME, Rate};
use rtrb::RingBuffer;

use super::*;
use crate::media::directory::Directory;
use crate::media::ring::{PLAY_RING, PlaySource, PlayState};

/// A directory of prompts of two frames each, and a play of some of them on a decoder that the test drives.
struct Bench {
    root: PathBuf,
    opened: Arc<AtomicUsize>,
    /// Files of it that were open at once, at most.
    most_open: Arc<AtomicUsize>,
    prompts: OpenPrompt,
    cache: PromptCache,
}

impl Bench {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("offhook-files-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let directory = Directory::open(&root).unwrap();
        let opened = Arc::new(AtomicUsize::new(0));
        let most_open = Arc::new(AtomicUsize::new(0));
        let (count, most, place) = (Arc::clone(&opened), Arc::clone(&most_open), root.clone());
        let prompts: OpenPrompt = Arc::new(move |name| {
            let file = directory.read(name);
            count.fetch_add(1, Ordering::Relaxed);
            most.fetch_max(held(&place), Ordering::Relaxed);
            file
        });
        let cache = PromptCache::default();
        Self {
            root,
            opened,
            most_open,
            prompts,
            cache,
        }
    }

    fn prompt(&self, name: &str, frames: usize) -> Prepared {
        std::fs::write(self.root.join(name), vec![1; frames * FRAME * 2]).unwrap();
        named(name)
    }

    /// Frames heard until the play is over, or so many.
    fn hear(&mut self, play: &mut Play, source: &mut PlaySource, most: usize) -> (usize, Supply) {
        let report: Report = Box::new(|_| {});
        let mut frames = 0;
        while frames < most {
            let goes_on = play.fill(&mut self.cache, &self.prompts, &report);
            loop {
                match source.pull(&mut [0; FRAME]) {
                    Supply::Frame => frames += 1,
                    Supply::Starved => break,
                    end => return (frames, end),
                }
            }
            assert!(goes_on || frames >= most, "it is over and does not say so");
        }
        (frames, Supply::Frame)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.root).unwrap();
    }
}

/// Descriptors of this process that lead into the directory.
fn held(root: &Path) -> usize {
    let all = std::fs::read_dir("/proc/self/fd").unwrap();
    all.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|path| path.starts_with(root) && path != root)
        .count()
}

fn named(name: &str) -> Prepared {
    Prepared::File {
        name: Arc::from(name),
        encoding: FileEncoding::PcmS16le { rate_hz: 8000 },
        growth: None,
    }
}

fn play(sources: Vec<Prepared>, loops: u32, more: bool) -> (Play, PlaySource) {
    let state = Arc::new(PlayState::default());
    state.waiting.store(sources.len(), Ordering::Relaxed);
    let (ring, samples) = RingBuffer::new(PLAY_RING);
    let play = Play::new(1, Rate::Narrow, ring, Arc::clone(&state), sources, loops, more);
    (play, PlaySource { samples, state })
}

#[test]
fn a_play_of_512_prompts_opens_one_after_another_and_holds_two_at_most() {
    let mut bench = Bench::new("many");
    for loops in [1, 2] {
        let sources = (0..512).map(|n| bench.prompt(&format!("{n}"), 2)).collect();
        let (mut play, mut source) = play(sources, loops, false);
        let heard = bench.hear(&mut play, &mut source, usize::MAX);
        assert_eq!(heard, (1024 * loops as usize, Supply::Ended));
        drop(play);
        assert_eq!(held(&bench.root), 0);
    }
    assert!(bench.opened.load(Ordering::Relaxed) > 1024);
    assert_eq!(bench.most_open.load(Ordering::Relaxed), 2);
}

#[test]
fn what_is_appended_without_end_is_counted_while_it_waits_and_forgotten_when_it_was_heard() {
    let mut bench = Bench::new("appended");
    let (mut play, mut source) = play(Vec::new(), 1, true);
    for _ in 0..3000 {
        source.state.waiting.fetch_add(1, Ordering::Relaxed);
        play.append(vec![bench.prompt("a", 1)], true);
        assert_eq!(bench.hear(&mut play, &mut source, 1).0, 1);
        assert!(source.state.waiting.load(Ordering::Relaxed) <= 1);
        assert!(play.kept() <= 1, "{} sources are kept", play.kept());
    }
}

#[test]
fn a_prompt_that_is_missing_or_no_file_ends_the_play_behind_what_came_before_it() {
    let mut bench = Bench::new("missing");
    std::fs::create_dir(bench.root.join("folder")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", bench.root.join("link")).unwrap();
    for (name, why) in [
        (
            "missing.wav",
            "file missing.wav: No such file or directory (os error 2)",
        ),
        ("folder", "file folder: not a regular file"),
        ("link", "file link: Too many levels of symbolic links (os error 40)"),
    ] {
        let sources = vec![bench.prompt("there", 3), named(name)];
        let (mut play, mut source) = play(sources, 1, false);
        let heard = bench.hear(&mut play, &mut source, usize::MAX);
        assert_eq!(heard, (3, Supply::Failed));
        assert_eq!(source.state.error().as_deref(), Some(why));
    }
}

#[test]
fn prompts_that_are_repeated_are_opened_once_and_may_be_removed_meanwhile() {
    let mut bench = Bench::new("removed");
    let sources = vec![bench.prompt("a", 2), bench.prompt("b", 2)];
    let (mut play, mut source) = play(sources, 0, false);
    bench.hear(&mut play, &mut source, 100);
    std::fs::remove_file(bench.root.join("a")).unwrap();
    std::fs::remove_file(bench.root.join("b")).unwrap();
    assert_eq!(bench.hear(&mut play, &mut source, 1000).1, Supply::Frame);
    assert_eq!(bench.opened.load(Ordering::Relaxed), 2);
}

#[test]
fn a_growing_prompt_that_was_given_up_and_removed_before_its_turn_says_so() {
    let mut bench = Bench::new("given-up");
    let growth = Arc::new(Growth::default());
    growth.done(-1);
    let gone = Prepared::File {
        name: Arc::from("gone"),
        encoding: FileEncoding::Auto,
        growth: Some(growth),
    };
    let (mut play, mut source) = play(vec![gone], 1, false);
    assert_eq!(bench.hear(&mut play, &mut source, 1).1, Supply::Failed);
    let why = source.state.error().unwrap();
    assert!(why.contains("could not be written to its end"), "{why}");
}
