//! What a user writes to name a server: a host, a host and a port, or a connection URI.

use std::net::IpAddr;
use std::str::FromStr;

use pgpki_core::name::{Host, HostError};

use super::{Endpoint, Negotiation};

/// PostgreSQL's port, where none is named.
pub const DEFAULT_PORT: u16 = 5432;

/// More servers than this in one connection URI are not a cluster.
const MOST_HOSTS: usize = 64;

/// Who asks, where a server is asked for more than TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The role.
    pub user: String,
    /// The database.
    pub database: String,
}

/// A role that nobody has, in a database that is not there.
impl Default for Login {
    fn default() -> Self {
        Self {
            user: "pgpki-probe".to_owned(),
            database: "pgpki-probe".to_owned(),
        }
    }
}

/// One server, or the several that a connection URI names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The servers, in order; at least one.
    pub endpoints: Vec<Endpoint>,
    /// The role and the database, as far as the URI names them.
    pub login: Login,
}

/// Why a text names no server. What stood in a connection URI is never repeated: it may be a
/// password that was not encoded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// No DNS name, no address.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A pattern of a certificate's, not a server's name.
    #[error("{0:?} is a wildcard; name one server")]
    Wildcard(String),
    /// Not a number from 1 to 65535.
    #[error("the port {0:?} is no number from 1 to 65535")]
    Port(String),
    /// A bracket is open.
    #[error("the bracket around an IPv6 address is not closed")]
    Bracket,
    /// A directory with sockets, or no host, which is the same to libpq.
    #[error("PostgreSQL has no TLS over a Unix-domain socket; name a host")]
    UnixSocket,
    /// `https://` and the like.
    #[error("only URLs that begin with postgresql:// or postgres:// are known")]
    Scheme,
    /// A part of a URI.
    #[error("the {part} in the URL is not right: {what}")]
    Url {
        /// Which part.
        part: &'static str,
        /// What it should be.
        what: &'static str,
    },
}

impl Target {
    /// Whether a text can be nothing but a connection URI, even one that is not right.
    pub fn is_url(text: &str) -> bool {
        text.contains("://")
    }
}

impl FromStr for Target {
    type Err = TargetError;

    /// Reads `HOST`, `HOST:PORT`, `[IPV6]:PORT`, or a connection URI (PostgreSQL documentation,
    /// "Connection URIs") with one host or several. Of its parameters `host`, `hostaddr`, `port`,
    /// `user`, `dbname` and `sslnegotiation` count; the password is not kept.
    fn from_str(text: &str) -> Result<Self, TargetError> {
        if Self::is_url(text) {
            return Url::split(text)?.target();
        }
        if text.starts_with('/') {
            return Err(TargetError::UnixSocket);
        }
        let (host, port) = host_and_port(text)?;
        let host = single(host.parse()?)?;
        let port = port.map_or(Ok(DEFAULT_PORT), |text| {
            number(text).ok_or_else(|| TargetError::Port(text.to_owned()))
        })?;
        Ok(Self {
            endpoints: vec![Endpoint::new(host, port)],
            login: Login::default(),
        })
    }
}

fn single(host: Host) -> Result<Host, TargetError> {
    match host {
        Host::Dns(name) if name.starts_with('*') => Err(TargetError::Wildcard(name)),
        host => Ok(host),
    }
}

fn number(port: &str) -> Option<u16> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|number| digits && *number > 0)
}

/// An IPv6 address without brackets has no port.
fn host_and_port(text: &str) -> Result<(&str, Option<&str>), TargetError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, behind) = rest.split_once(']').ok_or(TargetError::Bracket)?;
        return match behind.strip_prefix(':') {
            Some(port) => Ok((address, Some(port))),
            None if behind.is_empty() => Ok((address, None)),
            None => Err(TargetError::Port(behind.to_owned())),
        };
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => Ok((host, Some(port))),
        _ => Ok((text, None)),
    }
}

/// A connection URI in pieces, decoded.
#[derive(Default)]
struct Url {
    hosts: Vec<String>,
    ports: Vec<String>,
    addresses: Vec<String>,
    user: Option<String>,
    database: Option<String>,
    negotiation: Negotiation,
}

const ENCODE: &str = "write @ as %40, / as %2F and % as %25 in user, password and parameters";

