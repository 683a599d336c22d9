//! The files that libpq would take, and what they show without a server.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use pgpki_core::bundle::{Bundle, FileFinding};
use pgpki_core::document::{CertificateFacts, Document, printable};
use pgpki_core::due::Within;
use pgpki_core::finding::{Finding, Severity};
use pgpki_core::key_file::{FileKind, key_file_finding};
use pgpki_fs::read_bounded;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{Roots, Settings, Source, SslMode};
use crate::doctor::Located;
use crate::probe::{ClientCredential, CredentialError};

/// The largest file that is read, in bytes: a CRL of a million entries takes some 55 MB.
const MAX_FILE: u64 = 64 << 20;

/// The names under which the rules of a folder know the files, whatever they are called.
const CERTIFICATE: &str = "postgresql.crt";
const KEY: &str = "postgresql.key";
const ROOT: &str = "root.crt";
const CRL: &str = "root.crl";

/// A file that libpq would look for.
struct Place {
    /// Its name in the rules of a folder.
    name: &'static str,
    path: PathBuf,
    source: Source,
    seen: Seen,
}

/// What stands there.
enum Seen {
    Missing,
    /// It is there, and cannot be opened.
    Closed(String),
    /// It can be read, and makes no sense.
    Strange(String),
    Read(Document),
}

/// Everything of a client's.
pub(super) struct Files {
    places: Vec<Place>,
    system_roots: bool,
    engine: Option<String>,
    credential: Option<Result<ClientCredential, CredentialError>>,
}

impl Files {
    /// Reads what the settings name.
    pub(super) fn read(settings: &Settings) -> Self {
        let certificate = settings.certificate();
        // Without its certificate, a key is of no use to libpq.
        let key = settings
            .key()
            .filter(|_| certificate.is_some() && settings.engine().is_none());
        let roots = settings.roots();
        let system_roots = roots == Some(Roots::System);
        let root = roots.and_then(|roots| match roots {
            Roots::File { path, source } => Some((path, source)),
            Roots::System => None,
        });
        let named = [
            (CERTIFICATE, certificate),
            (KEY, key),
            (ROOT, root),
            (CRL, settings.crl()),
        ];
        let places = named.into_iter().filter_map(|(name, place)| {
            let (path, source) = place?;
            let seen = look(&path);
            Some(Place {
                name,
                path,
                source,
                seen,
            })
        });
        let mut files = Self {
            places: places.collect(),
            system_roots,
            engine: settings.engine().map(str::to_owned),
            credential: None,
        };
        files.credential = files.load();
        files
    }

    fn place(&self, name: &str) -> Option<&Place> {
        self.places.iter().find(|place| place.name == name)
    }

    fn document(&self, name: &str) -> Option<&Document> {
        match &self.place(name)?.seen {
            Seen::Read(document) => Some(document),
            _ => None,
        }
    }

    fn is_there(&self, name: &str) -> bool {
        self.place(name)
            .is_some_and(|place| !matches!(place.seen, Seen::Missing))
    }

    /// What can be presented, from what can be read as a certificate and its key.
    fn load(&self) -> Option<Result<ClientCredential, CredentialError>> {
        self.document(CERTIFICATE)?;
        self.document(KEY)?;
        let bytes = |name| read_bounded(&self.place(name)?.path, MAX_FILE).ok();
        let key = Zeroizing::new(bytes(KEY)?);
        Some(ClientCredential::from_pem(&bytes(CERTIFICATE)?, &key))
    }

    /// What is presented to a server; why nothing is, although there is something.
    pub(super) fn credential(&self) -> Option<Result<&ClientCredential, &CredentialError>> {
        self.credential.as_ref().map(Result::as_ref)
    }

    pub(super) fn has_system_roots(&self) -> bool {
        self.system_roots
    }

    pub(super) fn has_certificate(&self) -> bool {
        self.is_there(CERTIFICATE)
    }

    pub(super) fn has_root_file(&self) -> bool {
        self.is_there(ROOT)
    }

    /// The roots that a server's chain must lead to, as far as they are in a file.
    pub(super) fn roots(&self) -> Option<&Document> {
        self.document(ROOT)
    }

    pub(super) fn crl(&self) -> Option<&Document> {
        self.document(CRL)
    }

    /// Where the roots are, for people.
    pub(super) fn root_path(&self) -> String {
        let path = self
            .place(ROOT)
            .map(|place| place.path.display().to_string());
        printable(&path.unwrap_or_default())
    }

    /// The client's own certificate.
    fn leaf(&self) -> Option<&CertificateFacts> {
        self.document(CERTIFICATE)?.certificates().next()
    }

    /// Everything that the files show by themselves and together.
    pub(super) fn findings(&self, mode: SslMode, now: OffsetDateTime) -> Vec<Located> {
        let mut findings: Vec<Located> = self.places.iter().filter_map(Place::obstacle).collect();
        findings.extend(self.key_mode());
        findings.extend(self.together(now));
        findings.extend(self.missing(mode));
        findings.extend(self.engine.as_deref().map(in_engine).map(Located::from));
        findings
    }

    fn key_mode(&self) -> Option<Located> {
        let place = self.place(KEY)?;
        let metadata = fs::metadata(&place.path).ok()?;
        let finding = key_file_finding(
            &place.path.to_string_lossy(),
            kind(&metadata),
            metadata.mode() & 0o7777,
            metadata.uid(),
            metadata.gid(),
            None,
        )?;
        Some(Located::in_file(finding, &place.path))
    }

