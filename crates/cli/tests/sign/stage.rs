//! An authority, and the requests that come to it.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use pgpki_testing::{Scene, run};
use serde_json::Value;

pub(crate) const USAGE: i32 = 2;
pub(crate) const REFUSED: i32 = 3;
pub(crate) const BAD_INPUT: i32 = 4;

/// More than any refusal takes, in bytes.
const LONGEST_REFUSAL: usize = 700;

pub(crate) struct Stage {
    pub(crate) scene: Scene,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// With these options of `init`.
    pub(crate) fn with(init: &str) -> Self {
        let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
        scene.init(init);
        fs::create_dir(scene.path("requests")).unwrap();
        Self { scene }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.scene.path(name)
    }

    /// A request that pgpki made: its file.
    pub(crate) fn request(&self, args: &[&str]) -> PathBuf {
        let out = ["request", "--out", "requests"];
        let said = run(&mut self.scene.command(out.iter().chain(args))).stdout;
        let said = String::from_utf8(said).unwrap();
        let line = said.lines().next().unwrap();
        PathBuf::from(line.strip_prefix("Request").expect(&said).trim())
    }

    /// Signs into `signed`, and returns what was said.
    #[track_caller]
    pub(crate) fn sign(&self, request: &Path, args: &[&str]) -> String {
        String::from_utf8(run(&mut self.signing(request, args)).stdout).unwrap()
    }

    /// The same as a command.
    pub(crate) fn signing(&self, request: &Path, args: &[&str]) -> std::process::Command {
        let mut command = self.scene.command(["sign", "--out", "signed"]);
        command.args(args).arg("--").arg(request);
        command
    }

    /// A refusal: one short message that names the request, and nothing is any different. Returns the message.
    #[track_caller]
    pub(crate) fn refuses(&self, status: i32, request: &Path, args: &[&str]) -> String {
        let message = self.unchanged(status, &mut self.signing(request, args));
        let name = request.file_name().unwrap().to_str().unwrap();
        let shown: String = name.chars().filter(|c| !c.is_control()).take(8).collect();
        assert!(message.contains(&shown), "{name}: {message}");
        message
    }

    /// A command that fails and changes nothing. Returns the message.
    #[track_caller]
    pub(crate) fn unchanged(&self, status: i32, command: &mut std::process::Command) -> String {
        let before = self.state();
        let message = self.scene.fails_with(status, command);
        assert!(self.state() == before, "something has changed: {message}");
        assert!(message.len() < LONGEST_REFUSAL, "{message}");
        assert_eq!(message.matches("pgpki: ").count(), 1, "{message}");
        assert!(is_plain(message.as_bytes()), "{message:?}");
        message
    }

    /// Every name in the scene, and what the ledger has.
    pub(crate) fn state(&self) -> (Vec<PathBuf>, Vec<u8>) {
        let mut names = Vec::new();
        let mut directories = vec![self.path("")];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    directories.push(entry.path());
                }
                names.push(entry.path());
            }
        }
        names.sort();
        let ledger = fs::read(self.scene.home().join("ledger.db")).unwrap();
        (names, ledger)
    }

    /// Every certificate of this holder, as the ledger lists it.
    pub(crate) fn issued_to(&self, name: &str) -> Vec<Value> {
        let output = self.scene.command(["inspect", "--all", "--json"]).output();
        let report: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
        let all = report["certificates"].as_array().unwrap();
        all.iter()
            .filter(|it| it["subject"] == name)
            .cloned()
            .collect()
    }
}

/// No control character and nothing that hides or turns text around.
pub(crate) fn is_plain(said: &[u8]) -> bool {
    let text = String::from_utf8(said.to_vec()).expect("what is said is UTF-8");
    text.chars().all(|c| {
        c == '\n'
            || (!c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'))
    })
}

pub(crate) fn said(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The names in a directory.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| String::from_utf8(entry.unwrap().file_name().as_bytes().to_vec()).unwrap())
        .collect();
    names.sort();
    names
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
