//! `pgpki request`: a key, and a request for its certificate, where the key is to stay.

use std::io::{self, Write};
use std::path::Path;

use pgpki_core::document::printable;
use pgpki_core::issue::Holder;
use pgpki_core::key::PrivateKey;
use pgpki_core::request::{self, PEM_LABEL};
use pgpki_fs::{NewFile, Owner, Shelf, ShelfError};

use super::{engine_path, server, sign};
use crate::args::Request;
use crate::exit::{Exit, Failure};
use crate::show::{FAINT, STRONG};

pub(crate) fn run(args: &Request) -> Result<Exit, Failure> {
    let holder = match &args.role {
        Some(role) => Holder::Client(role.parse()?),
        None => Holder::Server(server::hosts(&args.hosts)?),
    };
    holder.common_name()?;
    let (key_file, request_file) = match holder {
        Holder::Client(_) => ("postgresql.key", "postgresql.csr"),
        Holder::Server(_) => ("server.key", "server.csr"),
    };
    let key = PrivateKey::generate(args.key_algorithm)?;
    let der = request::make(&key, &holder)?;
    // What whoever signs it will see.
    let made = request::Request::read(&der).map_err(|error| {
        Failure::new(Exit::Defect, format!("the request is not sound: {error}"))
    })?;
    let request = pgpki_core::pem(PEM_LABEL, &der);
    let pem = key.to_pem()?;
    let files = [
        NewFile {
            name: key_file,
            mode: 0o600,
            bytes: pem.as_bytes(),
        },
        NewFile {
            name: request_file,
            mode: 0o644,
            bytes: request.as_bytes(),
        },
    ];
    let (shelf, created) = Shelf::prepare(&pgpki_fs::canonical(&args.out)?)?;
    let folder = sign::folder(&holder);
    let published = publish(&shelf, &folder, &files);
    let path = shelf.path().join(&folder);
    drop(shelf);
    server::undo(published, created)?;
    let mut out = anstream::stdout().lock();
    report(&made, &holder, &path.join(request_file), &mut out)?;
    if matches!(holder, Holder::Client(_)) {
        engine_path::note([path.as_path()], &mut out)?;
    }
    Ok(Exit::Done)
}

/// A key that is there stays: whatever certificate it has would be lost with it.
fn publish(shelf: &Shelf, folder: &std::ffi::OsStr, files: &[NewFile<'_>]) -> Result<(), Failure> {
    let staged = shelf.stage(files, Owner::caller())?.sync()?;
    shelf
        .publish(staged, folder, false)
        .map_err(|error| match error {
            ShelfError::Occupied { path } => {
                let message = format!("{} is there already", path.display());
                Failure::new(Exit::Refused, message)
                    .hint("Nothing was changed. Move it away, or name another directory with --out")
            }
            error => error.into(),
        })?;
    Ok(shelf.settle()?)
}

fn report(
    made: &request::Request,
    holder: &Holder,
    file: &Path,
    out: &mut impl Write,
) -> io::Result<()> {
    let (kind, fingerprint) = (&made.facts().public_key.kind, made.key().fingerprint());
    let file = printable(&file.to_string_lossy());
    writeln!(out, "{STRONG}Request{STRONG:#}    {file}")?;
    writeln!(out, "  for        {holder}")?;
    writeln!(out, "  key        {kind}  SHA-256 {fingerprint}")?;
    writeln!(
        out,
        "\n{FAINT}Send that file to whoever runs the authority, and nothing else: the key beside it stays here. It is signed with\n\
         pgpki sign, which shows the same SHA-256: compare the two. What comes back goes beside the key.{FAINT:#}"
    )
}