impl Url {
    fn split(text: &str) -> Result<Self, TargetError> {
        let rest = text
            .strip_prefix("postgresql://")
            .or_else(|| text.strip_prefix("postgres://"))
            .ok_or(TargetError::Scheme)?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, behind) = rest.split_at(end);
        // A password with a slash would otherwise be taken for a port and printed.
        if behind.contains('@') {
            return Err(wrong("user or password", ENCODE));
        }
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (user, hosts),
            None => ("", authority),
        };
        let mut url = Self::default();
        let user = user.split_once(':').map_or(user, |(user, _)| user);
        url.user = Some(decoded(user)?).filter(|user| !user.is_empty());
        for host in hosts.split(',') {
            let (host, port) =
                host_and_port(host).map_err(|_| wrong("host", "an IPv6 address needs [ and ]"))?;
            url.hosts.push(decoded(host)?);
            url.ports.push(port.unwrap_or_default().to_owned());
        }
        let (path, query) = behind.split_once('?').unwrap_or((behind, ""));
        let database = decoded(path.strip_prefix('/').unwrap_or(path))?;
        url.database = Some(database).filter(|database| !database.is_empty());
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            url.take(parameter)?;
        }
        Ok(url)
    }

    fn take(&mut self, parameter: &str) -> Result<(), TargetError> {
        let (key, value) = parameter
            .split_once('=')
            .ok_or(wrong("parameters", "each is NAME=VALUE"))?;
        let value = decoded(value)?;
        let list = || value.split(',').map(str::to_owned).collect();
        match decoded(key)?.as_str() {
            "host" => self.hosts = list(),
            "hostaddr" => self.addresses = list(),
            "port" => self.ports = list(),
            "user" => self.user = Some(value),
            "dbname" => self.database = Some(value),
            "sslnegotiation" => {
                self.negotiation = match value.as_str() {
                    "postgres" => Negotiation::Postgres,
                    "direct" => Negotiation::Direct,
                    _ => return Err(wrong("sslnegotiation", "it is postgres or direct")),
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn target(self) -> Result<Target, TargetError> {
        let count = self.hosts.len().max(self.addresses.len());
        if count > MOST_HOSTS {
            return Err(wrong("list of hosts", "it is too long"));
        }
        let endpoints: Result<Vec<_>, _> = (0..count).map(|place| self.endpoint(place)).collect();
        let unnamed = Login::default();
        let user = self.user.unwrap_or(unnamed.user);
        Ok(Target {
            endpoints: endpoints?,
            login: Login {
                // As libpq has it: a database of the role's own name.
                database: self.database.unwrap_or_else(|| user.clone()),
                user,
            },
        })
    }

    fn endpoint(&self, place: usize) -> Result<Endpoint, TargetError> {
        let nth = |list: &[String]| list.get(place).cloned().unwrap_or_default();
        // libpq: one port counts for all hosts.
        let port = match self.ports.as_slice() {
            [only] => only.clone(),
            ports => nth(ports),
        };
        let port = match port.as_str() {
            "" => DEFAULT_PORT,
            text => number(text).ok_or(wrong("port", "it is a number from 1 to 65535"))?,
        };
        let address: Option<IpAddr> = match nth(&self.addresses).as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| wrong("hostaddr", ADDRESS))?),
        };
        let host = match (nth(&self.hosts).as_str(), address) {
            ("", Some(address)) => Host::Ip(address),
            ("", None) => return Err(TargetError::UnixSocket),
            (name, _) if name.starts_with(['/', '@']) => return Err(TargetError::UnixSocket),
            (name, _) => {
                let host = name.parse().ok().and_then(|host| single(host).ok());
                host.ok_or(wrong("host", "it is a DNS name or an IP address"))?
            }
        };
        Ok(Endpoint {
            host,
            address,
            port,
            negotiation: self.negotiation,
        })
    }
}

const ADDRESS: &str = "it is an IP address";

fn wrong(part: &'static str, what: &'static str) -> TargetError {
    TargetError::Url { part, what }
}

