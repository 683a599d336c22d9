//! The first thing that a server says to a client (PostgreSQL documentation, "Message Formats").

use bytes::BytesMut;
use fallible_iterator::FallibleIterator as _;
use pgpki_core::document::printable;
use postgres_protocol::message::backend::{
    AUTHENTICATION_TAG, AuthenticationSaslBody, BACKEND_KEY_DATA_TAG, ERROR_RESPONSE_TAG,
    ErrorResponseBody, Message, NOTICE_RESPONSE_TAG, PARAMETER_STATUS_TAG, READY_FOR_QUERY_TAG,
};

/// libpq's own limits on the length field of these messages, in bytes (`fe-connect.c`): what is
/// longer was not sent by PostgreSQL.
const LONGEST_AUTHENTICATION: usize = 2000;
const LONGEST_ERROR: usize = 30_000;

/// A tag, and a length that counts itself.
const HEADER: usize = 5;

/// The most characters of a server's message that are kept.
const SHOWN: usize = 500;

/// What pg_hba.conf calls it that nobody has to prove anything.
const TRUST: &str = "trust";

/// A message that postgres-protocol does not know.
const NEGOTIATE_PROTOCOL_VERSION_TAG: u8 = b'v';

/// What a server says to a StartupMessage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It lets the user in, or asks for a proof.
    Authentication {
        /// What it asks for, as pg_hba.conf calls it; `trust` for nothing.
        method: &'static str,
    },
    /// An ErrorResponse; every text escaped.
    Error {
        /// SQLSTATE, where it has one.
        sqlstate: Option<String>,
        /// The message.
        message: String,
        /// The name of the server's function, which is never translated.
        routine: Option<String>,
    },
}

/// Bytes that no PostgreSQL server begins with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it answered {seen}")]
pub struct MessageError {
    /// The first of them, quoted and escaped.
    pub seen: String,
}

/// Reads the message at the beginning of `bytes`; `None` while there is not all of it. `is_all`
/// says that nothing will follow.
///
/// # Errors
/// It is no message that PostgreSQL sends at this point, or a longer one.
pub fn read_answer(bytes: &[u8], is_all: bool) -> Result<Option<Answer>, MessageError> {
    let Some(&tag) = bytes.first() else {
        return Ok(None);
    };
    let longest = match tag {
        AUTHENTICATION_TAG => LONGEST_AUTHENTICATION,
        ERROR_RESPONSE_TAG => LONGEST_ERROR,
        _ => return Err(quoted(bytes)),
    };
    let Some(length) = claimed_length(bytes) else {
        return Ok(None);
    };
    if !(8..=longest).contains(&length) {
        return match tag {
            ERROR_RESPONSE_TAG => Ok(old_error(bytes, is_all)),
            _ => Err(quoted(bytes)),
        };
    }
    // Only now: postgres-protocol makes room for whatever length the peer has claimed.
    let Some(whole) = bytes.get(..length + 1) else {
        return Ok(None);
    };
    match Message::parse(&mut BytesMut::from(whole)) {
        Ok(Some(message)) => answer(&message).map(Some).ok_or_else(|| quoted(bytes)),
        _ => Err(quoted(bytes)),
    }
}

/// The same, and behind an `AuthenticationOk` what comes of it: the server looks for the role and the database only then, and
/// says so with an error, or that it is ready for a query. `None` until it has.
///
/// # Errors
/// As of [`read_answer`].
pub(super) fn read_outcome(bytes: &[u8], is_all: bool) -> Result<Option<Answer>, MessageError> {
    let first = read_answer(bytes, is_all)?;
    if first != Some(Answer::Authentication { method: TRUST }) {
        return Ok(first);
    }
    let mut rest = behind_first(bytes).unwrap_or_default();
    loop {
        match rest.first() {
            None => return Ok(None),
            Some(&ERROR_RESPONSE_TAG) => return read_answer(rest, is_all),
            Some(&READY_FOR_QUERY_TAG) => return Ok(first),
            Some(
                &(BACKEND_KEY_DATA_TAG
                | NOTICE_RESPONSE_TAG
                | PARAMETER_STATUS_TAG
                | NEGOTIATE_PROTOCOL_VERSION_TAG),
            ) => {}
            Some(_) => return Err(quoted(rest)),
        }
        // A notice may be as long as whoever wrote it liked.
        let longest = match rest.first() {
            Some(&NOTICE_RESPONSE_TAG) => usize::MAX,
            _ => LONGEST_ERROR,
        };
        if claimed_length(rest).is_some_and(|length| !(4..=longest).contains(&length)) {
            return Err(quoted(rest));
        }
        match behind_first(rest) {
            Some(behind) => rest = behind,
            None => return Ok(None),
        }
    }
}

