//! `--server-key-passphrase`: the file that a server has the passphrase of its key from.

use std::path::{Path, PathBuf};

use pgpki_authority::ledger::Place;
use pgpki_authority::{ServerPassphraseError, prepare_server_passphrase, undo_server_passphrase};
use pgpki_core::key::PrivateKey;
use pgpki_fs::TextError;
use zeroize::Zeroizing;

use crate::args::ServerKeyPassphrase;
use crate::exit::{Exit, Failure};
use crate::passphrase;

/// More than a server's key takes, in bytes.
const MAX_KEY: u64 = 1 << 16;

/// The file of a place whose key is to be encrypted, if it was made for that.
#[derive(Debug)]
pub(crate) struct KeyPassphrase {
    made: Option<PathBuf>,
    place: PathBuf,
}

impl KeyPassphrase {
    /// Sees to it that the file that a place has, if it has one, holds a passphrase. It may not be in the home.
    pub(crate) fn prepare(place: &Place, home: &Path) -> Result<Self, Failure> {
        let Some(file) = &place.passphrase_file else {
            return Ok(Self {
                made: None,
                place: place.path.clone(),
            });
        };
        let is_made = prepare_server_passphrase(file, place.owner, &[&place.path, home])?;
        Ok(Self {
            made: is_made.then(|| file.clone()),
            place: place.path.clone(),
        })
    }

    /// Removes it again if it was made for something that came to nothing. What failed may have left a key there all the
    /// same, and then nothing else opens that.
    pub(crate) fn undo<T>(self, result: Result<T, Failure>) -> Result<T, Failure> {
        result.inspect_err(|_| {
            if let Some(file) = &self.made
                && !self.opens_what_is_there(file)
            {
                undo_server_passphrase(file);
            }
        })
    }

    fn opens_what_is_there(&self, file: &Path) -> bool {
        let Ok(passphrase) = passphrase::from_file(file) else {
            return false;
        };
        let opens = |key: PathBuf| {
            let bytes = pgpki_fs::read_bounded(&key, MAX_KEY).map(Zeroizing::new);
            bytes.is_ok_and(|bytes| {
                let opens = |passphrase| PrivateKey::read(&bytes, passphrase).is_ok();
                !opens(None) && opens(Some(passphrase.as_slice()))
            })
        };
        opens(self.place.join("server.key")) || opens(self.place.join("current/server.key"))
    }
}

impl ServerKeyPassphrase {
    /// The file that was named, absolute and without symbolic links.
    pub(crate) fn file(&self) -> Result<Option<PathBuf>, Failure> {
        let file = self.server_key_passphrase.as_deref();
        Ok(file.map(pgpki_fs::canonical).transpose()?)
    }
}

impl From<ServerPassphraseError> for Failure {
    fn from(error: ServerPassphraseError) -> Self {
        let exit = match &error {
            ServerPassphraseError::Access { .. }
            | ServerPassphraseError::Unreachable { .. }
            | ServerPassphraseError::Inside { .. } => Exit::Refused,
            ServerPassphraseError::File(TextError::Io(_) | TextError::Make(_))
            | ServerPassphraseError::NotMade(_) => Exit::Failed,
            _ => Exit::BadInput,
        };
        let hint = error.hint();
        let failure = Self::new(exit, error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
