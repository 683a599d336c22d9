//! What must be true whatever happened: nothing torn, nothing open, nothing unknown, and the next
//! run puts everything right.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::fixture::{Fixture, said};
use crate::tree::{Content, Node, Tree, belong_together, holds_key, serial};

/// A rule that was broken, in words.
pub(crate) type Broken = String;

macro_rules! ensure {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            return Err(format!($($message)*));
        }
    };
}
pub(crate) use ensure;

const SERVER: [&str; 4] = ["root.crl", "root.crt", "server.crt", "server.key"];
const CLIENT: [&str; 3] = ["postgresql.crt", "postgresql.key", "root.crt"];

/// Ended by itself, and not by a panic.
pub(crate) fn ended_well(output: &Output) -> Result<i32, Broken> {
    let text = said(output);
    ensure!(!text.contains("panicked"), "panicked: {text}");
    match output.status.code() {
        Some(code @ 0..=6) => {
            let is_silent = code != 0 && output.stderr.is_empty() && output.stdout.is_empty();
            ensure!(!is_silent, "failed without a word: {text}");
            Ok(code)
        }
        other => Err(format!("ended with {other:?}: {text}")),
    }
}

/// The tree of a fixture with `home`, `tls` and `out` in it.
pub(crate) struct State(pub(crate) Tree);

impl State {
    pub(crate) fn of(fixture: &Fixture) -> Self {
        Self(fixture.tree())
    }

    /// The live generation of the installation.
    fn live(&self) -> Result<Tree, Broken> {
        let current = self
            .0
            .link("tls/current")
            .ok_or("there is no link tls/current")?;
        let live = self.0.below(Path::new("tls").join(current));
        ensure!(
            !live.0.is_empty(),
            "tls/current leads to {current:?}, which is not there"
        );
        Ok(live)
    }

    /// The installation is what it was, or a whole new one; returns whether it is new.
    pub(crate) fn installation_is_whole(&self, before: &Self) -> Result<bool, Broken> {
        let live = self.live()?;
        if live == before.live()? {
            return Ok(false);
        }
        is_whole(&live, &SERVER, "server").map_err(|why| format!("tls/current: {why}"))?;
        for same in ["root.crt", "root.crl"] {
            ensure!(
                live.file(same) == before.live()?.file(same),
                "tls/current/{same} is not the authority's"
            );
        }
        Ok(true)
    }

    /// The same for a client folder. What the user has put into it is still there.
    pub(crate) fn folder_is_whole(&self, role: &str, before: &Self) -> Result<bool, Broken> {
        let path = Path::new("out").join(role);
        let (now, then) = (self.0.below(&path), before.0.below(&path));
        if now == then {
            return Ok(false);
        }
        let ours = only(&now, &CLIENT);
        is_whole(&ours, &CLIENT, "postgresql").map_err(|why| format!("{path:?}: {why}"))?;
        Ok(true)
    }

    /// Whether a folder has a file of its user's.
    pub(crate) fn has_users_file(&self, role: &str, name: &str) -> bool {
        self.0
            .file(Path::new("out").join(role).join(name))
            .is_some()
    }

    /// Only the owner can read a key, or enter a directory in which there is one.
    pub(crate) fn is_closed(&self, fixture: &Fixture) -> Result<(), Broken> {
        for (path, node, bytes) in self.0.files() {
            if holds_key(bytes) {
                ensure!(
                    node.mode == 0o600,
                    "{path:?} is a key, mode {:04o}",
                    node.mode
                );
                let installed = path.starts_with("tls") && !is_temporary(path);
                let owner = if installed { fixture.owner().uid } else { 0 };
                let half_made = is_temporary(path) && node.uid == fixture.owner().uid;
                ensure!(
                    node.uid == owner || half_made,
                    "{path:?} is a key and belongs to {}",
                    node.uid
                );
            } else {
                ensure!(
                    matches!(node.mode, 0o600 | 0o644),
                    "{path:?} has mode {:04o}",
                    node.mode
                );
            }
        }
        for (path, node) in &self.0.0 {
            // `hand` is on the way to a shelf, and holds nothing itself.
            let mode = if path == Path::new("hand") {
                0o755
            } else {
                0o700
            };
            ensure!(
                node.content != Content::Dir || node.mode & !mode == 0,
                "{path:?} is a directory, mode {:04o}",
                node.mode
            );
        }
        Ok(())
    }

    /// Every certificate that is anywhere on disk is in the ledger.
    pub(crate) fn is_recorded(&self, fixture: &Fixture) -> Result<(), Broken> {
        let recorded = recorded(fixture)?;
        for (serial, path) in self.0.serials() {
            ensure!(
                recorded.contains(&serial),
                "{path:?} is not in the ledger ({serial})"
            );
        }
        Ok(())
    }

    /// Nothing is left of a run that did not come to its end.
    pub(crate) fn has_no_leftovers(&self) -> Result<(), Broken> {
        let left = leftovers(&self.0);
        ensure!(left.is_empty(), "left over: {left:?}");
        Ok(())
    }

