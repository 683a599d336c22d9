//! A query over the local socket, as the user who owns the cluster.
//!
//! PostgreSQL's `peer` authentication asks the kernel who connected (`SO_PEERCRED`), so root can
//! be that user for the moment of connecting, and no password is needed. A server that asks for
//! one all the same gets none.

mod peer;

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use fallible_iterator::FallibleIterator as _;
use nix::unistd::Uid;
use postgres_protocol::message::backend::{DataRowBody, ErrorResponseBody, Message};
use postgres_protocol::message::frontend;

/// The database that every cluster has, and that administrators' tools connect to.
const DATABASE: &str = "postgres";

/// More than any answer to our questions takes, in bytes: a `pg_hba.conf` of 100,000 rules.
const MOST: usize = 64 << 20;

/// Where a server listens on this machine, and as whom to ask it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// The directory of the socket (`unix_socket_directories`).
    pub directory: PathBuf,
    /// The port, which is part of the socket's name.
    pub port: u16,
    /// The operating system's user that the server runs as.
    pub uid: Uid,
}

impl Socket {
    /// The socket's own path.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.join(format!(".s.PGSQL.{}", self.port))
    }
}

/// Why a query got no answer.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", socket.display())]
pub struct SqlError {
    /// The socket.
    pub socket: PathBuf,
    /// What went wrong there.
    #[source]
    pub cause: SqlCause,
}

/// What went wrong with a query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqlCause {
    /// No connection, or it broke off.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server did not answer in time.
    #[error("no answer within {}", humane(*.0))]
    TimedOut(Duration),
    /// The user that owns the cluster is not known, or cannot be taken on.
    #[error("cannot connect as the user {uid}: {reason}")]
    User {
        /// The user.
        uid: Uid,
        /// Why not.
        reason: String,
    },
    /// `pg_hba.conf` wants more than to know who is asking.
    #[error("the server asks the role {role:?} for a password on its local socket")]
    PasswordWanted {
        /// As whom we came.
        role: String,
    },
    /// A role that does not see everything would see nothing without being told so.
    #[error("the role {role:?} may not see who is connected with which certificate")]
    MayNotSee {
        /// As whom we came.
        role: String,
    },
    /// The server reported an error.
    #[error("{0}")]
    Server(ServerError),
    /// The answer is not PostgreSQL's, or too long.
    #[error("the answer is not what PostgreSQL says: {0}")]
    Protocol(String),
}

impl SqlError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match &self.cause {
            SqlCause::PasswordWanted { role } => Some(format!(
                "Let that user in without one:  local all {role} peer  at the top of pg_hba.conf, and reload"
            )),
            SqlCause::MayNotSee { role } => Some(format!(
                "GRANT pg_monitor, pg_signal_backend TO {role}, or make it a superuser again"
            )),
            SqlCause::User { .. } => Some("Run it as root, or as the cluster's own user".to_owned()),
            SqlCause::Server(error) if error.code == "28000" => Some(
                "pgpki comes as the role that is called like the cluster's own user:  local all all peer  \
                 in pg_hba.conf lets it in, if that role exists"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

fn humane(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// What the server said of a query that failed; see "Error and Notice Message Fields" in
/// PostgreSQL's documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    /// The SQLSTATE.
    pub code: String,
    /// The primary message.
    pub message: String,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)
    }
}

/// One row of an answer: each column as text, or NULL.
pub type Row = Vec<Option<String>>;

/// A connection as the cluster's own user. Whatever it is asked is over by its deadline.
#[derive(Debug)]
pub struct Session {
    stream: UnixStream,
    socket: PathBuf,
    input: BytesMut,
    /// How much has come since the last question, in bytes.
    received: usize,
    started: Instant,
    deadline: Instant,
}

impl Session {
    /// Connects. All queries together are over by `deadline`.
    ///
    /// # Errors
    /// There is no server, it does not let the user in, or it takes too long.
    pub fn open(socket: &Socket, deadline: Instant) -> Result<Self, SqlError> {
        let path = socket.path();
        let at = |cause| SqlError {
            socket: path.clone(),
            cause,
        };
        let role = peer::name_of(socket.uid).map_err(at)?;
        let started = Instant::now();
        let patience = deadline.saturating_duration_since(started);
        let stream = peer::connect(&path, socket.uid, patience).map_err(|cause| match cause {
            SqlCause::Io(error) if error.kind() == io::ErrorKind::WouldBlock => {
                at(SqlCause::TimedOut(patience))
            }
            cause => at(cause),
        })?;
        let mut session = Self {
            stream,
            socket: path.clone(),
            input: BytesMut::new(),
            received: 0,
            started,
            deadline,
        };
        session.log_in(&role).map_err(at)?;
        Ok(session)
    }

