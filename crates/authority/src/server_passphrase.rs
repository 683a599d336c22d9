//! The passphrase of a server's key: in a file, from which the server has it at each start and reload by
//! `ssl_passphrase_command`, and from which each renewal takes it again.

use std::path::{Path, PathBuf};

use pgpki_core::passphrase::{self, NotMade};
use pgpki_fs::{Owner, Text, TextError, shell_word};
use zeroize::{Zeroize as _, Zeroizing};

/// More than the file may hold, in bytes.
const MAX_FILE: u64 = 4096;

/// OpenSSL gives PostgreSQL a buffer of 1024 bytes for it (`PEM_BUFSIZE`, pem.h), the last of which is zero.
const MAX_BYTES: usize = 1023;

/// Any access by others than the owner.
const BEYOND_OWNER: u32 = 0o077;
/// Any access by others, or writing by the group: PostgreSQL's own rule for a key of root's.
const BEYOND_GROUP: u32 = 0o037;

/// Why a file is none from which a server can have its key's passphrase.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerPassphraseError {
    /// It cannot be read or made.
    #[error(transparent)]
    File(#[from] TextError),
    /// It is gone.
    #[error("{} is missing, which has the passphrase of the server's key", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Others than the server's user can read it, or he cannot.
    #[error(
        "{} belongs to {owner} and has the mode {mode:04o}: {server} must be able to read it, and nobody else",
        path.display()
    )]
    Access {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: Owner,
        /// Its mode.
        mode: u32,
        /// The server's user.
        server: Owner,
    },
    /// The server's user cannot come to it.
    #[error("{} is in {}, which {server} cannot enter", path.display(), directory.display())]
    Unreachable {
        /// The file.
        path: PathBuf,
        /// The directory that is closed.
        directory: PathBuf,
        /// The server's user.
        server: Owner,
    },
    /// Its first line is none that the server could use.
    #[error("the first line of {} is no passphrase: it {what}", path.display())]
    NoPassphrase {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// It would go wherever the key goes, or nobody but pgpki could read it.
    #[error("{} is inside of {}", path.display(), place.display())]
    Inside {
        /// The file.
        path: PathBuf,
        /// The installation or the home.
        place: PathBuf,
    },
    /// None could be made.
    #[error(transparent)]
    NotMade(#[from] NotMade),
}

impl ServerPassphraseError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Missing { path } => Some(format!(
                "Put it back; or have a new one made, with a new key: \
                 pgpki issue-server HOST… --install DIR --server-key-passphrase {}",
                shell_word(path)
            )),
            Self::Access { path, server, .. } => Some(format!(
                "chown {server} {path} && chmod 0600 {path}",
                path = shell_word(path)
            )),
            Self::Unreachable { .. } => {
                Some("Name a file elsewhere, or open that directory to him: chmod o+x".to_owned())
            }
            Self::NoPassphrase { .. } => {
                Some("Write one into it, or remove the file to have one made".to_owned())
            }
            Self::Inside { .. } => Some(
                "Name a file elsewhere, best on another file system, such as a tmpfs".to_owned(),
            ),
            Self::NotMade(_) => None,
        }
    }

    /// Whether no more is wrong than that others than the server can read the file as well.
    #[must_use]
    pub fn lets_the_server_in(&self) -> bool {
        let Self::Access {
            owner,
            mode,
            server,
            ..
        } = self
        else {
            return false;
        };
        match owner.uid == server.uid {
            true => mode & 0o400 != 0,
            false => mode & 0o044 != 0,
        }
    }
}

/// Sees to it that a file has a passphrase for the key of `server`, outside of `places`. Returns whether it was made.
///
/// # Errors
/// It has none, or others could read it; or it cannot be made.
pub fn prepare_server_passphrase(
    path: &Path,
    server: Owner,
    places: &[&Path],
) -> Result<bool, ServerPassphraseError> {
    if let Some(place) = places.iter().find(|place| path.starts_with(place)) {
        let (path, place) = (path.to_owned(), place.to_path_buf());
        return Err(ServerPassphraseError::Inside { path, place });
    }
    check_way(path, server)?;
    match read(path, server) {
        Err(ServerPassphraseError::Missing { .. }) => {}
        read => return read.map(|_| false),
    }
    let generated = passphrase::generate()?;
    let mut bytes = Vec::with_capacity(generated.len() + 1);
    bytes.extend_from_slice(generated.as_bytes());
    bytes.push(b'\n');
    let mut text = Text {
        bytes,
        owner: server,
        mode: 0o600,
    };
    let made = Text::exchange(path, None, Some(&text));
    text.bytes.zeroize();
    made?;
    Ok(true)
}

