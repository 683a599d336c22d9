//! The certificates and keys of the CAs: `root/` and `issuing/` in the home, each a place of
//! generations like any server's installation, with every generation kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pgpki_core::ca_key::{CaKey, TokenError};
use pgpki_core::issue::{Ca, IssueError};
use pgpki_core::key::{KeyError, PrivateKey};
use pgpki_core::material::MaterialError;
use pgpki_core::profile::Profile;
use pgpki_fs::{
    Installation, InstallationError, NewFile, Owner, PrivateDir, ReadError, Rewriting, StageError,
    Swept, Synced,
};
use zeroize::Zeroizing;

use crate::secrets::{NoSecrets, SecretError, Secrets};
use crate::tokens::{KeyPlace, NoTokens, Tokens};

/// More than any certificate, key or URI takes.
pub(crate) const MAX_BYTES: u64 = 1 << 16;

pub(crate) const ROOT: &str = "root";
pub(crate) const ISSUING: &str = "issuing";

pub(crate) const CERTIFICATE: &str = "ca.crt";
pub(crate) const KEY: &str = "ca.key";
/// In place of the key, where that is in a token: its URI (RFC 7512), one line.
pub(crate) const URI: &str = "ca.uri";

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
    /// The passphrase does not open the key.
    #[error("{}: the passphrase does not open the key; it is {origin}", path.display())]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
        /// Where the passphrase came from: the first line of a file, say.
        origin: String,
    },
    /// The file does not hold the URI of a key.
    #[error("{} does not hold one line with the URI of a key in a token", path.display())]
    NotAUri {
        /// The file.
        path: PathBuf,
    },
    /// The key is in a token, and cannot be used there.
    #[error("{}: {source}", path.display())]
    Token {
        /// The file with its URI.
        path: PathBuf,
        /// What came of asking for it.
        source: TokenError,
    },
    /// The key is encrypted, and there is no passphrase.
    #[error("{}: {source}", path.display())]
    Passphrase {
        /// The file.
        path: PathBuf,
        /// What came of asking for it.
        source: SecretError,
    },
}

impl CaStoreError {
    /// Whether no more is wrong than that a key is closed: it needs a passphrase, or its token.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Key { source, .. } => matches!(source, KeyError::PassphraseNeeded),
            Self::Token { .. } | Self::Passphrase { .. } => true,
            _ => false,
        }
    }

    /// Whether the key is encrypted, and its passphrase is missing or wrong.
    pub(crate) fn needs_passphrase(&self) -> bool {
        match self {
            Self::Key { source, .. } => matches!(
                source,
                KeyError::PassphraseNeeded | KeyError::WrongPassphrase
            ),
            Self::WrongPassphrase { .. } | Self::Passphrase { .. } => true,
            _ => false,
        }
    }
}

/// Where in the home the CAs of a profile are kept.
pub(crate) fn directory_of(profile: Profile) -> &'static str {
    match profile {
        Profile::Root => ROOT,
        _ => ISSUING,
    }
}

/// How the key of a CA is kept.
pub(crate) enum KeptKey {
    /// PKCS#8 in PEM form, encrypted or not.
    Pem(Zeroizing<String>),
    /// In a token, under this URI.
    Uri(String),
}

/// Where one kind of CA is kept: the root, or the issuing CA.
pub(crate) struct CaStore {
    profile: Profile,
    installation: Installation,
    tokens: Arc<dyn Tokens>,
    secrets: Arc<dyn Secrets>,
}

impl CaStore {
    fn of(profile: Profile, installation: Installation) -> Self {
        Self {
            profile,
            installation,
            tokens: Arc::new(NoTokens),
            secrets: Arc::new(NoSecrets),
        }
    }

    /// Has passphrases of keys that are encrypted asked for there.
    pub(crate) fn use_secrets(&mut self, secrets: Arc<dyn Secrets>) {
        self.secrets = secrets;
    }

    /// Has keys that are in tokens looked for there.
    pub(crate) fn use_tokens(&mut self, tokens: Arc<dyn Tokens>) {
        self.tokens = tokens;
    }

