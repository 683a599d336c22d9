//! The files with the keys of one kind of CA: those of its generations, and that of a request that waits.

use std::path::PathBuf;

use pgpki_core::key::{KeyError, PrivateKey};
use pgpki_fs::{NewFile, PrivateDir, PrivateError, Rewriting, WalkError};
use zeroize::Zeroizing;

use super::{KeyChange, KeyChangeError};
use crate::authority::AuthorityError;
use crate::ca_store::{CaStore, CaStoreError, KEY, MAX_BYTES, read_key};

/// Which key it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// That of a CA, by the number of its generation.
    Ca(u32),
    /// That of a request for the next issuing CA, which waits for its answer.
    Requested,
}

/// A key that is kept in a file.
pub(super) struct Kept {
    pub(super) which: Which,
    /// None where it is encrypted.
    pub(super) open: Option<PrivateKey>,
}

/// The files with the keys of one kind of CA.
pub(super) struct KeyFiles<'a> {
    pub(super) store: &'a CaStore,
    /// Where a request for the next CA of this kind waits, if one can.
    pub(super) request: Option<PathBuf>,
}

impl KeyFiles<'_> {
    /// The keys that are in files, and the newest of them.
    pub(super) fn to_change(
        &self,
        change: KeyChange<'_>,
    ) -> Result<(Vec<Kept>, Which), KeyChangeError> {
        let keys = self.kept()?;
        let newest = self.newest_of(&keys)?;
        let path = self.path(newest);
        match change {
            KeyChange::Encrypt(_) if keys.iter().all(|key| key.open.is_none()) => {
                Err(KeyChangeError::Encrypted { path })
            }
            KeyChange::Decrypt | KeyChange::ChangePassphrase(_)
                if keys.iter().all(|key| key.open.is_some()) =>
            {
                Err(KeyChangeError::NotEncrypted { path })
            }
            _ => Ok((keys, newest)),
        }
    }

    /// That a passphrase opens the keys that are encrypted already: those of a run that was killed.
    pub(super) fn check_passphrase(
        &self,
        keys: &[Kept],
        passphrase: &[u8],
    ) -> Result<(), KeyChangeError> {
        for key in keys.iter().filter(|key| key.open.is_none()) {
            if self.opens(key.which, passphrase)?.is_none() {
                let path = self.path(key.which);
                return Err(KeyChangeError::OtherPassphrase { path });
            }
        }
        Ok(())
    }

    /// The keys that are in files, oldest first.
    fn kept(&self) -> Result<Vec<Kept>, KeyChangeError> {
        let mut keys = Vec::new();
        let mut token = None;
        let generations = self.store.generations().map_err(AuthorityError::from)?;
        let cas = generations.into_iter().map(Which::Ca);
        for which in cas.chain(self.request.as_ref().map(|_| Which::Requested)) {
            if let Which::Ca(generation) = which
                && let Some(uri) = self.store.uri(generation).map_err(AuthorityError::from)?
            {
                token = Some(uri);
                continue;
            }
            let open = match self.open(which, None) {
                Ok(key) => Some(key),
                Err(AuthorityError::Ca(error)) if error.is_closed() => None,
                // A root's key may be kept elsewhere between two uses; and mostly no request waits.
                Err(AuthorityError::Ca(CaStoreError::Missing { .. })) => continue,
                Err(error) => return Err(error.into()),
            };
            keys.push(Kept { which, open });
        }
        match (keys.is_empty(), token) {
            (true, Some(uri)) => Err(KeyChangeError::InToken { uri }),
            _ => Ok(keys),
        }
    }

    /// The key that matters most: the one in use, if it is among these.
    fn newest_of(&self, keys: &[Kept]) -> Result<Which, KeyChangeError> {
        let current = self.store.current().map_err(AuthorityError::from)?;
        let current = current.map(Which::Ca);
        let in_use = keys.iter().find(|key| Some(key.which) == current);
        match in_use.or(keys.last()) {
            Some(key) => Ok(key.which),
            None => Err(KeyChangeError::NoKey {
                path: self.store.directory().to_owned(),
            }),
        }
    }

    /// The directory of a request that waits.
    fn request(&self) -> Result<Option<PrivateDir>, AuthorityError> {
        match self.request.as_deref().map(PrivateDir::open) {
            None | Some(Err(PrivateError::Directory(WalkError::Missing { .. }))) => Ok(None),
            Some(opened) => Ok(Some(opened?)),
        }
    }

    pub(super) fn path(&self, which: Which) -> PathBuf {
        match which {
            Which::Ca(generation) => self.store.key_path(generation),
            Which::Requested => self.request.clone().unwrap_or_default().join(KEY),
        }
    }

    fn open(&self, which: Which, passphrase: Option<&[u8]>) -> Result<PrivateKey, AuthorityError> {
        let path = self.path(which);
        match which {
            Which::Ca(generation) => Ok(self.store.open_key(generation, passphrase)?),
            Which::Requested => {
                let file = match self.request()? {
                    Some(dir) => dir.read_secret(KEY, MAX_BYTES)?,
                    None => None,
                };
                let Some(file) = file.map(Zeroizing::new) else {
                    return Err(CaStoreError::Missing { path }.into());
                };
                let key = read_key(&file, passphrase);
                Ok(key.map_err(|source| CaStoreError::Key { path, source })?)
            }
        }
    }

    /// A key, if this passphrase opens it.
    pub(super) fn opens(
        &self,
        which: Which,
        passphrase: &[u8],
    ) -> Result<Option<PrivateKey>, AuthorityError> {
        match self.open(which, Some(passphrase)) {
            Ok(key) => Ok(Some(key)),
            Err(error) if error.needs_passphrase() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn rewritten(
        &self,
        which: Which,
        key: &PrivateKey,
        to: Option<&[u8]>,
    ) -> Result<Rewriting, AuthorityError> {
        let pem: Zeroizing<String> = match to {
            Some(passphrase) => key.to_encrypted_pem(passphrase)?,
            None => key.to_pem()?,
        };
        // The old one is about to go, and it may be the only one there is.
        let again = PrivateKey::from_pem(pem.as_bytes(), to)?;
        if again.public_key_info() != key.public_key_info() {
            return Err(KeyError::NotEncrypted.into());
        }
        let file = NewFile {
            name: KEY,
            mode: 0o600,
            bytes: pem.as_bytes(),
        };
        match (which, self.request()?) {
            (Which::Ca(generation), _) => Ok(self.store.rewrite(generation, &file)?),
            (Which::Requested, Some(dir)) => Ok(dir.rewrite(&file)?),
            (Which::Requested, None) => {
                let path = self.path(which);
                Err(CaStoreError::Missing { path }.into())
            }
        }
    }
}
