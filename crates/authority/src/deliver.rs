//! Issuing and delivering as one act: keys and certificates are made, the ledger records them and
//! where they go, the files are written, synced, and given their names, and the ledger notes that
//! they have arrived.

use std::path::{Path, PathBuf};

use pgpki_core::issue::{Holder, Issued};
use pgpki_core::key::PrivateKey;
use pgpki_core::validity::Days;
use pgpki_fs::{
    Installation, InstallationError, IoError, Kind, Owner, ReadError, Shelf, ShelfError,
    StageError, Synced, shell_word,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::authority::{Authority, AuthorityError};
use crate::credential::{Credential, Kept, Signer, Trust, chain};
use crate::format::FormatError;
use crate::ledger::{KnownPlace, LedgerError, Place, PlaceKind};
use crate::rotation::MAX_FILE;
use crate::server_passphrase::{self, ServerPassphraseError};
use crate::servers::{Servers, TakenUp, put_back};
use crate::settings::Settings;

/// How many generations a place keeps, the live one included: enough to go back over a mistake
/// that shows only after the next rotation.
pub(crate) const KEPT_GENERATIONS: usize = 3;

/// Why a credential could not be issued or put in its place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// The authority failed.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The server's directory failed.
    #[error(transparent)]
    Installation(#[from] InstallationError),
    /// A directory that is not for folders.
    #[error("{} is {what}, and no place for folders", path.display())]
    NotAShelf {
        /// The directory.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The directory of the folders failed.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// The files could not be written.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// What is in a place could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was put in place may be lost in a power cut.
    #[error("{source}; what has been made may be undone by a power cut")]
    NotSettled {
        /// Why it could not be synced.
        source: ShelfError,
    },
    /// Something else stands where a folder is to be.
    #[error("{} is {kind}, where a folder for a credential is to be", path.display())]
    NotAFolder {
        /// Where.
        path: PathBuf,
        /// What it is.
        kind: Kind,
    },
    /// A folder that this authority did not make.
    #[error("{} is there already, and this authority did not make it", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// Another holder's credential lives there.
    #[error("{} holds the credential of {holder}", path.display())]
    AnotherHolder {
        /// The folder or installation.
        path: PathBuf,
        /// Whose it is.
        holder: String,
    },
    /// The place is of the other kind.
    #[error("{} is a place of the kind {}, and would become another", path.display(), kind.as_str())]
    AnotherKind {
        /// The folder or installation.
        path: PathBuf,
        /// What it is.
        kind: PlaceKind,
    },
    /// Somebody other than expected owns a folder, where anybody may have put it.
    #[error("{} belongs to {owner}, who may have put it there", path.display())]
    OwnerInDoubt {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        owner: Owner,
        /// The directory that others can write to.
        shelf: PathBuf,
    },
    /// A server does not serve what was installed, and the generation before is live again.
    #[error("{}: {why}; {after}", path.display())]
    PutBack {
        /// The installation.
        path: PathBuf,
        /// Why the new generation was not taken up.
        why: String,
        /// How it stands now.
        after: String,
    },
    /// A server does not serve what has been installed for a while, and did not take it up now.
    #[error("{}: {why}", path.display())]
    NotServed {
        /// The installation.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A file of a credential is gone.
    #[error("{} is missing, or not what it should be", path.display())]
    FileMissing {
        /// The file.
        path: PathBuf,
    },
    /// The credential cannot be written in a format.
    #[error("{}: {source}", path.display())]
    Format {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: FormatError,
    },
    /// The file has no passphrase for the server's key.
    #[error("{}: {source}", path.display())]
    ServerPassphrase {
        /// The installation or folder.
        path: PathBuf,
        /// What is wrong with the file.
        source: ServerPassphraseError,
    },
    /// A path that the ledger, which holds text, cannot name.
    #[error("{} is not valid UTF-8, and the ledger keeps paths as text", path.display())]
    PathNotText {
        /// The path.
        path: PathBuf,
    },
}

impl DeliverError {
    /// What to do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        let elsewhere = || Some("Move it away, or choose another directory".to_owned());
        match self {
            Self::Authority(_) | Self::Format { .. } | Self::PathNotText { .. } => None,
            Self::FileMissing { .. } => {
                Some("Have it issued again: pgpki rotate --force".to_owned())
            }
            Self::NotServed { .. } => Some(
                "Put right what the server complains of; what is on disk is what the ledger has"
                    .to_owned(),
            ),
            Self::PutBack { .. } => {
                Some("Put right what the server complains of and run it again".to_owned())
            }
            Self::ServerPassphrase { source, .. } => source.hint(),
            Self::Installation(error) => error.hint(),
            Self::Shelf(error) => error.hint(),
            Self::Stage(error) => error.hint(),
            Self::Read(error) => error.hint(),
            Self::NotSettled { source } => source.hint(),
            Self::OwnerInDoubt { shelf, .. } => Some(format!(
                "If that is right, let nobody else write to the directory around it: \
                 chmod go-w {shelf}, and chown {} {shelf}",
                Owner::caller(),
                shelf = shell_word(shelf)
            )),
            Self::NotAShelf { .. } => {
                Some("Nothing was issued: choose another directory".to_owned())
            }
            Self::NotAFolder { .. }
            | Self::Foreign { .. }
            | Self::AnotherKind { .. }
            | Self::AnotherHolder { .. } => elsewhere(),
        }
    }
}

impl From<LedgerError> for DeliverError {
    fn from(error: LedgerError) -> Self {
        Self::Authority(error.into())
    }
}

/// A generation that is live now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Its number; a folder has none.
    pub generation: Option<u32>,
    /// What the servers made of it.
    pub taken_up: TakenUp,
    /// What of former generations could not be removed, and why.
    pub left: Vec<String>,
}

/// A server's credential that is in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The certificate.
    pub issued: Issued,
    /// The generation that it is in.
    pub live: Live,
}

