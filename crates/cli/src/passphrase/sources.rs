//! Where the passphrases of the CAs' keys come from, in this order: a file, a command, a credential of systemd's
//! (`LoadCredential=`, systemd.exec(5)), a person at the terminal. Each is asked for when a key turns out to be encrypted,
//! and once in a run.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use pgpki_authority::{SecretError, Secrets};
use pgpki_core::profile::Profile;

use super::command::from_command;
use super::{Passphrase, ask, first_line, from_file, usable};
use crate::args;
use crate::exit::{Exit, Failure};

/// Where systemd puts what a unit is given with `LoadCredential=`.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// What was said about the passphrase of one kind of key.
#[derive(Clone, Debug)]
struct Source {
    /// Whose keys these are: `root` or `issuing`.
    whose: &'static str,
    /// How the arguments begin that name a file or a command.
    flag: &'static str,
    file: Option<PathBuf>,
    command: Option<String>,
    /// Whether a person is asked if there is one.
    may_ask: bool,
}

impl Source {
    fn passphrase(&self) -> Result<Passphrase, SecretError> {
        let Self {
            whose,
            flag,
            file,
            command,
            may_ask,
        } = self;
        if let Some(named) = unattended(whose, file.as_deref(), command.as_deref()) {
            return named.map_err(of_failure);
        }
        if *may_ask && io::stdin().is_terminal() {
            return ask(&format!("Passphrase of the {whose} key: ")).map_err(of_failure);
        }
        Err(SecretError {
            what: format!(
                "this needs the {whose} key's passphrase, and there is no terminal to ask for it"
            ),
            hint: Some(format!(
                "Give {flag}-file FILE or {flag}-command COMMAND, or have systemd put it into\n\
                 ${CREDENTIALS}/pgpki.{whose}-passphrase (LoadCredential=)"
            )),
            is_missing: true,
        })
    }

    /// Where it comes from, in the order of [`unattended`]; nothing where a person is asked.
    fn origin(&self) -> Option<String> {
        let named = named(self.file.as_deref(), self.command.as_deref(), self.flag);
        named.or_else(|| {
            let file = credential(self.whose)?;
            Some(format!("the credential {}, of systemd's", file.display()))
        })
    }
}

/// Where a passphrase comes from that an argument names, which begins with `flag`.
pub(super) fn named(file: Option<&Path>, command: Option<&str>, flag: &str) -> Option<String> {
    match (file, command) {
        (Some(file), _) => Some(format!("the first line of {}", file.display())),
        (None, Some(_)) => Some(format!("the first line that {flag}-command prints")),
        (None, None) => None,
    }
}

/// The passphrase of the `root` or `issuing` keys, if it is at hand without a person.
pub(super) fn unattended(
    whose: &str,
    file: Option<&Path>,
    command: Option<&str>,
) -> Option<Result<Passphrase, Failure>> {
    if let Some(file) = file {
        return Some(from_file(file));
    }
    if let Some(command) = command {
        return Some(from_command(command));
    }
    Some(from_credential(&credential(whose)?))
}

/// The credential of systemd's that has the passphrase, if there is one.
fn credential(whose: &str) -> Option<PathBuf> {
    let directory = std::env::var_os(CREDENTIALS).map(PathBuf::from);
    let directory = directory.filter(|directory| directory.is_absolute())?;
    let file = directory.join(format!("pgpki.{whose}-passphrase"));
    file.symlink_metadata().ok()?;
    Some(file)
}

/// A credential is closed to others by its directory, whatever its mode says.
fn from_credential(file: &Path) -> Result<Passphrase, Failure> {
    let bytes = Passphrase::new(pgpki_fs::read_bounded(file, super::MAX_BYTES)?);
    first_line(&bytes).ok_or_else(|| {
        let message = format!("the first line of {} is empty", file.display());
        Failure::new(Exit::BadInput, message).hint("It must hold the passphrase")
    })
}

fn of_failure(failure: Failure) -> SecretError {
    SecretError {
        what: failure.message,
        hint: failure.hint,
        is_missing: false,
    }
}

