//! RTCP: compound packets of SR, RR, SDES and BYE (RFC 3550 section 6).

use crate::packet::ParseError;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const DESCRIPTION: u8 = 202;
const BYE: u8 = 203;

/// Seconds since 1900, and their fraction in units of 2^-32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// Of microseconds of the Unix epoch.
    pub fn from_unix_us(us: u64) -> Self {
        let seconds = us / 1_000_000 + 2_208_988_800;
        let fraction = ((us % 1_000_000) << 32) / 1_000_000;
        Self((seconds << 32) | fraction)
    }

    /// The middle 32 bits, as report blocks carry them: units of 1/65536 s.
    pub fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// What a sender says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderInfo {
    /// When.
    pub ntp: NtpTime,
    /// The same instant in RTP time.
    pub timestamp: u32,
    /// Sent so far.
    pub packets: u32,
    /// Payload bytes sent so far.
    pub octets: u32,
}

/// What somebody heard of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: u32,
    /// Of 256, since the last report.
    pub fraction_lost: u8,
    /// Since the start; negative when duplicates came. 24 bits.
    pub cumulative_lost: i32,
    /// With its cycles.
    pub highest_sequence: u32,
    /// In samples.
    pub jitter: u32,
    /// Middle of the NTP time of the source's last report; 0: none yet.
    pub last_sender_report: u32,
    /// Since that came, in 1/65536 s.
    pub delay_since: u32,
}

impl ReportBlock {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let word = |at| word_at(bytes, at);
        let losses = word(4)?;
        Some(Self {
            ssrc: word(0)?,
            fraction_lost: (losses >> 24) as u8,
            cumulative_lost: ((losses << 8) as i32) >> 8,
            highest_sequence: word(8)?,
            jitter: word(12)?,
            last_sender_report: word(16)?,
            delay_since: word(20)?,
        })
    }

    /// Round trip in milliseconds, when this block (about us) came at `now`.
    pub fn round_trip_ms(&self, now: NtpTime) -> Option<f32> {
        if self.last_sender_report == 0 {
            return None;
        }
        let trip = now
            .middle()
            .wrapping_sub(self.last_sender_report)
            .wrapping_sub(self.delay_since) as i32;
        (0..60 * 65_536)
            .contains(&trip)
            .then(|| trip as f32 * 1000.0 / 65_536.0)
    }
}

fn word_at(bytes: &[u8], at: usize) -> Option<u32> {
    let (word, _) = bytes.get(at..)?.split_first_chunk::<4>()?;
    Some(u32::from_be_bytes(*word))
}

/// One packet of a compound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtcpPacket {
    /// SR; with the first block, if any.
    Sender {
        /// Who.
        ssrc: u32,
        /// About itself.
        info: SenderInfo,
        /// About one source.
        block: Option<ReportBlock>,
    },
    /// RR; with the first block, if any.
    Receiver {
        /// Who.
        ssrc: u32,
        /// About one source.
        block: Option<ReportBlock>,
    },
    /// BYE of its first source.
    Bye {
        /// Who.
        ssrc: u32,
    },
    /// Anything else: SDES, APP, feedback, extended reports.
    Other(u8),
}

/// The packets of a compound, one after another. The whole was checked when this was made.
#[derive(Debug, Clone)]
pub struct RtcpParser<'a> {
    rest: &'a [u8],
}

impl<'a> RtcpParser<'a> {
    /// Check a datagram as RFC 3550 appendix A.2 has it.
    pub fn new(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let mut rest = datagram;
        let mut is_first = true;
        while !rest.is_empty() || is_first {
            let (head, _) = rest.split_first_chunk::<4>().ok_or(ParseError::Short)?;
            let [flags, kind, high, low] = *head;
            if flags >> 6 != 2 {
                return Err(ParseError::Version);
            }
            if is_first && kind != SENDER_REPORT && kind != RECEIVER_REPORT {
                return Err(ParseError::Type);
            }
            let size = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
            let after = rest.get(size..).ok_or(ParseError::Short)?;
            if flags & 0x20 != 0 && !after.is_empty() {
                return Err(ParseError::Padding);
            }
            rest = after;
            is_first = false;
        }
        Ok(Self { rest: datagram })
    }
}

