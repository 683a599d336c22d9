//! Who a certificate is for: a host, a role, or a CA. Parsed once, here; afterwards they are right.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// RFC 5280 appendix A: `ub-common-name`, in characters.
pub const MAX_COMMON_NAME: usize = 64;

/// PostgreSQL's NAMEDATALEN minus its terminating zero, in bytes: it cuts longer role names.
pub const MAX_ROLE_BYTES: usize = 63;

/// The folder in which pgpki keeps former generations next to clients' folders.
pub const RESERVED_FOLDER: &str = ".pgpki";

/// A name or address under which a server is reached: one subjectAltName entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A DNS name in lower-case ASCII (A-labels), or a wildcard: `*.` before at least two labels.
    Dns(String),
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
}

/// Why a text is neither a DNS name nor an IP address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no DNS name or IP address: {reason}")]
pub struct HostError {
    /// The text as it was given.
    pub name: String,
    /// What is wrong with it.
    pub reason: HostErrorReason,
}

/// What is wrong with a host name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostErrorReason {
    /// No text.
    #[error("it is empty")]
    Empty,
    /// A network in CIDR notation.
    #[error("a certificate names single addresses, not networks; leave out the part from \"/\" on")]
    Network,
    /// A host and a port.
    #[error("it has a port; leave out the part from \":\" on")]
    Port,
    /// Numbers that are no address.
    #[error("it looks like an IPv4 address, but is not one")]
    NotAnAddress,
    /// An IPv6 address as it stands in a URL.
    #[error("leave out the brackets around the IPv6 address")]
    Brackets,
    /// An absolute DNS name.
    #[error("it ends in a dot; leave that out, because clients compare names without it")]
    TrailingDot,
    /// A label without characters.
    #[error("two dots stand next to each other, or one at the start")]
    EmptyLabel,
    /// A label over RFC 1035's limit.
    #[error("the part {0:?} is longer than 63 characters")]
    LongLabel(String),
    /// A name over RFC 1035's limit.
    #[error("it is longer than 253 characters")]
    Long,
    /// A hyphen at a label's edge.
    #[error("the part {0:?} begins or ends with a hyphen")]
    Hyphen(String),
    /// A character that no label has.
    #[error("the character {0:?} cannot stand in it")]
    Character(char),
    /// Not to be converted to A-labels.
    #[error("it is not a valid internationalised name (IDNA, UTS 46)")]
    Idna,
    /// A wildcard where no client honours it.
    #[error("a \"*\" can only be the whole leftmost part, as in *.db.example.com")]
    Wildcard,
    /// A wildcard for a whole top-level domain.
    #[error("at least two parts must follow the \"*\", as in *.example.com: clients refuse less")]
    WideWildcard,
}

impl Host {
    /// The subject's common name that this host would give, or `None` if it is too long for one.
    pub fn as_common_name(&self) -> Option<String> {
        let text = self.to_string();
        (text.chars().count() <= MAX_COMMON_NAME).then_some(text)
    }

    fn parse_dns(text: &str) -> Result<String, HostErrorReason> {
        use HostErrorReason as Reason;
        let (wildcard, base) = match text.strip_prefix("*.") {
            Some(base) => (true, base),
            None => (false, text),
        };
        if base.contains('*') {
            return Err(Reason::Wildcard);
        }
        check_shape(base)?;
        let ascii = match base.is_ascii() {
            true => base.to_ascii_lowercase(),
            false => idna::domain_to_ascii_strict(base).map_err(|_| Reason::Idna)?,
        };
        // Browsers and resolvers read "1.2.3" and "0x7f.1" as addresses; no name ends like that.
        let last = ascii.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Reason::NotAnAddress);
        }
        ascii.split('.').try_for_each(check_label)?;
        if wildcard && !ascii.contains('.') {
            return Err(Reason::WideWildcard);
        }
        let name = if wildcard {
            format!("*.{ascii}")
        } else {
            ascii
        };
        // RFC 1035 section 2.3.4: 255 octets on the wire, which is 253 in text.
        if name.len() > 253 {
            return Err(Reason::Long);
        }
        Ok(name)
    }
}

/// Mistakes that people make, each with its own advice.
fn check_shape(text: &str) -> Result<(), HostErrorReason> {
    use HostErrorReason as Reason;
    if text.is_empty() {
        return Err(Reason::Empty);
    }
    if text.contains('/') && !text.contains("//") {
        return Err(Reason::Network);
    }
    if text.starts_with('[') {
        return Err(Reason::Brackets);
    }
    if let Some((_, port)) = text.rsplit_once(':')
        && !port.is_empty()
        && port.bytes().all(|b| b.is_ascii_digit())
    {
        return Err(Reason::Port);
    }
    if text.ends_with('.') && text.len() > 1 {
        return Err(Reason::TrailingDot);
    }
    Ok(())
}

