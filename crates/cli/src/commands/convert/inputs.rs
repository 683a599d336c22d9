//! Reading what is to be converted, with a passphrase where one is needed.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use pgpki_core::document::printable;
use pgpki_core::material::{self, Material, MaterialError};
use zeroize::Zeroizing;

use super::pieces::Pieces;
use crate::exit::{Exit, Failure};
use crate::passphrase::{self, Passphrase};

/// As much as a pipe has at a time, in bytes.
const CHUNK: usize = 1 << 16;

/// What stands for standard input.
const STDIN: &str = "-";

/// The largest file that is read, in bytes: a CRL of a million entries takes some 55 MB.
const MAX_FILE: u64 = 64 << 20;

/// Reads every file. One passphrase file is for all that is encrypted; a person is asked for each.
pub(super) fn read(files: &[PathBuf], passphrase_file: Option<&Path>) -> Result<Pieces, Failure> {
    let given = passphrase_file.map(passphrase::from_file).transpose()?;
    let mut pieces = Pieces::default();
    if files.iter().filter(|path| is_stdin(path)).count() > 1 {
        let message = "standard input (-) can be read once";
        return Err(Failure::new(Exit::Usage, message));
    }
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
    let bytes = match is_stdin(path) {
        true => from_stdin()?,
        false => Zeroizing::new(pgpki_fs::read_bounded(path, MAX_FILE)?),
    };
    let first = material::read(&bytes, given.map(|secret| secret.as_slice()));
    let read = match first {
        Err(MaterialError::PassphraseNeeded(_)) if given.is_none() => {
            let secret = passphrase::of_input(path, None)?;
            material::read(&bytes, Some(&secret))
        }
        read => read,
    };
    read.map_err(|error| {
        let path = printable(&path.to_string_lossy());
        let failure = Failure::new(Exit::BadInput, format!("{path}: {error}"));
        match error {
            MaterialError::WrongPassphrase(_) => failure.hint(
                "Nothing was written. Give the one that it was encrypted with: --passphrase-file FILE, \
                 or without it at the terminal",
            ),
            _ => failure,
        }
    })
}

/// `./-` is a file of that name.
fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == STDIN
}

fn from_stdin() -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |error: io::Error| {
        let message = format!("cannot read standard input: {error}");
        Failure::new(Exit::Failed, message)
    };
    // The standard library's buffer would keep part of a key.
    let fd = io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    let mut input = File::from(fd);
    let mut chunk = Zeroizing::new([0; CHUNK]);
    let mut bytes = Zeroizing::new(Vec::with_capacity(CHUNK));
    loop {
        let read = match input.read(&mut *chunk) {
            Ok(0) => return Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(failed)?,
        };
        if bytes.len() + read > bytes.capacity() {
            // What grows by itself leaves a copy behind.
            let mut larger = Zeroizing::new(Vec::with_capacity(2 * bytes.capacity()));
            larger.extend_from_slice(&bytes);
            bytes = larger;
        }
        bytes.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if bytes.len() as u64 > MAX_FILE {
            let message = format!("standard input has more than {} MiB", MAX_FILE >> 20);
            return Err(Failure::new(Exit::BadInput, message));
        }
    }
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