    /// A place keeps three generations, the live one included.
    pub(crate) fn keeps_three(&self) -> Result<(), Broken> {
        let generations = |dir: &Path| {
            let tree = self.0.below(dir);
            tree.0
                .iter()
                .filter(|(path, node)| {
                    node.content == Content::Dir && path.to_string_lossy().starts_with('g')
                })
                .count()
        };
        let tls = generations("tls".as_ref());
        ensure!(tls <= 3, "{tls} generations are kept in tls");
        for path in self.0.below("out/.pgpki").0.keys() {
            if path.components().count() == 1 {
                let kept = generations(&Path::new("out/.pgpki").join(path));
                ensure!(kept <= 2, "{kept} former generations of {path:?} are kept");
            }
        }
        Ok(())
    }
}

/// What only exists while a run lasts. SQLite may keep its journal, but with nothing in it.
pub(crate) fn leftovers(tree: &Tree) -> Vec<PathBuf> {
    let is_empty = |node: &Node| node.content == Content::File(Vec::new());
    tree.0
        .iter()
        .filter(|(path, node)| is_temporary(path) && !(is_journal(path) && is_empty(node)))
        .map(|(path, _)| path.clone())
        .collect()
}

fn is_journal(path: &Path) -> bool {
    path.to_string_lossy().ends_with("-journal")
}

fn is_temporary(path: &Path) -> bool {
    is_journal(path)
        || path.iter().any(|name| {
            let name = name.to_string_lossy();
            name.contains(".new-") || name.starts_with(".current-") || name.starts_with("new-")
        })
}

/// These files alone, a key that fits its certificate, and a chain of two.
fn is_whole(dir: &Tree, names: &[&str], kind: &str) -> Result<(), Broken> {
    let there: Vec<&str> = dir.0.keys().filter_map(|path| path.to_str()).collect();
    ensure!(there == names, "holds {there:?}");
    let file = |name: String| dir.file(name).ok_or("it is no file");
    let (key, certificate) = (file(format!("{kind}.key"))?, file(format!("{kind}.crt"))?);
    ensure!(
        belong_together(key, certificate),
        "key and certificate do not belong together"
    );
    let chain = String::from_utf8_lossy(certificate)
        .matches("BEGIN CERTIFICATE")
        .count();
    ensure!(chain == 2, "a chain of {chain}");
    let root = file("root.crt".into())?;
    ensure!(serial(root).is_some(), "root.crt holds no certificate");
    for (path, node) in &dir.0 {
        let mode = if path.to_str() == Some(&format!("{kind}.key")) {
            0o600
        } else {
            0o644
        };
        ensure!(node.mode == mode, "{path:?} has mode {:04o}", node.mode);
    }
    Ok(())
}

fn only(tree: &Tree, names: &[&str]) -> Tree {
    let ours = tree
        .0
        .iter()
        .filter(|(path, _)| path.to_str().is_some_and(|name| names.contains(&name)));
    Tree(
        ours.map(|(path, node)| (path.clone(), node.clone()))
            .collect(),
    )
}

/// The serial numbers in the ledger.
fn recorded(fixture: &Fixture) -> Result<BTreeSet<String>, Broken> {
    let output = fixture
        .command(["inspect", "--all", "--json"])
        .output()
        .unwrap();
    let code = ended_well(&output)?;
    ensure!(code <= 1, "inspect: {}", said(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("inspect --json is no JSON: {error}"))?;
    let certificates = report["certificates"].as_array().ok_or("no certificates")?;
    let serials: Vec<String> = certificates
        .iter()
        .filter_map(|it| it["serial"].as_str())
        .map(str::to_owned)
        .collect();
    let distinct: BTreeSet<String> = serials.iter().cloned().collect();
    ensure!(
        distinct.len() == serials.len(),
        "a serial number is recorded twice"
    );
    Ok(distinct)
}

/// `rotate --force` succeeds, renews every one of these places, and leaves nothing lying about.
pub(crate) fn next_rotation_puts_it_right(fixture: &Fixture, roles: &[&str]) -> Result<(), Broken> {
    let before = State::of(fixture);
    let output = fixture.command(["rotate", "--force"]).output().unwrap();
    let code = ended_well(&output)?;
    ensure!(code == 0, "the next rotation: {}", said(&output));
    let after = State::of(fixture);
    let renewed = match before.live() {
        Ok(_) => after.installation_is_whole(&before)?,
        Err(_) => is_whole(&after.live()?, &SERVER, "server").is_ok(),
    };
    ensure!(
        renewed,
        "the next rotation did not renew tls: {}",
        said(&output)
    );
    for role in roles {
        ensure!(
            after.folder_is_whole(role, &before)?,
            "the next rotation did not renew {role}: {}",
            said(&output)
        );
    }
    after
        .has_no_leftovers()
        .map_err(|why| format!("after the next rotation: {why}"))?;
    after.keeps_three()?;
    after.is_closed(fixture)?;
    after.is_recorded(fixture)
}
