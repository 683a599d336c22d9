//! The keys of CAs at rest: encrypted, decrypted, under another passphrase.
//!
//! All keys of a kind change, those of former CAs too: they sign CRLs as long as what they signed counts, and lie beside
//! the newest one. Each new file is on disk before the first takes the place of an old one, and each takes it in one
//! step. A run that is killed has changed some of them and not the others: each opens with the old passphrase or the new
//! one, and the next run changes the rest.

use std::path::PathBuf;

use pgpki_core::key::{KeyError, PrivateKey};
use pgpki_core::profile::Profile;
use pgpki_fs::{IoError, PrivateDir, PrivateError, Rewriting, WalkError};
use zeroize::Zeroizing;

use crate::authority::{Authority, AuthorityError};
use crate::ca_store::{CaStore, CaStoreError, KEY};

/// What is to become of the keys of one kind of CA.
#[derive(Clone, Copy)]
pub enum KeyChange<'a> {
    /// Those that are open are encrypted with this.
    Encrypt(&'a [u8]),
    /// Those that are encrypted are opened.
    Decrypt,
    /// All are encrypted with this from then on.
    ChangePassphrase(&'a [u8]),
}

/// Why keys were not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyChangeError {
    /// The authority failed.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// There is nothing in the home that could be encrypted.
    #[error("the key is in a token, and never leaves it: {uri}")]
    InToken {
        /// The key's URI.
        uri: String,
    },
    /// No key of this kind is kept.
    #[error("{} holds no key", path.display())]
    NoKey {
        /// The directory.
        path: PathBuf,
    },
    /// They are all encrypted.
    #[error("{} is encrypted already", path.display())]
    Encrypted {
        /// The newest key.
        path: PathBuf,
    },
    /// None is encrypted.
    #[error("{} is not encrypted", path.display())]
    NotEncrypted {
        /// The newest key.
        path: PathBuf,
    },
    /// Some are encrypted, and not with the passphrase that the others are to get.
    #[error("{} is encrypted already, and with another passphrase", path.display())]
    OtherPassphrase {
        /// The key.
        path: PathBuf,
    },
    /// The next issuing CA's key waits with a request: it would be the only one left as it was.
    #[error("a request for the next issuing CA waits for its answer: {}", path.display())]
    Waits {
        /// Its directory.
        path: PathBuf,
    },
    /// Some keys were changed, and then it failed.
    #[error("{changed} of {all} keys have been changed, and then: {source}")]
    Partly {
        /// How many were.
        changed: usize,
        /// How many were to be.
        all: usize,
        /// What failed.
        source: IoError,
    },
}

/// Keys in their new form, on disk but without their names. Dropping it removes the files.
#[must_use = "dropping it removes the files"]
pub struct ChangedKeys {
    files: Vec<(PathBuf, Rewriting)>,
    /// Keys that neither passphrase opens, which stay as they are.
    left: Vec<PathBuf>,
}

impl ChangedKeys {
    /// Gives them their names; what had these is gone. Returns the files.
    ///
    /// # Errors
    /// Some may have been changed; then the same can be run again.
    pub fn commit(self) -> Result<Vec<PathBuf>, KeyChangeError> {
        let all = self.files.len();
        let mut paths = Vec::new();
        for (path, file) in self.files {
            file.commit().map_err(|source| KeyChangeError::Partly {
                changed: paths.len(),
                all,
                source,
            })?;
            paths.push(path);
        }
        Ok(paths)
    }

    /// Keys of former CAs that neither passphrase opens. They stay as they are.
    pub fn left(&self) -> &[PathBuf] {
        &self.left
    }
}

/// A key that is kept in a file.
struct Kept {
    generation: u32,
    /// None where it is encrypted.
    open: Option<PrivateKey>,
}

impl Authority {
    /// Whether there is something to be changed like this, as far as that can be told without a passphrase; what is in
    /// `change` is not looked at.
    ///
    /// # Errors
    /// There is not.
    pub fn check_key_change(
        &self,
        profile: Profile,
        change: KeyChange<'_>,
    ) -> Result<(), KeyChangeError> {
        self.store(profile).keys_to_change(change)?;
        self.check_nothing_waits(profile)
    }

    /// A key in a token is no matter: nothing in the home is any different for it.
    fn check_nothing_waits(&self, profile: Profile) -> Result<(), KeyChangeError> {
        if profile == Profile::Root {
            return Ok(());
        }
        let path = self.next_request();
        let dir = match PrivateDir::open(&path) {
            Err(PrivateError::Directory(WalkError::Missing { .. })) => return Ok(()),
            opened => opened.map_err(AuthorityError::from)?,
        };
        match dir.has_secret(KEY).map_err(AuthorityError::from)? {
            true => Err(KeyChangeError::Waits { path }),
            false => Ok(()),
        }
    }

