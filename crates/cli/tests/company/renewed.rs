//! One issuing CA after another: each is certified by the company, or servers stay with the one they have.

use serde_json::Value;

use crate::company::{CA, Company, FINDINGS, REFUSED};

const UNDER: &str = "--issuer-cert chain.pem --issuer-key sub.key";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_rotation_never_takes_a_server_to_a_ca_that_the_company_has_not_certified() {
    let company = Company::new();
    company.init("");
    company.scene.pgpki("issue-client alice --out clients");
    let before = company.read("tls/current/server.crt");
    for line in ["rotate --issuing", "rotate --root"] {
        let said = company.scene.fails(REFUSED, line);
        assert!(
            said.contains("Company sub") && said.contains("--issuer-cert"),
            "{line}: {said}"
        );
    }
    // Nobody is asked for a passphrase that would not help.
    company.write("pass", "passphrase of the root\n");
    company
        .scene
        .pgpki("key encrypt root --new-passphrase-file pass");
    for line in ["rotate --issuing", "rotate --root"] {
        let said = company.scene.fails(REFUSED, line);
        assert!(said.contains("--issuer-cert"), "{line}: {said}");
    }
    company
        .scene
        .pgpki("key decrypt root --passphrase-file pass");
    assert_eq!(company.read("tls/current/server.crt"), before);
    // Four years on, the issuing CA is due, and cron has no key: leaves are renewed, and what is needed is told.
    let mut cron = company
        .scene
        .command_at("+1400d", ["rotate", "--no-reload", "--json"]);
    let output = cron.output().unwrap();
    assert_eq!(output.status.code(), Some(FINDINGS), "{output:?}");
    let report = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(report["issuing_ca"], "endorsement-needed", "{report}");
    assert!(
        report["issuing_ca_reason"]
            .as_str()
            .unwrap()
            .contains("Company sub"),
        "{report}"
    );
    assert_eq!(report["places"][0]["outcome"], "renewed", "{report}");
    assert_eq!(
        company.subjects("tls/current/server.crt")[1..],
        [
            "CN=localhost issuing CA 1",
            "CN=Company sub,OU=b,OU=a,O=Company,C=DE"
        ]
    );
    let mut looked = company.scene.command_at("+1400d", ["inspect"]);
    let output = looked.output().unwrap();
    assert_eq!(output.status.code(), Some(FINDINGS), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("[endorsement-due]"), "{said}");
    let mut dry = company
        .scene
        .command_at("+1400d", ["rotate", "--dry-run", "--json"]);
    let report = json(&String::from_utf8(dry.output().unwrap().stdout).unwrap());
    assert_eq!(report["issuing_ca"], "endorsement-needed", "{report}");
}

#[test]
fn with_the_companys_key_each_step_is_one_command() {
    let company = Company::new();
    company.init("");
    company.scene.pgpki("issue-client alice --out clients");
    company
        .scene
        .pgpki(&format!("rotate --issuing --no-reload {UNDER}"));
    company.openssl_agrees();
    assert_eq!(
        company.subjects("tls/current/server.crt")[1],
        "CN=localhost issuing CA 2"
    );
    company
        .scene
        .pgpki(&format!("rotate --root --no-reload {UNDER}"));
    company.openssl_agrees();
    assert_eq!(
        company.subjects("tls/current/server.crt")[1..],
        [
            "CN=localhost issuing CA 3",
            "CN=Company sub,OU=b,OU=a,O=Company,C=DE"
        ]
    );
    company.scene.pgpki("rotate --root --undo --no-reload");
    company.openssl_agrees();
    let mut lost = company
        .scene
        .command(["rotate", "--issuing", "--compromised", "--no-reload"]);
    let output = lost.args(UNDER.split(' ')).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    // It is the company that must tell others not to trust the old one.
    assert!(said.contains("The company must revoke"), "{said}");
    company.openssl_agrees();
    assert_eq!(
        company.subjects("tls/current/server.crt")[1],
        "CN=localhost issuing CA 4"
    );
}

