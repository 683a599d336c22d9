//! A cluster that is served from an authority's installation.

use std::path::{Path, PathBuf};

use pgpki_testing::{Cluster, Scene, run};
use serde_json::Value;

pub(crate) fn scene() -> Scene {
    Scene::new(env!("CARGO_BIN_EXE_pgpki"))
}

/// An authority, and a cluster with its settings.
pub(crate) struct Served {
    pub(crate) cluster: Cluster,
    pub(crate) scene: Scene,
}

impl Served {
    /// Makes an authority, pastes what that printed into the files of a new cluster, and starts it.
    pub(crate) fn new(init: &str) -> Self {
        let scene = scene();
        let lines = Printed::by_init(&scene.init(init));
        Self::start(scene, &lines)
    }

    /// The same for an authority that is there.
    pub(crate) fn start(scene: Scene, lines: &Printed) -> Self {
        let cluster = Cluster::builder()
            .conf(&lines.conf)
            .hba(&lines.hba)
            .start()
            .unwrap();
        Self { cluster, scene }
    }

    /// Creates a role, issues a certificate to it, and returns its folder.
    pub(crate) fn client(&self, role: &str, options: &[&str]) -> PathBuf {
        self.cluster.create_role(role, None, true);
        issue_client(&self.scene, role, options)
    }

    /// The connection string of a client with this folder and full verification; what is in `more`
    /// wins.
    pub(crate) fn conninfo(&self, folder: &Path, user: &str, more: &[(&str, &str)]) -> String {
        conninfo(&self.cluster, folder, user, more)
    }

    /// Connects and returns what `sql` gives.
    #[track_caller]
    pub(crate) fn connects(&self, conninfo: &str, sql: &str) -> String {
        connects(&self.cluster, conninfo, sql)
    }
}

/// Issues a certificate, and returns its folder.
pub(crate) fn issue_client(scene: &Scene, role: &str, options: &[&str]) -> PathBuf {
    let args = ["issue-client", "--out", "clients"];
    run(&mut scene.command(args.iter().chain(options).chain(&["--", role])));
    scene.path("clients").join(role)
}

/// See [`Served::conninfo`].
pub(crate) fn conninfo(
    cluster: &Cluster,
    folder: &Path,
    user: &str,
    more: &[(&str, &str)],
) -> String {
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let port = cluster.port().to_string();
    let (root, certificate, key) = (
        file("root.crt"),
        file("postgresql.crt"),
        file("postgresql.key"),
    );
    let own = [
        ("host", "localhost"),
        ("port", &port),
        ("dbname", "postgres"),
        ("user", user),
        ("sslmode", "verify-full"),
        ("sslrootcert", &root),
        ("sslcert", &certificate),
        ("sslkey", &key),
    ];
    // libpq takes the last of several values for one keyword.
    let pairs = own.iter().chain(more);
    pairs
        .map(|(key, value)| {
            let value = value.replace('\\', "\\\\").replace('\'', "\\'");
            format!("{key}='{value}' ")
        })
        .collect()
}

/// Connects and returns what `sql` gives.
#[track_caller]
pub(crate) fn connects(cluster: &Cluster, conninfo: &str, sql: &str) -> String {
    let output = cluster.psql(conninfo, sql);
    let log = cluster.log();
    assert!(
        output.status.success(),
        "{conninfo}\n{}\n{log}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end_matches('\n')
        .to_owned()
}

/// Fails to connect, and returns what psql said.
#[track_caller]
pub(crate) fn refused(cluster: &Cluster, conninfo: &str) -> String {
    let output = cluster.psql(conninfo, "select 1");
    assert!(!output.status.success(), "it let in {conninfo}: {output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a person copies from the output of `init`.
pub(crate) struct Printed {
    /// The lines for `postgresql.conf`.
    pub(crate) conf: String,
    /// The lines for `pg_hba.conf`.
    pub(crate) hba: String,
}

impl Printed {
    pub(crate) fn by_init(stdout: &str) -> Self {
        let (_, lines) = stdout.split_once("\n# postgresql.conf").expect(stdout);
        let (conf, hba) = lines.split_once("\n# pg_hba.conf").expect(stdout);
        let below = |text: &str| text.split_once('\n').expect(stdout).1.to_owned();
        Self {
            conf: below(conf),
            hba: below(hba),
        }
    }

    /// The rules with a password beside the certificate, as the last printed line says.
    pub(crate) fn hba_with_password(&self) -> String {
        let with_password = "scram-sha-256 clientcert=verify-full";
        assert!(self.hba.contains(with_password), "{}", self.hba);
        let rules = self
            .hba
            .lines()
            .map(|line| match line.strip_suffix(" cert") {
                Some(rule) if !line.starts_with('#') => format!("{rule} {with_password}\n"),
                _ => format!("{line}\n"),
            });
        rules.collect()
    }
}

/// The serial number of the one client certificate of `role` that counts, in hexadecimal.
pub(crate) fn serial_in_ledger(scene: &Scene, role: &str) -> String {
    let output = scene
        .command(["inspect", "--all", "--json"])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let certificates = report["certificates"].as_array().unwrap();
    let mut serials = certificates
        .iter()
        .filter(|it| it["profile"] == "client" && it["subject"] == role && it["status"] == "valid");
    let serial = serials.next().unwrap()["serial"].as_str().unwrap();
    assert!(serials.next().is_none(), "{report}");
    serial.to_owned()
}

/// As `pg_stat_ssl` writes it.
pub(crate) fn decimal(serial: &str) -> String {
    u128::from_str_radix(serial, 16).unwrap().to_string()
}

/// Copies a folder as a person does.
pub(crate) fn copy(from: &Path, to: &Path) {
    run(std::process::Command::new("cp").arg("-r").arg(from).arg(to));
}
