//! The command line.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// What `--help` prints.
pub const USAGE: &str = "\
offhook-engine: SIP and media for an offhook node, which starts it.

  --socket PATH           control socket; its directory must be ours alone (0700)
  --secret-fd N           read end of a pipe with the 32 bytes that the node must say
  --prompts DIR           audio to play, written by the node
  --recordings DIR        recordings, written by the engine
  --sip-udp IP:PORT       where SIP listens (default 127.0.0.1:5060); port 0: any free one
  --sip-tcp IP:PORT       the same for TCP: the same address, or its port 0
  --rtp-ip IP             address of the media sockets (default 127.0.0.1)
  --rtp-ports A-B         their ports (default 16384-32767)
  --trust CIDR            whose SIP is answered; may be repeated (default 127.0.0.0/8 and ::1/128)
  --orphan-s N            without a node for so long: end all calls and exit (default 30)
  --media-timeout-s N     without RTP for so long: end the call (default 60)
  --tcp-idle-s N          a SIP connection that nobody uses for so long is closed (default 120)
  --max-legs N            more calls get 503 (default 2000)
  --lifeline-fd N         read end of a pipe; when the other end closes: end all calls and exit
  --log-level LEVEL       info, or debug: a line for each call that ends as calls do (default info)
  --ready-fd N            write end of a pipe; a line is written when all sockets listen, then a byte a second
";

/// How this process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Control socket.
    pub socket: PathBuf,
    /// Where the secret comes from.
    pub secret_fd: u32,
    /// Audio to play.
    pub prompts: PathBuf,
    /// Recordings.
    pub recordings: PathBuf,
    /// SIP over UDP.
    pub sip_udp: SocketAddr,
    /// SIP over TCP: on the port of UDP.
    pub sip_tcp: Option<SocketAddr>,
    /// Address of the media sockets.
    pub rtp_ip: IpAddr,
    /// Ports of the media sockets.
    pub rtp_ports: RangeInclusive<u16>,
    /// Whose SIP is answered.
    pub trust: Vec<String>,
    /// How long to live without a node.
    pub orphan: Duration,
    /// How long a call lives without RTP.
    pub media_timeout: Duration,
    /// How long a SIP connection lives that nobody uses.
    pub tcp_idle: Duration,
    /// Calls at once.
    pub max_legs: usize,
    /// End of file on it ends this process.
    pub lifeline_fd: Option<u32>,
    /// Whether each call has a line in the log.
    pub logs_all: bool,
    /// Told when all sockets listen.
    pub ready_fd: Option<u32>,
}

impl Config {
    /// Read the arguments (without the program's name).
    ///
    /// An error is a sentence that names the flag and says what it takes.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut config = Self {
            socket: PathBuf::new(),
            secret_fd: u32::MAX,
            prompts: PathBuf::new(),
            recordings: PathBuf::new(),
            sip_udp: SocketAddr::from((Ipv4Addr::LOCALHOST, 5060)),
            sip_tcp: None,
            rtp_ip: Ipv4Addr::LOCALHOST.into(),
            rtp_ports: 16_384..=32_767,
            trust: Vec::new(),
            orphan: Duration::from_secs(30),
            media_timeout: Duration::from_secs(60),
            tcp_idle: Duration::from_secs(120),
            max_legs: 2000,
            lifeline_fd: None,
            logs_all: false,
            ready_fd: None,
        };
        let mut arguments = arguments.into_iter();
        while let Some(flag) = arguments.next() {
            let value = arguments
                .next()
                .ok_or_else(|| format!("{flag} needs a value; see --help"))?;
            config.set(&flag, &value)?;
        }
        config.check()?;
        Ok(config)
    }

    fn set(&mut self, flag: &str, value: &str) -> Result<(), String> {
        match flag {
            "--socket" => self.socket = value.into(),
            "--secret-fd" => self.secret_fd = read(flag, value, "a descriptor's number")?,
            "--prompts" => self.prompts = value.into(),
            "--recordings" => self.recordings = value.into(),
            "--sip-udp" => self.sip_udp = read(flag, value, "an address with a port, such as 127.0.0.1:5060")?,
            "--sip-tcp" => self.sip_tcp = Some(read(flag, value, "an address with a port, such as 127.0.0.1:5060")?),
            "--rtp-ip" => self.rtp_ip = read(flag, value, "an IP address")?,
            "--rtp-ports" => self.rtp_ports = ports(value)?,
            "--trust" => self.trust.push(value.to_owned()),
            "--orphan-s" => self.orphan = seconds(flag, value)?,
            "--media-timeout-s" => self.media_timeout = seconds(flag, value)?,
            "--tcp-idle-s" => self.tcp_idle = seconds(flag, value)?,
            "--max-legs" => self.max_legs = read(flag, value, "a number")?,
            "--lifeline-fd" => self.lifeline_fd = Some(read(flag, value, "a descriptor's number")?),
            "--log-level" => self.logs_all = level(value)?,
            "--ready-fd" => self.ready_fd = Some(read(flag, value, "a descriptor's number")?),
            _ => return Err(format!("{flag} is not known; see --help")),
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), String> {
        let needed = [
            ("--socket", self.socket.as_os_str().is_empty()),
            ("--prompts", self.prompts.as_os_str().is_empty()),
            ("--recordings", self.recordings.as_os_str().is_empty()),
            ("--secret-fd", self.secret_fd == u32::MAX),
        ];
        for (flag, is_missing) in needed {
            if is_missing {
                return Err(format!("{flag} is needed; see --help"));
            }
        }
        if let Some(tcp) = self.sip_tcp.take()
            && (tcp.ip() != self.sip_udp.ip() || (tcp.port() != 0 && tcp.port() != self.sip_udp.port()))
        {
            return Err("--sip-tcp must be the address of --sip-udp: one port serves both".to_owned());
        }
        if self.trust.is_empty() {
            self.trust = vec!["127.0.0.0/8".to_owned(), "::1/128".to_owned()];
        }
        Ok(())
    }
}

