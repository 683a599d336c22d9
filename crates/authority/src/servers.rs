//! The servers that use an installation, as a delivery sees them: what they made of a new generation,
//! and the way back to the one before.

use std::path::{Path, PathBuf};

use pgpki_core::serial::Serial;
use pgpki_fs::{Installation, InstallationError};

/// What servers made of a new generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakenUp {
    /// The servers that were seen to serve it.
    pub proven: Vec<String>,
    /// The servers that serve it, and of which it is not known whether they refuse what its CRLs list; and why.
    pub unsure: Vec<Unsure>,
    /// What could not be asked, and why.
    pub unasked: Vec<String>,
    /// The servers that serve it because they served the same before, and have not loaded what is new, such as CRLs; and
    /// what they say of it.
    pub kept: Vec<String>,
}

/// A server that serves what is installed, and may let in whom the CRLs there list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsure {
    /// The server.
    pub server: String,
    /// Why that is not known, or that it is so.
    pub why: String,
    /// What kind of doubt it is.
    pub doubt: Doubt,
}

/// Why it is not known that a server refuses what CRLs list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It was told, and nothing says whether it has loaded them.
    Unread,
    /// It does not read these CRLs.
    Elsewhere,
    /// Nobody can tell of whatever it is, today or later.
    Always,
}

/// What servers made of a certificate that they should refuse as revoked. Whoever cannot be asked, or has another reason
/// to refuse it, is in neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// The servers that refuse it as revoked, named as in [`TakenUp::proven`].
    pub refused: Vec<String>,
    /// The servers that take it.
    pub accepted: Vec<String>,
}

impl TakenUp {
    /// Whether somebody can do something about a doubt.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.unsure.iter().any(|it| it.doubt != Doubt::Always)
    }

    /// Whether a server was told, and nothing says what it made of that.
    pub(crate) fn is_unread(&self) -> bool {
        self.unsure.iter().any(|it| it.doubt == Doubt::Unread)
    }

    /// The same, unless a server has not loaded everything.
    pub(crate) fn whole(self) -> Result<Self, String> {
        match self.kept.is_empty() {
            true => Ok(self),
            false => Err(self.kept.join("; ")),
        }
    }

    /// The servers that serve its certificate, whatever they have made of the rest.
    pub fn serving(&self) -> impl Iterator<Item = &String> {
        let unsure = self.unsure.iter().map(|it| &it.server);
        self.proven.iter().chain(unsure)
    }

    /// What is not known, and why.
    pub fn not_proven(&self) -> impl Iterator<Item = String> {
        let unsure = self.unsure.iter();
        let unsure = unsure.map(|it| format!("{}: {}", it.server, it.why));
        self.unasked.iter().cloned().chain(unsure)
    }

    /// Nobody was asked, for this reason.
    pub fn nobody(why: impl Into<String>) -> Self {
        Self {
            unasked: vec![why.into()],
            ..Self::default()
        }
    }
}

/// A session that came in with a client certificate, as `pg_stat_ssl` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The cluster's data directory.
    pub data_directory: PathBuf,
    /// What the cluster is called in messages.
    pub server: String,
    /// The server's process for it.
    pub pid: i32,
    /// The role.
    pub role: String,
    /// The serial number of its certificate; nothing if this authority cannot have issued it.
    pub serial: Option<Serial>,
    /// The same as PostgreSQL has it, whoever issued it: decimal.
    pub decimal: String,
    /// The name of the CA that signed its certificate, in PostgreSQL's form, of which it keeps the first
    /// 63 octets.
    pub issuer: String,
}

/// How many octets of a name `pg_stat_ssl` keeps: NAMEDATALEN without its terminating zero.
const NAME_KEPT: usize = 63;

/// How many octets of a UTF-8 character may be left where the name is cut.
const LONGEST_REST: usize = 3;

impl Session {
    /// Whether its certificate was signed by a CA with this name, in PostgreSQL's form, as far as PostgreSQL tells.
    ///
    /// PostgreSQL cuts the name to 63 octets of the database's encoding, in the middle of a character too.
    #[must_use]
    pub fn is_from(&self, issuer: &str) -> bool {
        let seen = self.issuer.trim_end_matches(char::REPLACEMENT_CHARACTER);
        let is_cut = seen.len() + LONGEST_REST >= NAME_KEPT;
        seen == issuer || (is_cut && issuer.starts_with(seen))
    }
}

