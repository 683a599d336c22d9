//! How TLS begins: by an SSLRequest, or at once.

use std::io::Read;

use bytes::BytesMut;
use postgres_protocol::message::frontend;

use super::connection::Connection;
use super::message::{Answer, MessageError, quoted, read_answer};
use super::{Cause, Stage};

/// How TLS begins; libpq's `sslnegotiation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Negotiation {
    /// The client asks for it with an SSLRequest, and the server consents (PostgreSQL
    /// documentation, "SSL Session Encryption").
    #[default]
    Postgres,
    /// The client begins with TLS and ALPN `postgresql`; PostgreSQL 17 and later.
    Direct,
}

impl Negotiation {
    /// libpq's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Direct => "direct",
        }
    }
}

/// Brings the connection to the point where TLS begins.
pub(super) fn request(connection: &mut Connection, negotiation: Negotiation) -> Result<(), Cause> {
    if negotiation == Negotiation::Direct {
        return Ok(());
    }
    let broken = |error| Cause::of_io(error, Stage::SslRequest);
    let mut message = BytesMut::new();
    frontend::ssl_request(&mut message);
    connection.send(&message, Stage::SslRequest)?;
    // More than the one byte that is due, to see what is wrongly behind it.
    let mut answer = [0; 64];
    let read = connection.read(&mut answer).map_err(broken)?;
    match answer.get(..read).unwrap_or_default() {
        [] => Err(Cause::Closed(Stage::SslRequest)),
        b"S" => Ok(()),
        b"N" => Err(Cause::NoTls),
        [b'E', ..] => Err(refusal(connection, answer.get(..read).unwrap_or_default())),
        // Every SSH server greets before it is asked.
        [b'S', rest @ ..] if !rest.starts_with(b"SH-") => Err(Cause::DataBeforeTls),
        other => Err(Cause::NotPostgres {
            seen: quoted(other).seen,
        }),
    }
}

/// Reads the rest of an error.
fn refusal(connection: &mut Connection, start: &[u8]) -> Cause {
    match answer(
        connection,
        &mut start.to_vec(),
        read_answer,
        Stage::SslRequest,
    ) {
        Ok(Answer::Error {
            sqlstate, message, ..
        }) => Cause::Server { sqlstate, message },
        Ok(Answer::Authentication { .. }) => Cause::NotPostgres {
            seen: quoted(start).seen,
        },
        Err(cause) => cause,
    }
}

/// Reads until there is enough for an answer.
pub(super) fn answer(
    from: &mut impl Read,
    bytes: &mut Vec<u8>,
    read: impl Fn(&[u8], bool) -> Result<Option<Answer>, MessageError>,
    stage: Stage,
) -> Result<Answer, Cause> {
    let mut is_all = false;
    loop {
        match read(bytes, is_all) {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) if is_all => return Err(Cause::Closed(stage)),
            Ok(None) => {}
            Err(error) => return Err(Cause::NotPostgres { seen: error.seen }),
        }
        let mut more = [0; 2048];
        match from.read(&mut more) {
            Ok(0) => is_all = true,
            Ok(read) => bytes.extend_from_slice(more.get(..read).unwrap_or_default()),
            Err(error) => match Cause::of_io(error, stage) {
                // A server that hangs up may have said why.
                Cause::Closed(_) if !bytes.is_empty() => is_all = true,
                cause => return Err(cause),
            },
        }
    }
}
