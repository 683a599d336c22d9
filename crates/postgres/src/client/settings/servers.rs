//! Which servers libpq would connect to (PostgreSQL documentation, "Specifying Multiple Hosts").

use std::net::IpAddr;

use pgpki_core::name::Host;

use super::{Settings, SettingsError};
use crate::probe::{DEFAULT_PORT, Endpoint, Negotiation};

/// More servers than this in one connection string are not a cluster.
pub(super) const MOST_HOSTS: usize = 64;

/// A server to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// Over TCP.
    Tcp {
        /// Where.
        endpoint: Endpoint,
        /// Whether `host` was given, which `verify-full` compares with the certificate.
        is_named: bool,
    },
    /// A Unix-domain socket, over which PostgreSQL has no TLS.
    Socket,
}

impl Settings {
    /// The servers, in the order in which libpq tries them.
    ///
    /// # Errors
    /// A host, address or port is none, or the lists do not go together.
    pub fn servers(&self) -> Result<Vec<Server>, SettingsError> {
        let list = |keyword: &str| -> Vec<&str> {
            self.value(keyword)
                .map(|value| value.split(',').collect())
                .unwrap_or_default()
        };
        let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
        let count = if addresses.is_empty() {
            hosts.len().max(1)
        } else {
            addresses.len()
        };
        let fits = |keyword, others: usize, single: bool| match others == 0
            || others == count
            || (single && others == 1)
        {
            true => Ok(()),
            false => Err(SettingsError::Lists {
                keyword,
                hosts: count,
                others,
            }),
        };
        fits("host", hosts.len(), false)?;
        fits("port", ports.len(), true)?;
        if count > MOST_HOSTS {
            return Err(SettingsError::TooMany);
        }
        let negotiation = self.negotiation()?;
        let nth =
            |list: &[&'_ str], place: usize| list.get(place).map_or("", |it| it.trim()).to_owned();
        (0..count)
            .map(|place| {
                let port = if ports.len() == 1 {
                    nth(&ports, 0)
                } else {
                    nth(&ports, place)
                };
                server(
                    &nth(&hosts, place),
                    &nth(&addresses, place),
                    &port,
                    negotiation,
                )
            })
            .collect()
    }
}

fn server(
    host: &str,
    address: &str,
    port: &str,
    negotiation: Negotiation,
) -> Result<Server, SettingsError> {
    let port = match port {
        "" => DEFAULT_PORT,
        text => text
            .parse()
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| SettingsError::Port(text.to_owned()))?,
    };
    let address: Option<IpAddr> = match address {
        "" => None,
        text => Some(
            text.parse()
                .map_err(|_| SettingsError::Address(text.to_owned()))?,
        ),
    };
    let name = match (host, address) {
        ("", None) => return Ok(Server::Socket),
        ("", Some(address)) => Host::Ip(address),
        // libpq takes hostaddr before it looks at the form of host.
        (path, None) if path.starts_with(['/', '@']) => return Ok(Server::Socket),
        (name, _) => match name.parse() {
            Ok(Host::Dns(name)) if name.starts_with('*') => return Err(SettingsError::Host(name)),
            Ok(name) => name,
            Err(_) => return Err(SettingsError::Host(name.to_owned())),
        },
    };
    Ok(Server::Tcp {
        endpoint: Endpoint {
            host: name,
            address,
            port,
            negotiation,
        },
        is_named: !host.is_empty(),
    })
}
