//! `pgpki issue-client`: a credential for each role, as a folder ready for `~/.postgresql`.

mod parcels;
mod sealed;

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use pgpki_authority::format::Format;
use pgpki_authority::ledger::{Earlier, Place, PlaceKind};
use pgpki_authority::{Authority, HandOver, OnFailure};
use pgpki_core::document::printable;
use pgpki_core::issue::{Holder, Issued};
use pgpki_core::name::Role;
use pgpki_fs::{Owner, Shelf};

use self::parcels::Sent;
use self::sealed::Sealed;
use super::{earlier, engine_path, server};
use crate::Clock;
use crate::args::IssueClient;
use crate::exit::{Exit, Failure};
use crate::list;
use crate::progress::Progress;
use crate::show::{self, FAINT, STRONG};

/// The formats that folders had before, by their paths.
type Former = HashMap<PathBuf, Vec<Format>>;

/// With more roles than this the report counts them, instead of filling the screen.
const LISTED: usize = 50;

pub(crate) fn run(args: &IssueClient, clock: Clock) -> Result<Exit, Failure> {
    let roles = roles(args)?;
    let formats = args.formats.chosen();
    let sealed = Sealed::new(&args.formats, &roles)?;
    let mut authority = args
        .home
        .open_to_sign(&args.token, &args.issuing_passphrase)?;
    let now = clock();
    let out = pgpki_fs::canonical(&args.out)?;
    let algorithm = args.key_algorithm.unwrap_or(authority.settings().algorithm);
    let place = |role: &Role| {
        let path = out.join(role.as_str());
        let kept = match args.formats.formats.is_empty() {
            true => kept(&authority, &path)?,
            false => None,
        };
        Ok::<_, Failure>(Place {
            kind: PlaceKind::Folder,
            holder: Holder::Client(role.clone()),
            algorithm,
            days: args.days,
            formats: kept.unwrap_or_else(|| formats.clone()),
            owner: Owner::caller(),
            passphrase_file: None,
            path,
        })
    };
    let places = roles.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    let had = earlier::of(&authority, roles.iter(), now)?;
    let former = former(&authority, &places)?;
    if !args.encrypt_to.is_empty() {
        let recipients = parcels::recipients(&args.encrypt_to)?;
        let sent = parcels::send(&mut authority, &places, &recipients, &sealed, now);
        return report_sent(sent?, &had);
    }
    sealed.show()?;
    let (shelf, created) = Shelf::prepare(&out)?;
    let progress = Progress::new(Some(places.len()));
    let done = authority.hand_over(&places, &shelf, OnFailure::Stop, &sealed, now, &|made| {
        progress.add(made)
    });
    drop(progress);
    drop(shelf);
    let done = server::undo(done.map_err(Failure::from), created)?;
    let mut stdout = anstream::stdout().lock();
    report(&done, &had, &former, &out, &mut stdout)?;
    drop(stdout);
    failures(done)
}

/// The formats of a folder that is issued to again.
fn kept(authority: &Authority, path: &Path) -> Result<Option<Vec<Format>>, Failure> {
    let Some(known) = authority.ledger().place(path)? else {
        return Ok(None);
    };
    if known.place.needs_a_person() {
        let names: Vec<&str> = known.place.formats.iter().map(|it| it.as_str()).collect();
        let (path, names) = (printable(&path.to_string_lossy()), names.join(","));
        let message = format!("{path} has the formats {names}, one of which needs a passphrase");
        return Err(Failure::new(Exit::Refused, message)
            .hint("Say which it is to have: --format, with a passphrase for pkcs12"));
    }
    Ok(Some(known.place.formats))
}

/// What the folders that are there have now, where that is other formats than they are going to have.
fn former(authority: &Authority, places: &[Place]) -> Result<Former, Failure> {
    let mut former = Former::new();
    for place in places {
        let known = authority.ledger().place(&place.path)?;
        let formats = known.map(|known| known.place.formats).unwrap_or_default();
        if formats.iter().any(|format| !place.formats.contains(format)) {
            former.insert(place.path.clone(), formats);
        }
    }
    Ok(former)
}

/// The roles from the command line and the list, each once, in order.
fn roles(args: &IssueClient) -> Result<Vec<Role>, Failure> {
    let list = match &args.from {
        Some(file) => list::read(file, "roles")?,
        None => String::new(),
    };
    let mut seen = HashSet::new();
    let mut roles = Vec::new();
    let mut add = |name: &str| {
        let role: Role = name.parse()?;
        if seen.insert(role.clone()) {
            roles.push(role);
        }
        Ok::<_, Failure>(())
    };
    args.roles.iter().try_for_each(|name| add(name))?;
    for (number, line) in list.lines().enumerate() {
        // A name may begin or end with a space, so lines are taken as they are.
        if !line.is_empty() {
            add(line).map_err(|failure| Failure {
                message: format!("line {}: {}", number + 1, failure.message),
                hint: Some("Nothing was issued. Take that line out of the list".to_owned()),
                ..failure
            })?;
        }
    }
    match roles.is_empty() {
        true => Err(Failure::new(Exit::BadInput, "the list names no role")),
        false => Ok(roles),
    }
}

