//! What a credential consists of: the files of one place, complete before any of them is written.

use pgpki_core::issue::{Ca, Issued};
use pgpki_core::key::PrivateKey;
use pgpki_core::profile::Profile;
use pgpki_fs::{NewFile, ReadError};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::deliver::DeliverError;
use crate::format::{self, FormFile, Format, FormatError, Material};
use crate::hierarchy::Hierarchy;
use crate::ledger::{CaId, Place};

/// Everybody may read a certificate; that it can be reached at all is up to the directory.
const PUBLIC: u32 = 0o644;
/// PostgreSQL and libpq refuse a key that others could read.
const SECRET: u32 = 0o600;

pub(crate) const ROOT: &str = "root.crt";
pub(crate) const CRL: &str = "root.crl";

/// What is the same in every credential of one run: PEM.
pub(crate) struct Trust {
    /// The certificates of the roots, the newest first.
    pub(crate) roots: String,
    /// The CRLs of every CA that can stand in a client's chain; empty for clients.
    pub(crate) crls: String,
}

/// An issuing CA that signs now.
pub(crate) struct Signer {
    pub(crate) id: CaId,
    pub(crate) ca: Ca,
    /// The certificates that follow each leaf, PEM.
    pub(crate) chain: String,
}

/// The certificates that follow a leaf of `issuer`, PEM.
pub(crate) fn chain(
    hierarchy: &Hierarchy,
    issuer: CaId,
    profile: Profile,
    now: OffsetDateTime,
) -> String {
    let chain = hierarchy.chain(issuer, profile, now).into_iter();
    chain
        .map(|der| pgpki_core::pem("CERTIFICATE", der))
        .collect()
}

/// A certificate that the ledger has, with its key in every form that it is to have.
pub(crate) struct Credential {
    pub(crate) issued: Issued,
    /// The leaf and its chain, PEM.
    certificate: String,
    /// None where the key is elsewhere.
    forms: Vec<FormFile>,
}

impl Credential {
    /// A credential without a key.
    pub(crate) fn new(issued: Issued, chain: &str) -> Self {
        let leaf = pgpki_core::pem("CERTIFICATE", &issued.der);
        Self {
            certificate: leaf + chain,
            forms: Vec::new(),
            issued,
        }
    }

    /// The same with its key, in some formats.
    pub(crate) fn with_key(
        mut self,
        key: &PrivateKey,
        formats: &[Format],
        trust: &Trust,
        passphrase: Option<&str>,
        key_passphrase: Option<&[u8]>,
    ) -> Result<Self, FormatError> {
        let material = Material {
            name: &self.issued.common_name,
            stem: stem(self.issued.profile),
            key,
            certificate: &self.certificate,
            roots: &trust.roots,
            crls: (self.issued.profile == Profile::Server).then_some(&trust.crls),
            passphrase,
            key_passphrase,
        };
        self.forms = format::all(formats, &material)?;
        Ok(self)
    }

    /// The files of this credential.
    pub(crate) fn files<'a>(&'a self, trust: &'a Trust) -> Vec<NewFile<'a>> {
        files(self.issued.profile, &self.certificate, &self.forms, trust)
    }
}

/// The certificate and key that a server's place keeps, with the chain that goes with them now.
pub(crate) struct Kept {
    profile: Profile,
    /// The leaf and its chain, PEM.
    certificate: String,
    key: FormFile,
}

impl Kept {
    /// Takes them from what `read` finds under a name; the flag says that it is a secret.
    ///
    /// # Errors
    /// One of them cannot be read, or is not there.
    pub(crate) fn read(
        place: &Place,
        chain: &str,
        read: impl Fn(&str, bool) -> Result<Option<Vec<u8>>, ReadError>,
    ) -> Result<Self, DeliverError> {
        let profile = place.holder.profile();
        let missing = |name| DeliverError::FileMissing {
            path: place.path.join(name),
        };
        let name = certificate_file(profile);
        let pem = read(name, false)?;
        let leaf = pem.and_then(|pem| pgpki_core::first_certificate(&pem));
        let leaf = leaf.ok_or_else(|| missing(name))?;
        let name = key_file(profile);
        let bytes = read(name, true)?.map(Zeroizing::new);
        let bytes = bytes.ok_or_else(|| missing(name))?;
        Ok(Self {
            profile,
            certificate: pgpki_core::pem("CERTIFICATE", &leaf) + chain,
            key: FormFile { name, bytes },
        })
    }

    /// The files of this credential.
    pub(crate) fn files<'a>(&'a self, trust: &'a Trust) -> Vec<NewFile<'a>> {
        let key = std::slice::from_ref(&self.key);
        files(self.profile, &self.certificate, key, trust)
    }
}

/// A client gets no CRL: libpq would check the server's chain with it, and a client that keeps an old one would refuse
/// a good server.
fn files<'a>(
    profile: Profile,
    certificate: &'a str,
    forms: &'a [FormFile],
    trust: &'a Trust,
) -> Vec<NewFile<'a>> {
    let file = |name, mode, bytes: &'a [u8]| NewFile { name, mode, bytes };
    let mut files = vec![file(
        certificate_file(profile),
        PUBLIC,
        certificate.as_bytes(),
    )];
    files.extend(
        forms
            .iter()
            .map(|form| file(form.name, SECRET, &form.bytes)),
    );
    files.push(file(ROOT, PUBLIC, trust.roots.as_bytes()));
    if profile == Profile::Server {
        files.push(file(CRL, PUBLIC, trust.crls.as_bytes()));
    }
    files
}

/// How the names of a credential's files begin.
fn stem(profile: Profile) -> &'static str {
    match profile {
        Profile::Client => format::CLIENT,
        _ => format::SERVER,
    }
}

/// The name of the file that holds a credential's certificate and chain.
pub(crate) fn certificate_file(profile: Profile) -> &'static str {
    match profile {
        Profile::Client => "postgresql.crt",
        _ => "server.crt",
    }
}

/// The name of the file that holds a credential's key as PostgreSQL and libpq read it.
pub(crate) fn key_file(profile: Profile) -> &'static str {
    match profile {
        Profile::Client => "postgresql.key",
        _ => "server.key",
    }
}

/// The names of the files that pgpki has put into a place: beside them, a client may have made one in a form that he was not
/// given.
pub(crate) fn made_by(place: &Place) -> Vec<&'static str> {
    let of_formats = place.formats.iter().flat_map(|format| format.files());
    match place.holder.profile() {
        Profile::Client => [certificate_file(Profile::Client), ROOT]
            .iter()
            .chain(of_formats)
            .copied()
            .collect(),
        profile => file_names(profile).to_vec(),
    }
}

/// Every name that a credential of this profile has: a server's are all there, a client's those of its formats.
pub(crate) fn file_names(profile: Profile) -> &'static [&'static str] {
    match profile {
        Profile::Client => &[
            "postgresql.crt",
            "postgresql.key",
            "postgresql.pk8",
            "postgresql.p12",
            "postgresql.pem",
            "postgresql-secret.yaml",
            "postgresql-compose.yaml",
            ROOT,
        ],
        _ => &["server.crt", "server.key", ROOT, CRL],
    }
}
