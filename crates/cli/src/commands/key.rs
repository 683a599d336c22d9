//! `pgpki key`: the keys of the CAs at rest.

use std::io::Write;
use std::sync::Arc;

use pgpki_authority::{KeyChange, KeyChangeError, Secrets as _};
use pgpki_core::document::printable;
use pgpki_core::profile::Profile;

use crate::args::{Home, Key, KeyAct, KeyOf, OutputPassphrase, Token};
use crate::exit::{Exit, Failure};
use crate::passphrase::{self, LocalSecrets, New};
use crate::show::{self, GOOD, WARNING};

pub(crate) fn run(args: &Key) -> Result<Exit, Failure> {
    let act = |home, whose, secrets, done| Act {
        home,
        whose,
        secrets,
        done,
    };
    match &args.act {
        KeyAct::Encrypt(args) => {
            let secrets = LocalSecrets::unnamed();
            let act = act(&args.home, args.whose, secrets, "encrypted");
            act.encrypt(&args.new, |to| KeyChange::Encrypt(to))
        }
        KeyAct::ChangePassphrase(args) => {
            let secrets = LocalSecrets::for_change(&args.old);
            let act = act(&args.home, args.whose, secrets, "changed");
            act.encrypt(&args.new, |to| KeyChange::ChangePassphrase(to))
        }
        KeyAct::Decrypt(args) => {
            let secrets = LocalSecrets::for_change(&args.old);
            let act = act(&args.home, args.whose, secrets, "decrypted");
            act.check(KeyChange::Decrypt)?;
            act.carry_out(KeyChange::Decrypt, None)
        }
    }
}

/// What is to be done, and what it is called when it was.
struct Act<'a> {
    home: &'a Home,
    whose: KeyOf,
    secrets: Arc<LocalSecrets>,
    done: &'static str,
}

impl Act<'_> {
    fn profile(&self) -> Profile {
        match self.whose {
            KeyOf::Root => Profile::Root,
            KeyOf::Issuing => Profile::Issuing,
        }
    }

    fn name(&self) -> &'static str {
        match self.whose {
            KeyOf::Root => "root",
            KeyOf::Issuing => "issuing",
        }
    }

    /// What can be refused is, before a person thinks of a passphrase; and the old one is asked for before anybody has to
    /// wait for him.
    fn check(&self, change: KeyChange<'_>) -> Result<(), Failure> {
        let authority = self.home.open_alone()?;
        // Also where there is nothing to be done: what lies there may be the open form of a key that is encrypted.
        let swept = authority.sweep_home()?;
        if swept > 0 {
            let leftovers = show::count(swept, "leftover");
            // Whether anybody reads it or not, there is more to do.
            let _ = writeln!(
                anstream::stdout(),
                "removed {leftovers} of runs that were killed"
            );
        }
        let checked = authority.check_key_change(self.profile(), change);
        drop(authority);
        checked.map_err(|error| self.failure(error))?;
        match change {
            KeyChange::Encrypt(_) => Ok(()),
            _ => Ok(self.secrets.passphrase(self.profile()).map(drop)?),
        }
    }

    fn encrypt(
        self,
        new: &OutputPassphrase,
        change: impl Fn(&[u8]) -> KeyChange<'_>,
    ) -> Result<Exit, Failure> {
        self.check(change(&[]))?;
        let new = passphrase::new(new, &format!("the {} key", self.name()))?;
        self.carry_out(change(new.secret()), Some(&new))
    }

    fn carry_out(self, change: KeyChange<'_>, new: Option<&New>) -> Result<Exit, Failure> {
        let authority = self
            .home
            .open_with(&Token::default(), self.secrets.clone())?;
        let changed = authority.change_keys(self.profile(), change);
        let changed = changed.map_err(|error| self.failure(error))?;
        if let Some(new) = new {
            new.show(&format!("the {} key", self.name()))?;
        }
        let left = changed.left().to_vec();
        let paths = changed.commit().map_err(|error| self.failure(error))?;
        let mut out = anstream::stdout().lock();
        let done = self.done;
        for path in &paths {
            let path = printable(&path.to_string_lossy());
            writeln!(out, "{GOOD}{done}{GOOD:#}  {path}")?;
        }
        if paths.is_empty() {
            writeln!(out, "Every key has that passphrase already.")?;
        }
        for path in &left {
            let path = printable(&path.to_string_lossy());
            writeln!(
                out,
                "{WARNING}left{WARNING:#}  {path}: another passphrase opens it, and the CA that signs does not need it"
            )?;
        }
        match left.is_empty() {
            true => Ok(Exit::Done),
            false => Ok(Exit::Findings),
        }
    }

    fn failure(&self, error: KeyChangeError) -> Failure {
        let (whose, home) = (self.name(), self.home.flag());
        let (exit, hint) = match error {
            KeyChangeError::Authority(error) => return error.into(),
            KeyChangeError::InToken { .. } => (
                Exit::Refused,
                "Nothing was changed. What guards it is the token's PIN".to_owned(),
            ),
            KeyChangeError::NoKey { .. } => (
                Exit::Refused,
                "Nothing was changed. The key is elsewhere".to_owned(),
            ),
            KeyChangeError::Encrypted { .. } => (
                Exit::Refused,
                format!(
                    "Nothing was changed. For another passphrase: pgpki key change-passphrase {whose}{home}"
                ),
            ),
            KeyChangeError::NotEncrypted { .. } => (
                Exit::Refused,
                format!("Nothing was changed. To encrypt it: pgpki key encrypt {whose}{home}"),
            ),
            KeyChangeError::OtherPassphrase { .. } => (
                Exit::Refused,
                format!(
                    "Nothing was changed. All keys of a kind have one passphrase: give the one that this key has, with\n\
                     --new-passphrase-file FILE, and then change it: pgpki key change-passphrase {whose}{home}"
                ),
            ),
            _ => (
                Exit::Findings,
                "Each key opens with the old passphrase or the new one. Run it again with both"
                    .to_owned(),
            ),
        };
        Failure::new(exit, error).hint(hint)
    }
}
