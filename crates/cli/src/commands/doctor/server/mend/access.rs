//! Owners and modes. The server's user owns an installation and is taken to be hostile: every file
//! is opened without following a link, looked at, and changed on that very descriptor. He also owns
//! the settings that say where the files are, and could name the authority's own key there: only
//! what the ledger knows for an installation is given to anybody or opened.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, Uid, fchown};
use pgpki_core::document::{Document, PublicKey};
use pgpki_fs::Owner;
use pgpki_postgres::doctor::Located;
use pgpki_postgres::doctor::facts::{Facts, FileSeen};
use zeroize::Zeroizing;

use super::act;

/// More than a key takes, in bytes.
const MAX_KEY: u64 = 1 << 20;

/// The mode of the server's own key and directories, and of what is nobody's secret.
const KEY: u32 = 0o600;
const DIRECTORY: u32 = 0o700;
const PUBLIC: u32 = 0o644;

pub(super) fn mend(facts: &Facts, findings: &[Located]) -> Vec<String> {
    let owner = facts.cluster.owner;
    let found = |code: &str, path: &Path| {
        let mut findings = findings.iter();
        findings.any(|it| it.finding.code == code && it.file.as_deref() == Some(path))
    };
    let mut done = Vec::new();
    let mut opened = BTreeSet::new();
    for file in facts.files.all() {
        let Some(place) = Place::of(&file.path) else {
            continue;
        };
        let is_key = file.parameter == "ssl_key_file";
        let is_his = file
            .status
            .as_ref()
            .is_ok_and(|status| status.uid == owner.uid);
        let is_known = place.is_known(facts);
        if is_key && (is_his || is_known) && found("key-mode", &file.path) {
            done.extend(close_key(&place.file));
        }
        if !is_known {
            continue;
        }
        for directory in [&place.installation, &place.generation] {
            if found("directory-closed", directory) && opened.insert(directory.clone()) {
                done.extend(open_directory(directory, owner));
            }
        }
        if is_key && (found("key-owner", &file.path) || found("key-unreadable", &file.path)) {
            done.extend(give_key(&place.file, owner, facts));
        }
        if !is_key && found("file-closed", &file.path) && is_public(file) {
            done.extend(open_file(&place.file));
        }
    }
    done
}

/// A file of an installation, with no link in any of the paths.
struct Place {
    installation: PathBuf,
    generation: PathBuf,
    file: PathBuf,
}

impl Place {
    /// Nothing where the path leads to no installation: what somebody else has set up is his to
    /// mend.
    fn of(path: &Path) -> Option<Self> {
        let file = path.canonicalize().ok()?;
        let generation = file.parent()?;
        let installation = generation.parent()?;
        let target = installation.join("current").read_link().ok()?;
        (Some(target.as_os_str()) == generation.file_name()).then(|| Self {
            installation: installation.to_owned(),
            generation: generation.to_owned(),
            file: file.clone(),
        })
    }

    /// Whether the ledger has it as the installation that the server reads.
    fn is_known(&self, facts: &Facts) -> bool {
        let issued = facts.issued.as_ref().ok();
        let known = issued.and_then(|issued| issued.server.as_ref());
        let known = known.and_then(|server| server.installation.canonicalize().ok());
        known.is_some_and(|known| known == self.installation)
    }
}

/// There is nothing secret in a certificate or CRL, and in a file with a key there is.
fn is_public(file: &FileSeen) -> bool {
    let document = file.content.as_ref();
    document.is_ok_and(|document| document.keys().next().is_none())
}

fn open_directory(path: &Path, owner: Owner) -> Option<String> {
    let what = format!(
        "giving the directory {} to {owner}, with mode {DIRECTORY:04o}",
        path.display()
    );
    act(what, || {
        let directory = handle(path, OFlag::O_DIRECTORY)?;
        if !directory.metadata()?.is_dir() {
            return Err(io::Error::other("it is no directory"));
        }
        set_mode(&directory, DIRECTORY)?;
        give(&directory, owner)
    })
}

fn close_key(path: &Path) -> Option<String> {
    let what = format!("setting the mode of {} to {KEY:04o}", path.display());
    let mended = || {
        let file = regular(path)?;
        // A key of root's is read through the server's group.
        let mode = match file.metadata()?.uid() {
            0 => KEY | 0o040,
            _ => KEY,
        };
        set_mode(&file, mode)
    };
    act(what, mended)
}

fn give_key(path: &Path, owner: Owner, facts: &Facts) -> Option<String> {
    let what = format!("giving {} to {owner}, with mode {KEY:04o}", path.display());
    act(what, || {
        let file = regular(path)?;
        // Whoever owns the directory can move another's file there.
        if !is_key_of(&file, public_key(facts)) {
            return Err(io::Error::other(
                "it is not the key of the server's certificate",
            ));
        }
        set_mode(&file, KEY)?;
        give(&file, owner)
    })
}

fn open_file(path: &Path) -> Option<String> {
    let what = format!("setting the mode of {} to {PUBLIC:04o}", path.display());
    act(what, || set_mode(&regular(path)?, PUBLIC))
}

fn public_key(facts: &Facts) -> Option<&PublicKey> {
    let document = facts.files.certificate.content.as_ref().ok()?;
    Some(&document.certificates().next()?.public_key)
}

fn is_key_of(file: &File, public_key: Option<&PublicKey>) -> bool {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = file.take(MAX_KEY).read_to_end(&mut bytes);
    let document = read.ok().and_then(|_| Document::read(&bytes).ok());
    let matches = |document: &Document| {
        let mut keys = document.keys();
        keys.any(|key| public_key.is_some_and(|public| key.matches(public) == Some(true)))
    };
    document.is_some_and(|document| matches(&document))
}

/// An ordinary file with one name, so that it is no other one as well.
fn regular(path: &Path) -> io::Result<File> {
    let file = handle(path, OFlag::O_NONBLOCK)?;
    let metadata = file.metadata()?;
    match metadata.is_file() && metadata.nlink() == 1 {
        true => Ok(file),
        false => Err(io::Error::other("it is no file with a single name")),
    }
}

/// Opens what stands at an absolute path, and follows no link on the way.
fn handle(path: &Path, flags: OFlag) -> io::Result<File> {
    const PASSING: OFlag = OFlag::O_PATH
        .union(OFlag::O_DIRECTORY)
        .union(OFlag::O_NOFOLLOW)
        .union(OFlag::O_CLOEXEC);
    let names: Vec<_> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect();
    let (last, above) = names
        .split_last()
        .ok_or_else(|| io::Error::other("it is the root directory"))?;
    let mut directory: OwnedFd = open("/", PASSING, Mode::empty())?;
    for name in above {
        directory = openat(&directory, *name, PASSING, Mode::empty())?;
    }
    let flags = flags | OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(&directory, *last, flags, Mode::empty())?.into())
}

fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    Ok(fchmod(file.as_fd(), Mode::from_bits_truncate(mode))?)
}

fn give(file: &File, owner: Owner) -> io::Result<()> {
    let metadata = file.metadata()?;
    if (metadata.uid(), metadata.gid()) == (owner.uid, owner.gid) {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    Ok(fchown(file, Some(uid), Some(gid))?)
}