/// What follows the first message, once that is whole.
fn behind_first(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(claimed_length(bytes)? + 1..)
}

fn claimed_length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(1..HEADER)?;
    let length = u32::from_be_bytes(length.try_into().ok()?);
    usize::try_from(length).ok()
}

fn answer(message: &Message) -> Option<Answer> {
    let method = match message {
        Message::AuthenticationOk => TRUST,
        Message::AuthenticationCleartextPassword => "password",
        Message::AuthenticationMd5Password(_) => "md5",
        Message::AuthenticationSasl(body) => sasl(body),
        Message::AuthenticationGss | Message::AuthenticationKerberosV5 => "gss",
        Message::AuthenticationSspi => "sspi",
        Message::ErrorResponse(body) => return Some(error(body)),
        _ => return None,
    };
    Some(Answer::Authentication { method })
}

/// From version 18 on, SASL is not SCRAM alone.
fn sasl(body: &AuthenticationSaslBody) -> &'static str {
    match body.mechanisms().next() {
        Ok(Some(first)) if first.starts_with("SCRAM-SHA-256") => "scram-sha-256",
        Ok(Some("OAUTHBEARER")) => "oauth",
        _ => "sasl",
    }
}

fn error(body: &ErrorResponseBody) -> Answer {
    let (mut sqlstate, mut message, mut routine) = (None, None, None);
    let mut fields = body.fields();
    // A field that is damaged ends the list: what came before it is told all the same.
    while let Ok(Some(field)) = fields.next() {
        let slot = match field.type_() {
            b'C' => &mut sqlstate,
            b'M' => &mut message,
            b'R' => &mut routine,
            _ => continue,
        };
        *slot = Some(shown(field.value_bytes()));
    }
    Answer::Error {
        sqlstate,
        message: message.unwrap_or_else(|| "an error without a message".to_owned()),
        routine,
    }
}

/// An error as protocol 2 had it: a text that ends with a zero byte. A postmaster that cannot fork
/// still sends it, without the zero, and hangs up (`report_fork_failure_to_client`).
fn old_error(bytes: &[u8], is_all: bool) -> Option<Answer> {
    let text = bytes.get(1..).unwrap_or_default();
    let end = text.iter().position(|byte| *byte == 0);
    let end = end.or((is_all || text.len() >= LONGEST_ERROR).then_some(text.len()))?;
    let text = text.get(..end).unwrap_or_default();
    Some(Answer::Error {
        sqlstate: None,
        message: shown(text.trim_ascii()),
        routine: None,
    })
}

fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let start: String = text.chars().take(SHOWN).collect();
    printable(&start)
}

