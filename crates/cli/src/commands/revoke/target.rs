//! What is to be revoked: a serial number, a role, or a file with a certificate.

use std::path::{Path, PathBuf};

use pgpki_authority::Authority;
use pgpki_authority::ledger::{KnownCa, Leaf, LedgerError};
use pgpki_core::document::{CertificateFacts, Document, Signature, printable};
use pgpki_core::issue::serial_of;
use pgpki_core::name::Role;
use pgpki_core::profile::Profile;
use pgpki_core::serial::Serial;
use time::OffsetDateTime;

use crate::exit::{Exit, Failure};
use crate::show;

/// From this many digits on, what is neither a role nor a file was meant to be a serial number: 128 bits have up to 32
/// hexadecimal and up to 39 decimal ones.
const SERIAL_DIGITS: usize = 30;

/// More than any file with a certificate and its chain has, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// What the certificate is called in a folder, or in an installation.
const IN_A_FOLDER: [&str; 3] = ["postgresql.crt", "server.crt", "current/server.crt"];

/// The certificates that are meant, revoked before or not: at least one.
pub(super) fn find(
    target: &Path,
    authority: &Authority,
    now: OffsetDateTime,
) -> Result<Vec<Leaf>, Failure> {
    if let Some(text) = target.to_str() {
        if let Some(leaf) = by_serial(text, authority)? {
            return Ok(vec![counting(leaf, now)?]);
        }
        if let Ok(role) = text.parse::<Role>() {
            let leaves = authority.ledger().leaves_of(&role, now)?;
            if !leaves.is_empty() {
                return Ok(leaves);
            }
        }
    }
    if target.exists() {
        return Ok(vec![counting(in_file(target, authority)?, now)?]);
    }
    Err(nothing(&printable(&target.to_string_lossy())))
}

fn nothing(name: &str) -> Failure {
    let is_serial = name.chars().filter(char::is_ascii_hexdigit).count() >= SERIAL_DIGITS
        && name.chars().all(|c| c.is_ascii_hexdigit() || c == ':');
    let (message, hint) = match is_serial {
        true => (
            format!("this authority knows no certificate with the serial number {name}"),
            "If it was issued after the backup that this authority was restored from, name a file with it instead:\n\
             pgpki revoke postgresql.crt",
        ),
        false => (
            format!(
                "the role {name} has no certificate that counts, and there is no file of that name"
            ),
            "pgpki inspect --all lists what was issued",
        ),
    };
    Failure::new(Exit::BadInput, message).hint(hint)
}

/// Hexadecimal as pgpki and openssl print it, or decimal as `pg_stat_ssl.client_serial` has it: whichever the ledger
/// knows. No role is called like a number of 128 random bits.
fn by_serial(text: &str, authority: &Authority) -> Result<Option<Leaf>, Failure> {
    let forms = [text.parse().ok(), Serial::from_decimal(text)];
    for serial in forms.into_iter().flatten() {
        if let Some(refused) = of_a_ca(authority, |der| serial_of(der) == Some(serial)) {
            return Err(refused);
        }
        if let Some(leaf) = authority.ledger().leaf(serial)? {
            return Ok(Some(leaf));
        }
    }
    Ok(None)
}

/// The refusal to revoke a CA, if one of its certificates is meant.
fn of_a_ca(authority: &Authority, is_meant: impl Fn(&[u8]) -> bool) -> Option<Failure> {
    let crosses = |ca: &KnownCa| {
        let cross = ca.cross.as_ref();
        cross.is_some_and(|cross| is_meant(&cross.certificate))
    };
    let mut cas = authority.hierarchy().cas();
    let ca = cas.find(|ca| is_meant(&ca.certificate) || crosses(ca))?;
    let name = printable(&ca.facts.common_name);
    let how = match ca.profile {
        Profile::Root => {
            "A root is retired, not revoked: pgpki rotate --root makes a new one, and --finish retires this one"
        }
        _ => {
            "pgpki rotate --issuing --compromised revokes it and all that it has signed, and replaces what is on this machine"
        }
    };
    Some(
        Failure::new(
            Exit::Refused,
            format!("that is the certificate of a CA, {name}"),
        )
        .hint(how),
    )
}

