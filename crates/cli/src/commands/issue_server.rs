//! `pgpki issue-server`: another node's credential, into a folder or an installation.

use std::io::{self, Write};
use std::path::Path;

use pgpki_authority::Authority;
use pgpki_authority::ledger::{Place, PlaceKind};
use pgpki_core::issue::{Holder, Issued};
use pgpki_fs::{Installation, Owner, Shelf};
use time::OffsetDateTime;

use super::server;
use crate::args::IssueServer;
use crate::exit::{Exit, Failure};
use crate::show::{self, STRONG};

pub(crate) fn run(args: &IssueServer, now: OffsetDateTime) -> Result<Exit, Failure> {
    let holder = Holder::Server(server::hosts(&args.hosts)?);
    holder.common_name()?;
    let mut authority = args.home.open_alone()?;
    let algorithm = args.key_algorithm.unwrap_or(authority.settings().algorithm);
    let place = |path: &Path, kind, owner| {
        Ok::<_, Failure>(Place {
            path: pgpki_fs::canonical(path)?,
            kind,
            holder,
            algorithm,
            days: args.days,
            owner,
        })
    };
    let (place, issued) = match (&args.install, &args.out) {
        (Some(path), _) => {
            let owner = server::owner(args.owner.as_deref())?;
            let place = place(path, PlaceKind::Installation, owner)?;
            let issued = install(&mut authority, &place, now)?;
            (place, issued)
        }
        (None, Some(path)) => {
            let place = place(path, PlaceKind::Folder, Owner::caller())?;
            let issued = hand_over(&mut authority, &place, now)?;
            (place, issued)
        }
        (None, None) => unreachable!("clap requires one of the two"),
    };
    report(&place, &issued, &mut anstream::stdout().lock())?;
    Ok(Exit::Done)
}

fn install(
    authority: &mut Authority,
    place: &Place,
    now: OffsetDateTime,
) -> Result<Issued, Failure> {
    let is_known = authority.ledger().place(&place.path)?.is_some();
    let (installation, created) = Installation::prepare(&place.path, place.owner)?;
    let refused = match is_known {
        true => Ok(()),
        false => server::refuse_if_in_use(&installation),
    };
    let installed = refused.and_then(|()| Ok(authority.install(place, &installation, now)?.issued));
    server::undo(installed, created)
}

fn hand_over(
    authority: &mut Authority,
    place: &Place,
    now: OffsetDateTime,
) -> Result<Issued, Failure> {
    let above = place.path.parent().unwrap_or(Path::new("/"));
    let (shelf, created) = Shelf::prepare(above)?;
    let folders = std::slice::from_ref(place);
    let done = authority
        .hand_over(folders, &shelf, now, &|_| {})
        .map_err(Failure::from)
        .and_then(
            |done| match (done.done.into_iter().next(), done.failed.into_iter().next()) {
                (Some((_, issued)), _) => Ok(issued),
                (None, Some((_, error))) => Err(error.into()),
                (None, None) => unreachable!("one folder was asked for"),
            },
        );
    drop(shelf);
    server::undo(done, created)
}

fn report(place: &Place, issued: &Issued, out: &mut impl Write) -> io::Result<()> {
    let until = show::date(issued.validity.not_after);
    let names = show::holder(&place.holder);
    writeln!(out, "{STRONG}Server{STRONG:#}     {names}  until {until}")?;
    if let Some(note) = server::cut_note(issued) {
        writeln!(out, "  {note}")?;
    }
    let path = place.path.display();
    match place.kind {
        PlaceKind::Installation => writeln!(out, "  installed  {path}/current"),
        PlaceKind::Folder => writeln!(
            out,
            "  written    {path}\n\n\
             Copy that folder to the other machine, give it to the server's user with mode 0700,\n\
             and point ssl_cert_file, ssl_key_file, ssl_ca_file and ssl_crl_file at server.crt,\n\
             server.key, root.crt and root.crl in it."
        ),
    }
}
