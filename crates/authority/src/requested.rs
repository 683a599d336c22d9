//! An authority that is to be: the key of its issuing CA is made, and a CA of somebody else's has been asked to certify
//! it. All that is known of it stands beside where its home is going to be, until the answer is there.

mod next;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pgpki_core::ca_key::CaKey;
use pgpki_core::endorsement::{EndorsementError, IssuerChain};
use pgpki_core::issue::Holder;
use pgpki_core::key::{KeyAlgorithm, KeyError};
use pgpki_core::name::Host;
use pgpki_core::request::{self, PEM_LABEL};
use pgpki_core::validity::Days;
use pgpki_fs::{
    Holder as LockHolder, IoError, Lock, NewPrivateDir, Owner, PrivateDir, PrivateError, WalkError,
};
use serde::Deserialize;
use time::OffsetDateTime;
use zeroize::Zeroizing;

pub use self::next::{GivenUp, NextAnswer, NextRequest};
use crate::authority::{Authority, AuthorityError};
use crate::ca_store::{KEY, KeptKey, URI, read_key};
use crate::endorsing::{Answered, Chains};
use crate::format::Format;
use crate::ledger::{Place, PlaceKind};
use crate::new_key::first_key;
use crate::settings::{self, Settings, quoted};
use crate::tokens::Hardware;

/// What is behind the name of the home that is to be.
const BEHIND: &str = ".requested";

/// The server's place, as `init` was told of it.
const PLACE: &str = "server.toml";

/// The request, once more.
const REQUEST: &str = "request.pem";

/// More than any of these files takes.
const MAX_BYTES: u64 = 1 << 20;

/// Why what was requested cannot be gone on with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestedError {
    /// The authority failed.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The answer cannot be used.
    #[error(transparent)]
    Answer(#[from] EndorsementError),
    /// The issuing CA's key is encrypted, or damaged.
    #[error("{}: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// The issuing CA is certified by nobody else.
    #[error("the issuing CA {0:?} was certified by no other CA, and so the next one is not")]
    NotEndorsed(
        /// Its common name.
        String,
    ),
    /// There is a request already.
    #[error("a request for the next issuing CA waits for its answer: {}/{REQUEST}", path.display())]
    Waits {
        /// Its directory.
        path: PathBuf,
    },
    /// There is none.
    #[error("no request waits for an answer: {} is missing", path.display())]
    NothingWaits {
        /// Where its directory would be.
        path: PathBuf,
    },
    /// A file of it is missing, or not what it should be.
    #[error("{} is missing, or not what pgpki wrote", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

/// A request that waits for its answer. Nobody else can go on with it meanwhile.
pub struct Requested {
    dir: PrivateDir,
    settings: Settings,
    place: Place,
    _lock: Lock,
}

/// Where a request for the authority at `home` waits for its answer.
#[must_use]
pub fn waiting_for(home: &Path) -> PathBuf {
    let mut name: OsString = home.as_os_str().to_owned();
    name.push(BEHIND);
    name.into()
}

/// The URI of the key of a request that waits in this directory, if it is in a token. There it stays when the request is
/// given up.
#[must_use]
pub fn key_in_token(waiting: &Path) -> Option<String> {
    let bytes = PrivateDir::open(waiting).ok()?.read_secret(URI, MAX_BYTES);
    let text = String::from_utf8(bytes.ok()??).ok()?;
    Some(text.trim().to_owned())
}

/// Makes the issuing CA's key, and a request with it, PEM. Nothing of it is there before the returned directory is
/// committed.
///
/// # Errors
/// Something is in the way, or the key cannot be made.
pub fn request(
    home: &Path,
    settings: &Settings,
    place: &Place,
    hardware: &Hardware,
    passphrase: Option<&[u8]>,
) -> Result<(NewPrivateDir, String), AuthorityError> {
    let staged = PrivateDir::stage_new(&waiting_for(home))?;
    let (key, kept) = first_key(hardware, settings.algorithm, passphrase)?;
    let name = format!("{} issuing CA 1", settings.name);
    let organization = &settings.organization;
    let request = request::make_issuing(&key, organization, &name, &settings.permitted)?;
    let request = pgpki_core::pem(PEM_LABEL, &request);
    let dir = staged.dir();
    write(dir, &kept, &request)?;
    dir.write_new(PLACE, 0o600, written(place).as_bytes())?;
    dir.write_new(settings::FILE, 0o600, settings.to_toml().as_bytes())?;
    Ok((staged, request))
}

fn write(dir: &PrivateDir, key: &KeptKey, request: &str) -> Result<(), AuthorityError> {
    match key {
        KeptKey::Pem(pem) => dir.write_new(KEY, 0o600, pem.as_bytes())?,
        KeptKey::Uri(uri) => dir.write_new(URI, 0o600, format!("{uri}\n").as_bytes())?,
    }
    Ok(dir.write_new(REQUEST, 0o600, request.as_bytes())?)
}

/// Removes a request that has come to its end, the key first: without one it is the rest of a run that was killed
/// meanwhile.
fn discard(dir: PrivateDir) -> Result<(), AuthorityError> {
    for name in [KEY, URI] {
        let path = dir.path().join(name);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                let operation = "remove";
                let error = IoError {
                    operation,
                    path,
                    source,
                };
                return Err(PrivateError::Io(error).into());
            }
            _ => {}
        }
    }
    Ok(dir.remove()?)
}

