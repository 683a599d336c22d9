//! The key of a CA that is being made: in a file of the home, or in a token.

use pgpki_core::ca_key::CaKey;
use pgpki_core::issue::{Ca, is_certificate_of};
use pgpki_core::key::{KeyAlgorithm, KeyError, PrivateKey};
use pgpki_core::profile::Profile;
use pgpki_core::subject_key::SubjectKey;
use zeroize::Zeroizing;

use crate::authority::{Authority, AuthorityError};
use crate::ca_store::{CaStoreError, KeptKey};
use crate::ledger::{CaState, KnownCa};
use crate::tokens::{Hardware, KeyPlace};

impl Authority {
    /// The key of a new CA, and how it is kept: in the token that is named for it; else in the token of the CA that it
    /// succeeds, under its own name; else in a file, encrypted if there is a passphrase.
    pub(crate) fn new_key(
        &self,
        profile: Profile,
        passphrase: Option<&[u8]>,
        name: &str,
    ) -> Result<(CaKey, KeptKey), AuthorityError> {
        let algorithm = self.settings.algorithm;
        let named = match profile {
            Profile::Root => &self.hardware.root,
            _ => &self.hardware.issuing,
        };
        let tokens = &self.hardware.tokens;
        let placed = match (named, self.token_of_the_last(profile)?) {
            (Some(uri), _) => tokens.key_for_new_ca(uri, algorithm)?,
            (None, Some(uri)) => tokens.make_beside(&uri, algorithm, name)?,
            (None, None) => return in_a_file(PrivateKey::generate(algorithm)?, passphrase),
        };
        let is_used = |ca: &&KnownCa| {
            ca.state != CaState::Pending
                && is_certificate_of(&ca.certificate, placed.key.public_key())
        };
        let used = self.hierarchy.cas().find(is_used);
        refuse_used(used.map(|ca| &*ca.facts.common_name))?;
        Ok((placed.key.into(), KeptKey::Uri(placed.uri)))
    }

    /// What the next CA's key is to be encrypted with, if it is not to be in a token: as the last one is whose key is kept
    /// here, if that is encrypted. Where all of them are lost, nothing tells how they were kept, and what was given counts.
    ///
    /// # Errors
    /// There is no passphrase, or it does not open that key.
    pub(crate) fn passphrase_of_the_next(
        &self,
        profile: Profile,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, AuthorityError> {
        let named = match profile {
            Profile::Root => &self.hardware.root,
            _ => &self.hardware.issuing,
        };
        if named.is_some() {
            return Ok(None);
        }
        let store = self.store(profile);
        for ca in self.kept(profile).rev() {
            match store.key_place(&ca.certificate) {
                Ok(KeyPlace::Encrypted) => return Ok(Some(store.passphrase_of(&ca.certificate)?)),
                Ok(KeyPlace::File | KeyPlace::Token(_)) => return Ok(None),
                // A person has encrypted it, and did not mean the next one to be open.
                Err(
                    error @ CaStoreError::Key {
                        source: KeyError::UnknownEncryption | KeyError::TooCostly,
                        ..
                    },
                ) => {
                    let given = store.given_passphrase()?;
                    return given.map(Some).ok_or_else(|| error.into());
                }
                // Its files are lost or damaged: that is why there is to be another one.
                Err(
                    CaStoreError::NotKept { .. }
                    | CaStoreError::Missing { .. }
                    | CaStoreError::Key { .. },
                ) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(store.given_passphrase()?)
    }

    /// The CAs of a profile that have come to something, in the order in which they were made.
    fn kept(&self, profile: Profile) -> impl DoubleEndedIterator<Item = &KnownCa> {
        let counts = move |ca: &&KnownCa| ca.profile == profile && ca.state != CaState::Pending;
        self.hierarchy.cas().filter(counts)
    }

    /// The URI of the key of the last CA of this profile, if that is in a token.
    fn token_of_the_last(&self, profile: Profile) -> Result<Option<String>, AuthorityError> {
        let Some(last) = self.kept(profile).next_back() else {
            return Ok(None);
        };
        match self.store(profile).token_of(&last.certificate) {
            Ok(uri) => Ok(uri),
            // Its files are lost: that is why there is to be another one.
            Err(CaStoreError::NotKept { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The key of an issuing CA that is to be the first of an authority.
pub(crate) fn first_key(
    hardware: &Hardware,
    algorithm: KeyAlgorithm,
    passphrase: Option<&[u8]>,
) -> Result<(CaKey, KeptKey), AuthorityError> {
    match &hardware.issuing {
        Some(uri) => {
            let placed = hardware.tokens.key_for_new_ca(uri, algorithm)?;
            Ok((placed.key.into(), KeptKey::Uri(placed.uri)))
        }
        None => in_a_file(PrivateKey::generate(algorithm)?, passphrase),
    }
}

/// That a new issuing CA has another key than the root above it, which may be as new.
pub(crate) fn check_apart(root: &Ca, key: &SubjectKey) -> Result<(), AuthorityError> {
    let is_the_same = is_certificate_of(root.der(), key);
    refuse_used(is_the_same.then_some(&*root.facts().common_name))
}

fn refuse_used(ca: Option<&str>) -> Result<(), AuthorityError> {
    match ca {
        None => Ok(()),
        Some(ca) => Err(AuthorityError::KeyInUse { ca: ca.to_owned() }),
    }
}

fn in_a_file(
    key: PrivateKey,
    passphrase: Option<&[u8]>,
) -> Result<(CaKey, KeptKey), AuthorityError> {
    let pem = match passphrase {
        Some(passphrase) => key.to_encrypted_pem(passphrase)?,
        None => key.to_pem()?,
    };
    Ok((key.into(), KeptKey::Pem(pem)))
}