/// Removes the file that was made for something that came to nothing.
pub fn undo_server_passphrase(path: &Path) {
    // Whoever made it hears of what failed; there is nothing else to be done about this.
    if let Ok(Some(mut text)) = Text::read(path, MAX_FILE) {
        let _ = Text::exchange(path, Some(&text), None);
        text.bytes.zeroize();
    }
}

/// The first line of the file.
pub(crate) fn read(
    path: &Path,
    server: Owner,
) -> Result<Zeroizing<Vec<u8>>, ServerPassphraseError> {
    match read_open(path, server)? {
        (_, Some(error)) => Err(error),
        (line, None) => Ok(line),
    }
}

/// The passphrase in a file that `server` is to have its key's from, and what is wrong with who can read it, and with the
/// way there. Nothing is changed.
///
/// # Errors
/// There is none in it, or it cannot be read.
pub fn look_at_server_passphrase(
    path: &Path,
    server: Owner,
) -> Result<(Zeroizing<Vec<u8>>, Option<ServerPassphraseError>), ServerPassphraseError> {
    let (line, access) = read_open(path, server)?;
    Ok((line, access.or(check_way(path, server).err())))
}

/// The first line, and why it should not be used: who else can read it, or that the server cannot.
fn read_open(
    path: &Path,
    server: Owner,
) -> Result<(Zeroizing<Vec<u8>>, Option<ServerPassphraseError>), ServerPassphraseError> {
    let text = Text::read(path, MAX_FILE)?;
    let text = text.ok_or_else(|| ServerPassphraseError::Missing { path: path.into() })?;
    let bytes = Zeroizing::new(text.bytes);
    let is_good = match text.owner.uid {
        uid if uid == server.uid => text.mode & BEYOND_OWNER == 0 && text.mode & 0o400 != 0,
        // What systemd gives a unit is root's, and lets its user in by an access list, which shows as the group's bits.
        0 => text.mode & BEYOND_GROUP == 0 && text.mode & 0o040 != 0,
        _ => false,
    };
    let access = (!is_good).then(|| ServerPassphraseError::Access {
        path: path.into(),
        owner: text.owner,
        mode: text.mode,
        server,
    });
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or(&[]);
    // As PostgreSQL does (`pg_strip_crlf`).
    let end = line.iter().rposition(|byte| *byte != b'\r');
    let line = end.map_or(&[][..], |end| line.get(..=end).unwrap_or_default());
    let what = match line {
        [] => Some("is empty"),
        line if line.contains(&0) => Some("has a zero byte in it"),
        line if line.len() > MAX_BYTES => Some("is longer than 1023 bytes"),
        _ => None,
    };
    match what {
        Some(what) => Err(ServerPassphraseError::NoPassphrase {
            path: path.into(),
            what,
        }),
        None => Ok((Zeroizing::new(line.to_vec()), access)),
    }
}

/// That no directory above keeps the server's user out, as far as modes tell: other groups of his, and access lists, show
/// as the group's bits, and are left to the server.
fn check_way(path: &Path, server: Owner) -> Result<(), ServerPassphraseError> {
    use std::os::unix::fs::MetadataExt as _;
    for directory in path.ancestors().skip(1) {
        let Ok(seen) = directory.metadata() else {
            continue;
        };
        let needed = match seen.uid() {
            uid if uid == server.uid => 0o100,
            _ => 0o011,
        };
        if server.uid != 0 && seen.mode() & needed == 0 {
            return Err(ServerPassphraseError::Unreachable {
                path: path.into(),
                directory: directory.into(),
                server,
            });
        }
    }
    Ok(())
}