pub(super) fn quoted(bytes: &[u8]) -> MessageError {
    let start = bytes.get(..32).unwrap_or(bytes);
    MessageError {
        seen: format!("\"{}\"", start.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[tag], &length.to_be_bytes()[..], body].concat()
    }

    #[test]
    fn what_a_server_begins_with() {
        let asks = |method| Answer::Authentication { method };
        let cases: [(&[u8], &str); 7] = [
            (&[0, 0, 0, 0], "trust"),
            (&[0, 0, 0, 3], "password"),
            (&[0, 0, 0, 5, 1, 2, 3, 4], "md5"),
            (b"\0\0\0\x0aSCRAM-SHA-256\0\0", "scram-sha-256"),
            (b"\0\0\0\x0aOAUTHBEARER\0\0", "oauth"),
            (b"\0\0\0\x0a\xff\0\0", "sasl"),
            (&[0, 0, 0, 7], "gss"),
        ];
        for (body, method) in cases {
            let whole = message(b'R', body);
            assert_eq!(read_answer(&whole, false).unwrap(), Some(asks(method)));
            for cut in 0..whole.len() {
                assert_eq!(read_answer(&whole[..cut], true).unwrap(), None);
            }
        }
        let error = message(
            b'E',
            b"SFATAL\0C28000\0Mno \x1b[2J entry\0RClientAuthentication\0\0",
        );
        let expected = Answer::Error {
            sqlstate: Some("28000".to_owned()),
            message: "no \\u{1b}[2J entry".to_owned(),
            routine: Some("ClientAuthentication".to_owned()),
        };
        assert_eq!(read_answer(&error, false).unwrap(), Some(expected));
    }

    #[test]
    fn what_comes_of_a_login() {
        let start = [
            message(b'R', &[0, 0, 0, 0]),
            message(b'S', b"server_version\x0015.1\0"),
            message(b'N', b"SNOTICE\0Mhello\0\0"),
            message(b'v', &[0, 3, 0, 0, 0, 0, 0, 0]),
            message(b'K', &[0; 8]),
        ]
        .concat();
        let let_in = Answer::Authentication { method: "trust" };
        let missing = Answer::Error {
            sqlstate: Some("3D000".to_owned()),
            message: "database \"x\" does not exist".to_owned(),
            routine: None,
        };
        let refusal = message(b'E', b"C3D000\0Mdatabase \"x\" does not exist\0\0");
        let ready = message(b'Z', b"I");
        for (end, expected, all_of_it) in
            [(&ready, &let_in, 1), (&refusal, &missing, refusal.len())]
        {
            let whole = [&start[..], end].concat();
            assert_eq!(
                read_outcome(&whole, false).unwrap().as_ref(),
                Some(expected)
            );
            for cut in 0..start.len() + all_of_it {
                assert_eq!(read_outcome(&whole[..cut], true).unwrap(), None, "{cut}");
            }
        }
        // A login trigger may say a lot.
        let long = message(b'N', &[b'x'; 40_000]);
        let whole = [&start[..], &long, &ready].concat();
        assert_eq!(read_outcome(&whole, false).unwrap(), Some(let_in));
        // Who has to prove something is asked for it first.
        let password = message(b'R', &[0, 0, 0, 3]);
        let asks = Answer::Authentication { method: "password" };
        assert_eq!(read_outcome(&password, false).unwrap(), Some(asks));
        assert!(read_outcome(&[&start[..], b"S\0\0\0\x03"].concat(), false).is_err());
        assert!(read_outcome(&[&start[..], b"S\x7f\0\0\x03"].concat(), false).is_err());
        assert!(read_outcome(&[&start[..], b"D\0\0\0\x08abcd"].concat(), false).is_err());
    }

    #[test]
    fn errors_of_a_postmaster_that_cannot_fork() {
        let text = b"Ecould not fork new process for connection: no memory\n";
        assert_eq!(read_answer(text, false).unwrap(), None);
        let Some(Answer::Error { message, .. }) = read_answer(text, true).unwrap() else {
            panic!("no error");
        };
        assert_eq!(
            message,
            "could not fork new process for connection: no memory"
        );
    }

    #[test]
    fn lengths_are_not_believed() {
        assert!(read_answer(b"R\x7f\xff\xff\xff", false).is_err());
        assert!(read_answer(b"R\0\0\0\x03", false).is_err());
        assert!(read_answer(b"HTTP/1.1 400", false).is_err());
        // A text without end is cut.
        let endless = [b'E'].into_iter().chain([b'x'; 40_000]).collect::<Vec<_>>();
        let Some(Answer::Error { message, .. }) = read_answer(&endless, false).unwrap() else {
            panic!("no error");
        };
        assert_eq!(message.len(), SHOWN);
    }

    proptest! {
        /// Whatever comes, it is an answer, an error, or not all of it; and nothing in it acts on
        /// a terminal.
        #[test]
        fn random_bytes(
            tag in prop_oneof![Just(b'R'), Just(b'E'), any::<u8>()],
            length in prop_oneof![0u32..64, any::<u32>()],
            body in proptest::collection::vec(any::<u8>(), 0..64),
            is_all in any::<bool>(),
        ) {
            let bytes = [&[tag], &length.to_be_bytes()[..], &body].concat();
            let behind = [message(b'R', &[0, 0, 0, 0]), bytes.clone()].concat();
            for answer in [read_answer(&bytes, is_all), read_outcome(&behind, is_all)] {
                let said = match answer {
                    Ok(Some(Answer::Error { sqlstate, message, routine })) => {
                        [sqlstate.unwrap_or_default(), message, routine.unwrap_or_default()].concat()
                    }
                    Ok(_) => String::new(),
                    Err(error) => error.to_string(),
                };
                prop_assert!(!said.chars().any(char::is_control), "{said:?}");
            }
        }
    }
}
