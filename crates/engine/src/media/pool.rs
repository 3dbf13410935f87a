//! The pool as core holds it: legs, ports, and the check of every command.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use super::api::{
    LegKey, MediaCommand, MediaConfig, MediaEvent, Refusal, RefusalCode, StreamParameters,
};

/// Called from media threads when events wait. Must not block.
pub type Waker = Box<dyn Fn() + Send + Sync>;

/// Two UDP sockets of a leg to be: RTP on an even port, RTCP on the next.
#[derive(Debug)]
pub struct BoundPort {
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
    pub(super) address: SocketAddr,
}

impl BoundPort {
    /// Address and port of the RTP socket, for the SDP.
    pub fn rtp_address(&self) -> SocketAddr {
        self.address
    }
}

/// All media of the engine.
pub struct MediaPool {
    _config: MediaConfig,
    _wake: Waker,
}

fn unbuilt() -> Refusal {
    Refusal {
        code: RefusalCode::Internal,
        message: "media threads are not part of this build yet".to_owned(),
    }
}

impl MediaPool {
    /// Open the directories and start the threads.
    pub fn start(config: MediaConfig, wake: Waker) -> io::Result<Self> {
        Ok(Self {
            _config: config,
            _wake: wake,
        })
    }

    /// Two free ports on `ip`, RTP on an even one. Dropped unused, they are free again.
    pub fn bind(&mut self, ip: IpAddr) -> io::Result<BoundPort> {
        let rtp = UdpSocket::bind((ip, 0))?;
        let rtcp = UdpSocket::bind((ip, 0))?;
        let address = rtp.local_addr()?;
        Ok(BoundPort { rtp, rtcp, address })
    }

    /// A new leg, silent until it is connected.
    pub fn open(&mut self, _leg: LegKey, _port: BoundPort) -> Result<(), Refusal> {
        Err(unbuilt())
    }

    /// Start or move the media of a leg (first SDP, re-INVITE).
    pub fn connect(&mut self, _leg: LegKey, _parameters: StreamParameters) -> Result<(), Refusal> {
        Err(unbuilt())
    }

    /// Start an operation, or tell one what to do. `Err`: refused, nothing will follow.
    pub fn command(&mut self, _command: MediaCommand) -> Result<(), Refusal> {
        Err(unbuilt())
    }

    /// End all operations of the leg, say BYE on RTCP, and report `Closed`. Unknown legs are ignored.
    pub fn close(&mut self, _leg: LegKey) {}

    /// The next event, if one waits.
    pub fn poll_event(&mut self) -> Option<MediaEvent> {
        None
    }
}
