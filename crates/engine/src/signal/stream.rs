//! TCP connections: bounded in number, in what waits to be sent and in time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use offhook_sip::Flow;
use offhook_words::Transport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

/// One read, and so what one connection may say in a turn.
const PIECE_BYTES: usize = 8 * 1024;
/// Pieces of all connections that wait; each connection has one at most, and they queue in order of arrival.
const PIECES: usize = 16;
/// What may wait to be sent on one connection; beyond it the peer does not read, and is closed.
const UNSENT_BYTES: usize = 256 * 1024;
const UNSENT_MESSAGES: usize = 512;
const CONNECTIONS_AN_ADDRESS: usize = 32;
const CONNECTIONS: usize = 4_096;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// A peer that connects says a whole message within this.
const FIRST_MESSAGE: Duration = Duration::from_secs(10);
const LAST_WRITES: Duration = Duration::from_millis(500);

/// What one connection said; no bytes: it is over.
pub(super) struct Piece {
    pub(super) connection: u64,
    pub(super) bytes: Option<Vec<u8>>,
}

struct Stream {
    flow: Flow,
    unsent: mpsc::Sender<Vec<u8>>,
    unsent_bytes: Arc<AtomicUsize>,
    reader: AbortHandle,
    /// Until when the peer has to have said its first message; none for one that did, or to whom we speak first.
    speaks_by: Option<Duration>,
    /// When the peer last said a whole message, or a ping.
    heard: Duration,
}

impl Stream {
    /// When to look at it again; none if it is to be closed.
    fn look(&self, now: Duration, idle: Duration, is_used: impl Fn(Flow) -> bool) -> Option<Duration> {
        let idle_at = self.heard.saturating_add(idle);
        let next = if idle_at > now {
            idle_at
        } else {
            now.saturating_add(idle)
        };
        match self.speaks_by {
            Some(at) if at <= now => None,
            _ if idle_at <= now && !is_used(self.flow) => None,
            Some(at) => Some(next.min(at)),
            None => Some(next),
        }
    }
}

pub(super) struct Streams {
    open: HashMap<u64, Stream>,
    by_peer: HashMap<SocketAddr, u64>,
    by_address: HashMap<IpAddr, usize>,
    /// So many at once.
    most: usize,
    idle: Duration,
    /// When to look at each connection again, the earliest first.
    looks: BinaryHeap<Reverse<(Duration, u64)>>,
    pieces: mpsc::Receiver<Piece>,
    pieces_in: mpsc::Sender<Piece>,
    tasks: JoinSet<()>,
    next: u64,
}

impl Streams {
    pub(super) fn new(idle: Duration) -> Self {
        let (pieces_in, pieces) = mpsc::channel(PIECES);
        Self {
            open: HashMap::new(),
            by_peer: HashMap::new(),
            by_address: HashMap::new(),
            most: CONNECTIONS,
            idle,
            looks: BinaryHeap::new(),
            pieces,
            pieces_in,
            tasks: JoinSet::new(),
            next: 1,
        }
    }

    pub(super) fn flow(&self, connection: u64) -> Option<Flow> {
        self.open.get(&connection).map(|stream| stream.flow)
    }

