//! File descriptors: how many this process may have, and how many calls they suffice for.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Of RTP and RTCP.
const OF_A_CALL: u64 = 2;
/// Held back for recordings, prompts and SIP connections; half of what there is, if that is less.
const HELD_BACK: u64 = 256;

/// Raise the soft limit to the hard one; returns it. Many systems begin with 1,024.
pub fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let limit = if setrlimit(Resource::Nofile, raised).is_ok() {
        raised
    } else {
        limit
    };
    limit.current.unwrap_or(u64::MAX)
}

/// So many calls at once do not take what is held back.
pub fn calls_for(limit: u64) -> usize {
    let free = limit - HELD_BACK.min(limit / 2);
    usize::try_from(free / OF_A_CALL).unwrap_or(usize::MAX).max(1)
}

/// What so many calls need.
pub fn needed_for(calls: usize) -> u64 {
    calls as u64 * OF_A_CALL + HELD_BACK
}

/// Why no media can be sent.
#[derive(Debug)]
pub enum NoWay {
    /// The network says no: another address may do.
    Network(io::Error),
    /// This machine has no descriptor, port or memory left: later may do.
    Shortage(io::Error),
}

impl From<io::Error> for NoWay {
    fn from(error: io::Error) -> Self {
        if is_shortage(&error) {
            Self::Shortage(error)
        } else {
            Self::Network(error)
        }
    }
}

/// The machine is short of something, for the moment.
pub fn is_shortage(error: &io::Error) -> bool {
    let of_machine = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::ADDRINUSE,
    ];
    error
        .raw_os_error()
        .is_some_and(|raw| of_machine.contains(&Errno::from_raw_os_error(raw)))
}

/// Whether there is a way from our address to all of these, as far as this machine knows.
pub fn can_reach(ours: IpAddr, remotes: &[SocketAddr]) -> Result<(), NoWay> {
    let socket = UdpSocket::bind((ours, 0))?;
    for remote in remotes {
        socket.connect(remote)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_leave_256_descriptors_or_half_of_them_to_files_and_connections() {
        for (limit, calls) in [(0, 1), (3, 1), (64, 16), (512, 128), (1024, 384), (4256, 2000)] {
            assert_eq!(calls_for(limit), calls, "{limit}");
        }
        assert_eq!(calls_for(u64::MAX), ((u64::MAX - 256) / 2) as usize);
        assert_eq!(calls_for(needed_for(2000)), 2000);
    }
}
