//! Where the published certificates and keys are that the tests read.

use std::fs;
use std::path::PathBuf;

use crate::versions::target_directory;

/// The folder's name in cargo's target directory.
const IN_TARGET: &str = "vectors";

/// In a folder that is finished: which package it was made from.
const STAMP: &str = "fetched-from";

/// The vectors of PyPI's `cryptography_vectors`: certificates, CRLs, requests, keys and PKCS#12, good
/// and malformed.
pub struct Vectors;

impl Vectors {
    /// The package, as pip knows it.
    pub const PACKAGE: &str = "cryptography_vectors==50.0.2";
    /// The SHA-256 of its wheel.
    pub const HASH: &str = "51641f03a3eb4edbe9fb68e3a3574d25f86aa502d06391fffa886330d02778a0";
    /// What of it is kept.
    pub const PARTS: [&str; 4] = ["asymmetric", "pkcs12", "pkcs7", "x509"];

    /// Where they are or will be: in `vectors` in cargo's target directory.
    pub fn folder() -> PathBuf {
        target_directory().join(IN_TARGET)
    }

    /// The folder, if the vectors are there. The error says how to get them.
    pub fn fetched() -> Result<PathBuf, String> {
        let folder = Self::folder();
        match fs::read_to_string(folder.join(STAMP)) {
            Ok(stamp) if stamp == Self::stamp() => Ok(folder),
            _ => Err(format!(
                "the vectors of {} are not in {}: `cargo xtask test` fetches them",
                Self::PACKAGE,
                folder.display()
            )),
        }
    }

    /// Says of a folder that everything is in it. Whoever fetches the vectors does that last.
    pub fn finish(folder: &std::path::Path) -> std::io::Result<()> {
        fs::write(folder.join(STAMP), Self::stamp())
    }

    fn stamp() -> String {
        format!("{}\n{}\n", Self::PACKAGE, Self::HASH)
    }
}
