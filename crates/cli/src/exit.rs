//! How a command ends: its status, and what a failure tells the user.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use pgpki_authority::ledger::LedgerError;
use pgpki_authority::{
    AuthorityError, BackupError, CaStoreError, DeliverError, SecretError, SuccessionError,
};
use pgpki_core::ca_key::{Blame, TokenError};
use pgpki_core::document::printable;
use pgpki_core::issue::IssueError;
use pgpki_core::key::KeyError;
use pgpki_core::name::{HostError, OrganizationError, RoleError};
use pgpki_core::name_constraints::PermittedError;
use pgpki_core::profile::Profile;
use pgpki_fs::{
    InstallationError, IoError, LockError, OutputError, OwnerError, PrivateError, ReadError,
    ShelfError, StageError, WalkError, shell_word,
};

use crate::home::no_authority;
use crate::tokens;

/// The exit statuses, as `docs/exit-codes.md` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// There are findings, or something is due that could not be done.
    Findings = 1,
    /// The command line is wrong.
    Usage = 2,
    /// It would have broken something.
    Refused = 3,
    /// A name, file or value is not what it should be.
    BadInput = 4,
    /// It failed, and nothing has changed.
    Failed = 5,
    /// A server did not take up what was installed, and what it had before was put back.
    PutBack = 6,
    /// A defect in pgpki.
    Defect = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The status that the process ends with.
    pub exit: Exit,
    /// What happened, and to what.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub(crate) fn new(exit: Exit, error: impl fmt::Display) -> Self {
        Self {
            exit,
            message: error.to_string(),
            hint: None,
        }
    }

    /// The same failure with a hint, in place of the one it had.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        let hint = Some(hint.into());
        Self { hint, ..self }
    }

    fn with(exit: Exit, error: &impl fmt::Display, hint: Option<String>) -> Self {
        Self {
            hint,
            ..Self::new(exit, error)
        }
    }
}

/// `pgpki: what happened`, and below it what to do.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names and paths in it may be somebody else's.
        write!(f, "pgpki: {}", printable(&self.message))?;
        for line in self.hint.iter().flat_map(|hint| hint.lines()) {
            write!(f, "\n       {}", printable(line))?;
        }
        Ok(())
    }
}

impl From<io::Error> for Failure {
    /// Of all that is read or written through `std::io`, only the report can fail here. A reader
    /// that has seen enough, as `head` does, is no failure.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::Done, ""),
            _ => Self::new(Exit::Failed, format!("cannot write the report: {error}")),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        io::Error::from(error).into()
    }
}

/// What to do about a home that is damaged.
const RESTORE: &str = "Nothing was changed. Restore the whole home from one backup";

/// What to do about a CA that is in the ledger and has no key here: the rest of a home that was lost.
const LOST_KEY: &str = "Nothing was changed. If its key was made after the backup that this home is from: \
     pgpki rotate --issuing --compromised revokes that CA, and all that it has signed";

/// What to do where a passphrase does not open a CA's key.
pub(crate) const WRONG_PASSPHRASE: &str = "Give the passphrase that the key was encrypted with last; if nobody has it any more, \
     docs/keys.md says what then";

/// The same where all that is missing may be an issuing CA's key, for which there can be another.
const RESTORE_OR_REPLACE: &str = "Nothing was changed. Restore the whole home from one backup; if the key is lost,\n\
     make another and revoke this one: pgpki rotate --issuing --compromised";

/// The same where it is the key alone that is missing: what it has signed may go on.
const RESTORE_OR_REPLACE_KEY: &str = "Nothing was changed. Restore the whole home from one backup; if the key is lost,\n\
     make another: pgpki rotate --issuing; with --compromised beside it, what the lost one has signed is revoked";

/// What to do about an issuing CA that somebody else's CA has certified.
pub(crate) const ENDORSEMENT_NEEDED: &str = "Nothing was changed: servers would have a chain that clients do not know. \
     Have it certified:\npgpki rotate --issuing --issuer-cert FILE --issuer-key FILE, or first: pgpki rotate --request-issuing FILE";

