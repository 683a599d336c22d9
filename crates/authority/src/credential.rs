//! What a credential consists of: the files of one place, complete before any of them is written.

use pgpki_core::issue::Issued;
use pgpki_core::profile::Profile;
use pgpki_fs::NewFile;
use zeroize::Zeroizing;

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
const ROOT: &str = "root.crt";
const CRL: &str = "root.crl";

struct Names {
    certificate: &'static str,
    key: &'static str,
}

/// What is the same in every credential of one run: PEM.
pub(crate) struct Trust {
    /// The issuing CA's certificate, which follows each leaf.
    pub(crate) chain: String,
    /// The root's certificate.
    pub(crate) roots: String,
    /// The CRLs of every CA.
    pub(crate) crls: String,
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
    pub(crate) fn new(issued: Issued, key: Zeroizing<String>, trust: &Trust) -> Self {
        let leaf = pgpki_core::pem("CERTIFICATE", &issued.der);
        Self {
            certificate: leaf + &trust.chain,
            key,
            issued,
        }
    }

    /// The files of this credential. A client gets no CRL: libpq would check the server's chain
    /// with it, and a client that keeps an old one would refuse a good server.
    pub(crate) fn files<'a>(&'a self, trust: &'a Trust) -> Vec<NewFile<'a>> {
        let names = names(self.issued.profile);
        let file = |name, mode, text: &'a str| NewFile {
            name,
            mode,
            bytes: text.as_bytes(),
        };
        let mut files = vec![
            file(names.certificate, PUBLIC, &self.certificate),
            file(names.key, SECRET, &self.key),
            file(ROOT, PUBLIC, &trust.roots),
        ];
        if self.issued.profile == Profile::Server {
            files.push(file(CRL, PUBLIC, &trust.crls));
        }
        files
    }
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

/// Every name that a credential of this profile has, and nothing else.
pub(crate) fn file_names(profile: Profile) -> &'static [&'static str] {
    match profile {
        Profile::Client => &["postgresql.crt", "postgresql.key", ROOT],
        _ => &["server.crt", "server.key", ROOT, CRL],
    }
}