impl Iterator for RtcpParser<'_> {
    type Item = RtcpPacket;

    fn next(&mut self) -> Option<RtcpPacket> {
        let (head, _) = self.rest.split_first_chunk::<4>()?;
        let [flags, kind, high, low] = *head;
        let size = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
        let packet = self.rest.get(..size)?;
        self.rest = self.rest.get(size..)?;
        Some(parse_one(kind, flags & 0x1f, packet).unwrap_or(RtcpPacket::Other(kind)))
    }
}

fn parse_one(kind: u8, count: u8, packet: &[u8]) -> Option<RtcpPacket> {
    let ssrc = word_at(packet, 4)?;
    let block_at = |at: usize| packet.get(at..).filter(|_| count > 0).and_then(ReportBlock::parse);
    match kind {
        SENDER_REPORT => {
            let ntp = NtpTime(u64::from(word_at(packet, 8)?) << 32 | u64::from(word_at(packet, 12)?));
            let info = SenderInfo {
                ntp,
                timestamp: word_at(packet, 16)?,
                packets: word_at(packet, 20)?,
                octets: word_at(packet, 24)?,
            };
            Some(RtcpPacket::Sender {
                ssrc,
                info,
                block: block_at(28),
            })
        }
        RECEIVER_REPORT => Some(RtcpPacket::Receiver {
            ssrc,
            block: block_at(8),
        }),
        BYE if count > 0 => Some(RtcpPacket::Bye { ssrc }),
        _ => None,
    }
}

/// Microseconds to the next report: 5 s, by dice between half and one and a half of it, and shortened by e - 3/2 for what
/// reconsideration adds where there are many (RFC 3550 section 6.3.1). `dice` is kept by the caller and is not 0.
pub fn rtcp_interval_us(dice: &mut u32) -> u64 {
    const NOMINAL_US: u64 = 5_000_000;
    *dice ^= *dice << 13;
    *dice ^= *dice >> 17;
    *dice ^= *dice << 5;
    let random = NOMINAL_US / 2 + ((NOMINAL_US * u64::from(*dice)) >> 32);
    random * 100_000 / 121_828
}

struct Writer<'a> {
    buffer: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        if let Some(to) = self.buffer.get_mut(self.at..self.at + bytes.len()) {
            to.copy_from_slice(bytes);
            self.at += bytes.len();
        }
    }

    fn word(&mut self, word: u32) {
        self.bytes(&word.to_be_bytes());
    }

    fn head(&mut self, count: u8, kind: u8, words: u16) {
        let [high, low] = words.to_be_bytes();
        self.bytes(&[0x80 | count, kind, high, low]);
    }

    fn block(&mut self, block: &ReportBlock) {
        self.word(block.ssrc);
        self.word(u32::from(block.fraction_lost) << 24 | (block.cumulative_lost as u32 & 0x00ff_ffff));
        for word in [
            block.highest_sequence,
            block.jitter,
            block.last_sender_report,
            block.delay_since,
        ] {
            self.word(word);
        }
    }
}

