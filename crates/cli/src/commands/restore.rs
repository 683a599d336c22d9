//! `pgpki restore`: the home out of a backup, and what it has missed since.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use pgpki_authority::{Authority, Remembered};
use pgpki_core::document::printable;
use pgpki_core::profile::Profile;
use pgpki_fs::{open_file, shell_word};
use time::OffsetDateTime;

use crate::Clock;
use crate::args::Restore;
use crate::exit::{Exit, Failure};
use crate::passphrase;
use crate::show::{self, STRONG, WARNING, count};

/// What stands for standard input.
const STDIN: &str = "-";

/// How many of a kind are named; the others are counted.
const NAMED: usize = 20;

pub(crate) fn run(args: &Restore, clock: Clock) -> Result<Exit, Failure> {
    let home = args.home.path()?;
    if home.symlink_metadata().is_ok() {
        let message = format!("{} already exists", shown(&home));
        return Err(Failure::new(Exit::Refused, message).hint(
            "It is as it was. --home names another place; move it away if the backup is to stand there",
        ));
    }
    let source: Box<dyn Read> = match args.file.as_os_str() == STDIN {
        true if args.passphrase_file.is_none() => {
            return Err(Failure::new(
                Exit::Usage,
                "the backup comes from standard input, and the passphrase cannot",
            )
            .hint("Give --passphrase-file FILE"));
        }
        true => Box::new(io::stdin().lock()),
        false => Box::new(open(&args.file)?),
    };
    let passphrase = passphrase::of_backup(args.passphrase_file.as_deref())?;
    let restored = Authority::restore(&home, source, &passphrase, clock());
    let (staged, restored) = restored.map_err(|error| {
        let failure = Failure::from(error);
        let message = format!("{}: {}", shown(&args.file), failure.message);
        Failure { message, ..failure }
    })?;
    let remembered = restored.remembered;
    let newest = restored.newest;
    // The ledger is open under the name that is about to change.
    drop(restored.authority);
    staged.commit()?;
    report(
        &home,
        restored.certificates,
        &remembered,
        newest,
        &mut anstream::stdout().lock(),
    )?;
    // Who was revoked since may come back to life from where nobody could look.
    Ok(match remembered.unread.is_empty() && newest.is_none() {
        true => Exit::Done,
        false => Exit::Findings,
    })
}

fn open(path: &Path) -> Result<File, Failure> {
    Ok(open_file(path)?)
}

fn report(
    home: &Path,
    certificates: u64,
    remembered: &Remembered,
    newest: Option<OffsetDateTime>,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "{STRONG}Authority{STRONG:#}  {}", shown(home))?;
    let mut is_endorsed = false;
    let authority = Authority::open(home).ok();
    if let Some(authority) = &authority {
        let mut cas = authority.hierarchy().cas();
        is_endorsed = cas.any(|ca| ca.endorsement.is_some());
        for ca in authority.hierarchy().cas() {
            let kind = match ca.profile {
                Profile::Root => "root",
                _ => "issuing CA",
            };
            let until = show::date(ca.facts.validity.not_after);
            let name = printable(&ca.facts.common_name);
            writeln!(out, "  {kind:<11}{name}  until {until}")?;
        }
    }
    let certificates = usize::try_from(certificates).unwrap_or(usize::MAX);
    writeln!(out, "  ledger     {}", count(certificates, "certificate"))?;
    since(remembered, authority.as_ref(), out)?;
    if let Some(newest) = newest {
        writeln!(
            out,
            "{WARNING}Clock{WARNING:#}      something here begins on {} only: this machine's clock is behind, or another one was ahead.\n           \
             Put it right before anything is issued or revoked",
            show::date(newest)
        )?;
    }
    next(home, remembered, is_endorsed, out)
}

