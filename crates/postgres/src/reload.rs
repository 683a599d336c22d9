//! Reload and proof: a server is told to read its certificate again, and asked for it over the
//! wire until it serves the one that is installed.
//!
//! A reload that fails is silent: `pg_ctl reload` succeeds, `SHOW ssl_cert_file` prints the new
//! path, and the old certificate goes on being served until a restart fails. The handshake is the
//! only witness, and the server's log the only one that knows why.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use pgpki_core::name::Host;

use crate::last_reload::since_last_reload;
use crate::postmaster::{Log, Postmaster, PostmasterError};
use crate::probe::{Comparison, Difference, Endpoint, Negotiation, ProbeError, compare, probe};
use crate::sql::Session;

/// How long a server is given to serve what is installed. A postmaster that is busy forking
/// answers a signal late; after this long it is not busy but stuck.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// The longest single question, so that a server that restarts meanwhile is asked again.
const ONE_QUESTION: Duration = Duration::from_secs(3);

/// Between two questions. A reload takes a few milliseconds.
const PAUSE: Duration = Duration::from_millis(50);

/// What the server logs when it keeps the certificate that it had (`be-secure-openssl.c`), unless
/// its messages are in another language.
const KEPT: &str = "SSL configuration was not reloaded";

/// The first version that can begin with TLS (`sslnegotiation=direct`).
const DIRECT: u32 = 17;

/// What every reload logs, unless the server's messages are in another language.
const EVERYDAY: [&str; 3] = [TOLD, "LOG:  parameter \"", MARK];

/// The most lines of a log that are repeated to the user.
const MOST_LINES: usize = 8;

/// What a reload logs first, unless the server's messages are in another language.
const TOLD: &str = "received SIGHUP";

/// What a session has the server log, so that whatever the reload has logged is known to be in the file by then: the
/// logging collector writes what it is sent in that order.
const MARK: &str = "pgpki has seen this reload";

/// What `pg_settings` says of `ssl` in a server whose messages are in English.
const IN_ENGLISH: &str = "Enables SSL connections.";

/// Where a setting comes from that the whole server has (`pg_settings.source`).
const SERVERS_OWN: &str =
    "'default', 'environment variable', 'configuration file', 'command line', 'override'";

/// How long the logging collector may take to write a line.
const LOGGING: Duration = Duration::from_secs(2);

/// A handshake returned the very chain that was installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Where.
    pub endpoint: Endpoint,
    /// Whether it was also served to a client that begins with TLS, as versions from 17 on allow.
    pub direct: bool,
    /// What the server has logged if it did not load everything all the same: the chain was served
    /// before, and something else is wrong, such as the CAs of clients.
    pub kept: Vec<String>,
    /// Whether it is known to have loaded everything, CRLs and the CAs of clients included: it served another chain
    /// before, and a reload is all or nothing; or its log has a reload without a complaint.
    pub is_whole: bool,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
#[error("{cause}{}", logged(.lines))]
pub struct NotProven {
    /// What stands in the way.
    #[source]
    pub cause: Box<Cause>,
    /// What the server has logged since it was told to reload, where that can be read.
    pub lines: Vec<String>,
}

/// What stands in the way of a proof.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// It has ended meanwhile.
    #[error("the server has stopped running")]
    Ended,
    /// It has not come to it.
    #[error("the server has not reloaded yet")]
    NotYet,
    /// It is not yet, or no longer, open to connections.
    #[error("the server is starting up")]
    Starting,
    /// TLS is spoken over TCP only.
    #[error(
        "the server listens on no TCP address (listen_addresses), and TLS is spoken on no other"
    )]
    NotListening,
    /// The address that it listens on is none that can be asked.
    #[error("the server listens on {0:?}, which is no address that can be asked")]
    OddAddress(String),
    /// It could not be told, or not be looked at.
    #[error(transparent)]
    Postmaster(#[from] PostmasterError),
    /// Files have changed since it read them.
    #[error("the server has not been told to reload since")]
    NotSince,
    /// It says that it kept the certificate that it had.
    #[error("the server could not load the new files and kept its old certificate")]
    Kept,
    /// Something else is served.
    #[error("{endpoint}: {difference}")]
    Differs {
        /// Where.
        endpoint: Endpoint,
        /// How it differs.
        difference: Difference,
    },
    /// It could not be asked.
    #[error(transparent)]
    NoAnswer(#[from] ProbeError),
}

impl NotProven {
    /// Whether there was nobody to ask, and so nothing that speaks against what is installed: a
    /// server that recovers for an hour, or that talks to its own machine alone.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(*self.cause, Cause::Starting | Cause::NotListening)
    }
}

impl<C: Into<Cause>> From<C> for NotProven {
    fn from(cause: C) -> Self {
        Self {
            cause: Box::new(cause.into()),
            lines: Vec::new(),
        }
    }
}

