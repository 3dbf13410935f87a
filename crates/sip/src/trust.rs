//! Networks whose packets are answered.

use std::net::IpAddr;

/// A list of networks (`127.0.0.0/8`, `::1/128`, or a bare address).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust(Vec<(IpAddr, u32)>);

impl Trust {
    /// Parse a list; the error is the sentence about the first entry that is no network.
    pub fn parse<T: AsRef<str>>(networks: &[T]) -> Result<Self, String> {
        networks
            .iter()
            .map(|network| parse_network(network.as_ref()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Loopback, v4 and v6.
    pub fn loopback() -> Self {
        Self(vec![
            (IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 0)), 8),
            (IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), 128),
        ])
    }

    /// Whether an address lies in one of the networks; an IPv4 address in IPv6 clothes counts as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|(network, prefix)| match (network, ip) {
            (IpAddr::V4(network), IpAddr::V4(ip)) => {
                same_prefix(network.to_bits().into(), ip.to_bits().into(), 32, *prefix)
            }
            (IpAddr::V6(network), IpAddr::V6(ip)) => same_prefix(network.to_bits(), ip.to_bits(), 128, *prefix),
            _ => false,
        })
    }
}

fn same_prefix(one: u128, other: u128, width: u32, prefix: u32) -> bool {
    let shift = width.saturating_sub(prefix);
    one.checked_shr(shift).unwrap_or(0) == other.checked_shr(shift).unwrap_or(0)
}

fn parse_network(text: &str) -> Result<(IpAddr, u32), String> {
    let wrong = || format!("{text:?} is no network; write an address, or address/prefix such as 10.0.0.0/8");
    let (address, prefix) = text
        .split_once('/')
        .map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Ok(width), str::parse).map_err(|_| wrong())?;
    if prefix > width {
        return Err(wrong());
    }
    Ok((address, prefix))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Trust;

    #[test]
    fn networks_contain_their_addresses_and_no_others() {
        let trust = Trust::parse(&["10.1.0.0/16", "192.0.2.7", "2001:db8::/32"]).unwrap();
        for (address, is_in) in [
            ("10.1.255.255", true),
            ("10.2.0.0", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
            ("::ffff:10.1.0.1", true),
        ] {
            assert_eq!(trust.contains(address.parse().unwrap()), is_in, "{address}");
        }
        assert!(
            Trust::parse(&["0.0.0.0/0"])
                .unwrap()
                .contains("203.0.113.9".parse().unwrap())
        );
    }

    #[test]
    fn what_is_no_network_is_refused_with_a_sentence() {
        for text in ["", "example.com", "10.0.0.0/33", "10.0.0.0/x"] {
            assert!(Trust::parse(&[text]).unwrap_err().contains("address/prefix"), "{text}");
        }
    }
}
