//! Where the authority is, and how to wait for it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pgpki_authority::requested::waiting_for;
use pgpki_authority::{Authority, AuthorityError, Secrets};
use pgpki_core::document::printable;
use pgpki_core::profile::Profile;
use pgpki_fs::{Holder, Owner, shell_word};

use crate::args::{Home, IssuingPassphrase, RootPassphrase, Token};
use crate::exit::{Exit, Failure};
use crate::passphrase::LocalSecrets;
use crate::tokens::LocalTokens;

/// Where root keeps it: state of a program, as the Filesystem Hierarchy Standard has it.
const ROOTS_HOME: &str = "/var/lib/pgpki";

/// How long a command waits for another. A rotation of thousands of folders takes seconds; after
/// ten minutes something is stuck, and cron should say so rather than pile up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

impl Home {
    /// The path of the authority's directory, absolute and without symbolic links.
    pub(crate) fn path(&self) -> Result<PathBuf, Failure> {
        let given = match &self.home {
            Some(home) => home.clone(),
            None => default_home()?,
        };
        Ok(pgpki_fs::canonical(&given)?)
    }

    /// How a next step names it: ` --home DIR` if this one did, so that it is about the same authority.
    pub(crate) fn flag(&self) -> String {
        match (&self.home, self.path()) {
            (Some(_), Ok(path)) => format!(" --home {}", printable(&shell_word(path))),
            _ => String::new(),
        }
    }

    /// For a command that works without an authority: that the one which was named does not wait for its CA's certificate.
    pub(crate) fn refuse_waiting(&self) -> Result<(), Failure> {
        if self.home.is_none() {
            return Ok(());
        }
        let home = self.path()?;
        let waiting = waiting_for(&home);
        match waiting.is_dir() && home.symlink_metadata().is_err() {
            true => Err(AuthorityError::Waiting { home, waiting }.into()),
            false => Ok(()),
        }
    }

    /// Opens the authority for reading.
    pub(crate) fn open(&self) -> Result<Authority, Failure> {
        Ok(Authority::open(&self.path()?)?)
    }

    /// Opens the authority alone, after any other run that changes something.
    pub(crate) fn open_alone(&self) -> Result<Authority, Failure> {
        self.open_with(&Token::default(), LocalSecrets::unnamed())
    }

    /// The same, for a command that signs, and says how the key is reached.
    pub(crate) fn open_to_sign(
        &self,
        token: &Token,
        passphrase: &IssuingPassphrase,
    ) -> Result<Authority, Failure> {
        let secrets = LocalSecrets::new(&RootPassphrase::default(), passphrase);
        // People may take their time, and others should not have to wait for them.
        if secrets.would_ask() && matches!(self.open()?.issuing_is_encrypted(), Ok(true)) {
            secrets.passphrase(Profile::Issuing)?;
        }
        self.open_with(token, secrets)
    }

    /// The same with passphrases from wherever they are.
    pub(crate) fn open_with(
        &self,
        token: &Token,
        secrets: Arc<LocalSecrets>,
    ) -> Result<Authority, Failure> {
        let mut authority = Authority::open_alone(&self.path()?, PATIENCE, announce)?;
        authority.use_hardware(LocalTokens::hardware(token, None, None)?);
        let secrets: Arc<dyn Secrets> = secrets;
        authority.use_secrets(&secrets);
        Ok(authority)
    }
}

/// What to do where there is no authority.
pub(crate) fn no_authority() -> String {
    let hint = "--home names another place; pgpki restore FILE brings one back from a backup, pgpki init makes a new one";
    match Owner::caller().uid != 0 && Path::new(ROOTS_HOME).exists() {
        true => format!("Root has one in {ROOTS_HOME}: run it with sudo. Otherwise {hint}"),
        false => hint.to_owned(),
    }
}

pub(crate) fn announce(holder: Option<Holder>) {
    let who = holder.map_or("another pgpki".to_owned(), |holder| holder.to_string());
    // Nothing can be done about a closed standard error.
    let _ = writeln!(std::io::stderr(), "pgpki: waiting for {who}");
}

fn default_home() -> Result<PathBuf, Failure> {
    if Owner::caller().uid == 0 {
        return Ok(ROOTS_HOME.into());
    }
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            // The XDG Base Directory Specification ignores relative paths.
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|data| data.join("pgpki"))
        .ok_or_else(|| {
            Failure::new(Exit::Usage, "neither HOME nor XDG_DATA_HOME is set")
                .hint("Name the authority's directory with --home")
        })
}
