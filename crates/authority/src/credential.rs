//! What a credential consists of: the files of one place, complete before any of them is written.

use pgpki_core::issue::{Ca, Issued};
use pgpki_core::profile::Profile;
use pgpki_fs::{NewFile, ReadError};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::deliver::DeliverError;
use crate::hierarchy::Hierarchy;
use crate::ledger::{CaId, Place};

/// Everybody may read a certificate; that it can be reached at all is up to the directory.
const PUBLIC: u32 = 0o644;
/// PostgreSQL and libpq refuse a key that others could read.
const SECRET: u32 = 0o600;

/// The server's files, under the names that `current/` in the printed settings leads to.
const SERVER_FILES: Names = Names {
    certificate: "server.crt",
    key: "server.key",
};
/// A role's files, under the names that libpq looks for in `~/.postgresql`.
const CLIENT_FILES: Names = Names {
    certificate: "postgresql.crt",
    key: "postgresql.key",
};
pub(crate) const ROOT: &str = "root.crt";
pub(crate) const CRL: &str = "root.crl";

struct Names {
    certificate: &'static str,
    key: &'static str,
}

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

/// A certificate that the ledger has, with its key.
pub(crate) struct Credential {
    pub(crate) issued: Issued,
    /// The leaf and its chain, PEM.
    certificate: String,
    /// PKCS#8, PEM.
    key: Zeroizing<String>,
}

impl Credential {
    pub(crate) fn new(issued: Issued, key: Zeroizing<String>, chain: &str) -> Self {
        let leaf = pgpki_core::pem("CERTIFICATE", &issued.der);
        Self {
            certificate: leaf + chain,
            key,
            issued,
        }
    }

    /// The files of this credential.
    pub(crate) fn files<'a>(&'a self, trust: &'a Trust) -> Vec<NewFile<'a>> {
        files(
            self.issued.profile,
            &self.certificate,
            self.key.as_bytes(),
            trust,
        )
    }
}

/// The certificate and key that a place keeps, with the chain that goes with them now.
pub(crate) struct Kept {
    profile: Profile,
    /// The leaf and its chain, PEM.
    certificate: String,
    key: Zeroizing<Vec<u8>>,
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
        let names = names(profile);
        let missing = |name| DeliverError::FileMissing {
            path: place.path.join(name),
        };
        let pem = read(names.certificate, false)?;
        let leaf = pem.and_then(|pem| pgpki_core::first_certificate(&pem));
        let leaf = leaf.ok_or_else(|| missing(names.certificate))?;
        let key = read(names.key, true)?.map(Zeroizing::new);
        Ok(Self {
            profile,
            certificate: pgpki_core::pem("CERTIFICATE", &leaf) + chain,
            key: key.ok_or_else(|| missing(names.key))?,
        })
    }

    /// The files of this credential.
    pub(crate) fn files<'a>(&'a self, trust: &'a Trust) -> Vec<NewFile<'a>> {
        files(self.profile, &self.certificate, &self.key, trust)
    }
}

/// A client gets no CRL: libpq would check the server's chain with it, and a client that keeps an old one would refuse
/// a good server.
fn files<'a>(
    profile: Profile,
    certificate: &'a str,
    key: &'a [u8],
    trust: &'a Trust,
) -> Vec<NewFile<'a>> {
    let names = names(profile);
    let file = |name, mode, bytes: &'a [u8]| NewFile { name, mode, bytes };
    let mut files = vec![
        file(names.certificate, PUBLIC, certificate.as_bytes()),
        file(names.key, SECRET, key),
        file(ROOT, PUBLIC, trust.roots.as_bytes()),
    ];
    if profile == Profile::Server {
        files.push(file(CRL, PUBLIC, trust.crls.as_bytes()));
    }
    files
}

fn names(profile: Profile) -> &'static Names {
    match profile {
        Profile::Client => &CLIENT_FILES,
        _ => &SERVER_FILES,
    }
}

/// The name of the file that holds a credential's certificate and chain.
pub(crate) fn certificate_file(profile: Profile) -> &'static str {
    names(profile).certificate
}

/// The name of the file that holds a credential's key.
pub(crate) fn key_file(profile: Profile) -> &'static str {
    names(profile).key
}

/// Every name that a credential of this profile has, and nothing else.
pub(crate) fn file_names(profile: Profile) -> &'static [&'static str] {
    match profile {
        Profile::Client => &["postgresql.crt", "postgresql.key", ROOT],
        _ => &["server.crt", "server.key", ROOT, CRL],
    }
}
