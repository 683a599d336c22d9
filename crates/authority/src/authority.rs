//! The home of an authority, opened: settings, CAs and ledger together.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pgpki_core::ca_key::TokenError;
use pgpki_core::issue::IssueError;
use pgpki_core::key::KeyError;
use pgpki_core::name::Role;
use pgpki_core::profile::Profile;
use pgpki_fs::{
    Holder, Lock, LockError, NewPrivateDir, PrivateDir, PrivateError, ReadError, WalkError,
};
use time::OffsetDateTime;

use crate::ca_store::{CaStore, CaStoreError, directory_of};
use crate::credential::{Signer, Trust, chain};
use crate::endorsing::Endorsing;
use crate::hierarchy::{Hierarchy, end_of_leaves};
use crate::ledger::{self, CaState, Crl, Earlier, KnownCa, Ledger, LedgerError};
use crate::requested::waiting_for;
use crate::secrets::{SecretError, Secrets};
use crate::settings::{self, Settings, SettingsError};
use crate::tokens::{Hardware, KeyPlace};

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
    /// Its issuing CA is to be certified by a CA of somebody else's, which has not answered yet.
    #[error(
        "the authority {} waits for its issuing CA's certificate; the request is {}/request.pem",
        home.display(), waiting.display()
    )]
    Waiting {
        /// Where the authority is going to be.
        home: PathBuf,
        /// What is there of it.
        waiting: PathBuf,
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
    /// A key in a token could not be found or made.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Another CA has the key that was named for a new one.
    #[error("the key that was named is that of {ca:?}: each CA has one of its own")]
    KeyInUse {
        /// The common name of the CA that has it.
        ca: String,
    },
    /// The issuing CA was certified by a CA of somebody else's, and its successor would not be.
    #[error("the issuing CA {ca:?} was certified by {issuer:?} until {}, and the next one needs that as well", until.date())]
    EndorsementNeeded {
        /// The issuing CA's common name.
        ca: String,
        /// The common name of whoever certified it.
        issuer: String,
        /// The last second at which that counts.
        until: OffsetDateTime,
    },
    /// Servers' chains would end in a root that clients do not know.
    #[error(
        "the chain of the CA that was named ends in {root:?}, and clients have not been handed that root"
    )]
    AnotherRoot {
        /// The root's common name.
        root: String,
    },
    /// Clients would take one root for another.
    #[error(
        "clients cannot tell {root:?} from another root of the same name that they are handed: the key identifiers are missing"
    )]
    SameName {
        /// The common name of both.
        root: String,
    },
    /// A CA that the ledger knows is not among those whose keys are kept: the home is made of parts of different
    /// authorities, or a file of the CA was lost.
    #[error(
        "the parts of {} do not belong together: no {}/g*/ca.crt is what ledger.db knows as {ca:?}",
        home.display(), directory_of(*profile)
    )]
    CaNotKept {
        /// The home.
        home: PathBuf,
        /// Whether it is a root or an issuing CA.
        profile: Profile,
        /// The CA's common name.
        ca: String,
    },
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

impl AuthorityError {
    /// What came of asking a token, if it is about that.
    #[must_use]
    pub fn token(&self) -> Option<&TokenError> {
        match self {
            Self::Token(error)
            | Self::Issue(IssueError::Token(error))
            | Self::Ca(CaStoreError::Token { source: error, .. }) => Some(error),
            _ => None,
        }
    }

    /// Whether a key is encrypted, and its passphrase is missing or wrong.
    #[must_use]
    pub fn needs_passphrase(&self) -> bool {
        match self {
            Self::Ca(error) => error.needs_passphrase(),
            _ => false,
        }
    }

    /// What came of asking for a passphrase, if it is about that.
    #[must_use]
    pub fn secret(&self) -> Option<&SecretError> {
        match self {
            Self::Ca(CaStoreError::Passphrase { source, .. }) => Some(source),
            _ => None,
        }
    }
}

