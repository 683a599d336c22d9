//! What a PKCS#12 container holds, without the keys themselves.
//!
//! The MAC is not checked. It guards whoever trusts what is inside; here the content is only
//! described, and a wrong passphrase shows in what comes out of the decryption.

use super::certificate::CertificateFacts;
use super::encryption::{Encryption, Opening, Unlocking};
use super::private_key::KeyFacts;
use super::{Fault, printable};
use crate::pkcs12::container::{Bag, Container, Content};

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
    pub(super) fn read(der: &[u8], unlocking: &Unlocking<'_>) -> Result<Self, Fault> {
        let container = Container::read(der, unlocking)?;
        let mut facts = Self {
            encryption: Vec::new(),
            opening: container.opening,
            keys: Vec::new(),
            certificates: Vec::new(),
        };
        container.encryption.iter().for_each(|it| facts.note(it));
        for bag in &container.bags {
            facts.add(bag, unlocking)?;
        }
        Ok(facts)
    }

    fn add(&mut self, bag: &Bag, unlocking: &Unlocking<'_>) -> Result<(), Fault> {
        let alias = bag.alias.as_deref().map(printable);
        match &bag.content {
            Content::Key(der) => {
                let facts = KeyFacts::pkcs8(der)?;
                self.keys.push(Named { alias, facts });
            }
            Content::LockedKey(der) => {
                let facts = KeyFacts::encrypted_pkcs8(der, unlocking)?;
                facts.encryption.iter().for_each(|method| self.note(method));
                if self.opening.is_open() {
                    self.opening = facts.opening;
                }
                self.keys.push(Named { alias, facts });
            }
            Content::Certificate(der) => {
                let facts = CertificateFacts::read(der)?;
                self.certificates.push(Named { alias, facts });
            }
            Content::Other => {}
        }
        Ok(())
    }

    fn note(&mut self, encryption: &Encryption) {
        if !self.encryption.contains(encryption) {
            self.encryption.push(encryption.clone());
        }
    }
}
