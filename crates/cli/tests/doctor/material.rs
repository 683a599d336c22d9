//! Certificates, right and wrong, for servers and clients: issued by pgpki where it does so, and
//! signed with its issuing CA's key by openssl where it would not.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use pgpki_testing::{Cluster, Owner, Scene, openssl, run};

/// A chain in PEM, the leaf first, and its key.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) chain: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

/// An authority.
pub(crate) struct Material {
    pub(crate) scene: Scene,
}

impl Material {
    pub(crate) fn new() -> Self {
        Self::made("+0d")
    }

    /// An authority that was made at another time, in the words of faketime(1).
    pub(crate) fn made(when: &str) -> Self {
        let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
        let owner = Owner::of_new_clusters().unwrap();
        let (tls, owner) = (text(&scene.tls()), format!("{}:{}", owner.uid, owner.gid));
        let args = [
            "init",
            "localhost",
            "127.0.0.1",
            "--no-root-passphrase",
            "--install",
            &tls,
            "--owner",
            &owner,
        ];
        run(&mut scene.command_at(when, args));
        Self { scene }
    }

    /// The server's credential for `localhost` and `127.0.0.1`.
    pub(crate) fn server(&self) -> Pair {
        Pair::read(&self.scene.tls().join("current"), "server")
    }

    pub(crate) fn root(&self) -> Vec<u8> {
        fs::read(self.scene.tls().join("current/root.crt")).unwrap()
    }

    /// The CRLs of both CAs.
    pub(crate) fn crls(&self) -> Vec<u8> {
        fs::read(self.scene.tls().join("current/root.crl")).unwrap()
    }

    pub(crate) fn client(&self, role: &str) -> Pair {
        self.client_at("+0d", role, &[])
    }

    pub(crate) fn client_at(&self, when: &str, role: &str, more: &[&str]) -> Pair {
        let shelf = self.scene.path(format!("clients{when}"));
        let shelf_text = text(&shelf);
        let args = ["issue-client", role, "--out", &shelf_text];
        run(&mut self.scene.command_at(when, args.iter().chain(more)));
        Pair::read(&shelf.join(role), "postgresql")
    }

    /// A server's certificate under any name.
    pub(crate) fn server_for(&self, host: &str) -> Pair {
        let folder = self.scene.path(format!("server-{host}"));
        run(&mut self
            .scene
            .command(["issue-server", host, "--out", &text(&folder)]));
        Pair::read(&folder, "server")
    }

    fn issuing(&self, file: &str) -> String {
        text(&self.scene.home().join("issuing/current").join(file))
    }

    /// A leaf with a subject and extensions that pgpki has no profile for.
    pub(crate) fn leaf(&self, subject: &str, extensions: &str) -> Pair {
        let (certificate, key) = (self.issuing("ca.crt"), self.issuing("ca.key"));
        let mut pair = sign(&self.scene, subject, extensions, &certificate, &key);
        pair.chain.extend(fs::read(certificate).unwrap());
        pair
    }

    /// A CRL of the issuing CA with these certificates, made at `when` for 30 days.
    pub(crate) fn crl(&self, when: &str, revoked: &[&Pair]) -> Vec<u8> {
        let path = |name: &str| text(&self.scene.path(name));
        let entry = |pair: &&Pair| {
            let serial = pair.facts(&self.scene, "-serial").replace("serial=", "");
            format!(
                "R\t991231235959Z\t200101000000Z\t{}\tunknown\t/CN=x\n",
                serial.trim()
            )
        };
        let entries: String = revoked.iter().map(entry).collect();
        fs::write(path("index"), entries).unwrap();
        fs::write(path("crlnumber"), "7000\n").unwrap();
        let settings = format!(
            "[ca]\ndefault_ca=own\n[own]\ndatabase={}\ncrlnumber={}\ndefault_md=sha256\n\
             crl_extensions=x\n[x]\nauthorityKeyIdentifier=keyid\n",
            path("index"),
            path("crlnumber")
        );
        fs::write(path("ca.cnf"), settings).unwrap();
        let out = path("made.crl");
        let (certificate, key) = (self.issuing("ca.crt"), self.issuing("ca.key"));
        run(Command::new("faketime")
            .args(["-f", when, "openssl", "ca", "-gencrl", "-config"])
            .args([
                &path("ca.cnf"),
                "-cert",
                &certificate,
                "-keyfile",
                &key,
                "-crldays",
                "30",
                "-out",
                &out,
            ]));
        fs::read(out).unwrap()
    }

