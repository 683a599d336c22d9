//! The file with the passphrase of the server's key, as the server would find it.

use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use pgpki_authority::ledger::Place;
use pgpki_authority::{ServerPassphraseError, look_at_server_passphrase};
use pgpki_core::document::Document;
use pgpki_postgres::cluster::Cluster;
use pgpki_postgres::doctor::facts::{PassphraseFile, PassphraseState, Unseen};
use zeroize::Zeroizing;

/// More than a key takes, in bytes.
const MAX_KEY: u64 = 1 << 20;

/// Nothing where the key is to be open.
pub(super) fn file(place: &Place, cluster: &Cluster) -> Option<PassphraseFile> {
    let path = place.passphrase_file.clone()?;
    let looked = look_at_server_passphrase(&path, place.owner);
    let (state, passphrase) = match looked {
        Ok((passphrase, None)) => (PassphraseState::Usable, Some(passphrase)),
        Ok((passphrase, Some(error))) => (state(&path, &error), Some(passphrase)),
        Err(error) => (state(&path, &error), None),
    };
    let key = passphrase.and_then(|passphrase| key(place, cluster, &passphrase));
    Some(PassphraseFile { path, state, key })
}

fn state(path: &Path, error: &ServerPassphraseError) -> PassphraseState {
    let hint = error.hint();
    let mut hint = hint.unwrap_or_else(|| "Put a file there with the passphrase".to_owned());
    if !hint.ends_with('.') {
        hint.push('.');
    }
    let seen = Unseen {
        why: error.to_string(),
        hint,
    };
    match error {
        ServerPassphraseError::File(_) if may_be_closed_to_us(path) => {
            PassphraseState::Unknown(Unseen {
                hint: "Run it as root, or as the cluster's own user.".to_owned(),
                ..seen
            })
        }
        error if error.lets_the_server_in() => PassphraseState::Open(seen),
        _ => PassphraseState::Unusable(seen),
    }
}

/// Whether the server may have more from it than we.
fn may_be_closed_to_us(path: &Path) -> bool {
    access(path, AccessFlags::R_OK) == Err(Errno::EACCES)
}

/// The server's key, if it is the installed one, opened as far as that passphrase does.
fn key(place: &Place, cluster: &Cluster, passphrase: &[u8]) -> Option<Document> {
    let path = cluster.resolve(cluster.given("ssl_key_file")?.path());
    let installation = place.path.canonicalize().ok()?;
    let is_installed = |path: &Path| path.starts_with(&installation);
    let path = path.canonicalize().ok().filter(|path| is_installed(path))?;
    let bytes = Zeroizing::new(pgpki_fs::read_bounded(&path, MAX_KEY).ok()?);
    Document::open(&bytes, Some(passphrase)).ok()
}
