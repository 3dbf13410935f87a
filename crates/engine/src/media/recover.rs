//! Recordings of an engine that died: repaired and given their names, so that none is lost.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use offhook_codec::{SampleFormat, WAV_HEADER_BYTES, WavFormat, wav_header};

use offhook_words::Rate;

use super::directory::Directory;

/// What became of a recording that nobody finished.
#[derive(Debug)]
pub struct Recovered {
    /// The name that it was to have.
    pub recording: String,
    /// Its length under that name; else why it stays `<name>.part`.
    pub outcome: io::Result<u64>,
}

/// Finish the recordings of this directory that no process writes any more.
pub fn recover(recordings: &Path) -> io::Result<Vec<Recovered>> {
    let directory = Directory::open(recordings)?;
    let mut all = Vec::new();
    for recording in directory.parts()? {
        let outcome = match directory.open_part(&recording) {
            Ok(None) => continue,
            Ok(Some(file)) => finish(&directory, &recording, &file),
            Err(error) => Err(error),
        };
        all.push(Recovered { recording, outcome });
    }
    Ok(all)
}

fn finish(directory: &Directory, recording: &str, file: &File) -> io::Result<u64> {
    let duration_ms = repair(file)?;
    directory.finish_part(recording)?;
    Ok(duration_ms)
}

/// Make the header say what is there; gives the length in ms.
fn repair(file: &File) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let Some(behind) = size.checked_sub(WAV_HEADER_BYTES as u64) else {
        // It died before there was anything to keep.
        file.write_all_at(&wav_header(1, 8000, 0), 0)?;
        file.set_len(WAV_HEADER_BYTES as u64)?;
        file.sync_all()?;
        return Ok(0);
    };
    let mut start = [0; WAV_HEADER_BYTES];
    file.read_exact_at(&mut start, 0)?;
    let format = WavFormat::parse(&start).map_err(io::Error::other)?;
    let expected = (SampleFormat::Signed16, WAV_HEADER_BYTES as u64);
    let rate = Rate::ALL.into_iter().find(|rate| rate.hz() == format.rate_hz);
    let Some(rate) = rate.filter(|_| (format.format, format.data_offset) == expected) else {
        return Err(io::Error::other("this is no recording of ours; move it elsewhere"));
    };
    let data_bytes = behind - behind % format.block_bytes() as u64;
    let told = u32::try_from(data_bytes).map_err(io::Error::other)?;
    file.set_len(WAV_HEADER_BYTES as u64 + data_bytes)?;
    file.write_all_at(&wav_header(format.channels, rate.hz(), told), 0)?;
    file.sync_all()?;
    Ok(data_bytes / (u64::from(format.channels) * rate.per_ms() * 2))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn in_directory(name: &str, test: impl FnOnce(&Path)) {
        let root = std::env::temp_dir().join(format!("offhook-recover-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        test(&root);
        std::fs::remove_dir_all(&root).unwrap();
    }

    fn outcomes(root: &Path) -> Vec<(String, Result<u64, String>)> {
        let all = recover(root).unwrap().into_iter();
        all.map(|one| (one.recording, one.outcome.map_err(|why| why.to_string())))
            .collect()
    }

    #[test]
    fn samples_behind_the_last_header_are_kept_and_half_a_sample_is_not() {
        in_directory("late", |root| {
            let mut bytes = wav_header(2, 8000, 320).to_vec();
            bytes.extend(vec![7; 32_003]);
            std::fs::write(root.join("a.wav.part"), bytes).unwrap();
            assert_eq!(outcomes(root), [("a.wav".to_owned(), Ok(1000))]);
            let repaired = std::fs::read(root.join("a.wav")).unwrap();
            assert_eq!(repaired.get(..44), Some(&wav_header(2, 8000, 32_000)[..]));
            assert_eq!(repaired.get(44..), Some(&vec![7; 32_000][..]));
            assert!(!root.join("a.wav.part").exists());
            assert_eq!(outcomes(root), []);
        });
    }

    #[test]
    fn one_of_16_khz_stays_so() {
        for (channels, ms) in [(1, 2000), (2, 1000)] {
            in_directory(&format!("wide{channels}"), |root| {
                let mut bytes = wav_header(channels, 16_000, 640).to_vec();
                bytes.extend(vec![7; 64_003]);
                std::fs::write(root.join("a.wav.part"), bytes).unwrap();
                assert_eq!(outcomes(root), [("a.wav".to_owned(), Ok(ms))]);
                let repaired = std::fs::read(root.join("a.wav")).unwrap();
                let data_bytes = if channels == 1 { 64_002 } else { 64_000 };
                assert_eq!(repaired.get(..44), Some(&wav_header(channels, 16_000, data_bytes)[..]));
                assert_eq!(repaired.len(), 44 + data_bytes as usize);
            });
        }
    }

    #[test]
    fn one_that_was_never_begun_is_empty_and_valid() {
        in_directory("empty", |root| {
            std::fs::write(root.join("a.wav.part"), b"RIFF").unwrap();
            assert_eq!(outcomes(root), [("a.wav".to_owned(), Ok(0))]);
            assert_eq!(std::fs::read(root.join("a.wav")).unwrap(), wav_header(1, 8000, 0));
        });
    }

    #[test]
    fn nothing_is_written_over_and_what_cannot_be_repaired_stays() {
        in_directory("kept", |root| {
            std::fs::write(root.join("a.wav"), b"mine").unwrap();
            std::fs::write(root.join("a.wav.part"), wav_header(1, 8000, 0)).unwrap();
            std::fs::write(root.join("b.wav.part"), [0; 100]).unwrap();
            std::fs::write(root.join("c.txt"), b"").unwrap();
            std::os::unix::fs::symlink("/etc/hostname", root.join("d.wav.part")).unwrap();
            let outcomes = outcomes(root);
            assert!(
                matches!(
                    outcomes.as_slice(),
                    [(a, Err(_)), (b, Err(_)), (d, Err(_))] if (a.as_str(), b.as_str(), d.as_str()) == ("a.wav", "b.wav", "d.wav")
                ),
                "{outcomes:?}"
            );
            assert_eq!(std::fs::read(root.join("a.wav")).unwrap(), b"mine");
            assert!(root.join("a.wav.part").exists() && root.join("b.wav.part").exists());
        });
    }

    #[test]
    fn one_that_is_being_written_is_left_alone() {
        in_directory("live", |root| {
            let directory = Directory::open(root).unwrap();
            let writing = directory.create_part("a.wav").unwrap();
            assert_eq!(outcomes(root), []);
            drop(writing);
            assert_eq!(outcomes(root), [("a.wav".to_owned(), Ok(0))]);
        });
    }
}