    /// Asks, and returns the rows of the answer.
    ///
    /// # Errors
    /// The server reported an error, or did not answer. Parameters are the caller's to quote; see
    /// [`literal`].
    pub fn query(&mut self, sql: &str) -> Result<Vec<Row>, SqlError> {
        self.ask(sql).map_err(|cause| SqlError {
            socket: self.socket.clone(),
            cause,
        })
    }

    fn log_in(&mut self, role: &str) -> Result<(), SqlCause> {
        let mut output = BytesMut::new();
        let parameters = [
            ("user", role),
            ("database", DATABASE),
            ("application_name", "pgpki"),
            ("client_encoding", "UTF8"),
        ];
        frontend::startup_message(parameters, &mut output)?;
        self.send(&output)?;
        loop {
            match self.receive()? {
                Message::AuthenticationOk => {}
                Message::AuthenticationCleartextPassword
                | Message::AuthenticationMd5Password(_)
                | Message::AuthenticationSasl(_)
                | Message::AuthenticationGss
                | Message::AuthenticationSspi => {
                    let role = role.to_owned();
                    return Err(SqlCause::PasswordWanted { role });
                }
                Message::ReadyForQuery(_) => return Ok(()),
                Message::ErrorResponse(body) => return Err(server_error(&body)?.into()),
                _ => {}
            }
        }
    }

    fn ask(&mut self, sql: &str) -> Result<Vec<Row>, SqlCause> {
        let mut output = BytesMut::new();
        frontend::query(sql, &mut output)?;
        self.send(&output)?;
        self.received = 0;
        let mut rows = Vec::new();
        let mut failed = None;
        loop {
            match self.receive()? {
                Message::DataRow(body) => rows.push(row(&body)?),
                Message::ErrorResponse(body) => failed = Some(server_error(&body)?),
                Message::ReadyForQuery(_) => break,
                _ => {}
            }
        }
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(rows),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), SqlCause> {
        let left = self.time_left()?;
        self.stream.set_write_timeout(Some(left))?;
        self.stream
            .write_all(bytes)
            .map_err(|error| self.in_time(error))
    }

    fn receive(&mut self) -> Result<Message, SqlCause> {
        loop {
            if let Some(message) = Message::parse(&mut self.input)? {
                return Ok(message);
            }
            if self.received > MOST {
                return Err(SqlCause::Protocol(format!("it exceeds {MOST} bytes")));
            }
            let left = self.time_left()?;
            self.stream.set_read_timeout(Some(left))?;
            let mut chunk = [0; 8192];
            match self.stream.read(&mut chunk) {
                Ok(0) => {
                    let closed = "the server closed the connection";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, closed).into());
                }
                Ok(length) => {
                    self.received += length;
                    self.input.extend_from_slice(&chunk[..length]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.in_time(error)),
            }
        }
    }

    fn time_left(&self) -> Result<Duration, SqlCause> {
        match self.deadline.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(self.timed_out()),
        }
    }

    fn in_time(&self, error: io::Error) -> SqlCause {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => self.timed_out(),
            _ => error.into(),
        }
    }

    fn timed_out(&self) -> SqlCause {
        SqlCause::TimedOut(self.deadline.saturating_duration_since(self.started))
    }
}

impl From<ServerError> for SqlCause {
    fn from(error: ServerError) -> Self {
        Self::Server(error)
    }
}

fn row(body: &DataRowBody) -> Result<Row, SqlCause> {
    let buffer = body.buffer();
    let text = |range: Option<std::ops::Range<usize>>| {
        range.map(|range| String::from_utf8_lossy(&buffer[range]).into_owned())
    };
    Ok(body.ranges().map(|range| Ok(text(range))).collect()?)
}

fn server_error(body: &ErrorResponseBody) -> Result<ServerError, SqlCause> {
    let mut error = ServerError {
        code: String::new(),
        message: String::new(),
    };
    let mut fields = body.fields();
    while let Some(field) = fields.next()? {
        let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => error.code = value,
            b'M' => error.message = value,
            _ => {}
        }
    }
    Ok(error)
}

/// A string as SQL has it, whatever `standard_conforming_strings` says.
#[must_use]
pub fn literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "''");
    match text.contains('\\') {
        true => format!("E'{escaped}'"),
        false => format!("'{escaped}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn a_literal_ends_where_it_should() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\'b"), r"E'a\\''b'");
    }
}
