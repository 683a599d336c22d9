//! The passphrase and the age file (<https://c2sp.org/age>).

use std::io::{self, BufReader, Chain, Cursor, Read, Write};

use age::secrecy::SecretString;
use age::stream::{StreamReader, StreamWriter};
use age::{DecryptError, Decryptor, Encryptor};

use super::BackupError;

/// scrypt's N is 2 to the power of this, with r = 8: 256 MiB of memory and about a second. What
/// age(1) takes itself, and sixteen times the root key's in the home, which need not withstand
/// somebody who has carried it away.
const WORK_FACTOR: u8 = 18;

/// What is still tried: a backup that was encrypted again with age(1), and a later version's. A
/// file can ask for any amount of memory before its passphrase is known to be wrong; this is 1 GiB.
const MOST_WORK: u8 = 20;

/// More than the header of an age file for one passphrase takes (about 150 bytes). It is looked at
/// before age's parser, which would read a header of any length into memory.
const MAX_HEADER: u64 = 4096;

/// What a header ends with: a line with its MAC.
const HEADER_END: &[u8] = b"\n--- ";

/// A passphrase that was made into a key: what is slow about a backup, done before anybody has to
/// wait for it.
pub struct Seal(Encryptor);

impl Seal {
    /// Takes about a second, and 256 MiB of memory.
    ///
    /// # Errors
    /// The passphrase is not UTF-8.
    pub fn new(passphrase: &[u8]) -> Result<Self, BackupError> {
        let mut recipient = age::scrypt::Recipient::new(secret(passphrase)?);
        recipient.set_work_factor(WORK_FACTOR);
        let recipients = std::iter::once(&recipient as &dyn age::Recipient);
        let encryptor = Encryptor::with_recipients(recipients)
            .map_err(|error| BackupError::Write(io::Error::other(error.to_string())))?;
        Ok(Self(encryptor))
    }

    pub(super) fn over<W: Write>(self, out: W) -> Result<StreamWriter<W>, BackupError> {
        self.0.wrap_output(out).map_err(BackupError::Write)
    }
}

/// What stands in an age file.
pub(super) type Opened<R> = StreamReader<BufReader<Chain<Cursor<Vec<u8>>, R>>>;

/// Opens an age file with a passphrase.
pub(super) fn open<R: Read>(mut source: R, passphrase: &[u8]) -> Result<Opened<R>, BackupError> {
    let mut start = Vec::new();
    let beginning = (&mut source).take(MAX_HEADER);
    { beginning }
        .read_to_end(&mut start)
        .map_err(BackupError::Unreadable)?;
    let has_end = start.windows(HEADER_END.len()).any(|it| it == HEADER_END);
    let not_age = BackupError::NotABackup {
        why: "it does not begin as an age file does",
    };
    if !has_end {
        return Err(not_age);
    }
    let whole = BufReader::new(Cursor::new(start).chain(source));
    let decryptor = Decryptor::new_buffered(whole).map_err(|error| match error {
        DecryptError::Io(error) => failed(error),
        _ => not_age,
    })?;
    if !decryptor.is_scrypt() {
        return Err(BackupError::NotABackup {
            why: "it is an age file for a key, not for a passphrase",
        });
    }
    let mut identity = age::scrypt::Identity::new(secret(passphrase)?);
    identity.set_max_work_factor(MOST_WORK);
    let identities = std::iter::once(&identity as &dyn age::Identity);
    decryptor.decrypt(identities).map_err(|error| match error {
        DecryptError::ExcessiveWork { required, .. } => {
            let times = 1_u64.checked_shl(u32::from(required.saturating_sub(WORK_FACTOR)));
            BackupError::TooMuchWork(times.unwrap_or(u64::MAX))
        }
        DecryptError::Io(error) => failed(error),
        DecryptError::InvalidMac => BackupError::Damaged {
            why: "its header was changed".to_owned(),
        },
        _ => BackupError::WrongPassphrase,
    })
}

/// What a failure to read out of an opened age file means: one that the system reports is the
/// disk's; all others are the file's.
pub(super) fn failed(error: io::Error) -> BackupError {
    match error.raw_os_error() {
        Some(_) => BackupError::Unreadable(error),
        None => BackupError::Damaged {
            why: match error.kind() {
                io::ErrorKind::UnexpectedEof => "it ends too early".to_owned(),
                _ => error.to_string(),
            },
        },
    }
}

fn secret(passphrase: &[u8]) -> Result<SecretString, BackupError> {
    let text = std::str::from_utf8(passphrase).map_err(|_| BackupError::PassphraseNotText)?;
    Ok(SecretString::from(text))
}
