//! `pgpki export`: a credential that is there already, in the forms that other programs read.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use pgpki_authority::format::{self, CLIENT, Format, FormatError, Material, SERVER};
use pgpki_core::document::printable;
use pgpki_core::issue;
use pgpki_core::key::PrivateKey;
use pgpki_core::material::{self, Material as Found, MaterialError};
use pgpki_core::serial::Serial;
use pgpki_core::subject_key::SubjectKey;
use pgpki_fs::{NewFile, Owner, ReadError, Shelf, ShelfError};
use zeroize::Zeroizing;

use super::server;
use crate::args::Export;
use crate::exit::{Exit, Failure};
use crate::passphrase;
use crate::show::STRONG;

/// The largest file that is read, in bytes: a chain of a dozen RSA certificates is a tenth of it.
const MAX_FILE: u64 = 1 << 18;

/// The endings of the files that may hold the key, the first that is there counts.
const KEYS: [&str; 4] = ["key", "pk8", "pem", "p12"];

/// A credential as it was found.
struct Held {
    stem: &'static str,
    name: String,
    key: PrivateKey,
    certificate: String,
    roots: String,
    crls: Option<String>,
}

/// The file with a server's CRLs.
const CRL: &str = "root.crl";

pub(crate) fn run(args: &Export) -> Result<Exit, Failure> {
    let out = pgpki_fs::canonical(&args.out)?;
    check_place(args, &out)?;
    check_free(&out)?;
    let (folder, serial) = folder(args)?;
    let found = find(&folder, args.passphrase_file.as_deref())?;
    check_serial(&found, &folder, serial)?;
    let formats = args.formats.chosen();
    let sealed = match args.formats.is_sealed()? {
        true => Some(passphrase::for_pkcs12(&args.formats.passphrase)?),
        false => None,
    };
    let material = Material {
        key_passphrase: None,
        name: &found.name,
        stem: found.stem,
        key: &found.key,
        certificate: &found.certificate,
        roots: &found.roots,
        crls: found.crls.as_deref(),
        passphrase: sealed.as_ref().and_then(passphrase::New::as_text),
    };
    let forms = format::all(&formats, &material).map_err(|error| refused(&folder, &error))?;
    let certificate = format!("{}.crt", found.stem);
    let file = |(name, mode, bytes)| NewFile { name, mode, bytes };
    let public = [
        (certificate.as_str(), 0o644, found.certificate.as_bytes()),
        ("root.crt", 0o644, found.roots.as_bytes()),
    ];
    let crls = found.crls.iter().map(|crls| (CRL, 0o644, crls.as_bytes()));
    let secret = forms
        .iter()
        .map(|form| (form.name, 0o600, form.bytes.as_slice()));
    let files: Vec<_> = public
        .into_iter()
        .chain(crls)
        .chain(secret)
        .map(file)
        .collect();
    if let Some(sealed) = &sealed {
        sealed.show(&found.name)?;
    }
    put(&out, &files)?;
    report(&found, &formats, &out, &mut anstream::stdout().lock())?;
    Ok(Exit::Done)
}

/// The folder that is meant: itself, or where the certificate with a serial number was put.
fn folder(args: &Export) -> Result<(PathBuf, Option<Serial>), Failure> {
    let serial = args
        .what
        .to_str()
        .and_then(|text| text.parse::<Serial>().ok());
    let (false, Some(serial)) = (args.what.exists(), serial) else {
        return Ok((args.what.clone(), None));
    };
    let authority = args.home.open()?;
    let places = authority.ledger().places()?;
    let place = places.into_iter().find(|known| known.serial == serial);
    match place {
        Some(known) if known.place.path.join("current").exists() => {
            Ok((known.place.path.join("current"), Some(serial)))
        }
        Some(known) => Ok((known.place.path, Some(serial))),
        None => {
            let message = format!("no place is known that holds the certificate {serial}");
            Err(Failure::new(Exit::BadInput, message)
                .hint("Its key is nowhere but in the folder that it was handed over in: name that"))
        }
    }
}

/// That no rotation is going to renew what is put there as what it was before. Export needs no authority: where there is
/// none that can be opened, there is nothing to be known.
fn check_place(args: &Export, out: &Path) -> Result<(), Failure> {
    let Ok(authority) = args.home.open() else {
        return Ok(());
    };
    let Some(known) = authority.ledger().place(out)? else {
        return Ok(());
    };
    let (path, holder) = (shown(out), printable(&known.place.holder.to_string()));
    let message = format!("{path} is where the authority keeps what it has issued for {holder}");
    Err(Failure::new(Exit::Refused, message).hint(
        "Nothing was written: the next rotation would put its own in its place. Name another directory with --out;\n\
         pgpki issue-client and issue-server make that one again, with other formats as well",
    ))
}

/// Before anybody thinks of a passphrase, or is shown one.
fn check_free(out: &Path) -> Result<(), Failure> {
    match out.read_dir().map(|mut inside| inside.next().is_some()) {
        Ok(true) => Err(occupied(out)),
        // What else may be wrong with it shows when it is made.
        Ok(false) | Err(_) => Ok(()),
    }
}

fn occupied(out: &Path) -> Failure {
    Failure::new(
        Exit::Refused,
        format!("{} exists, and is not empty", shown(out)),
    )
    .hint("It is as it was. Name another directory with --out")
}

