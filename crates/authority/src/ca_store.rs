//! The certificates and keys of the CAs: `root/` and `issuing/` in the home, each a place of
//! generations like any server's installation, with every generation kept.

use std::path::{Path, PathBuf};

use pgpki_core::issue::{Ca, IssueError};
use pgpki_core::key::{KeyError, PrivateKey};
use pgpki_fs::{
    Installation, InstallationError, NewFile, Owner, PrivateDir, ReadError, StageError, Swept,
    Synced,
};
use zeroize::Zeroizing;

/// More than any certificate or key takes.
pub(crate) const MAX_BYTES: u64 = 1 << 16;

pub(crate) const CERTIFICATE: &str = "ca.crt";
pub(crate) const KEY: &str = "ca.key";

/// Why a CA could not be kept or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaStoreError {
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] InstallationError),
    /// The files could not be made.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// A file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file that must be there is not.
    #[error("{} is missing", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// No generation holds the certificate that is asked for.
    #[error("{} holds no such CA", path.display())]
    NotKept {
        /// The directory.
        path: PathBuf,
    },
    /// The certificate cannot be used.
    #[error("{}: {source}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: IssueError,
    },
    /// The key cannot be used.
    #[error("{}: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
}

impl CaStoreError {
    /// Whether no more is wrong than that a key needs a passphrase.
    pub(crate) fn is_encrypted(&self) -> bool {
        let source = match self {
            Self::Key { source, .. } => source,
            _ => return false,
        };
        matches!(source, KeyError::PassphraseNeeded)
    }
}

/// Where one kind of CA is kept: the root, or the issuing CA.
pub(crate) struct CaStore {
    installation: Installation,
}

impl CaStore {
    pub(crate) fn create(path: &Path) -> Result<Self, CaStoreError> {
        // If the home is not finished, all of it is removed, and this directory with it.
        let (installation, _created) = Installation::prepare(path, Owner::caller())?;
        Ok(Self { installation })
    }

    pub(crate) fn open(home: &PrivateDir, name: &str) -> Result<Self, CaStoreError> {
        let installation = Installation::open_in(home, name)?;
        Ok(Self { installation })
    }

    /// Writes a certificate (DER) and its key (PEM), on disk but not in use.
    pub(crate) fn stage(&self, certificate: &[u8], key_pem: &str) -> Result<Synced, CaStoreError> {
        let certificate = pgpki_core::pem("CERTIFICATE", certificate);
        // The certificate is public, but nobody else can enter the home anyway.
        let mode = 0o600;
        let files = [
            NewFile {
                name: CERTIFICATE,
                mode,
                bytes: certificate.as_bytes(),
            },
            NewFile {
                name: KEY,
                mode,
                bytes: key_pem.as_bytes(),
            },
        ];
        Ok(self.installation.stage(&files)?.sync()?)
    }

    /// Gives what was staged its place; those before stay.
    pub(crate) fn publish(&self, staged: Synced) -> Result<(), CaStoreError> {
        self.installation.publish(staged)?;
        Ok(())
    }

    /// Removes what killed runs have left. No other run may be active.
    pub(crate) fn sweep(&self) -> Result<Swept, CaStoreError> {
        Ok(self.installation.sweep()?)
    }

    /// Removes a CA (DER) that came to nothing, with its key. Whether it was there.
    pub(crate) fn discard(&self, certificate: &[u8]) -> Result<bool, CaStoreError> {
        let generation = self.generation_of(certificate)?;
        if let Some(generation) = generation {
            self.installation.discard(generation)?;
        }
        Ok(generation.is_some())
    }

    /// Whether the certificate (DER) is kept here.
    pub(crate) fn has(&self, certificate: &[u8]) -> Result<bool, CaStoreError> {
        Ok(self.generation_of(certificate)?.is_some())
    }

    /// Whether the key of this certificate (DER) needs a passphrase.
    pub(crate) fn key_is_encrypted(&self, certificate: &[u8]) -> Result<bool, CaStoreError> {
        let generation = self.generation_that_holds(certificate)?;
        match PrivateKey::from_pem(&self.read(generation, KEY)?, None) {
            Ok(_) => Ok(false),
            Err(KeyError::PassphraseNeeded) => Ok(true),
            Err(source) => Err(self.key_error(generation, source)),
        }
    }

    /// The CA with this certificate (DER), ready to sign.
    pub(crate) fn unlock(
        &self,
        certificate: &[u8],
        passphrase: Option<&[u8]>,
    ) -> Result<Ca, CaStoreError> {
        let generation = self.generation_that_holds(certificate)?;
        let key = PrivateKey::from_pem(&self.read(generation, KEY)?, passphrase)
            .map_err(|source| self.key_error(generation, source))?;
        Ca::load(certificate, key).map_err(|source| CaStoreError::Certificate {
            path: self.path(generation, CERTIFICATE),
            source,
        })
    }

    fn generation_that_holds(&self, certificate: &[u8]) -> Result<u32, CaStoreError> {
        self.generation_of(certificate)?
            .ok_or_else(|| CaStoreError::NotKept {
                path: self.installation.path().to_owned(),
            })
    }

    /// The generation with this certificate: mostly the last, which is looked at first.
    fn generation_of(&self, certificate: &[u8]) -> Result<Option<u32>, CaStoreError> {
        let current = self.installation.current()?;
        if let Some(current) = current
            && self.is_in(current, certificate)?
        {
            return Ok(Some(current));
        }
        for generation in self.installation.generations()?.into_iter().rev() {
            if Some(generation) != current && self.is_in(generation, certificate)? {
                return Ok(Some(generation));
            }
        }
        Ok(None)
    }

    fn is_in(&self, generation: u32, certificate: &[u8]) -> Result<bool, CaStoreError> {
        let pem = self
            .installation
            .read_secret(generation, CERTIFICATE, MAX_BYTES)?;
        let found = pem.and_then(|pem| pgpki_core::first_certificate(&pem));
        Ok(found.is_some_and(|found| found == certificate))
    }

    /// Reads a file that nobody else may read. For the key that matters; the certificate was made
    /// with the same mode.
    fn read(&self, generation: u32, name: &str) -> Result<Zeroizing<Vec<u8>>, CaStoreError> {
        self.installation
            .read_secret(generation, name, MAX_BYTES)?
            .map(Zeroizing::new)
            .ok_or_else(|| CaStoreError::Missing {
                path: self.path(generation, name),
            })
    }

    fn path(&self, generation: u32, name: &str) -> PathBuf {
        let generation = format!("g{generation:04}");
        self.installation.path().join(generation).join(name)
    }

    fn key_error(&self, generation: u32, source: KeyError) -> CaStoreError {
        CaStoreError::Key {
            path: self.path(generation, KEY),
            source,
        }
    }
}
