//! The two directories: opened once, and files in them by name alone.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

/// `[A-Za-z0-9._-]{1,128}`, no leading dot.
pub fn is_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// The same, with room for `.part` behind it.
pub fn is_recording_name(name: &str) -> bool {
    is_name(name) && name.len() <= 123
}

/// An open directory. No name with a path or a link leads out of it.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
}

/// What is said of another name.
pub fn bad_name() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "a name is 1 to 128 of A-Z a-z 0-9 . _ - and does not begin with a dot",
    )
}

impl Directory {
    pub fn open(path: &Path) -> io::Result<Self> {
        let fd = rustix::fs::open(
            path,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(Self { fd })
    }

    /// A regular file, to be read.
    pub fn read(&self, name: &str) -> io::Result<File> {
        if !is_name(name) {
            return Err(bad_name());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(rustix::fs::openat(&self.fd, name, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(file)
    }

    /// A new file `<name>.part`, to be written; neither it nor `name` may exist.
    pub fn create_part(&self, name: &str) -> io::Result<File> {
        if !is_recording_name(name) {
            return Err(bad_name());
        }
        if rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "a recording of this name exists",
            ));
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.fd, part(name), flags, Mode::RUSR | Mode::WUSR)?;
        // While somebody writes it, nobody takes it for one that was left.
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(File::from(file))
    }

    /// Names of the recordings that are not finished, in order.
    pub fn parts(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            let entry = entry?;
            let name = entry
                .file_name()
                .to_str()
                .ok()
                .and_then(|name| name.strip_suffix(".part"));
            names.extend(name.filter(|name| is_name(name)).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// A recording that is not finished; `None`: somebody writes it.
    pub fn open_part(&self, name: &str) -> io::Result<Option<File>> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&self.fd, part(name), flags, Mode::empty())?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(File::from(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Give the finished file its name, never over another, and make that last.
    pub fn finish_part(&self, name: &str) -> io::Result<()> {
        rustix::fs::renameat_with(&self.fd, part(name), &self.fd, name, RenameFlags::NOREPLACE)?;
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    /// Make all that was written to its file system last.
    pub fn sync_all(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.fd)?)
    }
}

fn part(name: &str) -> String {
    format!("{name}.part")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        for name in ["a.wav", "A-1_b.WAV", &"x".repeat(128)] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            ".hidden",
            "a/b",
            "../a",
            "a b",
            "a\0",
            "é",
            &"x".repeat(129),
        ] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn links_are_not_followed_and_nothing_is_written_over() {
        let root = std::env::temp_dir().join(format!("offhook-directory-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", root.join("link")).unwrap();
        std::fs::create_dir(root.join("folder")).unwrap();
        let directory = Directory::open(&root).unwrap();
        assert!(directory.read("link").is_err());
        assert!(directory.read("folder").is_err());
        drop(directory.create_part("r.wav").unwrap());
        assert_eq!(
            directory.create_part("r.wav").unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        directory.finish_part("r.wav").unwrap();
        assert_eq!(
            directory.create_part("r.wav").unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        std::fs::remove_dir_all(&root).unwrap();
    }
}
