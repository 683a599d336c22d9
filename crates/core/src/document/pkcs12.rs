//! PKCS#12 (RFC 7292), the `.p12` that pgJDBC and Windows take. Read by hand: the crates for it
//! need pre-releases of their own dependencies, and the structure is small.
//!
//! The MAC is not checked. It guards whoever trusts what is inside; here the content is only
//! described, and a wrong passphrase shows in what comes out of the decryption.

use super::certificate::CertificateFacts;
use super::der::{self, Element};
use super::encryption::{Encryption, Opening, Scheme};
use super::private_key::KeyFacts;
use super::text::bmp;
use super::{Fault, printable};

const DATA: &str = "1.2.840.113549.1.7.1";
const ENCRYPTED_DATA: &str = "1.2.840.113549.1.7.6";
const KEY_BAG: &str = "1.2.840.113549.1.12.10.1.1";
const SHROUDED_KEY_BAG: &str = "1.2.840.113549.1.12.10.1.2";
const CERTIFICATE_BAG: &str = "1.2.840.113549.1.12.10.1.3";
const X509_CERTIFICATE: &str = "1.2.840.113549.1.9.22.1";
const FRIENDLY_NAME: &str = "1.2.840.113549.1.9.20";

/// Something in a container, and its alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<T> {
    /// The friendly name, escaped: what Java calls the alias.
    pub alias: Option<String>,
    /// What it is.
    pub facts: T,
}

/// What a PKCS#12 container holds, as far as it could be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pkcs12Facts {
    /// Every method of encryption in it, each once.
    pub encryption: Vec<Encryption>,
    /// Whether everything in it could be opened; if not, the first thing that stood in the way.
    pub opening: Opening,
    /// The private keys.
    pub keys: Vec<Named<KeyFacts>>,
    /// The certificates, in order.
    pub certificates: Vec<Named<CertificateFacts>>,
}

impl Pkcs12Facts {
    pub(super) fn read(der: &[u8], passphrase: Option<&[u8]>) -> Result<Self, Fault> {
        Fault::check_length(der)?;
        let mut facts = Self {
            encryption: Vec::new(),
            opening: Opening::NotEncrypted,
            keys: Vec::new(),
            certificates: Vec::new(),
        };
        let safe = authenticated_safe(der).ok_or_else(broken)?;
        let contents = der::single(safe).and_then(|safe| safe.sequence());
        for content in contents.ok_or_else(broken)? {
            facts.content(&content, passphrase)?;
        }
        Ok(facts)
    }

    fn content(&mut self, content: &Element<'_>, passphrase: Option<&[u8]>) -> Result<(), Fault> {
        let (oid, inside) = content_info(content).ok_or_else(broken)?;
        match oid.as_str() {
            DATA => {
                let bags = der::single(inside).and_then(|data| data.octets());
                self.bags(bags.ok_or_else(broken)?, passphrase)
            }
            ENCRYPTED_DATA => {
                let (scheme, encrypted) = encrypted_data(inside).ok_or_else(broken)?;
                self.note(&scheme.encryption);
                match scheme.open(encrypted, passphrase) {
                    Ok(bags) if self.bags(&bags, passphrase).is_ok() => self.met(Opening::Opened),
                    Ok(_) => self.met(Opening::WrongPassphrase),
                    Err(opening) => self.met(opening),
                }
                Ok(())
            }
            _ => {
                self.met(Opening::Unsupported);
                Ok(())
            }
        }
    }

    fn bags(&mut self, bags: &[u8], passphrase: Option<&[u8]>) -> Result<(), Fault> {
        let bags = der::single(bags).and_then(|bags| bags.sequence());
        for bag in bags.ok_or_else(broken)? {
            let parts = bag.sequence().ok_or_else(broken)?;
            let oid = parts.first().and_then(Element::oid).ok_or_else(broken)?;
            let value = parts.get(1).and_then(|part| part.context(0));
            let value = value.ok_or_else(broken)?;
            let alias = parts.get(2).and_then(alias);
            match oid.as_str() {
                KEY_BAG => {
                    let facts = KeyFacts::pkcs8(value)?;
                    self.keys.push(Named { alias, facts });
                }
                SHROUDED_KEY_BAG => {
                    let facts = KeyFacts::encrypted_pkcs8(value, passphrase)?;
                    facts.encryption.iter().for_each(|method| self.note(method));
                    self.met(facts.opening);
                    self.keys.push(Named { alias, facts });
                }
                CERTIFICATE_BAG => {
                    let certificate = certificate_in(value).ok_or_else(broken)?;
                    let facts = CertificateFacts::read(certificate)?;
                    self.certificates.push(Named { alias, facts });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn note(&mut self, encryption: &Encryption) {
        if !self.encryption.contains(encryption) {
            self.encryption.push(encryption.clone());
        }
    }

    fn met(&mut self, opening: Opening) {
        if self.opening.is_open() {
            self.opening = opening;
        }
    }
}

fn broken() -> Fault {
    Fault::malformed("it is not a PKCS#12 container in DER; some programs write BER instead")
}

fn authenticated_safe(der: &[u8]) -> Option<&[u8]> {
    let parts = der::single(der)?.sequence()?;
    let (oid, inside) = content_info(parts.get(1)?)?;
    (oid == DATA).then(|| der::single(inside)?.octets())?
}

/// `ContentInfo`: what it is, and what stands in its `[0] EXPLICIT`.
fn content_info<'a>(content: &Element<'a>) -> Option<(String, &'a [u8])> {
    let parts = content.sequence()?;
    Some((parts.first()?.oid()?, parts.get(1)?.context(0)?))
}

fn encrypted_data(inside: &[u8]) -> Option<(Scheme, &[u8])> {
    let parts = der::single(inside)?.sequence()?;
    let info = parts.get(1)?.sequence()?;
    Some((Scheme::read(info.get(1)?)?, info.get(2)?.context(0)?))
}

fn certificate_in(bag: &[u8]) -> Option<&[u8]> {
    let parts = der::single(bag)?.sequence()?;
    if parts.first()?.oid()? != X509_CERTIFICATE {
        return None;
    }
    der::single(parts.get(1)?.context(0)?)?.octets()
}

fn alias(attributes: &Element<'_>) -> Option<String> {
    der::elements(attributes.content)?
        .iter()
        .find_map(|attribute| {
            let parts = attribute.sequence()?;
            if parts.first()?.oid()? != FRIENDLY_NAME {
                return None;
            }
            let value = *der::elements(parts.get(1)?.content)?.first()?;
            Some(printable(&bmp(value.content)?))
        })
}
