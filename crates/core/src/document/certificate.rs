//! What a certificate says, in PostgreSQL's terms.

use std::net::IpAddr;

use ring::digest::{SHA256, digest};
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::AlgorithmIdentifier;

use super::public_key::{PublicKey, Signature, Strength, check, signature_algorithm};
use super::text::{common_name, common_name_has_zero, decimal, hex, printable, rfc2253};
use super::{Fault, der};
use crate::profile::Profile;
use crate::validity::Validity;

/// RFC 5280 section 4.1.2.2 allows 20 octets, and nobody is known to use many more.
const MAX_NUMBER_OCTETS: usize = 64;

/// A serial or CRL number, which in other authorities' files may be negative, or longer than ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// Hexadecimal digits, two an octet, without leading zero octets.
    pub hex: String,
    /// Decimal digits, as in `pg_stat_ssl.client_serial`.
    pub decimal: String,
}

impl Number {
    /// Reads the content octets of an INTEGER.
    pub(crate) fn read(content: &[u8]) -> Result<Self, Fault> {
        if content.len() > MAX_NUMBER_OCTETS {
            return Err(Fault::malformed("its number is absurdly long"));
        }
        let negative = content.first().is_some_and(|first| first & 0x80 != 0);
        let octets = if negative {
            negated(content)
        } else {
            content.to_vec()
        };
        let start = octets.iter().position(|octet| *octet != 0);
        let octets = octets
            .get(start.unwrap_or(octets.len())..)
            .unwrap_or_default();
        let sign = if negative { "-" } else { "" };
        let digits = match octets {
            [] => "00".to_owned(),
            octets => hex(octets),
        };
        Ok(Self {
            hex: format!("{sign}{digits}"),
            decimal: format!("{sign}{}", decimal(octets)),
        })
    }
}

/// Two's complement turned around.
fn negated(content: &[u8]) -> Vec<u8> {
    let mut carry = true;
    let mut octets: Vec<u8> = content.iter().map(|octet| !octet).collect();
    for octet in octets.iter_mut().rev() {
        (*octet, carry) = octet.overflowing_add(u8::from(carry));
    }
    if carry {
        octets.insert(0, 1);
    }
    octets
}

/// The names under which a server can be reached, out of a subjectAltName.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlternativeNames {
    /// DNS names, escaped.
    pub dns: Vec<String>,
    /// IP addresses.
    pub ip: Vec<IpAddr>,
    /// How many entries are of other kinds, or unreadable.
    pub others: usize,
}

impl AlternativeNames {
    /// Whether there is no name for a client to compare with the host it asked for.
    pub fn is_empty(&self) -> bool {
        self.dns.is_empty() && self.ip.is_empty()
    }

    pub(super) fn add(&mut self, name: &GeneralName<'_>) {
        match name {
            GeneralName::DNSName(name) => self.dns.push(printable(name)),
            GeneralName::IPAddress(octets) => match ip_address(octets) {
                Some(address) => self.ip.push(address),
                None => self.others += 1,
            },
            _ => self.others += 1,
        }
    }
}

fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let sixteen = <[u8; 16]>::try_from(octets).map(IpAddr::from);
    four.or(sixteen).ok()
}

/// An extendedKeyUsage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purposes {
    /// serverAuth.
    pub server: bool,
    /// clientAuth.
    pub client: bool,
    /// Any other, by its object identifier or usual name.
    pub others: Vec<String>,
}

/// What a certificate says. Every text in it is escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The certificate itself.
    pub der: Vec<u8>,
    /// Its serial number.
    pub serial: Number,
    /// Its subject, RFC 2253.
    pub subject: String,
    /// Its issuer, RFC 2253.
    pub issuer: String,
    /// The subject's first common name: for a client, the role.
    pub common_name: Option<String>,
    /// Whether that common name contains a zero byte.
    pub zero_in_common_name: bool,
    /// The names in its subjectAltName.
    pub alternative_names: AlternativeNames,
    /// From when until when it counts.
    pub validity: Validity,
    /// Whether it may sign others.
    pub is_ca: bool,
    /// How many CAs may follow it.
    pub path_length: Option<u32>,
    /// Whether its basicConstraints are marked critical.
    pub critical_constraints: bool,
    /// The bits of its keyUsage, in RFC 5280's words; `None` where it has no such extension.
    pub key_usage: Option<Vec<&'static str>>,
    /// Its extendedKeyUsage; `None` where it has no such extension.
    pub purposes: Option<Purposes>,
    /// Its subject key identifier, in hexadecimal digits.
    pub subject_key_id: Option<String>,
    /// Its authority key identifier, in hexadecimal digits.
    pub authority_key_id: Option<String>,
    /// Extensions that are critical and unknown, or that cannot be read, or stand there twice.
    pub unusable_extensions: Vec<String>,
    /// Its public key.
    pub public_key: PublicKey,
    /// The algorithm that it is signed with.
    pub signature_algorithm: String,
    /// What that algorithm is worth.
    pub signature_strength: Strength,
    /// SHA-256 of the whole certificate, in hexadecimal digits.
    pub fingerprint: String,
    /// Whether it is signed with its own key.
    pub self_signed: bool,
}