fn read<T: FromStr>(flag: &str, value: &str, takes: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("{flag} takes {takes}, not {value:?}"))
}

fn seconds(flag: &str, value: &str) -> Result<Duration, String> {
    let takes = "a number of seconds between 0.1 and 86400";
    let seconds: f64 = read(flag, value, takes)?;
    if !(0.1..=86_400.0).contains(&seconds) {
        return Err(format!("{flag} takes {takes}, not {value:?}"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn level(value: &str) -> Result<bool, String> {
    match value {
        "info" => Ok(false),
        "debug" => Ok(true),
        _ => Err(format!("--log-level takes info or debug, not {value:?}")),
    }
}

fn ports(value: &str) -> Result<RangeInclusive<u16>, String> {
    let sentence =
        || format!("--rtp-ports takes a range of at least two ports from 1024, such as 16384-32767, not {value:?}");
    let (first, last) = value.split_once('-').ok_or_else(sentence)?;
    let first: u16 = first.parse().map_err(|_| sentence())?;
    let last: u16 = last.parse().map_err(|_| sentence())?;
    if first < 1024 || last <= first {
        return Err(sentence());
    }
    Ok(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Config, String> {
        Config::parse(line.split_whitespace().map(str::to_owned))
    }

    const NEEDED: &str = "--socket /run/o/s --secret-fd 3 --prompts /p --recordings /r";

    #[test]
    fn the_defaults_are_loopback_alone() {
        let config = parse(NEEDED);
        assert_eq!(
            config.as_ref().map(|config| config.sip_udp.ip().is_loopback()),
            Ok(true)
        );
        assert_eq!(config.as_ref().map(|config| config.rtp_ip.is_loopback()), Ok(true));
        assert_eq!(
            config.map(|config| config.trust),
            Ok(vec!["127.0.0.0/8".to_owned(), "::1/128".to_owned()])
        );
    }

    #[test]
    fn each_wrong_value_is_refused_with_a_sentence_that_names_its_flag() {
        for (flag, value) in [
            ("--orphan-s", "0"),
            ("--orphan-s", "NaN"),
            ("--sip-udp", "localhost"),
            ("--rtp-ports", "10-20"),
            ("--rtp-ports", "4000"),
            ("--frobnicate", "1"),
            ("--log-level", "loud"),
            ("--lifeline-fd", "-1"),
            ("--sip-tcp", "127.0.0.1:5070"),
        ] {
            let sentence = parse(&format!("{NEEDED} {flag} {value}"));
            assert!(
                sentence.is_err_and(|sentence| sentence.starts_with(flag)),
                "{flag} {value}"
            );
        }
        assert!(parse("--socket /s").is_err_and(|sentence| sentence.contains("is needed")));
    }
}
