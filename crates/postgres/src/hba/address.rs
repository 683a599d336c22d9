//! The addresses of a rule, as `getaddrinfo` with `AI_NUMERICHOST` and `pg_sockaddr_cidr_mask` read
//! them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::problem::Problem;

/// Whom a rule is for, by address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// `all`: any address of any family.
    All,
    /// `samehost`: the server's own addresses.
    SameHost,
    /// `samenet`: the networks that the server has an address in.
    SameNet,
    /// A range of addresses.
    Network(Network),
    /// A host name, or a suffix that begins with a dot, compared without regard to ASCII case.
    HostName(String),
}

/// Addresses that agree in the bits of a mask. Address and mask are of one family; the mask need
/// not be a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    mask: IpAddr,
}

impl Network {
    /// A network by address and mask; `None` where they are of two families.
    pub fn new(address: IpAddr, mask: IpAddr) -> Option<Self> {
        (address.is_ipv4() == mask.is_ipv4()).then_some(Self { address, mask })
    }

    /// The address as it was written, whatever its bits outside of the mask.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The mask.
    pub fn mask(&self) -> IpAddr {
        self.mask
    }

    /// Whether an address belongs to it.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4()
            && (bits(self.address) ^ bits(address)) & bits(self.mask) == 0
    }

    /// Whether it has no address but a machine's own.
    pub fn is_loopback(&self) -> bool {
        let prefix = match self.mask {
            IpAddr::V4(mask) => mask.to_bits().leading_ones(),
            IpAddr::V6(mask) => mask.to_bits().leading_ones(),
        };
        // All of 127.0.0.0/8, and of IPv6 one address.
        let enough = if self.mask.is_ipv4() { 8 } else { 128 };
        self.address.is_loopback() && prefix >= enough
    }

    /// Whether every address of `other` belongs to it.
    pub fn contains_network(&self, other: &Self) -> bool {
        bits(self.mask) & !bits(other.mask) == 0 && self.contains(other.address)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(it) => it.to_bits().into(),
        IpAddr::V6(it) => it.to_bits(),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::SameHost => f.write_str("samehost"),
            Self::SameNet => f.write_str("samenet"),
            Self::Network(network) => network.fmt(f),
            Self::HostName(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mask, width) = match self.mask {
            IpAddr::V4(it) => (u128::from(it.to_bits()) << 96, 32),
            IpAddr::V6(it) => (it.to_bits(), 128),
        };
        let length = mask.leading_ones();
        if length <= width && mask.count_ones() == length {
            write!(f, "{}/{length}", self.address)
        } else {
            write!(f, "{} {}", self.address, self.mask)
        }
    }
}

/// What the address field says by itself.
pub(super) enum Written {
    /// All that is needed.
    Whole(Address),
    /// A single address, which needs a mask in the next field.
    NeedsMask(IpAddr),
}

/// Reads an address field that is none of the keywords.
pub(super) fn read(text: &[u8]) -> Result<Written, Problem> {
    let lossy = || String::from_utf8_lossy(text).into_owned();
    let (host, length) = match text.iter().position(|&byte| byte == b'/') {
        Some(slash) => (&text[..slash], Some(&text[slash + 1..])),
        None => (text, None),
    };
    match (numeric(host), length) {
        (Some(address), None) => Ok(Written::NeedsMask(address)),
        (None, None) => Ok(Written::Whole(Address::HostName(lossy()))),
        (None, Some(_)) => Err(Problem::HostNameWithMask { text: lossy() }),
        (Some(address), Some(length)) => {
            let mask =
                prefix_mask(length, address).ok_or(Problem::PrefixLength { text: lossy() })?;
            Ok(Written::Whole(Address::Network(Network { address, mask })))
        }
    }
}

/// An address in digits, in any of the forms that the C library takes.
pub(super) fn numeric(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if let Some(address) = inet_aton(text) {
        return Some(address.into());
    }
    let Some((address, scope)) = text.split_once('%') else {
        return text.parse::<Ipv6Addr>().ok().map(IpAddr::from);
    };
    let address: Ipv6Addr = address.parse().ok()?;
    // PostgreSQL compares addresses without their scope. Only link-local ones may name an
    // interface, which has to exist; nobody here knows whether it does.
    let link_local = address.is_unicast_link_local() || address.octets()[..2] == [0xff, 0x02];
    let known = scope.parse::<u32>().is_ok() || (link_local && !scope.is_empty());
    known.then_some(address.into())
}