/// Sessions with client certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    /// Those that were found.
    pub found: Vec<Session>,
    /// Servers that could not be asked, and why. One that does not run has none.
    pub unasked: Vec<String>,
}

/// Whoever has servers use what is installed, and looks whether they do.
pub trait Servers {
    /// The installation has another live generation: has the servers that use it take it up.
    ///
    /// # Errors
    /// A server was asked, and does not serve it; the text says which and why.
    fn take_up(&mut self, installation: &Installation) -> Result<TakenUp, String>;

    /// The same where there is no other way left: one that does not keeps none of the others from being told.
    ///
    /// # Errors
    /// Some do not serve it; the text says which and why.
    fn take_up_each(&mut self, installation: &Installation) -> Result<TakenUp, String> {
        self.take_up(installation)
    }

    /// Looks whether the servers that use the installation serve its live generation, and changes
    /// nothing.
    ///
    /// # Errors
    /// One serves something else, or does not answer; the text says which and why.
    fn look(&mut self, installation: &Installation) -> Result<TakenUp, String>;

    /// Comes to the servers that use the installation with a client's certificate and chain and its key, both PEM, which
    /// they should refuse.
    fn try_revoked(&mut self, installation: &Installation, certificate: &[u8], key: &[u8])
    -> Tried;

    /// The sessions with client certificates on the servers that use the installation with this path.
    fn sessions(&mut self, installation: &Path) -> Sessions;

    /// Waits until whoever was on the way into the servers that use the installation is in, or has gone: a connection
    /// that had begun before a reload is judged by what was loaded before. Returns where that takes too long.
    fn let_arrive(&mut self, _installation: &Path) -> Vec<String> {
        Vec::new()
    }

    /// Ends sessions, and returns when they have ended. One that is gone already is no error.
    ///
    /// # Errors
    /// One could not be ended; the text says which and why.
    fn end(&mut self, sessions: &[Session]) -> Result<(), String>;
}

/// Leaves the servers as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoServers;

impl Servers for NoServers {
    fn take_up(&mut self, _installation: &Installation) -> Result<TakenUp, String> {
        Ok(TakenUp::nobody("no server was asked"))
    }

    fn look(&mut self, installation: &Installation) -> Result<TakenUp, String> {
        self.take_up(installation)
    }

    fn try_revoked(&mut self, _: &Installation, _: &[u8], _: &[u8]) -> Tried {
        Tried::default()
    }

    fn sessions(&mut self, _installation: &Path) -> Sessions {
        Sessions {
            found: Vec::new(),
            unasked: vec!["no server was asked".to_owned()],
        }
    }

    fn end(&mut self, _sessions: &[Session]) -> Result<(), String> {
        Ok(())
    }
}

/// Turns `current` to where it leads, after a reload that was refused, or of which nothing is known: to PostgreSQL that was
/// one (`pg_conf_load_time`), and by a link that is younger whoever looks next knows that there is something to be taken up.
///
/// # Errors
/// The next rotation may take it for loaded.
pub(crate) fn leave_to_be_taken_up(installation: &Installation) -> Result<(), InstallationError> {
    match installation.current()? {
        Some(current) => installation.point_to(current),
        None => Ok(()),
    }
}

/// The same where `why` a server refused is to be told.
pub(crate) fn stays_to_be_taken_up(installation: &Installation, why: String) -> String {
    match leave_to_be_taken_up(installation) {
        Ok(()) => why,
        Err(error) => format!("{why}; and the next rotation may take it for loaded: {error}"),
    }
}

/// Makes the generation that was live before live again, and says how it stands then.
pub(crate) fn put_back(
    installation: &Installation,
    (before, new): (Option<u32>, u32),
    servers: &mut dyn Servers,
) -> String {
    let Some(before) = before else {
        return match installation.withdraw(new) {
            Ok(()) => "there was none before, and it was taken out again".to_owned(),
            Err(error) => format!("there was none before, and it could not be taken out: {error}"),
        };
    };
    if let Err(error) = installation.point_to(before) {
        return format!("and g{before:04} could not be put back: {error}");
    }
    match servers.take_up_each(installation) {
        Ok(taken_up) if taken_up.serving().next().is_none() => {
            format!("g{before:04} was put back; {}", taken_up.unasked.join(", "))
        }
        Ok(_) => format!("g{before:04} was put back, and is served"),
        Err(why) => {
            let why = stays_to_be_taken_up(installation, why);
            format!("g{before:04} was put back, which is not proven either: {why}")
        }
    }
}
