//! The servers of this machine that use an installation, and what stands beside them: told to
//! reload, and asked what they serve.

mod beside;
mod sessions;

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use pgpki_authority::settings::Reload;
use pgpki_authority::{Authority, Doubt, Servers, Session, Sessions, TakenUp, Tried, Unsure};
use pgpki_core::bundle::Bundle;
use pgpki_core::document::Document;
use pgpki_core::due::Within;
use pgpki_core::finding::Severity;
use pgpki_fs::Installation;
use pgpki_postgres::cluster::Cluster;
use pgpki_postgres::postmaster::Postmaster;
use pgpki_postgres::probe::ClientCredential;
use pgpki_postgres::reload::{self, Proof};
use pgpki_postgres::ways_in::{WayIn, ways_in};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::exit::Failure;

/// More than any chain takes, in bytes.
const MAX_CHAIN: u64 = 1 << 20;

/// More than any file of an installation takes, in bytes: the CRLs are the largest.
const MAX_FILE: u64 = 64 << 20;

const KEY: &str = "server.key";

/// What the printed settings name.
const FILES: [&str; 4] = ["server.crt", KEY, "root.crt", "root.crl"];

/// How long a server is given to show what it serves when nothing has changed.
const A_LOOK: Duration = Duration::from_secs(5);

/// The servers of this machine, or nobody for whoever reloads them himself.
pub(crate) struct LocalServers {
    reload: bool,
    now: OffsetDateTime,
    /// What stands beside them, as the settings have it.
    beside: Vec<Reload>,
    /// The data directories of clusters that were seen before, wherever they are.
    remembered: Vec<String>,
    /// The clusters of this machine, once they have been looked for.
    clusters: Option<Vec<Cluster>>,
    users: BTreeSet<PathBuf>,
}

impl LocalServers {
    /// With `reload` the servers are told and asked; without, they are left alone.
    pub(crate) fn new(
        reload: bool,
        authority: &Authority,
        now: OffsetDateTime,
    ) -> Result<Self, Failure> {
        Ok(Self {
            reload,
            now,
            beside: authority.settings().reload.clone(),
            remembered: authority.ledger().clusters()?,
            clusters: None,
            users: BTreeSet::new(),
        })
    }

    /// The data directories of the clusters that were found to use an installation.
    pub(crate) fn users(&self) -> impl Iterator<Item = &Path> {
        self.users.iter().map(PathBuf::as_path)
    }

    /// The clusters whose configuration names the installation's certificate.
    fn users_of(&mut self, installation: &Path) -> Vec<Cluster> {
        let remembered = &self.remembered;
        let clusters = self
            .clusters
            .get_or_insert_with(|| every_cluster(remembered));
        let users = clusters.iter().filter(|cluster| cluster.uses(installation));
        let users: Vec<Cluster> = users.cloned().collect();
        let directories = users.iter().map(|cluster| cluster.data_directory.clone());
        self.users.extend(directories);
        users
    }