/// What a new authority begins with.
pub struct Founding<'a> {
    /// Its settings, which are written to its settings file.
    pub settings: Settings,
    /// What the root key is encrypted with; `None` leaves it unencrypted.
    pub root_passphrase: Option<&'a [u8]>,
    /// The same for the key of the issuing CA.
    pub issuing_passphrase: Option<&'a [u8]>,
    /// The tokens that its keys are to be in, if any.
    pub hardware: Hardware,
}

/// An authority, ready to issue.
pub struct Authority {
    home: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) ledger: Ledger,
    pub(crate) hierarchy: Hierarchy,
    pub(crate) roots: CaStore,
    pub(crate) issuing: CaStore,
    pub(crate) hardware: Hardware,
    /// Who certifies the next new issuing CA beside our own root.
    pub(crate) endorsing: Option<Endorsing>,
    _lock: Option<Lock>,
}

/// Whether a directory can be seen to be no authority's.
fn is_no_home(path: &Path) -> bool {
    let settings = path.join(settings::FILE).symlink_metadata();
    settings.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

impl Authority {
    /// Makes an authority beside where it is going to be. It is not there before the returned
    /// directory is committed, and all of it vanishes if that is dropped.
    pub fn found(
        path: &Path,
        founding: &Founding<'_>,
        now: OffsetDateTime,
    ) -> Result<(NewPrivateDir, Self), AuthorityError> {
        Self::found_under(path, founding, None, now)
    }

    /// The same with an issuing CA that a CA of somebody else's certifies as well.
    ///
    /// # Errors
    /// As for [`Authority::found`], or that CA does not certify it.
    pub fn found_under(
        path: &Path,
        founding: &Founding<'_>,
        endorsing: Option<Endorsing>,
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
            hierarchy: Hierarchy::new(Vec::new()),
            roots: CaStore::create(&home, Profile::Root)?,
            issuing: CaStore::create(&home, Profile::Issuing)?,
            home,
            hardware: Hardware::default(),
            endorsing,
            _lock: None,
        };
        authority.use_hardware(founding.hardware.clone());
        authority.found_root(founding, now)?;
        Ok((staged, authority))
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
        let home = PrivateDir::open(path).map_err(|error| {
            let waiting = waiting_for(path);
            match error {
                PrivateError::Directory(WalkError::Missing { .. }) if waiting.is_dir() => {
                    let home = path.to_owned();
                    AuthorityError::Waiting { home, waiting }
                }
                // What would mend a home would spoil what is something else.
                PrivateError::Directory(
                    WalkError::WrongOwner { .. } | WalkError::TooOpen { .. },
                ) if is_no_home(path) => AuthorityError::NotAHome { path: path.into() },
                error => error.into(),
            }
        })?;
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
        let ledger = path.join(ledger::FILE);
        let ledger = match lock {
            Some(_) => Ledger::open_alone(&ledger)?,
            None => Ledger::open(&ledger)?,
        };
        let hierarchy = Hierarchy::of(&ledger)?;
        let issuing = CaStore::open(&home, Profile::Issuing).map_err(|error| {
            let last = hierarchy.cas().rfind(|ca| ca.profile == Profile::Issuing);
            match last.filter(|_| !path.join(directory_of(Profile::Issuing)).exists()) {
                Some(last) => AuthorityError::CaNotKept {
                    home: path.to_owned(),
                    profile: last.profile,
                    ca: last.facts.common_name.clone(),
                },
                None => error.into(),
            }
        })?;
        Ok(Self {
            home: path.to_owned(),
            settings,
            hierarchy,
            ledger,
            roots: CaStore::open(&home, Profile::Root)?,
            issuing,
            hardware: Hardware::default(),
            endorsing: None,
            _lock: lock,
        })
    }

    /// Has keys that are in tokens used there, and made there where new CAs are to have theirs in one.
    pub fn use_hardware(&mut self, hardware: Hardware) {
        self.roots.use_tokens(hardware.tokens.clone());
        self.issuing.use_tokens(hardware.tokens.clone());
        self.hardware = hardware;
    }

    /// Has the passphrases of keys that are encrypted asked for there.
    pub fn use_secrets(&mut self, secrets: &Arc<dyn Secrets>) {
        self.roots.use_secrets(secrets.clone());
        self.issuing.use_secrets(secrets.clone());
    }

    /// Where the CAs of a profile are kept.
    pub(crate) fn store(&self, profile: Profile) -> &CaStore {
        match profile {
            Profile::Root => &self.roots,
            _ => &self.issuing,
        }
    }

    /// Where the key of a CA is.
    ///
    /// # Errors
    /// It is not kept, or its files cannot be read.
    pub fn key_place(&self, ca: &KnownCa) -> Result<KeyPlace, AuthorityError> {
        Ok(self.store(ca.profile).key_place(&ca.certificate)?)
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

    /// Its CAs.
    pub fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// What a role has had until `now`, if that has not ended.
    pub fn earlier(
        &self,
        role: &Role,
        now: OffsetDateTime,
    ) -> Result<Option<Earlier>, AuthorityError> {
        let is_revoked = |ca| {
            let ca = self.hierarchy.ca(ca);
            ca.is_some_and(|ca| ca.state.is_revoked())
        };
        Ok(self.ledger.earlier(role, is_revoked, now)?)
    }

    /// Whether the key of the newest root needs a passphrase.
    pub fn root_is_encrypted(&self) -> Result<bool, AuthorityError> {
        let root = self.newest_root()?;
        Ok(self.roots.key_is_encrypted(&root.certificate)?)
    }

    /// The newest active root.
    pub(crate) fn newest_root(&self) -> Result<&KnownCa, AuthorityError> {
        self.hierarchy
            .newest_root()
            .ok_or_else(|| self.inconsistent("ledger.db knows no root", "root"))
    }

    /// Opens the key of the newest root, and closes it again: whether the passphrase is right.
    ///
    /// # Errors
    /// It is wrong, or the key cannot be used.
    pub fn try_root(&self) -> Result<(), AuthorityError> {
        let root = self.newest_root()?;
        self.roots.unlock(&root.certificate)?;
        Ok(())
    }

    /// Whether the key of the newest issuing CA needs a passphrase.
    ///
    /// # Errors
    /// Its files cannot be read.
    pub fn issuing_is_encrypted(&self) -> Result<bool, AuthorityError> {
        Ok(self.issuing_key_place()? == Some(KeyPlace::Encrypted))
    }

    /// Where the key of the newest issuing CA is, if there is one.
    ///
    /// # Errors
    /// Its files cannot be read.
    pub fn issuing_key_place(&self) -> Result<Option<KeyPlace>, AuthorityError> {
        let counts = |ca: &&KnownCa| ca.profile == Profile::Issuing && ca.state == CaState::Active;
        let newest = self.hierarchy.cas().rfind(counts);
        newest.map(|ca| self.key_place(ca)).transpose()
    }

    /// That the next issuing CA's key can be encrypted as that of the last one is.
    ///
    /// # Errors
    /// There is no passphrase, or it does not open that key.
    pub fn try_next_issuing(&self) -> Result<(), AuthorityError> {
        self.passphrase_of_the_next(Profile::Issuing).map(drop)
    }

    /// That there is a CA which signs, as far as that can be told without a passphrase: a home that is damaged is found
    /// out today, not on the day on which something is due.
    pub(crate) fn check_signer(&self, now: OffsetDateTime) -> Result<(), AuthorityError> {
        let signer = self.hierarchy.server_signer(now);
        match signer.map(|ca| self.key_place(ca)) {
            Some(Ok(KeyPlace::Encrypted)) => self.check_parts(),
            _ => self.signer(Profile::Server, now).map(drop),
        }
    }

    /// Who signs for holders of this profile at `now`.
    pub(crate) fn signer(
        &self,
        profile: Profile,
        now: OffsetDateTime,
    ) -> Result<Signer, AuthorityError> {
        self.check_parts()?;
        let ca = match profile {
            Profile::Client if self.hierarchy.signers(now).nth(1).is_some() => {
                let servers = self.ledger.servers_in_use(now)?;
                let issuers = servers.iter().map(|(_, issuer)| *issuer);
                self.hierarchy.client_signer(issuers, now)
            }
            _ => self.hierarchy.server_signer(now),
        };
        let known =
            ca.ok_or_else(|| self.inconsistent("ledger.db knows no CA that signs", "issuing CA"))?;
        let ca = self.issuing.unlock(&known.certificate);
        let ca = ca.map_err(|error| match error {
            CaStoreError::NotKept { .. } => self.not_kept(known),
            error => error.into(),
        })?;
        let endorsement = known.endorsement.as_ref();
        let endorsement = endorsement.filter(|_| profile == Profile::Server);
        Ok(Signer {
            id: known.id,
            ca: match endorsement {
                Some(it) => ca.under(&it.constraints(), end_of_leaves(known, profile, now)),
                None => ca,
            },
            chain: chain(&self.hierarchy, known.id, profile, now),
        })
    }

    /// That the root which the ledger knows is the one that is kept here.
    ///
    /// # Errors
    /// The parts of the home do not belong together, as after half a restore. What would be
    /// installed then, no client could connect to.
    pub(crate) fn check_parts(&self) -> Result<(), AuthorityError> {
        let root = self.newest_root()?;
        match self.roots.has(&root.certificate)? {
            true => Ok(()),
            false => Err(self.not_kept(root)),
        }
    }

    /// What every credential of a profile has in common at this moment.
    pub(crate) fn trust(
        &self,
        profile: Profile,
        now: OffsetDateTime,
    ) -> Result<Trust, AuthorityError> {
        let roots = self.hierarchy.roots(now);
        let mut roots: Vec<&[u8]> = roots.map(|root| root.certificate.as_slice()).collect();
        let crls = match profile {
            Profile::Client => {
                roots.splice(0..0, self.hierarchy.roots_of_others(now));
                Vec::new()
            }
            _ => {
                roots.extend(self.hierarchy.bridges(now));
                roots.extend(self.hierarchy.endorsed_issuing(now));
                self.ledger.crls()?
            }
        };
        let is_needed = |crl: &&Crl| self.hierarchy.covered(now).any(|ca| ca.id == crl.ca);
        Ok(Trust {
            roots: roots
                .into_iter()
                .map(|root| pgpki_core::pem("CERTIFICATE", root))
                .collect(),
            crls: crls
                .iter()
                .filter(is_needed)
                .map(|crl| pgpki_core::pem("X509 CRL", &crl.der))
                .collect(),
        })
    }

    /// Removes what killed runs have left in the home: the keys of CAs that came to nothing, and those that were on their way
    /// to another form, which may be open. The authority is open alone. How many of them.
    ///
    /// # Errors
    /// A system call failed.
    pub fn sweep_home(&self) -> Result<usize, AuthorityError> {
        let mut removed = self.roots.sweep()?.removed + self.issuing.sweep()?.removed;
        removed += self.sweep_request()?;
        let pending = |ca: &&KnownCa| ca.state == CaState::Pending;
        for ca in self.hierarchy.cas().filter(pending) {
            removed += usize::from(self.store(ca.profile).discard(&ca.certificate)?);
        }
        Ok(removed)
    }

    fn not_kept(&self, ca: &KnownCa) -> AuthorityError {
        AuthorityError::CaNotKept {
            home: self.home.clone(),
            profile: ca.profile,
            ca: ca.facts.common_name.clone(),
        }
    }

    pub(crate) fn inconsistent(&self, what: &'static str, ca: &str) -> AuthorityError {
        AuthorityError::Inconsistent {
            path: self.home.clone(),
            what,
            ca: ca.to_owned(),
        }
    }
}