/// Write a compound: SR (or RR, when nothing was sent since), SDES with the CNAME, and BYE if `bye`. Gives its size.
///
/// `buffer` takes at least 128 bytes; `cname` at most 32.
pub fn write_report(
    buffer: &mut [u8],
    ssrc: u32,
    sender: Option<&SenderInfo>,
    block: Option<&ReportBlock>,
    cname: &str,
    bye: bool,
) -> usize {
    let mut to = Writer { buffer, at: 0 };
    let count = u8::from(block.is_some());
    if let Some(info) = sender {
        to.head(count, SENDER_REPORT, 6 + u16::from(count) * 6);
        to.word(ssrc);
        to.bytes(&info.ntp.0.to_be_bytes());
        for word in [info.timestamp, info.packets, info.octets] {
            to.word(word);
        }
    } else {
        to.head(count, RECEIVER_REPORT, 1 + u16::from(count) * 6);
        to.word(ssrc);
    }
    if let Some(block) = block {
        to.block(block);
    }
    let cname = cname.as_bytes().get(..cname.len().min(32)).unwrap_or(&[]);
    // SSRC, item type and length, the name, and at least one zero, to the next word.
    let words = (4 + 2 + cname.len() + 1).div_ceil(4);
    to.head(1, DESCRIPTION, words as u16);
    to.word(ssrc);
    to.bytes(&[1, cname.len() as u8]);
    to.bytes(cname);
    for _ in 6 + cname.len()..words * 4 {
        to.bytes(&[0]);
    }
    if bye {
        to.head(1, BYE, 1);
        to.word(ssrc);
    }
    to.at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block() -> ReportBlock {
        ReportBlock {
            ssrc: 7,
            fraction_lost: 12,
            cumulative_lost: -3,
            highest_sequence: 70_000,
            jitter: 33,
            last_sender_report: 5,
            delay_since: 6,
        }
    }

    #[test]
    fn a_compound_reads_back() {
        let info = SenderInfo {
            ntp: NtpTime(99),
            timestamp: 1,
            packets: 2,
            octets: 3,
        };
        let mut buffer = [0xee; 128];
        for cname in ["", "a", "ab", "abc", "abcd@offhook"] {
            let size = write_report(&mut buffer, 42, Some(&info), Some(&block()), cname, true);
            assert_eq!(size % 4, 0);
            let packets: Vec<_> = RtcpParser::new(&buffer[..size]).unwrap().collect();
            assert_eq!(
                packets,
                [
                    RtcpPacket::Sender {
                        ssrc: 42,
                        info,
                        block: Some(block())
                    },
                    RtcpPacket::Other(DESCRIPTION),
                    RtcpPacket::Bye { ssrc: 42 }
                ],
                "{cname}"
            );
        }
        let size = write_report(&mut buffer, 42, None, None, "x", false);
        let packets: Vec<_> = RtcpParser::new(&buffer[..size]).unwrap().collect();
        assert_eq!(
            packets,
            [
                RtcpPacket::Receiver { ssrc: 42, block: None },
                RtcpPacket::Other(DESCRIPTION)
            ]
        );
    }

    #[test]
    fn reports_are_2_to_6_s_apart_and_no_two_sources_keep_step() {
        let times = |mut dice: u32| {
            std::iter::repeat_with(move || rtcp_interval_us(&mut dice))
                .take(1000)
                .collect::<Vec<_>>()
        };
        let (one, other) = (times(1), times(2_000_000_000));
        assert!(one.iter().chain(&other).all(|us| (2_052_000..=6_157_000).contains(us)));
        let mean = one.iter().sum::<u64>() / 1000;
        assert!((3_900_000..=4_300_000).contains(&mean), "{mean}");
        let alike = one.iter().zip(&other).filter(|(a, b)| a.abs_diff(**b) < 20_000).count();
        assert!(alike < 30, "{alike} of 1000 in the same tick");
    }

    #[test]
    fn the_round_trip_is_now_less_the_report_less_the_delay() {
        let sent = NtpTime::from_unix_us(1_700_000_000_000_000);
        let now = NtpTime::from_unix_us(1_700_000_000_350_000);
        let block = ReportBlock {
            last_sender_report: sent.middle(),
            delay_since: 65_536 / 4,
            ..block()
        };
        assert!((block.round_trip_ms(now).unwrap() - 100.0).abs() < 0.1);
        let early = ReportBlock {
            delay_since: 65_536,
            ..block
        };
        assert_eq!(early.round_trip_ms(now), None);
    }

    #[test]
    fn short_and_strange_datagrams_are_refused() {
        assert_eq!(RtcpParser::new(&[]).unwrap_err(), ParseError::Short);
        // AST-2017-008: four bytes.
        assert_eq!(RtcpParser::new(&[0x80, 200, 0, 6]).unwrap_err(), ParseError::Short);
        assert_eq!(RtcpParser::new(&[0x80, 203, 0, 0]).unwrap_err(), ParseError::Type);
    }

    proptest! {
        #[test]
        fn no_datagram_panics(mut datagram in proptest::collection::vec(any::<u8>(), 0..120), likely: bool) {
            if likely && datagram.len() >= 4 {
                let words = (datagram.len() / 4 - 1) as u16;
                datagram.truncate((usize::from(words) + 1) * 4);
                datagram[..2].copy_from_slice(&[0x81, 200]);
                datagram[2..4].copy_from_slice(&words.to_be_bytes());
            }
            if let Ok(packets) = RtcpParser::new(&datagram) {
                packets.for_each(drop);
            }
        }
    }
}
