//! The Unix socket: who may connect, reading frames, writing what the outbox holds.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use offhook_words::{Failure, FailureCode};
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::outbox::{Outbox, encode};
use crate::quiet::{self, QuietReader, QuietWriter};

use super::wire::{Hello, MAX_FRAME_BYTES, Operation, ReportBody};

const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
const GREETING_AT_ONCE: usize = 16;
const OPERATIONS_AHEAD: usize = 256;

/// What the socket tells core.
#[derive(Debug)]
pub enum ControlEvent {
    /// Somebody who knows the secret said hello; core decides by its epoch.
    Hello(Greeting),
    /// The controller with this epoch asks for something.
    Operation(u64, Box<Operation>),
    /// The controller with this epoch is gone; the sentence says why.
    Gone(u64, String),
}

/// A connection that said hello and waits for its welcome.
#[derive(Debug)]
pub struct Greeting {
    /// What it said.
    pub hello: Hello,
    reader: QuietReader,
    writer: QuietWriter,
}

/// Why the socket cannot be.
#[derive(Debug)]
pub struct ListenError(String);

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ListenError {}

/// The bound socket; its tasks live on the runtime that bound it.
#[derive(Debug)]
pub struct ControlListener {
    path: PathBuf,
    accepting: JoinHandle<()>,
    events: mpsc::Sender<ControlEvent>,
}

impl ControlListener {
    /// Bind at `path`, in a directory of ours that nobody else may enter. Must run in a `LocalSet`.
    pub fn bind(path: &Path, secret: Vec<u8>) -> Result<(Self, mpsc::Receiver<ControlEvent>), ListenError> {
        check_directory(path)?;
        remove_stale(path)?;
        let listener = UnixListener::bind(path)
            .map_err(|error| ListenError(format!("cannot bind the control socket: {error}")))?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
            .map_err(|error| ListenError(format!("cannot restrict the control socket: {error}")))?;
        let (events, receiver) = mpsc::channel(OPERATIONS_AHEAD);
        let accepting = tokio::task::spawn_local(accept(listener, secret.into(), events.clone()));
        Ok((
            Self {
                path: path.to_owned(),
                accepting,
                events,
            },
            receiver,
        ))
    }

    /// Make this connection the controller: read its operations, write what the outbox holds.
    pub fn adopt(&self, greeting: Greeting, outbox: Rc<RefCell<Outbox>>) -> Controller {
        let epoch = greeting.hello.epoch;
        let wake = Rc::new(Notify::new());
        wake.notify_one();
        let reading = tokio::task::spawn_local(read_operations(greeting.reader, epoch, self.events.clone()));
        let writing = tokio::task::spawn_local(write_reports(
            greeting.writer,
            epoch,
            outbox,
            Rc::clone(&wake),
            self.events.clone(),
        ));
        Controller {
            epoch,
            wake,
            reading,
            writing,
        }
    }
}

impl Drop for ControlListener {
    fn drop(&mut self) {
        self.accepting.abort();
        // Gone already is as good.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Greeting {
    /// Refuse with a reply and close.
    pub fn refuse(self, sentence: &str) {
        refuse(self.writer, sentence.to_owned());
    }
}

/// The connected node. Dropped: its connection is closed.
#[derive(Debug)]
pub struct Controller {
    /// Of its hello.
    pub epoch: u64,
    wake: Rc<Notify>,
    reading: JoinHandle<()>,
    writing: JoinHandle<()>,
}

impl Controller {
    /// The outbox holds something.
    pub fn wake(&self) {
        self.wake.notify_one();
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.reading.abort();
        self.writing.abort();
    }
}

fn check_directory(path: &Path) -> Result<(), ListenError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.ok_or_else(|| ListenError("give the control socket an absolute path".to_owned()))?;
    let facts = std::fs::metadata(directory)
        .map_err(|error| ListenError(format!("cannot look at the control socket's directory: {error}")))?;
    if facts.mode() & 0o077 != 0 || facts.uid() != rustix::process::geteuid().as_raw() {
        return Err(ListenError(
            "the control socket's directory must be ours alone: chmod 700 it".to_owned(),
        ));
    }
    Ok(())
}

