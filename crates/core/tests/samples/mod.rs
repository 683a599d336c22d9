//! Credentials for the tests: ours, and those that the openssl command line makes.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;
use std::process::Command;

use pgpki_core::crl::Revoked;
use pgpki_core::document::Document;
use pgpki_core::due::Within;
use pgpki_core::finding::{Finding, Severity};
use pgpki_core::issue::{Ca, Holder};
use pgpki_core::key::{KeyAlgorithm, PrivateKey};
use pgpki_core::name::Organization;
use pgpki_core::validity::Days;
use time::{Duration, OffsetDateTime};

/// A whole authority of ours, and what it has issued.
pub(crate) struct Ours {
    pub(crate) now: OffsetDateTime,
    pub(crate) root: Ca,
    pub(crate) issuing: Ca,
    pub(crate) server: String,
    pub(crate) server_key: String,
    pub(crate) client: String,
    pub(crate) client_key: String,
    pub(crate) roots: String,
    pub(crate) crls: String,
}

impl Ours {
    pub(crate) fn new() -> Self {
        Self::with(KeyAlgorithm::P256, &[])
    }

    pub(crate) fn with(algorithm: KeyAlgorithm, revoked: &[Revoked]) -> Self {
        let now = OffsetDateTime::now_utc();
        let organization = Organization::default();
        let key = || PrivateKey::generate(algorithm).unwrap();
        let ca_key = || PrivateKey::generate(KeyAlgorithm::P384).unwrap();
        let (root, _) = Ca::new_root(ca_key(), &organization, "our root", now, Days::ROOT).unwrap();
        let issuing_key = ca_key();
        let issued = root.issue_ca(
            &(&issuing_key).into(),
            &organization,
            "our issuing CA",
            now,
            Days::ISSUING,
        );
        let issuing = Ca::load(&issued.unwrap().der, issuing_key).unwrap();
        let leaf = |holder, key: &PrivateKey| {
            let leaf = issuing.issue_leaf(&holder, &key.into(), &organization, now, Days::LEAF);
            certificate(&leaf.unwrap().der) + &certificate(issuing.der())
        };
        let (server_key, client_key) = (key(), key());
        let hosts = vec![
            "db.example.com".parse().unwrap(),
            "10.0.0.7".parse().unwrap(),
        ];
        let server = leaf(Holder::Server(hosts), &server_key);
        let client = leaf(Holder::Client("alice".parse().unwrap()), &client_key);
        let crl =
            |ca: &Ca, revoked| pgpki_core::pem("X509 CRL", &ca.sign_crl(1, revoked, now).unwrap());
        let crls = crl(&issuing, revoked) + &crl(&root, &[]);
        Self {
            now,
            server,
            client,
            server_key: server_key.to_pem().unwrap().to_string(),
            client_key: client_key.to_pem().unwrap().to_string(),
            roots: certificate(root.der()),
            crls,
            root,
            issuing,
        }
    }

    /// A server's certificate from an issuing CA of ours.
    pub(crate) fn issuing_pem(&self) -> String {
        certificate(self.issuing.der())
    }

    /// The files of an installation.
    pub(crate) fn installation(&self) -> Vec<(&'static str, String)> {
        vec![
            ("server.crt", self.server.clone()),
            ("server.key", self.server_key.clone()),
            ("root.crt", self.roots.clone()),
            ("root.crl", self.crls.clone()),
        ]
    }

    /// The files of a client.
    pub(crate) fn for_client(&self) -> Vec<(&'static str, String)> {
        vec![
            ("postgresql.crt", self.client.clone()),
            ("postgresql.key", self.client_key.clone()),
            ("root.crt", self.roots.clone()),
        ]
    }
}

pub(crate) fn certificate(der: &[u8]) -> String {
    pgpki_core::pem("CERTIFICATE", der)
}

/// The one block of a PEM text, DER.
pub(crate) fn der(pem: &str) -> Vec<u8> {
    pem::parse(pem).unwrap().into_contents()
}

pub(crate) fn read(bytes: impl AsRef<[u8]>) -> Document {
    Document::read(bytes.as_ref()).unwrap()
}

/// Code and severity of everything found in one file today.
pub(crate) fn codes(bytes: impl AsRef<[u8]>) -> Vec<(&'static str, Severity)> {
    codes_at(bytes, OffsetDateTime::now_utc())
}

pub(crate) fn codes_at(
    bytes: impl AsRef<[u8]>,
    now: OffsetDateTime,
) -> Vec<(&'static str, Severity)> {
    let within = Within::Duration(Duration::DAY);
    summary(&pgpki_core::document::findings(&read(bytes), now, within))
}

pub(crate) fn summary(findings: &[Finding]) -> Vec<(&'static str, Severity)> {
    for finding in findings {
        let text = finding.to_string();
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(finding.hint.ends_with(['.', ')']), "{text}");
        assert!(!finding.message.ends_with('.'), "{text}");
        assert!(!text.contains("  "), "{text}");
    }
    findings.iter().map(|f| (f.code, f.severity)).collect()
}

/// A folder in which openssl works.
pub(crate) struct OpenSsl {
    folder: tempfile::TempDir,
}

impl OpenSsl {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Runs openssl with arguments that are separated by single spaces; its standard output.
    pub(crate) fn run(&self, arguments: &str) -> String {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(self.folder.path())
            .output()
            .expect("openssl is needed for these tests");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Whether openssl does it.
    pub(crate) fn accepts(&self, arguments: &str) -> bool {
        let mut command = Command::new("openssl");
        let command = command
            .args(arguments.split(' '))
            .current_dir(self.folder.path());
        command.output().unwrap().status.success()
    }

    /// A CA `name.crt`, `name.key`.
    pub(crate) fn ca(&self, name: &str, key: &str) {
        self.run(&format!(
            "req -x509 -newkey {key} -nodes -keyout {name}.key -out {name}.crt -subj /CN={name} -days 3650"
        ));
    }

    /// A leaf `name.crt`, `name.key`, signed by the CA `ca`, with `extensions`, one a line.
    pub(crate) fn leaf(
        &self,
        name: &str,
        ca: &str,
        key: &str,
        extensions: &str,
        more: &str,
    ) -> String {
        self.run(&format!(
            "req -new -newkey {key} -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
        ));
        self.write("extensions", extensions);
        self.run(&format!(
            "x509 -req -in {name}.csr -CA {ca}.crt -CAkey {ca}.key -CAcreateserial -out {name}.crt -days 365 -extfile extensions{more}"
        ));
        self.text(&format!("{name}.crt"))
    }
}

pub(crate) const EC: &str = "ec -pkeyopt ec_paramgen_curve:P-256";

/// Extensions with which nothing is wrong, for a server.
pub(crate) const SERVER: &str = "basicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:db.example.com\n\
    keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n\
    subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";

/// Extensions with which nothing is wrong, for a client.
pub(crate) const CLIENT: &str = "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth\n\
    keyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\n\
    authorityKeyIdentifier=keyid\n";
