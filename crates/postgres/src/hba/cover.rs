//! Rules that never answer, because an earlier one matches everything that they match.

use super::address::Address;
use super::answer::Transport;
use super::rule::{ConnType, Database, Rule, User};

/// A rule that never answers, and the rule that answers in its place, both as positions in the
/// list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// The rule that is never reached.
    pub rule: usize,
    /// The first rule before it that covers it.
    pub by: usize,
}

/// Whether every connection that `b` matches is matched by `a`, too. Only said where it is certain:
/// two rules that together cover a third are not seen, and of regular expressions, groups and
/// `@file` nothing is known but that they match what they match.
pub fn covers(a: &Rule, b: &Rule) -> bool {
    b.conn_type.is_within(a.conn_type)
        && b.databases
            .iter()
            .all(|item| a.databases.iter().any(|it| database_covers(it, item)))
        && b.users
            .iter()
            .all(|item| a.users.iter().any(|it| user_covers(it, item)))
        && match (&a.address, &b.address) {
            (None, None) => true,
            (Some(a), Some(b)) => address_covers(a, b),
            _ => false,
        }
}

/// The rules that an earlier one covers. PostgreSQL takes the first rule that matches.
pub fn hidden(rules: &[&Rule]) -> Vec<Hidden> {
    (0..rules.len())
        .filter_map(|rule| {
            let by = (0..rule).find(|&by| covers(rules[by], rules[rule]))?;
            Some(Hidden { rule, by })
        })
        .collect()
}

impl ConnType {
    /// The transports that a rule of this type is for (`check_hba`).
    pub fn transports(self) -> &'static [Transport] {
        use Transport::{GssEnc, Local, Plain, Tls};
        match self {
            Self::Local => &[Local],
            Self::Host => &[Plain, Tls, GssEnc],
            Self::HostSsl => &[Tls],
            Self::HostNoSsl => &[Plain, GssEnc],
            Self::HostGssEnc => &[GssEnc],
            Self::HostNoGssEnc => &[Plain, Tls],
        }
    }

    fn is_within(self, other: Self) -> bool {
        self.transports()
            .iter()
            .all(|it| other.transports().contains(it))
    }
}

pub(super) fn database_covers(a: &Database, b: &Database) -> bool {
    match (a, b) {
        // Physical replication matches its keyword and nothing else.
        (_, Database::Replication) | (Database::Replication, _) => a == b,
        // The file may say `replication`.
        (_, Database::File(_)) => false,
        (Database::All, _) => true,
        (Database::File(_), _) => false,
        _ => a == b,
    }
}

fn user_covers(a: &User, b: &User) -> bool {
    match (a, b) {
        (User::All, _) => true,
        // The same name in two files may be two files.
        (User::File(_), _) => false,
        _ => a == b,
    }
}

pub(super) fn address_covers(a: &Address, b: &Address) -> bool {
    match (a, b) {
        (Address::All, _) => true,
        (Address::Network(a), Address::Network(b)) => a.contains_network(b),
        (Address::SameNet, Address::SameNet | Address::SameHost) => true,
        (Address::HostName(a), Address::HostName(b)) => name_covers(a, b),
        _ => a == b,
    }
}

/// `.example.com` covers `a.example.com` and `.b.example.com`, without regard to ASCII case
/// (`hostname_match`).
fn name_covers(a: &str, b: &str) -> bool {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    a == b || (a.starts_with('.') && b.ends_with(&a))
}
