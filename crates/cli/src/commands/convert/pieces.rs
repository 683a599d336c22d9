//! What was read, in order, and which of it a form can hold.

use pgpki_core::key::PrivateKey;
use pgpki_core::material::Material;
use pgpki_core::pkcs12::{belongs_to, in_chain_order};

use crate::exit::{Exit, Failure};
use crate::show::count;

/// One thing; DER, where it is not a key.
// There are a handful of them.
#[allow(clippy::large_enum_variant)]
pub(super) enum Piece {
    Key(PrivateKey),
    Certificate(Vec<u8>),
    Request(Vec<u8>),
    Crl(Vec<u8>),
}

/// Things in the order in which they are written.
#[derive(Default)]
pub(super) struct Pieces(pub(super) Vec<Piece>);

impl Pieces {
    /// Adds what stands in a file. Of a container: its keys, the first one's certificate, and the
    /// chain.
    pub(super) fn add(&mut self, material: Material) {
        match material {
            Material::Key(key) => self.0.push(Piece::Key(key)),
            Material::Certificate(der) => self.0.push(Piece::Certificate(der)),
            Material::Request(der) => self.0.push(Piece::Request(der)),
            Material::Crl(der) => self.0.push(Piece::Crl(der)),
            Material::Pkcs12(opened) => {
                let certificates = opened.certificates.into_iter().map(|entry| entry.item);
                let mut certificates: Vec<_> = certificates.collect();
                if let Some(first) = opened.keys.first() {
                    certificates = in_chain_order(&first.item, certificates);
                }
                let keys = opened.keys.into_iter().map(|entry| entry.item);
                self.0.extend(keys.map(Piece::Key));
                self.0
                    .extend(certificates.into_iter().map(Piece::Certificate));
            }
            // There is no other kind of material.
            _ => {}
        }
    }

    pub(super) fn has_key(&self) -> bool {
        self.keys().next().is_some()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &PrivateKey> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Key(key) => Some(key),
            _ => None,
        })
    }

    pub(super) fn certificates(&self) -> Vec<Vec<u8>> {
        let certificates = self.0.iter().filter_map(|piece| match piece {
            Piece::Certificate(der) => Some(der.clone()),
            _ => None,
        });
        certificates.collect()
    }

    /// For DER, which has no place for a second thing.
    pub(super) fn only_one(self) -> Result<Self, Failure> {
        match self.0.len() {
            1 => Ok(self),
            _ => Err(Failure::new(
                Exit::BadInput,
                format!("DER holds one thing, and there are {self} in what was read"),
            )
            .hint("Name a file with one in it, or write --to pem")),
        }
    }

    /// For PKCS#8: the key, without what stands beside it.
    pub(super) fn only_key(mut self) -> Result<Self, Failure> {
        self.one_key("PKCS#8 is a private key")?;
        self.0.retain(|piece| matches!(piece, Piece::Key(_)));
        Ok(self)
    }

    /// For PKCS#12: the key, its certificate, and the chain.
    pub(super) fn key_and_chain(self) -> Result<Self, Failure> {
        let key = self.one_key("PKCS#12 is for a private key and its certificates")?;
        let misfit = self
            .0
            .iter()
            .any(|piece| matches!(piece, Piece::Request(_) | Piece::Crl(_)));
        if misfit {
            let message = format!("PKCS#12 has no place for a request or a CRL: there are {self}");
            return Err(Failure::new(Exit::BadInput, message));
        }
        let certificates = in_chain_order(key, self.certificates());
        match certificates.first() {
            None => {
                let message =
                    "there is no certificate in what was read, and PKCS#12 needs the key's";
                return Err(Failure::new(Exit::BadInput, message));
            }
            Some(leaf) if !belongs_to(leaf, key) => {
                let message = format!(
                    "the private key belongs to none of the {}",
                    count(certificates.len(), "certificate")
                );
                return Err(Failure::new(Exit::Refused, message).hint(
                    "Nothing was written: name the certificate that was issued for this key",
                ));
            }
            Some(_) => {}
        }
        let key = self
            .0
            .into_iter()
            .find(|piece| matches!(piece, Piece::Key(_)));
        let certificates = certificates.into_iter().map(Piece::Certificate);
        Ok(Self(key.into_iter().chain(certificates).collect()))
    }

    fn one_key(&self, why: &str) -> Result<&PrivateKey, Failure> {
        let mut keys = self.keys();
        match (keys.next(), keys.next()) {
            (Some(key), None) => Ok(key),
            (None, _) => {
                let message = format!("{why}, and there is no key in what was read");
                Err(Failure::new(Exit::BadInput, message))
            }
            (Some(_), Some(_)) => {
                let message = format!("{why}, and there are {self} in what was read");
                Err(Failure::new(Exit::BadInput, message))
            }
        }
    }
}

/// How many of each, such as `1 key, 2 certificates`.
impl std::fmt::Display for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut counts = [("key", 0), ("certificate", 0), ("request", 0), ("CRL", 0)];
        for piece in &self.0 {
            let place = match piece {
                Piece::Key(_) => 0,
                Piece::Certificate(_) => 1,
                Piece::Request(_) => 2,
                Piece::Crl(_) => 3,
            };
            counts[place].1 += 1;
        }
        let parts: Vec<_> = counts
            .iter()
            .filter(|(_, number)| *number > 0)
            .map(|(name, number)| count(*number, name))
            .collect();
        match parts.is_empty() {
            true => f.write_str("no things"),
            false => f.write_str(&parts.join(", ")),
        }
    }
}