impl CertificateFacts {
    /// Reads one DER certificate with nothing behind it.
    pub(crate) fn read(der: &[u8]) -> Result<Self, Fault> {
        Fault::check_length(der)?;
        check_signed_structure(der, "certificate")?;
        let parsed = match X509Certificate::from_der(der) {
            Ok(([], parsed)) => parsed,
            Ok((rest, _)) => return Err(Fault::Trailing(rest.len())),
            Err(error) => return Err(Fault::of_parser("certificate", &error)),
        };
        let (signature_algorithm, signature_strength) =
            signature_algorithm(&parsed.signature_algorithm);
        let validity = parsed.validity();
        let mut facts = Self {
            der: der.to_vec(),
            serial: Number::read(parsed.raw_serial())?,
            subject: rfc2253(parsed.subject()),
            issuer: rfc2253(parsed.issuer()),
            common_name: common_name(parsed.subject()),
            zero_in_common_name: common_name_has_zero(parsed.subject()),
            alternative_names: AlternativeNames::default(),
            validity: Validity {
                not_before: validity.not_before.to_datetime(),
                not_after: validity.not_after.to_datetime(),
            },
            is_ca: false,
            path_length: None,
            critical_constraints: false,
            key_usage: None,
            purposes: None,
            subject_key_id: None,
            authority_key_id: None,
            unusable_extensions: Vec::new(),
            public_key: PublicKey::of(parsed.public_key()),
            signature_algorithm,
            signature_strength,
            fingerprint: hex(digest(&SHA256, der).as_ref()),
            self_signed: false,
        };
        facts.read_extensions(parsed.extensions());
        facts.self_signed = facts.signs_itself(&parsed);
        Ok(facts)
    }

    fn read_extensions(&mut self, extensions: &[X509Extension<'_>]) {
        for (place, extension) in extensions.iter().enumerate() {
            let same = |other: &&X509Extension<'_>| other.oid == extension.oid;
            if extensions.iter().take(place).any(|other| same(&other)) {
                self.unusable_extensions
                    .push(format!("{} (twice)", extension.oid));
            }
            self.read_extension(extension);
        }
    }

    fn read_extension(&mut self, extension: &X509Extension<'_>) {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(constraints) => {
                self.is_ca = constraints.ca;
                self.path_length = constraints.path_len_constraint;
                self.critical_constraints = extension.critical;
            }
            ParsedExtension::KeyUsage(usage) => self.key_usage = Some(key_usages(usage.flags)),
            ParsedExtension::ExtendedKeyUsage(usage) => self.purposes = Some(purposes(usage)),
            ParsedExtension::SubjectAlternativeName(names) => {
                names
                    .general_names
                    .iter()
                    .for_each(|name| self.alternative_names.add(name));
            }
            ParsedExtension::SubjectKeyIdentifier(id) => self.subject_key_id = Some(hex(id.0)),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                self.authority_key_id = id.key_identifier.as_ref().map(|id| hex(id.0));
            }
            ParsedExtension::ParseError { .. } => {
                self.unusable_extensions
                    .push(format!("{} (damaged)", extension.oid));
            }
            ParsedExtension::UnsupportedExtension { .. } if extension.critical => {
                self.unusable_extensions
                    .push(format!("{} (critical)", extension.oid));
            }
            _ => {}
        }
    }

    /// A signature that cannot be checked here counts where the names and identifiers agree.
    fn signs_itself(&self, parsed: &X509Certificate<'_>) -> bool {
        let same_key = match (&self.authority_key_id, &self.subject_key_id) {
            (Some(authority), Some(own)) => authority == own,
            _ => true,
        };
        same_key
            && parsed.subject().as_raw() == parsed.issuer().as_raw()
            && verify(parsed, parsed) != Signature::Bad
    }

    /// Whether `issuer`'s key made this certificate's signature.
    pub fn signed_by(&self, issuer: &Self) -> Signature {
        let parse = |der| {
            X509Certificate::from_der(der)
                .ok()
                .map(|(_, parsed)| parsed)
        };
        match (parse(&self.der), parse(&issuer.der)) {
            (Some(own), Some(issuer)) => verify(&own, &issuer),
            // Both were parsed before.
            _ => Signature::Unsupported,
        }
    }

    /// The profile that it comes closest to; `None` where nothing says what it is for.
    pub fn profile(&self) -> Option<Profile> {
        let purposes = self.purposes.as_ref();
        match (self.is_ca, self.self_signed) {
            (true, true) => Some(Profile::Root),
            // An issuing CA of ours has no CA below it.
            (true, false) if self.path_length == Some(1) => Some(Profile::Cross),
            (true, false) => Some(Profile::Issuing),
            _ if purposes.is_some_and(|p| p.client && !p.server) => Some(Profile::Client),
            _ if purposes.is_some_and(|p| p.server) => Some(Profile::Server),
            _ if purposes.is_none() && !self.alternative_names.is_empty() => Some(Profile::Server),
            _ => None,
        }
    }

    /// How reports call it: its common name, or its whole subject.
    pub fn title(&self) -> String {
        match &self.common_name {
            Some(name) if !name.is_empty() => name.clone(),
            _ => self.subject.clone(),
        }
    }

    pub(crate) fn may(&self, usage: &str) -> bool {
        let usages = self.key_usage.as_ref();
        usages.is_none_or(|usages| usages.contains(&usage))
    }
}

