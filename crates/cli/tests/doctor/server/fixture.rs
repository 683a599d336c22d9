//! A cluster that is served from an authority's installation, and what doctor says of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgpki_testing::{Cluster, ClusterBuilder, Scene, ServerPrograms};
use serde_json::Value;

/// The rules that `pgpki init` prints.
pub(crate) const RULES: &str = "hostnossl all all all reject\nhostnossl replication all all reject\n\
                                hostssl all all all cert\nhostssl replication all all cert\n";

pub(crate) struct Doctored {
    pub(crate) cluster: Cluster,
    pub(crate) scene: Scene,
}

impl Doctored {
    /// An authority and a cluster, as `pgpki init` has one set it up.
    pub(crate) fn new() -> Self {
        Self::on(Cluster::builder())
    }

    pub(crate) fn of_version(programs: &ServerPrograms) -> Self {
        Self::on(Cluster::builder().programs(programs))
    }

    fn on(builder: ClusterBuilder) -> Self {
        let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
        scene.init("");
        let conf = conf(&scene);
        let cluster = builder.conf(conf).hba(RULES).start().unwrap();
        Self { cluster, scene }
    }

    /// An authority, and a cluster that knows nothing of it, with these rules.
    pub(crate) fn before_configure(rules: &str) -> Self {
        let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
        scene.init("");
        let cluster = Cluster::builder().hba(rules).start().unwrap();
        Self { cluster, scene }
    }

    /// The settings that `pgpki init` prints.
    pub(crate) fn conf(&self) -> String {
        conf(&self.scene)
    }

    /// The live generation.
    pub(crate) fn current(&self) -> PathBuf {
        self.scene.tls().join("current").canonicalize().unwrap()
    }

    pub(crate) fn command(&self, more: &[&str]) -> Command {
        let mut command = self.scene.command(["doctor", "--pgdata"]);
        command.arg(self.cluster.data_dir()).args(more);
        command
    }

    /// What doctor says, whose exit status must fit.
    #[track_caller]
    pub(crate) fn doctor(&self) -> Seen {
        Seen::of(&mut self.command(&["--json"]))
    }

    /// Reloads with these settings in place of all that were added.
    #[track_caller]
    pub(crate) fn reload_with(&mut self, conf: &str) {
        self.cluster.set_conf(conf);
        self.cluster.reload().unwrap();
    }

    /// Reloads with these rules.
    #[track_caller]
    pub(crate) fn reload_with_rules(&mut self, rules: &str) {
        self.cluster.set_hba(rules);
        self.cluster.reload().unwrap();
    }

    /// Writes over a file in place, which keeps its owner and mode.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.current().join(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.current().join(name)).unwrap()
    }
}

fn conf(scene: &Scene) -> String {
    let tls = scene.tls().join("current");
    let tls = tls.display();
    format!(
        "ssl = on\nssl_cert_file = '{tls}/server.crt'\nssl_key_file = '{tls}/server.key'\n\
         ssl_ca_file = '{tls}/root.crt'\nssl_crl_file = '{tls}/root.crl'\n\
         ssl_min_protocol_version = 'TLSv1.2'\n"
    )
}

/// A report in JSON.
pub(crate) struct Seen(Value);

impl Seen {
    #[track_caller]
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}\n{output:?}"));
        assert_eq!(report["version"], 1);
        assert_eq!(report["side"], "server");
        let seen = Self(report);
        let status = i32::from(!seen.wrong().is_empty());
        assert_eq!(output.status.code(), Some(status), "{}\n{stderr}", seen.0);
        seen
    }

    fn findings(&self) -> &[Value] {
        self.0["findings"].as_array().unwrap()
    }

    /// The codes of warnings and errors, sorted, each once.
    pub(crate) fn wrong(&self) -> Vec<&str> {
        let findings = self.findings().iter();
        let wrong = findings.filter(|finding| finding["severity"] != "info");
        let mut codes: Vec<&str> = wrong.map(|it| it["code"].as_str().unwrap()).collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    /// Asserts that just these warnings and errors are there.
    #[track_caller]
    pub(crate) fn is_wrong_with(&self, codes: &[&str]) -> &Self {
        assert_eq!(self.wrong(), codes, "{:#}", self.0);
        self
    }

    #[track_caller]
    pub(crate) fn is_healthy(&self) {
        self.is_wrong_with(&[]);
    }

    /// The first finding with a code.
    #[track_caller]
    pub(crate) fn finding(&self, code: &str) -> &Value {
        let mut findings = self.findings().iter();
        let found = findings.find(|finding| finding["code"] == code);
        found.unwrap_or_else(|| panic!("no {code} in {:#}", self.0))
    }

    /// The messages of all findings with a code.
    pub(crate) fn messages(&self, code: &str) -> Vec<&str> {
        let findings = self.findings().iter().filter(|it| it["code"] == code);
        findings.map(|it| it["message"].as_str().unwrap()).collect()
    }

    /// Asserts that there is a finding of this code and severity about a file.
    #[track_caller]
    pub(crate) fn has(&self, severity: &str, code: &str, file: &Path) -> &Self {
        let is_it = |it: &Value| {
            it["code"] == code && it["severity"] == severity && it["file"] == file.to_str().unwrap()
        };
        assert!(self.findings().iter().any(is_it), "{code}: {:#}", self.0);
        self
    }

    /// Asserts that there is a finding of this code and severity about a line of a file.
    #[track_caller]
    pub(crate) fn has_at(&self, severity: &str, code: &str, file: &Path, line: u32) -> &Self {
        let is_it = |it: &Value| {
            it["code"] == code
                && it["severity"] == severity
                && it["file"] == file.to_str().unwrap()
                && it["line"] == line
        };
        assert!(self.findings().iter().any(is_it), "{code}: {:#}", self.0);
        self
    }

    /// Asserts that there is a finding of this code and severity about a role.
    #[track_caller]
    pub(crate) fn has_role(&self, severity: &str, code: &str, role: &str) -> &Self {
        let is_it =
            |it: &Value| it["code"] == code && it["severity"] == severity && it["role"] == role;
        assert!(self.findings().iter().any(is_it), "{code}: {:#}", self.0);
        self
    }

    /// Asserts that no finding has this code.
    #[track_caller]
    pub(crate) fn lacks(&self, code: &str) -> &Self {
        let mut findings = self.findings().iter();
        assert!(!findings.any(|it| it["code"] == code), "{:#}", self.0);
        self
    }

    pub(crate) fn mended(&self) -> Vec<&str> {
        let mended = self.0["mended"].as_array().unwrap().iter();
        mended.map(|it| it.as_str().unwrap()).collect()
    }
}
