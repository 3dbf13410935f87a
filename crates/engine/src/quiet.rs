//! Sockets that are watched for what comes in alone.
//!
//! A socket of tokio's is also told whenever the peer has read something (epoll(7), `EPOLLOUT`, edge-triggered): on the
//! control socket and the SIP socket that was every third wake of this process, for nothing.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, Interest, ReadBuf};

/// The reading half of a stream.
#[derive(Debug)]
pub struct QuietReader(AsyncFd<UnixStream>);

/// The writing half of a stream; watched only while the peer does not read.
#[derive(Debug)]
pub struct QuietWriter(UnixStream);

/// Both halves of a stream of tokio's, which is not watched any more.
pub fn split(stream: tokio::net::UnixStream) -> io::Result<(QuietReader, QuietWriter)> {
    let stream = stream.into_std()?;
    let writer = QuietWriter(stream.try_clone()?);
    Ok((QuietReader(watch(stream, Interest::READABLE)?), writer))
}

/// Sound because `OwnedFd` stands behind each socket: its descriptor is open, and its own, as long as it lives.
#[expect(
    deprecated,
    reason = "what replaced it wants unsafe code, for types that promise less"
)]
fn watch<T: AsRawFd + Into<OwnedFd>>(socket: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(socket, interest)
}

impl AsyncRead for QuietReader {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(context))?;
            let room = buffer.initialize_unfilled();
            let wanted = room.len();
            match guard.try_io(|stream| stream.get_ref().read(room)) {
                Ok(Ok(length)) => {
                    if 0 < length && length < wanted {
                        // That was all; what comes next is told anew.
                        guard.clear_ready();
                    }
                    buffer.advance(length);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl QuietWriter {
    /// Write all of it, waiting for the peer where its buffer is full.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.0.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => rest = rest.get(length..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.room().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn room(&self) -> io::Result<()> {
        let watched = watch(self.0.try_clone()?, Interest::WRITABLE)?;
        watched.writable().await?.retain_ready();
        Ok(())
    }
}

/// A datagram socket.
#[derive(Debug)]
pub struct QuietDatagrams(AsyncFd<UdpSocket>);

impl QuietDatagrams {
    /// Bind it.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok(Self(watch(socket, Interest::READABLE)?))
    }

    /// The socket itself.
    pub fn socket(&self) -> &UdpSocket {
        self.0.get_ref()
    }

    /// Whether something may have come.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_read_ready(context).map_ok(|mut guard| guard.retain_ready())
    }

    /// Take one datagram; `WouldBlock` when there is none.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.try_io(Interest::READABLE, |socket| socket.recv_from(buffer))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    }

    #[test]
    fn a_writer_waits_for_a_peer_that_does_not_read_and_loses_nothing() {
        runtime().block_on(async {
            let (ours, mut theirs) = tokio::net::UnixStream::pair().unwrap();
            let (_reader, mut writer) = split(ours).unwrap();
            let sent: Vec<u8> = (0..4_000_000_u32).map(|at| at as u8).collect();
            let expected = sent.clone();
            let writing = async move { writer.write_all(&sent).await };
            let reading = async move {
                tokio::task::yield_now().await;
                let mut got = vec![0; expected.len()];
                theirs.read_exact(&mut got).await.unwrap();
                assert!(got == expected);
            };
            let (written, ()) = tokio::join!(writing, reading);
            written.unwrap();
        });
    }

    #[test]
    fn a_reader_gets_what_comes_in_pieces_and_the_end() {
        runtime().block_on(async {
            let (ours, mut theirs) = tokio::net::UnixStream::pair().unwrap();
            let (mut reader, _writer) = split(ours).unwrap();
            let writing = async move {
                for piece in ["one ", "two ", "three"] {
                    theirs.write_all(piece.as_bytes()).await.unwrap();
                    tokio::task::yield_now().await;
                }
            };
            let mut text = String::new();
            let (read, ()) = tokio::join!(reader.read_to_string(&mut text), writing);
            assert_eq!((read.unwrap(), text.as_str()), (13, "one two three"));
        });
    }

    #[test]
    fn a_peer_that_is_gone_is_an_error_of_the_writer() {
        runtime().block_on(async {
            let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
            let (_reader, mut writer) = split(ours).unwrap();
            drop(theirs);
            let error = writer.write_all(b"anything").await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        });
    }

    #[test]
    fn datagrams_come_one_by_one_until_there_is_none() {
        runtime().block_on(async {
            let ours = QuietDatagrams::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
            let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
            let address = ours.socket().local_addr().unwrap();
            for _ in 0..2 {
                peer.send_to(b"one", address).unwrap();
                peer.send_to(b"two!", address).unwrap();
                std::future::poll_fn(|context| ours.poll_readable(context))
                    .await
                    .unwrap();
                let mut buffer = [0; 16];
                assert_eq!(ours.receive(&mut buffer).unwrap().0, 3);
                assert_eq!(ours.receive(&mut buffer).unwrap().0, 4);
                let error = ours.receive(&mut buffer).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            }
        });
    }
}
