//! An authority, and the passphrases of its keys.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pgpki_testing::{Owner, Scene, run};

pub(crate) const DONE: i32 = 0;
pub(crate) const FINDINGS: i32 = 1;
pub(crate) const USAGE: i32 = 2;
pub(crate) const REFUSED: i32 = 3;
pub(crate) const BAD_INPUT: i32 = 4;

/// A file of the scene with each of these on its first line.
pub(crate) const PASSPHRASES: [(&str, &str); 3] = [
    ("right", "correct horse"),
    ("other", "battery staple"),
    ("wrong", "incorrect horse"),
];

/// How the label of an encrypted key begins.
const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const OPEN: &str = "-----BEGIN PRIVATE KEY-----";

pub(crate) struct Stage {
    pub(crate) scene: Scene,
}

impl Stage {
    /// An authority with these options of `init`, beside files with passphrases.
    pub(crate) fn with(init: &[&str]) -> Self {
        Self::since("+0d", init)
    }

    /// The same, that has been there for as long as faketime's words say.
    pub(crate) fn since(when: &str, init: &[&str]) -> Self {
        let Self { scene } = Self::empty();
        let owner = Owner::of_new_clusters().unwrap();
        let owner = format!("{}:{}", owner.uid, owner.gid);
        let tls = scene.tls();
        let line = ["init", "localhost", "--install", tls.to_str().unwrap()];
        let line = [&line[..], &["--owner", &owner], init].concat();
        run(&mut scene.command_at(when, line));
        Self { scene }
    }

    /// The passphrases alone.
    pub(crate) fn empty() -> Self {
        let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
        for (name, text) in PASSPHRASES {
            secret(&scene.path(name), text);
        }
        Self { scene }
    }

    /// Both keys open.
    pub(crate) fn open() -> Self {
        Self::with(&["--no-root-passphrase"])
    }

    /// The issuing key encrypted with "right", the root's open.
    pub(crate) fn encrypted() -> Self {
        Self::with(&["--no-root-passphrase", "--issuing-passphrase-file", "right"])
    }

    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        self.scene.command(args)
    }

    /// Runs a command that must end with `status`; both its streams.
    #[track_caller]
    pub(crate) fn ends<S: AsRef<OsStr>>(&self, status: i32, args: &[S]) -> String {
        ends_with(status, &mut self.command(args))
    }

    /// The same, and nothing of the home or the installation is any different after it.
    #[track_caller]
    pub(crate) fn unchanged<S: AsRef<OsStr>>(&self, status: i32, args: &[S]) -> String {
        let before = self.state();
        let said = self.ends(status, args);
        assert!(self.state() == before, "something has changed: {said}");
        said
    }

    /// The file of the key that was made as number `generation`.
    pub(crate) fn key(&self, whose: &str, generation: u32) -> PathBuf {
        let generation = format!("{whose}/g{generation:04}/ca.key");
        self.scene.home().join(generation)
    }

    #[track_caller]
    pub(crate) fn is_encrypted(&self, whose: &str, generation: u32) -> bool {
        let text = fs::read_to_string(self.key(whose, generation)).unwrap();
        assert!(text.starts_with(ENCRYPTED) || text.starts_with(OPEN));
        text.starts_with(ENCRYPTED)
    }

    /// Whether OpenSSL opens a key with the passphrase in a file.
    pub(crate) fn openssl_opens(&self, whose: &str, generation: u32, passphrase: &str) -> bool {
        self.openssl_opens_file(&self.key(whose, generation), passphrase)
    }

    /// The same of any file.
    pub(crate) fn openssl_opens_file(&self, key: &Path, passphrase: &str) -> bool {
        let mut pkey = Command::new("openssl");
        pkey.args(["pkey", "-noout", "-passin"]);
        pkey.arg(format!("file:{}", self.scene.path(passphrase).display()));
        pkey.arg("-in").arg(key);
        pkey.output().unwrap().status.success()
    }

    /// Every file of home and installation, with what is in it.
    pub(crate) fn state(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = files(&self.scene.home());
        found.extend(files(&self.scene.tls()));
        found
    }

    /// The names in the directory of a generation.
    pub(crate) fn names(&self, whose: &str, generation: u32) -> Vec<String> {
        let directory = self.key(whose, generation);
        let entries = fs::read_dir(directory.parent().unwrap()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

/// A file that only its owner can read.
pub(crate) fn secret(path: &Path, text: &str) {
    fs::write(path, format!("{text}\n")).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

#[track_caller]
pub(crate) fn ends_with(status: i32, command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(status), "{command:?}\n{text}");
    assert!(!text.contains("panicked"), "{text}");
    // What was generated is shown, what somebody has chosen never.
    for (_, passphrase) in PASSPHRASES {
        assert!(!text.contains(passphrase), "{text}");
    }
    text
}

pub(crate) fn said(output: &Output) -> String {
    let both = [&*output.stdout, &*output.stderr].concat();
    String::from_utf8(both).unwrap()
}

fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let kind = path.symlink_metadata().unwrap();
        match (kind.is_dir(), kind.is_symlink()) {
            (true, _) => found.extend(files(&path)),
            (_, true) => {
                let target = fs::read_link(&path).unwrap();
                found.push((path, target.into_os_string().into_encoded_bytes()));
            }
            _ => {
                let bytes = fs::read(&path).unwrap();
                found.push((path, bytes));
            }
        }
    }
    found
}
