//! The keys of CAs at rest: encrypted, decrypted, under another passphrase.
//!
//! All keys of a kind change, those of former CAs too: they sign CRLs as long as what they signed counts, and lie beside
//! the newest one. Each new file is on disk before the first takes the place of an old one, and each takes it in one
//! step. A run that is killed has changed some of them and not the others: each opens with the old passphrase or the new
//! one, and the next run changes the rest. The key of a request for the next issuing CA is one of them.

mod files;

use std::path::PathBuf;

use pgpki_core::profile::Profile;
use pgpki_fs::{IoError, Rewriting};

use self::files::{Kept, KeyFiles};
use crate::authority::{Authority, AuthorityError};

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
        self.key_files(profile).to_change(change).map(drop)
    }

    fn key_files(&self, profile: Profile) -> KeyFiles<'_> {
        KeyFiles {
            store: self.store(profile),
            request: (profile != Profile::Root).then(|| self.next_request()),
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
        let files = self.key_files(profile);
        let (keys, newest) = files.to_change(change)?;
        let mut changed = ChangedKeys {
            files: Vec::new(),
            left: Vec::new(),
        };
        let to = match change {
            KeyChange::Encrypt(to) => {
                files.check_passphrase(&keys, to)?;
                Some(to)
            }
            KeyChange::ChangePassphrase(to) => Some(to),
            KeyChange::Decrypt => None,
        };
        for Kept { which, open } in keys {
            let path = files.path(which);
            let key = match (open, change) {
                (Some(_), KeyChange::Decrypt) | (None, KeyChange::Encrypt(_)) => continue,
                (Some(key), _) => key,
                (None, _) => {
                    let from = files.store.passphrase(&path);
                    let from = from.map_err(AuthorityError::from)?;
                    match (files.opens(which, &from)?, to) {
                        (Some(key), _) => key,
                        // A former run has come so far.
                        (None, Some(to)) if files.opens(which, to)?.is_some() => continue,
                        (None, _) if which == newest => {
                            let error = files.store.wrong_passphrase(path);
                            return Err(AuthorityError::from(error).into());
                        }
                        (None, _) => {
                            changed.left.push(path);
                            continue;
                        }
                    }
                }
            };
            let file = files.rewritten(which, &key, to)?;
            changed.files.push((path, file));
        }
        Ok(changed)
    }
}
