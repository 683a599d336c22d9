//! `pgpki issue-server`: another node's credential, into a folder or an installation.

use std::io::{self, Write};
use std::path::Path;

use pgpki_authority::format::Format;
use pgpki_authority::ledger::{KnownPlace, Place, PlaceKind};
use pgpki_authority::{
    Authority, DeliverError, HandOver, Installed, Live, NoPassphrases, OnFailure,
};
use pgpki_core::document::printable;
use pgpki_core::issue::{Holder, Issued};
use pgpki_fs::{Installation, Owner, Shelf, shell_word};
use time::OffsetDateTime;

use super::server::{self, KeyPassphrase};
use crate::Clock;
use crate::args::IssueServer;
use crate::exit::{Exit, Failure};
use crate::servers::LocalServers;
use crate::show::{self, FAINT, STRONG};

/// The generation of an installation that nobody can be using yet.
const FIRST: u32 = 1;

pub(crate) fn run(args: &IssueServer, clock: Clock) -> Result<Exit, Failure> {
    let hosts = server::hosts(&args.hosts)?;
    let holder = Holder::Server(hosts.clone());
    holder.common_name()?;
    let mut authority = args
        .home
        .open_to_sign(&args.token, &args.issuing_passphrase)?;
    let now = clock();
    let algorithm = args.key_algorithm.unwrap_or(authority.settings().algorithm);
    let named = args.server_key.file()?;
    let passphrase_file = |known: Option<KnownPlace>| match args.no_server_key_passphrase {
        true => None,
        false => named.or_else(|| known?.place.passphrase_file),
    };
    let place = |path: &Path, kind, owner| {
        let path = pgpki_fs::canonical(path)?;
        Ok::<_, Failure>(Place {
            passphrase_file: passphrase_file(authority.ledger().place(&path)?),
            path,
            kind,
            holder,
            algorithm,
            days: args.days,
            formats: vec![Format::Libpq],
            owner,
        })
    };
    let target = args.install.as_ref().or(args.out.as_ref());
    if let Some(path) = target.filter(|_| !args.drop_names)
        && let Some(known) = authority.ledger().place(&pgpki_fs::canonical(path)?)?
    {
        server::refuse_if_names_go(&known, &hosts)?;
    }
    let (place, issued, installed) = match (&args.install, &args.out) {
        (Some(path), _) => {
            let owner = server::owner(args.owner.as_deref())?;
            let place = place(path, PlaceKind::Installation, owner)?;
            let mut servers = LocalServers::new(!args.no_reload, &authority, now)?;
            let installed = install(&mut authority, &place, &mut servers, now)?;
            authority.remember_clusters(servers.users())?;
            let is_configured = match args.no_reload {
                true => installed.live.generation > Some(FIRST),
                false => servers.users().next().is_some(),
            };
            let issued = installed.issued.clone();
            (place, issued, Some((installed.live, is_configured)))
        }
        (None, Some(path)) => {
            let place = place(path, PlaceKind::Folder, Owner::caller())?;
            let issued = hand_over(&mut authority, &place, now)?;
            (place, issued, None)
        }
        (None, None) => unreachable!("clap requires one of the two"),
    };
    report(
        &place,
        &issued,
        installed
            .as_ref()
            .map(|(live, is_configured)| (live, *is_configured)),
        &mut anstream::stdout().lock(),
    )?;
    Ok(Exit::Done)
}

fn install(
    authority: &mut Authority,
    place: &Place,
    servers: &mut LocalServers,
    now: OffsetDateTime,
) -> Result<Installed, Failure> {
    let is_known = authority.ledger().place(&place.path)?.is_some();
    let (installation, created) = Installation::prepare(&place.path, place.owner)?;
    let refused = match is_known {
        true => Ok(()),
        false => server::refuse_if_in_use(&installation),
    };
    let home = authority.home().to_owned();
    let installed = refused.and_then(|()| {
        let key = KeyPassphrase::prepare(place, &home)?;
        key.undo(
            authority
                .install(place, &installation, servers, now)
                .map_err(|error| failure(place, error)),
        )
    });
    server::undo(installed, created)
}

