//! Issuing: a root signs itself and issuing CAs, an issuing CA signs servers and roles.

mod issuing;

use std::fmt;

use rcgen::{CertificateParams, KeyIdMethod, PublicKeyData as _, SanType, SerialNumber};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

pub(crate) use self::issuing::name_constraints;
pub use self::issuing::{CaName, NewIssuing};
use crate::ca_key::{CaKey, TokenError};
use crate::document::printable;
use crate::document::text::{short_name, value_as_text};
use crate::endorsement::second;
use crate::key::KeyError;
use crate::name::{Host, MAX_COMMON_NAME, Organization, Role};
use crate::name_constraints::{NameConstraints, NotPermitted};
use crate::profile::Profile;
use crate::serial::{NoRandomness, Serial};
use crate::subject_key::SubjectKey;
use crate::validity::{Days, Validity};

/// A certificate that has just been signed, and what the ledger keeps of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// Its serial number.
    pub serial: Serial,
    /// Its kind.
    pub profile: Profile,
    /// The subject's common name.
    pub common_name: String,
    /// The subjectAltName entries of a server; empty for the others.
    pub hosts: Vec<Host>,
    /// From when until when it counts.
    pub validity: Validity,
    /// Whether it was asked for longer than its issuer lasts, and cut to the issuer's end.
    pub cut_to_issuer: bool,
}

/// Whom a leaf is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A server, by its names; the first is the common name.
    Server(Vec<Host>),
    /// A role.
    Client(Role),
}

impl Holder {
    /// The profile of this holder's certificates.
    pub fn profile(&self) -> Profile {
        match self {
            Self::Server(_) => Profile::Server,
            Self::Client(_) => Profile::Client,
        }
    }

    /// The common name of this holder's certificates.
    pub fn common_name(&self) -> Result<String, IssueError> {
        match self {
            Self::Client(role) => Ok(role.to_string()),
            Self::Server(hosts) => {
                let first = hosts.first().ok_or(IssueError::NoHost)?;
                let long = || IssueError::LongCommonName(first.clone());
                first.as_common_name().ok_or_else(long)
            }
        }
    }

    fn hosts(&self) -> &[Host] {
        match self {
            Self::Server(hosts) => hosts,
            Self::Client(_) => &[],
        }
    }
}

impl fmt::Display for Holder {
    /// `role alice`, or `server db.example.com, 10.0.0.5`. For messages: control characters in a
    /// role's name are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(role) => write!(f, "role {}", printable(role.as_str())),
            Self::Server(hosts) => {
                let names: Vec<String> = hosts.iter().map(Host::to_string).collect();
                write!(f, "server {}", names.join(", "))
            }
        }
    }
}

/// Why a certificate could not be issued, or a CA not be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// A server without a name.
    #[error("a server's certificate needs at least one host name or address")]
    NoHost,
    /// The first host does not fit into a common name.
    #[error(
        "{0} is longer than the {MAX_COMMON_NAME} characters of a common name: \
         name a shorter host first, this one may follow"
    )]
    LongCommonName(Host),
    /// The CA's own time is over, or has not begun.
    #[error("the CA {ca:?} counts from {} until {}, and it is {} now", second(*not_before), second(*not_after), second(*now))]
    CaNotValid {
        /// The CA's common name.
        ca: String,
        /// Its first second.
        not_before: OffsetDateTime,
        /// Its last second.
        not_after: OffsetDateTime,
        /// What the clock says.
        now: OffsetDateTime,
    },
    /// The bytes are not a certificate, or more than one.
    #[error("it is not a DER certificate")]
    NotACertificate,
    /// The certificate may not sign others.
    #[error("the certificate {0:?} is not a CA's")]
    NotACa(String),
    /// Certificate and key are of different CAs.
    #[error("the private key does not belong to the certificate {0:?}")]
    KeyMismatch(String),
    /// The CA, or one above it, may not sign for a name.
    #[error(transparent)]
    NotPermitted(#[from] NotPermitted),
    /// The CA's key algorithm cannot sign for PostgreSQL.
    #[error("a CA cannot have an Ed25519 key: libpq's channel binding fails with what it signs")]
    Ed25519Ca,
    /// No randomness for the serial number.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// A key could not be made or used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The token that has the key did not sign.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The library that encodes certificates refused.
    #[error("the certificate could not be encoded: {0}")]
    Encoding(rcgen::Error),
}

