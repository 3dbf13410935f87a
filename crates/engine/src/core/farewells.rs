//! BYEs on the disk, so that an engine that died does not leave the far ends listening.
//!
//! They lie in the file `farewells` beside the control socket: one record when a call is answered, one when it has
//! ended, written anew when most of it is over. Not synced: they are for the death of this process, not of the machine.
//! A thread of its own writes, so that a disk that stalls holds up no call; what it is behind is written anew later.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use offhook_sip::{Farewell, Flow};
use offhook_words::Transport;

/// A crash leaves no more calls than this behind to be ended.
const MOST: usize = 10_000;
/// What may be over in the file before it is written anew, besides as much as lives.
const SPENT_BYTES: usize = 1 << 20;
/// Records that wait for the disk.
const WAITING: usize = 1_024;
/// How long the last records may take.
const LAST_WRITES: Duration = Duration::from_millis(500);

/// Farewells of the legs that live.
#[derive(Debug)]
pub struct Farewells {
    /// To the writer; none while this goes.
    records: Option<mpsc::SyncSender<Record>>,
    /// How many of them are not written.
    waiting: Arc<AtomicUsize>,
    failures: mpsc::Receiver<io::Error>,
    done: mpsc::Receiver<()>,
    /// Of the file, once all is written.
    size_bytes: usize,
    /// What the file has is not what it should have.
    is_torn: bool,
    /// The record of each leg that lives.
    live: HashMap<String, Vec<u8>>,
    live_bytes: usize,
}

#[derive(Debug)]
enum Record {
    Next(Vec<u8>),
    /// All that live, in place of what is there.
    Anew(Vec<u8>),
}

/// Where records go.
trait Sink: Send + 'static {
    fn append(&mut self, record: &[u8]) -> io::Result<()>;
    fn write_anew(&mut self, records: &[u8]) -> io::Result<()>;
}

struct OnDisk {
    path: PathBuf,
    file: File,
}

impl Sink for OnDisk {
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.file.write_all(record)
    }

    fn write_anew(&mut self, records: &[u8]) -> io::Result<()> {
        let beside = self.path.with_extension("new");
        let mut file = open_at(&beside)?;
        file.set_len(0)?;
        file.write_all(records)?;
        std::fs::rename(&beside, &self.path)?;
        self.file = file;
        Ok(())
    }
}

impl Farewells {
    /// How many legs have one.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Open the file beside the control socket and take what an earlier process left in it, by leg.
    pub fn open(socket: &Path) -> io::Result<(Self, Vec<(String, Farewell)>)> {
        let path = socket.with_file_name("farewells");
        let mut file = open_at(&path)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        file.set_len(0)?;
        Ok((Self::into(OnDisk { path, file })?, parse(&content)))
    }

    fn into(mut sink: impl Sink) -> io::Result<Self> {
        let (records, to_write) = mpsc::sync_channel(WAITING);
        let (failed, failures) = mpsc::channel();
        let (finished, done) = mpsc::channel();
        let in_all = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&in_all);
        let writer = move || {
            for record in to_write {
                let written = match record {
                    Record::Next(record) => sink.append(&record),
                    Record::Anew(records) => sink.write_anew(&records),
                };
                // Nobody waits for it any more where the process ends.
                let _ = written.map_err(|error| failed.send(error));
                left.fetch_sub(1, Ordering::Release);
            }
            let _ = finished.send(());
        };
        std::thread::Builder::new().name("farewells".to_owned()).spawn(writer)?;
        Ok(Self {
            records: Some(records),
            waiting: in_all,
            failures,
            done,
            size_bytes: 0,
            is_torn: false,
            live: HashMap::new(),
            live_bytes: 0,
        })
    }

    /// Keep the farewell of a leg, in place of an earlier one. Never waits; an error is that of an earlier record, and
    /// [`Farewells::catch_up`] writes all anew then.
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
        self.write(record)
    }

    /// The leg has ended. As [`Farewells::keep`].
    pub fn forget(&mut self, leg: &str) -> io::Result<()> {
        // A leg that was never answered has none.
        let Some(record) = self.live.remove(leg) else {
            return Ok(());
        };
        self.live_bytes -= record.len();
        self.write(format!("- {leg}\n").into_bytes())
    }

    fn write(&mut self, record: Vec<u8>) -> io::Result<()> {
        self.size_bytes += record.len();
        if !self.is_torn {
            let is_spent = self.size_bytes > 2 * self.live_bytes + SPENT_BYTES;
            let next = if is_spent { self.anew() } else { Record::Next(record) };
            self.send(next);
        }
        self.failure()
    }

    /// Write anew what the file has not, once the disk goes on; to be called now and then. As [`Farewells::keep`].
    pub fn catch_up(&mut self) -> io::Result<()> {
        let failure = self.failure();
        if self.is_torn && self.waiting.load(Ordering::Acquire) == 0 {
            let anew = self.anew();
            self.is_torn = false;
            self.send(anew);
        }
        failure
    }

    fn failure(&mut self) -> io::Result<()> {
        let failure = self.failures.try_iter().last();
        self.is_torn |= failure.is_some();
        failure.map_or(Ok(()), Err)
    }

    fn anew(&mut self) -> Record {
        self.size_bytes = self.live_bytes;
        Record::Anew(self.live.values().flatten().copied().collect())
    }

    fn send(&mut self, record: Record) {
        self.waiting.fetch_add(1, Ordering::Release);
        let is_sent = self
            .records
            .as_ref()
            .is_some_and(|records| records.try_send(record).is_ok());
        if !is_sent {
            self.waiting.fetch_sub(1, Ordering::Release);
            self.is_torn = true;
        }
    }
}

