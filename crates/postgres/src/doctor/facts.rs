//! What was seen of a cluster, before anybody judges it.

use crate::conf::is_true;
use std::collections::BTreeMap;
use std::path::PathBuf;

use pgpki_core::document::Document;
use pgpki_core::key_file::FileKind;
use pgpki_core::name::Host;
use pgpki_core::validity::Validity;
use time::OffsetDateTime;

use crate::cluster::{Cluster, Given};
use crate::conf::effective::Effective;
use crate::hba::included;
use crate::postmaster::Postmaster;
use crate::roles::Members;

/// Everything that doctor looks at. What could not be looked at says why.
#[derive(Debug)]
pub struct Facts {
    /// Which cluster.
    pub cluster: Cluster,
    /// Whether it runs.
    pub state: State,
    /// The groups of the user that it runs as.
    pub groups: Vec<u32>,
    /// Its configuration files.
    pub configuration: Configuration,
    /// The files that its TLS settings name.
    pub files: TlsFiles,
    /// Its `pg_hba.conf`.
    pub rules: Result<Rules, Unseen>,
    /// What it answers to questions; nothing where it does not run.
    pub answers: Option<Result<Answers, Unseen>>,
    /// What it serves; nothing where it does not run or need not be asked.
    pub served: Option<Result<Vec<Vec<u8>>, NotServed>>,
    /// What it logged since it last read its files; nothing where it does not run.
    pub log: Option<Result<Vec<String>, Unseen>>,
    /// What the authority has issued.
    pub issued: Result<Issued, Unseen>,
    /// Whether it was seen to refuse certificates that the authority's CRLs list; nothing where it was not tried, or
    /// refuses them for another reason.
    pub refuses_revoked: Option<bool>,
}

/// Why something was not looked at, as a clause, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// The reason.
    pub why: String,
    /// What to do: a sentence.
    pub hint: String,
}

/// Whether a server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It does not.
    Down,
    /// It does.
    Up(Postmaster),
    /// It cannot be told.
    Unknown(Unseen),
}

/// Why nothing was seen to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotServed {
    /// It could not be asked.
    NotAsked(Unseen),
    /// It was asked, and there was no handshake.
    Refused(Unseen),
}

/// What the configuration files say, and what the arguments of a running server do.
#[derive(Debug)]
pub struct Configuration {
    /// Every line of every file.
    pub lines: Effective,
    /// Where each parameter that matters gets its value; none where it is the default.
    pub given: BTreeMap<&'static str, Given>,
}

/// The parameters that TLS depends on.
pub const PARAMETERS: [&str; 10] = [
    "ssl",
    "ssl_cert_file",
    "ssl_key_file",
    "ssl_ca_file",
    "ssl_crl_file",
    "ssl_crl_dir",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "listen_addresses",
    "hba_file",
];

/// The parameters with which a server opens a key that is encrypted. What the files say is all that is looked at: only a
/// superuser is shown the command, and a passphrase may stand in it.
pub const KEY_PARAMETERS: [&str; 2] = [
    "ssl_passphrase_command",
    "ssl_passphrase_command_supports_reload",
];

impl Facts {
    /// The installation that it uses, and how many of the clients' certificates that were revoked have not ended; nothing
    /// where there is none of either, and nobody counts on this server to refuse somebody.
    #[must_use]
    pub fn to_refuse(&self) -> Option<(&ServerIssued, usize)> {
        let issued = self.issued.as_ref().ok()?;
        let server = issued.server.as_ref()?;
        (issued.revoked_clients > 0).then_some((server, issued.revoked_clients))
    }
}

impl Configuration {
    /// The value that the files and arguments give a parameter, or else PostgreSQL's default (see
    /// "SSL" in its documentation's chapter "Server Configuration").
    #[must_use]
    pub fn value(&self, parameter: &str) -> String {
        let given = self.given.get(parameter);
        given.map_or_else(
            || default(parameter).to_owned(),
            |given| given.text().into(),
        )
    }

    /// Whether TLS is on.
    #[must_use]
    pub fn ssl_is_on(&self) -> bool {
        is_true(&self.value("ssl"))
    }
}

fn default(parameter: &str) -> &'static str {
    match parameter {
        "ssl" => "off",
        "ssl_cert_file" => "server.crt",
        "ssl_key_file" => "server.key",
        "ssl_min_protocol_version" => "TLSv1.2",
        "listen_addresses" => "localhost",
        _ => "",
    }
}

/// The files that the TLS settings name.
#[derive(Debug)]
pub struct TlsFiles {
    /// `ssl_cert_file`.
    pub certificate: FileSeen,
    /// `ssl_key_file`.
    pub key: FileSeen,
    /// `ssl_ca_file`, if it is set.
    pub ca: Option<FileSeen>,
    /// `ssl_crl_file`, if it is set.
    pub crl: Option<FileSeen>,
    /// The files of `ssl_crl_dir`, or why they cannot be listed; none if it is not set.
    pub crl_dir: Option<Result<Vec<FileSeen>, Unseen>>,
}

impl TlsFiles {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &FileSeen> {
        let crl_dir = self.crl_dir.iter().flatten().flatten();
        [&self.certificate, &self.key]
            .into_iter()
            .chain(&self.ca)
            .chain(&self.crl)
            .chain(crl_dir)
    }
}

