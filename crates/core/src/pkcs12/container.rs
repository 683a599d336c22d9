//! The structure of a container, as far as its passphrase opens it.

use zeroize::Zeroizing;

use super::integrity::Mac;
use super::oid;
use crate::document::Fault;
use crate::document::der::{self, Element};
use crate::document::encryption::{Encryption, Opening, Scheme, Unlocking};
use crate::document::text::bmp;

/// A container, taken apart.
pub(crate) struct Container {
    /// How its parts are encrypted, keys aside.
    pub(crate) encryption: Vec<Encryption>,
    /// Whether all its parts could be opened, keys aside; if not, what stood in the way first.
    pub(crate) opening: Opening,
    /// What is in those parts that could be opened, in order.
    pub(crate) bags: Vec<Bag>,
}

/// One thing in a container.
pub(crate) struct Bag {
    /// Its friendly name, as it stands there.
    pub(crate) alias: Option<String>,
    /// By this a key and its certificate are seen to belong together.
    pub(crate) local_key_id: Option<Vec<u8>>,
    pub(crate) content: Content,
}

/// What is in a bag, DER.
pub(crate) enum Content {
    /// A private key, PKCS#8.
    Key(Zeroizing<Vec<u8>>),
    /// A private key, encrypted PKCS#8.
    LockedKey(Vec<u8>),
    Certificate(Vec<u8>),
    /// A CRL, a secret, or a bag of bags.
    Other,
}

impl Container {
    /// Takes a container apart, without a look at its MAC.
    pub(crate) fn read(der: &[u8], unlocking: &Unlocking<'_>) -> Result<Self, Fault> {
        Fault::check_length(der)?;
        let (safes, _) = outside(der).ok_or_else(broken)?;
        let mut container = Self {
            encryption: Vec::new(),
            opening: Opening::NotEncrypted,
            bags: Vec::new(),
        };
        let contents = der::single(safes).and_then(|safes| safes.sequence());
        for content in contents.ok_or_else(broken)? {
            container.add(&content, unlocking)?;
        }
        Ok(container)
    }

    fn add(&mut self, content: &Element<'_>, unlocking: &Unlocking<'_>) -> Result<(), Fault> {
        let (kind, inside) = content_info(content).ok_or_else(broken)?;
        if kind == oid::DATA.to_string() {
            let bags = der::single(inside).and_then(|data| data.octets());
            self.bags
                .extend(bags.and_then(read_bags).ok_or_else(broken)?);
            return Ok(());
        }
        if kind != oid::ENCRYPTED_DATA.to_string() {
            self.met(Opening::Unsupported);
            return Ok(());
        }
        let (scheme, encrypted) = encrypted_data(inside).ok_or_else(broken)?;
        let opened = scheme.open(encrypted, unlocking);
        self.encryption.push(scheme.encryption);
        match opened.map(|bags| read_bags(&bags)) {
            Ok(Some(bags)) => {
                self.bags.extend(bags);
                self.met(Opening::Opened);
            }
            Ok(None) => self.met(Opening::WrongPassphrase),
            Err(opening) => self.met(opening),
        }
        Ok(())
    }

    fn met(&mut self, opening: Opening) {
        if self.opening.is_open() {
            self.opening = opening;
        }
    }
}

pub(super) fn broken() -> Fault {
    Fault::malformed("it is not a PKCS#12 container in DER; some programs write BER instead")
}

/// What a container guards, and with what (RFC 7292 section 4).
pub(super) fn outside(der: &[u8]) -> Option<(&[u8], Option<Mac>)> {
    let parts = der::single(der)?.sequence()?;
    let (kind, inside) = content_info(parts.get(1)?)?;
    if kind != oid::DATA.to_string() {
        return None;
    }
    let safes = der::single(inside)?.octets()?;
    match parts.get(2) {
        None => Some((safes, None)),
        Some(mac) => Some((safes, Some(Mac::read(mac)?))),
    }
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

/// `SafeContents`; `None` also where it was decrypted with a wrong key.
fn read_bags(bags: &[u8]) -> Option<Vec<Bag>> {
    der::single(bags)?
        .sequence()?
        .iter()
        .map(read_bag)
        .collect()
}

fn read_bag(bag: &Element<'_>) -> Option<Bag> {
    let parts = bag.sequence()?;
    let kind = parts.first()?.oid()?;
    let value = parts.get(1)?.context(0)?;
    let attribute = |kind| parts.get(2).and_then(|all| attribute(all, kind));
    let content = if kind == oid::KEY_BAG.to_string() {
        Content::Key(Zeroizing::new(value.to_vec()))
    } else if kind == oid::SHROUDED_KEY_BAG.to_string() {
        Content::LockedKey(value.to_vec())
    } else if kind == oid::CERTIFICATE_BAG.to_string() {
        Content::Certificate(certificate_in(value)?.to_vec())
    } else {
        Content::Other
    };
    Some(Bag {
        alias: attribute(oid::FRIENDLY_NAME).and_then(|value| bmp(value.content)),
        local_key_id: attribute(oid::LOCAL_KEY_ID).map(|value| value.content.to_vec()),
        content,
    })
}

fn certificate_in(bag: &[u8]) -> Option<&[u8]> {
    let parts = der::single(bag)?.sequence()?;
    if parts.first()?.oid()? != oid::X509_CERTIFICATE.to_string() {
        return None;
    }
    der::single(parts.get(1)?.context(0)?)?.octets()
}

/// The first value of an attribute.
fn attribute<'a>(attributes: &Element<'a>, kind: pkcs8::ObjectIdentifier) -> Option<Element<'a>> {
    let kind = kind.to_string();
    der::elements(attributes.content)?
        .iter()
        .find_map(|attribute| {
            let parts = attribute.sequence()?;
            if parts.first()?.oid()? != kind {
                return None;
            }
            der::elements(parts.get(1)?.content)?.first().copied()
        })
}
