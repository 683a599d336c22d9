//! Name constraints (RFC 5280 section 4.2.1.10): for which names a CA may sign, its own and those of the CAs above it.

mod network;
mod permitted;
mod subject;

use std::fmt;
use std::net::IpAddr;

use x509_parser::extensions::{GeneralName, GeneralSubtree, ParsedExtension};
use x509_parser::prelude::X509Certificate;

pub use self::network::{Network, NetworkError};
use self::network::{mask_of, octets};
pub use self::permitted::{Permitted, PermittedError};
use crate::document::{der, printable};
use crate::name::Host;

/// A name that a CA may not sign for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is a name for which the CA {ca:?} may not sign: it {rule}")]
pub struct NotPermitted {
    /// Which name, and what kind of name it is.
    pub name: String,
    /// The common name of the CA.
    pub ca: String,
    /// What its certificate says, such as `permits only DNS names in example.com`.
    pub rule: String,
    /// Whether it is the subject, and none of the host names or addresses.
    pub is_subject: bool,
}

/// Whether nothing in a `NameConstraints` (DER) makes OpenSSL refuse every name: a minimum or maximum beside a name (RFC 5280 wants
/// 0 and none), or an `iPAddress` that is no address and mask.
pub(crate) fn is_readable(extension: &[u8]) -> bool {
    let parts = der::single(extension).and_then(|it| it.sequence());
    let mut subtrees = parts
        .iter()
        .flatten()
        .map(|part| der::elements(part.content));
    // Tag 1 is the maximum's. OpenSSL takes a minimum that is there and 0, although DER leaves it out.
    let is_zero = |minimum: &der::Element<'_>| {
        let octets = minimum.context(0);
        octets.is_some_and(|octets| !octets.is_empty() && octets.iter().all(|it| *it == 0))
    };
    let is_sound = |subtree: &der::Element<'_>| match subtree.sequence().as_deref() {
        Some([base, more @ ..]) if more.len() <= 1 && more.iter().all(is_zero) => base
            .context(permitted::IP_TAG)
            .is_none_or(|octets| matches!(octets.len(), 8 | 32)),
        _ => false,
    };
    parts.is_some() && subtrees.all(|it| it.is_some_and(|it| it.iter().all(is_sound)))
}

/// What a CA's certificate says about names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameConstraints {
    ca: String,
    permitted: Vec<Subtree>,
    excluded: Vec<Subtree>,
}

/// Names below something. Kinds that none of our certificates has are left out: such a constraint says nothing about
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Subtree {
    /// In lower case; empty for every name.
    Dns(String),
    /// Address and mask, of the same length.
    Ip(Vec<u8>, Vec<u8>),
    /// The beginning of a distinguished name, and how it is shown.
    Directory(subject::Rdns, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Dns,
    Ip,
    Directory,
}

/// One name of a certificate.
enum Named<'a> {
    Dns(&'a str),
    Ip(IpAddr),
    Directory(&'a subject::Rdns),
}

impl NameConstraints {
    /// What a certificate says; `None` where it says nothing.
    pub(crate) fn of(certificate: &X509Certificate<'_>, ca: &str) -> Option<Self> {
        let mut extensions = certificate.iter_extensions();
        let parsed = extensions.find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::NameConstraints(constraints) => Some(constraints),
            _ => None,
        })?;
        let read = |subtrees: &Option<Vec<GeneralSubtree<'_>>>| {
            let subtrees = subtrees.iter().flatten();
            subtrees.filter_map(Subtree::read).collect()
        };
        Some(Self {
            ca: ca.to_owned(),
            permitted: read(&parsed.permitted_subtrees),
            excluded: read(&parsed.excluded_subtrees),
        })
    }

    /// Whether a server may have this name.
    ///
    /// # Errors
    /// It may not; the error says why.
    pub fn check_host(&self, host: &Host) -> Result<(), NotPermitted> {
        match host {
            Host::Dns(name) => self.check(&Named::Dns(name), host),
            Host::Ip(address) => self.check(&Named::Ip(*address), host),
        }
    }

    /// Whether a certificate may have this subject (a DER `Name`), and these names beside it.
    ///
    /// OpenSSL takes a common name that looks like a host name for one, where there is no DNS name beside it, and PostgreSQL
    /// and libpq with it: a role `a.b`, or a server whose only name is `10.0.0.5`.
    pub(crate) fn check_certificate(
        &self,
        subject: &[u8],
        common_name: &str,
        hosts: &[Host],
    ) -> Result<(), NotPermitted> {
        let rdns = subject::read(subject).unwrap_or_default();
        if !rdns.is_empty() {
            let shown = match common_name {
                "" => "the issuing CA's own subject".to_owned(),
                name => format!("the subject with the common name \"{}\"", printable(name)),
            };
            self.check(&Named::Directory(&rdns), shown)?;
        }
        hosts.iter().try_for_each(|host| self.check_host(host))?;
        let has_dns = hosts.iter().any(|host| matches!(host, Host::Dns(_)));
        if !has_dns && looks_like_a_host(common_name) {
            let shown = format!(
                "the common name {common_name}, which OpenSSL takes for a DNS name where there is none beside it,"
            );
            self.check(&Named::Dns(&common_name.to_ascii_lowercase()), shown)?;
        }
        Ok(())
    }

    fn check(&self, name: &Named<'_>, shown: impl fmt::Display) -> Result<(), NotPermitted> {
        let kind = name.kind();
        let not_permitted = |rule: String| NotPermitted {
            name: shown.to_string(),
            ca: self.ca.clone(),
            rule,
            is_subject: kind == Kind::Directory,
        };
        let mut excluded = self.excluded.iter();
        if let Some(subtree) = excluded.find(|subtree| subtree.touches(name)) {
            return Err(not_permitted(format!("excludes {subtree}")));
        }
        let permitted: Vec<&Subtree> = self
            .permitted
            .iter()
            .filter(|it| it.kind() == kind)
            .collect();
        if permitted.is_empty() || permitted.iter().any(|subtree| subtree.holds(name)) {
            return Ok(());
        }
        let named: Vec<String> = permitted.iter().map(ToString::to_string).collect();
        Err(not_permitted(format!("permits only {}", named.join(", "))))
    }
}