/// What a CA's certificate says of the CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaFacts {
    /// The subject's common name.
    pub common_name: String,
    /// From when until when it counts.
    pub validity: Validity,
}

impl CaFacts {
    /// Reads a CA's certificate, DER.
    pub fn read(der: &[u8]) -> Result<Self, IssueError> {
        let parsed = parse(der)?;
        let common_name = common_name_of(&parsed);
        if !parsed.is_ca() {
            return Err(IssueError::NotACa(common_name));
        }
        Ok(Self {
            common_name,
            validity: Validity {
                not_before: parsed.validity().not_before.to_datetime(),
                not_after: parsed.validity().not_after.to_datetime(),
            },
        })
    }
}

/// A CA with its key: it can sign.
pub struct Ca {
    der: Vec<u8>,
    facts: CaFacts,
    subject: Vec<u8>,
    key_identifier: Vec<u8>,
    key: CaKey,
    constraints: Vec<NameConstraints>,
    /// When leaves end at the latest, if that is before this CA does.
    leaves_until: Option<OffsetDateTime>,
}

impl Ca {
    /// Makes a root: a new self-signed certificate for `key`.
    pub fn new_root(
        key: impl Into<CaKey>,
        organization: &Organization,
        common_name: &str,
        now: OffsetDateTime,
        days: Days,
    ) -> Result<(Self, Issued), IssueError> {
        let key = key.into();
        if !key.public_key().may_sign_certificates() {
            return Err(IssueError::Ed25519Ca);
        }
        let serial = Serial::random()?;
        let validity = Validity::starting(now, days);
        let params = parameters(Profile::Root, organization, common_name, serial, validity);
        let signed = params.self_signed(&key);
        let certificate = signed.map_err(|error| not_signed(&key, error))?;
        let issued = Issued {
            der: certificate.der().to_vec(),
            serial,
            profile: Profile::Root,
            common_name: common_name.to_owned(),
            hosts: Vec::new(),
            validity,
            cut_to_issuer: false,
        };
        Ok((Self::load(&issued.der, key)?, issued))
    }

