//! An authority, and what it has issued.

use std::fs;
use std::path::{Path, PathBuf};

use pgpki_testing::{Scene, openssl, run};

pub(crate) const HOSTS: [&str; 6] = [
    "db.example.com",
    "10.0.0.5",
    "2001:db8::5",
    "*.nodes.example.com",
    "bücher.example",
    "UPPER.example.com",
];

/// A scene with an authority, a server's credential for [`HOSTS`], and clients.
pub(crate) struct Issued {
    pub(crate) scene: Scene,
    clients: Vec<&'static str>,
}

/// One certificate with its key, and what it is for.
pub(crate) struct Leaf {
    /// The leaf and its chain, PEM.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) purpose: Purpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Server,
    Client,
}

impl Issued {
    /// With this kind of key for everything, and one client for each of `client_algorithms`.
    pub(crate) fn new(algorithm: &str, client_algorithms: &[&'static str]) -> Self {
        Self::with(None, algorithm, client_algorithms)
    }

    /// The same by a clock that says `when`.
    pub(crate) fn at(when: &str) -> Self {
        Self::with(Some(when), "p256", &["p256"])
    }

    fn with(when: Option<&str>, algorithm: &str, client_algorithms: &[&'static str]) -> Self {
        let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
        let options = [
            "--no-root-passphrase",
            "--install",
            "tls",
            "--key-algorithm",
        ];
        let owner = caller();
        let mut args = vec!["init"];
        args.extend(HOSTS);
        args.extend(options);
        args.extend([algorithm, "--owner", &owner]);
        let command = |args: &[&str]| match when {
            Some(when) => scene.command_at(when, args),
            None => scene.command(args),
        };
        run(&mut command(&args));
        for role in client_algorithms {
            let issue = ["issue-client", role, "--out", "clients"];
            run(&mut command(
                &[&issue[..], &["--key-algorithm", role]].concat(),
            ));
        }
        Self {
            scene,
            clients: client_algorithms.to_vec(),
        }
    }

    /// Every leaf.
    pub(crate) fn leaves(&self) -> Vec<Leaf> {
        let leaf = |folder: &Path, name: &str, purpose| Leaf {
            certificate: folder.join(format!("{name}.crt")),
            key: folder.join(format!("{name}.key")),
            purpose,
        };
        let server = leaf(&self.live(), "server", Purpose::Server);
        let clients = self.clients.iter().map(|role| {
            let folder = self.scene.path("clients").join(role);
            assert_eq!(
                fs::read(folder.join("root.crt")).unwrap(),
                fs::read(self.root()).unwrap()
            );
            leaf(&folder, "postgresql", Purpose::Client)
        });
        std::iter::once(server).chain(clients).collect()
    }

    /// The live generation.
    pub(crate) fn live(&self) -> PathBuf {
        self.scene.path("tls/current")
    }

    /// The root's certificate, as clients and servers have it.
    pub(crate) fn root(&self) -> PathBuf {
        self.live().join("root.crt")
    }

    /// Every CA's CRL.
    pub(crate) fn crls(&self) -> PathBuf {
        self.live().join("root.crl")
    }

    /// A CA's file in the home.
    pub(crate) fn ca(&self, kind: &str, file: &str) -> PathBuf {
        self.scene.home().join(kind).join("current").join(file)
    }
}

fn caller() -> String {
    let ids = |flag| run(std::process::Command::new("id").arg(flag)).stdout;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    format!("{}:{}", text(ids("-u")), text(ids("-g")))
}

/// What `openssl` prints.
#[track_caller]
pub(crate) fn openssl_says(args: &[&str], file: &Path) -> String {
    let file = file.to_str().unwrap();
    let output = openssl(args.iter().chain(&["-in", file]));
    String::from_utf8(output.stdout).unwrap()
}

/// The PEM blocks of a file, each as text.
pub(crate) fn blocks(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let end = "-----END ";
    let mut blocks: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.starts_with("-----BEGIN ") {
            blocks.push(String::new());
        }
        let block = blocks.last_mut().expect("text before the first block");
        assert!(!block.contains(end), "text between blocks: {line}");
        block.push_str(line);
        block.push('\n');
    }
    assert!(blocks.iter().all(|block| block.contains(end)));
    blocks
}
