//! Log lines: one JSON object each on stderr, written by a thread so that a full pipe stops nobody.
//!
//! The text is constant, values are fields. Never bodies of SIP messages, never digits.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

const LINES_AHEAD: usize = 1024;

#[derive(Debug)]
enum Line {
    Entry(Map<String, Value>),
    Flush(SyncSender<()>),
}

/// Where to log; cheap to clone.
#[derive(Debug, Clone)]
pub struct Log {
    lines: SyncSender<Line>,
    dropped: Arc<AtomicU64>,
    tells_all: bool,
}

impl Log {
    /// Start the thread that writes to stderr.
    pub fn to_stderr() -> std::io::Result<Self> {
        let (lines, receiver) = sync_channel(LINES_AHEAD);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            for line in receiver {
                match line {
                    // In one write, not in one for each word. Nobody is left to tell that stderr is gone.
                    Line::Entry(line) => {
                        let text = format!("{}\n", Value::Object(line));
                        drop(std::io::stderr().lock().write_all(text.as_bytes()));
                    }
                    Line::Flush(written) => drop(written.try_send(())),
                }
            }
        })?;
        Ok(Self {
            lines,
            dropped: Arc::new(AtomicU64::new(0)),
            tells_all: false,
        })
    }

    /// The same log, with what `debug` is told if `tells_all`.
    #[must_use]
    pub fn telling_all(self, tells_all: bool) -> Self {
        Self { tells_all, ..self }
    }

    /// What happens all the time.
    pub fn debug(&self, event: &'static str, fields: &[(&str, Value)]) {
        if self.tells_all {
            self.line("debug", event, fields);
        }
    }

    /// What an operator may want to know.
    pub fn info(&self, event: &'static str, fields: &[(&str, Value)]) {
        self.line("info", event, fields);
    }

    /// What an operator should look at.
    pub fn warning(&self, event: &'static str, fields: &[(&str, Value)]) {
        self.line("warning", event, fields);
    }

    /// A fault of this program or this machine.
    pub fn error(&self, event: &'static str, fields: &[(&str, Value)]) {
        self.line("error", event, fields);
    }

    /// Wait (a second at most) until what was logged is written.
    pub fn flush(&self) {
        let (written, told) = sync_channel(1);
        if self.lines.try_send(Line::Flush(written)).is_ok() {
            // Later than a second is too late.
            let _ = told.recv_timeout(Duration::from_secs(1));
        }
    }

    fn line(&self, level: &str, event: &'static str, fields: &[(&str, Value)]) {
        let at_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64);
        let mut line = Map::new();
        line.insert("at_ms".to_owned(), at_ms.into());
        line.insert("level".to_owned(), level.into());
        line.insert("event".to_owned(), event.into());
        for (name, value) in fields {
            line.insert((*name).to_owned(), value.clone());
        }
        let before = self.dropped.swap(0, Ordering::Relaxed);
        if before > 0 {
            line.insert("lines_dropped_before".to_owned(), before.into());
        }
        if self.lines.try_send(Line::Entry(line)).is_err() {
            self.dropped.fetch_add(before + 1, Ordering::Relaxed);
        }
    }
}