fn verify(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> Signature {
    check(
        issuer.public_key(),
        &certificate.signature_algorithm,
        &certificate.signature_value,
        certificate.tbs_certificate.as_ref(),
    )
}

/// Certificates, CRLs and requests are all three elements: what is signed, how, the signature.
/// x509-parser does not mind a fourth.
pub(super) fn check_signed_structure(der: &[u8], kind: &str) -> Result<(), Fault> {
    let parts = der::single(der).and_then(|element| element.sequence());
    match parts.as_deref() {
        Some([_, _, _]) => Ok(()),
        _ => Err(Fault::malformed(&format!("it is not a {kind} in DER"))),
    }
}

/// The name of the algorithm of a signature.
pub(super) fn algorithm_name(algorithm: &AlgorithmIdentifier<'_>) -> String {
    signature_algorithm(algorithm).0
}

/// RFC 5280 section 4.2.1.3, bit by bit.
fn key_usages(flags: u16) -> Vec<&'static str> {
    const BITS: [&str; 9] = [
        "digitalSignature",
        "nonRepudiation",
        "keyEncipherment",
        "dataEncipherment",
        "keyAgreement",
        "keyCertSign",
        "cRLSign",
        "encipherOnly",
        "decipherOnly",
    ];
    let set = BITS
        .iter()
        .enumerate()
        .filter(|(bit, _)| flags >> bit & 1 == 1);
    set.map(|(_, name)| *name).collect()
}

fn purposes(usage: &x509_parser::extensions::ExtendedKeyUsage<'_>) -> Purposes {
    let named = [
        (usage.any, "anyExtendedKeyUsage"),
        (usage.code_signing, "codeSigning"),
        (usage.email_protection, "emailProtection"),
        (usage.time_stamping, "timeStamping"),
        (usage.ocsp_signing, "OCSPSigning"),
    ];
    let named = named
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| (*name).to_owned());
    Purposes {
        server: usage.server_auth,
        client: usage.client_auth,
        others: named
            .chain(usage.other.iter().map(|oid| oid.to_id_string()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_that_other_authorities_use() {
        let number = |content: &[u8]| {
            let number = Number::read(content).unwrap();
            (number.hex, number.decimal)
        };
        let text = |hex: &str, decimal: &str| (hex.to_owned(), decimal.to_owned());
        assert_eq!(number(&[]), text("00", "0"));
        assert_eq!(number(&[0]), text("00", "0"));
        assert_eq!(number(&[0, 0xff]), text("ff", "255"));
        assert_eq!(number(&[0xff]), text("-01", "-1"));
        assert_eq!(number(&[0x80]), text("-80", "-128"));
        assert_eq!(number(&[0xff, 0]), text("-0100", "-256"));
        assert!(Number::read(&[1; 65]).is_err());
    }
}
