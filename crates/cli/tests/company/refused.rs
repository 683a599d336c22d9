//! What cannot be is refused, and nothing is left of it.

use crate::company::{BAD_INPUT, CA, Company, REFUSED, USAGE};

const UNDER: &str = "--issuer-cert chain.pem --issuer-key sub.key";

#[test]
fn a_ca_that_may_not_sign_is_refused() {
    for (extensions, expected) in [
        (
            "basicConstraints=critical,CA:FALSE",
            "is no CA's certificate",
        ),
        (
            "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=keyCertSign",
            "path length of 0",
        ),
        (
            "basicConstraints=critical,CA:TRUE\nkeyUsage=cRLSign",
            "no keyCertSign",
        ),
    ] {
        let said = Company::with(extensions).init_fails(REFUSED, "localhost", UNDER);
        assert!(said.contains(expected), "{said}");
        assert!(said.contains("chain.pem"), "{said}");
    }
}

#[test]
fn files_that_do_not_fit_are_refused() {
    let company = Company::new();
    company.write("garbage", "garbage");
    for (status, more, expected) in [
        (
            BAD_INPUT,
            "--issuer-cert chain.pem --issuer-key root.key",
            "does not belong to the certificate",
        ),
        (
            BAD_INPUT,
            "--issuer-cert sub.pem --issuer-key sub.key",
            "Company root",
        ),
        (
            BAD_INPUT,
            "--issuer-cert garbage --issuer-key sub.key",
            "garbage",
        ),
        (
            BAD_INPUT,
            "--issuer-cert chain.pem --issuer-key garbage",
            "garbage",
        ),
        (
            BAD_INPUT,
            "--issuer-cert missing --issuer-key sub.key",
            "missing",
        ),
        (
            BAD_INPUT,
            "--issuer-cert chain.pem --issuer-key chain.pem",
            "0 private keys",
        ),
        (USAGE, "--issuer-cert chain.pem", "--issuer-key"),
        (USAGE, "--issuer-key sub.key", "--issuer-cert"),
    ] {
        let said = company.init_fails(status, "localhost", more);
        assert!(said.contains(expected), "{more}: {said}");
    }
}

#[test]
fn a_ca_whose_time_is_over_is_refused() {
    let company = Company::new();
    for when in ["+2500d", "-10d"] {
        let mut command = company
            .scene
            .command_at(when, ["init", "localhost", "--no-root-passphrase"]);
        command
            .args(UNDER.split(' '))
            .arg("--install")
            .arg(company.scene.tls());
        let said = company.scene.fails_with(REFUSED, &mut command);
        assert!(said.contains("counts from"), "{said}");
        assert!(!company.scene.home().exists());
    }
}

#[test]
fn a_key_that_is_encrypted_is_opened_with_its_passphrase_alone() {
    let company = Company::new();
    company.openssl("pkcs8 -topk8 -in sub.key -out closed.key -passout pass:secret");
    company.write("wrong", "wrong\n");
    company.write("right", "secret\n");
    let with = |more: &str| format!("--issuer-cert chain.pem --issuer-key closed.key {more}");
    let said = company.init_fails(USAGE, "localhost", &with(""));
    assert!(said.contains("--issuer-passphrase-file"), "{said}");
    let said = company.init_fails(
        BAD_INPUT,
        "localhost",
        &with("--issuer-passphrase-file wrong"),
    );
    assert!(said.contains("closed.key"), "{said}");
    company.scene.init(&with("--issuer-passphrase-file right"));
    company.openssl_agrees();
}

#[test]
fn hosts_outside_the_companys_constraints_are_refused_before_anything_is_made() {
    let company = Company::with(&format!(
        "{CA}\nnameConstraints=critical,permitted;DNS:localhost,permitted;IP:127.0.0.0/255.0.0.0"
    ));
    for hosts in [
        "db.example.com",
        "localhost db.example.com",
        "localhost 10.0.0.1",
        "127.0.0.1",
    ] {
        let said = company.init_fails(BAD_INPUT, hosts, UNDER);
        assert!(said.contains("Company sub"), "{hosts}: {said}");
    }
    company.init("");
    company.openssl_agrees();
    let said = company
        .scene
        .fails(BAD_INPUT, "issue-server db.example.com --out servers");
    assert!(
        said.contains("permits only DNS names in localhost"),
        "{said}"
    );
    assert!(!company.path("servers").exists());
    // A client's certificate leads to our own root, which permits everything.
    company.scene.pgpki("issue-client a.b --out clients");
}

#[test]
fn a_subject_outside_the_companys_constraints_is_refused() {
    let company = Company::with(&format!(
        "{CA}\nnameConstraints=critical,permitted;dirName:base\n[base]\nO=Company"
    ));
    let said = company.init_fails(BAD_INPUT, "localhost", UNDER);
    assert!(said.contains("subjects below O=Company"), "{said}");
    company.init("--organization Company");
    company.openssl_agrees();
}
