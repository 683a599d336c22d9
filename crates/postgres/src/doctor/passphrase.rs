//! The file from which the server has the passphrase of its key, by what the authority of this machine knows.

use pgpki_core::document::{Document, Opening, printable};
use pgpki_core::finding::Finding;

use super::Located;
use super::facts::{Facts, PassphraseFile, PassphraseState, Unseen};

pub(super) fn judge(facts: &Facts) -> Vec<Located> {
    let Some(file) = facts.passphrase_file() else {
        return Vec::new();
    };
    let state = match &file.state {
        PassphraseState::Usable | PassphraseState::Unknown(_) => None,
        PassphraseState::Open(Unseen { why, hint }) => {
            Some(Finding::warning("passphrase-file-open", why, hint))
        }
        PassphraseState::Unusable(Unseen { why, hint }) => {
            Some(Finding::error("passphrase-file-unusable", why, hint))
        }
    };
    let state = state.map(|finding| Located::in_file(finding, &facts.files.key.path));
    state.into_iter().chain(mismatch(facts, file)).collect()
}

fn mismatch(facts: &Facts, file: &PassphraseFile) -> Option<Located> {
    let is_wrong = opening(file.key.as_ref()?)? == Opening::WrongPassphrase;
    is_wrong.then(|| {
        let finding = Finding::error(
            "passphrase-mismatch",
            format!(
                "the passphrase in {} does not open the server's key",
                printable(&file.path.to_string_lossy())
            ),
            "Put the passphrase there that the key has, or make a key that has this one: pgpki rotate --force. Until \
             then the server does not start with it.",
        );
        Located::in_file(finding, &facts.files.key.path)
    })
}

fn opening(key: &Document) -> Option<Opening> {
    Some(key.keys().next()?.opening)
}

impl Facts {
    /// The file that the authority has for the passphrase of the key.
    pub(super) fn passphrase_file(&self) -> Option<&PassphraseFile> {
        let server = self.issued.as_ref().ok()?.server.as_ref()?;
        server.passphrase_file.as_ref()
    }

    /// The key, opened with that file.
    pub(super) fn opened_key(&self) -> Option<&Document> {
        let key = self.passphrase_file()?.key.as_ref()?;
        (opening(key)? == Opening::Opened).then_some(key)
    }
}
