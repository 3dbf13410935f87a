//! The user agent: feed, drain, re-arm one timer.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use crate::api::{Command, CommandError, Flow, LegKey, Output};

/// Where random bytes come from (tags, branches, Call-IDs).
pub trait Dice: Send {
    /// Fill `bytes` with what no peer can guess.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// What an agent needs to know once.
#[derive(Debug, Clone)]
pub struct Config {
    /// For Server and User-Agent.
    pub product: String,
    /// Beyond this many legs an INVITE gets 503.
    pub max_legs: usize,
    /// Whether new INVITEs are taken at the start; see [`Agent::set_open`].
    pub open: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            product: "offhook".to_owned(),
            max_legs: 5_000,
            open: true,
        }
    }
}

/// A SIP user agent without IO.
pub struct Agent {
    outputs: VecDeque<Output>,
    next_leg: u64,
}

impl Agent {
    /// An agent without legs.
    pub fn new(_config: Config, _dice: Box<dyn Dice>) -> Self {
        Self {
            outputs: VecDeque::new(),
            next_leg: 1,
        }
    }

    /// A key for a leg that [`Command::Invite`] is to make.
    pub fn allocate_leg(&mut self) -> LegKey {
        let key = LegKey(self.next_leg);
        self.next_leg += 1;
        key
    }

    /// Take new INVITEs, or refuse each with 503 and this sentence.
    pub fn set_open(&mut self, _refusal: Option<String>) {}

    /// Feed what came from a flow: a datagram, or any piece of a connection's byte stream.
    ///
    /// An error is a stream that cannot be framed any more: the driver closes the connection and then calls
    /// [`Agent::on_flow_closed`].
    pub fn receive(
        &mut self,
        _flow: Flow,
        _bytes: &[u8],
        _now: Duration,
    ) -> Result<(), FramingLost> {
        Ok(())
    }

    /// Feed a command.
    pub fn command(&mut self, _command: Command, _now: Duration) -> Result<(), CommandError> {
        Ok(())
    }

    /// Feed the time; call it when [`Agent::poll_deadline`] is over.
    pub fn on_time(&mut self, _now: Duration) {}

    /// A connection is gone, could not be opened, or a datagram could not be sent.
    pub fn on_flow_closed(&mut self, _flow: Flow, _now: Duration) {}

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Agent::on_time`].
    pub fn poll_deadline(&self) -> Option<Duration> {
        None
    }

    /// Whether a live leg was dialled to this address, so that its packets are no stranger's.
    pub fn is_dialled(&self, _ip: IpAddr) -> bool {
        false
    }
}

/// A byte stream that cannot be split into messages any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramingLost;
