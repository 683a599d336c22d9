//! A credential in one file that only its recipient can open: an age file (<https://c2sp.org/age>) around a tar. The key
//! is on no disk but inside of it, so that no rotation can renew what went out like this.

use std::io::{self, Write};

use age::{Encryptor, ssh, x25519};
use pgpki_core::issue::Issued;
use pgpki_fs::{IoError, NewFile, Output, OutputError, ShelfError};
use tar::{EntryType, Header};
use time::OffsetDateTime;

use crate::authority::Authority;
use crate::deliver::{DeliverError, Passphrases, Terms, check_text};
use crate::ledger::{CaId, Place};
use crate::uninterrupted::uninterrupted;

/// Why a text names no recipient.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientError {
    /// It is neither kind of key.
    #[error("{0:?} is no recipient: give an age1… or ssh-ed25519 public key, or a file with such")]
    Unknown(String),
    /// A key that is somebody's secret.
    #[error("that is a private key, which should be with its owner alone: give the public one")]
    Private,
    /// A kind of SSH key that cannot be encrypted to.
    #[error("SSH keys of the kind {0} cannot be encrypted to: give an ssh-ed25519 or age1… key")]
    Unsupported(String),
    /// A list without a recipient.
    #[error("it names no recipient")]
    Empty,
}

/// Those who can open a parcel, each of them.
pub struct Recipients(Vec<Box<dyn age::Recipient>>);

impl Recipients {
    /// Reads recipients, one a line, as `age -R` does: empty lines and those that begin with `#` are skipped.
    ///
    /// # Errors
    /// A line is no recipient, or there is none.
    pub fn parse(text: &str) -> Result<Self, RecipientError> {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !(line.is_empty() || line.starts_with('#')));
        let recipients = lines.map(recipient).collect::<Result<Vec<_>, _>>()?;
        match recipients.is_empty() {
            true => Err(RecipientError::Empty),
            false => Ok(Self(recipients)),
        }
    }

    /// These and those.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }
}

fn recipient(text: &str) -> Result<Box<dyn age::Recipient>, RecipientError> {
    if text.starts_with("AGE-SECRET-KEY-") || text.starts_with("-----BEGIN") {
        return Err(RecipientError::Private);
    }
    if let Ok(recipient) = text.parse::<x25519::Recipient>() {
        return Ok(Box::new(recipient));
    }
    let kind = text.split_whitespace().next().unwrap_or_default();
    let is_ssh = ["ssh-", "ecdsa-", "sk-"]
        .iter()
        .any(|start| kind.starts_with(start));
    match text.parse() {
        Ok(recipient @ ssh::Recipient::SshEd25519(..)) => Ok(Box::new(recipient)),
        // RSA among them: it is read by a crate whose private half leaks through time (RUSTSEC-2023-0071).
        Ok(_) => Err(RecipientError::Unsupported(kind.to_owned())),
        Err(_) if is_ssh && kind != "ssh-ed25519" => {
            Err(RecipientError::Unsupported(kind.to_owned()))
        }
        Err(_) => Err(RecipientError::Unknown(shortened(text))),
    }
}

/// Enough of a line to find it by.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Why a parcel was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParcelError {
    /// The credential was not made.
    #[error(transparent)]
    Deliver(#[from] DeliverError),
    /// The file was not made.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The file could not be written, or nothing be encrypted.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl Authority {
    /// Issues a credential into a file: a folder with the role's name, which has the place's formats and `page`. The
    /// path of `place` is the file's, and no place of the ledger's.
    ///
    /// # Errors
    /// No file was made, except where the error says that it was the last sync.
    pub fn send(
        &mut self,
        place: &Place,
        recipients: &Recipients,
        page: NewFile<'_>,
        passphrases: &dyn Passphrases,
        now: OffsetDateTime,
    ) -> Result<Issued, ParcelError> {
        check_text(&place.path)?;
        let output = Output::create(&place.path, false)?;
        let profile = place.holder.profile();
        let signer = self.signer(profile, now).map_err(DeliverError::from)?;
        let trust = self.trust(profile, now).map_err(DeliverError::from)?;
        let terms = Terms {
            signer: &signer,
            trust: &trust,
            settings: self.settings(),
            passphrases,
            now,
        };
        let credential = terms.make(place)?;
        let mut files = credential.files(&trust);
        files.push(page);
        let issued = &credential.issued;
        let pack = |out: &mut Output| pack(&issued.common_name, &files, recipients, out, now);
        uninterrupted(|| self.write_recorded(place, signer.id, issued, output, pack))?;
        Ok(credential.issued)
    }

    /// Records a certificate, and then writes the file with it.
    fn write_recorded(
        &mut self,
        place: &Place,
        issuer: CaId,
        issued: &Issued,
        mut output: Output,
        pack: impl FnOnce(&mut Output) -> io::Result<()>,
    ) -> Result<(), ParcelError> {
        let recorded = self.ledger.record_signed(issuer, issued);
        recorded.map_err(DeliverError::from)?;
        let written = pack(&mut output);
        let at = |source| IoError {
            operation: "write",
            path: place.path.clone(),
            source,
        };
        let done = match written.map_err(at) {
            Ok(()) => output.commit().map_err(ParcelError::from),
            Err(error) => Err(error.into()),
        };
        let has_its_name = place.path.exists();
        match done {
            Ok(()) => Ok(()),
            // Only the last sync has failed: somebody may take it.
            Err(ParcelError::Output(OutputError::Io(error))) if has_its_name => {
                let source = ShelfError::Io(error);
                Err(DeliverError::NotSettled { source }.into())
            }
            Err(error) => {
                // If this fails as well, the ledger lists a certificate that nobody has.
                let _ = self.ledger.take_back(&[(&place.path, issued.serial, None)]);
                Err(error)
            }
        }
    }
}

fn pack(
    folder: &str,
    files: &[NewFile<'_>],
    recipients: &Recipients,
    out: impl Write,
    now: OffsetDateTime,
) -> io::Result<()> {
    let recipients = recipients.0.iter().map(|recipient| &**recipient);
    let encryptor = Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
    let mut archive = tar::Builder::new(encryptor.wrap_output(out)?);
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    let header = |kind, mode, size| {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(seconds);
        header.set_size(size);
        header
    };
    let mut directory = header(EntryType::Directory, 0o700, 0);
    archive.append_data(&mut directory, format!("{folder}/"), io::empty())?;
    for file in files {
        let mut entry = header(EntryType::Regular, file.mode, file.bytes.len() as u64);
        archive.append_data(&mut entry, format!("{folder}/{}", file.name), file.bytes)?;
    }
    archive.into_inner()?.finish()?;
    Ok(())
}