    /// Takes a CA's certificate (DER) and its key, which must be the one in the certificate.
    pub fn load(der: &[u8], key: impl Into<CaKey>) -> Result<Self, IssueError> {
        let key = key.into();
        let facts = CaFacts::read(der)?;
        let parsed = parse(der)?;
        if !key.public_key().may_sign_certificates() {
            return Err(IssueError::Ed25519Ca);
        }
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(IssueError::KeyMismatch(facts.common_name));
        }
        let constraints = NameConstraints::of(&parsed, &facts.common_name);
        Ok(Self {
            der: der.to_vec(),
            subject: parsed.subject().as_raw().to_vec(),
            key_identifier: key_identifier_of(&parsed)
                .unwrap_or_else(|| usual_key_identifier(&parsed)),
            constraints: constraints.into_iter().collect(),
            leaves_until: None,
            facts,
            key,
        })
    }

    /// Holds the leaves that it signs to the constraints of the CAs above it as well, and ends them by then.
    #[must_use]
    pub fn under(mut self, constraints: &[NameConstraints], until: OffsetDateTime) -> Self {
        self.constraints.extend(constraints.iter().cloned());
        self.leaves_until = Some(until);
        self
    }

    /// Signs the key of `successor`, a root that this one's organization has just made, so that whoever trusts this
    /// root trusts it too. Its name is copied to the octet, and it ends with whichever of the two ends first.
    pub fn cross_sign(
        &self,
        successor: &Ca,
        organization: &Organization,
        now: OffsetDateTime,
    ) -> Result<Issued, IssueError> {
        self.check_validity(now)?;
        let serial = Serial::random()?;
        let name = &successor.facts.common_name;
        let (validity, _) = successor.facts.validity.cut_to(self.not_after());
        let params = parameters(Profile::Cross, organization, name, serial, validity);
        let subject = Some(successor.subject());
        Ok(Issued {
            der: self.sign_certificate(&params, &successor.key, subject)?,
            serial,
            profile: Profile::Cross,
            common_name: name.clone(),
            hosts: Vec::new(),
            validity,
            cut_to_issuer: validity.not_after < successor.not_after(),
        })
    }

    /// Signs a leaf for `key`. Its end is cut to this CA's own.
    ///
    /// # Errors
    /// This CA does not count at `now`, may not sign for one of the names, or could not sign.
    pub fn issue_leaf(
        &self,
        holder: &Holder,
        key: &SubjectKey,
        organization: &Organization,
        now: OffsetDateTime,
        days: Days,
    ) -> Result<Issued, IssueError> {
        self.check_validity(now)?;
        let (profile, hosts) = (holder.profile(), holder.hosts());
        let common_name = holder.common_name()?;
        let serial = Serial::random()?;
        let (validity, cut_to_issuer) = self.validity_of_leaf(now, days);
        let mut params = parameters(profile, organization, &common_name, serial, validity);
        params.subject_alt_names = hosts
            .iter()
            .map(alternative_name)
            .collect::<Result<_, _>>()?;
        Ok(Issued {
            der: self.sign_leaf(&params, key, &common_name, hosts)?,
            serial,
            profile,
            common_name,
            hosts: hosts.to_vec(),
            validity,
            cut_to_issuer,
        })
    }

    /// Signs a client's certificate for one of its serial numbers, which is on a CRL already, under a name that need not be
    /// a role's. Returns it in DER.
    pub(crate) fn issue_revoked(
        &self,
        serial: Serial,
        common_name: &str,
        key: &SubjectKey,
        organization: &Organization,
        (now, days): (OffsetDateTime, Days),
    ) -> Result<Vec<u8>, IssueError> {
        self.check_validity(now)?;
        let (validity, _) = self.validity_of_leaf(now, days);
        let params = parameters(Profile::Client, organization, common_name, serial, validity);
        self.sign_leaf(&params, key, common_name, &[])
    }

    /// The validity of a leaf, and whether it was cut.
    fn validity_of_leaf(&self, now: OffsetDateTime, days: Days) -> (Validity, bool) {
        let end = self
            .leaves_until
            .map_or(self.not_after(), |until| until.min(self.not_after()));
        Validity::starting(now, days).cut_to(end)
    }

    fn sign_leaf(
        &self,
        params: &CertificateParams,
        key: &SubjectKey,
        common_name: &str,
        hosts: &[Host],
    ) -> Result<Vec<u8>, IssueError> {
        let draft = self.draft_certificate(params, key, None)?;
        for constraints in &self.constraints {
            let subject = draft.subject().unwrap_or_default();
            constraints.check_certificate(subject, common_name, hosts)?;
        }
        self.sign_draft(&draft)
    }

    /// Whether a leaf for `holder` would be within this CA's name constraints, and within `others`, those of the CAs above
    /// it. Nothing is signed.
    ///
    /// # Errors
    /// It would not.
    pub fn check_holder(
        &self,
        holder: &Holder,
        organization: &Organization,
        others: &[NameConstraints],
    ) -> Result<(), IssueError> {
        let common_name = holder.common_name()?;
        let profile = holder.profile();
        let validity = self.facts.validity;
        let serial = Serial::random()?;
        let params = parameters(profile, organization, &common_name, serial, validity);
        let draft = self.draft_certificate(&params, &self.key, None)?;
        let subject = draft.subject().unwrap_or_default();
        for constraints in self.constraints.iter().chain(others) {
            constraints.check_certificate(subject, &common_name, holder.hosts())?;
        }
        Ok(())
    }

    fn check_validity(&self, now: OffsetDateTime) -> Result<(), IssueError> {
        let Validity {
            not_before,
            not_after,
        } = self.facts.validity;
        if (not_before..=not_after).contains(&now) {
            return Ok(());
        }
        Err(IssueError::CaNotValid {
            ca: self.facts.common_name.clone(),
            not_before,
            not_after,
            now,
        })
    }

    /// The CA's certificate, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What the certificate says.
    pub fn facts(&self) -> &CaFacts {
        &self.facts
    }

    /// The last second at which the CA's certificate counts.
    pub fn not_after(&self) -> OffsetDateTime {
        self.facts.validity.not_after
    }

    pub(crate) fn key(&self) -> &CaKey {
        &self.key
    }

    pub(crate) fn key_identifier(&self) -> &[u8] {
        &self.key_identifier
    }

    pub(crate) fn subject(&self) -> &[u8] {
        &self.subject
    }
}

