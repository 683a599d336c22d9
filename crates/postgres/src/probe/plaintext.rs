//! Whether a server talks in the clear.

use std::time::Instant;

use bytes::BytesMut;
use postgres_protocol::message::frontend;

use super::connection::Connection;
use super::encryption::answer;
use super::message::read_answer;
use super::{Answer, Cause, Endpoint, Login, ProbeError, Stage};

/// What came of a login without TLS.
///
/// It holds for the role, the database and the address of this machine, and for nothing else:
/// pg_hba.conf may have another rule for anybody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plaintext {
    /// The server let the role in, or asked for its password.
    Taken {
        /// What it asked for, as pg_hba.conf calls it; `trust` for nothing.
        method: &'static str,
    },
    /// The server refuses the connection. Whether it would have with TLS has not been asked.
    Refused {
        /// What it said, escaped.
        message: String,
    },
    /// Its answer says nothing about encryption.
    Unknown {
        /// What it said, escaped.
        message: String,
    },
}

/// Begins to log in without TLS, and gives up at the server's first answer. No password is sent.
///
/// The server logs a line about it where it refuses, or where the role does not exist and nothing
/// but its name is asked for (`trust`).
///
/// # Errors
/// See [`Cause`]; an error that the server sends is none.
pub fn plaintext(
    endpoint: &Endpoint,
    login: &Login,
    deadline: Instant,
) -> Result<Plaintext, ProbeError> {
    let unreached = |cause| ProbeError::new(endpoint, None, cause);
    let connection = Connection::open(endpoint, deadline).map_err(unreached)?;
    let address = connection.address();
    let answer = ask(connection, login);
    answer
        .map(meaning)
        .map_err(|cause| ProbeError::new(endpoint, Some(address), cause))
}

fn ask(mut connection: Connection, login: &Login) -> Result<Answer, Cause> {
    connection.send(&startup(login)?, Stage::Startup)?;
    let answer = answer(
        &mut connection,
        &mut Vec::new(),
        read_answer,
        Stage::Startup,
    )?;
    if answer == (Answer::Authentication { method: "trust" }) {
        // A session that is not ended properly is a line in the server's log, and no more.
        let _ = connection.send(&terminate(), Stage::Startup);
    }
    connection.leave();
    Ok(answer)
}

/// A Terminate message.
pub(super) fn terminate() -> BytesMut {
    let mut message = BytesMut::new();
    frontend::terminate(&mut message);
    message
}

/// A StartupMessage.
pub(super) fn startup(login: &Login) -> Result<BytesMut, Cause> {
    let mut message = BytesMut::new();
    let parameters = [
        ("user", login.user.as_str()),
        ("database", login.database.as_str()),
        ("application_name", "pgpki"),
    ];
    let written = frontend::startup_message(parameters, &mut message);
    written.map_err(|error| Cause::of_io(error, Stage::Startup))?;
    Ok(message)
}

fn meaning(answer: Answer) -> Plaintext {
    match answer {
        Answer::Authentication { method } => Plaintext::Taken { method },
        Answer::Error {
            sqlstate,
            message,
            routine,
        } => match is_refusal(sqlstate.as_deref(), &message, routine.as_deref()) {
            true => Plaintext::Refused { message },
            false => Plaintext::Unknown { message },
        },
    }
}

/// Whether a rule of pg_hba.conf, or the lack of one, has refused. The message may be translated;
/// SQLSTATE and the function's name are not. PgBouncer has a message of its own.
fn is_refusal(sqlstate: Option<&str>, message: &str, routine: Option<&str>) -> bool {
    let by_rule = sqlstate == Some("28000")
        && (routine == Some("ClientAuthentication") || message.contains("pg_hba.conf"));
    by_rule || message == "SSL required"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(sqlstate: &str, message: &str, routine: &str) -> Plaintext {
        meaning(Answer::Error {
            sqlstate: Some(sqlstate.to_owned()),
            message: message.to_owned(),
            routine: Some(routine.to_owned()),
        })
    }

    #[test]
    fn a_refusal_is_known_in_any_language() {
        let german = "kein pg_hba.conf-Eintrag für Host »127.0.0.1«";
        let refused = said("28000", german, "ClientAuthentication");
        assert!(matches!(refused, Plaintext::Refused { .. }));
        for (sqlstate, message, routine) in [
            (
                "28000",
                "Ident authentication failed for user \"x\"",
                "auth_failed",
            ),
            ("53300", "sorry, too many clients already", "InitProcess"),
            (
                "57P03",
                "the database system is starting up",
                "ProcessStartupPacket",
            ),
        ] {
            let answer = said(sqlstate, message, routine);
            assert!(matches!(answer, Plaintext::Unknown { .. }), "{message}");
        }
    }
}