/// Whether there is no key in it any more.
fn is_spent(dir: &PrivateDir) -> Result<bool, AuthorityError> {
    Ok(!dir.has_secret(KEY)? && !dir.has_secret(URI)?)
}

/// The key that a request was made with, and how it is kept.
fn open_key(
    dir: &PrivateDir,
    hardware: &Hardware,
    passphrase: Option<&[u8]>,
) -> Result<(CaKey, KeptKey), RequestedError> {
    let read = |name: &str| {
        let bytes = dir.read_secret(name, MAX_BYTES);
        bytes.map_err(AuthorityError::from)
    };
    let damaged = |name: &str| RequestedError::Damaged {
        path: dir.path().join(name),
    };
    if let Some(uri) = read(URI)? {
        let uri = String::from_utf8(uri).map_err(|_| damaged(URI))?;
        let uri = uri.trim().to_owned();
        let key = hardware.tokens.key(&uri).map_err(AuthorityError::from)?;
        return Ok((key.into(), KeptKey::Uri(uri)));
    }
    let bytes = Zeroizing::new(read(KEY)?.ok_or_else(|| damaged(KEY))?);
    let key = read_key(&bytes, passphrase);
    let key = key.map_err(|source| RequestedError::Key {
        path: dir.path().join(KEY),
        source,
    })?;
    let kept = match passphrase {
        // It may have waited in the clear; whoever gives a passphrase does not want it to be kept so.
        Some(passphrase) => key
            .to_encrypted_pem(passphrase)
            .map_err(AuthorityError::from)?,
        None => {
            let text = std::str::from_utf8(&bytes).map_err(|_| damaged(KEY))?;
            Zeroizing::new(text.to_owned())
        }
    };
    Ok((key.into(), KeptKey::Pem(kept)))
}

impl RequestedError {
    /// What is wanted takes an issuing CA that is certified by somebody else.
    pub(crate) fn not_endorsed(authority: &Authority, now: OffsetDateTime) -> Self {
        let ca = authority.hierarchy().server_signer(now);
        let ca = ca.map(|ca| ca.facts.common_name.clone());
        Self::NotEndorsed(ca.unwrap_or_default())
    }
}

