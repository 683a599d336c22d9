//! For which names an issuing CA of one's own may sign.

use std::net::IpAddr;

use pkcs8::der::{AnyRef, Encode, Tag, TagNumber};

use super::network::{Network, NetworkError, mask_of, octets};
use crate::name::{Host, HostError};

/// Every IPv4 address, and every IPv6 address, as an `iPAddress` constraint has them: address and mask.
const ALL_IPV4: [u8; 8] = [0; 8];
const ALL_IPV6: [u8; 32] = [0; 32];

const DNS_TAG: u32 = 2;
pub(super) const IP_TAG: u32 = 7;

/// For which names an issuing CA of one's own may sign; nothing in it: for every name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permitted {
    dns: Vec<String>,
    ip: Vec<Network>,
}

/// What [`Permitted`] cannot be made of.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PermittedError {
    /// No host name.
    #[error(transparent)]
    Host(#[from] HostError),
    /// An address among the names.
    #[error("{0} is an address: permit networks of addresses, and DNS names by themselves")]
    Address(IpAddr),
    /// A wildcard.
    #[error("{0:?}: a DNS name permits all names that end in it by itself; leave out the \"*.\"")]
    Wildcard(String),
    /// No network.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

impl Permitted {
    /// DNS names, each with all below it, and networks.
    ///
    /// # Errors
    /// One of them is none.
    pub fn new(dns: &[String], ip: &[String]) -> Result<Self, PermittedError> {
        let name = |text: &String| match text.parse::<Host>()? {
            Host::Ip(address) => Err(PermittedError::Address(address)),
            Host::Dns(name) if name.starts_with('*') => Err(PermittedError::Wildcard(name)),
            Host::Dns(name) => Ok(name),
        };
        Ok(Self {
            dns: dns.iter().map(name).collect::<Result<_, _>>()?,
            ip: ip
                .iter()
                .map(|text| text.parse())
                .collect::<Result<_, _>>()?,
        })
    }

    /// Whether every name is permitted.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.dns.is_empty() && self.ip.is_empty()
    }

    /// The DNS names.
    #[must_use]
    pub fn dns(&self) -> &[String] {
        &self.dns
    }

    /// The networks.
    #[must_use]
    pub fn ip(&self) -> &[Network] {
        &self.ip
    }

    /// The `NameConstraints`, DER; `None` where every name is permitted.
    ///
    /// A constraint on DNS names says nothing about addresses (RFC 5280), so that the kind of which nothing is permitted is
    /// excluded as a whole. Networks of IPv4 permit no IPv6 address by themselves, and the other way around. To exclude those as
    /// well would have Java refuse every address, and so would `::/0` before a network of IPv4: it compares four octets with
    /// sixteen, up to the first that it finds to be permitted (`IPAddressName.constrains`).
    pub(crate) fn to_der(&self) -> Option<Vec<u8>> {
        if self.is_everything() {
            return None;
        }
        let dns = self
            .dns
            .iter()
            .map(|name| (DNS_TAG, name.clone().into_bytes()));
        let mut networks: Vec<&Network> = self.ip.iter().collect();
        networks.sort_by_key(|network| network.address.is_ipv6());
        let ip = networks.into_iter().map(|network| {
            let address = octets(network.address);
            let mask = mask_of(network.prefix, address.len());
            (IP_TAG, [address, mask].concat())
        });
        let permitted: Vec<_> = dns.chain(ip).collect();
        let mut excluded = Vec::new();
        if self.dns.is_empty() {
            excluded.push((DNS_TAG, Vec::new()));
        }
        if self.ip.is_empty() {
            excluded.push((IP_TAG, ALL_IPV4.to_vec()));
            excluded.push((IP_TAG, ALL_IPV6.to_vec()));
        }
        let content = [subtrees(0, &permitted), subtrees(1, &excluded)].concat();
        Some(element(Tag::Sequence, &content))
    }
}

/// `GeneralSubtrees` under its context tag; nothing where there are none, because it has at least one.
fn subtrees(tag: u32, bases: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let subtree = |(kind, value): &(u32, Vec<u8>)| {
        element(Tag::Sequence, &element(context(*kind, false), value))
    };
    let content: Vec<u8> = bases.iter().flat_map(subtree).collect();
    match content.is_empty() {
        true => Vec::new(),
        false => element(context(tag, true), &content),
    }
}

fn context(number: u32, constructed: bool) -> Tag {
    Tag::ContextSpecific {
        constructed,
        number: TagNumber(number),
    }
}

/// Cannot fail for anything shorter than 256 MiB.
fn element(tag: Tag, content: &[u8]) -> Vec<u8> {
    let element = AnyRef::new(tag, content).and_then(|any| any.to_der());
    element.unwrap_or_default()
}