    pub(super) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        // Ended tasks are collected so that their handles do not pile up.
        while self.tasks.try_join_next().is_some() {}
        self.pieces.poll_recv(context)
    }

    /// Serve a connection that a peer opened; over the limits it is closed.
    pub(super) fn take(&mut self, socket: TcpStream, local: SocketAddr, peer: SocketAddr, now: Duration) {
        let of_address = self.by_address.get(&peer.ip()).copied().unwrap_or_default();
        if of_address >= CONNECTIONS_AN_ADDRESS || self.open.len() >= self.most {
            return;
        }
        let connection = self.enter(local, peer, now, |pieces, unsent, counter, connection| {
            std::future::ready(Some(serve(socket, connection, pieces, unsent, counter)))
        });
        if let Some(stream) = self.open.get_mut(&connection) {
            stream.speaks_by = Some(now + FIRST_MESSAGE);
        }
        self.looks
            .push(Reverse((now + self.idle.min(FIRST_MESSAGE), connection)));
    }

    /// Queue bytes for a connection; opens one where the flow names none. The error is the flow that is lost.
    pub(super) fn send(&mut self, flow: Flow, bytes: Vec<u8>, now: Duration) -> Result<(), Flow> {
        let connection = match flow.connection {
            0 => match self.by_peer.get(&flow.peer) {
                Some(connection) => *connection,
                None if self.open.len() >= self.most => return Err(flow),
                None => {
                    let connection = self.enter(flow.local, flow.peer, now, |pieces, unsent, counter, connection| {
                        connect(flow, connection, pieces, unsent, counter)
                    });
                    self.looks.push(Reverse((now + self.idle, connection)));
                    connection
                }
            },
            named => named,
        };
        let stream = self.open.get(&connection).ok_or(flow)?;
        let size = bytes.len();
        if stream.unsent_bytes.load(Ordering::Relaxed).saturating_add(size) > UNSENT_BYTES {
            return Err(stream.flow);
        }
        stream.unsent_bytes.fetch_add(size, Ordering::Relaxed);
        stream.unsent.try_send(bytes).map_err(|_| stream.flow)
    }

    /// It said a whole message.
    pub(super) fn spoke(&mut self, connection: u64, now: Duration) {
        if let Some(stream) = self.open.get_mut(&connection) {
            stream.speaks_by = None;
            stream.heard = now;
        }
    }

    /// It keeps the connection open (RFC 5626, section 4.4.1).
    pub(super) fn pinged(&mut self, connection: u64, now: Duration) {
        if let Some(stream) = self.open.get_mut(&connection) {
            stream.heard = now;
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.looks.peek().map(|Reverse((at, _))| *at)
    }

    /// The connections whose first message did not come in time, and those that neither side needs any more.
    pub(super) fn overdue(&mut self, now: Duration, is_used: impl Fn(Flow) -> bool) -> Vec<Flow> {
        let mut flows = Vec::new();
        while let Some(Reverse((at, connection))) = self.looks.peek().copied() {
            if at > now {
                break;
            }
            self.looks.pop();
            let Some(stream) = self.open.get(&connection) else {
                continue;
            };
            if let Some(next) = stream.look(now, self.idle, &is_used) {
                self.looks.push(Reverse((next, connection)));
            } else {
                flows.push(stream.flow);
            }
        }
        flows
    }

    /// Read no more; what is queued still goes out.
    pub(super) fn close(&mut self, connection: u64) {
        let Some(stream) = self.open.remove(&connection) else {
            return;
        };
        stream.reader.abort();
        if self.by_peer.get(&stream.flow.peer) == Some(&connection) {
            self.by_peer.remove(&stream.flow.peer);
        }
        if let Some(count) = self.by_address.get_mut(&stream.flow.peer.ip()) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_address.remove(&stream.flow.peer.ip());
            }
        }
    }

    pub(super) async fn shutdown(mut self) {
        let open: Vec<u64> = self.open.keys().copied().collect();
        for connection in open {
            self.close(connection);
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        // Who does not read for this long loses the rest.
        let _timed_out = tokio::time::timeout(LAST_WRITES, all).await;
    }

    fn enter<F, T>(&mut self, local: SocketAddr, peer: SocketAddr, now: Duration, task: F) -> u64
    where
        F: FnOnce(mpsc::Sender<Piece>, mpsc::Receiver<Vec<u8>>, Arc<AtomicUsize>, u64) -> T,
        T: Future<Output = Option<(Reading, Writing)>> + Send + 'static,
    {
        let connection = self.next;
        self.next += 1;
        let flow = Flow {
            transport: Transport::Tcp,
            local,
            peer,
            connection,
        };
        let (unsent, to_send) = mpsc::channel(UNSENT_MESSAGES);
        let unsent_bytes = Arc::new(AtomicUsize::new(0));
        let opening = task(self.pieces_in.clone(), to_send, Arc::clone(&unsent_bytes), connection);
        let (ready, halves) = tokio::sync::oneshot::channel();
        let pieces = self.pieces_in.clone();
        let reader = self.tasks.spawn(async move {
            if let Ok(reading) = halves.await {
                read(reading).await;
            }
            // Whatever ended it; nobody listens any more where the machine itself is gone.
            let _ = pieces
                .send(Piece {
                    connection,
                    bytes: None,
                })
                .await;
        });
        self.tasks.spawn(async move {
            if let Some((reading, writing)) = opening.await {
                let _reader_gone = ready.send(reading);
                write(writing).await;
            }
        });
        self.open.insert(
            connection,
            Stream {
                flow,
                unsent,
                unsent_bytes,
                reader,
                speaks_by: None,
                heard: now,
            },
        );
        self.by_peer.insert(peer, connection);
        *self.by_address.entry(peer.ip()).or_default() += 1;
        connection
    }
}

struct Reading {
    connection: u64,
    half: OwnedReadHalf,
    pieces: mpsc::Sender<Piece>,
}