fn counting(leaf: Leaf, now: OffsetDateTime) -> Result<Leaf, Failure> {
    if now <= leaf.validity.not_after {
        return Ok(leaf);
    }
    let (name, end) = (printable(&leaf.common_name), leaf.validity.not_after);
    let message = format!(
        "the certificate {} of {name} ended on {}, and is refused since: there is nothing to revoke",
        leaf.serial,
        show::date(end)
    );
    Err(Failure::new(Exit::BadInput, message))
}

/// The certificate in a file, or in a folder; also one that the ledger does not know, after a restore, as long as one
/// of this authority's CAs has signed it.
fn in_file(path: &Path, authority: &Authority) -> Result<Leaf, Failure> {
    let bad = |path: &Path, what: &str| {
        let path = printable(&path.to_string_lossy());
        Failure::new(Exit::BadInput, format!("{path}: {what}"))
    };
    let folder = path.is_dir().then(|| path.canonicalize().ok()).flatten();
    let file = match path.is_dir() {
        true => {
            let mut files = IN_A_FOLDER.iter().map(|name| path.join(name));
            files
                .find(|file| file.exists())
                .ok_or_else(|| bad(path, "there is no postgresql.crt or server.crt in it"))?
        }
        false => path.to_owned(),
    };
    let bytes = pgpki_fs::read_bounded(&file, MAX_FILE)?;
    let document = Document::read(&bytes).map_err(|error| bad(&file, &error.to_string()))?;
    let (cas, leaves): (Vec<_>, Vec<_>) = document.certificates().partition(|it| it.is_ca);
    let leaf = match leaves[..] {
        [leaf] => leaf,
        [] => {
            let is_in_it = |der: &[u8]| cas.iter().any(|ca| ca.der == der);
            let none = "it holds no certificate of a server or role";
            return Err(of_a_ca(authority, is_in_it).unwrap_or_else(|| bad(&file, none)));
        }
        _ => {
            let names: Vec<String> = leaves
                .iter()
                .map(|leaf| format!("pgpki revoke {}  # {}", leaf.serial.hex, leaf.title()))
                .collect();
            return Err(
                bad(&file, "it holds several certificates: say which one").hint(names.join("\n"))
            );
        }
    };
    issued(leaf, folder, authority)?
        .ok_or_else(|| bad(&file, "this authority has not issued that certificate"))
}

fn issued(
    leaf: &CertificateFacts,
    folder: Option<PathBuf>,
    authority: &Authority,
) -> Result<Option<Leaf>, LedgerError> {
    let (Ok(serial), Some(ca)) = (
        leaf.serial.hex.parse::<Serial>(),
        signer(leaf, authority).map(|ca| ca.id),
    ) else {
        return Ok(None);
    };
    let known = authority.ledger().leaf(serial)?;
    let known = known.filter(|known| known.issuer == ca);
    let unknown = || -> Result<_, LedgerError> {
        Ok(Leaf {
            serial,
            issuer: ca,
            profile: leaf.profile().unwrap_or(Profile::Client),
            common_name: leaf.title(),
            validity: leaf.validity,
            revoked: authority.ledger().is_revoked(ca, serial)?,
            place: None,
        })
    };
    let mut leaf = known.map_or_else(unknown, Ok)?;
    // Its key may lie beside it, and then a server can be seen to refuse it.
    leaf.place = leaf.place.or(folder);
    Ok(Some(leaf))
}

fn signer<'a>(leaf: &CertificateFacts, authority: &'a Authority) -> Option<&'a KnownCa> {
    authority.hierarchy().cas().find(|ca| {
        let document = Document::read(&ca.certificate);
        document.is_ok_and(|document| {
            let mut cas = document.certificates();
            cas.any(|ca| leaf.signed_by(ca) == Signature::Good)
        })
    })
}