/// That it is the certificate which was asked for.
fn check_serial(held: &Held, folder: &Path, serial: Option<Serial>) -> Result<(), Failure> {
    let leaf = pgpki_core::first_certificate(held.certificate.as_bytes());
    let found = leaf.and_then(|leaf| issue::serial_of(&leaf));
    match serial {
        Some(serial) if found != Some(serial) => {
            let message = format!("{} holds another certificate than {serial}", shown(folder));
            Err(Failure::new(Exit::Refused, message)
                .hint("Nothing was written; pgpki rotate puts in place what belongs there"))
        }
        _ => Ok(()),
    }
}

fn find(folder: &Path, passphrase: Option<&Path>) -> Result<Held, Failure> {
    let stem = match folder.join("server.crt").exists() {
        true => SERVER,
        false => CLIENT,
    };
    let path = |name: &str| folder.join(name);
    let certificate_path = path(&format!("{stem}.crt"));
    let certificate = text(&certificate_path)?;
    let key_path = KEYS.map(|ending| path(&format!("{stem}.{ending}")));
    let key_path = key_path
        .iter()
        .find(|path| path.exists())
        .unwrap_or(&key_path[0]);
    let key = key(key_path, passphrase)?;
    let leaf = pgpki_core::first_certificate(certificate.as_bytes());
    let leaf = leaf.ok_or_else(|| bad(&certificate_path, &"it holds no certificate"))?;
    let belongs = SubjectKey::of_certificate(&leaf).is_some_and(|it| it == (&key).into());
    if !belongs {
        let (key, certificate) = (shown(key_path), shown(&certificate_path));
        let message = format!("{key} does not belong to {certificate}");
        return Err(Failure::new(Exit::Refused, message)
            .hint("Nothing was written; pgpki inspect FOLDER says what each file is"));
    }
    Ok(Held {
        stem,
        name: issue::subject_common_name(&leaf).unwrap_or_default(),
        key,
        certificate: certificates(&certificate),
        roots: certificates(&text(&path("root.crt"))?),
        crls: crls(stem, &path(CRL))?,
    })
}

/// The certificates of a file, and nothing else that it may hold, such as a key.
fn certificates(text: &str) -> String {
    let certificates = pgpki_core::certificates(text.as_bytes());
    let pem = certificates
        .iter()
        .map(|der| pgpki_core::pem("CERTIFICATE", der));
    pem.collect()
}

/// What a server's settings name beside its certificate, if it is there.
fn crls(stem: &str, path: &Path) -> Result<Option<String>, Failure> {
    match stem == SERVER && path.exists() {
        true => text(path).map(Some),
        false => Ok(None),
    }
}

/// The first key of a file, whatever its form.
fn key(path: &Path, passphrase: Option<&Path>) -> Result<PrivateKey, Failure> {
    let bytes = Zeroizing::new(read(path)?);
    let found = match material::read(&bytes, None) {
        Err(MaterialError::PassphraseNeeded(_)) => {
            let passphrase = passphrase::of_input(path, passphrase)?;
            material::read(&bytes, Some(&passphrase))
        }
        found => found,
    };
    let found = found.map_err(|error| bad(path, &error))?;
    let mut keys = found.into_iter().filter_map(|it| match it {
        Found::Key(key) => Some(key),
        Found::Pkcs12(opened) => opened.keys.into_iter().next().map(|entry| entry.item),
        _ => None,
    });
    keys.next()
        .ok_or_else(|| bad(path, &"it holds no private key"))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    pgpki_fs::read_bounded(path, MAX_FILE).map_err(|error| match error {
        ReadError::NotFound { .. } => Failure::from(error).hint(
            "A folder to export has postgresql.crt, postgresql.key and root.crt, or server.crt,\n\
             server.key and root.crt; for other files there is pgpki convert",
        ),
        error => error.into(),
    })
}

fn text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read(path)?).map_err(|_| bad(path, &"it is not PEM"))
}

fn bad(path: &Path, error: &dyn fmt::Display) -> Failure {
    Failure::new(Exit::BadInput, format!("{}: {error}", shown(path))).hint("Nothing was written")
}

fn refused(folder: &Path, error: &FormatError) -> Failure {
    Failure::new(Exit::BadInput, format!("{}: {error}", shown(folder))).hint("Nothing was written")
}

/// Makes the folder, whole.
fn put(out: &Path, files: &[NewFile<'_>]) -> Result<(), Failure> {
    let above = out.parent().unwrap_or(Path::new("/"));
    let name = out.file_name().unwrap_or_default();
    let (shelf, created) = Shelf::prepare(above)?;
    let made = (|| {
        let staged = shelf.stage(files, Owner::caller())?.sync()?;
        shelf
            .publish(staged, name, false)
            .map_err(|error| match error {
                ShelfError::Occupied { path } => occupied(&path),
                error => error.into(),
            })?;
        Ok(shelf.settle()?)
    })();
    drop(shelf);
    server::undo(made, created)
}

fn report(found: &Held, formats: &[Format], path: &Path, out: &mut impl Write) -> io::Result<()> {
    let formats: Vec<&str> = formats.iter().map(|format| format.as_str()).collect();
    let (name, formats) = (printable(&found.name), formats.join(", "));
    writeln!(out, "{STRONG}{name}{STRONG:#}  {formats}  {}", shown(path))
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}