    /// By which rules these roles come in without a certificate of their own, on every cluster that uses one of the
    /// installations, told to reload or not: the cluster's name and the rule, or why that is not known.
    pub(crate) fn ways_in<'a>(
        &mut self,
        installations: impl Iterator<Item = &'a Path>,
        roles: &[&str],
    ) -> Vec<Result<(String, WayIn), String>> {
        let mut clusters: Vec<Cluster> = Vec::new();
        for installation in installations {
            clusters.extend(self.users_of(installation));
        }
        clusters.sort_by(|a, b| a.data_directory.cmp(&b.data_directory));
        clusters.dedup_by(|a, b| a.data_directory == b.data_directory);
        let mut ways = Vec::new();
        for cluster in clusters {
            let name = cluster.name();
            match ways_in(&cluster, roles) {
                Ok(found) => ways.extend(found.into_iter().map(|way| Ok((name.clone(), way)))),
                Err(error) => ways.push(Err(format!("{name}: {error}"))),
            }
        }
        ways
    }

    fn beside(&self, installation: &Path) -> impl Iterator<Item = &Reload> {
        self.beside.iter().filter(move |entry| {
            let named = entry.installation.as_deref();
            named
                .is_none_or(|path| pgpki_fs::canonical(path).is_ok_and(|path| path == installation))
        })
    }

    /// With `is_last` every one of them is asked, whatever became of those before it.
    fn each(
        &mut self,
        installation: &Installation,
        is_last: bool,
        ask_cluster: impl Fn(&Cluster, &Postmaster, &[Vec<u8>]) -> Result<Proof, reload::NotProven>,
        ask_beside: impl Fn(&Reload, &[Vec<u8>]) -> Result<Option<String>, String>,
    ) -> Result<TakenUp, String> {
        if !self.reload {
            return Ok(TakenUp::nobody("not reloaded, as asked"));
        }
        let chain = installed_chain(installation)?;
        let mut taken_up = TakenUp::default();
        let mut failures = Vec::new();
        for cluster in self.users_of(installation.path()) {
            let asked = self.one(installation, &cluster, &mut taken_up, |postmaster| {
                ask_cluster(&cluster, postmaster, &chain)
            });
            let failed = asked.map_err(|error| format!("{}: {error}", cluster.name()));
            failures.extend(failed.err());
            if !is_last && !failures.is_empty() {
                return Err(failures.concat());
            }
        }
        let TakenUp {
            proven,
            unsure,
            unasked,
            ..
        } = &mut taken_up;
        for entry in self.beside(installation.path()) {
            match ask_beside(entry, &chain) {
                Ok(Some(server)) => unsure.push(Unsure {
                    server,
                    why: "it was told, which does not say whether it checks CRLs".to_owned(),
                    doubt: Doubt::Always,
                }),
                Ok(None) => unasked.push(format!("{} was told", beside::name(&entry.tell))),
                Err(error) if is_last => failures.push(error),
                Err(error) => return Err(error),
            }
        }
        if !failures.is_empty() {
            return Err(failures.join("; "));
        }
        if proven.is_empty() && unsure.is_empty() && unasked.is_empty() {
            let path = installation.path().display();
            unasked.push(format!("no PostgreSQL on this machine uses {path}"));
        }
        Ok(taken_up)
    }

    /// What one cluster that uses the installation makes of it goes into `taken_up`.
    fn one(
        &self,
        installation: &Installation,
        cluster: &Cluster,
        taken_up: &mut TakenUp,
        ask: impl FnOnce(&Postmaster) -> Result<Proof, reload::NotProven>,
    ) -> Result<(), String> {
        let name = cluster.name();
        let running = cluster.postmaster().map_err(|error| error.to_string())?;
        let Some(postmaster) = running else {
            check_files(installation, self.now)?;
            taken_up.unasked.push(format!("{name} is not running"));
            return Ok(());
        };
        let proof = match ask(&postmaster) {
            Ok(proof) => proof,
            Err(error) if error.is_silence() => {
                taken_up.unasked.push(format!("{name}: {error}"));
                return Ok(());
            }
            Err(error) => return Err(error.to_string()),
        };
        if !proof.kept.is_empty() {
            let logged = proof.kept.join("; ");
            let kept = format!("{name} has not loaded everything; it logged: {logged}");
            taken_up.kept.push(kept);
        }
        let server = format!("{name} at {}", proof.endpoint);
        let path = installation.path();
        let is_since = |changed| reload::started_since(&postmaster, changed);
        let is_whole = proof.is_whole || published_at(path).is_some_and(is_since);
        match sessions::unsure(cluster, is_whole, path) {
            None => taken_up.proven.push(server),
            Some((doubt, why)) => taken_up.unsure.push(Unsure { server, why, doubt }),
        }
        Ok(())
    }

    /// Every server is told and asked.
    fn tell(&mut self, installation: &Installation, is_last: bool) -> Result<TakenUp, String> {
        self.each(
            installation,
            is_last,
            |cluster, postmaster, chain| {
                reload::reload_and_prove(postmaster, cluster.major, chain, reload::PATIENCE)
            },
            |entry, chain| {
                beside::tell(&entry.tell)?;
                beside::ask(entry, chain, reload::PATIENCE)
            },
        )
    }
}

impl Servers for LocalServers {
    fn take_up(&mut self, installation: &Installation) -> Result<TakenUp, String> {
        self.tell(installation, false)
    }

    fn take_up_each(&mut self, installation: &Installation) -> Result<TakenUp, String> {
        self.tell(installation, true)
    }

