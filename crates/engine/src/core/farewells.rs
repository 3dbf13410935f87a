//! BYEs on the disk, one file a live call, so that an engine that died does not leave the far ends listening.
//!
//! They lie in `dialogs` beside the control socket (0700). Not synced: they are for the death of this process, not of
//! the machine.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use offhook_sip::{Farewell, Flow, Transport};

/// A crash leaves no more calls than this behind to be ended.
const MOST: usize = 10_000;

/// Farewells of the legs that live.
#[derive(Debug)]
pub struct Farewells {
    directory: PathBuf,
}

impl Farewells {
    /// Open the directory beside the control socket; make it if need be.
    pub fn open(socket: &Path) -> io::Result<Self> {
        let directory = socket.with_file_name("dialogs");
        match DirBuilder::new().mode(0o700).create(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(Self { directory }),
        }
    }

    /// Keep the farewell of a leg, in place of an earlier one.
    pub fn keep(&self, leg: &str, farewell: &Farewell) -> io::Result<()> {
        let Some(path) = self.path(leg) else { return Ok(()) };
        let flow = farewell.flow;
        let mut content = format!("{} {} {}\n", flow.transport.name(), flow.local, flow.peer).into_bytes();
        content.extend_from_slice(&farewell.bytes);
        // A reader takes whole files alone: a torn one does not parse as a request.
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(&content)
    }

    /// The leg has ended.
    pub fn forget(&self, leg: &str) {
        if let Some(path) = self.path(leg) {
            // A leg that was never answered has none.
            let _ = fs::remove_file(path);
        }
    }

    /// Take what an earlier process left, by leg; nothing of it stays.
    pub fn take_all(&self) -> Vec<(String, Farewell)> {
        let Ok(entries) = fs::read_dir(&self.directory) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for entry in entries.flatten().take(MOST) {
            let content = fs::read(entry.path()).unwrap_or_default();
            let _ = fs::remove_file(entry.path());
            let leg = entry.file_name().to_string_lossy().into_owned();
            found.extend(parse(&content).map(|farewell| (leg, farewell)));
        }
        found
    }

    /// Legs are UUIDs; a node that names one otherwise gets no file.
    fn path(&self, leg: &str) -> Option<PathBuf> {
        let is_name = !leg.is_empty() && leg.len() <= 64 && leg.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        is_name.then(|| self.directory.join(leg))
    }
}

fn parse(content: &[u8]) -> Option<Farewell> {
    let end = content.iter().position(|byte| *byte == b'\n')?;
    let (head, rest) = content.split_at(end);
    let mut words = std::str::from_utf8(head).ok()?.split(' ');
    let transport = match words.next()? {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        _ => return None,
    };
    let flow = Flow {
        transport,
        local: words.next()?.parse().ok()?,
        peer: words.next()?.parse().ok()?,
        connection: 0,
    };
    let bytes = rest.get(1..).filter(|bytes| bytes.ends_with(b"\r\n\r\n"))?.to_vec();
    Some(Farewell { flow, bytes })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn farewell(transport: Transport) -> Farewell {
        Farewell {
            flow: Flow {
                transport,
                local: "127.0.0.1:5060".parse().unwrap(),
                peer: "127.0.0.1:5070".parse().unwrap(),
                connection: 0,
            },
            bytes: b"BYE sip:a@b SIP/2.0\r\n\r\n".to_vec(),
        }
    }

    #[test]
    fn what_one_process_keeps_the_next_takes_once() {
        let home = std::env::temp_dir().join(format!("oh-farewells-{}", std::process::id()));
        fs::create_dir_all(&home).unwrap();
        let socket = home.join("s");
        let first = Farewells::open(&socket).unwrap();
        first.keep("leg-1", &farewell(Transport::Udp)).unwrap();
        first.keep("leg-1", &farewell(Transport::Tcp)).unwrap();
        first.keep("leg-2", &farewell(Transport::Udp)).unwrap();
        first.keep("../leg-3", &farewell(Transport::Udp)).unwrap();
        first.forget("leg-2");
        fs::write(home.join("dialogs/torn"), b"udp 127.0.0.1:1 127.0.0.1:2\nBYE sip:a").unwrap();
        let next = Farewells::open(&socket).unwrap();
        assert_eq!(next.take_all(), vec![("leg-1".to_owned(), farewell(Transport::Tcp))]);
        assert_eq!(next.take_all(), vec![]);
        fs::remove_dir_all(home).unwrap();
    }
}