impl Requested {
    /// Opens what waits beside `home`, alone; nothing if nothing does.
    ///
    /// # Errors
    /// Another run is at it, or its files cannot be used.
    pub fn open(
        home: &Path,
        patience: Duration,
        on_wait: impl FnOnce(Option<LockHolder>),
    ) -> Result<Option<Self>, RequestedError> {
        let dir = match PrivateDir::open(&waiting_for(home)) {
            Err(PrivateError::Directory(WalkError::Missing { .. })) => return Ok(None),
            opened => opened.map_err(AuthorityError::from)?,
        };
        let lock = Lock::take(&dir, patience, on_wait).map_err(AuthorityError::from)?;
        if is_spent(&dir)? {
            if dir.path().exists() {
                discard(dir)?;
            }
            return Ok(None);
        }
        let read = |name: &str| {
            let bytes = dir.read(name, MAX_BYTES).map_err(AuthorityError::from)?;
            let path = dir.path().join(name);
            bytes.ok_or(RequestedError::Damaged { path })
        };
        let settings = Settings::parse(&read(settings::FILE)?);
        let settings = settings.map_err(|source| AuthorityError::Settings {
            path: dir.path().to_owned(),
            source,
        })?;
        let place = parsed(&read(PLACE)?, settings.algorithm);
        let place = place.ok_or_else(|| RequestedError::Damaged {
            path: dir.path().join(PLACE),
        })?;
        Ok(Some(Self {
            dir,
            settings,
            place,
            _lock: lock,
        }))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The settings of the authority.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The server's place.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Takes the answer: our certificate, and with it, or in `beside`, those of the CAs above it. The key is opened with
    /// the passphrase, if it is encrypted, or found in its token.
    ///
    /// # Errors
    /// The key cannot be had, or the answer is none for it.
    pub fn answered(
        &self,
        file: &[u8],
        beside: &[u8],
        hardware: &Hardware,
        passphrase: Option<&[u8]>,
        now: OffsetDateTime,
    ) -> Result<Answered, RequestedError> {
        let (key, kept) = open_key(&self.dir, hardware, passphrase)?;
        let (public, asked) = (key.public_key(), &self.settings.permitted);
        let (certificate, chains) = IssuerChain::read_answer(file, beside, &public, asked, now)?;
        Ok(Answered {
            key,
            kept,
            certificate,
            chains: Chains::new(chains).ok_or(EndorsementError::NoCertificate)?,
        })
    }

    /// Removes it, the key included: the authority has it now.
    ///
    /// # Errors
    /// A system call failed.
    pub fn remove(self) -> Result<(), AuthorityError> {
        discard(self.dir)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceFile {
    hosts: Vec<String>,
    installation: PathBuf,
    uid: u32,
    gid: u32,
    days: Option<u32>,
    passphrase_file: Option<PathBuf>,
}

fn written(place: &Place) -> String {
    let hosts: Vec<String> = match &place.holder {
        Holder::Server(hosts) => hosts.iter().map(|host| quoted(&host.to_string())).collect(),
        Holder::Client(_) => Vec::new(),
    };
    // A file's name may have a line feed in it, and a TOML string may not.
    let path = |path: &Path| {
        let quoted = quoted(&path.to_string_lossy());
        let escaped = quoted.chars().map(|c| match c.is_control() {
            true => format!("\\u{:04X}", u32::from(c)),
            false => c.to_string(),
        });
        escaped.collect::<String>()
    };
    let days = place.days.map(|days| format!("days = {}\n", days.get()));
    let passphrase_file = place.passphrase_file.as_deref();
    let passphrase_file = passphrase_file.map(|file| format!("passphrase_file = {}\n", path(file)));
    format!(
        "hosts = [{}]\ninstallation = {}\nuid = {}\ngid = {}\n{}{}",
        hosts.join(", "),
        path(&place.path),
        place.owner.uid,
        place.owner.gid,
        days.unwrap_or_default(),
        passphrase_file.unwrap_or_default(),
    )
}

fn parsed(bytes: &[u8], algorithm: KeyAlgorithm) -> Option<Place> {
    let file: PlaceFile = toml::from_str(std::str::from_utf8(bytes).ok()?).ok()?;
    let hosts: Option<Vec<Host>> = file.hosts.iter().map(|host| host.parse().ok()).collect();
    Some(Place {
        path: file.installation,
        kind: PlaceKind::Installation,
        holder: Holder::Server(hosts.filter(|hosts| !hosts.is_empty())?),
        algorithm,
        days: file.days.map(Days::new).transpose().ok()?,
        formats: vec![Format::Libpq],
        owner: Owner {
            uid: file.uid,
            gid: file.gid,
        },
        passphrase_file: file.passphrase_file,
    })
}
