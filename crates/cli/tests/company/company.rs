//! A company's CAs, and an authority under one of them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use pgpki_testing::{Owner, Scene, run};

pub(crate) const FINDINGS: i32 = 1;
pub(crate) const USAGE: i32 = 2;
pub(crate) const REFUSED: i32 = 3;
pub(crate) const BAD_INPUT: i32 = 4;

/// The extensions of a CA.
pub(crate) const CA: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n\
    subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid";

const CLIENT: &str = "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth";

pub(crate) struct Company {
    pub(crate) scene: Scene,
}

impl Company {
    /// `root`, and `sub` below it, which is to sign for us: `sub.pem` and `sub.key`; `chain.pem` has both.
    pub(crate) fn new() -> Self {
        Self::with(CA)
    }

    /// The same where `sub` has these extensions.
    pub(crate) fn with(extensions: &str) -> Self {
        let this = Self {
            scene: Scene::new(env!("CARGO_BIN_EXE_pgpki")),
        };
        this.certify(
            "root",
            "/C=DE/O=Company/OU=a/OU=b/CN=Company root",
            None,
            CA,
            3000,
        );
        this.certify(
            "sub",
            "/C=DE/O=Company/OU=a/OU=b/CN=Company sub",
            Some("root"),
            extensions,
            2000,
        );
        this.write(
            "chain.pem",
            &(this.read("sub.pem") + &this.read("root.pem")),
        );
        this
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scene.path(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Runs openssl in the scene, with arguments split at spaces.
    #[track_caller]
    pub(crate) fn openssl(&self, line: &str) -> String {
        let output = run(&mut self.openssl_command(line));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn openssl_command(&self, line: &str) -> Command {
        let mut command = Command::new("openssl");
        command
            .current_dir(self.path(""))
            .args(line.split_whitespace());
        command
    }

    /// Makes a key, if it is not there, and a certificate for it.
    pub(crate) fn certify(
        &self,
        name: &str,
        subject: &str,
        signer: Option<&str>,
        extensions: &str,
        days: u32,
    ) {
        if !self.path(&format!("{name}.key")).exists() {
            self.openssl(&format!(
                "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}.key"
            ));
        }
        self.write("ext", extensions);
        let request = format!("req -new -utf8 -key {name}.key -out {name}.csr -subj");
        let mut command = Command::new("openssl");
        command.current_dir(self.path("")).args(request.split(' '));
        run(command.arg(subject));
        let signer = match signer {
            None => format!("-signkey {name}.key"),
            Some(signer) => format!("-CA {signer}.pem -CAkey {signer}.key -CAcreateserial"),
        };
        self.openssl(&format!(
            "x509 -req -in {name}.csr {signer} -days {days} -extfile ext -out {name}.pem"
        ));
    }

    /// A client's certificate that the company itself has issued.
    pub(crate) fn client(&self, name: &str, role: &str, signer: &str) {
        self.certify(name, &format!("/CN={role}"), Some(signer), CLIENT, 30);
    }

    /// `init` under `sub`, for localhost.
    pub(crate) fn init(&self, more: &str) -> String {
        self.scene.init(&format!(
            "--issuer-cert chain.pem --issuer-key sub.key {more}"
        ))
    }

    /// What `init` for these hosts would be, into the scene.
    pub(crate) fn init_command(&self, hosts: &str, more: &str) -> Command {
        let owner = Owner::of_new_clusters().unwrap();
        let mut command = self
            .scene
            .command(["init", "--no-root-passphrase", "--install"]);
        command.arg(self.scene.tls());
        command.arg(format!("--owner={}:{}", owner.uid, owner.gid));
        command.args(hosts.split_whitespace().chain(more.split_whitespace()));
        command
    }

    /// `init` ends with `status`, and nothing is left of it; what it says.
    #[track_caller]
    pub(crate) fn init_fails(&self, status: i32, hosts: &str, more: &str) -> String {
        let said = self
            .scene
            .fails_with(status, &mut self.init_command(hosts, more));
        assert!(!self.scene.home().exists(), "{said}");
        assert!(!self.scene.tls().exists(), "{said}");
        let left: Vec<_> = fs::read_dir(self.path("")).unwrap().collect();
        let left = left.into_iter().map(|entry| entry.unwrap().file_name());
        let hidden: Vec<_> = left
            .filter(|name| name.to_string_lossy().starts_with('.'))
            .collect();
        assert!(hidden.is_empty(), "{hidden:?}\n{said}");
        said
    }

    /// The server's chain as a client sees it that knows nothing but the company's root.
    #[track_caller]
    pub(crate) fn openssl_agrees(&self) {
        self.openssl(
            "verify -x509_strict -purpose sslserver -no-CApath -no-CAstore -CAfile root.pem \
             -untrusted tls/current/server.crt tls/current/server.crt",
        );
    }

    /// The subjects of the certificates in a file, in RFC 2253's form.
    pub(crate) fn subjects(&self, file: &str) -> Vec<String> {
        self.names(file, "subject")
    }

    fn names(&self, file: &str, which: &str) -> Vec<String> {
        let text = self.read(file);
        let end = "-----END CERTIFICATE-----\n";
        let found = text
            .split_inclusive(end)
            .enumerate()
            .map(|(number, block)| {
                let name = format!("block{number}.pem");
                self.write(&name, block);
                let line =
                    self.openssl(&format!("x509 -in {name} -noout -{which} -nameopt RFC2253"));
                line.trim().split_once('=').unwrap().1.to_owned()
            });
        found.collect()
    }
}
