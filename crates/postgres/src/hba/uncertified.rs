//! By which rule a role comes in over the network without a certificate of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address::{Address, Network};
use super::answer::Transport;
use super::cover::{address_covers, database_covers};
use super::rule::{ClientCert, ConnType, Database, Method, Rule, User};

/// Somebody whose certificate does not count any more. What is not known is `None`.
pub trait Role {
    /// The name, to the letter.
    fn name(&self) -> &str;
    /// Whether it is a group, or a member of it, as of [`answer`](super::answer::answer).
    fn is_member(&self, group: &[u8]) -> Option<bool>;
    /// Whether it can do what a rule's method asks for.
    fn may_pass(&self, rule: &Rule) -> Option<bool>;
    /// Whether it may replicate.
    fn may_replicate(&self) -> Option<bool>;
}

/// A rule that lets a role in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Its position in the list.
    pub rule: usize,
    /// Whether it is certain that the rule is for the role, that the role can do what it asks for, and that no earlier one
    /// matches all that it matches. A regular expression may be for anybody.
    pub is_certain: bool,
}

/// The first rule that lets a role in over the network without a certificate of its own, where there is one: a certain one
/// rather than another. Rules for the machine's own addresses do not count.
pub fn uncertified(rules: &[&Rule], role: &impl Role) -> Option<Opening> {
    let found = |is_certain| {
        let rule = first(rules, role, is_certain)?;
        Some(Opening { rule, is_certain })
    };
    found(true).or_else(|| found(false))
}

fn first(rules: &[&Rule], role: &impl Role, is_certain: bool) -> Option<usize> {
    let is_so = |known: Option<bool>| known.unwrap_or(!is_certain);
    rules.iter().enumerate().position(|(position, rule)| {
        let before = rules.get(..position).unwrap_or_default().iter();
        let hides = |it: &&&Rule| is_for(it, role).unwrap_or(is_certain);
        let before: Vec<&Rule> = before.filter(hides).copied().collect();
        let is_reached = |way: &Way<'_>| !before.iter().any(|it| way.is_within(it));
        rule.method != Method::Reject
            && rule.client_cert() != Some(ClientCert::VerifyFull)
            && !rule.is_loopback()
            && is_so(is_for(rule, role))
            && is_so(role.may_pass(rule))
            && Way::all(rule, is_so(role.may_replicate()))
                .iter()
                .any(is_reached)
    })
}

/// Whether a rule is for a role.
fn is_for(rule: &Rule, role: &impl Role) -> Option<bool> {
    let matches = |user: &User| match user {
        User::All => Some(true),
        User::Name(name) => Some(name.0 == role.name().as_bytes()),
        User::Member(group) => role.is_member(&group.0),
        User::Regex(_) | User::File(_) => None,
    };
    let matches: Vec<Option<bool>> = rule.users.iter().map(matches).collect();
    match matches.contains(&Some(true)) {
        true => Some(true),
        false => (!matches.contains(&None)).then_some(false),
    }
}

/// A part of what a rule matches, so small that a single rule before it can match all of it.
struct Way<'a> {
    transport: Transport,
    database: &'a Database,
    address: Address,
}

impl<'a> Way<'a> {
    fn all(rule: &'a Rule, may_replicate: bool) -> Vec<Self> {
        // GSSAPI's encryption is there for whoever has asked for it, which only its own rules show.
        let transports = rule.conn_type.transports().iter().filter(|transport| {
            **transport != Transport::GssEnc || rule.conn_type == ConnType::HostGssEnc
        });
        let databases = rule.databases.iter();
        let databases = databases.filter(|it| may_replicate || **it != Database::Replication);
        let addresses = match &rule.address {
            None => Vec::new(),
            Some(Address::All) => every_address(),
            Some(address) => vec![address.clone()],
        };
        let mut ways = Vec::new();
        for transport in transports {
            for database in databases.clone() {
                ways.extend(addresses.iter().map(|address| Way {
                    transport: *transport,
                    database,
                    address: address.clone(),
                }));
            }
        }
        ways
    }

    fn is_within(&self, rule: &Rule) -> bool {
        rule.conn_type.transports().contains(&self.transport)
            && rule
                .databases
                .iter()
                .any(|it| database_covers(it, self.database))
            && rule
                .address
                .as_ref()
                .is_some_and(|it| address_covers(it, &self.address))
    }
}

/// `0.0.0.0/0` and `::/0`, which rules often name one by one.
fn every_address() -> Vec<Address> {
    let families: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let networks = families.into_iter();
    let networks = networks.filter_map(|it| Network::new(it, it).map(Address::Network));
    networks.collect()
}
