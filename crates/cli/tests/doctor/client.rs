//! `pgpki doctor --client`: a client with everything in order, and one fault at a time, with a real
//! server at the other end.

mod files;
mod healthy;
mod refused;
mod settings;

use std::path::{Path, PathBuf};
use std::process::Command;

use pgpki_testing::{Cluster, ServerPrograms};
use serde_json::Value;

use crate::material::{CLIENTS, Material, Pair, TLS, put, put_credential, set_mode, write_client};

/// Rules as `pgpki init` prints them.
const RULES: &str = "hostnossl all all all reject\nhostssl all all all cert";

/// A server that checks certificates, and a client with a home of its own.
struct Pairing {
    material: Material,
    cluster: Cluster,
    home: PathBuf,
}

impl Pairing {
    fn new() -> Self {
        Self::on(&ServerPrograms::find().unwrap())
    }

    fn on(programs: &ServerPrograms) -> Self {
        Self::between(Material::new(), programs)
    }

    /// Alice with all that pgpki has handed out.
    fn between(material: Material, programs: &ServerPrograms) -> Self {
        let builder = Cluster::builder()
            .programs(programs)
            .conf(format!("{TLS}{CLIENTS}"));
        let mut cluster = builder.hba(RULES).create().unwrap();
        put_credential(&cluster, &material.server());
        put(&cluster, "root.crt", &material.root());
        put(&cluster, "root.crl", &material.crls());
        cluster.start().unwrap();
        for role in ["alice", "bob"] {
            cluster.create_role(role, None, true);
        }
        let home = material.scene.path("alices");
        let pairing = Self {
            home,
            cluster,
            material,
        };
        std::fs::create_dir_all(pairing.folder()).unwrap();
        pairing.take(&pairing.material.client("alice"));
        pairing
    }

    fn folder(&self) -> PathBuf {
        self.home.join(".postgresql")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Gives the client another certificate; it trusts its own authority.
    fn take(&self, pair: &Pair) {
        write_client(&self.folder(), pair, &self.material.root());
    }

    fn conninfo(&self, more: &str) -> String {
        let port = self.cluster.port();
        format!("host=localhost hostaddr=127.0.0.1 port={port} user=alice dbname=postgres {more}")
    }

    /// Doctor for a client with this connection string and its own home.
    fn command(&self, conninfo: &str) -> Command {
        let mut command = self
            .material
            .scene
            .command(["doctor", "--client", "--json", conninfo]);
        command.env("HOME", &self.home);
        command
    }

    /// What doctor finds for a connection with verify-full.
    #[track_caller]
    fn doctor(&self) -> Seen {
        Seen::of(&mut self.command(&self.conninfo("sslmode=verify-full")))
    }

    /// What psql says to the same connection; nothing if it gets in.
    fn psql(&self) -> String {
        let mut psql = self.cluster.psql_command();
        psql.env("HOME", &self.home);
        let conninfo = self.conninfo("sslmode=verify-full");
        let output = psql
            .args(["-XAtqc", "select 1", "-d", &conninfo])
            .output()
            .unwrap();
        String::from_utf8(output.stderr).unwrap()
    }
}

/// A report.
struct Seen {
    findings: Vec<Value>,
    text: String,
}

impl Seen {
    /// The exit status must fit what was found.
    #[track_caller]
    fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        let report: Value =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {output:?}"));
        assert_eq!(report["side"], "client", "{text}");
        let seen = Self {
            findings: report["findings"].as_array().unwrap().clone(),
            text,
        };
        let expected = i32::from(!seen.codes().is_empty());
        assert_eq!(output.status.code(), Some(expected), "{output:?}");
        seen
    }

    /// The codes from warning on, sorted.
    fn codes(&self) -> Vec<&str> {
        let wrong = self.findings.iter().filter(|it| it["severity"] != "info");
        let mut codes: Vec<&str> = wrong.map(|it| it["code"].as_str().unwrap()).collect();
        codes.sort_unstable();
        codes
    }

    #[track_caller]
    fn assert(&self, codes: &[&str]) {
        assert_eq!(self.codes(), codes, "{}", self.text);
    }

    #[track_caller]
    fn finding(&self, code: &str) -> &Value {
        let found = self.findings.iter().find(|it| it["code"] == code);
        found.unwrap_or_else(|| panic!("no {code} in {}", self.text))
    }

    #[track_caller]
    fn message(&self, code: &str) -> &str {
        self.finding(code)["message"].as_str().unwrap()
    }

    /// That a finding is about this file.
    #[track_caller]
    fn assert_file(&self, code: &str, file: &Path) {
        assert_eq!(
            self.finding(code)["file"],
            file.to_str().unwrap(),
            "{}",
            self.text
        );
    }
}

/// Lets anybody read a folder and everything in it.
fn open_up(folder: &Path) {
    set_mode(folder, 0o755);
}