/// Input that is wrong in itself.
macro_rules! bad_input {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(Exit::BadInput, error)
            }
        }
    )*};
}
bad_input!(HostError, RoleError, OrganizationError, PermittedError);

impl From<OwnerError> for Failure {
    fn from(error: OwnerError) -> Self {
        let hint = error.hint();
        Self::with(Exit::BadInput, &error, hint)
    }
}

impl From<WalkError> for Failure {
    fn from(error: WalkError) -> Self {
        Self::with(walk_exit(&error), &error, error.hint())
    }
}

fn walk_exit(error: &WalkError) -> Exit {
    match error {
        WalkError::WrongOwner { .. } | WalkError::TooOpen { .. } => Exit::Refused,
        WalkError::Make(_) | WalkError::Io(_) => Exit::Failed,
        _ => Exit::BadInput,
    }
}

impl From<PrivateError> for Failure {
    fn from(error: PrivateError) -> Self {
        let exit = match &error {
            PrivateError::Directory(error) => walk_exit(error),
            PrivateError::AlreadyExists { .. } => Exit::Refused,
            _ => Exit::Failed,
        };
        Self::with(exit, &error, error.hint())
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let exit = match error {
            ReadError::HardLink { .. }
            | ReadError::WrongOwner { .. }
            | ReadError::TooOpen { .. } => Exit::Refused,
            ReadError::Io(_) => Exit::Failed,
            _ => Exit::BadInput,
        };
        Self::with(exit, &error, error.hint())
    }
}

impl From<InstallationError> for Failure {
    fn from(error: InstallationError) -> Self {
        let exit = match &error {
            InstallationError::Directory(error) => walk_exit(error),
            InstallationError::CurrentIsNoLink { .. }
            | InstallationError::CurrentLeadsElsewhere { .. } => Exit::Refused,
            _ => Exit::Failed,
        };
        Self::with(exit, &error, error.hint())
    }
}

impl From<ShelfError> for Failure {
    fn from(error: ShelfError) -> Self {
        let exit = match &error {
            ShelfError::Directory(error) => walk_exit(error),
            ShelfError::BadName { .. } => Exit::BadInput,
            ShelfError::InTheWay { .. }
            | ShelfError::Occupied { .. }
            | ShelfError::ReservedTaken { .. }
            | ShelfError::Lock(LockError::Busy { .. })
            | ShelfError::NoExchange { .. } => Exit::Refused,
            _ => Exit::Failed,
        };
        Self::with(exit, &error, error.hint())
    }
}

impl From<StageError> for Failure {
    fn from(error: StageError) -> Self {
        Self::with(Exit::Failed, &error, error.hint())
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        let exit = match error {
            LockError::Busy { .. } => Exit::Refused,
            _ => Exit::Failed,
        };
        Self::with(exit, &error, error.hint())
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        let exit = match error {
            LedgerError::Newer { .. } => Exit::Refused,
            LedgerError::NotALedger { .. } | LedgerError::Missing { .. } => {
                return Self::new(Exit::BadInput, error).hint(RESTORE);
            }
            _ => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

impl From<IssueError> for Failure {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::NoHost | IssueError::LongCommonName(_) => Self::new(Exit::BadInput, error),
            IssueError::NotPermitted(ref it) if it.is_subject => Self::new(Exit::BadInput, error).hint(
                "Nothing was made: clients would refuse it. Subjects begin with what --organization, --country, --state,\n\
                 --locality and --organizational-unit of pgpki init say; docs/existing-ca.md",
            ),
            IssueError::NotPermitted(_) => Self::new(Exit::BadInput, error).hint(
                "Nothing was made: clients would refuse it. docs/existing-ca.md says what name constraints are",
            ),
            IssueError::CaNotValid { .. } => Self::new(Exit::Refused, error).hint(
                "If the clock is right, renew the issuing CA: \
                 pgpki rotate --root-passphrase-file FILE",
            ),
            IssueError::Token(error) => error.into(),
            _ => Self::new(Exit::Failed, error),
        }
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        let exit = match error.blame {
            Blame::Missing => Exit::Usage,
            Blame::Input => Exit::BadInput,
            Blame::Token => Exit::Failed,
        };
        Self::with(exit, &error, error.hint.clone())
    }
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        let exit = match error.is_missing {
            true => Exit::Usage,
            false => Exit::BadInput,
        };
        Self::with(exit, &error, error.hint.clone())
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::new(Exit::Failed, error)
    }
}

