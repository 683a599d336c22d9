//! All that is below a directory, in memory: to put it back, and to compare.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use pgpki_core::key::PrivateKey;

/// What stands under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Dir,
    File(Vec<u8>),
    Link(PathBuf),
    Fifo,
}

/// What stands under a name, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) content: Content,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Everything below a directory, by the path from there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree(pub(crate) BTreeMap<PathBuf, Node>);

impl Tree {
    pub(crate) fn read(root: &Path) -> Self {
        let mut tree = Self::default();
        tree.add(root, Path::new(""));
        tree
    }

    fn add(&mut self, root: &Path, below: &Path) {
        let mut names: Vec<_> = fs::read_dir(root.join(below))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        for name in names {
            let relative = below.join(name);
            let path = root.join(&relative);
            let seen = path.symlink_metadata().unwrap();
            let content = match seen.file_type() {
                kind if kind.is_dir() => Content::Dir,
                kind if kind.is_symlink() => Content::Link(fs::read_link(&path).unwrap()),
                kind if kind.is_fifo() => Content::Fifo,
                _ => Content::File(fs::read(&path).unwrap()),
            };
            let is_dir = content == Content::Dir;
            let node = Node {
                content,
                mode: seen.mode() & 0o7777,
                uid: seen.uid(),
                gid: seen.gid(),
            };
            self.0.insert(relative.clone(), node);
            if is_dir {
                self.add(root, &relative);
            }
        }
    }

    /// Makes a directory hold exactly this.
    pub(crate) fn restore(&self, root: &Path) {
        for entry in fs::read_dir(root).unwrap() {
            remove(&entry.unwrap().path());
        }
        for (relative, node) in &self.0 {
            let path = root.join(relative);
            match &node.content {
                Content::Dir => fs::create_dir(&path).unwrap(),
                Content::File(bytes) => fs::write(&path, bytes).unwrap(),
                Content::Link(target) => symlink(target, &path).unwrap(),
                Content::Fifo => panic!("no test has to put a FIFO back"),
            }
            if let Content::Link(_) = node.content {
                lchown(&path, Some(node.uid), Some(node.gid)).unwrap();
            } else {
                chown(&path, Some(node.uid), Some(node.gid)).unwrap();
                fs::set_permissions(&path, Permissions::from_mode(node.mode)).unwrap();
            }
        }
    }

    /// What is below one of its directories.
    pub(crate) fn below(&self, dir: impl AsRef<Path>) -> Self {
        let below = self.0.iter().filter_map(|(path, node)| {
            let rest = path.strip_prefix(&dir).ok()?;
            (rest != Path::new("")).then(|| (rest.to_owned(), node.clone()))
        });
        Self(below.collect())
    }

    pub(crate) fn file(&self, path: impl AsRef<Path>) -> Option<&[u8]> {
        match &self.0.get(path.as_ref())?.content {
            Content::File(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn link(&self, path: impl AsRef<Path>) -> Option<&Path> {
        match &self.0.get(path.as_ref())?.content {
            Content::Link(target) => Some(target),
            _ => None,
        }
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = (&Path, &Node, &[u8])> {
        self.0
            .iter()
            .filter_map(|(path, node)| match &node.content {
                Content::File(bytes) => Some((path.as_path(), node, bytes.as_slice())),
                _ => None,
            })
    }

    /// The serial numbers of all leaf certificates in it, with where they are.
    pub(crate) fn serials(&self) -> BTreeMap<String, PathBuf> {
        self.files()
            .filter_map(|(path, _, bytes)| Some((serial(bytes)?, path.to_owned())))
            .collect()
    }

    /// A listing, for the message of a failed test.
    pub(crate) fn listing(&self) -> String {
        let line = |(path, node): (&PathBuf, &Node)| {
            let what = match &node.content {
                Content::Dir => "dir".to_owned(),
                Content::File(bytes) => format!("{} bytes", bytes.len()),
                Content::Link(target) => format!("-> {}", target.display()),
                Content::Fifo => "FIFO".to_owned(),
            };
            let (mode, uid) = (node.mode, node.uid);
            format!("    {mode:04o} {uid:>5} {} {what}\n", path.display())
        };
        self.0.iter().map(line).collect()
    }
}

/// Removes whatever stands under a name.
pub(crate) fn remove(path: &Path) {
    match path.symlink_metadata() {
        Ok(seen) if seen.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

/// The serial number of the first certificate in a PEM file.
pub(crate) fn serial(pem: &[u8]) -> Option<String> {
    let der = pgpki_core::first_certificate(pem)?;
    Some(pgpki_core::issue::serial_of(&der)?.to_string())
}

/// Whether there is a private key in these bytes, in PEM.
pub(crate) fn holds_key(bytes: &[u8]) -> bool {
    contains(bytes, b"PRIVATE KEY-----")
}

/// Whether a key and a certificate, both PEM, belong together.
pub(crate) fn belong_together(key: &[u8], certificate: &[u8]) -> bool {
    let Ok(key) = PrivateKey::from_pem(key, None) else {
        return false;
    };
    pgpki_core::first_certificate(certificate)
        .is_some_and(|der| contains(&der, &key.public_key_info()))
}

pub(crate) fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