/// A server that has had an open key until now has to be told first how to open another one.
fn failure(place: &Place, error: DeliverError) -> Failure {
    let lacks_command = matches!(&error, DeliverError::PutBack { why, .. } if why.contains("requires a passphrase"));
    let failure = Failure::from(error);
    match place.passphrase_file.as_ref().filter(|_| lacks_command) {
        Some(file) => failure.hint(format!(
            "Tell the server first how to open it, and run this again after that:\n\
             pgpki configure --install {} --server-key-passphrase {}",
            shell_word(&place.path),
            shell_word(file)
        )),
        None => failure,
    }
}

fn hand_over(
    authority: &mut Authority,
    place: &Place,
    now: OffsetDateTime,
) -> Result<Issued, Failure> {
    let above = place.path.parent().unwrap_or(Path::new("/"));
    let (shelf, created) = Shelf::prepare(above)?;
    let key = match KeyPassphrase::prepare(place, authority.home()) {
        Ok(key) => key,
        Err(failure) => return server::undo(Err(failure), created),
    };
    let folders = std::slice::from_ref(place);
    let done = authority
        .hand_over(
            folders,
            &shelf,
            OnFailure::Stop,
            &NoPassphrases,
            now,
            &|_| {},
        )
        .map_err(Failure::from)
        .and_then(only);
    drop(shelf);
    key.undo(server::undo(done, created))
}

/// What became of the one folder.
fn only(done: HandOver) -> Result<Issued, Failure> {
    for left in &done.left {
        // Nothing can be done about a closed standard error.
        let _ = writeln!(io::stderr(), "pgpki: left as it is: {left}");
    }
    let failed = done.failed.into_iter().map(|(_, error)| error).next();
    match (failed.or(done.stopped), done.done.into_iter().next()) {
        (Some(error), _) => Err(error.into()),
        (None, Some((_, issued))) => Ok(issued),
        (None, None) => unreachable!("one folder was asked for"),
    }
}

/// `installed` is what is live now, and whether a server has been told before to use what is there.
fn report(
    place: &Place,
    issued: &Issued,
    installed: Option<(&Live, bool)>,
    out: &mut impl Write,
) -> io::Result<()> {
    let until = show::date(issued.validity.not_after);
    let names = show::holder(&place.holder);
    writeln!(out, "{STRONG}Server{STRONG:#}     {names}  until {until}")?;
    if let Some(note) = server::cut_note(issued) {
        writeln!(out, "  {note}")?;
    }
    let path = place.path.display();
    let Some((live, is_configured)) = installed else {
        writeln!(
            out,
            "  written    {path}\n\n\
             Copy that folder to the other machine, give it to the server's user with mode 0700,\n\
             and point ssl_cert_file, ssl_key_file, ssl_ca_file and ssl_crl_file at server.crt,\n\
             server.key, root.crt and root.crl in it."
        )?;
        return elsewhere(place, out);
    };
    let generation = live.generation.unwrap_or_default();
    writeln!(out, "  installed  {path}/current -> g{generation:04}")?;
    let servers: Vec<&str> = live.taken_up.serving().map(|it| &**it).collect();
    if !servers.is_empty() {
        writeln!(out, "  served     {}", servers.join(", "))?;
    }
    if !is_configured {
        return server::configuration(&place.path, place.passphrase_file.as_deref(), out);
    }
    for why in live.taken_up.not_proven() {
        let why = printable(&why);
        writeln!(out, "  {FAINT}not proven{FAINT:#} {why}")?;
    }
    match servers.is_empty() {
        true => writeln!(
            out,
            "\nIt is served from the server's next start or reload on; the next rotate proves it."
        ),
        false => Ok(()),
    }
}

/// What opens a key that is encrypted, on the other machine.
fn elsewhere(place: &Place, out: &mut impl Write) -> io::Result<()> {
    let Some(file) = &place.passphrase_file else {
        return Ok(());
    };
    writeln!(
        out,
        "Its key is encrypted: bring {} there by another way, readable for the server's user alone, and say\n\
         in postgresql.conf where it is:\n",
        file.display()
    )?;
    server::passphrase_lines(Some(file), out)
}