impl From<CaStoreError> for Failure {
    fn from(error: CaStoreError) -> Self {
        match error {
            CaStoreError::Directory(error) => error.into(),
            CaStoreError::Stage(error) => error.into(),
            CaStoreError::Read(error) => error.into(),
            CaStoreError::Key {
                source: KeyError::WrongPassphrase,
                ..
            } => Self::new(Exit::BadInput, error),
            CaStoreError::Key {
                source: KeyError::UnknownEncryption | KeyError::TooCostly,
                ..
            } => Self::new(Exit::BadInput, error).hint(
                "Nothing was changed. Open it with the program that has encrypted it, write it as PKCS#8 in PEM,\n\
                 and encrypt that again: pgpki key encrypt",
            ),
            CaStoreError::WrongPassphrase { .. } => Self::new(Exit::BadInput, error).hint(format!("Nothing was changed. {WRONG_PASSPHRASE}")),
            CaStoreError::Token { ref source, .. } => Self {
                message: error.to_string(),
                ..source.clone().into()
            },
            CaStoreError::Passphrase { source, .. } => source.into(),
            CaStoreError::NotKept { .. } => Self::new(Exit::BadInput, error).hint(LOST_KEY),
            CaStoreError::Missing { ref path } if is_issuing(&error) && path.ends_with("ca.key") => {
                Self::new(Exit::BadInput, error).hint(RESTORE_OR_REPLACE_KEY)
            }
            _ => {
                let hint = match is_issuing(&error) {
                    true => RESTORE_OR_REPLACE,
                    false => RESTORE,
                };
                Self::new(Exit::BadInput, error).hint(hint)
            }
        }
    }
}

/// Whether it is about a file of an issuing CA, in a generation in `issuing/`.
fn is_issuing(error: &CaStoreError) -> bool {
    match error {
        CaStoreError::Missing { path }
        | CaStoreError::Certificate { path, .. }
        | CaStoreError::Key { path, .. } => {
            let place = path.ancestors().nth(2).and_then(Path::file_name);
            place.is_some_and(|place| place == "issuing")
        }
        _ => false,
    }
}

