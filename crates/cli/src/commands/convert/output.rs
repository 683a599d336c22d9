//! Writing it: every form, and where it goes.

use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use pgpki_core::document::printable;
use pgpki_core::pkcs12::{self, ALIAS};
use pgpki_fs::{IoError, Output, OutputError};
use zeroize::Zeroizing;

use super::pieces::{Piece, Pieces};
use crate::args::{Convert, Form};
use crate::exit::{Exit, Failure};
use crate::passphrase::New;

/// What stands for standard output.
const STDOUT: &str = "-";

/// What is written, in parts: put together, a key would be copied about.
pub(super) struct Made(Vec<Zeroizing<Vec<u8>>>);

pub(super) fn pem(pieces: &Pieces, secret: Option<&[u8]>) -> Result<Made, Failure> {
    let text = |label, der: &[u8]| Zeroizing::new(pgpki_core::pem(label, der).into_bytes());
    let parts = pieces.0.iter().map(|piece| {
        Ok(match piece {
            Piece::Certificate(der) => text("CERTIFICATE", der),
            Piece::Request(der) => text("CERTIFICATE REQUEST", der),
            Piece::Crl(der) => text("X509 CRL", der),
            Piece::Key(key) => {
                let mut text = match secret {
                    Some(secret) => key.to_encrypted_pem(secret)?,
                    None => key.to_pem()?,
                };
                Zeroizing::new(std::mem::take(&mut *text).into_bytes())
            }
        })
    });
    parts.collect::<Result<_, Failure>>().map(Made)
}

pub(super) fn der(pieces: &Pieces, secret: Option<&[u8]>) -> Result<Made, Failure> {
    let parts = pieces.0.iter().map(|piece| {
        Ok(match (piece, secret) {
            (Piece::Key(key), Some(secret)) => key.to_encrypted_der(secret)?,
            (Piece::Key(key), None) => key.to_der(),
            (Piece::Certificate(der) | Piece::Request(der) | Piece::Crl(der), _) => {
                Zeroizing::new(der.clone())
            }
        })
    });
    parts.collect::<Result<_, Failure>>().map(Made)
}

pub(super) fn pkcs12(pieces: &Pieces, secret: &[u8]) -> Result<Made, Failure> {
    let bad_input = |error: pkcs12::WriteError| Failure::new(Exit::BadInput, error);
    let secret = std::str::from_utf8(secret)
        .map_err(|_| bad_input(pkcs12::WriteError::PassphraseNotAscii))?;
    let parts = pieces.keys().map(|key| {
        let made = pkcs12::write(key, &pieces.certificates(), ALIAS, secret);
        made.map(Zeroizing::new).map_err(bad_input)
    });
    parts.collect::<Result<_, _>>().map(Made)
}

/// Where it goes.
pub(super) enum Target {
    /// Standard output.
    Stdout,
    /// A file: its path, as it was given and in full, and whether one that is there is replaced.
    File {
        given: PathBuf,
        path: PathBuf,
        replace: bool,
    },
}

impl Target {
    /// Looks where it is to go, before anybody is asked for a passphrase.
    pub(super) fn of(args: &Convert, pieces: &Pieces) -> Result<Self, Failure> {
        match args.out.as_deref() {
            Some(out) if out.as_os_str() != STDOUT => Self::file(out, args.force),
            out => {
                if pieces.has_key() && out.is_none() {
                    let message = "there is a private key in what is written, and no --out says where it goes";
                    return Err(Failure::new(Exit::Usage, message)
                        .hint("--out FILE makes a file of mode 0600; --out - is standard output"));
                }
                let is_text = matches!(args.to, Form::Pem | Form::Pkcs8);
                if !is_text && io::stdout().is_terminal() {
                    let message = "what is written is no text for a terminal";
                    return Err(Failure::new(Exit::Usage, message)
                        .hint("Give --out FILE, or standard output to another program"));
                }
                Ok(Self::Stdout)
            }
        }
    }

    fn file(out: &Path, replace: bool) -> Result<Self, Failure> {
        let full = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
        let ends_as_directory = out.as_os_str().as_encoded_bytes().ends_with(b"/");
        let (Some(above), Some(name), false) = (full.parent(), full.file_name(), ends_as_directory)
        else {
            let message = format!("{} is not the path of a file", shown(out));
            return Err(Failure::new(Exit::BadInput, message));
        };
        let path = pgpki_fs::canonical(above)?.join(name);
        Output::check(&path, replace).map_err(|error| hinted(error, replace))?;
        Ok(Self::File {
            given: out.to_owned(),
            path,
            replace,
        })
    }

    /// Writes it, all of it or nothing, and shows a passphrase that was generated.
    pub(super) fn write(
        &self,
        made: &Made,
        pieces: &Pieces,
        new: Option<&New>,
    ) -> Result<(), Failure> {
        let show = || new.map_or(Ok(()), |new| new.show(&self.to_string()));
        match self {
            Self::Stdout => {
                show()?;
                let mut out = io::stdout().lock();
                // Whoever reads this wants all of it, unlike a report.
                write_all(made, &mut out).map_err(|error| {
                    let message = format!("cannot write to standard output: {error}");
                    Failure::new(Exit::Failed, message)
                })
            }
            Self::File { path, replace, .. } => {
                let failed = |error| hinted(error, *replace);
                let mut output = Output::create(path, *replace).map_err(failed)?;
                if !pieces.has_key() {
                    output = output.for_everybody();
                }
                write_all(made, &mut output).map_err(|source| IoError {
                    operation: "write",
                    path: path.clone(),
                    source,
                })?;
                show()?;
                output.commit().map_err(failed)?;
                writeln!(anstream::stdout().lock(), "{self}: {pieces}")?;
                Ok(())
            }
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("standard output"),
            Self::File { given, .. } => f.write_str(&shown(given)),
        }
    }
}

fn write_all(made: &Made, out: &mut impl Write) -> io::Result<()> {
    for part in &made.0 {
        out.write_all(part)?;
    }
    out.flush()
}

fn hinted(error: OutputError, replace: bool) -> Failure {
    let is_there = matches!(error, OutputError::AlreadyExists { .. });
    let failure = Failure::from(error);
    match is_there && !replace {
        true => failure.hint("It is as it was. --force replaces it once the new one is whole"),
        false => failure,
    }
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}
