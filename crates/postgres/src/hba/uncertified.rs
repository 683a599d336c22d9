//! By which rule a role comes in over the network that shows no certificate.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address::{Address, Network};
use super::answer::{Transport, may_name_role, names_role};
use super::cover::{address_covers, database_covers};
use super::rule::{ConnType, Database, Method, Rule};

/// The first rule that lets `role` in without a certificate, as a position in the list; of those that `may_pass`, which
/// says whether the role can do what the rule's method asks for. Only said where it is certain that the rule is for the role, and
/// that no earlier one matches all that it matches. Rules for the machine's own addresses, and for replication, do not count.
///
/// `is_member(role, group)` is as of [`answer`](super::answer::answer).
pub fn uncertified(
    rules: &[&Rule],
    role: &str,
    is_member: impl Fn(&str, &[u8]) -> bool,
    may_pass: impl Fn(&Rule) -> bool,
) -> Option<usize> {
    let is_for = |rule: &Rule| names_role(rule, role, &is_member);
    let may_be_for = |rule: &&Rule| may_name_role(rule, role, &is_member);
    rules.iter().enumerate().position(|(position, rule)| {
        let lets_in = rule.method != Method::Reject && rule.client_cert().is_none();
        let before = rules.get(..position).unwrap_or_default();
        let before: Vec<&Rule> = before.iter().copied().filter(may_be_for).collect();
        let is_reached = |way: &Way<'_>| !before.iter().any(|it| way.is_within(it));
        lets_in
            && !rule.is_loopback()
            && is_for(rule)
            && may_pass(rule)
            && Way::all(rule).iter().any(is_reached)
    })
}

/// A part of what a rule matches, so small that a single rule before it can match all of it.
struct Way<'a> {
    transport: Transport,
    database: &'a Database,
    address: Address,
}

impl<'a> Way<'a> {
    fn all(rule: &'a Rule) -> Vec<Self> {
        // GSSAPI's encryption is there for whoever has asked for it, which only its own rules show.
        let transports = rule.conn_type.transports().iter().filter(|transport| {
            **transport != Transport::GssEnc || rule.conn_type == ConnType::HostGssEnc
        });
        let databases = rule.databases.iter();
        let databases = databases.filter(|it| **it != Database::Replication);
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
