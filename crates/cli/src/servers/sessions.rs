//! Who is connected with a client certificate, and whether a revoked one still gets in.

use std::path::Path;
use std::time::Duration;

use pgpki_authority::{Doubt, Session, Sessions, Tried};
use pgpki_core::serial::Serial;
use pgpki_postgres::cluster::{Cluster, Given};
use pgpki_postgres::postmaster::Postmaster;
use pgpki_postgres::probe::ClientCredential;
use pgpki_postgres::refusal::refuses;
use pgpki_postgres::reload;
use pgpki_postgres::sessions::{ClientSession, client_sessions, end_sessions};
use pgpki_postgres::sql::SqlError;

/// How long a server may take to load its files that cannot be asked whether it has: some milliseconds, unless the machine
/// is busy.
const RELOADING: Duration = Duration::from_secs(2);

/// Comes to each running cluster with a client's certificate that was revoked.
pub(super) fn try_revoked(clusters: &[Cluster], revoked: &ClientCredential) -> Tried {
    let mut tried = Tried::default();
    for cluster in clusters {
        let Ok(Some(postmaster)) = cluster.postmaster() else {
            continue;
        };
        let Ok(endpoint) = reload::endpoint(&postmaster) else {
            continue;
        };
        let server = format!("{} at {endpoint}", cluster.name());
        match refuses(&endpoint, revoked, RELOADING) {
            Some(true) => tried.refused.push(server),
            Some(false) => tried.accepted.push(server),
            None => {}
        }
    }
    tried
}

/// Why it is not known whether a server that serves what is installed refuses what the CRLs there list.
pub(super) fn unsure(
    cluster: &Cluster,
    is_whole: bool,
    installation: &Path,
) -> Option<(Doubt, String)> {
    let file = cluster.given("ssl_crl_file");
    let live = installation.join("current/root.crl").canonicalize();
    let leads_there = |given: &Given| {
        let file = cluster.resolve(given.path()).canonicalize();
        matches!((file, &live), (Ok(file), Ok(live)) if file == *live)
    };
    if !file.as_ref().is_some_and(leads_there) {
        let set = file.as_ref().map(|given| given.text().into_owned());
        let in_the_way = file.and_then(|given| cluster.in_the_way("ssl_crl_file", &given));
        let first =
            in_the_way.map_or_else(String::new, |it| format!(", but not before this: {it}"));
        let why = format!(
            "its ssl_crl_file is '{}', so that it never sees this CRL; pgpki configure puts that right{first}",
            set.unwrap_or_default()
        );
        return Some((Doubt::Elsewhere, why));
    }
    (!is_whole).then(|| {
        let why = "it was told, and its log does not say whether it has loaded the new CRLs; restart it to be sure";
        (Doubt::Unread, why.to_owned())
    })
}

/// Waits until whoever was on the way in is in, or has gone.
pub(super) fn let_arrive(clusters: &[Cluster]) -> Vec<String> {
    let mut problems = Vec::new();
    for cluster in clusters {
        let Ok(Some(postmaster)) = cluster.postmaster() else {
            continue;
        };
        match pgpki_postgres::sessions::let_arrive(&postmaster) {
            Ok(0) => {}
            Ok(left) => problems.push(format!(
                "{}: {left} connections that had begun before the reload are still being made; run this again to end what comes of them",
                cluster.name()
            )),
            Err(error) => problems.push(format!("{}: {}", cluster.name(), unasked(&error))),
        }
    }
    problems
}

/// The sessions with client certificates on these clusters; one that does not run has none.
pub(super) fn with_certificates(clusters: &[Cluster]) -> Sessions {
    let mut sessions = Sessions::default();
    for cluster in clusters {
        let server = cluster.name();
        let asked = cluster
            .postmaster()
            .map_err(|error| error.to_string())
            .and_then(|postmaster| match postmaster {
                Some(postmaster) => client_sessions(&postmaster).map_err(|error| unasked(&error)),
                None => Ok(Vec::new()),
            });
        match asked {
            Ok(found) => {
                let found = found.into_iter();
                sessions.found.extend(found.map(|found| Session {
                    data_directory: cluster.data_directory.clone(),
                    server: server.clone(),
                    pid: found.pid,
                    role: found.role,
                    serial: Serial::from_decimal(&found.serial),
                    decimal: found.serial,
                    issuer: found.issuer,
                }));
            }
            Err(why) => sessions.unasked.push(format!("{server}: {why}")),
        }
    }
    sessions
}

/// Why a server was not asked about its sessions, in the same words whatever it was to be asked: they are told once.
fn unasked(error: &SqlError) -> String {
    match error.hint() {
        Some(hint) => format!("its sessions are not known: {error}. {hint}"),
        None => format!("its sessions are not known: {error}"),
    }
}

/// Ends sessions, cluster by cluster.
pub(super) fn end(sessions: &[Session]) -> Result<(), String> {
    for of_cluster in sessions.chunk_by(|a, b| a.data_directory == b.data_directory) {
        let Some(first) = of_cluster.first() else {
            continue;
        };
        let server = &first.server;
        let failed = |error: &dyn std::fmt::Display| format!("{server}: {error}");
        let postmaster = Postmaster::of(&first.data_directory).map_err(|error| failed(&error))?;
        let Some(postmaster) = postmaster else {
            continue;
        };
        let meant: Vec<ClientSession> = of_cluster.iter().map(as_seen).collect();
        let left = end_sessions(&postmaster, &meant).map_err(|error| failed(&error))?;
        if let Some(left) = left.first() {
            let ClientSession { role, pid, .. } = left;
            return Err(format!(
                "{server}: the session of {role} (process {pid}) does not end"
            ));
        }
    }
    Ok(())
}

fn as_seen(session: &Session) -> ClientSession {
    ClientSession {
        pid: session.pid,
        role: session.role.clone(),
        serial: session.decimal.clone(),
        issuer: session.issuer.clone(),
    }
}