/// Undoes percent-encoding (RFC 3986 section 2.1).
fn decoded(text: &str) -> Result<String, TargetError> {
    let malformed = || wrong("percent-encoding", ENCODE);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|it| char::from(it).to_digit(16));
                let (high, low) = (digit(), digit());
                let value = high.zip(low).map(|(high, low)| high * 16 + low);
                value
                    .and_then(|value| u8::try_from(value).ok())
                    .ok_or_else(malformed)?
            }
            plain => plain,
        };
        // No name in PostgreSQL contains one.
        if byte == 0 {
            return Err(malformed());
        }
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn endpoints(text: &str) -> Vec<String> {
        let target: Target = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        target.endpoints.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn servers_as_people_write_them() {
        for (text, expected) in [
            ("db", "db:5432"),
            ("DB.Example.com:6432", "db.example.com:6432"),
            ("10.0.0.5", "10.0.0.5:5432"),
            ("10.0.0.5:1", "10.0.0.5:1"),
            ("::1", "[::1]:5432"),
            ("[::1]", "[::1]:5432"),
            ("[2001:DB8::5]:65535", "[2001:db8::5]:65535"),
            ("postgresql://db", "db:5432"),
            ("postgres://db:6432/app?sslmode=require", "db:6432"),
            ("postgresql://alice:s3cret@db/app", "db:5432"),
            ("postgresql://alice:s@cret@db/app", "db:5432"),
            ("postgresql://[::1]:6432/", "[::1]:6432"),
            ("postgresql://?host=db&port=6432", "db:6432"),
            ("postgresql:///app?host=db", "db:5432"),
            ("postgresql://d%62/app", "db:5432"),
            ("postgresql:///?hostaddr=10.0.0.5", "10.0.0.5:5432"),
        ] {
            assert_eq!(endpoints(text), [expected], "{text}");
        }
        assert_eq!(
            endpoints("postgresql://a:1,b,[::1]:3/db"),
            ["a:1", "b:5432", "[::1]:3"]
        );
        assert_eq!(endpoints("postgresql://a,b/?port=7"), ["a:7", "b:7"]);
    }

    #[test]
    fn what_a_url_says_beside_the_host() {
        let target: Target = "postgresql://al%40ice:secret@db/my%20app?sslnegotiation=direct"
            .parse()
            .unwrap();
        assert_eq!(target.login.user, "al@ice");
        assert_eq!(target.login.database, "my app");
        assert_eq!(target.endpoints[0].negotiation, Negotiation::Direct);
        assert!(!format!("{target:?}").contains("secret"));
        let target: Target = "postgresql://db?user=bob&hostaddr=127.0.0.1"
            .parse()
            .unwrap();
        assert_eq!(target.login.database, "bob");
        assert_eq!(target.endpoints[0].address, "127.0.0.1".parse().ok());
        assert_eq!(target.endpoints[0].host.to_string(), "db");
    }

    #[test]
    fn what_names_no_server() {
        let refused = |text: &str| text.parse::<Target>().unwrap_err();
        for socket in [
            "/var/run/postgresql",
            "postgresql:///app",
            "postgresql://",
            "postgresql://%2Fvar%2Frun/app",
            "postgresql:///?host=/tmp",
        ] {
            assert_eq!(refused(socket), TargetError::UnixSocket, "{socket}");
        }
        assert_eq!(refused("db:"), TargetError::Port(String::new()));
        for port in ["0", "65536", "+1", "x", "5432 "] {
            let expected = TargetError::Port(port.to_owned());
            assert_eq!(refused(&format!("db:{port}")), expected);
        }
        assert_eq!(refused("[::1"), TargetError::Bracket);
        assert_eq!(refused("https://db"), TargetError::Scheme);
        assert_eq!(refused("jdbc:postgresql://db"), TargetError::Scheme);
        assert!(matches!(refused("*.example.com"), TargetError::Wildcard(_)));
        assert!(matches!(refused("fe80::1%eth0"), TargetError::Host(_)));
        assert!(matches!(refused(""), TargetError::Host(_)));
    }

    #[test]
    fn no_password_in_a_message() {
        for text in [
            "postgresql://u:sekrit/x@db/app",
            "postgresql://u:sekrit?x@db/app",
            "postgresql://u:sekrit%zz@db:x",
            "postgresql://u:a@sekrit",
            "postgresql://u:a@db:sekrit",
            "postgresql://u:a@db?password=sekrit%",
            "postgresql://u:sekrit@[::1/app",
            "http://u:sekrit@db",
        ] {
            if let Err(error) = text.parse::<Target>() {
                assert!(!format!("{error} {error:?}").contains("sekrit"), "{text}");
            }
        }
        assert!("postgresql://u:sekrit/x@db".parse::<Target>().is_err());
    }

    proptest! {
        #[test]
        fn any_text(text in "(postgresql://)?[a-z0-9:@/?&=,%\\[\\].é\\x00-\\x20-]{0,40}") {
            if let Ok(target) = text.parse::<Target>() {
                prop_assert!(!target.endpoints.is_empty());
                prop_assert!(!target.login.user.contains('\0'));
            }
        }
    }
}
