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
const MAX_BYTES: u64 = 1 << 16;

const CERTIFICATE: &str = "ca.crt";
const KEY: &str = "ca.key";

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

    /// Makes what was staged the current CA; those before stay.
    pub(crate) fn publish(&self, staged: Synced) -> Result<(), CaStoreError> {
        self.installation.publish(staged)?;
        Ok(())
    }

    /// Removes what killed runs have left. No other run may be active.
    pub(crate) fn sweep(&self) -> Result<Swept, CaStoreError> {
        Ok(self.installation.sweep()?)
    }

    /// The current certificate, DER.
    pub(crate) fn certificate(&self) -> Result<Vec<u8>, CaStoreError> {
        let pem = self.read(CERTIFICATE)?;
        pgpki_core::first_certificate(&pem).ok_or_else(|| CaStoreError::Certificate {
            path: self.path(CERTIFICATE),
            source: IssueError::NotACertificate,
        })
    }

    /// Whether the current key needs a passphrase.
    pub(crate) fn key_is_encrypted(&self) -> Result<bool, CaStoreError> {
        match PrivateKey::from_pem(&self.read(KEY)?, None) {
            Ok(_) => Ok(false),
            Err(KeyError::PassphraseNeeded) => Ok(true),
            Err(source) => Err(self.key_error(source)),
        }
    }

    /// The current CA, ready to sign.
    pub(crate) fn unlock(&self, passphrase: Option<&[u8]>) -> Result<Ca, CaStoreError> {
        let key = PrivateKey::from_pem(&self.read(KEY)?, passphrase)
            .map_err(|source| self.key_error(source))?;
        Ca::load(&self.certificate()?, key).map_err(|source| CaStoreError::Certificate {
            path: self.path(CERTIFICATE),
            source,
        })
    }

    /// Reads a file that nobody else may read. For the key that matters; the certificate was made
    /// with the same mode.
    fn read(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, CaStoreError> {
        let missing = || CaStoreError::Missing {
            path: self.path(name),
        };
        let current = self.installation.current()?.ok_or_else(missing)?;
        self.installation
            .read_secret(current, name, MAX_BYTES)?
            .map(Zeroizing::new)
            .ok_or_else(missing)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.installation.path().join("current").join(name)
    }

    fn key_error(&self, source: KeyError) -> CaStoreError {
        CaStoreError::Key {
            path: self.path(KEY),
            source,
        }
    }
}
