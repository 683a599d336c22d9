//! Who is connected with a client certificate, and whether a revoked one still gets in.

use std::time::{Duration, Instant};

use pgpki_authority::{Session, Sessions};
use pgpki_core::serial::Serial;
use pgpki_postgres::cluster::Cluster;
use pgpki_postgres::postmaster::Postmaster;
use pgpki_postgres::probe::{Cause, ClientCredential, Login, Probe};
use pgpki_postgres::reload;
use pgpki_postgres::sessions::{ClientSession, client_sessions, end_sessions};

/// How long a server may take to refuse a certificate.
const PATIENCE: Duration = Duration::from_secs(5);

/// Comes to each running cluster with a client's certificate and key, PEM; returns those that refused it.
///
/// A server that does not answer is not said to have refused: it stays out of the list.
pub(super) fn refuse(
    clusters: &[Cluster],
    certificate: &[u8],
    key: &[u8],
) -> Result<Vec<String>, String> {
    let mut refused = Vec::new();
    let Ok(credential) = ClientCredential::from_pem(certificate, key) else {
        return Ok(refused);
    };
    for cluster in clusters {
        let name = cluster.name();
        let Ok(Some(postmaster)) = cluster.postmaster() else {
            continue;
        };
        let Ok(endpoint) = reload::endpoint(&postmaster) else {
            continue;
        };
        let login = Login::default();
        let probe = Probe::new(&endpoint).client(&credential, &login);
        match probe.run(Instant::now() + PATIENCE) {
            Ok(served) if served.client_certificate.is_some() => {
                return Err(format!("{name} still accepts a revoked certificate"));
            }
            Err(error) if matches!(error.cause, Cause::Alert(_)) => refused.push(name),
            _ => {}
        }
    }
    Ok(refused)
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
                Some(postmaster) => client_sessions(&postmaster).map_err(|error| error.to_string()),
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