/// A server's credential that is on disk but not in use. Dropping it removes the files.
#[must_use = "dropping it removes the files"]
pub struct Ready {
    issued: Issued,
    files: Synced,
    /// The place as the ledger had it.
    before: Option<KnownPlace>,
}

impl Ready {
    /// Makes it the live generation of the installation that it was made ready for. No server is
    /// told.
    pub fn publish(self, installation: &Installation) -> Result<Installed, DeliverError> {
        let generation = installation.publish(self.files)?;
        Ok(Installed {
            issued: self.issued,
            live: Live {
                generation: Some(generation),
                taken_up: TakenUp::nobody("no server was asked"),
                left: Vec::new(),
            },
        })
    }
}

impl Authority {
    /// Issues a server's credential, makes it the live generation of an installation, and has
    /// `servers` take it up. If one does not, the generation before is live again.
    pub fn install(
        &mut self,
        place: &Place,
        installation: &Installation,
        servers: &mut dyn Servers,
        now: OffsetDateTime,
    ) -> Result<Installed, DeliverError> {
        let before = installation.current()?;
        let ready = self.make_ready(place, installation, now)?;
        let (serial, known) = (ready.issued.serial, ready.before.clone());
        let taken_back = [(&*place.path, serial, known.as_ref())];
        let Ready { issued, files, .. } = ready;
        let generation = installation.publish(files).inspect_err(|_| {
            // If this fails as well, the next rotation sees that another one is there.
            let _ = self.ledger.take_back(&taken_back);
        })?;
        match settle(installation, (before, generation), servers) {
            Ok(live) => Ok(Installed { issued, live }),
            Err(error) => {
                self.ledger.take_back(&taken_back)?;
                Err(error)
            }
        }
    }

    /// Gives a server's place the roots, chain and CRLs of this moment beside the credential that it has, as a new
    /// generation, and has `servers` take it up. If one does not, the generation before is live again.
    pub(crate) fn refresh(
        &self,
        known: &KnownPlace,
        servers: &mut dyn Servers,
        now: OffsetDateTime,
    ) -> Result<Live, DeliverError> {
        let place = &known.place;
        let trust = self.trust(place.holder.profile(), now)?;
        let chain = chain(&self.hierarchy, known.issuer, place.holder.profile(), now);
        match place.kind {
            PlaceKind::Installation => {
                let installation = Installation::open(&place.path, place.owner)?;
                let before = installation.current()?;
                let live = before.unwrap_or_default();
                let kept = Kept::read(place, &chain, |name, secret| match secret {
                    true => installation.read_secret(live, name, MAX_FILE),
                    false => installation.read(live, name, MAX_FILE),
                })?;
                let staged = installation.stage(&kept.files(&trust))?.sync()?;
                let generation = installation.publish(staged)?;
                settle(&installation, (before, generation), servers)
            }
            PlaceKind::Folder => {
                let shelf = Shelf::open(place.path.parent().unwrap_or(Path::new("/")))?;
                let target = self.target(place, &shelf)?;
                let kept = Kept::read(place, &chain, |name, _| {
                    shelf.read(&target.name, name, MAX_FILE)
                })?;
                let staged = shelf.stage(&kept.files(&trust), target.owner)?.sync()?;
                let left = shelf.publish(staged, &target.name, true)?;
                shelf.settle()?;
                Ok(Live {
                    generation: None,
                    taken_up: TakenUp::nobody("it is for a server elsewhere"),
                    left: texts(left).collect(),
                })
            }
        }
    }

    /// Issues a server's credential and writes it beside the live generation, on disk but not yet
    /// in use. The ledger has it, and takes it for being in its place.
    pub fn make_ready(
        &mut self,
        place: &Place,
        installation: &Installation,
        now: OffsetDateTime,
    ) -> Result<Ready, DeliverError> {
        check_text(&place.path)?;
        place
            .passphrase_file
            .as_deref()
            .map_or(Ok(()), check_text)?;
        let before = self.ledger.place(&place.path)?;
        if let Some(before) = &before {
            check_holder(before, place)?;
        }
        let profile = place.holder.profile();
        let signer = self.signer(profile, now)?;
        let trust = self.trust(profile, now)?;
        let terms = Terms {
            signer: &signer,
            trust: &trust,
            settings: self.settings(),
            passphrases: &NoPassphrases,
            now,
        };
        let credential = terms.make(place)?;
        let issued = &credential.issued;
        self.ledger.record(signer.id, &[(issued, place)])?;
        let staged = installation
            .stage(&credential.files(&trust))
            .map_err(DeliverError::from)
            .and_then(|staged| Ok(staged.sync()?));
        let files = staged.inspect_err(|_| {
            // If this fails as well, the next rotation sees that another one is there.
            let _ = self
                .ledger
                .take_back(&[(&place.path, issued.serial, before.as_ref())]);
        })?;
        Ok(Ready {
            issued: credential.issued,
            files,
            before,
        })
    }
}

