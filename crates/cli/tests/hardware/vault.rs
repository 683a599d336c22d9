//! An authority whose keys are in a token, and a server that lives on it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pgpki_testing::{Cluster, Owner, Scene, openssl, run};

use crate::token::{MODULE, PIN, SoftHsm, pin_file};

pub(crate) const FINDINGS: i32 = 1;
pub(crate) const USAGE: i32 = 2;
pub(crate) const REFUSED: i32 = 3;
pub(crate) const BAD_INPUT: i32 = 4;
pub(crate) const FAILED: i32 = 5;

/// The URIs that most tests are about.
pub(crate) const ROOT: &str = "pkcs11:token=vault;object=root";
pub(crate) const ISSUING: &str = "pkcs11:token=vault;object=issuing";

pub(crate) struct Vault {
    pub(crate) scene: Scene,
    pub(crate) hsm: SoftHsm,
    /// The right PIN.
    pub(crate) pin: PathBuf,
}

impl Vault {
    /// One token, with nothing in it.
    pub(crate) fn new() -> Self {
        let this = Self::without_token();
        this.hsm.make_token("vault");
        this
    }

    pub(crate) fn without_token() -> Self {
        let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
        Self {
            hsm: SoftHsm::new(&scene),
            pin: pin_file(&scene, "pin", PIN),
            scene,
        }
    }

    /// The same with an authority whose keys are both in the token.
    pub(crate) fn with_both(more: &[&str]) -> Self {
        let vault = Self::new();
        let pin = vault.pin.to_str().unwrap();
        let keys = ["--root-key", ROOT, "--issuing-key", ISSUING];
        let pin = ["--pin-file", pin];
        vault.init(&[&keys[..], &pin, more].concat());
        vault
    }

    /// A URI with the file of the PIN in it.
    pub(crate) fn with_pin(&self, uri: &str) -> String {
        format!("{uri}?pin-source=file:{}", self.pin.display())
    }

    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        self.surround(self.scene.command(args))
    }

    pub(crate) fn surround(&self, mut command: Command) -> Command {
        command.env("SOFTHSM2_CONF", self.hsm.settings());
        command.env("PGPKI_PKCS11_MODULE", MODULE);
        command
    }

    /// Runs a command that must succeed; both its streams.
    #[track_caller]
    pub(crate) fn pgpki<S: AsRef<OsStr>>(&self, args: &[S]) -> String {
        said(&run(&mut self.command(args)))
    }

    /// Runs a command that must end with `status`; both its streams.
    #[track_caller]
    pub(crate) fn ends<S: AsRef<OsStr>>(&self, status: i32, args: &[S]) -> String {
        ends_with(status, &mut self.command(args))
    }

    pub(crate) fn init_command(&self, more: &[&str]) -> Command {
        let owner = Owner::of_new_clusters().unwrap();
        let mut command = self.command(["init", "localhost", "--install"]);
        command.arg(self.scene.tls());
        command.args(["--owner", &format!("{}:{}", owner.uid, owner.gid)]);
        command.args(more);
        command
    }

    pub(crate) fn init(&self, more: &[&str]) -> String {
        said(&run(&mut self.init_command(more)))
    }

    /// The URI file of the CA in `root/` or `issuing/` that was made as number `generation`.
    pub(crate) fn uri(&self, store: &str, generation: u32) -> PathBuf {
        let generation = format!("g{generation:04}");
        self.scene
            .home()
            .join(store)
            .join(generation)
            .join("ca.uri")
    }

    /// Every file of home and installation, with what is in it.
    pub(crate) fn state(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = files(&self.scene.home());
        if self.scene.tls().exists() {
            found.extend(files(&self.scene.tls()));
        }
        found
    }

    /// No file of the home has a private key in it, or a PIN.
    #[track_caller]
    pub(crate) fn no_key_is_in_the_home(&self) {
        let files = files(&self.scene.home());
        assert!(files.iter().any(|(path, _)| path.ends_with("ca.uri")));
        for (path, bytes) in files {
            for secret in ["PRIVATE KEY", PIN] {
                let mut windows = bytes.windows(secret.len());
                let found = windows.any(|window| window == secret.as_bytes());
                assert!(!found, "{secret:?} is in {}", path.display());
            }
        }
    }

    /// A server that was configured to let nobody in without a certificate.
    pub(crate) fn server(&self) -> Cluster {
        let cluster = Cluster::running();
        let mut configure = self.command(["configure", "--pgdata"]);
        configure.arg(cluster.data_dir()).arg("--install");
        configure.arg(self.scene.tls());
        run(configure.args(["--require-tls", "--client-certs", "all"]));
        cluster
    }

    /// Issues a certificate to a new role of the server; its folder.
    pub(crate) fn client(&self, cluster: &Cluster, role: &str, more: &[&str]) -> PathBuf {
        cluster.create_role(role, None, true);
        self.pgpki(&[&["issue-client", role, "--out", "clients"], more].concat());
        self.scene.path("clients").join(role)
    }

    /// OpenSSL, strictly: the chain of a certificate closes, and every CRL is good.
    #[track_caller]
    pub(crate) fn openssl_agrees(&self, purpose: &str, certificate: &Path) {
        let current = self.scene.tls().join("current");
        let mut verify = Command::new("openssl");
        verify.args(["verify", "-x509_strict", "-purpose", purpose]);
        verify
            .args(["-crl_check_all", "-CRLfile"])
            .arg(current.join("root.crl"));
        verify.args(["-no-CApath", "-no-CAstore", "-CAfile"]);
        verify.arg(current.join("root.crt"));
        verify.arg("-untrusted").arg(certificate);
        run(verify.arg(certificate));
    }

    /// The kind of key of a CA, as OpenSSL names it.
    pub(crate) fn key_of(&self, store: &str) -> String {
        let certificate = self.scene.home().join(store).join("g0001/ca.crt");
        let certificate = certificate.to_str().unwrap();
        said(&openssl(["x509", "-noout", "-text", "-in", certificate]))
    }
}