/// A file that a parameter names.
#[derive(Debug)]
pub struct FileSeen {
    /// The parameter.
    pub parameter: &'static str,
    /// Where the server looks for it, absolute.
    pub path: PathBuf,
    /// What stands there, links followed.
    pub status: Result<Status, Absent>,
    /// The directories on the way to it, from the root on, links followed.
    pub way: Vec<(PathBuf, Status)>,
    /// What it holds.
    pub content: Result<Document, NotRead>,
}

/// Why it is not known what a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRead {
    /// It could not be opened or read from here.
    Closed(String),
    /// It was read, and is nothing that the server could load.
    Bad(String),
}

/// Why there is nothing at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent {
    /// There is no such file, or a link leads nowhere.
    Missing,
    /// It cannot be told.
    Unknown(String),
}

/// What `stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The kind of file.
    pub kind: FileKind,
    /// The permission bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// When it was last written.
    pub modified: OffsetDateTime,
}

/// `pg_hba.conf` with everything that it includes.
#[derive(Debug)]
pub struct Rules {
    /// The lines that say something, in the server's order.
    pub entries: Vec<included::Located>,
    /// When any of its files was last written.
    pub modified: Option<OffsetDateTime>,
    /// The lines of the block that pgpki wrote into the main file, from 1.
    pub own_block: Option<(u32, u32)>,
}

/// What a running server said. Each question may have been refused by itself.
#[derive(Debug)]
pub struct Answers {
    /// `pg_settings`, for [`PARAMETERS`].
    pub settings: Result<Vec<SettingRow>, Unseen>,
    /// The lines of `pg_file_settings` with an error.
    pub file_errors: Result<Vec<FileErrorRow>, Unseen>,
    /// The lines of `pg_hba_file_rules` that are no rule.
    pub hba_errors: Result<Vec<HbaErrorRow>, Unseen>,
    /// `pg_conf_load_time()`.
    pub loaded: Result<OffsetDateTime, Unseen>,
    /// `pg_roles`.
    pub roles: Result<Vec<RoleRow>, Unseen>,
    /// The roles with an MD5 password.
    pub md5: Result<Vec<String>, Unseen>,
    /// For each role the groups that it is a member of, directly or not.
    pub members: Result<Members, Unseen>,
}

/// A row of `pg_settings` whose value is from the files, or the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingRow {
    /// The parameter.
    pub name: String,
    /// What the server uses.
    pub value: String,
    /// What it uses where nothing is given.
    pub default: String,
    /// Whether only a restart changes it (`context`).
    pub needs_restart: bool,
}

/// A row of `pg_file_settings`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileErrorRow {
    /// The file.
    pub file: Option<PathBuf>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The parameter; none where the line cannot be read.
    pub name: Option<String>,
    /// What the server says.
    pub error: String,
    /// Whether only a restart changes the parameter.
    pub needs_restart: bool,
}

/// A row of `pg_hba_file_rules`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HbaErrorRow {
    /// The file, from version 16 on.
    pub file: Option<PathBuf>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// What the server says, which may be nothing.
    pub error: Option<String>,
}

/// A row of `pg_roles`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleRow {
    /// The name, to the letter.
    pub name: String,
    /// Whether it may log in.
    pub can_login: bool,
    /// Whether it is a superuser.
    pub is_superuser: bool,
    /// Whether it may replicate.
    pub may_replicate: bool,
    /// When its password ends, if it does.
    pub valid_until: Option<OffsetDateTime>,
}

/// What the authority knows about this cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issued {
    /// The last certificate of each role.
    pub clients: Vec<ClientIssued>,
    /// What should be installed where the server reads its certificate.
    pub server: Option<ServerIssued>,
    /// The serial numbers, 32 hexadecimal digits, of servers' certificates that were revoked, by themselves or with
    /// their CA, and have not ended.
    pub revoked_servers: Vec<String>,
    /// How many of clients' certificates were revoked and have not ended.
    pub revoked_clients: usize,
}

/// A role's last certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIssued {
    /// The role, to the letter.
    pub role: String,
    /// From when to when it counts.
    pub validity: Validity,
}

/// What the ledger says about the installation that the server reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerIssued {
    /// The installation.
    pub installation: PathBuf,
    /// The serial number in hexadecimal.
    pub serial: String,
    /// The names that it was issued for.
    pub hosts: Vec<Host>,
    /// Whether roots, chain or CRLs there are older than what the authority has.
    pub is_behind: bool,
    /// Why nothing is installed there as it is.
    pub refused: Option<Unseen>,
    /// The file with the passphrase of its key, if that is to be encrypted.
    pub passphrase_file: Option<PassphraseFile>,
}

/// The file from which the server has the passphrase of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassphraseFile {
    /// The file.
    pub path: PathBuf,
    /// What it is worth.
    pub state: PassphraseState,
    /// The installed key, opened as far as the passphrase does; nothing where either could not be read.
    pub key: Option<Document>,
}

/// What a file with a passphrase is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PassphraseState {
    /// The server, and nobody else, has a passphrase from it.
    Usable,
    /// Others have it as well.
    Open(Unseen),
    /// The server has none from it.
    Unusable(Unseen),
    /// It could not be read here.
    Unknown(Unseen),
}
