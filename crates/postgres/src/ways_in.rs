//! By which rules of `pg_hba.conf` roles come into a cluster without a certificate: revoking one does not close those.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pgpki_fs::{ReadError, read_bounded};

use crate::cluster::{Cluster, Disk, MAX_CONFIG};
use crate::hba::included;
use crate::hba::rule::{Method, Rule};
use crate::hba::uncertified::uncertified;
use crate::roles::{Members, is_member, logins, members};
use crate::sql::Session;

/// How long a server may take to say what it knows of its roles.
const PATIENCE: Duration = Duration::from_secs(5);

/// A role, and the rule that lets it in without a certificate.
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
}

/// The first way in of each of these roles that has one, by the rules that are on disk. What the server does not say of a
/// role is taken to be the worse: that it may log in, and has a password.
///
/// # Errors
/// `pg_hba.conf` cannot be read.
pub fn ways_in(cluster: &Cluster, roles: &[&str]) -> Result<Vec<WayIn>, ReadError> {
    let text = read_bounded(&cluster.hba_file, MAX_CONFIG)?;
    let entries = included::entries(&cluster.hba_file, &text, cluster.major, &mut Disk);
    let placed: Vec<_> = entries
        .iter()
        .filter_map(|it| Some((&it.file, it.entry.rule()?)))
        .collect();
    let rules: Vec<&Rule> = placed.iter().map(|(_, rule)| *rule).collect();
    let known = Known::ask(cluster);
    let way_in = |role: &&str| {
        let is_member = |role: &str, group: &[u8]| is_member(known.members.as_ref(), role, group);
        let rule = uncertified(&rules, role, is_member, |rule| known.may_pass(role, rule))?;
        let (file, rule) = placed.get(rule)?;
        Some(WayIn {
            role: (*role).to_owned(),
            file: (*file).clone(),
            line: rule.first_line,
            rule: rule.in_short(),
        })
    };
    Ok(roles.iter().filter_map(way_in).collect())
}

/// What the server has said of its roles.
#[derive(Default)]
struct Known {
    logins: Option<HashMap<String, bool>>,
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

    fn may_pass(&self, role: &str, rule: &Rule) -> bool {
        let Some(logins) = &self.logins else {
            return true;
        };
        // The server's own passwords; others may be kept elsewhere.
        let is_own = matches!(
            rule.method,
            Method::ScramSha256 | Method::Md5 | Method::Password
        );
        logins
            .get(role)
            .is_some_and(|has_password| *has_password || !is_own)
    }
}
