//! A connection string as libpq reads it (PostgreSQL documentation, "Connection Strings").

use std::collections::BTreeMap;

/// What a connection string says, by libpq's keywords. Passwords are recognised and not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<&'static str, String>);

/// Why libpq would not take a connection string. A value is never repeated: it may be a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConninfoError {
    /// A word without a value.
    #[error("the connection string has a word without \"=\" in it")]
    NoValue,
    /// A quote is open.
    #[error("the connection string has a quoted value without its closing quote")]
    OpenQuote,
    /// A keyword that libpq does not know; not repeated where it may be the rest of a password.
    #[error("libpq does not know {}", option(.0))]
    Unknown(Option<String>),
    /// A part of a connection URI.
    #[error("the {part} in the connection URI is not right: {what}")]
    Uri {
        /// Which part.
        part: &'static str,
        /// What it should be.
        what: &'static str,
    },
    /// A zero byte, which no value in PostgreSQL has.
    #[error("the connection string contains a zero byte")]
    Zero,
}

/// libpq's keywords, PostgreSQL 13 to 18 (`PQconninfoOptions` in fe-connect.c).
const KEYWORDS: [&str; 48] = [
    "application_name",
    "authtype",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "oauth_client_id",
    "oauth_issuer",
    "oauth_scope",
    "options",
    "passfile",
    "port",
    "replication",
    "require_auth",
    "requirepeer",
    "service",
    "servicefile",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslkeylogfile",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
    "tty",
    "user",
];

/// Keywords whose values are secrets.
const SECRETS: [&str; 5] = [
    "oauth_client_secret",
    "password",
    "scram_client_key",
    "scram_server_key",
    "sslpassword",
];

impl Parameters {
    /// Reads `keyword=value …` or a `postgresql://` URI.
    ///
    /// # Errors
    /// libpq would refuse it too.
    pub fn parse(text: &str) -> Result<Self, ConninfoError> {
        if text.contains('\0') {
            return Err(ConninfoError::Zero);
        }
        let schemes = ["postgresql://", "postgres://"];
        let parsed = match schemes.iter().find_map(|scheme| text.strip_prefix(scheme)) {
            Some(rest) => Self::of_uri(rest),
            None => Self::of_words(text),
        };
        let has_secret = text.contains('@') || SECRETS.iter().any(|secret| text.contains(secret));
        parsed.map_err(|error| match error {
            ConninfoError::Unknown(_) if has_secret => ConninfoError::Unknown(None),
            error => error,
        })
    }

    /// The value of a keyword, which may be empty.
    pub fn get(&self, keyword: &str) -> Option<&str> {
        self.0.get(keyword).map(String::as_str)
    }

    fn set(&mut self, keyword: &str, value: String) -> Result<(), ConninfoError> {
        if let Some(known) = KEYWORDS.iter().find(|known| **known == keyword) {
            self.0.insert(known, value);
        } else if !SECRETS.contains(&keyword) {
            return Err(ConninfoError::Unknown(Some(keyword.to_owned())));
        }
        Ok(())
    }

    fn of_words(text: &str) -> Result<Self, ConninfoError> {
        let mut parameters = Self::default();
        let mut rest = text.trim_start_matches(is_space);
        while !rest.is_empty() {
            let (keyword, behind) = rest.split_once('=').ok_or(ConninfoError::NoValue)?;
            let keyword = keyword.trim_end_matches(is_space);
            if keyword.contains(is_space) {
                return Err(ConninfoError::NoValue);
            }
            let (value, behind) = value(behind.trim_start_matches(is_space))?;
            parameters.set(keyword, value)?;
            rest = behind.trim_start_matches(is_space);
        }
        Ok(parameters)
    }

    fn of_uri(text: &str) -> Result<Self, ConninfoError> {
        let mut parameters = Self::default();
        // As libpq does: only an @ ahead of any slash ends a user and password.
        let (login, behind) = match text.find(['@', '/']) {
            Some(at) if text[at..].starts_with('@') => text.split_at(at),
            _ => ("", text),
        };
        let behind = behind.strip_prefix('@').unwrap_or(behind);
        let (hosts, behind) = behind.split_at(behind.find(['/', '?']).unwrap_or(behind.len()));
        let (path, query) = behind.split_once('?').unwrap_or((behind, ""));
        let database = path.strip_prefix('/').unwrap_or(path);
        // libpq would take the rest of a password for a host or a database.
        if hosts.contains('@') || database.contains('@') {
            return Err(uri("user or password", "write @ as %40 and / as %2F"));
        }
        let user = login.split_once(':').map_or(login, |(user, _)| user);
        let (names, ports) = hosts_and_ports(hosts)?;
        for (keyword, value) in [
            ("user", decoded(user)?),
            ("host", names.join(",")),
            ("port", ports.join(",")),
            ("dbname", decoded(database)?),
        ] {
            // A list of nothing but commas names as many hosts as it has places.
            if !value.is_empty() && (keyword != "port" || ports.iter().any(|it| !it.is_empty())) {
                parameters.set(keyword, value)?;
            }
        }
        for parameter in query.split('&').filter(|it| !it.is_empty()) {
            let (keyword, value) = parameter
                .split_once('=')
                .ok_or(uri("parameters", "each is NAME=VALUE"))?;
            parameters.set_of_uri(&decoded(keyword)?, decoded(value)?)?;
        }
        Ok(parameters)
    }

    /// libpq understands JDBC's `ssl=true`, too.
    fn set_of_uri(&mut self, keyword: &str, value: String) -> Result<(), ConninfoError> {
        match (keyword, value.as_str()) {
            ("ssl", "true") => self.set("sslmode", "require".to_owned()),
            _ => self.set(keyword, value),
        }
    }
}