#[test]
fn another_root_is_refused_and_a_renewed_certificate_of_the_same_is_not() {
    let company = Company::new();
    company.init("");
    company.certify("other", "/CN=other root", None, CA, 3000);
    let said = company.scene.fails(
        REFUSED,
        "rotate --issuing --no-reload --issuer-cert other.pem --issuer-key other.key",
    );
    assert!(said.contains("other root"), "{said}");
    // The company renews its root's certificate: the same name and key.
    company.certify(
        "root",
        "/C=DE/O=Company/OU=a/OU=b/CN=Company root",
        None,
        CA,
        4000,
    );
    company.write(
        "chain.pem",
        &(company.read("sub.pem") + &company.read("root.pem")),
    );
    company
        .scene
        .pgpki(&format!("rotate --issuing --no-reload {UNDER}"));
    company.openssl_agrees();
    // An authority of its own does not come under a company's root later: no client knows that.
    let own = Company::new();
    own.scene.init("");
    let said = own
        .scene
        .fails(REFUSED, &format!("rotate --issuing --no-reload {UNDER}"));
    assert!(said.contains("Company root"), "{said}");
}

/// The company's new root is certified by the old one. A file with both has two ways up, and clients know the end of one.
#[test]
fn of_two_ways_up_the_one_whose_root_clients_have_is_taken() {
    let company = Company::new();
    company.init("");
    company.certify("new", "/CN=Company root 2", None, CA, 3000);
    let new = company.read("new.pem");
    company.certify("new", "/CN=Company root 2", Some("root"), CA, 2000);
    let by_the_old = company.read("new.pem");
    company.certify("below", "/CN=Company sub 2", Some("new"), CA, 1900);
    let below = company.read("below.pem");
    company.write("chain.pem", &(below.clone() + &new));
    let line = "rotate --issuing --no-reload --issuer-cert chain.pem --issuer-key below.key";
    let said = company.scene.fails(REFUSED, line);
    assert!(said.contains("Company root 2"), "{said}");
    let all = below + &new + &by_the_old + &company.read("root.pem");
    company.write("chain.pem", &all);
    company.scene.pgpki(line);
    company.openssl_agrees();
    assert_eq!(
        company.subjects("tls/current/server.crt")[1..],
        [
            "CN=localhost issuing CA 2",
            "CN=Company sub 2",
            "CN=Company root 2"
        ]
    );
    // The same for an answer.
    let output = company.scene.pgpki("rotate --request-issuing next.csr");
    assert!(output.contains("next.csr"), "{output}");
    company.write("ext", &CA.replace("TRUE", "TRUE,pathlen:0"));
    company.openssl(
        "x509 -req -in next.csr -days 900 -CA below.pem -CAkey below.key -CAcreateserial -extfile ext -out issuing.pem",
    );
    company
        .scene
        .pgpki("rotate --no-reload --install-issuing issuing.pem --issuer-cert chain.pem");
    company.openssl_agrees();
}

#[test]
fn once_the_companys_certificate_has_ended_the_chain_is_our_own() {
    let company = Company::new();
    company.certify(
        "sub",
        "/C=DE/O=Company/OU=a/OU=b/CN=Company sub",
        Some("root"),
        CA,
        100,
    );
    company.write(
        "chain.pem",
        &(company.read("sub.pem") + &company.read("root.pem")),
    );
    let said = company.init("");
    assert!(said.contains("cut to"), "{said}");
    let rotate = |when: &str| {
        company
            .scene
            .command_at(when, ["rotate", "--no-reload"])
            .output()
            .unwrap()
    };
    let waiting = rotate("+98d");
    assert_eq!(waiting.status.code(), Some(FINDINGS), "{waiting:?}");
    let said = String::from_utf8(waiting.stdout).unwrap();
    assert!(said.contains("would not last longer"), "{said}");
    let after = rotate("+101d");
    assert_eq!(after.status.code(), Some(FINDINGS), "{after:?}");
    assert_eq!(
        company.subjects("tls/current/server.crt"),
        ["CN=localhost", "CN=localhost issuing CA 1"]
    );
    assert_eq!(
        company.subjects("tls/current/root.crt"),
        ["CN=localhost root CA 1"]
    );
}