/// One to four numbers, decimal, octal or hexadecimal; the last one fills what is left.
fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let mut parts: Vec<u32> = text.split('.').map(number).collect::<Option<_>>()?;
    let last = parts.pop()?;
    let leading = u32::try_from(parts.len()).ok().filter(|&it| it <= 3)?;
    if parts.iter().any(|&part| part > 0xff) || (leading > 0 && last >> (8 * (4 - leading)) != 0) {
        return None;
    }
    let high = parts
        .iter()
        .zip([24, 16, 8])
        .fold(0, |bits, (part, shift)| bits | part << shift);
    Some(Ipv4Addr::from_bits(high | last))
}

fn number(text: &str) -> Option<u32> {
    // `from_str_radix` takes a sign.
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) if digits.starts_with(|it: char| it.is_ascii_hexdigit()) => {
            u32::from_str_radix(digits, 16).ok()
        }
        Some(_) => None,
        None if text.starts_with('0') => u32::from_str_radix(text, 8).ok(),
        None => text.parse().ok(),
    }
}

/// The length of a prefix as `strtol` reads it: blanks and a sign may precede the digits.
fn prefix_mask(length: &[u8], address: IpAddr) -> Option<IpAddr> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let blanks = length.iter().take_while(|it| is_space(it)).count();
    let digits = std::str::from_utf8(&length[blanks..]).ok()?;
    let length: i64 = digits.parse().ok()?;
    let length = u32::try_from(length).ok()?;
    match address {
        IpAddr::V4(_) if length <= 32 => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            Some(Ipv4Addr::from_bits(mask).into())
        }
        IpAddr::V6(_) if length <= 128 => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            Some(Ipv6Addr::from_bits(mask).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn network(text: &str) -> Network {
        match read(text.as_bytes()).unwrap() {
            Written::Whole(Address::Network(network)) => network,
            _ => panic!("{text}"),
        }
    }

    #[test]
    fn addresses_have_the_forms_of_the_c_library() {
        for (text, expected) in [
            ("127.1", Some("127.0.0.1")),
            ("10", Some("0.0.0.10")),
            ("0x1.070.3", Some("1.56.0.3")),
            ("4294967295", Some("255.255.255.255")),
            ("4294967296", None),
            ("1.2.3.256", None),
            ("1.2.65536", None),
            ("08.1.1.1", None),
            ("1.2.3.4.5", None),
            ("1.", None),
            ("+1", None),
            ("0x", None),
            ("0x+1", None),
            ("", None),
            ("fe80::1%eth0", Some("fe80::1")),
            ("::1%1", Some("::1")),
            ("::1%lo", None),
            ("::ffff:1.2.3.4", Some("::ffff:1.2.3.4")),
        ] {
            let expected = expected.map(|it| it.parse::<IpAddr>().unwrap());
            assert_eq!(numeric(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn networks_contain_what_agrees_in_the_mask() {
        let ten = network("10.1.2.3/8");
        assert!(ten.contains("10.255.0.1".parse().unwrap()));
        assert!(!ten.contains("11.0.0.1".parse().unwrap()));
        assert!(!network("0.0.0.0/0").contains("::1".parse().unwrap()));
        assert!(ten.contains_network(&network("10.0.0.0/16")));
        assert!(!network("10.0.0.0/16").contains_network(&ten));
        assert!(!ten.contains_network(&network("::/128")));
        let odd =
            |mask: &str| Network::new("10.0.0.1".parse().unwrap(), mask.parse().unwrap()).unwrap();
        assert!(odd("255.0.0.1").contains("10.9.9.1".parse().unwrap()));
        assert!(!odd("255.0.0.1").contains_network(&odd("255.0.0.0")));
        assert!(odd("255.0.0.0").contains_network(&odd("255.0.0.1")));
    }

    #[test]
    fn networks_are_written_as_short_as_they_can_be() {
        assert_eq!(network("10.0.0.0/8").to_string(), "10.0.0.0/8");
        assert_eq!(network("::/0").to_string(), "::/0");
        let odd = Network::new("10.0.0.1".parse().unwrap(), "255.0.0.1".parse().unwrap());
        assert_eq!(odd.unwrap().to_string(), "10.0.0.1 255.0.0.1");
    }
}
