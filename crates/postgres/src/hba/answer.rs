//! Which rule answers a connection (`check_hba` in PostgreSQL's `hba.c`).

use std::net::IpAddr;

use super::address::Address;
use super::rule::{Database, Rule, User};

/// How a connection reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// The Unix socket.
    Local,
    /// TCP without encryption.
    Plain,
    /// TCP with TLS.
    Tls,
    /// TCP with GSSAPI encryption.
    GssEnc,
}

/// Somebody at the door.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    /// How it comes.
    pub transport: Transport,
    /// From where; `None` where that is not known, and for the socket.
    pub address: Option<IpAddr>,
    /// The database, to the letter.
    pub database: &'a str,
    /// The role, to the letter.
    pub role: &'a str,
    /// Whether it asks for physical replication (`replication=true`); the database does not count
    /// then.
    pub replication: bool,
}

/// The rule that answers, as a position in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This one.
    Rule(usize),
    /// None: the server rejects it.
    NoRule,
    /// This one or a later one: whether it matches cannot be told from here.
    Unknown {
        /// The rule.
        rule: usize,
        /// What is not known.
        because: Unknown,
    },
}

/// What only the server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// The rule names a host.
    #[error("it depends on a host name's resolution")]
    HostName,
    /// `samehost` or `samenet`.
    #[error("it depends on the server's own addresses")]
    OwnAddresses,
    /// The rule is for some addresses, and the connection's is not given.
    #[error("it depends on the client's address")]
    Address,
    /// A regular expression.
    #[error("it depends on a regular expression")]
    Regex,
    /// `@file`.
    #[error("it depends on a file that has not been read")]
    File,
}

/// The rule that answers a connection. `is_member(role, group)` says whether `role` is `group` or a
/// member of it, directly or not; superusers are not members of every group here. Neither is a role
/// that does not exist.
pub fn answer(
    rules: &[&Rule],
    connection: &Connection<'_>,
    is_member: impl Fn(&str, &[u8]) -> bool,
) -> Answer {
    for (position, rule) in rules.iter().enumerate() {
        match matches(rule, connection, &is_member) {
            Match::Yes => return Answer::Rule(position),
            Match::No => {}
            Match::Unknown(because) => {
                return Answer::Unknown {
                    rule: position,
                    because,
                };
            }
        }
    }
    Answer::NoRule
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Match {
    Yes,
    No,
    Unknown(Unknown),
}

impl From<bool> for Match {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

impl Match {
    /// Both have to hold.
    fn and(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::No => Self::No,
            Self::Yes => other(),
            Self::Unknown(_) => match other() {
                Self::No => Self::No,
                _ => self,
            },
        }
    }

    /// One of them is enough.
    fn any(all: impl Iterator<Item = Self>) -> Self {
        let mut result = Self::No;
        for it in all {
            match it {
                Self::Yes => return Self::Yes,
                Self::No => {}
                Self::Unknown(_) => result = it,
            }
        }
        result
    }
}

fn matches(
    rule: &Rule,
    connection: &Connection<'_>,
    is_member: &impl Fn(&str, &[u8]) -> bool,
) -> Match {
    let databases = || {
        let items = rule.databases.iter();
        Match::any(items.map(|it| database_matches(it, connection, is_member)))
    };
    let users = || users_match(rule, connection.role, is_member);
    let transports = rule.conn_type.transports();
    Match::from(transports.contains(&connection.transport))
        .and(|| match &rule.address {
            None => Match::Yes,
            Some(address) => address_matches(address, connection.address),
        })
        .and(databases)
        .and(users)
}

fn address_matches(rule: &Address, client: Option<IpAddr>) -> Match {
    match (rule, client) {
        (Address::All, _) => Match::Yes,
        (Address::Network(network), Some(client)) => network.contains(client).into(),
        (Address::Network(_), None) => Match::Unknown(Unknown::Address),
        (Address::HostName(_), _) => Match::Unknown(Unknown::HostName),
        (Address::SameHost | Address::SameNet, _) => Match::Unknown(Unknown::OwnAddresses),
    }
}

fn database_matches(
    item: &Database,
    connection: &Connection<'_>,
    is_member: &impl Fn(&str, &[u8]) -> bool,
) -> Match {
    let Connection { database, role, .. } = connection;
    match item {
        Database::File(_) => Match::Unknown(Unknown::File),
        Database::Replication => connection.replication.into(),
        _ if connection.replication => Match::No,
        Database::All => Match::Yes,
        Database::SameUser => (database == role).into(),
        Database::SameRole => is_member(role, database.as_bytes()).into(),
        Database::Regex(_) => Match::Unknown(Unknown::Regex),
        Database::Name(name) => (name.0 == database.as_bytes()).into(),
    }
}

fn users_match(rule: &Rule, role: &str, is_member: &impl Fn(&str, &[u8]) -> bool) -> Match {
    let items = rule.users.iter();
    Match::any(items.map(|it| user_matches(it, role, is_member)))
}

/// Whether a rule is for a role, as far as can be told without its regular expressions.
pub(crate) fn names_role(
    rule: &Rule,
    role: &str,
    is_member: &impl Fn(&str, &[u8]) -> bool,
) -> bool {
    users_match(rule, role, is_member) == Match::Yes
}

fn user_matches(item: &User, role: &str, is_member: &impl Fn(&str, &[u8]) -> bool) -> Match {
    match item {
        User::All => Match::Yes,
        User::Member(group) => is_member(role, &group.0).into(),
        User::Regex(_) => Match::Unknown(Unknown::Regex),
        User::Name(name) => (name.0 == role.as_bytes()).into(),
        User::File(_) => Match::Unknown(Unknown::File),
    }
}
