//! A company's CA whose key is in a token, and an issuing CA under it whose key is.

use std::fs;
use std::process::Command;

use pgpki_testing::openssl;

use crate::token::{MODULE, PIN};
use crate::vault::{BAD_INPUT, REFUSED, ROOT, Vault};

/// An authority whose root plays the company's CA: its certificate is `company.pem`, its key in the token.
fn company() -> Vault {
    let vault = Vault::new();
    let pin = vault.pin.to_str().unwrap().to_owned();
    vault.pgpki(&[
        "init",
        "company.example",
        "--home",
        "company",
        "--install",
        "company-tls",
        "--root-key",
        ROOT,
        "--pin-file",
        &pin,
    ]);
    let certificate = vault.scene.path("company/root/g0001/ca.crt");
    fs::copy(certificate, vault.scene.path("company.pem")).unwrap();
    vault
}

fn verifies(vault: &Vault) {
    let company = vault.scene.path("company.pem");
    let server = vault.scene.tls().join("current/server.crt");
    let (company, server) = (company.to_str().unwrap(), server.to_str().unwrap());
    openssl([
        "verify",
        "-x509_strict",
        "-CAfile",
        company,
        "-untrusted",
        server,
        server,
    ]);
}

#[test]
fn a_companys_key_in_a_token_signs_there() {
    let vault = company();
    let pin = vault.pin.to_str().unwrap().to_owned();
    let under = [
        "--no-root-passphrase",
        "--issuer-cert",
        "company.pem",
        "--pin-file",
        &pin,
        "--issuer-key",
    ];
    // Another key of the same token is not the company's.
    vault.pgpki(&[
        "init",
        "--home",
        "other",
        "--install",
        "other-tls",
        "a.example",
        "--no-root-passphrase",
        "--issuing-key",
        "pkcs11:token=vault;object=other",
        "--pin-file",
        &pin,
    ]);
    let mut wrong =
        vault.init_command(&[&under[..], &["pkcs11:token=vault;object=other"]].concat());
    let said = crate::vault::ends_with(BAD_INPUT, &mut wrong);
    assert!(said.contains("does not belong"), "{said}");
    assert!(!vault.scene.home().exists() && !vault.scene.tls().exists());
    vault.init(&[&under[..], &[ROOT]].concat());
    verifies(&vault);
    assert!(!vault.scene.home().join("root/g0001/ca.uri").exists());
    // The company's own key cannot be the issuing CA's as well.
    let again = [
        "rotate",
        "--issuing",
        "--no-reload",
        "--issuing-key",
        ROOT,
        "--issuer-cert",
        "company.pem",
        "--issuer-key",
        ROOT,
        "--pin-file",
        &pin,
    ];
    let said = vault.ends(5, &again);
    assert!(said.contains("each CA has one of its own"), "{said}");
    let again = [
        "rotate",
        "--issuing",
        "--no-reload",
        "--issuer-cert",
        "company.pem",
        "--issuer-key",
        ROOT,
        "--pin-file",
        &pin,
    ];
    vault.pgpki(&again);
    verifies(&vault);
}

#[test]
fn a_request_for_a_key_in_a_token_is_made_there() {
    let vault = company();
    let key = vault.with_pin("pkcs11:token=vault;object=issuing");
    let mut ask = vault.init_command(&["--issuing-key", &key, "--request-issuing", "ours.csr"]);
    pgpki_testing::run(&mut ask);
    let waiting = vault.scene.path("home.requested");
    assert!(waiting.join("ca.uri").exists() && !waiting.join("ca.key").exists());
    // The company answers with what it has.
    let folder = vault.scene.path("").display().to_string();
    let at = |name: &str| format!("{folder}/{name}");
    let software = [
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-out",
    ];
    openssl(
        software
            .iter()
            .copied()
            .map(str::to_owned)
            .chain([at("ca.key")]),
    );
    openssl([
        "req",
        "-x509",
        "-new",
        "-key",
        &at("ca.key"),
        "-subj",
        "/CN=software CA",
        "-days",
        "900",
        "-addext",
        "keyUsage=critical,keyCertSign",
        "-out",
        &at("ca.pem"),
    ]);
    openssl([
        "x509",
        "-req",
        "-in",
        &at("ours.csr"),
        "-copy_extensions",
        "copyall",
        "-CA",
        &at("ca.pem"),
        "-CAkey",
        &at("ca.key"),
        "-days",
        "800",
        "-out",
        &at("issuing.pem"),
    ]);
    vault.ends(REFUSED, &["inspect"]);
    vault.pgpki(&[
        "init",
        "--install-issuing",
        "issuing.pem",
        "--issuer-cert",
        "ca.pem",
        "--no-root-passphrase",
    ]);
    assert!(vault.uri("issuing", 1).exists());
    fs::copy(at("ca.pem"), at("company.pem")).unwrap();
    verifies(&vault);
    vault.pgpki(&["issue-client", "alice", "--out", "clients"]);
}

/// pgpki removes no key from a token: it says which one a request has left there, and what removes it.
#[test]
fn the_key_of_a_request_that_is_given_up_stays_in_the_token() {
    let vault = company();
    let (issuing, company) = (
        vault.with_pin("pkcs11:token=vault;object=issuing"),
        vault.with_pin(ROOT),
    );
    let under = ["--issuer-cert", "company.pem", "--issuer-key", &company];
    vault.init(
        &[
            &["--no-root-passphrase", "--issuing-key", &issuing][..],
            &under,
        ]
        .concat(),
    );
    vault.pgpki(&["rotate", "--request-issuing", "next.csr"]);
    let uri = fs::read_to_string(vault.scene.home().join("next/ca.uri")).unwrap();
    let object = uri.split('?').next().unwrap().replace(";type=private", "");
    let removal = |said: &str| {
        let line = said.lines().find(|line| line.contains("p11tool"));
        let line = line.expect(said).trim().to_owned();
        assert!(line.contains(&object), "{said}");
        line
    };
    let again = vault.ends(REFUSED, &["rotate", "--request-issuing", "again.csr"]);
    let compromised = ["rotate", "--issuing", "--compromised", "--no-reload"];
    let said = vault.ends(1, &compromised);
    assert_eq!(removal(&again), removal(&said));
    let in_token = || {
        let mut list = Command::new("p11tool");
        list.args(["--provider", MODULE, "--login", "--list-all", &object]);
        // It fails where there is none.
        let listed = vault.surround(list).env("GNUTLS_PIN", PIN).output();
        String::from_utf8(listed.unwrap().stdout)
            .unwrap()
            .matches("URL:")
            .count()
    };
    assert_eq!(in_token(), 2);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{} --batch", removal(&said))]);
    pgpki_testing::run(vault.surround(shell).env("GNUTLS_PIN", PIN));
    assert_eq!(in_token(), 0);
}