impl Named<'_> {
    fn kind(&self) -> Kind {
        match self {
            Self::Dns(_) => Kind::Dns,
            Self::Ip(_) => Kind::Ip,
            Self::Directory(_) => Kind::Directory,
        }
    }
}

impl Subtree {
    fn read(subtree: &GeneralSubtree<'_>) -> Option<Self> {
        match &subtree.base {
            GeneralName::DNSName(name) => Some(Self::Dns(name.to_ascii_lowercase())),
            GeneralName::IPAddress(octets) if matches!(octets.len(), 8 | 32) => {
                let (address, mask) = octets.split_at(octets.len() / 2);
                Some(Self::Ip(address.to_vec(), mask.to_vec()))
            }
            GeneralName::DirectoryName(name) => {
                let rdns = subject::read(name.as_raw())?;
                Some(Self::Directory(rdns, name.to_string()))
            }
            _ => None,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Dns(_) => Kind::Dns,
            Self::Ip(..) => Kind::Ip,
            Self::Directory(..) => Kind::Directory,
        }
    }

    /// Whether the name is in it.
    fn holds(&self, name: &Named<'_>) -> bool {
        match (self, name) {
            (Self::Dns(base), Named::Dns(name)) => is_below(name, base),
            (Self::Ip(address, mask), Named::Ip(ip)) => is_in(*ip, address, mask),
            (Self::Directory(base, _), Named::Directory(name)) => name.starts_with(base),
            _ => false,
        }
    }

    /// The same, or the name is a wildcard that covers a part of it.
    fn touches(&self, name: &Named<'_>) -> bool {
        let covers = match (self, name) {
            (Self::Dns(base), Named::Dns(name)) => name
                .strip_prefix("*.")
                .is_some_and(|name| is_below(base.trim_start_matches('.'), name)),
            _ => false,
        };
        covers || self.holds(name)
    }
}

impl fmt::Display for Subtree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(base) if base.is_empty() => f.write_str("every DNS name"),
            Self::Dns(base) => write!(f, "DNS names in {}", printable(base)),
            Self::Ip(address, mask) => match as_network(address, mask) {
                Some(network) => write!(f, "addresses in {network}"),
                None => write!(f, "addresses in a network with an unusual mask"),
            },
            Self::Directory(_, shown) => write!(f, "subjects below {}", printable(shown)),
        }
    }
}

/// A name is in a constraint that it equals, or that it continues to the left.
fn is_below(name: &str, base: &str) -> bool {
    match name.strip_suffix(base) {
        _ if base.is_empty() => true,
        // RFC 5280 knows no dot in front; OpenSSL takes it for "below, and not that itself".
        Some(_) if base.starts_with('.') => true,
        Some(rest) => rest.is_empty() || rest.ends_with('.'),
        None => false,
    }
}

