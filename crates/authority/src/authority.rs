//! The home of an authority, opened: settings, CAs and ledger together.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pgpki_core::crl::Revoked;
use pgpki_core::issue::{Ca, CaFacts, IssueError, Issued};
use pgpki_core::key::{KeyError, PrivateKey};
use pgpki_core::profile::Profile;
use pgpki_fs::{Holder, Lock, LockError, NewPrivateDir, PrivateDir, PrivateError, ReadError};
use time::OffsetDateTime;

use crate::ca_store::{CaStore, CaStoreError};
use crate::credential::Trust;
use crate::ledger::{self, Ledger, LedgerError};
use crate::settings::{self, Settings, SettingsError};

const ROOT: &str = "root";
const ISSUING: &str = "issuing";

/// Why an authority could not be made, opened or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The home cannot be used.
    #[error(transparent)]
    Home(#[from] PrivateError),
    /// A file of the home cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The settings file is missing, and with it all that makes a directory a home.
    #[error("{} is not the home of an authority: there is no {} in it", path.display(), settings::FILE)]
    NotAHome {
        /// The directory.
        path: PathBuf,
    },
    /// The settings are wrong.
    #[error("{}/{source}", path.display())]
    Settings {
        /// The home.
        path: PathBuf,
        /// What is wrong with them.
        source: SettingsError,
    },
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A CA's files cannot be used.
    #[error(transparent)]
    Ca(#[from] CaStoreError),
    /// A certificate could not be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// A key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The home is made of parts of different authorities.
    #[error("the parts of {} do not belong together: {what} {ca:?}", path.display())]
    Inconsistent {
        /// The home.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
        /// The common name of the CA that it does not fit.
        ca: String,
    },
    /// Another pgpki is at work.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// What a new authority begins with.
pub struct Founding<'a> {
    /// Its settings, which are written to its settings file.
    pub settings: Settings,
    /// What the root key is encrypted with; `None` leaves it unencrypted.
    pub root_passphrase: Option<&'a [u8]>,
}

/// An authority, ready to issue.
pub struct Authority {
    home: PathBuf,
    settings: Settings,
    pub(crate) ledger: Ledger,
    root: CaStore,
    issuing: CaStore,
    _lock: Option<Lock>,
}

impl Authority {
    /// Makes an authority beside where it is going to be. It is not there before the returned
    /// directory is committed, and all of it vanishes if that is dropped.
    pub fn found(
        path: &Path,
        founding: &Founding<'_>,
        now: OffsetDateTime,
    ) -> Result<(NewPrivateDir, Self), AuthorityError> {
        let staged = PrivateDir::stage_new(path)?;
        let home = staged.dir().path().to_owned();
        let settings = &founding.settings;
        staged
            .dir()
            .write_new(settings::FILE, 0o600, settings.to_toml().as_bytes())?;
        staged.dir().write_new(ledger::FILE, 0o600, b"")?;
        let mut authority = Self {
            settings: settings.clone(),
            ledger: Ledger::create(&home.join(ledger::FILE))?,
            root: CaStore::create(&home.join(ROOT))?,
            issuing: CaStore::create(&home.join(ISSUING))?,
            home,
            _lock: None,
        };
        let root = authority.found_root(founding.root_passphrase, now)?;
        authority.renew_issuing(&root, now)?;
        Ok((staged, authority))
    }

    fn found_root(
        &mut self,
        passphrase: Option<&[u8]>,
        now: OffsetDateTime,
    ) -> Result<Ca, AuthorityError> {
        let settings = &self.settings;
        let key = PrivateKey::generate(settings.algorithm)?;
        let pem = match passphrase {
            Some(passphrase) => key.to_encrypted_pem(passphrase)?,
            None => key.to_pem()?,
        };
        let number = self.ledger.number_of(Profile::Root)? + 1;
        let name = format!("{} root CA {number}", settings.name);
        let (root, issued) = Ca::new_root(key, &settings.organization, &name, now, settings.root)?;
        let staged = self.root.stage(&issued.der, &pem)?;
        let crl = first_crl(&root, now)?;
        self.ledger.record_ca(None, &issued, &crl, None)?;
        self.root.publish(staged)?;
        Ok(root)
    }

    /// Makes a new issuing CA under `root` and uses it from now on. What the old one signed stays
    /// good, because `root` signed both.
    pub fn renew_issuing(
        &mut self,
        root: &Ca,
        now: OffsetDateTime,
    ) -> Result<Issued, AuthorityError> {
        let settings = &self.settings;
        let key = PrivateKey::generate(settings.algorithm)?;
        let pem = key.to_pem()?;
        let number = self.ledger.number_of(Profile::Issuing)? + 1;
        let name = format!("{} issuing CA {number}", settings.name);
        let issued = root.issue_ca(&key, &settings.organization, &name, now, settings.issuing)?;
        let staged = self.issuing.stage(&issued.der, &pem)?;
        let crl = first_crl(&Ca::load(&issued.der, key)?, now)?;
        let before = match number {
            1 => None,
            _ => Some(self.issuing()?.serial),
        };
        let issuer = Some(root.facts().serial);
        self.ledger.record_ca(issuer, &issued, &crl, before)?;
        self.issuing.publish(staged).inspect_err(|_| {
            // If this fails as well, the ledger keeps a CA that never signs.
            let _ = self.ledger.take_back_ca(issued.serial, before);
        })?;
        Ok(issued)
    }

    /// Opens the authority whose home is `path`, for reading, and refuses one that others could
    /// have changed.
    pub fn open(path: &Path) -> Result<Self, AuthorityError> {
        Self::open_with(path, |_| Ok(None))
    }

    /// Opens the authority alone, for whatever changes something. If another run has it, waits for
    /// at most `patience`, and tells `on_wait` whose it is once that takes a while.
    pub fn open_alone(
        path: &Path,
        patience: Duration,
        on_wait: impl FnOnce(Option<Holder>),
    ) -> Result<Self, AuthorityError> {
        Self::open_with(path, |home| Lock::take(home, patience, on_wait).map(Some))
    }

    fn open_with(
        path: &Path,
        lock: impl FnOnce(&PrivateDir) -> Result<Option<Lock>, LockError>,
    ) -> Result<Self, AuthorityError> {
        let home = PrivateDir::open(path)?;
        let lock = lock(&home)?;
        let bytes = home
            .read(settings::FILE, settings::MAX_BYTES)?
            .ok_or_else(|| AuthorityError::NotAHome { path: path.into() })?;
        let settings = Settings::parse(&bytes).map_err(|source| AuthorityError::Settings {
            path: path.into(),
            source,
        })?;
        if !home.has_secret(ledger::FILE)? {
            let path = path.join(ledger::FILE);
            return Err(LedgerError::Missing { path }.into());
        }
        let ledger = Ledger::open(&path.join(ledger::FILE))?;
        if lock.is_some() {
            ledger.read_at_once()?;
        }
        Ok(Self {
            home: path.to_owned(),
            settings,
            ledger,
            root: CaStore::open(&home, ROOT)?,
            issuing: CaStore::open(&home, ISSUING)?,
            _lock: lock,
        })
    }

    /// Where its files are.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Remembers clusters that use its installations, so that one which does not run is not taken
    /// for none. A path that is not text is left out: the ledger holds text.
    pub fn remember_clusters<'a>(
        &mut self,
        data_directories: impl IntoIterator<Item = &'a Path>,
    ) -> Result<(), AuthorityError> {
        let directories = data_directories.into_iter().filter_map(Path::to_str);
        let directories: Vec<&str> = directories.collect();
        Ok(self.ledger.remember_clusters(&directories)?)
    }

    /// Its ledger, for reading.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether the root key needs a passphrase.
    pub fn root_is_encrypted(&self) -> Result<bool, AuthorityError> {
        Ok(self.root.key_is_encrypted()?)
    }

    /// The root, ready to sign.
    pub fn unlock_root(&self, passphrase: Option<&[u8]>) -> Result<Ca, AuthorityError> {
        Ok(self.root.unlock(passphrase)?)
    }

    /// The certificates of the root and of the issuing CA in use, DER.
    pub fn certificates(&self) -> Result<[Vec<u8>; 2], AuthorityError> {
        Ok([self.root.certificate()?, self.issuing.certificate()?])
    }

    /// The root's name and validity period.
    pub fn root(&self) -> Result<CaFacts, AuthorityError> {
        Ok(CaFacts::read(&self.root.certificate()?)?)
    }

    /// The name and validity period of the issuing CA.
    pub fn issuing(&self) -> Result<CaFacts, AuthorityError> {
        Ok(CaFacts::read(&self.issuing.certificate()?)?)
    }

    /// The issuing CA, ready to sign.
    pub(crate) fn issuing_ca(&self) -> Result<Ca, AuthorityError> {
        Ok(self.issuing.unlock(None)?)
    }

    /// What every credential of this moment has in common; `issuing` signs them.
    ///
    /// # Errors
    /// The parts of the home do not belong together, as after half a restore. What would be
    /// installed then, no client could connect to.
    pub(crate) fn trust(&self, issuing: &Ca, now: OffsetDateTime) -> Result<Trust, AuthorityError> {
        let root = self.root.certificate()?;
        let cas = [
            (Profile::Root, CaFacts::read(&root)?),
            (Profile::Issuing, issuing.facts().clone()),
        ];
        for (profile, ca) in &cas {
            if !self.ledger.knows_ca(ca.serial, *profile, &ca.common_name)? {
                return Err(self.inconsistent("ledger.db does not know the CA", &ca.common_name));
            }
        }
        if !issuing.is_signed_by(&root)? {
            let name = &issuing.facts().common_name;
            return Err(self.inconsistent("the root has not signed the CA", name));
        }
        let crls = self.ledger.crls(now)?;
        Ok(Trust {
            chain: pgpki_core::pem("CERTIFICATE", issuing.der()),
            roots: pgpki_core::pem("CERTIFICATE", &root),
            crls: crls
                .iter()
                .map(|der| pgpki_core::pem("X509 CRL", der))
                .collect(),
        })
    }

    /// Removes what killed runs have left in the home. No other run may be active.
    pub(crate) fn sweep_home(&self) -> Result<usize, AuthorityError> {
        Ok(self.root.sweep()?.removed + self.issuing.sweep()?.removed)
    }

    fn inconsistent(&self, what: &'static str, ca: &str) -> AuthorityError {
        AuthorityError::Inconsistent {
            path: self.home.clone(),
            what,
            ca: ca.to_owned(),
        }
    }
}

/// The first CRL of a new CA: there is nothing to revoke, and no number before it.
fn first_crl(ca: &Ca, now: OffsetDateTime) -> Result<Vec<u8>, IssueError> {
    let nobody: &[Revoked] = &[];
    ca.sign_crl(1, nobody, now)
}
