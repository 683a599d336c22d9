//! CRLs: one of every CA in every chain, as long as the CA lives.

use std::fs;
use std::path::Path;

use pgpki_testing::{Scene, openssl};

use crate::stage::{DONE, FINDINGS, Stage, blocks, init_at};

/// A CRL of the file that the server has.
#[derive(Debug)]
struct Crl {
    issuer: String,
    next_update: String,
    number: u64,
}

fn asked(kind: &str, pem: &str, file: &Path, what: &[&str]) -> String {
    fs::write(file, pem).unwrap();
    let args = [&[kind, "-noout"], what, &["-in", file.to_str().unwrap()]].concat();
    String::from_utf8(openssl(args).stdout)
        .unwrap()
        .trim()
        .to_owned()
}

fn value(said: &str) -> String {
    said.split_once('=').unwrap().1.to_owned()
}

impl Stage {
    fn crls(&self) -> Vec<Crl> {
        let file = self.scene.path("asked");
        let crls = blocks(&self.scene.tls().join("current/root.crl"));
        let read = |pem: &String| {
            let ask = |what: &str| value(&asked("crl", pem, &file, &[what]));
            let number = ask("-crlnumber");
            Crl {
                issuer: value(&asked(
                    "crl",
                    pem,
                    &file,
                    &["-issuer", "-nameopt", "RFC2253"],
                )),
                next_update: ask("-nextupdate"),
                number: u64::from_str_radix(number.trim_start_matches("0x"), 16).unwrap(),
            }
        };
        crls.iter().map(read).collect()
    }

    /// The subject and the end of every CA that is kept in the home.
    fn cas(&self) -> Vec<(String, String)> {
        let file = self.scene.path("asked");
        let kept = ["root", "issuing"].map(|part| self.scene.home().join(part));
        let kept = kept.iter().flat_map(|part| crate::stage::files(part));
        let kept = kept.filter(|(path, _)| path.ends_with("ca.crt"));
        let read = |(_, pem): (_, Vec<u8>)| {
            let pem = String::from_utf8(pem).unwrap();
            let subject = asked("x509", &pem, &file, &["-subject", "-nameopt", "RFC2253"]);
            let end = asked("x509", &pem, &file, &["-enddate"]);
            (value(&subject), value(&end))
        };
        kept.map(read).collect()
    }
}

/// Each CA has one, which ends with it and not before.
#[track_caller]
fn one_of_each(stage: &Stage) {
    let (crls, mut cas) = (stage.crls(), stage.cas());
    let mut covered: Vec<_> = crls
        .iter()
        .map(|crl| (crl.issuer.clone(), crl.next_update.clone()))
        .collect();
    covered.sort();
    cas.sort();
    assert_eq!(covered, cas);
}

#[test]
fn every_ca_has_one_from_the_start_and_while_it_is_trusted() {
    let stage = Stage::new();
    assert_eq!(stage.crls().len(), 2);
    one_of_each(&stage);
    stage.rotate(DONE, &["--issuing"]);
    assert_eq!(stage.crls().len(), 3);
    one_of_each(&stage);
    stage.rotate(DONE, &["--root"]);
    assert_eq!(stage.crls().len(), 5);
    one_of_each(&stage);
    stage.rotate(DONE, &["--root", "--finish"]);
    let left = stage.crls();
    let issuers: Vec<&str> = left.iter().map(|crl| &*crl.issuer).collect();
    assert_eq!(issuers.len(), 2, "{left:?}");
    assert!(issuers[0].contains("root CA 2"), "{left:?}");
    assert!(issuers[1].contains("issuing CA 3"), "{left:?}");
}

#[test]
fn numbers_only_grow() {
    let stage = Stage::new();
    for role in ["alice", "bob", "carol"] {
        stage.client(role);
    }
    let number_of = |name: &str| {
        let crls = stage.crls();
        let mut of_it = crls.iter().filter(|crl| crl.issuer.contains(name));
        of_it.next().unwrap().number
    };
    let mut last = number_of("issuing CA 1");
    // Within the same second as well.
    for role in ["alice", "bob", "carol"] {
        stage.says(DONE, &["revoke", role]);
        let number = number_of("issuing CA 1");
        assert!(number > last, "{number} after {last}");
        last = number;
    }
    let root = number_of("root CA 1");
    stage.rotate(DONE, &["--issuing", "--compromised"]);
    assert!(number_of("root CA 1") > root);
}

/// What inspect says of the installation, and doctor of the server.
#[track_caller]
fn both_report(stage: &Stage, code: &str) {
    let tls = stage.scene.tls();
    let data = stage.cluster.data_dir();
    let inspect = ["inspect", "--json", tls.to_str().unwrap()];
    let doctor = ["doctor", "--json", "--pgdata", data.to_str().unwrap()];
    for args in [inspect.as_slice(), &doctor] {
        let output = stage.scene.command(args).output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let findings = report["findings"].as_array().unwrap();
        let mut codes = findings.iter().map(|it| it["code"].as_str().unwrap());
        assert!(codes.any(|it| it == code), "no {code} in {report}");
    }
}

#[test]
fn one_that_is_missing_or_foreign_is_seen() {
    let stage = Stage::new();
    let file = stage.scene.tls().join("current/root.crl");
    let crls = blocks(&file);
    fs::write(&file, &crls[0]).unwrap();
    both_report(&stage, "crl-missing");
    fs::write(&file, &crls[1]).unwrap();
    both_report(&stage, "crl-missing");

    let other = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    init_at(
        &other,
        "-1d",
        &["--no-root-passphrase", "--organization", "another"],
    );
    let foreign = blocks(&other.tls().join("current/root.crl"));
    fs::write(&file, [crls.concat(), foreign.concat()].concat()).unwrap();
    both_report(&stage, "crl-foreign");

    // rotate sees it as well, and puts it right.
    let report = stage.rotate(DONE, &[]);
    assert_eq!(report["places"][0]["outcome"], "refreshed", "{report}");
    assert_eq!(blocks(&stage.scene.tls().join("current/root.crl")), crls);
    stage.is_settled();
}

/// It ends with its CA, and that is told long before.
#[test]
fn one_that_is_near_its_end_is_seen() {
    let stage = Stage::new();
    let tls = stage.scene.tls();
    // An issuing CA has five years.
    for (when, is_due) in [("+1200d", false), ("+1240d", true)] {
        let args = ["inspect", "--json", tls.to_str().unwrap()];
        let output = stage.scene.command_at(when, args).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.contains("\"crl-due\""), is_due, "{when}: {said}");
    }
}

/// The files are sound in themselves, and no longer what the authority wants there.
#[test]
fn an_installation_that_is_behind_is_seen() {
    let stage = Stage::new();
    let generations = stage.scene.tls();
    stage.client("alice");
    stage.rotate(DONE, &[]);
    stage.says(FINDINGS, &["revoke", "alice", "--no-reload"]);
    let link = generations.join("current");
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("g0002"));
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("g0001", &link).unwrap();
    let data = stage.cluster.data_dir();
    let doctor = ["doctor", "--json", "--pgdata", data.to_str().unwrap()];
    let report = stage.json(FINDINGS, &doctor);
    let findings = report["findings"].as_array().unwrap();
    let mut codes = findings.iter().map(|it| it["code"].as_str().unwrap());
    assert!(codes.any(|it| it == "installation-behind"), "{report}");
    stage.rotate(DONE, &[]);
    let report = stage.json(DONE, &doctor);
    assert!(
        !report.to_string().contains("installation-behind"),
        "{report}"
    );
}