impl Drop for Farewells {
    fn drop(&mut self) {
        self.records = None;
        // A disk that stalls does not keep the process: the calls that it knows of are ended once more by the next.
        let _late = self.done.recv_timeout(LAST_WRITES);
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
            drop(first);
            open_at(&socket.with_file_name("farewells"))
                .unwrap()
                .write_all(b"+ torn udp 127.0.0.1:1 127.0.0.1:2 900\nBYE sip:a")
                .unwrap();
            let (_, left) = Farewells::open(socket).unwrap();
            assert_eq!(left, vec![("leg-1".to_owned(), farewell(Transport::Tcp))]);
            let (_, left) = Farewells::open(socket).unwrap();
            assert_eq!(left, vec![]);
        });
    }

    /// Wait until the file has all.
    fn written(farewells: &mut Farewells) -> usize {
        let mut failures = 0;
        while farewells.is_torn || farewells.waiting.load(Ordering::Acquire) > 0 {
            failures += usize::from(farewells.catch_up().is_err());
            std::thread::sleep(Duration::from_millis(1));
        }
        failures + usize::from(farewells.catch_up().is_err())
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
            written(&mut first);
            drop(first);
            let size_bytes = std::fs::metadata(socket.with_file_name("farewells")).unwrap().len();
            assert!(size_bytes < 2 * SPENT_BYTES as u64, "{size_bytes}");
            let (_, left) = Farewells::open(socket).unwrap();
            assert_eq!(left, vec![("lives".to_owned(), farewell(Transport::Udp))]);
        });
    }

    #[test]
    fn a_crash_leaves_ten_thousand_calls_at_most_to_be_ended() {
        let mut content = Vec::new();
        for number in 0..20_000 {
            let record = format!("+ leg-{number} udp 127.0.0.1:5060 127.0.0.1:5070 4\nBYE ");
            content.extend_from_slice(record.as_bytes());
        }
        assert_eq!(parse(&content).len(), MOST);
    }

    /// A disk that does nothing until it is told to, and then fails as often as it was told.
    struct Stalled {
        go: mpsc::Receiver<()>,
        failures: usize,
        content: Arc<std::sync::Mutex<Vec<u8>>>,
    }

    impl Stalled {
        fn write(&mut self, records: &[u8], is_anew: bool) -> io::Result<()> {
            // Once nobody holds it back any more it goes on.
            let _ = self.go.recv();
            if self.failures > 0 {
                self.failures -= 1;
                return Err(io::Error::other("no space"));
            }
            let mut content = self.content.lock().unwrap();
            if is_anew {
                content.clear();
            }
            content.extend_from_slice(records);
            Ok(())
        }
    }

    impl Sink for Stalled {
        fn append(&mut self, record: &[u8]) -> io::Result<()> {
            self.write(record, false)
        }

        fn write_anew(&mut self, records: &[u8]) -> io::Result<()> {
            self.write(records, true)
        }
    }

    #[test]
    fn a_disk_that_stalls_holds_up_nobody_and_has_all_that_live_once_it_goes_on() {
        for failures in [0, 3] {
            let content = Arc::default();
            let (hold, go) = mpsc::channel();
            let sink = Stalled {
                go,
                failures,
                content: Arc::clone(&content),
            };
            let mut farewells = Farewells::into(sink).unwrap();
            for number in 0..20_000 {
                // Were it to wait for the disk, this would never end.
                let leg = format!("leg-{number}");
                farewells.keep(&leg, &farewell(Transport::Udp)).unwrap();
                if number >= 10 {
                    farewells.forget(&leg).unwrap();
                }
            }
            drop(hold);
            let told = written(&mut farewells) + written(&mut farewells);
            assert_eq!(told > 0, failures > 0, "what could not be written is told, late");
            drop(farewells);
            let mut left: Vec<String> = parse(&content.lock().unwrap())
                .into_iter()
                .map(|(leg, _)| leg)
                .collect();
            left.sort();
            let expected: Vec<String> = (0..10).map(|number| format!("leg-{number}")).collect();
            assert_eq!(left, expected);
        }
    }
}
