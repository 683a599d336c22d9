//! What the targets of `inspect` are: the ledger, a path, or servers.

use std::fs;
use std::io;
use std::path::Path;

use pgpki_postgres::probe::{Endpoint, Login, Target, TargetError};

use super::target::ENDINGS;
use crate::args::Inspect;
use crate::exit::{Exit, Failure};
use crate::list;

/// The most servers of one call: more are no cluster, but somebody else's network.
const MAX_SERVERS: usize = 10_000;

/// What is to be inspected.
pub(super) enum Asked<'a> {
    /// Everything issued.
    Ledger,
    /// A file or a folder.
    Path(&'a Path),
    /// Servers, at least one.
    Servers(Vec<Server>),
}

/// One server to look at, and who to be there.
pub(super) struct Server {
    pub(super) endpoint: Endpoint,
    pub(super) login: Login,
    /// Whether nothing but its not being there has told it from a file: `db`, without a port.
    pub(super) may_be_path: bool,
}

pub(super) fn of(args: &Inspect) -> Result<Asked<'_>, Failure> {
    let mut servers = Vec::new();
    for target in &args.targets {
        unprinted(target)?;
        match target.to_str().filter(|_| !is_path(target)) {
            None if args.targets.len() > 1 || args.from.is_some() => return Err(mixed(target)),
            None => return path(args, target).map(Asked::Path),
            Some(text) => servers.extend(named(text)?),
        }
    }
    if let Some(file) = &args.from {
        servers.extend(listed(file)?);
    }
    match servers.len() {
        0 => ledger(args),
        1..=MAX_SERVERS if args.passphrase_file.is_some() => Err(Failure::new(
            Exit::Usage,
            "--passphrase-file is for a PKCS#12 file, and a server was named",
        )),
        1..=MAX_SERVERS => Ok(Asked::Servers(servers)),
        many => {
            let message = format!("{many} servers are more than {MAX_SERVERS}");
            Err(Failure::new(Exit::BadInput, message).hint("Look at them in several calls"))
        }
    }
}

fn ledger(args: &Inspect) -> Result<Asked<'_>, Failure> {
    match (&args.from, &args.root) {
        (Some(_), _) => Err(Failure::new(Exit::BadInput, "the list names no server")),
        (None, Some(_)) => Err(only_for_servers()),
        (None, None) => Ok(Asked::Ledger),
    }
}

fn path<'a>(args: &Inspect, path: &'a Path) -> Result<&'a Path, Failure> {
    match args.root {
        Some(_) => Err(only_for_servers()),
        None => Ok(path),
    }
}

fn only_for_servers() -> Failure {
    Failure::new(Exit::Usage, "--root is for servers, and none was named")
        .hint("A folder's chains are compared with the root.crt in it")
}

fn mixed(path: &Path) -> Failure {
    let message = format!("{} is a path, and stands beside others", path.display());
    Failure::new(Exit::Usage, message)
        .hint("One call looks at one file or folder, or at several servers")
}

/// Refuses what would be refused in any case without printing it: there may be a password in it.
fn unprinted(target: &Path) -> Result<(), Failure> {
    let text = target.to_string_lossy();
    let may_have_one = text.contains("password=") || text.contains('@') && text.contains(':');
    // URLs are taken apart, and printed without theirs.
    if !may_have_one || Target::is_url(&text) || target.exists() {
        return Ok(());
    }
    let message = "the target is no file or folder that is here, and no server";
    Err(Failure::new(Exit::BadInput, message).hint(
        "It is not shown, because it may have a password in it. A server is HOST, HOST:PORT or postgresql://…;\n\
         what a client connects with is for pgpki doctor --client",
    ))
}

/// Whether a target is a file or folder: it is there, or can be nothing else.
fn is_path(target: &Path) -> bool {
    let Some(text) = target.to_str() else {
        return true;
    };
    if Target::is_url(text) {
        return false;
    }
    let ending = target.extension().and_then(|ending| ending.to_str());
    let is_known = ending.is_some_and(|ending| ENDINGS.contains(&ending.to_lowercase().as_str()));
    // What cannot be looked at is there.
    let is_there =
        fs::symlink_metadata(target).map_or_else(|e| e.kind() != io::ErrorKind::NotFound, |_| true);
    text.contains('/') || is_known || is_there
}

fn named(text: &str) -> Result<Vec<Server>, Failure> {
    servers(text).map_err(|error| {
        // An URL may hold a password: its error says what may be said.
        let message = match Target::is_url(text) {
            true => error.to_string(),
            false => format!("{text} is no file or folder that is here, and no server: {error}"),
        };
        Failure::new(Exit::BadInput, message).hint(
            "TARGET is a file, a folder, HOST, HOST:PORT or postgresql://…; without one, \
             everything issued is listed",
        )
    })
}

fn servers(text: &str) -> Result<Vec<Server>, TargetError> {
    let Target { endpoints, login } = text.parse()?;
    let server = |endpoint| Server {
        endpoint,
        login: login.clone(),
        may_be_path: !text.contains(':'),
    };
    Ok(endpoints.into_iter().map(server).collect())
}

/// The servers of a list; `#` begins a comment, as in pg_hba.conf.
fn listed(file: &Path) -> Result<Vec<Server>, Failure> {
    let list = list::read(file, "servers")?;
    let mut all = Vec::new();
    for (number, line) in list.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let number = number + 1;
        let named = servers(line).map_err(|error| {
            Failure::new(Exit::BadInput, format!("line {number}: {error}"))
                .hint("Each line is HOST, HOST:PORT or postgresql://…")
        })?;
        all.extend(named);
    }
    Ok(all)
}