/// The passphrases of this run. Wiped from memory when it ends.
pub(crate) struct LocalSecrets {
    root: Source,
    issuing: Source,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    root: Option<Result<Passphrase, SecretError>>,
    issuing: Option<Result<Passphrase, SecretError>>,
}

impl LocalSecrets {
    /// What the arguments say. Nothing is asked yet.
    pub(crate) fn new(root: &args::RootPassphrase, issuing: &args::IssuingPassphrase) -> Arc<Self> {
        Self::of(
            Source {
                whose: "root",
                flag: "--root-passphrase",
                file: root.root_passphrase_file.clone(),
                command: root.root_passphrase_command.clone(),
                may_ask: true,
            },
            Source {
                whose: "issuing",
                flag: "--issuing-passphrase",
                file: issuing.issuing_passphrase_file.clone(),
                command: issuing.issuing_passphrase_command.clone(),
                may_ask: true,
            },
        )
    }

    /// The same where nothing was said.
    pub(crate) fn unnamed() -> Arc<Self> {
        Self::new(
            &args::RootPassphrase::default(),
            &args::IssuingPassphrase::default(),
        )
    }

    /// The same where a person is asked for the root's only if he wants what needs it.
    pub(crate) fn for_rotation(
        root: &args::RootPassphrase,
        issuing: &args::IssuingPassphrase,
        root_is_wanted: bool,
    ) -> Arc<Self> {
        let this = Self::new(root, issuing);
        let root = Source {
            may_ask: root_is_wanted,
            ..this.root.clone()
        };
        Self::of(root, this.issuing.clone())
    }

    /// The same where nobody is asked.
    pub(crate) fn silent(
        root: &args::RootPassphrase,
        issuing: &args::IssuingPassphrase,
    ) -> Arc<Self> {
        let this = Self::new(root, issuing);
        let silent = |source: &Source| Source {
            may_ask: false,
            ..source.clone()
        };
        Self::of(silent(&this.root), silent(&this.issuing))
    }

    /// What opens keys that are to be encrypted otherwise.
    pub(crate) fn for_change(old: &args::OldPassphrase) -> Arc<Self> {
        let source = |whose| Source {
            whose,
            flag: "--passphrase",
            file: old.passphrase_file.clone(),
            command: old.passphrase_command.clone(),
            may_ask: true,
        };
        Self::of(source("root"), source("issuing"))
    }

    fn of(root: Source, issuing: Source) -> Arc<Self> {
        Arc::new(Self {
            root,
            issuing,
            asked: Mutex::default(),
        })
    }

    fn source(&self, whose: Profile) -> &Source {
        match whose {
            Profile::Root => &self.root,
            _ => &self.issuing,
        }
    }

    /// Whether a person would be asked for the issuing key's passphrase.
    pub(crate) fn would_ask(&self) -> bool {
        let Source { file, command, .. } = &self.issuing;
        (file.is_none() && command.is_none()) && io::stdin().is_terminal()
    }
}

impl Secrets for LocalSecrets {
    fn passphrase(&self, whose: Profile) -> Result<Passphrase, SecretError> {
        // What is in it is whole, whoever has panicked meanwhile.
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let source = self.source(whose);
        let asked = match whose {
            Profile::Root => &mut asked.root,
            _ => &mut asked.issuing,
        };
        asked.get_or_insert_with(|| source.passphrase()).clone()
    }

    fn given(&self, whose: Profile) -> Result<Option<Passphrase>, SecretError> {
        let source = self.source(whose);
        if source.origin().is_none() {
            return Ok(None);
        }
        // No key has shown yet that it is one.
        let usable = usable(
            self.passphrase(whose)?,
            &format!("the {} key", source.whose),
        );
        usable.map(Some).map_err(of_failure)
    }

    fn origin(&self, whose: Profile) -> String {
        let origin = self.source(whose).origin();
        origin.unwrap_or_else(|| "what was typed".to_owned())
    }
}