/// Letters, digits and hyphens (RFC 1123 section 2.1), and the underscore, which DNS forbids to
/// host names but compose files and pods use in them, and every PostgreSQL client accepts.
fn check_label(label: &str) -> Result<(), HostErrorReason> {
    use HostErrorReason as Reason;
    if label.is_empty() {
        return Err(Reason::EmptyLabel);
    }
    if let Some(other) = label
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && *c != '-' && *c != '_')
    {
        return Err(Reason::Character(other));
    }
    if label.len() > 63 {
        return Err(Reason::LongLabel(label.to_owned()));
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(Reason::Hyphen(label.to_owned()));
    }
    Ok(())
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        Self::parse_dns(text)
            .map(Self::Dns)
            .map_err(|reason| HostError {
                name: text.to_owned(),
                reason,
            })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => write!(f, "{address}"),
        }
    }
}

/// A PostgreSQL role: the common name of a client's certificate, to the letter, and the name of
/// the folder that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Role(String);

/// Why a text cannot be a role with a certificate.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoleError {
    /// No name at all.
    #[error("a role's name cannot be empty")]
    Empty,
    /// PostgreSQL would cut the name, and then it would match no certificate.
    #[error(
        "the role {0:?} is longer than the {MAX_ROLE_BYTES} bytes that PostgreSQL keeps of a name"
    )]
    Long(String),
    /// A zero byte, which neither PostgreSQL nor a file name can hold.
    #[error("the role {0:?} contains a zero byte")]
    ZeroByte(String),
    /// The role's folder would be somewhere else.
    #[error("the role {0:?} cannot be the name of a folder, and each role's credential is in one")]
    NoFolder(String),
}