    fn together(&self, now: OffsetDateTime) -> Vec<Located> {
        let there = self
            .places
            .iter()
            .filter(|place| !matches!(place.seen, Seen::Missing));
        let mut members: Vec<(String, Option<Document>)> = there
            .map(|place| (place.name.to_owned(), self.document(place.name).cloned()))
            .collect();
        if self.engine.is_some() {
            members.push((KEY.to_owned(), None));
        }
        let findings = Bundle::new(members).findings(now, Within::Third);
        findings
            .into_iter()
            .filter_map(|found| self.for_client(found))
            .collect()
    }

    /// A folder's rules as they are for a client, whose roots are for the server's chain and not
    /// for its own.
    fn for_client(&self, found: FileFinding) -> Option<Located> {
        let mut finding = found.finding;
        match (found.file.as_str(), finding.code) {
            (CRL, "crl-missing" | "crl-foreign") => return None,
            (CERTIFICATE, "chain-broken") => finding.severity = Severity::Warning,
            _ => {}
        }
        finding.message = self.with_paths(&finding.message);
        Some(match self.place(&found.file) {
            Some(place) => Located::in_file(finding, &place.path),
            None => finding.into(),
        })
    }

    /// A message in which files have the names that they really have.
    fn with_paths(&self, message: &str) -> String {
        let renamed = self
            .places
            .iter()
            .filter(|place| !place.path.ends_with(place.name));
        renamed.fold(message.to_owned(), |message, place| {
            message.replace(place.name, &printable(&place.path.to_string_lossy()))
        })
    }

    fn missing(&self, mode: SslMode) -> Vec<Located> {
        let mut findings = Vec::new();
        let is_missing = |place: &&Place| matches!(place.seen, Seen::Missing);
        if let Some(place) = self.place(CERTIFICATE).filter(is_missing)
            && place.source != Source::Default
            && !self.is_there(KEY)
        {
            let finding = Finding::warning(
                "client-certificate-missing",
                format!("{} names a certificate that is not there", place.source),
                "Correct sslcert, or put the certificate there: libpq goes on without one.",
            );
            findings.push(Located::in_file(finding, &place.path));
        }
        if let Some(place) = self.place(ROOT).filter(is_missing)
            && mode >= SslMode::VerifyCa
        {
            let finding = Finding::error(
                "root-file-missing",
                format!(
                    "there are no roots to check the server with, as sslmode={} wants",
                    mode.as_str()
                ),
                "Put the root of the server's CA there, or name its file with sslrootcert.",
            );
            findings.push(Located::in_file(finding, &place.path));
        }
        findings
    }

    /// Whether the certificate is that of the role. Where the server has let it pass, a map or
    /// another method was in play.
    pub(super) fn of_role(&self, role: Option<&str>, has_passed: bool) -> Option<Located> {
        let (leaf, role) = (self.leaf()?, role?);
        let own = leaf.common_name.as_deref()?;
        if own == printable(role) {
            return None;
        }
        let message = format!(
            "the certificate is that of \"{own}\", and the client connects as \"{}\"",
            printable(role)
        );
        let finding = match has_passed {
            true => Finding::info(
                "role-mismatch",
                message,
                "The server minds it as little as its pg_hba.conf says: a map, or a method that \
                 does not look at the name.",
            ),
            false => Finding::warning(
                "role-mismatch",
                message,
                "Connect as the role in the certificate, or have one issued for this role: \
                 pgpki issue-client ROLE. Only map= in pg_hba.conf lets another name pass.",
            ),
        };
        Some(Located::in_file(finding, &self.place(CERTIFICATE)?.path))
    }
}

/// Whether a client's files leave open what the server has answered by taking its certificate.
pub(super) fn is_the_servers_to_judge(finding: &Finding) -> bool {
    finding.severity < Severity::Error
        && ["chain-broken", "chain-incomplete"].contains(&finding.code)
}

impl Place {
    /// Why it cannot be used at all.
    fn obstacle(&self) -> Option<Located> {
        let finding = match &self.seen {
            Seen::Closed(why) if self.name == KEY => Finding::error(
                "key-unreadable",
                format!("the private key cannot be read: {}", printable(why)),
                "Give it to the user who connects, with mode 0600; the message that libpq has for \
                 it says nothing.",
            ),
            Seen::Closed(why) => Finding::error(
                "unreadable",
                format!("it cannot be read: {}", printable(why)),
                "Let the user who connects read it: 0644 is enough protection for a certificate.",
            ),
            Seen::Strange(why) => Finding::error(
                "unreadable",
                printable(why),
                "Put the right file in its place, or take it away.",
            ),
            Seen::Missing | Seen::Read(_) => return None,
        };
        Some(Located::in_file(finding, &self.path))
    }
}

fn look(path: &Path) -> Seen {
    match fs::metadata(path) {
        // libpq goes on without a file in both cases.
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {
            return Seen::Missing;
        }
        Err(error) => return Seen::Closed(error.to_string()),
        Ok(_) => {}
    }
    let bytes = match read_bounded(path, MAX_FILE) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) => return Seen::Closed(error.to_string()),
    };
    match Document::read(&bytes) {
        Ok(document) => Seen::Read(document),
        Err(error) => Seen::Strange(error.to_string()),
    }
}

fn kind(metadata: &Metadata) -> FileKind {
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

/// A key that libpq looks for in an OpenSSL engine.
fn in_engine(key: &str) -> Finding {
    match Path::new(key).is_file() {
        true => Finding::error(
            "key-in-engine",
            format!(
                "libpq does not open {}: it takes what stands before a colon of sslkey for an OpenSSL engine",
                printable(key)
            ),
            "Rename it, so that there is no colon in its path; or let its folder be ~/.postgresql, which needs no sslkey.",
        ),
        false => Finding::info(
            "key-in-engine",
            "sslkey names an OpenSSL engine (it contains a colon), which is not looked into",
            "Whether the key belongs to the certificate shows when psql connects.",
        ),
    }
}
