//! The issuing key is stolen, and the company certified it.

use std::fs;

use pgpki_testing::run;
use serde_json::Value;

use crate::company::{BAD_INPUT, Company, FINDINGS, REFUSED};

const UNDER: &str = "--issuer-cert chain.pem --issuer-key sub.key";

fn json(company: &Company, status: i32, line: &str) -> Value {
    let output = company.scene.command(line.split(' ')).output().unwrap();
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a run that ends with 1 prints.
fn findings(company: &Company, line: &str) -> String {
    let output = company.scene.command(line.split(' ')).output().unwrap();
    assert_eq!(output.status.code(), Some(FINDINGS), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Asks for the next issuing CA, and has `sub` sign it; the answer is `issuing.pem`.
fn ask(company: &Company, request: &str) {
    let line = ["rotate", "--request-issuing", request];
    let output = run(&mut company.scene.command(line));
    let printed = String::from_utf8(output.stdout).unwrap();
    let line = printed.lines().find(|it| it.starts_with("openssl "));
    let line = line.unwrap().replace("ca.pem", "sub.pem");
    let line = line.replace("ca.key", "sub.key");
    company.openssl(line.strip_prefix("openssl ").unwrap());
}

/// The number of certificates that our own root has revoked.
fn revoked(company: &Company) -> usize {
    let text = company.openssl("crl -in tls/current/root.crl -noout -text");
    text.matches("CA Compromise").count()
}

const TAKE: &str = "rotate --no-reload --install-issuing issuing.pem --issuer-cert chain.pem";

#[test]
fn it_is_revoked_without_the_company_which_certifies_the_next_one_later() {
    let company = Company::new();
    company.init("");
    company.scene.pgpki("issue-client alice --out clients");
    let stolen = company.openssl("x509 -in home/issuing/g0001/ca.crt -noout -serial");
    let dry = json(
        &company,
        FINDINGS,
        "rotate --issuing --compromised --dry-run --json",
    );
    assert_eq!(dry["issuing_ca"], "would-replace", "{dry}");
    assert!(dry["endorsement_needed"].is_string(), "{dry}");
    let report = json(
        &company,
        FINDINGS,
        "rotate --issuing --compromised --no-reload --json",
    );
    assert_eq!(report["issuing_ca"], "replaced", "{report}");
    let needed = report["endorsement_needed"].as_str().unwrap();
    assert!(needed.contains("Company sub"), "{report}");
    assert!(
        report["others_must_revoke"][0]["serial"].is_string(),
        "{report}"
    );
    assert!(
        report.get("issuing_ca_endorsement_not_after").is_none(),
        "{report}"
    );
    let crl = company.openssl("crl -in tls/current/root.crl -noout -text");
    let serial = stolen.trim().strip_prefix("serial=").unwrap();
    assert!(crl.contains(serial), "{crl}");
    assert_eq!(revoked(&company), 1, "{crl}");
    // The chain is our own, and whoever is handed something now will know the company's root once it counts again.
    assert_eq!(
        company.subjects("tls/current/server.crt"),
        ["CN=localhost", "CN=localhost issuing CA 2"]
    );
    company.scene.pgpki("issue-client bob --out clients");
    let roots = company.subjects("clients/bob/root.crt");
    assert!(
        roots[0].contains("Company root") && roots.len() == 2,
        "{roots:?}"
    );
    let own = "verify -x509_strict -purpose sslserver -CAfile clients/bob/root.crt \
        -untrusted tls/current/server.crt tls/current/server.crt";
    company.openssl(own);
    // Until the company has certified the next one, that is told each time.
    let again = json(&company, FINDINGS, "rotate --no-reload --json");
    assert_eq!(again["issuing_ca"], "endorsement-needed", "{again}");
    let told = findings(&company, "rotate --no-reload");
    assert!(
        told.contains("servers have the chain to your own root")
            && !told.contains("Once that has ended"),
        "{told}"
    );
    let looked = findings(&company, "inspect");
    assert!(looked.contains("[endorsement-due]"), "{looked}");
    let said = company.scene.fails(REFUSED, "rotate --issuing");
    assert!(said.contains("Company sub"), "{said}");
    company
        .scene
        .pgpki(&format!("rotate --issuing --no-reload {UNDER}"));
    company.openssl_agrees();
    company.openssl(own);
    assert_eq!(
        company.subjects("tls/current/server.crt")[1],
        "CN=localhost issuing CA 3"
    );
    let inspected = company.scene.pgpki("inspect");
    assert!(!inspected.contains("endorsement-due"), "{inspected}");
}

#[test]
fn the_next_one_may_come_by_request_and_only_under_the_same_root() {
    let company = Company::new();
    company.init("");
    let said = findings(&company, "rotate --issuing --compromised --no-reload");
    let home = company.scene.home().display().to_string();
    assert!(
        said.contains("endorsement-needed")
            && said.contains("those before it are revoked")
            && said.contains("The company must revoke")
            && said.contains(&format!(
                "pgpki rotate --request-issuing FILE --home {home}"
            )),
        "{said}"
    );
    company.certify("other", "/CN=other root", None, crate::company::CA, 3000);
    let said = company.scene.fails(
        REFUSED,
        "rotate --issuing --issuer-cert other.pem --issuer-key other.key",
    );
    assert!(said.contains("other root"), "{said}");
    // A second theft does not wait for the company either.
    findings(&company, "rotate --issuing --compromised --no-reload");
    assert_eq!(revoked(&company), 2);
    ask(&company, "next.csr");
    company.scene.pgpki(TAKE);
    company.openssl_agrees();
    assert_eq!(
        company.subjects("tls/current/server.crt")[1],
        "CN=localhost issuing CA 4"
    );
}

#[test]
fn a_request_that_waited_is_given_up() {
    for under in ["", UNDER] {
        let company = Company::new();
        company.init("");
        ask(&company, "next.csr");
        let before = company.read("tls/current/server.crt");
        let said = company
            .scene
            .fails(REFUSED, &format!("{TAKE} --issuing --compromised"));
        assert!(said.contains("counts as stolen"), "{said}");
        assert_eq!(company.read("tls/current/server.crt"), before);
        assert!(company.path("home/next/ca.key").exists());
        // A run that was killed while it made another one.
        let rest = company.path("home/.next.new-0123456789abcdef");
        run(std::process::Command::new("cp")
            .arg("-a")
            .arg(company.path("home/next"))
            .arg(&rest));
        let line = format!("rotate --issuing --compromised --no-reload {under}");
        let output = company
            .scene
            .command(line.split_whitespace())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(
            said.contains("given up")
                && said.contains("home/next")
                && said.contains("must not be used"),
            "{said}"
        );
        assert!(!company.path("home/next").exists());
        assert!(!rest.exists());
        let left = fs::read_dir(company.path("home")).unwrap();
        let mut left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert!(!left.any(|name| name.contains("next")));
        assert_eq!(revoked(&company), 1);
        // Nor is the answer taken later, also where another request waits.
        company.scene.fails(BAD_INPUT, TAKE);
        let stolen = company.read("issuing.pem");
        ask(&company, "again.csr");
        let answer = company.read("issuing.pem");
        company.write("issuing.pem", &stolen);
        company.scene.fails(BAD_INPUT, TAKE);
        company.write("issuing.pem", &answer);
        company.scene.pgpki(TAKE);
        company.openssl_agrees();
        assert_eq!(
            company.subjects("tls/current/server.crt")[1],
            "CN=localhost issuing CA 3"
        );
    }
}

#[test]
fn an_answer_that_is_in_use_makes_no_new_root() {
    let company = Company::new();
    company.init("");
    ask(&company, "next.csr");
    let keep = |from: &str, to: &str| {
        run(std::process::Command::new("cp")
            .arg("-a")
            .arg(company.path(from))
            .arg(company.path(to)));
    };
    keep("home/next", "kept");
    company.scene.pgpki(TAKE);
    keep("kept", "home/next");
    let before = company.read("tls/current/root.crt");
    let said = company.scene.fails(REFUSED, &format!("{TAKE} --root"));
    assert!(said.contains("in use already"), "{said}");
    assert!(!company.path("home/next").exists());
    assert_eq!(company.read("tls/current/root.crt"), before);
    // Whoever has taken the key that waited has taken the one that signs: that is revoked.
    keep("kept", "home/next");
    company
        .scene
        .fails(REFUSED, &format!("{TAKE} --issuing --compromised"));
    findings(&company, "rotate --issuing --compromised --no-reload");
    assert!(!company.path("home/next").exists());
    assert_eq!(revoked(&company), 2);
}

#[test]
fn what_the_company_certified_after_a_backup_is_not_forgotten() {
    let company = Company::new();
    company.init("");
    company.write("pass", "passphrase of the backup\n");
    let scene = &company.scene;
    scene.pgpki("backup --passphrase-file pass pki.age");
    scene.pgpki(&format!("rotate --issuing --no-reload {UNDER}"));
    fs::rename(company.path("home"), company.path("lost")).unwrap();
    let said = scene.pgpki("restore --passphrase-file pass pki.age");
    assert!(
        said.contains("a CA whose key is lost: localhost issuing CA 2")
            && said.contains("the company may have certified the issuing CAs"),
        "{said}"
    );
    findings(&company, "rotate --issuing --compromised --no-reload");
    assert_eq!(revoked(&company), 2);
    scene.pgpki(&format!("rotate --issuing --no-reload {UNDER}"));
    company.openssl_agrees();
}