fn is_in(ip: IpAddr, address: &[u8], mask: &[u8]) -> bool {
    let octets = octets(ip);
    let mut parts = octets.iter().zip(address).zip(mask);
    octets.len() == address.len()
        && parts.all(|((octet, address), mask)| octet & mask == address & mask)
}

fn as_network(address: &[u8], mask: &[u8]) -> Option<Network> {
    let ones: u32 = mask.iter().map(|octet| octet.leading_ones()).sum();
    let prefix = u8::try_from(ones).ok()?;
    let four = <[u8; 4]>::try_from(address).map(IpAddr::from);
    let sixteen = <[u8; 16]>::try_from(address).map(IpAddr::from);
    let address = four.or(sixteen).ok()?;
    (mask_of(prefix, mask.len()) == mask).then_some(Network { address, prefix })
}

/// OpenSSL's `cn2dnsid`: letters, digits, hyphens and underscores with at least one dot between them.
fn looks_like_a_host(common_name: &str) -> bool {
    let labels: Vec<&str> = common_name.split('.').collect();
    let is_label = |label: &&str| {
        let mut bytes = label.bytes();
        !label.is_empty()
            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    labels.len() > 1 && labels.iter().all(is_label)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn constraints(permitted: Vec<Subtree>, excluded: Vec<Subtree>) -> NameConstraints {
        NameConstraints {
            ca: "ca".into(),
            permitted,
            excluded,
        }
    }

    fn allows(constraints: &NameConstraints, host: &str) -> bool {
        constraints.check_host(&host.parse().unwrap()).is_ok()
    }

    #[test]
    fn dns_names_are_in_what_they_continue() {
        let some = constraints(vec![Subtree::Dns("example.com".into())], vec![]);
        for host in [
            "example.com",
            "db.example.com",
            "*.example.com",
            "a.b.example.com",
        ] {
            assert!(allows(&some, host), "{host}");
        }
        for host in [
            "anexample.com",
            "example.com.evil.org",
            "com",
            "example.org",
        ] {
            assert!(!allows(&some, host), "{host}");
        }
        assert!(
            allows(&some, "10.0.0.1"),
            "a constraint on DNS names says nothing about addresses"
        );
    }

    #[test]
    fn what_is_excluded_counts_before_what_is_permitted() {
        let some = constraints(
            vec![Subtree::Dns("example.com".into())],
            vec![Subtree::Dns("secret.example.com".into())],
        );
        assert!(allows(&some, "db.example.com"));
        assert!(!allows(&some, "a.secret.example.com"));
        assert!(
            !allows(&some, "*.example.com"),
            "it covers secret.example.com"
        );
        let none = constraints(vec![], vec![Subtree::Dns(String::new())]);
        assert!(!allows(&none, "localhost"));
    }

    #[test]
    fn addresses_are_in_networks() {
        let subtree = |text: &str| {
            let network: Network = text.parse().unwrap();
            let address = octets(network.address);
            let mask = mask_of(network.prefix, address.len());
            Subtree::Ip(address, mask)
        };
        let some = constraints(vec![subtree("10.16.0.0/12"), subtree("fd00::/8")], vec![]);
        for (host, expected) in [
            ("10.16.0.1", true),
            ("10.31.255.255", true),
            ("10.32.0.0", false),
            ("fd12::1", true),
            ("fe80::1", false),
        ] {
            assert_eq!(allows(&some, host), expected, "{host}");
        }
        assert_eq!(
            subtree("10.16.0.0/12").to_string(),
            "addresses in 10.16.0.0/12"
        );
    }

    #[test]
    fn networks_are_written_with_clean_ends() {
        for wrong in [
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "a/8",
            "",
            "::/129",
        ] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
        for right in ["10.0.0.0/8", "0.0.0.0/0", "::/0", "10.1.2.3/32", "fd00::/8"] {
            assert_eq!(right.parse::<Network>().unwrap().to_string(), right);
        }
        assert_eq!(
            "10.1.2.3".parse::<Network>().unwrap().to_string(),
            "10.1.2.3/32"
        );
    }

    #[test]
    fn a_common_name_that_looks_like_a_host_is_one() {
        for (name, expected) in [
            ("alice", false),
            ("a.b", true),
            ("10.0.0.5", true),
            ("a.-b", false),
            ("a..b", false),
            (".a", false),
            ("a b.c", false),
            ("ä.b", false),
            ("a_b.c", true),
        ] {
            assert_eq!(looks_like_a_host(name), expected, "{name}");
        }
    }
}