/// What the places on this machine showed of the time after the backup.
fn since(
    remembered: &Remembered,
    authority: Option<&Authority>,
    out: &mut impl Write,
) -> io::Result<()> {
    let places = count(remembered.places, "place");
    writeln!(
        out,
        "{STRONG}Since{STRONG:#}      {places} of its ledger looked at on this machine"
    )?;
    for (ca, number) in &remembered.crls {
        writeln!(out, "  newer CRL of {}: number {number}", printable(ca))?;
    }
    list(out, "revoked since", &remembered.revoked, |serial| {
        let leaf = authority.and_then(|it| it.ledger().leaf(*serial).ok().flatten());
        match leaf {
            Some(leaf) => format!(
                "{serial}  {} {}",
                leaf.profile,
                printable(&leaf.common_name)
            ),
            None => format!("{serial}  of whom the ledger knows nothing"),
        }
    })?;
    list(
        out,
        "not in the ledger, and is now",
        &remembered.certificates,
        |found| {
            let holder = &found.holder;
            format!("{}  {holder}, {}", shown(&found.path), found.serial)
        },
    )?;
    list(out, "a CA whose key is lost", &remembered.cas, |(_, ca)| {
        printable(ca)
    })?;
    list(
        out,
        "a CA that was revoked",
        &remembered.revoked_cas,
        |ca| printable(ca),
    )?;
    list(
        out,
        "not in the ledger, from a CA that it does not know",
        &remembered.strangers,
        |path| shown(path),
    )?;
    list(out, "is not here", &remembered.missing, |place| {
        format!("{}  {}", shown(&place.path), place.holder)
    })?;
    list(
        out,
        "could not be looked at",
        &remembered.unread,
        |(path, why)| format!("{}: {}", shown(path), printable(why)),
    )
}

fn list<T>(
    out: &mut impl Write,
    what: &str,
    items: &[T],
    line: impl Fn(&T) -> String,
) -> io::Result<()> {
    for item in items.iter().take(NAMED) {
        writeln!(out, "  {WARNING}{what}{WARNING:#}: {}", line(item))?;
    }
    match items.len().saturating_sub(NAMED) {
        0 => Ok(()),
        more => writeln!(out, "  {WARNING}{what}{WARNING:#}: {more} more"),
    }
}

fn next(
    home: &Path,
    remembered: &Remembered,
    is_endorsed: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let home = printable(&shell_word(home));
    writeln!(out, "{STRONG}Next{STRONG:#}")?;
    if !remembered.revoked_cas.is_empty() {
        writeln!(
            out,
            "  pgpki rotate --issuing --home {home}   a CA that was revoked signs nothing more"
        )?;
    }
    if !remembered.cas.is_empty() {
        // A lost root cannot revoke what is under it; without the root that vouches for it, nobody
        // trusts it.
        let is_root = |(profile, _): &(Profile, String)| *profile == Profile::Root;
        let how = match remembered.cas.iter().any(is_root) {
            true => "pgpki rotate --root, later --root --finish,",
            false => "pgpki rotate --issuing --compromised",
        };
        writeln!(
            out,
            "  if somebody else may have the lost keys: {how} --home {home}"
        )?;
    }
    let is_issuing = |(profile, _): &(Profile, String)| *profile == Profile::Issuing;
    if is_endorsed && remembered.cas.iter().any(is_issuing) {
        writeln!(
            out,
            "  the company may have certified the issuing CAs whose keys are lost as well: if somebody else may have those, it \
             must revoke them; pgpki does not know the serial numbers"
        )?;
    }
    if !remembered.missing.is_empty() {
        writeln!(
            out,
            "  a server's place that is not here is made again with pgpki issue-server --install or --out; folders that were handed over are with those who have them"
        )?;
    }
    writeln!(
        out,
        "  pgpki rotate --dry-run --home {home}   shows what is out of date on this machine"
    )?;
    writeln!(
        out,
        "  a certificate that was issued since and is not listed above is revoked by its file: pgpki revoke FILE --home {home}"
    )
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}