struct Writing {
    connection: u64,
    half: OwnedWriteHalf,
    unsent: mpsc::Receiver<Vec<u8>>,
    unsent_bytes: Arc<AtomicUsize>,
    pieces: mpsc::Sender<Piece>,
}

async fn connect(
    flow: Flow,
    connection: u64,
    pieces: mpsc::Sender<Piece>,
    unsent: mpsc::Receiver<Vec<u8>>,
    unsent_bytes: Arc<AtomicUsize>,
) -> Option<(Reading, Writing)> {
    let opened = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(flow.peer)).await;
    match opened {
        Ok(Ok(socket)) => Some(serve(socket, connection, pieces, unsent, unsent_bytes)),
        // The reader tells of the end when its half never comes.
        Ok(Err(_)) | Err(_) => None,
    }
}

fn serve(
    socket: TcpStream,
    connection: u64,
    pieces: mpsc::Sender<Piece>,
    unsent: mpsc::Receiver<Vec<u8>>,
    unsent_bytes: Arc<AtomicUsize>,
) -> (Reading, Writing) {
    // A peer that is gone already shows in the first read.
    let _ = socket.set_nodelay(true);
    let (read_half, write_half) = socket.into_split();
    let reading = Reading {
        connection,
        half: read_half,
        pieces: pieces.clone(),
    };
    (
        reading,
        Writing {
            connection,
            half: write_half,
            unsent,
            unsent_bytes,
            pieces,
        },
    )
}

async fn read(mut reading: Reading) {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let Ok(length @ 1..) = reading.half.read(&mut buffer).await else {
            return;
        };
        let bytes = buffer.get(..length).map(<[u8]>::to_vec);
        // Waiting here slows this peer and nobody else.
        if reading
            .pieces
            .send(Piece {
                connection: reading.connection,
                bytes,
            })
            .await
            .is_err()
        {
            return;
        }
    }
}