    /// A new store for CAs of this profile, in the home.
    pub(crate) fn create(home: &Path, profile: Profile) -> Result<Self, CaStoreError> {
        // If the home is not finished, all of it is removed, and this directory with it.
        let path = home.join(directory_of(profile));
        let (installation, _created) = Installation::prepare(&path, Owner::caller())?;
        Ok(Self::of(profile, installation))
    }

    pub(crate) fn open(home: &PrivateDir, profile: Profile) -> Result<Self, CaStoreError> {
        let installation = Installation::open_in(home, directory_of(profile))?;
        Ok(Self::of(profile, installation))
    }

    /// Writes a certificate (DER) and its key, or where that is, on disk but not in use.
    pub(crate) fn stage(&self, certificate: &[u8], key: &KeptKey) -> Result<Synced, CaStoreError> {
        let certificate = pgpki_core::pem("CERTIFICATE", certificate);
        let line;
        let (name, bytes) = match key {
            KeptKey::Pem(pem) => (KEY, pem.as_bytes()),
            KeptKey::Uri(uri) => {
                line = format!("{uri}\n");
                (URI, line.as_bytes())
            }
        };
        // The certificate is public, but nobody else can enter the home anyway.
        let mode = 0o600;
        let files = [
            NewFile {
                name: CERTIFICATE,
                mode,
                bytes: certificate.as_bytes(),
            },
            NewFile { name, mode, bytes },
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
        let mut swept = self.installation.sweep()?;
        let within = self.installation.sweep_rewriting()?;
        swept.removed += within.removed;
        swept.left.extend(within.left);
        Ok(swept)
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
        Ok(self.key_place(certificate)? == KeyPlace::Encrypted)
    }

    /// The URI of the key of this certificate (DER), if that is in a token.
    pub(crate) fn token_of(&self, certificate: &[u8]) -> Result<Option<String>, CaStoreError> {
        self.uri(self.generation_that_holds(certificate)?)
    }

    /// Where the key of this certificate (DER) is.
    pub(crate) fn key_place(&self, certificate: &[u8]) -> Result<KeyPlace, CaStoreError> {
        let generation = self.generation_that_holds(certificate)?;
        if let Some(uri) = self.uri(generation)? {
            return Ok(KeyPlace::Token(uri));
        }
        match self.open_key(generation, None) {
            Ok(_) => Ok(KeyPlace::File),
            Err(error) if error.is_closed() => Ok(KeyPlace::Encrypted),
            Err(error) => Err(error),
        }
    }

    /// The passphrase of this store's keys, which opens that of this certificate (DER).
    pub(crate) fn passphrase_of(
        &self,
        certificate: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CaStoreError> {
        let generation = self.generation_that_holds(certificate)?;
        Ok(self.open_encrypted(generation)?.1)
    }

    /// What was said to open the keys of this store, where no key is there that tells whether one is needed. A person is
    /// not asked.
    pub(crate) fn given_passphrase(&self) -> Result<Option<Zeroizing<Vec<u8>>>, CaStoreError> {
        let given = self.secrets.given(self.profile);
        given.map_err(|source| CaStoreError::Passphrase {
            path: self.directory().to_owned(),
            source,
        })
    }

    /// What its owner says to open the key in a file.
    pub(crate) fn passphrase(&self, key: &Path) -> Result<Zeroizing<Vec<u8>>, CaStoreError> {
        let asked = self.secrets.passphrase(self.profile);
        asked.map_err(|source| CaStoreError::Passphrase {
            path: key.to_owned(),
            source,
        })
    }

    /// That what its owner says does not open the key in a file.
    pub(crate) fn wrong_passphrase(&self, path: PathBuf) -> CaStoreError {
        let origin = self.secrets.origin(self.profile);
        CaStoreError::WrongPassphrase { path, origin }
    }

    /// A key that is encrypted, and what has opened it.
    fn open_encrypted(
        &self,
        generation: u32,
    ) -> Result<(PrivateKey, Zeroizing<Vec<u8>>), CaStoreError> {
        let passphrase = self.passphrase(&self.key_path(generation))?;
        match self.open_key(generation, Some(&passphrase)) {
            Ok(key) => Ok((key, passphrase)),
            Err(CaStoreError::Key {
                path,
                source: KeyError::WrongPassphrase,
            }) => Err(self.wrong_passphrase(path)),
            Err(error) => Err(error),
        }
    }

    /// The CA with this certificate (DER), ready to sign. If its key is encrypted, its owner is asked for the passphrase.
    pub(crate) fn unlock(&self, certificate: &[u8]) -> Result<Ca, CaStoreError> {
        let generation = self.generation_that_holds(certificate)?;
        let key = match self.uri(generation)? {
            Some(uri) => {
                let path = || self.path(generation, URI);
                let key = self.tokens.key(&uri);
                CaKey::from(key.map_err(|source| CaStoreError::Token {
                    path: path(),
                    source,
                })?)
            }
            None => match self.open_key(generation, None) {
                Err(error) if error.is_closed() => self.open_encrypted(generation)?.0.into(),
                opened => opened?.into(),
            },
        };
        Ca::load(certificate, key).map_err(|source| CaStoreError::Certificate {
            path: self.path(generation, CERTIFICATE),
            source,
        })
    }

    /// Its directory.
    pub(crate) fn directory(&self) -> &Path {
        self.installation.path()
    }

    /// The generations that are kept, oldest first.
    pub(crate) fn generations(&self) -> Result<Vec<u32>, CaStoreError> {
        Ok(self.installation.generations()?)
    }

    /// The newest one, which is the last to have been made.
    pub(crate) fn current(&self) -> Result<Option<u32>, CaStoreError> {
        Ok(self.installation.current()?)
    }

    /// The key in a generation's file, whoever wrote that: a person may have given it another passphrase with openssl.
    ///
    /// # Errors
    /// There is no such file, or the passphrase does not open it: [`KeyError::PassphraseNeeded`] if there is none.
    pub(crate) fn open_key(
        &self,
        generation: u32,
        passphrase: Option<&[u8]>,
    ) -> Result<PrivateKey, CaStoreError> {
        let file = self.read(generation, KEY)?;
        read_key(&file, passphrase).map_err(|source| self.key_error(generation, source))
    }

    /// Writes a file of a generation anew, on disk but without its name.
    pub(crate) fn rewrite(
        &self,
        generation: u32,
        file: &NewFile<'_>,
    ) -> Result<Rewriting, CaStoreError> {
        Ok(self.installation.rewrite(generation, file)?)
    }

    /// The URI of the key, if it is in a token.
    pub(crate) fn uri(&self, generation: u32) -> Result<Option<String>, CaStoreError> {
        let installation = &self.installation;
        let Some(bytes) = installation.read_secret(generation, URI, MAX_BYTES)? else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes).ok();
        let line = text.as_deref().map(str::trim);
        let line = line.filter(|line| !line.is_empty() && line.lines().count() == 1);
        let wrong = || CaStoreError::NotAUri {
            path: self.path(generation, URI),
        };
        line.map(|line| Some(line.to_owned())).ok_or_else(wrong)
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
        let Some(pem) = pem else {
            return Ok(false);
        };
        // As it was written, mostly; writing it again costs less than reading it.
        let is_the_same = pem == pgpki_core::pem("CERTIFICATE", certificate).as_bytes();
        Ok(is_the_same
            || pgpki_core::first_certificate(&pem).is_some_and(|found| found == certificate))
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

    /// The file with a generation's key.
    pub(crate) fn key_path(&self, generation: u32) -> PathBuf {
        self.path(generation, KEY)
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

/// The key in a file, PKCS#8 as we write it, or what a person has made of it with openssl.
///
/// # Errors
/// The passphrase does not open it: [`KeyError::PassphraseNeeded`] if there is none; or it is no such key.
pub(crate) fn read_key(file: &[u8], passphrase: Option<&[u8]>) -> Result<PrivateKey, KeyError> {
    let error = match PrivateKey::from_pem(file, passphrase) {
        Err(error @ (KeyError::NotPem | KeyError::OtherLabel(_))) => error,
        read => return read,
    };
    PrivateKey::read(file, passphrase).map_err(|other| match other {
        MaterialError::PassphraseNeeded(_) => KeyError::PassphraseNeeded,
        MaterialError::WrongPassphrase(_) => KeyError::WrongPassphrase,
        _ => error,
    })
}