    /// Makes the keys of a profile's CAs anew, beside those that there are. The authority is open alone.
    ///
    /// # Errors
    /// Nothing is to be done, or not like this; the newest key cannot be opened. Nothing was changed.
    pub fn change_keys(
        &self,
        profile: Profile,
        change: KeyChange<'_>,
    ) -> Result<ChangedKeys, KeyChangeError> {
        self.check_parts()?;
        self.sweep_home()?;
        let store = self.store(profile);
        let (keys, newest) = store.keys_to_change(change)?;
        self.check_nothing_waits(profile)?;
        let mut changed = ChangedKeys {
            files: Vec::new(),
            left: Vec::new(),
        };
        let to = match change {
            KeyChange::Encrypt(to) => {
                store.check_passphrase(&keys, to)?;
                Some(to)
            }
            KeyChange::ChangePassphrase(to) => Some(to),
            KeyChange::Decrypt => None,
        };
        for Kept { generation, open } in keys {
            let path = store.key_path(generation);
            let key = match (open, change) {
                (Some(_), KeyChange::Decrypt) | (None, KeyChange::Encrypt(_)) => continue,
                (Some(key), _) => key,
                (None, _) => {
                    let from = store.passphrase(generation).map_err(AuthorityError::from)?;
                    match (store.opens(generation, &from)?, to) {
                        (Some(key), _) => key,
                        // A former run has come so far.
                        (None, Some(to)) if store.opens(generation, to)?.is_some() => continue,
                        (None, _) if generation == newest => {
                            return Err(wrong_passphrase(path));
                        }
                        (None, _) => {
                            changed.left.push(path);
                            continue;
                        }
                    }
                }
            };
            let file = store.rewritten(generation, &key, to)?;
            changed.files.push((path, file));
        }
        Ok(changed)
    }
}

impl CaStore {
    /// The keys that are in files, and the generation of the newest.
    fn keys_to_change(&self, change: KeyChange<'_>) -> Result<(Vec<Kept>, u32), KeyChangeError> {
        let keys = self.kept_keys()?;
        let newest = self.newest_of(&keys)?;
        let path = self.key_path(newest);
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
    fn check_passphrase(&self, keys: &[Kept], passphrase: &[u8]) -> Result<(), KeyChangeError> {
        for key in keys.iter().filter(|key| key.open.is_none()) {
            if self.opens(key.generation, passphrase)?.is_none() {
                let path = self.key_path(key.generation);
                return Err(KeyChangeError::OtherPassphrase { path });
            }
        }
        Ok(())
    }

    /// The keys that are in files, oldest first.
    fn kept_keys(&self) -> Result<Vec<Kept>, KeyChangeError> {
        let mut keys = Vec::new();
        let mut token = None;
        for generation in self.generations().map_err(AuthorityError::from)? {
            if let Some(uri) = self.uri(generation).map_err(AuthorityError::from)? {
                token = Some(uri);
                continue;
            }
            let open = match self.open_key(generation, None) {
                Ok(key) => Some(key),
                Err(error) if error.is_closed() => None,
                // A root's key may be kept elsewhere between two uses.
                Err(CaStoreError::Missing { .. }) => continue,
                Err(error) => return Err(AuthorityError::from(error).into()),
            };
            keys.push(Kept { generation, open });
        }
        match (keys.is_empty(), token) {
            (true, Some(uri)) => Err(KeyChangeError::InToken { uri }),
            _ => Ok(keys),
        }
    }

    /// The generation of the key that matters most: the one in use, if it is among these.
    fn newest_of(&self, keys: &[Kept]) -> Result<u32, KeyChangeError> {
        let current = self.current().map_err(AuthorityError::from)?;
        let in_use = keys.iter().find(|key| Some(key.generation) == current);
        match in_use.or(keys.last()) {
            Some(key) => Ok(key.generation),
            None => Err(KeyChangeError::NoKey {
                path: self.directory().to_owned(),
            }),
        }
    }

    /// The key of a generation, if this passphrase opens it.
    fn opens(
        &self,
        generation: u32,
        passphrase: &[u8],
    ) -> Result<Option<PrivateKey>, AuthorityError> {
        match self.open_key(generation, Some(passphrase)) {
            Ok(key) => Ok(Some(key)),
            Err(error) if error.needs_passphrase() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn rewritten(
        &self,
        generation: u32,
        key: &PrivateKey,
        to: Option<&[u8]>,
    ) -> Result<Rewriting, AuthorityError> {
        let pem: Zeroizing<String> = match to {
            Some(passphrase) => key.to_encrypted_pem(passphrase)?,
            None => key.to_pem()?,
        };
        // The old one is about to go, and it may be the only one there is.
        let again = PrivateKey::from_pem(pem.as_bytes(), to)?;
        match again.public_key_info() == key.public_key_info() {
            true => Ok(self.rewrite_key(generation, &pem)?),
            false => Err(KeyError::NotEncrypted.into()),
        }
    }
}

fn wrong_passphrase(path: PathBuf) -> KeyChangeError {
    let source = KeyError::WrongPassphrase;
    AuthorityError::from(CaStoreError::Key { path, source }).into()
}