fn remove_stale(path: &Path) -> Result<(), ListenError> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(facts) if facts.file_type().is_socket() => {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(ListenError("another engine listens on this control socket".to_owned()));
            }
            std::fs::remove_file(path).map_err(|error| ListenError(format!("cannot replace the old socket: {error}")))
        }
        Ok(_) => Err(ListenError(
            "the control socket's path is taken by a file; remove it".to_owned(),
        )),
        Err(error) => Err(ListenError(format!(
            "cannot look at the control socket's path: {error}"
        ))),
    }
}

async fn accept(listener: UnixListener, secret: Rc<[u8]>, events: mpsc::Sender<ControlEvent>) {
    let places = Arc::new(Semaphore::new(GREETING_AT_ONCE));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: others will close some.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let (secret, events) = (Rc::clone(&secret), events.clone());
        tokio::task::spawn_local(async move {
            let _place = place;
            let greeted = tokio::time::timeout(HELLO_TIMEOUT, greet(stream, &secret)).await;
            if let Ok(Some(greeting)) = greeted {
                // Core is gone only when the process ends.
                let _ = events.send(ControlEvent::Hello(greeting)).await;
            }
        });
    }
}

/// Read the hello; `None`: closed without a word, or refused with one.
async fn greet(stream: UnixStream, secret: &[u8]) -> Option<Greeting> {
    if stream.peer_cred().ok()?.uid() != rustix::process::geteuid().as_raw() {
        return None;
    }
    let (mut reader, writer) = quiet::split(stream).ok()?;
    let mut frame = Vec::new();
    read_frame(&mut reader, &mut frame).await.ok()?;
    let Ok(Operation::Hello(hello)) = rmp_serde::from_slice(&frame) else {
        return None;
    };
    if !is_same(&hello.secret, secret) {
        refuse(writer, "the secret is not this engine's".to_owned());
        return None;
    }
    Some(Greeting { hello, reader, writer })
}

/// Compares every byte, whatever the first ones are.
fn is_same(given: &[u8], secret: &[u8]) -> bool {
    let differences = given
        .iter()
        .zip(secret)
        .fold(0, |seen, (left, right)| seen | (left ^ right));
    !secret.is_empty() && given.len() == secret.len() && differences == 0
}

fn refuse(mut writer: QuietWriter, sentence: String) {
    tokio::task::spawn_local(async move {
        let error = Some(Failure::new(FailureCode::WrongState, sentence));
        if let Some(frame) = encode(ReportBody::Reply { op: 0, error }, 0) {
            // Whether the stranger reads it is its own affair.
            let _ = tokio::time::timeout(HELLO_TIMEOUT, writer.write_all(&frame)).await;
        }
    });
}

async fn read_frame(stream: &mut (impl AsyncReadExt + Unpin), frame: &mut Vec<u8>) -> io::Result<()> {
    let length = stream.read_u32().await? as usize;
    if length > MAX_FRAME_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a frame is longer than 1 MiB",
        ));
    }
    frame.resize(length, 0);
    stream.read_exact(frame).await?;
    Ok(())
}

async fn read_operations(read: QuietReader, epoch: u64, events: mpsc::Sender<ControlEvent>) {
    let mut read = BufReader::with_capacity(32 << 10, read);
    let mut frame = Vec::new();
    let why = loop {
        if let Err(error) = read_frame(&mut read, &mut frame).await {
            break error.to_string();
        }
        match rmp_serde::from_slice(&frame) {
            Ok(operation) => {
                let event = ControlEvent::Operation(epoch, Box::new(operation));
                if events.send(event).await.is_err() {
                    return;
                }
            }
            Err(error) => break format!("a frame does not parse: {error}"),
        }
    };
    // Core is gone only when the process ends.
    let _ = events.send(ControlEvent::Gone(epoch, why)).await;
}

/// Writes whatever waits at once; what core reports in one turn of the loop goes out in one write.
async fn write_reports(
    mut write: QuietWriter,
    epoch: u64,
    outbox: Rc<RefCell<Outbox>>,
    wake: Rc<Notify>,
    events: mpsc::Sender<ControlEvent>,
) {
    let mut buffer = Vec::new();
    loop {
        wake.notified().await;
        loop {
            outbox.borrow_mut().take(&mut buffer);
            if buffer.is_empty() {
                break;
            }
            if let Err(error) = write.write_all(&buffer).await {
                // Core is gone only when the process ends.
                let _ = events.send(ControlEvent::Gone(epoch, error.to_string())).await;
                return;
            }
        }
    }
}
