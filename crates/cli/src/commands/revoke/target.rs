//! What is to be revoked: a serial number, a role, or a file with a certificate.

use std::path::Path;

use pgpki_authority::Authority;
use pgpki_authority::ledger::{KnownCa, Leaf};
use pgpki_core::document::{CertificateFacts, Document, Signature, printable};
use pgpki_core::issue::serial_of;
use pgpki_core::name::Role;
use pgpki_core::profile::Profile;
use pgpki_core::serial::Serial;
use time::OffsetDateTime;

use crate::exit::{Exit, Failure};
use crate::show;

/// How many hexadecimal digits a serial number has as it is printed.
const SERIAL_DIGITS: usize = 32;

/// More than any file with a certificate and its chain has, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// What a folder's certificate is called.
const IN_A_FOLDER: [&str; 2] = ["postgresql.crt", "server.crt"];

/// The certificates that are meant, revoked before or not: at least one.
pub(super) fn find(
    target: &Path,
    authority: &Authority,
    now: OffsetDateTime,
) -> Result<Vec<Leaf>, Failure> {
    if let Some(text) = target.to_str() {
        if let Some(leaf) = by_serial(text, authority, now)? {
            return Ok(vec![leaf]);
        }
        if let Ok(role) = text.parse::<Role>() {
            let leaves = authority.ledger().leaves_of(&role, now)?;
            if !leaves.is_empty() {
                return Ok(leaves);
            }
        }
    }
    if target.exists() {
        return Ok(vec![in_file(target, authority, now)?]);
    }
    let name = printable(&target.to_string_lossy());
    Err(Failure::new(
        Exit::BadInput,
        format!("no certificate that counts is for the role {name}, and no file is called so"),
    )
    .hint("pgpki inspect --all lists what was issued"))
}

fn by_serial(
    text: &str,
    authority: &Authority,
    now: OffsetDateTime,
) -> Result<Option<Leaf>, Failure> {
    let digits = text.chars().filter(|c| *c != ':').count();
    let Some(serial) = text
        .parse::<Serial>()
        .ok()
        .filter(|_| digits == SERIAL_DIGITS)
    else {
        return Ok(None);
    };
    let of_ca = |ca: &&KnownCa| serial_of(&ca.certificate) == Some(serial);
    if let Some(ca) = authority.hierarchy().cas().find(of_ca) {
        let name = &ca.facts.common_name;
        let how = match ca.profile {
            Profile::Root => "pgpki rotate --root begins with a new one",
            _ => "pgpki rotate --issuing --compromised revokes it, and replaces what it has signed",
        };
        return Err(Failure::new(Exit::Refused, format!("{serial} is the CA {name:?}")).hint(how));
    }
    let leaf = authority.ledger().leaf(serial)?;
    leaf.map(|leaf| counting(leaf, now)).transpose()
}

fn counting(leaf: Leaf, now: OffsetDateTime) -> Result<Leaf, Failure> {
    if now <= leaf.validity.not_after {
        return Ok(leaf);
    }
    let (name, end) = (printable(&leaf.common_name), leaf.validity.not_after);
    let message = format!(
        "the certificate {} of {name} ended on {}: there is nothing to revoke",
        leaf.serial,
        show::date(end)
    );
    Err(Failure::new(Exit::BadInput, message))
}

/// The certificate in a file, or in a folder; also one that the ledger does not know, after a restore, as long as one
/// of this authority's CAs has signed it.
fn in_file(path: &Path, authority: &Authority, now: OffsetDateTime) -> Result<Leaf, Failure> {
    let file = match path.is_dir() {
        true => {
            let mut files = IN_A_FOLDER.iter().map(|name| path.join(name));
            files.find(|file| file.exists())
        }
        false => Some(path.to_owned()),
    };
    let bad = |what: &str| {
        Failure::new(
            Exit::BadInput,
            format!("{}: {what}", printable(&path.to_string_lossy())),
        )
    };
    let file = file.ok_or_else(|| bad("there is no postgresql.crt or server.crt in it"))?;
    let bytes = pgpki_fs::read_bounded(&file, MAX_FILE)?;
    let document = Document::read(&bytes).map_err(|error| bad(&error.to_string()))?;
    let leaf = document.certificates().find(|it| !it.is_ca);
    let leaf = leaf.ok_or_else(|| bad("there is no certificate of a server or role in it"))?;
    if let Ok(serial) = leaf.serial.hex.parse::<Serial>()
        && let Some(known) = authority.ledger().leaf(serial)?
        && signer(leaf, authority).is_some_and(|ca| ca.id == known.issuer)
    {
        return counting(known, now);
    }
    unknown(leaf, authority)
        .ok_or_else(|| bad("this authority has not issued that certificate"))
        .and_then(|leaf| counting(leaf, now))
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

fn unknown(leaf: &CertificateFacts, authority: &Authority) -> Option<Leaf> {
    Some(Leaf {
        serial: leaf.serial.hex.parse().ok()?,
        issuer: signer(leaf, authority)?.id,
        profile: leaf.profile()?,
        common_name: leaf.title(),
        validity: leaf.validity,
        revoked: false,
        place: None,
    })
}
