//! `pgpki inspect TARGET`: what a file holds, or how the files of a folder fit together.

mod json;
mod text;

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use pgpki_authority::settings::FILE as SETTINGS;
use pgpki_core::bundle::{Bundle, Chain, ChainEnd};
use pgpki_core::document::{Document, printable};
use pgpki_core::due::Within;
use pgpki_core::finding::{Finding, Severity};
use pgpki_core::key_file::{FileKind, key_file_finding};
use pgpki_fs::{ReadError, shell_word};
use time::OffsetDateTime;

use super::findings;
use crate::args::Inspect;
use crate::exit::{Exit, Failure};
use crate::passphrase::{self, Passphrase};

/// The largest file that is read, in bytes: a CRL of a million entries takes some 55 MB.
const MAX_FILE: u64 = 64 << 20;

/// The most files of a folder that are looked at together; a folder of credentials has a handful.
const MAX_FILES: usize = 1000;

/// What files with certificates, keys, requests and CRLs are called.
pub(super) const ENDINGS: [&str; 11] = [
    "crt", "cer", "pem", "key", "csr", "req", "crl", "p12", "pfx", "der", "pk8",
];

/// The files that were looked at, and what was found.
struct Look {
    /// Name and content, in order of name; no content where it could not be read.
    files: Vec<(String, Option<Document>)>,
    /// For each key file, the certificate files that it belongs to.
    matches: Vec<(String, String)>,
    /// Each leaf's way to a root, where the files hold it.
    chains: Vec<ChainSeen>,
    findings: Vec<Found>,
}

/// A chain that closes at a root.
#[derive(serde::Serialize)]
struct ChainSeen {
    file: String,
    /// The titles of the certificates, from the leaf to the root.
    names: Vec<String>,
}

/// A finding, and the file that it is about, if it is about one.
struct Found {
    file: Option<String>,
    finding: Finding,
}

pub(super) fn run(args: &Inspect, target: &Path, now: OffsetDateTime) -> Result<Exit, Failure> {
    let passphrase = args
        .passphrase_file
        .as_deref()
        .map(passphrase::from_file)
        .transpose()?;
    let look = match fs::metadata(target) {
        Ok(metadata) if metadata.is_dir() => folder(target, passphrase.as_ref(), now)?,
        _ => file(target, passphrase.as_ref(), now)?,
    };
    if args.json {
        json::write(target, &look, now)?;
    } else {
        let mut out = anstream::stdout().lock();
        text::write(&look, now, &mut out)?;
        let all: Vec<Finding> = look.findings.iter().map(Found::named).collect();
        if !all.is_empty() {
            writeln!(out)?;
            findings::print(&all, &mut out)?;
        }
    }
    let all: Vec<Finding> = look
        .findings
        .into_iter()
        .map(|found| found.finding)
        .collect();
    Ok(findings::exit(&all))
}

impl ChainSeen {
    fn of(chain: Chain<'_>) -> Self {
        let issuers = chain.links.iter().map(|link| link.certificate.title());
        Self {
            file: chain.file.to_owned(),
            names: std::iter::once(chain.leaf.title()).chain(issuers).collect(),
        }
    }
}

impl Found {
    /// The finding with the file's name in its message.
    fn named(&self) -> Finding {
        let mut finding = self.finding.clone();
        if let Some(file) = &self.file {
            finding.message = format!("{}: {}", printable(file), finding.message);
        }
        finding
    }
}

fn file(
    path: &Path,
    passphrase: Option<&Passphrase>,
    now: OffsetDateTime,
) -> Result<Look, Failure> {
    let bytes = pgpki_fs::read_bounded(path, MAX_FILE).map_err(|error| match error {
        ReadError::NotFound { .. } => Failure::from(error).hint(
            "TARGET is a file or a folder; to look at a server, write its port as well, as in \
                 HOST:5432. Without a target, everything issued is listed",
        ),
        error => error.into(),
    })?;
    let document = Document::open(&bytes, passphrase.map(|bytes| bytes.as_slice()))
        .map_err(|error| Failure::new(Exit::BadInput, format!("{}: {error}", path.display())))?;
    let own = pgpki_core::document::findings(&document, now, Within::Third);
    let mut findings: Vec<Found> = own
        .into_iter()
        .map(|finding| Found {
            file: None,
            finding,
        })
        .collect();
    if document.keys().next().is_some() {
        findings.extend(key_file(path, None));
    }
    let name = path.file_name().unwrap_or(path.as_os_str());
    Ok(Look {
        files: vec![(name.to_string_lossy().into_owned(), Some(document))],
        matches: Vec::new(),
        chains: Vec::new(),
        findings,
    })
}

