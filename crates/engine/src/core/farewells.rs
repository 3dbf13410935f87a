//! BYEs on the disk, so that an engine that died does not leave the far ends listening.
//!
//! They lie in the file `farewells` beside the control socket: one record when a call is answered, one when it has
//! ended, written anew when most of it is over. Not synced: they are for the death of this process, not of the machine.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use offhook_sip::{Farewell, Flow, Transport};

/// A crash leaves no more calls than this behind to be ended.
const MOST: usize = 10_000;
/// What may be over in the file before it is written anew, besides as much as lives.
const SPENT_BYTES: usize = 1 << 20;

/// Farewells of the legs that live.
#[derive(Debug)]
pub struct Farewells {
    path: PathBuf,
    file: File,
    size_bytes: usize,
    /// The record of each leg that lives.
    live: HashMap<String, Vec<u8>>,
    live_bytes: usize,
}

impl Farewells {
    /// Open the file beside the control socket and take what an earlier process left in it, by leg.
    pub fn open(socket: &Path) -> io::Result<(Self, Vec<(String, Farewell)>)> {
        let path = socket.with_file_name("farewells");
        let mut file = open_at(&path)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        file.set_len(0)?;
        let farewells = Self {
            path,
            file,
            size_bytes: 0,
            live: HashMap::new(),
            live_bytes: 0,
        };
        Ok((farewells, parse(&content)))
    }

    /// Keep the farewell of a leg, in place of an earlier one.
    pub fn keep(&mut self, leg: &str, farewell: &Farewell) -> io::Result<()> {
        if leg.is_empty() || leg.contains(char::is_whitespace) {
            return Ok(());
        }
        let (flow, bytes) = (farewell.flow, &farewell.bytes);
        let head = format!(
            "+ {leg} {} {} {} {}\n",
            flow.transport.name(),
            flow.local,
            flow.peer,
            bytes.len()
        );
        let mut record = head.into_bytes();
        record.extend_from_slice(bytes);
        self.live_bytes += record.len();
        if let Some(before) = self.live.insert(leg.to_owned(), record.clone()) {
            self.live_bytes -= before.len();
        }
        self.append(&record)
    }

    /// The leg has ended.
    pub fn forget(&mut self, leg: &str) -> io::Result<()> {
        // A leg that was never answered has none.
        let Some(record) = self.live.remove(leg) else {
            return Ok(());
        };
        self.live_bytes -= record.len();
        self.append(format!("- {leg}\n").as_bytes())
    }

    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(record);
        if written.is_err() {
            // Torn, so that nothing behind it would be read: written anew with the next one.
            self.size_bytes = usize::MAX / 2;
            return written;
        }
        self.size_bytes += record.len();
        if self.size_bytes > 2 * self.live_bytes + SPENT_BYTES {
            return self.write_anew();
        }
        Ok(())
    }

    fn write_anew(&mut self) -> io::Result<()> {
        let beside = self.path.with_extension("new");
        let mut file = open_at(&beside)?;
        file.set_len(0)?;
        let records: Vec<u8> = self.live.values().flatten().copied().collect();
        file.write_all(&records)?;
        std::fs::rename(&beside, &self.path)?;
        (self.file, self.size_bytes) = (file, records.len());
        Ok(())
    }
}

fn open_at(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600).open(path)
}

/// What was kept and not forgotten; ends at the first record that is torn.
fn parse(mut content: &[u8]) -> Vec<(String, Farewell)> {
    let mut kept = HashMap::new();
    while let Some((leg, farewell, rest)) = parse_record(content) {
        match farewell {
            Some(farewell) => kept.insert(leg, farewell),
            None => kept.remove(&leg),
        };
        content = rest;
    }
    kept.into_iter().take(MOST).collect()
}

/// One record and what is behind it; without a farewell: its leg has ended.
fn parse_record(content: &[u8]) -> Option<(String, Option<Farewell>, &[u8])> {
    let end = content.iter().position(|byte| *byte == b'\n')?;
    let (head, rest) = (content.get(..end)?, content.get(end + 1..)?);
    let mut words = std::str::from_utf8(head).ok()?.split(' ');
    let (kind, leg) = (words.next()?, words.next()?.to_owned());
    if kind == "-" {
        return Some((leg, None, rest));
    }
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
    let (bytes, rest) = rest.split_at_checked(words.next()?.parse().ok()?)?;
    let bytes = bytes.to_vec();
    Some((leg, Some(Farewell { flow, bytes }), rest))
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

    fn in_home(name: &str, work: impl FnOnce(&Path)) {
        let home = std::env::temp_dir().join(format!("oh-farewells-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&home).unwrap();
        work(&home.join("s"));
        std::fs::remove_dir_all(home).unwrap();
    }

    #[test]
    fn what_one_process_keeps_the_next_takes_once() {
        in_home("once", |socket| {
            let (mut first, left) = Farewells::open(socket).unwrap();
            assert_eq!(left, vec![]);
            first.keep("leg-1", &farewell(Transport::Udp)).unwrap();
            first.keep("leg-1", &farewell(Transport::Tcp)).unwrap();
            first.keep("leg-2", &farewell(Transport::Udp)).unwrap();
            first.keep("a leg\nwith blanks", &farewell(Transport::Udp)).unwrap();
            first.forget("leg-2").unwrap();
            first.forget("leg-3").unwrap();
            first
                .file
                .write_all(b"+ torn udp 127.0.0.1:1 127.0.0.1:2 900\nBYE sip:a")
                .unwrap();
            let (_, left) = Farewells::open(socket).unwrap();
            assert_eq!(left, vec![("leg-1".to_owned(), farewell(Transport::Tcp))]);
            let (_, left) = Farewells::open(socket).unwrap();
            assert_eq!(left, vec![]);
        });
    }

    #[test]
    fn many_calls_do_not_fill_the_disk_and_those_that_live_are_kept() {
        in_home("bounded", |socket| {
            let (mut first, _) = Farewells::open(socket).unwrap();
            first.keep("lives", &farewell(Transport::Udp)).unwrap();
            for number in 0..50_000 {
                let leg = format!("leg-{number}");
                first.keep(&leg, &farewell(Transport::Udp)).unwrap();
                first.forget(&leg).unwrap();
            }
            let size_bytes = std::fs::metadata(&first.path).unwrap().len();
            assert!(size_bytes < 2 * SPENT_BYTES as u64, "{size_bytes}");
            let (_, left) = Farewells::open(socket).unwrap();
            assert_eq!(left, vec![("lives".to_owned(), farewell(Transport::Udp))]);
        });
    }
}
