//! The RTP packet (RFC 3550 section 5).

/// Bytes of a header without CSRCs and extension.
pub const HEADER_BYTES: usize = 12;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// First packet after silence, or of a digit.
    pub marker: bool,
    /// 0-127.
    pub payload_type: u8,
    /// Grows by one with each packet.
    pub sequence: u16,
    /// In samples.
    pub timestamp: u32,
    /// Who speaks.
    pub ssrc: u32,
}

/// A packet as it lies in a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    /// Its header.
    pub header: Header,
    /// Without padding.
    pub payload: &'a [u8],
}

/// Why a datagram is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseError {
    /// Too short for what it announces.
    Short,
    /// Not version 2.
    Version,
    /// More padding than there is, or none where it is announced.
    Padding,
    /// An RTCP packet of a type that cannot stand there.
    Type,
}

impl<'a> RtpPacket<'a> {
    /// Parse a datagram. CSRCs and extensions are skipped.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let (fixed, rest) = datagram.split_first_chunk::<HEADER_BYTES>().ok_or(ParseError::Short)?;
        let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *fixed;
        if first >> 6 != 2 {
            return Err(ParseError::Version);
        }
        let mut payload = rest.get(usize::from(first & 0x0f) * 4..).ok_or(ParseError::Short)?;
        if first & 0x10 != 0 {
            let (extension, _) = payload.split_first_chunk::<4>().ok_or(ParseError::Short)?;
            let [_, _, high, low] = *extension;
            let words = usize::from(u16::from_be_bytes([high, low]));
            payload = payload.get(4 + words * 4..).ok_or(ParseError::Short)?;
        }
        if first & 0x20 != 0 {
            let padding = usize::from(*payload.last().ok_or(ParseError::Padding)?);
            if padding == 0 || padding > payload.len() {
                return Err(ParseError::Padding);
            }
            payload = payload.get(..payload.len() - padding).ok_or(ParseError::Padding)?;
        }
        let header = Header {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
        };
        Ok(Self { header, payload })
    }
}

/// Write a header into the first 12 bytes; the payload stands behind them. Shorter buffers are left alone.
pub fn write_header(header: &Header, datagram: &mut [u8]) {
    let Some(to) = datagram.first_chunk_mut::<HEADER_BYTES>() else {
        return;
    };
    let [s0, s1] = header.sequence.to_be_bytes();
    let [t0, t1, t2, t3] = header.timestamp.to_be_bytes();
    let [c0, c1, c2, c3] = header.ssrc.to_be_bytes();
    let second = u8::from(header.marker) << 7 | (header.payload_type & 0x7f);
    *to = [0x80, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3];
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn csrcs_extension_and_padding_are_skipped() {
        let mut datagram = vec![0b1011_0010, 0x80, 0, 1, 0, 0, 0, 160, 0, 0, 0, 9];
        datagram.extend([1; 8]);
        datagram.extend([0xbe, 0xde, 0, 1, 7, 7, 7, 7]);
        datagram.extend([5, 6, 7, 0, 0, 3]);
        let packet = RtpPacket::parse(&datagram).unwrap();
        assert_eq!(packet.payload, [5, 6, 7]);
        assert!(packet.header.marker);
        assert_eq!(
            (packet.header.sequence, packet.header.timestamp, packet.header.ssrc),
            (1, 160, 9)
        );
    }

    #[test]
    fn lies_about_lengths_are_refused() {
        let base = [0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 9];
        let with = |first: u8, tail: &[u8]| {
            let mut datagram = base.to_vec();
            datagram[0] = first;
            datagram.extend(tail);
            RtpPacket::parse(&datagram).map(|packet| packet.payload.len())
        };
        assert_eq!(with(0x81, &[1, 2, 3]), Err(ParseError::Short));
        assert_eq!(with(0x90, &[0xbe, 0xde, 0xff, 0xff, 0]), Err(ParseError::Short));
        assert_eq!(with(0xa0, &[1, 2, 9]), Err(ParseError::Padding));
        assert_eq!(with(0xa0, &[1, 2, 0]), Err(ParseError::Padding));
        assert_eq!(with(0xa0, &[]), Err(ParseError::Padding));
        assert_eq!(with(0x40, &[1]), Err(ParseError::Version));
        assert_eq!(RtpPacket::parse(&base[..11]), Err(ParseError::Short));
    }

    proptest! {
        #[test]
        fn no_datagram_panics(datagram in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = RtpPacket::parse(&datagram);
        }

        #[test]
        fn what_is_written_reads_back(marker: bool, payload_type in 0_u8..128, sequence: u16, timestamp: u32, ssrc: u32) {
            let header = Header { marker, payload_type, sequence, timestamp, ssrc };
            let mut datagram = [7; 20];
            write_header(&header, &mut datagram);
            let packet = RtpPacket::parse(&datagram).unwrap();
            prop_assert_eq!(packet.header, header);
            prop_assert_eq!(packet.payload, [7; 8]);
        }
    }
}
