//! Sessions that came in with a client certificate, as `pg_stat_ssl` has them (PostgreSQL's documentation, "The
//! Cumulative Statistics System"). Revoking a certificate does not end them.

use std::thread;
use std::time::{Duration, Instant};

use crate::postmaster::Postmaster;
use crate::sql::{Row, Session, SqlError};

/// How long a server may take to say who is connected.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long sessions may take to end: one that is told to ends at its next interrupt check.
const ENDING: Duration = Duration::from_secs(10);

/// Between two looks whether they have ended.
const PAUSE: Duration = Duration::from_millis(50);

/// A session with a client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSession {
    /// The server's process for it.
    pub pid: i32,
    /// The role.
    pub role: String,
    /// The certificate's serial number, decimal.
    pub serial: String,
    /// The name of the CA that signed the certificate: `/O=Example/CN=…`, its first 63 octets.
    pub issuer: String,
}

/// The sessions with client certificates, replication included. A server that is not open to connections has none.
///
/// # Errors
/// The server cannot be asked.
pub fn client_sessions(postmaster: &Postmaster) -> Result<Vec<ClientSession>, SqlError> {
    let Some(socket) = postmaster.socket() else {
        return Ok(Vec::new());
    };
    let mut session = Session::open(&socket, Instant::now() + PATIENCE)?;
    let rows = session.query(
        "SELECT pid, coalesce(usename, ''), client_serial, coalesce(issuer_dn, '')
         FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
         WHERE client_serial IS NOT NULL ORDER BY pid",
    )?;
    Ok(rows.into_iter().filter_map(client_session).collect())
}

fn client_session(row: Row) -> Option<ClientSession> {
    let [pid, role, serial, issuer] = <[Option<String>; 4]>::try_from(row).ok()?;
    Some(ClientSession {
        pid: pid?.parse().ok()?,
        role: role?,
        serial: serial?,
        issuer: issuer?,
    })
}

/// Ends sessions (`pg_terminate_backend`), and returns those that have not ended in time. A process that belongs to
/// another certificate meanwhile is left alone.
///
/// # Errors
/// The server cannot be asked.
pub fn end_sessions(
    postmaster: &Postmaster,
    sessions: &[ClientSession],
) -> Result<Vec<ClientSession>, SqlError> {
    let Some(socket) = postmaster.socket() else {
        return Ok(Vec::new());
    };
    let deadline = Instant::now() + ENDING;
    let mut session = Session::open(&socket, deadline + PATIENCE)?;
    for meant in sessions {
        let ClientSession { pid, serial, .. } = meant;
        // Both are numbers.
        session.query(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_ssl
             WHERE pid = {pid} AND client_serial = {serial}"
        ))?;
    }
    loop {
        let still = client_sessions(postmaster)?;
        let left = sessions.iter().filter(|meant| still.contains(meant));
        let left: Vec<ClientSession> = left.cloned().collect();
        if left.is_empty() || Instant::now() + PAUSE >= deadline {
            return Ok(left);
        }
        thread::sleep(PAUSE);
    }
}