fn logged(lines: &[String]) -> String {
    match lines {
        [] => String::new(),
        lines => format!("; it logged: {}", lines.join("; ")),
    }
}

/// Tells the server of a data directory to reload, and asks it until it serves `chain` (DER, the
/// leaf first) or `patience` is over. A server that restarts meanwhile is asked when it is back.
///
/// # Errors
/// It does not serve it. What is on disk is for the caller to put right.
pub fn reload_and_prove(
    postmaster: &Postmaster,
    major: u32,
    chain: &[Vec<u8>],
    patience: Duration,
) -> Result<Proof, NotProven> {
    let log = postmaster.log();
    let loaded_before = loaded_at(postmaster);
    let is_another = loaded_before.is_some() && serves_another(postmaster, chain);
    let deadline = Instant::now() + patience;
    match postmaster.reload() {
        // One that restarts comes back with what is on disk.
        Ok(())
        | Err(PostmasterError::Signal {
            source: Errno::ESRCH,
            ..
        }) => {}
        Err(error) => return Err(error.into()),
    }
    loop {
        let mut failure = match Postmaster::of(&postmaster.data_directory) {
            // The chain may be the one that was served before: then only this tells old from new.
            Ok(Some(now)) if loaded_before.is_some() && loaded_at(&now) == loaded_before => {
                Cause::NotYet.into()
            }
            // Cut short, the last one would end in silence, and hide what the server really did.
            Ok(Some(now)) => match ask(&now, major, chain, Instant::now() + ONE_QUESTION) {
                Ok(mut proof) => {
                    let lines = log.as_ref().map(Log::since).unwrap_or_default();
                    let (lines, is_told) = match (&log, is_another) {
                        (Some(log), false) if loaded_before.is_some() => whole_log(log, &now),
                        _ => (lines, false),
                    };
                    if lines.iter().any(|line| line.contains(KEPT)) {
                        proof.kept = telling(lines);
                    }
                    proof.is_whole = proof.kept.is_empty() && (is_another || is_told);
                    return Ok(proof);
                }
                Err(failure) => failure,
            },
            Ok(None) => Cause::Ended.into(),
            Err(error) => error.into(),
        };
        let lines = log.as_ref().map(Log::since).unwrap_or_default();
        let kept = lines.iter().any(|line| line.contains(KEPT));
        if kept {
            failure.cause = Box::new(Cause::Kept);
        }
        let is_final = matches!(*failure.cause, Cause::NotListening | Cause::OddAddress(_));
        if kept || is_final || Instant::now() + PAUSE >= deadline {
            failure.lines = telling(lines);
            return Err(failure);
        }
        thread::sleep(PAUSE);
    }
}

/// When the server last loaded its configuration, in its own words; nothing if it cannot be asked.
/// A new session has it from the postmaster, which by then is done with all of it.
fn loaded_at(postmaster: &Postmaster) -> Option<String> {
    let socket = postmaster.socket()?;
    let mut session = Session::open(&socket, Instant::now() + ONE_QUESTION).ok()?;
    let rows = session.query("SELECT pg_conf_load_time()").ok()?;
    rows.into_iter().flatten().flatten().next()
}

/// That a server has loaded its configuration, and its certificates with it, since a file changed (`st_ctime`; both by
/// the clock of this machine). One that cannot be asked is not said not to have. To PostgreSQL a reload that failed for the
/// certificates is one as well, which only its log tells.
///
/// # Errors
/// It has not, or logged that it could not.
pub fn loaded_since(postmaster: &Postmaster, changed: SystemTime) -> Result<(), NotProven> {
    match instant(postmaster, "pg_conf_load_time") {
        Some(loaded) if loaded < changed => return Err(Cause::NotSince.into()),
        _ => {}
    }
    let lines = since_last_reload(postmaster).unwrap_or_default();
    match lines.iter().any(|line| line.contains(KEPT)) {
        true => Err(NotProven {
            cause: Box::new(Cause::Kept),
            lines: telling(lines),
        }),
        false => Ok(()),
    }
}

/// Whether a server was started since a file changed: a start reads everything, or fails.
#[must_use]
pub fn started_since(postmaster: &Postmaster, changed: SystemTime) -> bool {
    instant(postmaster, "pg_postmaster_start_time").is_some_and(|started| started > changed)
}