/// A command with a module that fails after so many signatures.
pub(crate) fn failing(vault: &Vault, accident: &str, signatures: u32, args: &[&str]) -> Command {
    let mut command = vault.command(args);
    command
        .arg("--pkcs11-module")
        .arg(vault.scene.path("failing_module.so"));
    command
        .env("TEST_MODULE", MODULE)
        .env("TEST_ACCIDENT", accident);
    command.env("TEST_SIGNATURES", signatures.to_string());
    command
}

/// A connection string with the certificate in a folder.
pub(crate) fn conninfo(cluster: &Cluster, role: &str, folder: &Path) -> String {
    let (port, folder) = (cluster.port(), folder.display());
    format!(
        "host=localhost port={port} dbname=postgres user={role} sslmode=verify-full \
         sslrootcert={folder}/root.crt sslcert={folder}/postgresql.crt sslkey={folder}/postgresql.key"
    )
}

#[track_caller]
pub(crate) fn connects(cluster: &Cluster, conninfo: &str) {
    let output = cluster.psql(conninfo, "select 6 * 7");
    let log = cluster.log();
    assert!(output.stdout == b"42\n", "{conninfo}\n{output:?}\n{log}");
}

/// What psql says to somebody who is not let in.
#[track_caller]
pub(crate) fn is_kept_out(cluster: &Cluster, conninfo: &str) -> String {
    let output = cluster.psql(conninfo, "select 1");
    assert!(!output.status.success(), "it let in {conninfo}");
    said(&output)
}

#[track_caller]
pub(crate) fn ends_with(status: i32, command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(status), "{command:?}\n{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

fn said(output: &Output) -> String {
    let both = [&*output.stdout, &*output.stderr].concat();
    String::from_utf8(both).unwrap()
}

pub(crate) fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let kind = path.symlink_metadata().unwrap();
        match (kind.is_dir(), kind.is_symlink()) {
            (true, _) => found.extend(files(&path)),
            (_, true) => {
                let target = fs::read_link(&path).unwrap();
                found.push((path, target.into_os_string().into_encoded_bytes()));
            }
            _ => {
                let bytes = fs::read(&path).unwrap();
                found.push((path, bytes));
            }
        }
    }
    found
}
