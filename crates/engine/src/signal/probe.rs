//! Whether a datagram would arrive: asked from a socket of its own, which alone hears what ICMP says.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use offhook_sip::Flow;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// Questions at once; more calls wait for their time-out as ever.
const PROBES: usize = 256;
const WAIT: Duration = Duration::from_secs(1);
/// A keep-alive: whoever serves SIP ignores it (RFC 3261, section 7.5).
const QUESTION: &[u8] = b"\r\n\r\n";

pub(super) struct Probes(JoinSet<Option<Flow>>);

impl Probes {
    pub(super) fn new() -> Self {
        Self(JoinSet::new())
    }

    pub(super) fn ask(&mut self, flow: Flow) {
        if self.0.len() < PROBES {
            self.0.spawn(async move {
                let outcome = ask(flow.local, flow.peer).await;
                outcome.is_err_and(|error| is_final(&error)).then_some(flow)
            });
        }
    }

    /// The next flow by which nothing arrives.
    pub(super) fn poll_dead(&mut self, context: &mut Context<'_>) -> Poll<Flow> {
        while let Poll::Ready(Some(ended)) = self.0.poll_join_next(context) {
            if let Ok(Some(flow)) = ended {
                return Poll::Ready(flow);
            }
        }
        Poll::Pending
    }
}

fn is_final(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable
    )
}

/// An error is the network's answer; silence and any datagram are none.
async fn ask(local: SocketAddr, peer: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind(SocketAddr::new(local.ip(), 0)).await?;
    socket.connect(peer).await?;
    socket.send(QUESTION).await?;
    match tokio::time::timeout(WAIT, socket.recv(&mut [0; 4])).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use offhook_words::Transport;

    use super::*;

    #[tokio::test]
    async fn a_thousand_silent_calls_ask_256_questions() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let flow = Flow {
            transport: Transport::Udp,
            local: "127.0.0.1:5060".parse().unwrap(),
            peer: silent.local_addr().unwrap(),
            connection: 0,
        };
        let mut probes = Probes::new();
        for _ in 0..1_000 {
            probes.ask(flow);
        }
        assert_eq!(probes.0.len(), PROBES);
    }
}
