//! `pgpki backup`: the home in one encrypted file, consistent while others issue.

use std::fs::File;
use std::io::{self, IsTerminal as _, Seek as _, Write};
use std::path::{Path, PathBuf};

use pgpki_authority::{Authority, BackupError, Seal, Written};
use pgpki_core::document::printable;
use pgpki_fs::{IoError, Output, PrivateDir};
use time::OffsetDateTime;

use crate::Clock;
use crate::args::Backup;
use crate::exit::{Exit, Failure};
use crate::passphrase;
use crate::show::{STRONG, count};

/// What stands for standard output.
const STDOUT: &str = "-";

pub(crate) fn run(args: &Backup, clock: Clock) -> Result<Exit, Failure> {
    let to_stdout = args.file.as_os_str() == STDOUT;
    let target = match to_stdout {
        true => None,
        false => Some(target(args)?),
    };
    if to_stdout && io::stdout().is_terminal() {
        return Err(
            Failure::new(Exit::Usage, "a backup is no text for a terminal")
                .hint("Name a file, or give standard output to another program"),
        );
    }
    // An authority that is not there need not be given a passphrase.
    drop(args.home.open()?);
    let passphrase = passphrase::for_backup(args.passphrase_file.as_deref())?;
    // Before the home is locked: it takes a second.
    let seal = Seal::new(&passphrase)?;
    drop(passphrase);
    match target {
        Some(path) => {
            let written = to_file(args, seal, &path, clock)?;
            report(&written, &path, &mut anstream::stdout().lock())?;
        }
        None => to_stdout_with(args, seal, clock)?,
    }
    Ok(Exit::Done)
}

/// Where it goes: a name in a directory that is there, outside the home.
fn target(args: &Backup) -> Result<PathBuf, Failure> {
    let given = std::path::absolute(&args.file).unwrap_or_else(|_| args.file.clone());
    let ends_as_directory = args.file.as_os_str().as_encoded_bytes().ends_with(b"/");
    let (Some(above), Some(name), false) = (given.parent(), given.file_name(), ends_as_directory)
    else {
        let message = format!("{} is not the path of a file", shown(&args.file));
        return Err(Failure::new(Exit::BadInput, message));
    };
    let path = pgpki_fs::canonical(above)?.join(name);
    let home = args.home.path()?;
    if path.starts_with(&home) {
        let message = format!("{} is inside the authority's own directory", shown(&path));
        return Err(Failure::new(Exit::Refused, message)
            .hint("A backup that is lost with the home is none: choose another disk"));
    }
    Output::check(&path, args.force).map_err(|error| hinted(error, args.force))?;
    Ok(path)
}

fn hinted(error: pgpki_fs::OutputError, force: bool) -> Failure {
    let is_there = matches!(error, pgpki_fs::OutputError::AlreadyExists { .. });
    let failure = Failure::from(error);
    match is_there && !force {
        true => failure.hint("It is as it was. --force replaces it once the new one is whole"),
        false => failure,
    }
}

fn to_file(args: &Backup, seal: Seal, path: &Path, clock: Clock) -> Result<Written, Failure> {
    let authority = args.home.open_alone()?;
    let mut output = Output::create(path, args.force).map_err(|error| hinted(error, args.force))?;
    let written = write(&authority, seal, &mut output, clock(), path)?;
    // Nobody has to wait for the disk that it goes to.
    drop(authority);
    output.commit().map_err(|error| hinted(error, args.force))?;
    Ok(written)
}

/// First into a file without a name in the home, encrypted as it is: whoever reads may be slow, or
/// stop, and nobody could issue or revoke meanwhile.
fn to_stdout_with(args: &Backup, seal: Seal, clock: Clock) -> Result<(), Failure> {
    let authority = args.home.open_alone()?;
    let home = authority.home().to_owned();
    let dir = PrivateDir::open(&home)?;
    let mut spool = dir.spool()?;
    let written = write(&authority, seal, &mut spool, clock(), &home)?;
    drop(authority);
    let read = |source| IoError {
        operation: "read back from",
        path: home,
        source,
    };
    spool.rewind().map_err(read)?;
    copy_out(&mut spool)?;
    // Nothing can be done about a closed standard error.
    let _ = report(
        &written,
        "standard output".as_ref(),
        &mut anstream::stderr().lock(),
    );
    Ok(())
}

fn copy_out(spool: &mut File) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let copied = io::copy(spool, &mut out).and_then(|_| out.flush());
    // A reader that has gone has no backup, unlike one of a report, who may have seen enough.
    copied.map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("cannot write the backup to standard output: {error}"),
        )
    })
}

fn write(
    authority: &Authority,
    seal: Seal,
    out: impl Write,
    now: OffsetDateTime,
    path: &Path,
) -> Result<Written, Failure> {
    authority
        .back_up(seal, out, now)
        .map_err(|error| match error {
            BackupError::Write(source) => Failure::from(IoError {
                operation: "write",
                path: path.to_owned(),
                source,
            }),
            error => error.into(),
        })
}

fn report(written: &Written, path: &Path, out: &mut impl Write) -> io::Result<()> {
    let Written {
        bytes,
        cas,
        certificates,
    } = written;
    let cas = count(*cas, "CA");
    let path = shown(path);
    writeln!(out, "{STRONG}Backup{STRONG:#}     {path}  {bytes} bytes")?;
    writeln!(
        out,
        "  settings, ledger with {}, {cas} with keys",
        count(
            usize::try_from(*certificates).unwrap_or(usize::MAX),
            "certificate"
        )
    )?;
    writeln!(
        out,
        "  nothing but the passphrase opens it, and that is not stored anywhere"
    )
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}
