//! Where the programs of one language are, and what they are made from.

use std::fs;
use std::path::PathBuf;

use crate::versions::target_directory;

/// The folder's name in cargo's target directory.
const IN_TARGET: &str = "drivers";

/// In a folder that is finished: the text of all that it was made from.
const STAMP: &str = "made-from";

/// The programs of one language: their sources, and the folder in which `cargo xtask drivers` makes
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toolbox {
    /// `std.bin`, `pq.bin` and `pgx.bin`.
    Go,
    /// `Connect.class`, and [`Toolbox::JDBC`].
    Java,
    /// `connect.js`, and `node_modules` with every driver.
    Node,
    /// `connect_*.py`, and a virtual environment with every driver in `venv`.
    Python,
    /// [`Toolbox::RUST_CLIENT`], which cargo builds.
    Rust,
    /// A package for Rust that a test writes, and its drivers, which are built in `target`.
    RustSnippets,
}

macro_rules! sources {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../clients/", $path)))),*]
    };
}

impl Toolbox {
    /// Every language.
    pub const ALL: [Self; 6] = [
        Self::Go,
        Self::Java,
        Self::Node,
        Self::Python,
        Self::Rust,
        Self::RustSnippets,
    ];

    /// pgJDBC, as it is called in Java's folder.
    pub const JDBC: &str = "postgresql.jar";

    /// The Rust client, as its package is called and its program in Rust's folder.
    pub const RUST_CLIENT: &str = "pgpki-rustls-client";

    /// What the programs are made from: paths below `crates/testing/clients`, and their texts.
    pub fn sources(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Go => sources!["go/std/main.go", "go/pq/main.go", "go/pgx/main.go"],
            Self::Java => sources!["java/Connect.java"],
            Self::Node => {
                sources![
                    "node/package.json",
                    "node/package-lock.json",
                    "node/connect.js"
                ]
            }
            Self::Python => sources![
                "python/requirements.txt",
                "python/connect_psycopg2.py",
                "python/connect_psycopg3.py",
                "python/connect_asyncpg.py",
                "python/connect_pg8000.py",
            ],
            Self::Rust => sources!["rustls/Cargo.toml", "rustls/src/main.rs"],
            Self::RustSnippets => sources![
                "snippets/Cargo.toml",
                "snippets/Cargo.lock",
                "snippets/src/main.rs",
                "snippets/src/cases.rs",
            ],
        }
    }

    /// Where the programs are or will be: in `drivers` in cargo's target directory.
    pub fn folder(self) -> PathBuf {
        let language = match self {
            Self::Go => "go",
            Self::Java => "java",
            Self::Node => "node",
            Self::Python => "python",
            Self::Rust => "rustls",
            Self::RustSnippets => "snippets",
        };
        target_directory().join(IN_TARGET).join(language)
    }

    /// The folder, if its programs are there and made from the sources as they are now. The error
    /// says how to make them.
    pub fn made(self) -> Result<PathBuf, String> {
        let folder = self.folder();
        match fs::read_to_string(folder.join(STAMP)) {
            Ok(stamp) if stamp == self.stamp() => Ok(folder),
            _ => Err(format!(
                "the clients in {} are missing or older than their sources: `cargo xtask drivers` \
                 makes them",
                folder.display()
            )),
        }
    }

    /// Says of the folder that it is finished. Whoever makes the programs does that last.
    pub fn finish(self) -> std::io::Result<()> {
        fs::write(self.folder().join(STAMP), self.stamp())
    }

    fn stamp(self) -> String {
        let source = |(path, text): &(&str, &str)| format!("=== {path}\n{text}");
        self.sources().iter().map(source).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// A file that is not listed would be missing from what is made.
    #[test]
    fn every_source_belongs_to_a_toolbox() {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
        let mut there = BTreeSet::new();
        let mut folders = vec![top.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => {
                        let path = path.strip_prefix(&top).unwrap();
                        there.insert(path.to_str().unwrap().to_owned());
                    }
                }
            }
        }
        // What the requirements were locked from.
        assert!(there.remove("python/requirements.in"));
        let listed = Toolbox::ALL.into_iter().flat_map(Toolbox::sources);
        let listed: BTreeSet<String> = listed.map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(there, listed);
    }
}
