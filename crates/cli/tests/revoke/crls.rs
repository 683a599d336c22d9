//! What stands in the CRLs, as openssl reads them.

use std::path::Path;
use std::process::Command;

use pgpki_testing::run;

use crate::fixture::{EVERYTHING, Stage};
use crate::stage::{
    Crl, copied, installed_crls, installed_revocations, is_refused, revoke, serial_of,
};

/// The entry of the one certificate that a CRL revokes.
fn entry(crls: &[Crl], serial: &str) -> String {
    let upper = serial.trim_start_matches('0').to_uppercase();
    let mut texts = crls
        .iter()
        .filter(|crl| crl.revoked.contains(&serial.to_owned()));
    let text = &texts.next().unwrap().text;
    let entry = text
        .split("Serial Number: ")
        .find(|it| it.trim_start_matches('0').starts_with(&upper));
    entry.unwrap().to_owned()
}

#[test]
fn every_reason() {
    let stage = Stage::configured(&EVERYTHING);
    for (reason, expected) in [
        ("key-compromise", "Key Compromise"),
        ("ca-compromise", "CA Compromise"),
        ("affiliation-changed", "Affiliation Changed"),
        ("superseded", "Superseded"),
        ("cessation-of-operation", "Cessation Of Operation"),
        ("privilege-withdrawn", "Privilege Withdrawn"),
    ] {
        let folder = stage.client(reason);
        revoke(&stage, 0, &[reason, "--reason", reason]);
        let entry = entry(
            &installed_crls(&stage),
            &serial_of(&folder.join("postgresql.crt")),
        );
        let mut lines = entry.lines().map(str::trim);
        assert!(lines.any(|line| line == expected), "{reason}: {entry}");
    }
    let folder = stage.client("alice");
    revoke(&stage, 0, &["alice"]);
    let entry = entry(
        &installed_crls(&stage),
        &serial_of(&folder.join("postgresql.crt")),
    );
    // RFC 5280 section 5.3.1: unspecified is left out.
    assert!(!entry.contains("Reason Code"), "{entry}");
    let said = stage
        .scene
        .fails(2, "revoke alice --reason certificate-hold");
    assert!(said.contains("superseded"), "{said}");
}

/// By number in every CRL, one for each CA.
#[track_caller]
fn none_goes_back(before: &[Crl], after: &[Crl]) {
    for old in before {
        let new = after.iter().find(|new| new.issuer == old.issuer).unwrap();
        let is_same = new.text == old.text;
        assert!(is_same || new.number > old.number, "{old:?}\n{new:?}");
    }
}

#[test]
fn one_for_every_ca_in_every_chain() {
    let stage = Stage::configured(&EVERYTHING);
    let mut clients = Vec::new();
    let mut before = installed_crls(&stage);
    assert_eq!(before.len(), 2, "from the first init on");
    let steps = ["rotate --issuing", "rotate --root", "rotate --issuing"];
    for (role, step) in ["first", "second", "third", "fourth"]
        .iter()
        .zip(steps.iter().chain(&[""]))
    {
        let folder = copied(&stage, &stage.client(role));
        clients.push((*role, folder));
        if !step.is_empty() {
            stage.scene.pgpki(step);
            let now = installed_crls(&stage);
            none_goes_back(&before, &now);
            assert!(now.len() > before.len(), "{step}");
            before = now;
        }
    }
    for (role, folder) in &clients {
        stage.connects(&stage.conninfo(folder, role, &[]));
        assert_eq!(judged(&stage, folder), "OK");
    }
    for (done, (role, folder)) in clients.iter().enumerate() {
        let report = revoke(&stage, 0, &[role, "--reason", "superseded"]);
        assert_eq!(report["crls"].as_array().unwrap().len(), 1, "{report}");
        let now = installed_crls(&stage);
        none_goes_back(&before, &now);
        before = now;
        is_refused(&stage, &stage.conninfo(folder, role, &[]));
        assert!(judged(&stage, folder).contains("certificate revoked"));
        for (role, folder) in &clients[done + 1..] {
            stage.connects(&stage.conninfo(folder, role, &[]));
            assert_eq!(judged(&stage, folder), "OK");
        }
    }
    let issuers = before.iter().filter(|crl| !crl.revoked.is_empty());
    assert!(issuers.count() >= 3, "{before:?}");
    stage.ledger_agrees();
}

/// What openssl says of a client's chain, as a server with the live generation would have it.
fn judged(stage: &Stage, folder: &Path) -> String {
    let current = stage.scene.tls().join("current");
    let crt = folder.join("postgresql.crt");
    let mut openssl = Command::new("openssl");
    openssl.args([
        "verify",
        "-purpose",
        "sslclient",
        "-crl_check_all",
        "-CAfile",
    ]);
    openssl
        .arg(current.join("root.crt"))
        .arg("-CRLfile")
        .arg(current.join("root.crl"));
    let output = openssl
        .arg("-untrusted")
        .arg(&crt)
        .arg(&crt)
        .output()
        .unwrap();
    match output.status.success() {
        true => "OK".to_owned(),
        false => String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn what_has_expired_drops_out() {
    let stage = Stage::configured(&EVERYTHING);
    stage
        .scene
        .pgpki("issue-client --out clients --days 2 alice");
    stage
        .scene
        .pgpki("issue-client --out clients --days 30 bob carol");
    let serial =
        |role: &str| serial_of(&stage.scene.path(format!("clients/{role}/postgresql.crt")));
    let sorted = |roles: &[&str]| {
        let mut serials: Vec<String> = roles.iter().map(|role| serial(role)).collect();
        serials.sort();
        serials
    };
    revoke(&stage, 0, &["alice", "bob"]);
    let first = installed_crls(&stage);
    assert_eq!(installed_revocations(&stage), sorted(&["alice", "bob"]));
    // By a clock that the server does not have.
    let later = ["revoke", "--no-reload", "carol"];
    let output = stage.scene.command_at("+5d", later).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(installed_revocations(&stage), sorted(&["bob", "carol"]));
    let second = installed_crls(&stage);
    none_goes_back(&first, &second);
    // The clock goes back: by it alice's certificate counts again.
    stage
        .scene
        .pgpki("issue-client --out clients --days 30 dave");
    run(&mut stage.scene.command(["rotate"]));
    revoke(&stage, 0, &["dave"]);
    none_goes_back(&second, &installed_crls(&stage));
    assert_eq!(
        installed_revocations(&stage),
        sorted(&["alice", "bob", "carol", "dave"])
    );
}