fn folder(
    path: &Path,
    passphrase: Option<&Passphrase>,
    now: OffsetDateTime,
) -> Result<Look, Failure> {
    // An installation is looked at as PostgreSQL does.
    let current = path.join("current");
    let path = if current.is_dir() { &current } else { path };
    // A rotation may turn the link while one file after the other is read.
    let at_once = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut members = Vec::new();
    let mut findings = Vec::new();
    for file in names(&at_once)? {
        let name = file.to_string_lossy().into_owned();
        match read(&at_once.join(&file), passphrase) {
            Ok(document) => members.push((name, Some(document))),
            Err(why) => {
                findings.push(unreadable(&name, &why));
                members.push((name, None));
            }
        }
    }
    if members.is_empty() {
        let message = format!("there is no certificate, key or CRL in {}", path.display());
        return Err(Failure::new(Exit::BadInput, message).hint(instead(path)));
    }
    let server = server_uid(path, &members);
    for (name, document) in &members {
        if document
            .as_ref()
            .is_some_and(|document| document.keys().next().is_some())
        {
            findings.extend(key_file(&path.join(name), server));
        }
    }
    let bundle = Bundle::new(members.clone());
    let matches = bundle
        .key_matches()
        .into_iter()
        .map(|pair| (pair.key_file.to_owned(), pair.certificate_file.to_owned()))
        .collect();
    let closed = bundle
        .chains()
        .into_iter()
        .filter(|chain| chain.end == ChainEnd::Root);
    let chains = closed.map(ChainSeen::of).collect();
    let together = bundle.findings(now, Within::Third);
    findings.extend(together.into_iter().map(|found| Found {
        file: Some(found.file),
        finding: found.finding,
    }));
    Ok(Look {
        files: members,
        matches,
        chains,
        findings,
    })
}

/// What somebody may have meant who named a folder without certificates.
fn instead(folder: &Path) -> String {
    if folder.join(SETTINGS).is_file() {
        let home = shell_word(folder);
        return format!("It is the home of an authority: pgpki inspect --home {home}");
    }
    if folder.join("current").is_symlink() {
        return "It is an installation whose `current` leads nowhere, so PostgreSQL finds nothing: \
                pgpki rotate"
            .to_owned();
    }
    let folders = fs::read_dir(folder).into_iter().flatten().flatten();
    let credential = folders.map(|entry| entry.path()).find(|path| {
        ["postgresql.crt", "server.crt", "current/server.crt"]
            .iter()
            .any(|file| path.join(file).is_file())
    });
    match credential {
        Some(folder) => format!(
            "Name one of the folders in it, such as {}",
            folder.display()
        ),
        None => format!("Files are told by their endings: {}", ENDINGS.join(", ")),
    }
}

/// The names of the files that are worth a look, sorted.
fn names(folder: &Path) -> Result<Vec<OsString>, Failure> {
    let cannot_list = |error: std::io::Error| {
        Failure::new(
            Exit::Failed,
            format!("cannot list {}: {error}", folder.display()),
        )
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot_list)? {
        let name = PathBuf::from(entry.map_err(cannot_list)?.file_name());
        let ending = name.extension().and_then(|ending| ending.to_str());
        let is_known =
            ending.is_some_and(|ending| ENDINGS.contains(&ending.to_lowercase().as_str()));
        if is_known {
            names.push(name.into_os_string());
        }
        if names.len() > MAX_FILES {
            let message = format!("{} holds more than {MAX_FILES} files", folder.display());
            return Err(Failure::new(Exit::BadInput, message)
                .hint("Name one of the folders in it, or a file"));
        }
    }
    names.sort();
    Ok(names)
}

fn read(path: &Path, passphrase: Option<&Passphrase>) -> Result<Document, String> {
    let bytes = pgpki_fs::read_bounded(path, MAX_FILE).map_err(|error| match error {
        ReadError::NotFound { .. } => "it is a symbolic link that leads nowhere".to_owned(),
        error => error.to_string(),
    })?;
    let passphrase = passphrase.map(|bytes| bytes.as_slice());
    Document::open(&bytes, passphrase).map_err(|error| error.to_string())
}

fn unreadable(name: &str, why: &str) -> Found {
    Found {
        file: Some(name.to_owned()),
        finding: Finding {
            code: "unreadable",
            severity: Severity::Error,
            message: printable(why),
            hint: "Put the right file in its place, or take it away.".to_owned(),
        },
    }
}

/// Whether PostgreSQL, or libpq where no server is known, would take a key file's owner and mode.
fn key_file(path: &Path, server_uid: Option<u32>) -> Option<Found> {
    let metadata = fs::metadata(path).ok()?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    key_file_finding(
        &path.to_string_lossy(),
        kind(&metadata),
        metadata.mode() & 0o7777,
        metadata.uid(),
        metadata.gid(),
        server_uid,
    )
    .map(|finding| Found {
        file: Some(name),
        finding,
    })
}

fn kind(metadata: &Metadata) -> FileKind {
    use std::os::unix::fs::FileTypeExt as _;
    let kind = metadata.file_type();
    if kind.is_file() {
        FileKind::Regular
    } else if kind.is_dir() {
        FileKind::Directory
    } else if kind.is_fifo() {
        FileKind::Fifo
    } else {
        FileKind::Other
    }
}

/// The user that a server's folder is for: whoever owns it. A client's has no such rule.
fn server_uid(folder: &Path, members: &[(String, Option<Document>)]) -> Option<u32> {
    let is_servers = members.iter().any(|(name, _)| name == "server.key");
    let owner = fs::metadata(folder).ok()?.uid();
    (is_servers && owner != 0).then_some(owner)
}