impl From<AuthorityError> for Failure {
    fn from(error: AuthorityError) -> Self {
        match error {
            AuthorityError::Home(PrivateError::Directory(WalkError::Missing { path })) => {
                let message = format!("there is no authority here: {} is missing", path.display());
                Self::new(Exit::BadInput, message).hint(no_authority())
            }
            AuthorityError::Home(error) => error.into(),
            AuthorityError::Read(error) => error.into(),
            AuthorityError::Ledger(error) => error.into(),
            AuthorityError::Ca(error) => error.into(),
            AuthorityError::Issue(error) => error.into(),
            AuthorityError::Key(error) => error.into(),
            AuthorityError::Lock(error) => error.into(),
            AuthorityError::Token(error) => error.into(),
            AuthorityError::KeyInUse { .. } => Self::new(Exit::Refused, error)
                .hint("Name another key; one that is not there yet is made: object=NAME"),
            AuthorityError::Waiting { ref home, ref waiting } => {
                let hint = format!(
                    "Take the answer: pgpki init --install-issuing FILE --home {}\n\
                     or begin anew, after: {}",
                    shell_word(home),
                    tokens::removal(waiting)
                );
                Self::new(Exit::Refused, error).hint(hint)
            }
            AuthorityError::EndorsementNeeded { .. } => {
                Self::new(Exit::Refused, error).hint(ENDORSEMENT_NEEDED)
            }
            AuthorityError::AnotherRoot { .. } => Self::new(Exit::Refused, error).hint(
                "Nothing was changed. If the company changes its root, hand clients the new one first:\n\
                 pgpki rotate --issuer-root FILE; docs/existing-ca.md says how. An authority that was made without a company's\n\
                 CA cannot come under one: begin a new one with pgpki init, in another --home",
            ),
            AuthorityError::SameName { .. } => Self::new(Exit::Refused, error).hint(
                "Nothing was changed. The company needs a root with another name, or with a subjectKeyIdentifier, and an\n\
                 authorityKeyIdentifier in what it signs",
            ),
            AuthorityError::NotAHome { .. } => {
                Self::new(Exit::BadInput, error).hint(no_authority())
            }
            AuthorityError::CaNotKept {
                profile: Profile::Issuing,
                ref home,
                ..
            } => {
                let directory = home.join("issuing");
                let hint = match directory.exists() {
                    true => RESTORE_OR_REPLACE.to_owned(),
                    false => format!(
                        "{RESTORE_OR_REPLACE},\nafter: mkdir -m 0700 {}",
                        shell_word(&directory)
                    ),
                };
                Self::new(Exit::BadInput, error).hint(hint)
            }
            AuthorityError::Inconsistent { .. } | AuthorityError::CaNotKept { .. } => {
                Self::new(Exit::BadInput, error).hint(RESTORE)
            }
            AuthorityError::Settings { .. } => Self::new(Exit::BadInput, error)
                .hint("Put that entry right with an editor; nothing was changed"),
            _ => Self::new(Exit::Failed, error),
        }
    }
}

impl From<SuccessionError> for Failure {
    fn from(error: SuccessionError) -> Self {
        match error {
            SuccessionError::Authority(error) => error.into(),
            _ => Self::with(Exit::Refused, &error, error.hint()),
        }
    }
}

impl From<DeliverError> for Failure {
    fn from(error: DeliverError) -> Self {
        match error {
            DeliverError::Authority(error) => error.into(),
            DeliverError::Installation(error) => error.into(),
            DeliverError::Shelf(error) => error.into(),
            DeliverError::Stage(error) => error.into(),
            DeliverError::Read(error) => error.into(),
            DeliverError::PathNotText { .. } => Self::new(Exit::BadInput, error),
            DeliverError::ServerPassphrase { source, .. } => source.into(),
            DeliverError::PutBack { .. } => Self::with(Exit::PutBack, &error, error.hint()),
            DeliverError::NotSettled { .. } => Self::with(Exit::Findings, &error, error.hint()),
            _ => Self::with(Exit::Refused, &error, error.hint()),
        }
    }
}

impl From<IoError> for Failure {
    fn from(error: IoError) -> Self {
        Self::with(Exit::Failed, &error, error.hint())
    }
}

impl From<OutputError> for Failure {
    fn from(error: OutputError) -> Self {
        let exit = match &error {
            OutputError::NotAPath { .. } => Exit::BadInput,
            OutputError::NotAFile { .. } | OutputError::AlreadyExists { .. } => Exit::Refused,
            OutputError::Directory(error) => walk_exit(error),
            _ => Exit::Failed,
        };
        Self::with(exit, &error, error.hint())
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Authority(error) => error.into(),
            BackupError::Read(error) => error.into(),
            BackupError::Home(error) => error.into(),
            BackupError::Output(error) => error.into(),
            BackupError::Io(error) => error.into(),
            BackupError::Missing { .. } => Self::new(Exit::BadInput, error).hint(RESTORE),
            BackupError::Changed { .. } => {
                Self::new(Exit::Failed, error).hint("Nothing was changed: run it again")
            }
            BackupError::Write(_) | BackupError::Unreadable(_) => Self::new(Exit::Failed, error),
            BackupError::WrongPassphrase => Self::new(Exit::BadInput, error)
                .hint("Nothing was made. Try the passphrase that it was written with"),
            BackupError::PassphraseNotText => Self::new(Exit::BadInput, error),
            _ => Self::new(Exit::BadInput, error).hint("Nothing was made: restore another backup"),
        }
    }
}