    /// Writes a client's files for `sslcert` and its like, and returns that part of a connection
    /// string.
    pub(crate) fn files(&self, pair: &Pair, root: &[u8]) -> String {
        let folder = tempfile::tempdir_in(self.scene.path("")).unwrap().keep();
        write_client(&folder, pair, root);
        let folder = folder.display();
        format!(
            "sslcert={folder}/postgresql.crt sslkey={folder}/postgresql.key \
             sslrootcert={folder}/root.crt"
        )
    }
}

/// The files of a client's folder, under libpq's names.
pub(crate) fn write_client(folder: &Path, pair: &Pair, root: &[u8]) {
    fs::write(folder.join("postgresql.crt"), &pair.chain).unwrap();
    fs::write(folder.join("postgresql.key"), &pair.key).unwrap();
    fs::write(folder.join("root.crt"), root).unwrap();
    set_mode(&folder.join("postgresql.key"), 0o600);
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// Has a CA sign a new P-256 key.
pub(crate) fn sign(scene: &Scene, subject: &str, extensions: &str, ca: &str, ca_key: &str) -> Pair {
    let path = |name: &str| text(&scene.path(name));
    let (key, request, leaf) = (path("x.key"), path("x.csr"), path("x.crt"));
    fs::write(path("x.ext"), extensions).unwrap();
    let curve = "ec_paramgen_curve:P-256";
    openssl([
        "req", "-new", "-newkey", "ec", "-pkeyopt", curve, "-nodes", "-subj", subject, "-keyout",
        &key, "-out", &request,
    ]);
    openssl([
        "x509",
        "-req",
        "-in",
        &request,
        "-CA",
        ca,
        "-CAkey",
        ca_key,
        "-days",
        "30",
        "-extfile",
        &path("x.ext"),
        "-out",
        &leaf,
    ]);
    Pair {
        chain: fs::read(leaf).unwrap(),
        key: fs::read(key).unwrap(),
    }
}

impl Pair {
    fn read(folder: &Path, name: &str) -> Self {
        let read = |ending: &str| fs::read(folder.join(format!("{name}.{ending}"))).unwrap();
        Self {
            chain: read("crt"),
            key: read("key"),
        }
    }

    /// The leaf without its issuers.
    pub(crate) fn alone(&self) -> Self {
        let leaf = pgpki_core::first_certificate(&self.chain).unwrap();
        Self {
            chain: pgpki_core::pem("CERTIFICATE", &leaf).into_bytes(),
            ..self.clone()
        }
    }

    /// The chain with its leaf last.
    pub(crate) fn reversed(&self) -> Self {
        let mut ders = pgpki_core::certificates(&self.chain);
        ders.reverse();
        let pems = ders.iter().map(|der| pgpki_core::pem("CERTIFICATE", der));
        Self {
            chain: pems.collect::<String>().into_bytes(),
            ..self.clone()
        }
    }

    fn facts(&self, scene: &Scene, what: &str) -> String {
        let path = scene.path("facts.crt");
        fs::write(&path, &self.chain).unwrap();
        let output = openssl(["x509", "-noout", what, "-in", &text(&path)]);
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Puts a file into the data directory, as the server's own with mode 0600.
pub(crate) fn put(cluster: &Cluster, name: &str, content: &[u8]) -> PathBuf {
    let path = cluster.data_dir().join(name);
    fs::write(&path, content).unwrap();
    set_mode(&path, 0o600);
    chown(&path, Some(cluster.owner().uid), Some(cluster.owner().gid)).unwrap();
    path
}

/// Settings that serve what [`put_credential`] has put there.
pub(crate) const TLS: &str = "ssl = on\nssl_cert_file = 'own.crt'\nssl_key_file = 'own.key'\n";
/// Settings that check clients' certificates.
pub(crate) const CLIENTS: &str = "ssl_ca_file = 'root.crt'\nssl_crl_file = 'root.crl'\n";

pub(crate) fn put_credential(cluster: &Cluster, pair: &Pair) {
    put(cluster, "own.crt", &pair.chain);
    put(cluster, "own.key", &pair.key);
}

pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