async fn write(mut writing: Writing) {
    while let Some(bytes) = writing.unsent.recv().await {
        let size = bytes.len();
        let written = tokio::time::timeout(WRITE_TIMEOUT, writing.half.write_all(&bytes)).await;
        if !matches!(written, Ok(Ok(()))) {
            // Where the machine is gone nobody has to be told.
            let _ = writing
                .pieces
                .send(Piece {
                    connection: writing.connection,
                    bytes: None,
                })
                .await;
            return;
        }
        writing.unsent_bytes.fetch_sub(size, Ordering::Relaxed);
    }
    // The peer may have closed first.
    let _ = writing.half.shutdown().await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::net::TcpListener;

    use super::{Duration, FIRST_MESSAGE, Streams, UNSENT_BYTES};

    const IDLE: Duration = Duration::from_secs(120);

    async fn connected() -> (Streams, tokio::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let local = listener.local_addr().unwrap();
        let (peer, accepted) = tokio::join!(tokio::net::TcpStream::connect(local), listener.accept());
        let (socket, address) = accepted.unwrap();
        let mut streams = Streams::new(IDLE);
        streams.take(socket, local, address, Duration::ZERO);
        (streams, peer.unwrap())
    }

    #[tokio::test]
    async fn who_says_no_whole_message_within_10_s_is_overdue_and_who_did_is_not() {
        let (mut silent, _peer) = connected().await;
        assert_eq!(silent.deadline(), Some(FIRST_MESSAGE));
        assert!(silent.overdue(Duration::from_millis(9_999), |_| true).is_empty());
        assert_eq!(silent.overdue(FIRST_MESSAGE, |_| true).len(), 1);
        let (mut spoken, _peer) = connected().await;
        spoken.spoke(1, Duration::from_secs(4));
        assert!(spoken.overdue(FIRST_MESSAGE, |_| false).is_empty());
        assert_eq!(spoken.deadline(), Some(Duration::from_secs(124)));
    }

    #[tokio::test]
    async fn an_idle_connection_is_overdue_unless_it_is_used_or_pinged() {
        let at = Duration::from_secs;
        let (mut streams, _peer) = connected().await;
        streams.spoke(1, at(1));
        assert!(streams.overdue(at(121), |_| true).is_empty(), "a call lives on it");
        streams.pinged(1, at(200));
        assert!(streams.overdue(at(241), |_| false).is_empty());
        assert_eq!(streams.deadline(), Some(at(320)));
        assert_eq!(streams.overdue(at(320), |_| false).len(), 1);
        streams.close(1);
        assert_eq!(streams.deadline(), None);
    }

    #[tokio::test]
    async fn what_waits_to_be_sent_is_bounded() {
        let (mut streams, _peer) = connected().await;
        let flow = streams.flow(1).unwrap();
        assert!(streams.send(flow, vec![0; UNSENT_BYTES], Duration::ZERO).is_ok());
        assert_eq!(streams.send(flow, vec![0], Duration::ZERO), Err(flow));
        streams.close(1);
        assert_eq!(streams.send(flow, vec![0], Duration::ZERO), Err(flow));
    }

    #[tokio::test]
    async fn connections_of_all_addresses_together_are_bounded_those_that_we_open_too() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let local = listener.local_addr().unwrap();
        let mut streams = Streams::new(IDLE);
        streams.most = 40;
        let mut peers = Vec::new();
        for last in 1..=5 {
            for _ in 0..10 {
                let socket = tokio::net::TcpSocket::new_v4().unwrap();
                socket.bind(std::net::SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
                let (peer, accepted) = tokio::join!(socket.connect(local), listener.accept());
                let (accepted, address) = accepted.unwrap();
                streams.take(accepted, local, address, Duration::ZERO);
                peers.push(peer.unwrap());
            }
        }
        assert_eq!((streams.open.len(), streams.tasks.len()), (40, 80));
        let other = offhook_sip::Flow {
            peer: "127.0.0.9:5060".parse().unwrap(),
            connection: 0,
            ..streams.flow(1).unwrap()
        };
        assert_eq!(streams.send(other, vec![0], Duration::ZERO), Err(other));
        streams.close(1);
        assert!(streams.send(other, vec![0], Duration::ZERO).is_ok());
    }

    /// The next piece, which tells of an end, and how long it took by the clock that jumps while nothing happens.
    async fn ended_after(streams: &mut Streams) -> Duration {
        tokio::time::pause();
        let begun = tokio::time::Instant::now();
        let next = std::future::poll_fn(|context| streams.poll_piece(context));
        let piece = tokio::time::timeout(Duration::from_secs(60), next)
            .await
            .unwrap()
            .unwrap();
        assert!((piece.connection, piece.bytes) == (1, None));
        begun.elapsed()
    }

    /// Whether a time is 5 s, but for the turns of the timer.
    fn is_five_seconds(time: Duration) -> bool {
        time >= Duration::from_secs(5) && time < Duration::from_millis(5_100)
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_for_5_s_is_told_to_be_gone() {
        let listener = tokio::net::TcpSocket::new_v4().unwrap();
        listener.set_send_buffer_size(4_096).unwrap();
        listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = listener.listen(1).unwrap();
        let local = listener.local_addr().unwrap();
        let peer = tokio::net::TcpSocket::new_v4().unwrap();
        peer.set_recv_buffer_size(4_096).unwrap();
        let (peer, accepted) = tokio::join!(peer.connect(local), listener.accept());
        let (socket, address) = accepted.unwrap();
        let mut streams = Streams::new(IDLE);
        streams.take(socket, local, address, Duration::ZERO);
        let flow = streams.flow(1).unwrap();
        assert!(streams.send(flow, vec![0; UNSENT_BYTES], Duration::ZERO).is_ok());
        let time = ended_after(&mut streams).await;
        assert!(is_five_seconds(time), "{time:?}");
        drop(peer);
    }

    #[tokio::test]
    async fn a_peer_that_does_not_take_our_connection_for_5_s_is_told_to_be_gone() {
        let listener = tokio::net::TcpSocket::new_v4().unwrap();
        listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = listener.listen(1).unwrap();
        let local = listener.local_addr().unwrap();
        // Who listens and takes nobody: two wait with the kernel, the next SYN gets no answer.
        let mut waiting = Vec::new();
        for _ in 0..2 {
            waiting.push(tokio::net::TcpStream::connect(local).await.unwrap());
        }
        let mut streams = Streams::new(IDLE);
        let flow = offhook_sip::Flow {
            transport: offhook_words::Transport::Tcp,
            local: "127.0.0.1:5060".parse().unwrap(),
            peer: local,
            connection: 0,
        };
        assert!(streams.send(flow, vec![0], Duration::ZERO).is_ok());
        let time = ended_after(&mut streams).await;
        assert!(is_five_seconds(time), "{time:?}");
        drop((listener, waiting));
    }

    #[tokio::test]
    async fn messages_that_wait_to_be_sent_are_bounded_in_number() {
        let (mut streams, _peer) = connected().await;
        let flow = streams.flow(1).unwrap();
        let sent = (0..1_000)
            .filter(|_| streams.send(flow, vec![0], Duration::ZERO).is_ok())
            .count();
        assert_eq!(sent, super::UNSENT_MESSAGES);
    }
}