/// Why what was to be signed came back without a signature.
pub(crate) fn not_signed(key: &CaKey, error: rcgen::Error) -> IssueError {
    match (&error, key.said()) {
        (rcgen::Error::RemoteKeyError, Some(said)) => IssueError::Token(said),
        _ => IssueError::Encoding(error),
    }
}

fn parameters(
    profile: Profile,
    organization: &Organization,
    common_name: &str,
    serial: Serial,
    validity: Validity,
) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = organization.with_common_name(common_name);
    params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
    params.not_before = validity.not_before;
    params.not_after = validity.not_after;
    params.key_identifier_method = KeyIdMethod::Sha256;
    profile.apply(&mut params);
    params
}

pub(crate) fn alternative_name(host: &Host) -> Result<SanType, IssueError> {
    match host {
        Host::Ip(address) => Ok(SanType::IpAddress(*address)),
        Host::Dns(name) => name
            .as_str()
            .try_into()
            .map(SanType::DnsName)
            .map_err(IssueError::Encoding),
    }
}

/// Reads one DER certificate with nothing behind it.
pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, IssueError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(IssueError::NotACertificate),
    }
}

fn common_name_of(certificate: &X509Certificate<'_>) -> String {
    certificate
        .subject()
        .iter_common_name()
        .find_map(|name| value_as_text(name.attr_value()))
        .unwrap_or_default()
}

/// The subject of a certificate (DER) as `pg_stat_ssl.issuer_dn` has it for those whom it has signed:
/// `/O=Example/CN=…`, in full.
pub fn subject_as_postgresql_prints_it(der: &[u8]) -> Result<String, IssueError> {
    Ok(in_postgresql_form(parse(der)?.subject()))
}

/// A name as PostgreSQL prints it (`X509_NAME_to_cstring` in be-secure-openssl.c): in the order of the certificate, with a
/// slash before each attribute, and RFC 2253's escapes except for what is not ASCII.
fn in_postgresql_form(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    for attribute in name.iter_attributes() {
        let oid = attribute.attr_type().to_id_string();
        let value = value_as_text(attribute.attr_value());
        text.push('/');
        text.push_str(short_name(&oid).unwrap_or(&oid));
        text.push('=');
        push_escaped(&mut text, &value.unwrap_or_default());
    }
    text
}

fn push_escaped(text: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (index, c) in value.chars().enumerate() {
        let at_the_edge = (c == ' ' && (index == 0 || index == last)) || (c == '#' && index == 0);
        if at_the_edge || matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            text.push('\\');
        }
        match c.is_ascii_control() {
            true => text.push_str(&format!("\\{:02X}", u32::from(c))),
            false => text.push(c),
        }
    }
}

fn key_identifier_of(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    use x509_parser::extensions::ParsedExtension;
    certificate
        .iter_extensions()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        })
}

/// RFC 5280 section 4.2.1.2, the first method: SHA-1 of the key's bits. For a CA whose certificate does not say.
fn usual_key_identifier(certificate: &X509Certificate<'_>) -> Vec<u8> {
    use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
    let bits = &certificate.public_key().subject_public_key.data;
    digest(&SHA1_FOR_LEGACY_USE_ONLY, bits).as_ref().to_vec()
}