/// A server's names may change; a role may not, nor may an installation become a folder.
pub(crate) fn check_holder(before: &KnownPlace, after: &Place) -> Result<(), DeliverError> {
    if before.place.kind != after.kind {
        return Err(DeliverError::AnotherKind {
            path: after.path.clone(),
            kind: before.place.kind,
        });
    }
    match (&before.place.holder, &after.holder) {
        (Holder::Server(_), Holder::Server(_)) => Ok(()),
        (before, after) if before == after => Ok(()),
        (before, _) => Err(DeliverError::AnotherHolder {
            path: after.path.clone(),
            holder: before.to_string(),
        }),
    }
}

pub(crate) fn texts(errors: Vec<IoError>) -> impl Iterator<Item = String> {
    errors.into_iter().map(|error| error.to_string())
}

/// Has `servers` take up the generation that has just been published, and removes the oldest ones. If one does not,
/// the generation before is live again.
fn settle(
    installation: &Installation,
    generations: (Option<u32>, u32),
    servers: &mut dyn Servers,
) -> Result<Live, DeliverError> {
    let taken_up = servers.take_up(installation);
    let taken_up = taken_up.and_then(TakenUp::whole).map_err(|why| {
        let after = put_back(installation, generations, servers);
        // A server that refuses for weeks would have one more each day.
        let after = [vec![after], prune(installation)].concat().join("; ");
        let path = installation.path().to_owned();
        DeliverError::PutBack { path, why, after }
    })?;
    Ok(Live {
        generation: Some(generations.1),
        taken_up,
        left: prune(installation),
    })
}

/// Removes the oldest generations. Returns what stays, and why.
fn prune(installation: &Installation) -> Vec<String> {
    match installation.prune(KEPT_GENERATIONS) {
        Ok(pruned) => texts(pruned.left).collect(),
        Err(error) => vec![error.to_string()],
    }
}

/// Whoever knows what containers are to be encrypted with.
pub trait Passphrases: Sync {
    /// For the container in this place.
    fn of(&self, place: &Place) -> Option<&str>;
}

/// Nobody does, as in a rotation.
#[derive(Clone, Copy, Debug)]
pub struct NoPassphrases;

impl Passphrases for NoPassphrases {
    fn of(&self, _: &Place) -> Option<&str> {
        None
    }
}

/// What is the same for every credential that is made at one moment.
pub(crate) struct Terms<'a> {
    pub(crate) signer: &'a Signer,
    pub(crate) trust: &'a Trust,
    pub(crate) settings: &'a Settings,
    pub(crate) passphrases: &'a dyn Passphrases,
    pub(crate) now: OffsetDateTime,
}

impl Terms<'_> {
    /// A key and a certificate for `place`, in the formats that it has. Nobody has seen them yet.
    pub(crate) fn make(&self, place: &Place) -> Result<Credential, DeliverError> {
        let failed = |error| DeliverError::Authority(error);
        let key_passphrase = key_passphrase(place)?;
        let key = PrivateKey::generate(place.algorithm).map_err(|error| failed(error.into()))?;
        let days: Days = place.days.unwrap_or(self.settings.leaf);
        let organization = &self.settings.organization;
        let ca = &self.signer.ca;
        let issued = ca.issue_leaf(&place.holder, &(&key).into(), organization, self.now, days);
        let issued = issued.map_err(|error| failed(error.into()))?;
        let credential = Credential::new(issued, &self.signer.chain);
        let made = credential.with_key(
            &key,
            &place.formats,
            self.trust,
            self.passphrases.of(place),
            key_passphrase.as_ref().map(|it| it.as_slice()),
        );
        made.map_err(|source| DeliverError::Format {
            path: place.path.clone(),
            source,
        })
    }
}

/// What a server's key is to be encrypted with, as its file says now.
pub(crate) fn key_passphrase(place: &Place) -> Result<Option<Zeroizing<Vec<u8>>>, DeliverError> {
    let read = place
        .passphrase_file
        .as_deref()
        .map(|file| server_passphrase::read(file, place.owner));
    read.transpose()
        .map_err(|source| DeliverError::ServerPassphrase {
            path: place.path.clone(),
            source,
        })
}

pub(crate) fn check_text(path: &Path) -> Result<(), DeliverError> {
    match path.to_str() {
        Some(_) => Ok(()),
        None => Err(DeliverError::PathNotText { path: path.into() }),
    }
}
