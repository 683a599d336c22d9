//! The library that a token comes with, and where it may be.

use std::path::{Path, PathBuf};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Refusal, RvError};

use crate::error::{Call, Error};
use crate::token::{self, Token};
use crate::uri::Uri;

/// Where distributions put PKCS#11 modules: Debian's and Fedora's directories, on both architectures.
const DIRECTORIES: [&str; 11] = [
    "/usr/lib/x86_64-linux-gnu/pkcs11",
    "/usr/lib/aarch64-linux-gnu/pkcs11",
    "/usr/lib64/pkcs11",
    "/usr/lib/pkcs11",
    "/usr/lib/softhsm",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib/pkcs11",
    "/usr/local/lib",
];

/// The module of a name, as a URI's `module-name` has it: `softhsm2` is `libsofthsm2.so`.
///
/// # Errors
/// It is in none of the usual directories.
pub fn named_module(name: &str) -> Result<PathBuf, Error> {
    let files = [format!("{name}.so"), format!("lib{name}.so")];
    find(&files).ok_or_else(|| Error::NoModule {
        name: name.to_owned(),
    })
}

/// p11-kit's proxy, which knows the modules that the system is set up with; if it is installed.
#[must_use]
pub fn proxy_module() -> Option<PathBuf> {
    find(&["p11-kit-proxy.so".to_owned()])
}

fn find(files: &[String]) -> Option<PathBuf> {
    let in_directory = |directory: &&str| {
        let directory = Path::new(directory);
        let mut paths = files.iter().map(|file| directory.join(file));
        paths.find(|path| path.is_file())
    };
    DIRECTORIES.iter().find_map(in_directory)
}

/// A library that was opened and made ready. To be kept for as long as the process may need its tokens.
#[derive(Clone, Debug)]
pub struct Module {
    path: PathBuf,
    context: Pkcs11,
}

impl Module {
    /// Opens the library in this file, which then runs in this process.
    ///
    /// # Errors
    /// It cannot be loaded, or does not begin.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let unusable = |why: String| Error::Module {
            path: path.to_owned(),
            why,
        };
        let loaded = Pkcs11::new(path);
        let context = loaded.map_err(|error| unusable(reason(error)))?;
        // Threads sign side by side; the module may use the system's own locks.
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Refusal::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(unusable(Call::from(error).to_string())),
        }
        Ok(Self {
            path: path.to_owned(),
            context,
        })
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The one token that a URI means.
    ///
    /// # Errors
    /// There is none, or there are several; those that are there are listed.
    pub fn token(&self, uri: &Uri) -> Result<Token, Error> {
        token::find(self, uri)
    }

    pub(crate) fn context(&self) -> &Pkcs11 {
        &self.context
    }

    pub(crate) fn slots_error(&self, error: Refusal) -> Error {
        Error::Slots {
            path: self.path.clone(),
            call: error.into(),
        }
    }
}

/// The loader's own words, which name the file and what is missing.
fn reason(error: Refusal) -> String {
    match error {
        Refusal::LibraryLoading(error) => error.to_string(),
        other => Call::from(other).to_string(),
    }
}