/// What a function of the server's that takes nothing returns; nothing if it cannot be asked.
fn instant(postmaster: &Postmaster, function: &str) -> Option<SystemTime> {
    let mut session = Session::open(&postmaster.socket()?, Instant::now() + ONE_QUESTION).ok()?;
    let sql = format!("SELECT extract(epoch FROM {function}())");
    let rows = session.query(&sql).ok()?;
    let seconds: f64 = rows.into_iter().flatten().flatten().next()?.parse().ok()?;
    let since = Duration::try_from_secs_f64(seconds).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// What of a log says why: not that it was told to reload, and not that others came and went.
fn telling(lines: Vec<String>) -> Vec<String> {
    lines
        .into_iter()
        .filter(|line| !line.trim().is_empty() && !EVERYDAY.iter().any(|it| line.contains(it)))
        .take(MOST_LINES)
        .collect()
}

fn ask(
    postmaster: &Postmaster,
    major: u32,
    chain: &[Vec<u8>],
    deadline: Instant,
) -> Result<Proof, NotProven> {
    let endpoint = endpoint(postmaster)?;
    ask_once(&endpoint, chain, deadline)?;
    let direct = major >= DIRECT;
    if direct {
        let direct = Endpoint {
            negotiation: Negotiation::Direct,
            ..endpoint.clone()
        };
        ask_once(&direct, chain, deadline)?;
    }
    Ok(Proof {
        endpoint,
        direct,
        kept: Vec::new(),
        is_whole: false,
    })
}

/// Whether a server was seen to serve another chain.
fn serves_another(postmaster: &Postmaster, chain: &[Vec<u8>]) -> bool {
    let asked = endpoint(postmaster)
        .and_then(|endpoint| ask_once(&endpoint, chain, Instant::now() + ONE_QUESTION));
    asked.is_err_and(|error| matches!(*error.cause, Cause::Differs { .. }))
}

/// What a server has logged, once all of it is in the file, and whether that tells of the reload: nothing does where
/// the log is in another language, before the reload or after it, or says less than PostgreSQL does by default.
fn whole_log(log: &Log, postmaster: &Postmaster) -> (Vec<String>, bool) {
    let mark = || -> Option<bool> {
        let mut session = Session::open(&postmaster.socket()?, Instant::now() + LOGGING).ok()?;
        let is_english = complains_in_english(&mut session);
        session.query("SET log_statement = 'all'").ok()?;
        session.query(&format!("SELECT '{MARK}'")).ok()?;
        Some(is_english)
    };
    let deadline = Instant::now() + LOGGING;
    let marked = mark();
    let is_marked = marked.is_some();
    loop {
        let lines = log.since();
        let has = |text| lines.iter().any(|line| line.contains(text));
        let is_complete = is_marked && has(MARK);
        if is_complete || !is_marked || Instant::now() + PAUSE >= deadline {
            // The signal is logged before the settings are read, and a complaint after that: another lc_messages may be
            // one of them.
            let is_told = is_complete && has(TOLD) && marked == Some(true);
            return (lines, is_told);
        }
        thread::sleep(PAUSE);
    }
}

/// Whether what a server logs can be understood here: its messages are in English. Nothing if it cannot be asked.
pub(crate) fn logs_in_english(postmaster: &Postmaster) -> Option<bool> {
    let mut session = Session::open(&postmaster.socket()?, Instant::now() + ONE_QUESTION).ok()?;
    Some(complains_in_english(&mut session))
}

/// Whether the server's own messages are in English, as a session has them from it: not where a role or a database has
/// a language of its own, which says nothing about the server's. Some of the texts in `pg_settings` are in the language
/// of the messages.
fn complains_in_english(session: &mut Session) -> bool {
    let sql = format!(
        "SELECT ssl.short_desc FROM pg_settings ssl, pg_settings messages \
         WHERE ssl.name = 'ssl' AND messages.name = 'lc_messages' AND messages.source IN ({SERVERS_OWN})"
    );
    let rows = session.query(&sql).unwrap_or_default();
    rows.into_iter().flatten().flatten().next().as_deref() == Some(IN_ENGLISH)
}

/// Asks a server for its chain, once, and compares.
///
/// # Errors
/// It serves another one, or does not answer.
pub fn ask_once(
    endpoint: &Endpoint,
    chain: &[Vec<u8>],
    deadline: Instant,
) -> Result<(), NotProven> {
    let deadline = deadline.min(Instant::now() + ONE_QUESTION);
    let served = probe(endpoint, deadline)?;
    match compare(&served.chain, chain) {
        Comparison::Match => Ok(()),
        Comparison::Differs(difference) => {
            let endpoint = endpoint.clone();
            Err(Cause::Differs {
                endpoint,
                difference,
            }
            .into())
        }
    }
}

/// Where a server of this machine can be asked.
///
/// # Errors
/// It listens on no TCP address.
pub fn endpoint(postmaster: &Postmaster) -> Result<Endpoint, NotProven> {
    if !postmaster.is_ready {
        return Err(Cause::Starting.into());
    }
    let listens = postmaster
        .listen_address
        .as_deref()
        .ok_or(Cause::NotListening)?;
    let host = match listens {
        "*" | "0.0.0.0" => Host::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        "::" => Host::Ip(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        name => name
            .parse()
            .map_err(|_| Cause::OddAddress(name.to_owned()))?,
    };
    Ok(Endpoint::new(host, postmaster.port))
}