impl Role {
    /// The role's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        let owned = || text.to_owned();
        if text.is_empty() {
            Err(RoleError::Empty)
        } else if text.contains('\0') {
            Err(RoleError::ZeroByte(owned()))
        } else if text.len() > MAX_ROLE_BYTES {
            Err(RoleError::Long(owned()))
        } else if text.contains('/') || [".", "..", RESERVED_FOLDER].contains(&text) {
            Err(RoleError::NoFolder(owned()))
        } else {
            Ok(Self(owned()))
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands in a subject beside the common name (RFC 5280 section 4.1.2.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Organization {
    /// `C`: two letters, ISO 3166.
    pub country: Option<String>,
    /// `ST`.
    pub state: Option<String>,
    /// `L`.
    pub locality: Option<String>,
    /// `O`.
    pub organization: Option<String>,
    /// `OU`.
    pub organizational_unit: Option<String>,
}

/// A part of a subject that does not fit (RFC 5280 appendix A, the upper bounds).
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrganizationError {
    /// Not a country code.
    #[error("the country {0:?} is not a code of two capital letters, such as DE or US (ISO 3166)")]
    Country(String),
    /// Empty, or too long.
    #[error("the {attribute} {value:?} must have 1 to {limit} characters")]
    Length {
        /// Which part of the subject.
        attribute: &'static str,
        /// What was given.
        value: String,
        /// How many characters it may have.
        limit: usize,
    },
    /// A line feed, a zero byte or the like.
    #[error("the {attribute} {value:?} contains a control character")]
    Control {
        /// Which part of the subject.
        attribute: &'static str,
        /// What was given.
        value: String,
    },
}

impl Organization {
    /// Checks every part against RFC 5280's upper bounds.
    pub fn check(&self) -> Result<(), OrganizationError> {
        if let Some(country) = &self.country
            && !(country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase()))
        {
            return Err(OrganizationError::Country(country.clone()));
        }
        check_attribute("state", self.state.as_deref(), 128)?;
        check_attribute("locality", self.locality.as_deref(), 128)?;
        check_attribute("organization", self.organization.as_deref(), 64)?;
        check_attribute(
            "organizational unit",
            self.organizational_unit.as_deref(),
            64,
        )
    }

    /// The whole distinguished name, from the country down to the common name.
    pub(crate) fn with_common_name(&self, common_name: &str) -> rcgen::DistinguishedName {
        use rcgen::{DnType, DnValue};
        let mut name = rcgen::DistinguishedName::new();
        let parts = [
            (DnType::StateOrProvinceName, &self.state),
            (DnType::LocalityName, &self.locality),
            (DnType::OrganizationName, &self.organization),
            (DnType::OrganizationalUnitName, &self.organizational_unit),
        ];
        // RFC 5280 appendix A: a country is a PrintableString, the others may be UTF8String.
        if let Some(Ok(code)) = self.country.as_deref().map(TryInto::try_into) {
            name.push(DnType::CountryName, DnValue::PrintableString(code));
        }
        for (kind, value) in parts {
            if let Some(value) = value {
                name.push(kind, value.as_str());
            }
        }
        name.push(DnType::CommonName, common_name);
        name
    }
}

fn check_attribute(
    attribute: &'static str,
    value: Option<&str>,
    limit: usize,
) -> Result<(), OrganizationError> {
    let Some(value) = value else { return Ok(()) };
    let owned = || value.to_owned();
    if value.is_empty() || value.chars().count() > limit {
        return Err(OrganizationError::Length {
            attribute,
            value: owned(),
            limit,
        });
    }
    if value.chars().any(char::is_control) {
        return Err(OrganizationError::Control {
            attribute,
            value: owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use HostErrorReason as Reason;

    #[test]
    fn hosts_that_are_right() {
        let cases = [
            ("db.example.com", "db.example.com"),
            ("DB.Example.COM", "db.example.com"),
            ("localhost", "localhost"),
            ("db_primary", "db_primary"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("*.db.example.com", "*.db.example.com"),
            ("*.bücher.example", "*.xn--bcher-kva.example"),
            ("10.0.0.5", "10.0.0.5"),
            ("::1", "::1"),
            ("2001:DB8:0:0::5", "2001:db8::5"),
            ("3com.example", "3com.example"),
        ];
        for (given, expected) in cases {
            let host: Host = given.parse().unwrap();
            assert_eq!(host.to_string(), expected);
        }
    }

    #[test]
    fn hosts_that_are_wrong() {
        let cases = [
            ("", Reason::Empty),
            ("foo bar", Reason::Character(' ')),
            ("10.0.0.0/8", Reason::Network),
            ("db:5432", Reason::Port),
            ("10.0.0.5:5432", Reason::Port),
            ("[::1]", Reason::Brackets),
            ("256.1.1.1", Reason::NotAnAddress),
            ("10.0.0", Reason::NotAnAddress),
            ("db.example.com.", Reason::TrailingDot),
            ("db..example.com", Reason::EmptyLabel),
            (".example.com", Reason::EmptyLabel),
            ("-db.example.com", Reason::Hyphen("-db".into())),
            ("db-.example.com", Reason::Hyphen("db-".into())),
            ("db.*.com", Reason::Wildcard),
            ("d*.example.com", Reason::Wildcard),
            ("*", Reason::Wildcard),
            ("*.com", Reason::WideWildcard),
            ("*.*.example.com", Reason::Wildcard),
            ("a\0b", Reason::Character('\0')),
            ("\u{202e}db.example", Reason::Idna),
        ];
        for (given, reason) in cases {
            let error = given.parse::<Host>().unwrap_err();
            assert_eq!(error.reason, reason, "{given:?}");
        }
        let label = "a".repeat(64);
        let long = format!("{label}.example").parse::<Host>().unwrap_err();
        assert_eq!(long.reason, Reason::LongLabel(label));
        let many = ["a".repeat(60).as_str(); 5].join(".");
        assert_eq!(many.parse::<Host>().unwrap_err().reason, Reason::Long);
    }

    #[test]
    fn roles_as_postgresql_has_them() {
        let long = "é".repeat(31);
        for role in [
            "alice",
            "Alice",
            "app_user",
            "data team",
            "zoë",
            "o'brien",
            "a\"b",
            "-x",
            ".hidden",
            "CN=x",
            "a\\b",
            "a+b,c",
            &long,
        ] {
            assert_eq!(role.parse::<Role>().unwrap().as_str(), role);
        }
        assert_eq!("".parse::<Role>(), Err(RoleError::Empty));
        for role in [".", "..", "a/b", "/etc", "../x", ".pgpki"] {
            assert_eq!(role.parse::<Role>(), Err(RoleError::NoFolder(role.into())));
        }
        let cut = "é".repeat(32);
        assert_eq!(cut.parse::<Role>(), Err(RoleError::Long(cut.clone())));
        assert_eq!(
            "a\0".parse::<Role>(),
            Err(RoleError::ZeroByte("a\0".into()))
        );
    }

    #[test]
    fn organizations_within_their_bounds() {
        let country = |code: &str| Organization {
            country: Some(code.into()),
            ..Organization::default()
        };
        assert_eq!(country("DE").check(), Ok(()));
        for bad in ["de", "DEU", "D", "", "Ö"] {
            let refused = OrganizationError::Country(bad.into());
            assert_eq!(country(bad).check(), Err(refused));
        }
        let unit = |value: String| Organization {
            organizational_unit: Some(value),
            ..Organization::default()
        };
        assert_eq!(unit("ö".repeat(64)).check(), Ok(()));
        assert!(unit("ö".repeat(65)).check().is_err());
        assert!(unit(String::new()).check().is_err());
        assert!(unit("a\nb".into()).check().is_err());
    }
}
