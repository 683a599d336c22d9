//! A cluster that serves a certificate of pgpki's, and one run of `pgpki inspect` on it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use pgpki_testing::{Cluster, Scene};
use serde_json::Value;

/// Rules of a server that talks to nobody in the clear.
pub(crate) const CLOSED: &str = "hostnossl all all all reject\nhost all all all scram-sha-256";

pub(crate) fn scene() -> Scene {
    Scene::new(env!("CARGO_BIN_EXE_pgpki"))
}

/// A scene with an authority, whose server's certificate is for `localhost` and `127.0.0.1`.
pub(crate) fn scene_with_authority() -> Scene {
    let scene = scene();
    scene.init("");
    scene
}

/// Settings that serve what is installed in the scene.
pub(crate) fn installed(scene: &Scene) -> String {
    let tls = scene.tls().join("current");
    let tls = tls.display();
    format!("ssl = on\nssl_cert_file = '{tls}/server.crt'\nssl_key_file = '{tls}/server.key'\n")
}

/// A cluster that serves what is installed in the scene.
pub(crate) fn serving(scene: &Scene) -> Cluster {
    let conf = installed(scene);
    Cluster::builder().conf(conf).hba(CLOSED).start().unwrap()
}

/// A cluster that serves a chain and a key in PEM.
pub(crate) fn serving_pem(chain: &[u8], key: &[u8]) -> Cluster {
    let conf = "ssl = on\nssl_cert_file = 'own.crt'\nssl_key_file = 'own.key'\n";
    let mut cluster = Cluster::builder().conf(conf).hba(CLOSED).create().unwrap();
    put(&cluster, "own.crt", chain);
    put(&cluster, "own.key", key);
    cluster.start().unwrap();
    cluster
}

/// Puts a file into the data directory, as the server's own.
pub(crate) fn put(cluster: &Cluster, name: &str, content: &[u8]) {
    let path = cluster.data_dir().join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    chown(&path, Some(cluster.owner().uid), Some(cluster.owner().gid)).unwrap();
}

/// How a run ended, and what it said.
pub(crate) struct Report {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Report {
    #[track_caller]
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert!(!stderr.contains("panicked"), "{command:?}\n{stderr}");
        Self {
            status: output.status.code(),
            stdout,
            stderr,
        }
    }

    /// The text of a run that ended with `status` and had nothing else to say.
    #[track_caller]
    pub(crate) fn text(self, status: i32) -> String {
        let Self { stdout, stderr, .. } = &self;
        assert_eq!(self.status, Some(status), "{stdout}{stderr}");
        assert_eq!(stderr, "", "{stdout}");
        self.stdout
    }

    /// The servers of a report in JSON.
    #[track_caller]
    pub(crate) fn servers(self, status: i32) -> Vec<Value> {
        let text = self.text(status);
        let report: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(report["version"], 1, "{text}");
        report["servers"].as_array().expect(&text).clone()
    }
}

pub(crate) fn inspect(scene: &Scene, args: &[&str]) -> Report {
    Report::of(&mut scene.command(["inspect"].iter().chain(args)))
}

/// The one server of a report in JSON.
#[track_caller]
pub(crate) fn one(scene: &Scene, args: &[&str], status: i32) -> Value {
    let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
    let mut servers = inspect(scene, &args).servers(status);
    assert_eq!(servers.len(), 1, "{servers:?}");
    servers.remove(0)
}

/// The codes of a server's findings from warning on, sorted.
pub(crate) fn codes(server: &Value) -> Vec<&str> {
    let findings = server["findings"].as_array().unwrap().iter();
    let wrong = findings.filter(|finding| finding["severity"] != "info");
    let mut codes: Vec<&str> = wrong.map(|it| it["code"].as_str().unwrap()).collect();
    codes.sort_unstable();
    codes
}

/// The finding with a code.
#[track_caller]
pub(crate) fn finding<'a>(server: &'a Value, code: &str) -> &'a Value {
    let mut findings = server["findings"].as_array().unwrap().iter();
    let found = findings.find(|finding| finding["code"] == code);
    found.unwrap_or_else(|| panic!("no {code} in {server:#}"))
}

pub(crate) fn at(cluster: &Cluster, host: &str) -> String {
    format!("{host}:{}", cluster.port())
}
