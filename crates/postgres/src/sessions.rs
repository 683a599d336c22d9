//! Sessions that came in with a client certificate, as `pg_stat_ssl` has them (PostgreSQL's documentation, "The
//! Cumulative Statistics System"). Revoking a certificate does not end them.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::postmaster::Postmaster;
use crate::sql::{Row, Session, Socket, SqlCause, SqlError};

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
    may_see(&mut session, &socket)?;
    let rows = session.query(
        "SELECT pid, coalesce(usename, ''), client_serial, coalesce(issuer_dn, '')
         FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
         WHERE client_serial IS NOT NULL ORDER BY pid",
    )?;
    Ok(rows.into_iter().filter_map(client_session).collect())
}

/// Of others' sessions `pg_stat_ssl` has only nulls for a role that is neither a superuser nor a member of
/// `pg_read_all_stats`.
fn may_see(session: &mut Session, socket: &Socket) -> Result<(), SqlError> {
    let rows = session
        .query("SELECT current_user, pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')")?;
    match rows.first().map(Vec::as_slice) {
        Some([Some(role), Some(may)]) if may != "t" => Err(SqlError {
            socket: socket.path(),
            cause: SqlCause::MayNotSee { role: role.clone() },
        }),
        _ => Ok(()),
    }
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

/// The longest wait for connections that are being made, whatever `authentication_timeout` says.
const ARRIVING: Duration = Duration::from_secs(61);

/// Waits until every connection over TCP that was being made when this was called has become a session or ended, and
/// returns how many have not.
///
/// A server's process has the TLS settings of the moment at which it was forked, and a client may take as long as
/// `authentication_timeout` over its handshake and login ("Connections and Authentication"). So a certificate that was
/// revoked meanwhile can still come in after the reload, through a connection that was there before it.
///
/// # Errors
/// The server cannot be asked.
pub fn let_arrive(postmaster: &Postmaster) -> Result<usize, SqlError> {
    let Some(socket) = postmaster.socket() else {
        return Ok(0);
    };
    let deadline = Instant::now() + ARRIVING;
    let mut waiting = processes(postmaster);
    let mut session = Session::open(&socket, deadline + PATIENCE)?;
    loop {
        // Version 18 lists them before they are let in.
        let rows = session
            .query("SELECT pid FROM pg_stat_activity WHERE state IS DISTINCT FROM 'starting'")?;
        let pids = rows.into_iter().flatten().flatten();
        let sessions: BTreeSet<i32> = pids.filter_map(|pid| pid.parse().ok()).collect();
        let there = processes(postmaster);
        waiting.retain(|process| there.contains(process) && !sessions.contains(&process.0));
        if waiting.is_empty() || Instant::now() + PAUSE >= deadline {
            return Ok(waiting.len());
        }
        thread::sleep(PAUSE);
    }
}

/// The server's processes that may belong to connections over TCP: each by its number, and when it began.
fn processes(postmaster: &Postmaster) -> BTreeSet<(i32, u64)> {
    let own = fs::read(format!("/proc/{}/cmdline", postmaster.pid)).unwrap_or_default();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let processes = pids.filter_map(|pid| {
        let (parent, began) = parent_and_start(pid)?;
        let title = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let is_connection = title == own || names_a_port(&title);
        (parent == postmaster.pid && is_connection).then_some((pid, began))
    });
    processes.collect()
}

/// The fourth and the twenty-second field of `/proc/PID/stat`, proc(5); the second may contain anything.
fn parent_and_start(pid: i32) -> Option<(i32, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    Some((parent, fields.nth(17)?.parse().ok()?))
}

/// Whether a process's title is that of a connection: `postgres: alice postgres 127.0.0.1(40000) authentication`. One
/// that has not told its role yet has the postmaster's own.
fn names_a_port(title: &[u8]) -> bool {
    let title = String::from_utf8_lossy(title);
    title.split('(').skip(1).any(|rest| {
        let port = rest.split_once(')').map_or("", |(port, _)| port);
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_of_connections() {
        for (title, expected) in [
            (
                "postgres: alice postgres 127.0.0.1(40000) authentication",
                true,
            ),
            (
                "postgres: 15/main: walsender repl ::1(40000) streaming",
                true,
            ),
            ("postgres: alice postgres [local] idle", false),
            ("postgres: logger ", false),
            ("postgres: stats collector ", false),
            ("postgres: a() b (x) c", false),
        ] {
            assert_eq!(names_a_port(title.as_bytes()), expected, "{title}");
        }
    }

    #[test]
    fn a_process_has_a_parent() {
        let own = std::process::id().cast_signed();
        let (parent, began) = parent_and_start(own).unwrap_or_default();
        assert_eq!(parent, nix::unistd::Pid::parent().as_raw());
        assert!(began > 0);
    }
}