    fn look(&mut self, installation: &Installation) -> Result<TakenUp, String> {
        let changed = published_at(installation.path());
        self.each(
            installation,
            false,
            |_, postmaster, chain| {
                let endpoint = reload::endpoint(postmaster)?;
                // A chain that is served does not tell whether the CRLs beside it were loaded.
                if let Some(changed) = changed {
                    reload::loaded_since(postmaster, changed)?;
                }
                reload::ask_once(&endpoint, chain, Instant::now() + A_LOOK)?;
                Ok(Proof {
                    endpoint,
                    direct: false,
                    kept: Vec::new(),
                    is_whole: true,
                })
            },
            |entry, chain| beside::ask(entry, chain, Duration::ZERO),
        )
    }

    fn try_revoked(
        &mut self,
        installation: &Installation,
        certificate: &[u8],
        key: &[u8],
    ) -> Tried {
        let credential = ClientCredential::from_pem(certificate, key);
        let (true, Ok(credential)) = (self.reload, credential) else {
            return Tried::default();
        };
        let mut tried = sessions::try_revoked(&self.users_of(installation.path()), &credential);
        for entry in self.beside(installation.path()) {
            match beside::refuses(entry, &credential) {
                Some((server, true)) => tried.refused.push(server),
                Some((server, false)) => tried.accepted.push(server),
                None => {}
            }
        }
        tried
    }

    fn sessions(&mut self, installation: &Path) -> Sessions {
        sessions::with_certificates(&self.users_of(installation))
    }

    fn let_arrive(&mut self, installation: &Path) -> Vec<String> {
        sessions::let_arrive(&self.users_of(installation))
    }

    fn end(&mut self, sessions: &[Session]) -> Result<(), String> {
        sessions::end(sessions)
    }
}

/// When the live generation got its name.
fn published_at(installation: &Path) -> Option<SystemTime> {
    let link = installation.join("current").symlink_metadata().ok()?;
    let seconds = Duration::from_secs(link.ctime().try_into().ok()?);
    let nanoseconds = Duration::from_nanos(link.ctime_nsec().try_into().ok()?);
    Some(SystemTime::UNIX_EPOCH + seconds + nanoseconds)
}

/// The clusters that can be found, and those that were remembered and are still there.
fn every_cluster(remembered: &[String]) -> Vec<Cluster> {
    let mut clusters = Cluster::all();
    for directory in remembered {
        let is_there = |cluster: &Cluster| cluster.data_directory == Path::new(directory);
        if !clusters.iter().any(is_there) {
            clusters.extend(Cluster::at(Path::new(directory)));
        }
    }
    clusters
}

/// Checks the live generation as a server would that cannot be asked because it does not run: its
/// files fit together, and it would not refuse to start because of them.
fn check_files(installation: &Installation, now: OffsetDateTime) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let current = installation.current().map_err(|error| said(&error))?;
    let mut members = Vec::new();
    for name in FILES {
        let read = match (current, name == KEY) {
            (None, _) => Ok(None),
            (Some(current), true) => installation.read_secret(current, name, MAX_FILE),
            (Some(current), false) => installation.read(current, name, MAX_FILE),
        };
        let bytes = read
            .map_err(|error| said(&error))?
            .map(Zeroizing::new)
            .ok_or_else(|| format!("{} is missing", installation.path().join(name).display()))?;
        let document = Document::read(&bytes).map_err(|error| format!("{name}: {error}"))?;
        members.push((name.to_owned(), Some(document)));
    }
    let findings = Bundle::new(members).findings(now, Within::Third);
    let wrong = findings
        .into_iter()
        .find(|found| found.finding.severity == Severity::Error);
    match wrong {
        Some(found) => Err(found.finding.message),
        None => Ok(()),
    }
}

/// The chain of the live generation, DER, the leaf first.
pub(crate) fn installed_chain(installation: &Installation) -> Result<Vec<Vec<u8>>, String> {
    let current = installation.current().map_err(|error| error.to_string())?;
    let file = current.map(|current| installation.read(current, "server.crt", MAX_CHAIN));
    match file.transpose().map_err(|error| error.to_string())? {
        Some(Some(pem)) => Ok(pgpki_core::certificates(&pem)),
        _ => Err(format!(
            "{} has no server.crt",
            installation.path().display()
        )),
    }
}