/// The first common name of a DER certificate's subject, to the letter; `None` where the bytes are no certificate.
pub fn subject_common_name(der: &[u8]) -> Option<String> {
    Some(common_name_of(&parse(der).ok()?))
}

/// Whether two certificates (DER) have the same subject, to the octet.
pub fn has_same_name(one: &[u8], other: &[u8]) -> bool {
    match (parse(one), parse(other)) {
        (Ok(one), Ok(other)) => one.subject().as_raw() == other.subject().as_raw(),
        _ => false,
    }
}

/// Whether a certificate (DER) is for this key.
pub fn is_certificate_of(der: &[u8], key: &SubjectKey) -> bool {
    parse(der).is_ok_and(|parsed| parsed.public_key().raw == key.subject_public_key_info())
}

/// The serial number of a DER certificate, if it is one that this authority could have issued.
pub fn serial_of(der: &[u8]) -> Option<Serial> {
    Serial::from_der_integer(parse(der).ok()?.raw_serial())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::key::{KeyAlgorithm, PrivateKey};
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

    fn root(organization: &Organization, name: &str) -> (Ca, Issued) {
        let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
        Ca::new_root(key, organization, name, NOW, Days::ROOT).unwrap()
    }

    #[test]
    fn names_in_postgresqls_form() {
        let organization = Organization {
            country: Some("DE".into()),
            state: Some("Bayern".into()),
            locality: Some("München".into()),
            organization: Some("Example, \"Inc\"".into()),
            organizational_unit: Some("#1 + <2>".into()),
        };
        let (ca, _) = root(&organization, "pki\\root");
        assert_eq!(
            subject_as_postgresql_prints_it(ca.der()).unwrap(),
            r#"/C=DE/ST=Bayern/L=München/O=Example\, \"Inc\"/OU=\#1 \+ \<2\>/CN=pki\\root"#
        );
    }

    /// What PostgreSQL 15 prints for the same names.
    #[test]
    fn names_of_other_peoples_making_in_postgresqls_form() {
        let wrap = |tag: u8, content: &[u8]| {
            [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
        };
        let part =
            |oid: &[u8], value: Vec<u8>| wrap(0x31, &wrap(0x30, &[wrap(6, oid), value].concat()));
        let wide: Vec<u8> = "Bücher".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let name = [
            part(&[0x55, 4, 10], wrap(30, &wide)),
            part(&[0x55, 4, 7], wrap(20, b"M\xfcnchen")),
            part(&[0x55, 4, 9], wrap(12, b"a street")),
            part(&[0x55, 4, 4], wrap(19, b"b")),
            part(&[0x55, 4, 3], wrap(12, b"c\n")),
            part(
                &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0xd, 1, 9, 1],
                wrap(22, b"a@b.c"),
            ),
        ];
        let name = wrap(0x30, &name.concat());
        let (_, name) = X509Name::from_der(&name).unwrap();
        assert_eq!(
            in_postgresql_form(&name),
            r"/O=Bücher/L=München/street=a street/SN=b/CN=c\0A/emailAddress=a@b.c"
        );
    }

    #[test]
    fn a_cross_certificate_is_the_new_roots_under_the_old_one() {
        let organization = Organization::default();
        let (old, _) = root(&organization, "root 1");
        let (new, self_signed) = root(&organization, "root 2");
        let cross = old.cross_sign(&new, &organization, NOW).unwrap();
        let (own, cross_signed) = (parse(&self_signed.der).unwrap(), parse(&cross.der).unwrap());
        assert_eq!(own.public_key().raw, cross_signed.public_key().raw);
        assert_eq!(own.subject().as_raw(), cross_signed.subject().as_raw());
        assert_eq!(key_identifier_of(&own), key_identifier_of(&cross_signed));
        assert_eq!(cross_signed.issuer().as_raw(), old.subject());
        assert!(cross.validity.not_after <= old.not_after());
        let old_key = parse(old.der()).unwrap();
        cross_signed
            .verify_signature(Some(old_key.public_key()))
            .unwrap();
    }
}
