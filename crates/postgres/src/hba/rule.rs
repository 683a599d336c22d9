//! One rule of `pg_hba.conf`, every field typed.

use std::fmt;

use pgpki_core::document::printable;

use super::address::Address;

/// A line that has all fields of a rule. Whether a server takes it depends on its version: see
/// [`Rule::problems`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The line that it begins on, from 1, which is the one that PostgreSQL names.
    pub first_line: u32,
    /// The line that it ends on; another one where backslashes continue it.
    pub last_line: u32,
    /// Which connections it is for.
    pub conn_type: ConnType,
    /// The databases, never none.
    pub databases: Vec<Database>,
    /// The roles, never none.
    pub users: Vec<User>,
    /// The clients' addresses; `None` for `local` and only for it.
    pub address: Option<Address>,
    /// How a client proves who it is.
    pub method: Method,
    /// What follows the method, in its order.
    pub options: Vec<AuthOption>,
}

/// A name as it stands in the file, without quotes: bytes in the encoding of the database.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(pub Vec<u8>);

/// The first field of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnType {
    /// The Unix socket.
    Local,
    /// TCP, encrypted or not.
    Host,
    /// TCP with TLS.
    HostSsl,
    /// TCP without TLS, GSSAPI encryption included.
    HostNoSsl,
    /// TCP with GSSAPI encryption.
    HostGssEnc,
    /// TCP without GSSAPI encryption, TLS included.
    HostNoGssEnc,
}

/// An item of the list of databases.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Database {
    /// `all`, which does not match physical replication.
    All,
    /// `sameuser`: the database with the role's name.
    SameUser,
    /// `samerole` or `samegroup`: databases with the name of a role that the role is a member of.
    SameRole,
    /// `replication`: physical replication, whatever the database.
    Replication,
    /// A regular expression, from version 16 on, without its slash.
    Regex(Name),
    /// A database.
    Name(Name),
    /// `@file`, whose contents are not known.
    File(Name),
}

/// An item of the list of roles.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum User {
    /// `all`.
    All,
    /// `+role`: that role and its members, direct or not.
    Member(Name),
    /// A regular expression, from version 16 on, without its slash.
    Regex(Name),
    /// A role.
    Name(Name),
    /// `@file`, whose contents are not known.
    File(Name),
}

/// How a client proves who it is (PostgreSQL documentation, "Authentication Methods").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "they are PostgreSQL's names")]
pub enum Method {
    Trust,
    Reject,
    ScramSha256,
    Md5,
    Password,
    Gss,
    Sspi,
    Ident,
    Peer,
    Ldap,
    Radius,
    Cert,
    Pam,
    Bsd,
    OAuth,
}

/// One `name=value` behind the method.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AuthOption {
    /// What stands before the equals sign; bytes that are not UTF-8 are replaced.
    pub name: String,
    /// What stands behind it; `None` without an equals sign, which no server takes.
    pub value: Option<String>,
}

/// What a rule demands of the client's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientCert {
    /// Any certificate that a CA of `ssl_ca_file` has issued.
    VerifyCa,
    /// One that also names the role, or another that `map=` leads to it.
    VerifyFull,
}

const METHODS: [(Method, &str); 15] = [
    (Method::Trust, "trust"),
    (Method::Reject, "reject"),
    (Method::ScramSha256, "scram-sha-256"),
    (Method::Md5, "md5"),
    (Method::Password, "password"),
    (Method::Gss, "gss"),
    (Method::Sspi, "sspi"),
    (Method::Ident, "ident"),
    (Method::Peer, "peer"),
    (Method::Ldap, "ldap"),
    (Method::Radius, "radius"),
    (Method::Cert, "cert"),
    (Method::Pam, "pam"),
    (Method::Bsd, "bsd"),
    (Method::OAuth, "oauth"),
];

const CONN_TYPES: [(ConnType, &str); 6] = [
    (ConnType::Local, "local"),
    (ConnType::Host, "host"),
    (ConnType::HostSsl, "hostssl"),
    (ConnType::HostNoSsl, "hostnossl"),
    (ConnType::HostGssEnc, "hostgssenc"),
    (ConnType::HostNoGssEnc, "hostnogssenc"),
];

impl Rule {
    /// The value of an option; the last one where it is given more than once, as in the server.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options
            .iter()
            .rev()
            .find(|it| it.name == name)
            .and_then(|it| it.value.as_deref())
    }

    /// What a server that takes this rule demands of the client's certificate; `None` where it asks
    /// for none. The method `cert` implies `verify-full`.
    pub fn client_cert(&self) -> Option<ClientCert> {
        match (self.method, self.option("clientcert")) {
            (Method::Cert, _) | (_, Some("verify-full")) => Some(ClientCert::VerifyFull),
            // Version 13 takes the number for the same.
            (_, Some("verify-ca" | "1")) => Some(ClientCert::VerifyCa),
            _ => None,
        }
    }
}

impl Rule {
    /// Whether it is only for connections that do not leave the machine.
    pub fn is_loopback(&self) -> bool {
        match &self.address {
            None | Some(Address::SameHost) => true,
            Some(Address::Network(network)) => network.is_loopback(),
            Some(Address::HostName(name)) => name == "localhost",
            Some(Address::All | Address::SameNet) => false,
        }
    }

    /// Such as `hostssl … cert`, for a terminal.
    pub fn in_short(&self) -> String {
        let clientcert = self.option("clientcert");
        let clientcert = clientcert.map(|value| format!(" clientcert={value}"));
        let clientcert = printable(&clientcert.unwrap_or_default());
        format!("{} … {}{clientcert}", self.conn_type, self.method)
    }
}

impl ConnType {
    /// The keyword.
    pub fn as_str(self) -> &'static str {
        keyword(&CONN_TYPES, self)
    }

    /// The type with this keyword. Quotes make no difference here.
    pub fn from_keyword(text: &[u8]) -> Option<Self> {
        meaning(&CONN_TYPES, text)
    }
}

impl Method {
    /// The keyword.
    pub fn as_str(self) -> &'static str {
        keyword(&METHODS, self)
    }

    /// The method with this keyword, of whatever version. Quotes make no difference here.
    pub fn from_keyword(text: &[u8]) -> Option<Self> {
        meaning(&METHODS, text)
    }

    /// Whether the client has to know a password.
    pub fn asks_for_password(self) -> bool {
        matches!(
            self,
            Self::ScramSha256
                | Self::Md5
                | Self::Password
                | Self::Ldap
                | Self::Radius
                | Self::Pam
                | Self::Bsd
        )
    }
}

fn keyword<T: PartialEq>(table: &[(T, &'static str)], value: T) -> &'static str {
    table
        .iter()
        .find(|(it, _)| *it == value)
        .map_or("", |(_, keyword)| keyword)
}

fn meaning<T: Copy>(table: &[(T, &str)], text: &[u8]) -> Option<T> {
    let found = table
        .iter()
        .find(|(_, keyword)| keyword.as_bytes() == text)?;
    Some(found.0)
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

/// For people; bytes that are not UTF-8 are replaced.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(&self.0).fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(&self.0).fmt(f)
    }
}

impl fmt::Display for ConnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_means_what_writes_it() {
        for (method, text) in METHODS {
            assert_eq!(method.as_str(), text);
            assert_eq!(Method::from_keyword(text.as_bytes()), Some(method));
        }
        for (conn_type, text) in CONN_TYPES {
            assert_eq!(conn_type.as_str(), text);
            assert_eq!(ConnType::from_keyword(text.as_bytes()), Some(conn_type));
        }
        assert_eq!(Method::from_keyword(b"verify-ca"), None);
    }
}
