//! Credentials that go out in one encrypted file each.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use pgpki_authority::ledger::{Place, PlaceKind};
use pgpki_authority::{Authority, ParcelError, RecipientError, Recipients};
use pgpki_core::document::printable;
use pgpki_core::issue::{Holder, Issued};
use pgpki_fs::{NewFile, OutputError, Shelf};
use time::OffsetDateTime;

use super::sealed::Sealed;
use crate::commands::server;
use crate::connect::{self, shell};
use crate::exit::{Exit, Failure};
use crate::show;

/// The largest list of recipients that is read, in bytes: a thousand keys.
const MAX_LIST: u64 = 1 << 17;

/// The name of the page that goes with each credential.
const PAGE: &str = "README.txt";

/// Everybody who is named, each by a key or by a file with keys.
pub(super) fn recipients(named: &[String]) -> Result<Recipients, Failure> {
    let mut all: Option<Recipients> = None;
    for text in named {
        let recipients = one(text)?;
        all = Some(match all {
            Some(all) => all.and(recipients),
            None => recipients,
        });
    }
    all.ok_or_else(|| refused("--encrypt-to", &RecipientError::Empty))
}

fn one(text: &str) -> Result<Recipients, Failure> {
    let is_key = ["age1", "ssh-", "AGE-SECRET-KEY-"]
        .iter()
        .any(|start| text.starts_with(start));
    if is_key {
        return Recipients::parse(text).map_err(|error| refused("--encrypt-to", &error));
    }
    let bytes = pgpki_fs::read_bounded(Path::new(text), MAX_LIST).map_err(|error| {
        Failure::from(error)
            .hint("--encrypt-to takes an age1… or ssh-ed25519 public key, or a file with such")
    })?;
    let list = String::from_utf8_lossy(&bytes);
    Recipients::parse(&list).map_err(|error| refused(text, &error))
}

fn refused(what: &str, error: &RecipientError) -> Failure {
    let message = format!("{}: {error}", printable(what));
    Failure::new(Exit::BadInput, message).hint("Nothing was issued")
}

/// What was sent, and why it ended early, if it did.
pub(super) struct Sent {
    pub(super) done: Vec<(Place, Issued)>,
    pub(super) failed: Option<Failure>,
}

/// Issues to each of the places, one after another, into a file beside where its folder would be.
pub(super) fn send(
    authority: &mut Authority,
    places: &[Place],
    recipients: &Recipients,
    sealed: &Sealed,
    now: OffsetDateTime,
) -> Result<Sent, Failure> {
    let hosts = hosts(authority)?;
    let shelf_path = places.first().and_then(|place| place.path.parent());
    let (shelf, created) = Shelf::prepare(shelf_path.unwrap_or(Path::new("/")))?;
    drop(shelf);
    let parcels: Vec<Place> = places.iter().cloned().map(into_file).collect();
    sealed.show()?;
    let mut sent = Sent {
        done: Vec::new(),
        failed: None,
    };
    for place in parcels {
        let page = page(&place, &hosts);
        let page = NewFile {
            name: PAGE,
            mode: 0o644,
            bytes: page.as_bytes(),
        };
        match authority.send(&place, recipients, page, sealed, now) {
            Ok(issued) => sent.done.push((place, issued)),
            Err(error) => {
                sent.failed = Some(failure(error));
                break;
            }
        }
    }
    match sent.failed.take_if(|_| sent.done.is_empty()) {
        Some(failure) => server::undo(Err(failure), created),
        None => Ok(sent),
    }
}

fn failure(error: ParcelError) -> Failure {
    match error {
        ParcelError::Deliver(error) => error.into(),
        ParcelError::Io(error) => error.into(),
        ParcelError::Output(error @ OutputError::AlreadyExists { .. }) => Failure::from(error)
            .hint("It is as it was. Move it away, or name another directory with --out"),
        ParcelError::Output(error) => error.into(),
        other => Failure::new(Exit::Failed, other),
    }
}

fn into_file(place: Place) -> Place {
    let mut path: OsString = place.path.into_os_string();
    path.push(".age");
    Place {
        path: path.into(),
        ..place
    }
}

/// The names of the authority's servers that a client can connect to.
fn hosts(authority: &Authority) -> Result<BTreeSet<String>, Failure> {
    let mut hosts = BTreeSet::new();
    for known in authority.ledger().places()? {
        if let (PlaceKind::Installation, Holder::Server(names)) =
            (known.place.kind, &known.place.holder)
        {
            hosts.extend(names.first().map(ToString::to_string));
        }
    }
    Ok(hosts)
}

/// What to do with it, for somebody who has never seen one.
fn page(place: &Place, hosts: &BTreeSet<String>) -> String {
    let role = show::holder(&place.holder);
    let host = match hosts.len() {
        1 => hosts.first().map_or("HOST", String::as_str),
        _ => "HOST",
    };
    let conninfo = format!(
        "host={host} dbname=DB user={} sslmode=verify-full",
        match &place.holder {
            Holder::Client(role) => connect::conninfo(role.as_str()),
            Holder::Server(_) => String::new(),
        }
    );
    let servers: Vec<&str> = hosts.iter().map(String::as_str).collect();
    format!(
        "A PostgreSQL client certificate for the role {role}.\n\
         \n\
         Whoever has what is in this folder can log in as that role: keep it to yourself.\n\
         \n\
         1. Make this folder yours alone, and let it be ~/.postgresql, where psql and everything\n   \
            else that is built on libpq looks:\n\
         \n     \
              chmod 700 {folder}\n     \
              mv {folder} ~/.postgresql\n\
         \n   \
            If there is one already, put these files into it, in place of those with the same names.\n\
         \n\
         2. Connect, always with sslmode=verify-full, which also checks that the server is the right one:\n\
         \n     \
              psql {conninfo}\n\
         \n   \
            The servers: {servers}\n\
         \n\
         Other drivers need the names of the files as well, and some of them another form of the key. If you have\n\
         pgpki: pgpki connect {argument} --host {host} --for all\n",
        folder = shell(&format!("./{role}")),
        conninfo = shell(&conninfo),
        servers = match servers.as_slice() {
            [] => "ask whoever sent you this".to_owned(),
            servers => servers.join(", "),
        },
        argument = shell(&role),
    )
}
