//! By which rules of `pg_hba.conf` roles come into a cluster without a certificate of their own: revoking one does not close
//! those.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pgpki_core::document::printable;
use pgpki_fs::{ReadError, read_bounded};

use crate::cluster::{Cluster, Disk, MAX_CONFIG};
use crate::hba::included;
use crate::hba::problem::Problem;
use crate::hba::rule::{Method, Rule};
use crate::hba::uncertified::{Role, uncertified};
use crate::roles::{Members, Password, RoleLogin, is_member, logins, members};
use crate::sql::Session;

/// How long a server may take to say what it knows of its roles.
const PATIENCE: Duration = Duration::from_secs(5);

/// A role, and the rule that lets it in without a certificate of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayIn {
    /// The role, to the letter; escape it before it goes to a terminal.
    pub role: String,
    /// The file that the rule stands in.
    pub file: PathBuf,
    /// Its line there, from 1.
    pub line: u32,
    /// The rule in short, such as `host … scram-sha-256`.
    pub rule: String,
    /// Whether it does; else it may, as far as can be told.
    pub is_certain: bool,
}

/// Why it is not known who comes in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaysInError {
    /// `pg_hba.conf` cannot be read.
    #[error("{0}")]
    Read(#[from] ReadError),
    /// A server does not load the file, and goes on with rules that are nowhere to be read.
    #[error("{}, line {line}: {problem}: the server keeps the rules that it had, and whom those let in is not known", printable(&file.to_string_lossy()))]
    Broken {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: u32,
        /// What a server finds wrong with it.
        problem: Problem,
    },
}

/// The first way in of each of these roles that has one, by the rules that are on disk.
///
/// # Errors
/// `pg_hba.conf` cannot be read, or no server loads it.
pub fn ways_in(cluster: &Cluster, roles: &[&str]) -> Result<Vec<WayIn>, WaysInError> {
    let text = read_bounded(&cluster.hba_file, MAX_CONFIG)?;
    let entries = included::entries(&cluster.hba_file, &text, cluster.major, &mut Disk);
    let broken = entries
        .iter()
        .find_map(|it| Some((it, it.entry.problem(cluster.major)?)));
    if let Some((it, problem)) = broken {
        return Err(WaysInError::Broken {
            file: it.file.clone(),
            line: it.entry.first_line,
            problem,
        });
    }
    let placed: Vec<_> = entries
        .iter()
        .filter_map(|it| Some((&it.file, it.entry.rule()?)))
        .collect();
    let rules: Vec<&Rule> = placed.iter().map(|(_, rule)| *rule).collect();
    let known = Known::ask(cluster);
    let way_in = |role: &&str| {
        let known = &known;
        let opening = uncertified(&rules, &Asked { name: role, known })?;
        let (file, rule) = placed.get(opening.rule)?;
        Some(WayIn {
            role: (*role).to_owned(),
            file: (*file).clone(),
            line: rule.first_line,
            rule: rule.in_short(),
            is_certain: opening.is_certain,
        })
    };
    Ok(roles.iter().filter_map(way_in).collect())
}

/// What the server has said of its roles.
#[derive(Default)]
struct Known {
    logins: Option<HashMap<String, RoleLogin>>,
    members: Option<Members>,
}

impl Known {
    fn ask(cluster: &Cluster) -> Self {
        let postmaster = cluster.postmaster().ok().flatten();
        let socket = postmaster.and_then(|it| it.socket());
        let session = socket.and_then(|it| Session::open(&it, Instant::now() + PATIENCE).ok());
        session.map_or_else(Self::default, |mut session| Self {
            logins: logins(&mut session).ok(),
            members: members(&mut session).ok(),
        })
    }
}

/// A role that the server was asked about.
struct Asked<'a> {
    name: &'a str,
    known: &'a Known,
}

impl Role for Asked<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn is_member(&self, group: &[u8]) -> Option<bool> {
        is_member(self.known.members.as_ref(), self.name, group)
    }

    fn may_pass(&self, rule: &Rule) -> Option<bool> {
        let Some(login) = self.known.logins.as_ref()?.get(self.name) else {
            return Some(false);
        };
        Some(match rule.method {
            Method::ScramSha256 => login.password == Password::Scram,
            Method::Md5 | Method::Password => login.password != Password::None,
            // Others' passwords are kept elsewhere.
            _ => true,
        })
    }

    fn may_replicate(&self) -> Option<bool> {
        let login = self.known.logins.as_ref()?.get(self.name);
        Some(login.is_some_and(|login| login.may_replicate))
    }
}
