//! For whom a request says that it is: its common names, and the names that it asks for. All of it is a stranger's
//! text, which somebody is to read before it is signed.

use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME;
use x509_parser::prelude::{ParsedCriAttribute, X509CertificationRequest};

use super::{MAX_HOSTS, RequestError, beginning};
use crate::document::printable;
use crate::issue::Holder;
use crate::name::{Host, HostError, HostErrorReason, MAX_ROLE_BYTES, RoleError};

/// RFC 1035's limit, in characters: what is longer is no host, and is not repeated in full.
const MAX_HOST: usize = 253;

/// The names of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// `None`: not in a string type that RFC 5280 section 4.1.2.4 has for new certificates.
    common_names: Vec<Option<String>>,
    hosts: Vec<String>,
    /// Whether there are names of other kinds, or some that cannot be read.
    has_others: bool,
}

impl Wish {
    pub(super) fn of(request: &X509CertificationRequest<'_>) -> Self {
        let info = &request.certification_request_info;
        let names = info.subject.iter_common_name();
        let mut wish = Self {
            common_names: names
                .map(|name| name.as_str().ok().map(str::to_owned))
                .collect(),
            ..Self::default()
        };
        for attribute in info.iter_attributes() {
            if let ParsedCriAttribute::ExtensionRequest(wished) = attribute.parsed_attribute() {
                let names = wished.extensions.iter();
                names
                    .filter(|it| it.oid == OID_X509_EXT_SUBJECT_ALT_NAME)
                    .for_each(|it| wish.add(it));
            }
        }
        wish
    }

    fn add(&mut self, extension: &X509Extension<'_>) {
        let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() else {
            self.has_others = true;
            return;
        };
        for name in &names.general_names {
            match name {
                GeneralName::DNSName(name) => self.hosts.push((*name).to_owned()),
                GeneralName::IPAddress(octets) => match address(octets) {
                    Some(address) => self.hosts.push(address),
                    None => self.has_others = true,
                },
                _ => self.has_others = true,
            }
        }
    }

    /// See [`super::Request::holder`].
    pub(super) fn holder(&self) -> Result<Holder, RequestError> {
        if self.has_others {
            return Err(RequestError::OtherNames);
        }
        match self.hosts.len() {
            0 => self.role(),
            1..=MAX_HOSTS => self.server(),
            many => Err(RequestError::ManyHosts(many)),
        }
    }

    fn role(&self) -> Result<Holder, RequestError> {
        let name = match self.common_names.as_slice() {
            [] => return Err(RequestError::NoName),
            [None] => return Err(RequestError::NameNotText),
            [Some(name)] => name,
            names => return Err(RequestError::ManyNames(names.len())),
        };
        if name.len() > MAX_ROLE_BYTES {
            return Err(RoleError::Long(beginning(name)).into());
        }
        if printable(name) != *name || name.trim() != name {
            return Err(RequestError::Unseen(name.clone()));
        }
        Ok(Holder::Client(name.parse()?))
    }

    /// The first host becomes the common name. What a request has there comes first only if it is one of them.
    fn server(&self) -> Result<Holder, RequestError> {
        let mut hosts: Vec<Host> = Vec::new();
        for name in &self.hosts {
            let host = host(name)?;
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        let first = self.common_names.first().and_then(Option::as_deref);
        let wished = first.and_then(|name| host(name).ok());
        if let Some(first) = hosts.iter().position(|host| Some(host) == wished.as_ref()) {
            hosts[..=first].rotate_right(1);
        }
        Ok(Holder::Server(hosts))
    }
}

fn host(name: &str) -> Result<Host, HostError> {
    if name.len() > MAX_HOST {
        return Err(HostError {
            name: beginning(name),
            reason: HostErrorReason::Long,
        });
    }
    name.parse()
}

fn address(octets: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(octets).map(std::net::IpAddr::from);
    let sixteen = <[u8; 16]>::try_from(octets).map(std::net::IpAddr::from);
    four.or(sixteen).ok().map(|address| address.to_string())
}
