//! Who is connected, what is revoked, and what the server's files say of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pgpki_testing::{await_that, openssl, revoked, run};
use serde_json::Value;

use crate::fixture::Stage;

/// Not what a test is about: far beyond what anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Runs `revoke --json` with these arguments, which must end with `status`, and returns the report.
#[track_caller]
pub(crate) fn revoke(stage: &Stage, status: i32, args: &[&str]) -> Value {
    let head = ["revoke", "--json"];
    let output = stage.scene.command(head.iter().chain(args)).output();
    let output = output.unwrap();
    let log = stage.cluster.log();
    assert_eq!(output.status.code(), Some(status), "{output:?}\n{log}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The same for people.
#[track_caller]
pub(crate) fn says(stage: &Stage, status: i32, args: &[&str]) -> String {
    let mut command = stage.scene.command(["revoke"].iter().chain(args));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The one place of a report.
#[track_caller]
pub(crate) fn the_place(report: &Value) -> &Value {
    let places = report["places"].as_array().unwrap();
    assert_eq!(places.len(), 1, "{report}");
    &places[0]
}

/// Every attempt is refused, and the alert says why. A server hangs up as soon as it has sent the alert, which libpq
/// loses where that comes before it has sent all that it has to say: then it is asked again.
#[track_caller]
pub(crate) fn is_refused(stage: &Stage, conninfo: &str) {
    let said = |_| stage.keeps_out(conninfo);
    let heard = (0..20)
        .map(said)
        .any(|it| it.contains("certificate revoked"));
    assert!(heard, "no alert: {}", stage.cluster.log());
}

/// A session that lasts until somebody ends it.
pub(crate) struct LongSession {
    psql: Child,
}

impl LongSession {
    pub(crate) fn begin(stage: &Stage, conninfo: &str, name: &str) -> Self {
        let conninfo = format!("{conninfo} application_name='{name}'");
        let mut psql = stage.cluster.psql_command();
        psql.args(["-XAtq", "-d", &conninfo, "-c", "select pg_sleep(600)"]);
        psql.stdin(Stdio::null()).stdout(Stdio::null());
        let session = Self {
            psql: psql.stderr(Stdio::piped()).spawn().unwrap(),
        };
        await_that("the session is there", LONG, || is_there(stage, name));
        session
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.psql.try_wait().unwrap().is_some()
    }

    /// Waits for its end, which must be somebody's doing.
    #[track_caller]
    pub(crate) fn was_ended(mut self) {
        await_that("the session has ended", LONG, || self.is_over());
        let mut said = String::new();
        let mut stderr = self.psql.stderr.take().unwrap();
        std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
        let expected = "terminating connection due to administrator command";
        assert!(said.contains(expected), "{said}");
    }
}

impl Drop for LongSession {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}

fn is_there(stage: &Stage, name: &str) -> bool {
    let sql = format!(
        "select count(*) from pg_stat_activity where application_name = '{name}' and state = 'active'"
    );
    stage.cluster.sql(&sql) == "1"
}

/// The serial number of the first certificate of a file, as pgpki has it.
pub(crate) fn serial_of(file: &Path) -> String {
    let output = openssl(["x509", "-noout", "-serial", "-in", file.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    let hex = text.trim().strip_prefix("serial=").unwrap().to_lowercase();
    format!("{hex:0>32}")
}

/// A CRL of the live generation, judged and read by openssl.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Crl {
    pub(crate) issuer: String,
    pub(crate) number: u128,
    /// The serial numbers, as pgpki has them.
    pub(crate) revoked: Vec<String>,
    /// All that openssl says.
    pub(crate) text: String,
}

/// The CRLs of the live generation; openssl has verified each.
#[track_caller]
pub(crate) fn installed_crls(stage: &Stage) -> Vec<Crl> {
    crls_of(stage, &stage.scene.tls().join("current"))
}

#[track_caller]
pub(crate) fn crls_of(stage: &Stage, folder: &Path) -> Vec<Crl> {
    let scratch = stage.scene.path("scratch");
    fs::create_dir_all(&scratch).unwrap();
    let cas = scratch.join("cas.pem");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    fs::write(&cas, read("root.crt") + &every_issuing_ca(stage)).unwrap();
    let crls = read("root.crl");
    let end = "-----END X509 CRL-----\n";
    let each = crls.split_inclusive(end).enumerate();
    each.map(|(index, pem)| {
        let file = scratch.join(format!("{index}.crl"));
        fs::write(&file, pem).unwrap();
        crl(&file, &cas)
    })
    .collect()
}

fn every_issuing_ca(stage: &Stage) -> String {
    let generations = fs::read_dir(stage.scene.home().join("issuing")).unwrap();
    let certificate = |entry: std::io::Result<fs::DirEntry>| {
        fs::read_to_string(entry.unwrap().path().join("ca.crt")).ok()
    };
    generations.filter_map(certificate).collect()
}

fn crl(file: &Path, cas: &Path) -> Crl {
    let args = ["-noout", "-text", "-crlnumber", "-issuer", "-CAfile"];
    let mut openssl = Command::new("openssl");
    openssl.arg("crl").args(args).arg(cas).arg("-in").arg(file);
    let output = run(&mut openssl);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("verify OK"), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |start: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(start)).unwrap()
    };
    let number = line("crlNumber=").trim_start_matches("0x");
    Crl {
        issuer: line("issuer=").to_owned(),
        number: u128::from_str_radix(number, 16).unwrap(),
        revoked: revoked(&text),
        text: text.clone(),
    }
}

/// All that the live CRLs revoke.
#[track_caller]
pub(crate) fn installed_revocations(stage: &Stage) -> Vec<String> {
    let crls = installed_crls(stage).into_iter();
    let mut serials: Vec<String> = crls.flat_map(|crl| crl.revoked).collect();
    serials.sort();
    serials
}

/// A copy of a client's folder, so that the test has the key after pgpki has lost it.
pub(crate) fn copied(stage: &Stage, folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap().to_str().unwrap();
    let copy = stage.scene.path(format!("copy-of-{name}"));
    run(Command::new("cp").arg("-r").arg(folder).arg(&copy));
    copy
}
