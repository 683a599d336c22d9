//! `pgpki inspect HOST[:PORT]`: what clients of a server see.

mod chain;
mod findings;
mod json;
mod roots;
mod text;

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pgpki_core::document::Document;
use pgpki_core::finding::Finding;
use pgpki_postgres::probe::{
    Cause, HostMatch, Plaintext, ProbeError, Served, host_match, plaintext, probe,
};
use time::OffsetDateTime;

use self::chain::Closing;
use self::roots::Store;
use super::asked::Server;
use crate::args::Inspect;
use crate::exit::{Exit, Failure};

/// How many servers are looked at at a time. Nearly all of it is waiting, so there are more than
/// processors; each has two connections in a row.
const AT_A_TIME: usize = 32;

/// What was seen of one server.
struct Look<'a> {
    server: &'a Server,
    tls: Result<Sight, ProbeError>,
    /// Nothing where the server could not even be asked for TLS.
    plaintext: Option<Result<Plaintext, ProbeError>>,
    findings: Vec<Finding>,
}

/// What was served over TLS.
struct Sight {
    served: Served,
    /// The certificates of the chain that can be read.
    document: Document,
    /// The certificates of the chain that cannot: their places, from 1, and why.
    unreadable: Vec<(usize, String)>,
    /// Whether the leaf is for this host; nothing where the leaf cannot be read.
    host: Option<HostMatch>,
    closings: Vec<Closing>,
}

pub(super) fn run(
    args: &Inspect,
    servers: &[Server],
    now: OffsetDateTime,
) -> Result<Exit, Failure> {
    let stores = roots::gather(args)?;
    let looks = look_at_all(servers, &stores, args.timeout, now);
    if let [look] = looks.as_slice() {
        look.is_something()?;
    }
    if args.json {
        json::write(&looks, now)?;
    } else {
        // Not line by line: there may be thousands.
        let mut out = std::io::BufWriter::new(anstream::stdout().lock());
        match looks.as_slice() {
            [look] => text::whole(look, now, &mut out)?,
            looks => text::lines(looks, now, &mut out)?,
        }
        out.flush()?;
    }
    let all: Vec<Finding> = looks.into_iter().flat_map(|look| look.findings).collect();
    Ok(super::findings::exit(&all))
}

/// Looks at every server, a few at a time; the answers are in the order of the servers.
fn look_at_all<'a>(
    servers: &'a [Server],
    stores: &[Store],
    timeout: Duration,
    now: OffsetDateTime,
) -> Vec<Look<'a>> {
    let next = AtomicUsize::new(0);
    let looks = Mutex::new(Vec::with_capacity(servers.len()));
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(server) = servers.get(place) else {
                return;
            };
            let look = Look::at(server, stores, timeout, now);
            let mut looks = looks.lock().unwrap_or_else(PoisonError::into_inner);
            looks.push((place, look));
        }
    };
    // One of them is this thread, so that a machine without room for more still looks.
    thread::scope(|scope| {
        for _ in 1..servers.len().min(AT_A_TIME) {
            let more = thread::Builder::new().spawn_scoped(scope, work);
            if more.is_err() {
                break;
            }
        }
        work();
    });
    let mut looks = looks.into_inner().unwrap_or_else(PoisonError::into_inner);
    looks.sort_by_key(|(place, _)| *place);
    looks.into_iter().map(|(_, look)| look).collect()
}

impl<'a> Look<'a> {
    fn at(server: &'a Server, stores: &[Store], timeout: Duration, now: OffsetDateTime) -> Self {
        let deadline = Instant::now() + timeout;
        let endpoint = &server.endpoint;
        let tls = probe(endpoint, deadline).map(|served| Sight::of(served, server, stores));
        let plaintext = may_ask(&tls).then(|| plaintext(endpoint, &server.login, deadline));
        let mut look = Self {
            server,
            tls,
            plaintext,
            findings: Vec::new(),
        };
        look.findings = findings::of(&look, now);
        look
    }
}

impl Look<'_> {
    /// A bare name that leads nowhere may as well have been meant for a file.
    fn is_something(&self) -> Result<(), Failure> {
        match &self.tls {
            Err(error) if self.server.may_be_path => match &error.cause {
                Cause::NotResolved(why) => {
                    let name = &self.server.endpoint.host;
                    let message =
                        format!("{name} does not exist here, and there is no such host: {why}");
                    Err(Failure::new(Exit::BadInput, message).hint(
                        "TARGET is a file, a folder, or a server; ./NAME is always a path, \
                         NAME:5432 always a server",
                    ))
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// Whether a second connection is worth its time: there is a PostgreSQL, as far as can be told.
fn may_ask(tls: &Result<Sight, ProbeError>) -> bool {
    match tls {
        Ok(_) => true,
        Err(error) => matches!(
            error.cause,
            Cause::NoTls | Cause::Alert(_) | Cause::Incompatible(_) | Cause::Handshake(_)
        ),
    }
}

impl Sight {
    fn of(served: Served, server: &Server, stores: &[Store]) -> Self {
        let (document, unreadable) = chain::read(&served.chain);
        let leaf_is_readable = unreadable.iter().all(|(place, _)| *place != 1);
        let leaf = document.certificates().next().filter(|_| leaf_is_readable);
        let host = leaf.map(|leaf| host_match(leaf, &server.endpoint.host));
        let closings = match leaf_is_readable {
            true => chain::closings(&document, stores),
            false => Vec::new(),
        };
        Self {
            served,
            document,
            unreadable,
            host,
            closings,
        }
    }
}