fn report(
    done: &HandOver,
    had: &[(Role, Earlier)],
    former: &Former,
    out_dir: &Path,
    out: &mut impl Write,
) -> io::Result<()> {
    let issued: Vec<&Issued> = done.done.iter().map(|(_, issued)| issued).collect();
    if let [first, .., last] = issued.as_slice()
        && issued.len() > LISTED
    {
        let (number, until) = (issued.len(), show::date(last.validity.not_after));
        let from = printable(&first.common_name);
        let to = printable(&last.common_name);
        writeln!(
            out,
            "{STRONG}{number} roles{STRONG:#}  until {until}  {from} … {to}"
        )?;
    } else {
        for (place, issued) in &done.done {
            line(place, issued, out)?;
        }
    }
    if let Some(note) = issued.first().and_then(|issued| server::cut_note(issued)) {
        writeln!(out, "  {note}")?;
    }
    let issued: HashSet<&Path> = done.done.iter().map(|(place, _)| &*place.path).collect();
    let is_issued = |(role, _): &&(Role, Earlier)| issued.contains(&*out_dir.join(role.as_str()));
    let had: Vec<_> = had.iter().filter(is_issued).cloned().collect();
    earlier::print(&had, out)?;
    gone(done, former, out)?;
    let readable = |place: &&Place| place.formats.contains(&Format::Libpq);
    let made = done.done.iter().map(|(place, _)| place);
    let readable: Vec<&Place> = made.filter(readable).collect();
    engine_path::note(readable.iter().map(|place| place.path.as_path()), out)?;
    for left in &done.left {
        writeln!(out, "  left as it is: {}", printable(left))?;
    }
    next_step(!readable.is_empty(), done, out_dir, out)
}

fn next_step(
    is_for_libpq: bool,
    done: &HandOver,
    out_dir: &Path,
    out: &mut impl Write,
) -> io::Result<()> {
    let dir = printable(&out_dir.to_string_lossy());
    match is_for_libpq {
        _ if done.done.is_empty() => Ok(()),
        true => writeln!(
            out,
            "\n{FAINT}Each folder in {dir} becomes ~/.postgresql of its user, who connects with\n\
             psql \"host=HOST dbname=DB user=ROLE sslmode=verify-full\"{FAINT:#}"
        ),
        false => writeln!(
            out,
            "\n{FAINT}What a program takes from its folder in {dir}, and how, says\n\
             pgpki connect ROLE --for DRIVER{FAINT:#}"
        ),
    }
}

/// The files of formats that a folder had and does not have any more: a program may still look for one.
fn gone(done: &HandOver, former: &Former, out: &mut impl Write) -> io::Result<()> {
    let changed = done.done.iter().filter_map(|(place, _)| {
        let had = former.get(&place.path)?;
        Some((place, had))
    });
    for (place, had) in changed.clone().take(LISTED) {
        let has = |file: &str| place.formats.iter().any(|it| it.files().contains(&file));
        let files = had.iter().flat_map(|format| format.files());
        let mut gone: Vec<&str> = files.copied().filter(|file| !has(file)).collect();
        gone.sort_unstable();
        gone.dedup();
        let mut all: Vec<Format> = had.iter().chain(&place.formats).copied().collect();
        all.sort_unstable();
        all.dedup();
        let all: Vec<&str> = all.iter().map(|format| format.as_str()).collect();
        let (path, gone, all) = (
            printable(&place.path.to_string_lossy()),
            gone.join(", "),
            all.join(","),
        );
        writeln!(
            out,
            "  {path} has no {gone} any more: --format {all} would make it again"
        )?;
    }
    match changed.count().checked_sub(LISTED) {
        Some(more @ 1..) => writeln!(out, "  and {more} more folders have lost formats"),
        _ => Ok(()),
    }
}

fn report_sent(sent: Sent, had: &[(Role, Earlier)]) -> Result<Exit, Failure> {
    let mut out = anstream::stdout().lock();
    for (place, issued) in &sent.done {
        line(place, issued, &mut out)?;
    }
    earlier::print(had, &mut out)?;
    writeln!(
        out,
        "\n{FAINT}The recipient opens it with age -d -i KEY FILE | tar x. No rotation renews it.{FAINT:#}"
    )?;
    match sent.failed {
        Some(failure) => Err(Failure {
            exit: Exit::Findings,
            ..failure
        }),
        None => Ok(Exit::Done),
    }
}

fn line(place: &Place, issued: &Issued, out: &mut impl Write) -> io::Result<()> {
    let until = show::date(issued.validity.not_after);
    let role = show::holder(&place.holder);
    let path = printable(&place.path.to_string_lossy());
    writeln!(out, "{STRONG}{role}{STRONG:#}  until {until}  {path}")
}

/// Some folders may have failed after the others had been made.
fn failures(done: HandOver) -> Result<Exit, Failure> {
    let something_done = !done.done.is_empty();
    let more = done.failed.len().saturating_sub(1);
    let failure = match (done.failed.into_iter().next(), done.stopped) {
        (None, None) => return Ok(Exit::Done),
        (None, Some(error)) => error.into(),
        (Some((place, error)), _) => {
            let mut failure = Failure::from(error);
            let others = match more {
                0 => String::new(),
                more => format!(", and {} besides", show::count(more, "folder")),
            };
            let path = printable(&place.path.to_string_lossy());
            failure.message = format!("{path}: {}{others}", failure.message);
            failure
        }
    };
    match something_done {
        true => Err(Failure {
            exit: Exit::Findings,
            ..failure
        }),
        false => Err(failure),
    }
}