fn option(keyword: &Option<String>) -> String {
    match keyword {
        Some(keyword) => format!("the connection option {keyword:?}"),
        None => "one of the connection options".to_owned(),
    }
}

/// What C's `isspace` takes for a space.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// A value, and what follows it. A backslash takes the next character as it is.
fn value(text: &str) -> Result<(String, &str), ConninfoError> {
    let is_quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut characters = text.char_indices().skip(usize::from(is_quoted));
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '\'' if is_quoted => return Ok((value, text.get(at + 1..).unwrap_or_default())),
            space if !is_quoted && is_space(space) => {
                return Ok((value, text.get(at..).unwrap_or_default()));
            }
            plain => value.push(plain),
        }
    }
    match is_quoted {
        true => Err(ConninfoError::OpenQuote),
        false => Ok((value, "")),
    }
}

fn hosts_and_ports(text: &str) -> Result<(Vec<String>, Vec<&str>), ConninfoError> {
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in text.split(',') {
        let (name, behind) = match host.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or(uri(
                "host",
                "the bracket around an IPv6 address is not closed",
            ))?,
            None => host.split_at(host.find(':').unwrap_or(host.len())),
        };
        let port = match behind.strip_prefix(':') {
            Some(port) => port,
            None if behind.is_empty() => "",
            None => return Err(uri("host", "after ] comes a port, as in [::1]:5432")),
        };
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(uri("port", "it is a number; write @ in a password as %40"));
        }
        names.push(decoded(name)?);
        ports.push(port);
    }
    Ok((names, ports))
}

fn uri(part: &'static str, what: &'static str) -> ConninfoError {
    ConninfoError::Uri { part, what }
}

/// Undoes percent-encoding (RFC 3986 section 2.1).
fn decoded(text: &str) -> Result<String, ConninfoError> {
    let malformed = || uri("percent-encoding", "write % itself as %25");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|it| char::from(it).to_digit(16));
        let (high, low) = (digit(), digit());
        let value = high
            .zip(low)
            .and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(value.filter(|value| *value != 0).ok_or_else(malformed)?);
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let parameters = Parameters::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let seen: Vec<_> = parameters.0.iter().map(|(k, v)| (*k, v.as_str())).collect();
        assert_eq!(seen, expected, "{text}");
    }

    #[test]
    fn words_as_libpq_reads_them() {
        check("", &[]);
        check(
            " host = db  port=5433 ",
            &[("host", "db"), ("port", "5433")],
        );
        check(
            "user='o\\'brien x'dbname=a",
            &[("dbname", "a"), ("user", "o'brien x")],
        );
        check(
            "sslcert=a\\ b sslkey='c\\\\d'",
            &[("sslcert", "a b"), ("sslkey", "c\\d")],
        );
        check("host='' user=a=b", &[("host", ""), ("user", "a=b")]);
        check("user=a user=b password=secret", &[("user", "b")]);
    }

    #[test]
    fn uris_as_libpq_reads_them() {
        check("postgresql://", &[]);
        check(
            "postgresql://al%40ice:secret@db:6432/my%20app?sslmode=verify-full&sslpassword=x",
            &[
                ("dbname", "my app"),
                ("host", "db"),
                ("port", "6432"),
                ("sslmode", "verify-full"),
                ("user", "al@ice"),
            ],
        );
        check(
            "postgres://[::1]:1,b/",
            &[("host", "::1,b"), ("port", "1,")],
        );
        check(
            "postgresql:///app?host=/tmp&ssl=true",
            &[("dbname", "app"), ("host", "/tmp"), ("sslmode", "require")],
        );
        check("postgresql://%2Ftmp", &[("host", "/tmp")]);
        check("postgresql://u:a?b@db", &[("host", "db"), ("user", "u")]);
        check(
            "postgresql://db?user=a%40b",
            &[("host", "db"), ("user", "a@b")],
        );
    }

    #[test]
    fn what_libpq_refuses() {
        let refused = |text: &str| Parameters::parse(text).unwrap_err();
        assert_eq!(refused("db.example.com"), ConninfoError::NoValue);
        assert_eq!(refused("host port=1"), ConninfoError::NoValue);
        assert_eq!(refused("host='db"), ConninfoError::OpenQuote);
        assert_eq!(
            refused("ssl=true"),
            ConninfoError::Unknown(Some("ssl".to_owned()))
        );
        assert_eq!(refused("host=a\0"), ConninfoError::Zero);
        for text in [
            "postgresql://[::1",
            "postgresql://[::1]x",
            "postgresql://a:b",
            "postgresql://a?b",
        ] {
            assert!(matches!(refused(text), ConninfoError::Uri { .. }), "{text}");
        }
    }

    #[test]
    fn no_password_is_kept_or_repeated() {
        for text in [
            "password=sekrit host=db",
            "password='sekrit host=db",
            "host=db sekrit",
            "host=db password=my sekrit=x",
            "postgresql://u:a@db?password=b&sekrit=x",
            "postgresql://u:a@sekrit@db",
            "postgresql://u:sekrit@db/app",
            "postgresql://u:sekrit/x@db/app",
            "postgresql://u:sekrit@db:x",
            "postgresql://u:sekrit%zz@db:%",
            "postgresql://db?password=sekrit",
            "postgresql://u:a@db:sekrit",
        ] {
            let said = format!("{:?}", Parameters::parse(text));
            assert!(!said.contains("sekrit"), "{text}: {said}");
        }
    }

    proptest! {
        #[test]
        fn any_text(text in "(postgresql://)?[a-z'\\\\ =:@/?&,%\\[\\]é0-9]{0,40}") {
            let _ = Parameters::parse(&text);
        }
    }
}
