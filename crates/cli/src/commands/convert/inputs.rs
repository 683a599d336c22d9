//! Reading what is to be converted, with a passphrase where one is needed.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use pgpki_core::document::printable;
use pgpki_core::material::{self, Material, MaterialError};
use zeroize::Zeroizing;

use super::pieces::Pieces;
use crate::exit::{Exit, Failure};
use crate::passphrase::{self, Passphrase};

/// The largest file that is read, in bytes: a CRL of a million entries takes some 55 MB.
const MAX_FILE: u64 = 64 << 20;

/// Reads every file. One passphrase file is for all that is encrypted; a person is asked for each.
pub(super) fn read(files: &[PathBuf], passphrase_file: Option<&Path>) -> Result<Pieces, Failure> {
    let given = passphrase_file.map(passphrase::from_file).transpose()?;
    let mut pieces = Pieces::default();
    for path in files {
        for material in read_file(path, given.as_ref())? {
            if let Material::Pkcs12(opened) = &material {
                warn(path, opened.is_authentic, opened.others);
            }
            pieces.add(material);
        }
    }
    if pieces.0.is_empty() {
        let message = "there is no certificate, key, request or CRL in what was read";
        return Err(Failure::new(Exit::BadInput, message));
    }
    Ok(pieces)
}

fn read_file(path: &Path, given: Option<&Passphrase>) -> Result<Vec<Material>, Failure> {
    let bytes = Zeroizing::new(pgpki_fs::read_bounded(path, MAX_FILE)?);
    let first = material::read(&bytes, given.map(|secret| secret.as_slice()));
    let read = match first {
        Err(MaterialError::PassphraseNeeded(_)) if given.is_none() => {
            let secret = passphrase::of_input(path, None)?;
            material::read(&bytes, Some(&secret))
        }
        read => read,
    };
    read.map_err(|error| Failure::new(Exit::BadInput, format!("{}: {error}", path.display())))
}

fn warn(path: &Path, is_authentic: bool, others: usize) {
    let path = printable(&path.to_string_lossy());
    let mut err = io::stderr().lock();
    // Nothing can be done about a closed standard error.
    if !is_authentic {
        let _ = writeln!(
            err,
            "pgpki: warning: {path} has no MAC: whether somebody changed it cannot be told"
        );
    }
    if others > 0 {
        let _ = writeln!(
            err,
            "pgpki: warning: left out of {path}: {others} that are neither keys nor certificates"
        );
    }
}
