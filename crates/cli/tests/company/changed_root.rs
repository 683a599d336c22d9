//! The company changes its root: clients have the new one before any server has a chain to it.

use std::fs;

use serde_json::Value;

use crate::company::{BAD_INPUT, CA, Company, REFUSED, USAGE};

const OLD: &str = "CN=Company root,OU=b,OU=a,O=Company,C=DE";
const NEW: &str = "CN=Company root 2";
const SUB: &str = "/C=DE/O=Company/OU=a/OU=b/CN=Company sub";
const OWN: &str = "CN=localhost root CA 1";

const HAND: &str = "rotate --no-reload --issuer-root new.pem";
const MOVE: &str =
    "rotate --issuing --no-reload --issuer-cert new-chain.pem --issuer-key below.key";

/// A company with another root that nothing ties to the first, and an authority under the first, with a client.
fn company() -> Company {
    under(2000)
}

/// The same where the company's first CA lasts so many days.
fn under(days: u32) -> Company {
    let company = Company::new();
    company.certify("sub", SUB, Some("root"), CA, days);
    let chain = company.read("sub.pem") + &company.read("root.pem");
    company.write("chain.pem", &chain);
    company.certify("new", "/CN=Company root 2", None, CA, 3000);
    company.certify("below", "/CN=Company sub 2", Some("new"), CA, 2000);
    let chain = company.read("below.pem") + &company.read("new.pem");
    company.write("new-chain.pem", &chain);
    company.init("");
    company.scene.pgpki("issue-client alice --out clients");
    company
}

fn roots(company: &Company, role: &str) -> Vec<String> {
    company.subjects(&format!("clients/{role}/root.crt"))
}

/// The server's chain as a client sees it that has this file.
#[track_caller]
fn verifies(company: &Company, roots: &str) {
    company.openssl(&format!(
        "verify -x509_strict -purpose sslserver -no-CApath -no-CAstore -CAfile {roots} \
         -untrusted tls/current/server.crt tls/current/server.crt"
    ));
}

#[test]
fn clients_are_handed_the_new_root_and_then_servers_go_there() {
    let company = company();
    let said = company.scene.fails(REFUSED, MOVE);
    assert!(
        said.contains("Company root 2") && said.contains("--issuer-root"),
        "{said}"
    );
    let before = company.read("tls/current/server.crt");
    let said = company.scene.pgpki(HAND);
    let root = company.openssl("x509 -in new.pem -noout -fingerprint -sha256");
    let root = root.trim().rsplit('=').next().unwrap();
    assert!(
        said.contains(&root.replace(':', "").to_lowercase()) && said.contains("clients/alice"),
        "{said}"
    );
    // Servers wait, and clients know both.
    assert_eq!(company.read("tls/current/server.crt"), before);
    assert_eq!(roots(&company, "alice"), [OLD, NEW, OWN]);
    let root = root.trim().replace(':', "").to_lowercase();
    let is_next = || {
        let looked: Value = serde_json::from_str(&company.scene.pgpki("inspect --json")).unwrap();
        let told = company.scene.pgpki("inspect");
        let is_next = looked["next_root"]["sha256"] == *root;
        assert_eq!(told.contains("handed to clients"), is_next, "{told}");
        is_next
    };
    assert!(is_next());
    company.scene.pgpki("issue-client bob --out clients");
    assert_eq!(roots(&company, "bob"), [OLD, NEW, OWN]);
    verifies(&company, "clients/alice/root.crt");
    let alice = company.read("clients/alice/postgresql.crt");
    assert!(company.scene.pgpki("rotate --no-reload").is_empty());
    company.scene.pgpki(HAND);
    assert_eq!(company.read("clients/alice/postgresql.crt"), alice);
    // A next one under the old root is as good as before.
    company
        .scene
        .pgpki("rotate --issuing --no-reload --issuer-cert chain.pem --issuer-key sub.key");
    verifies(&company, "root.pem");
    company.scene.pgpki(MOVE);
    assert_eq!(
        company.subjects("tls/current/server.crt")[1..],
        ["CN=localhost issuing CA 3", "CN=Company sub 2"]
    );
    for roots in ["new.pem", "clients/alice/root.crt", "clients/bob/root.crt"] {
        verifies(&company, roots);
    }
    assert!(!is_next());
    // From there the next one goes on under the new root, and a request does as well.
    company.scene.pgpki(MOVE);
    company.scene.pgpki("issue-client carol --out clients");
    assert_eq!(roots(&company, "carol"), [NEW, OLD, OWN]);
    assert!(company.scene.pgpki("rotate --no-reload").is_empty());
}

#[test]
fn the_old_root_leaves_with_the_last_chain_that_ends_in_it() {
    let company = under(100);
    company.scene.pgpki(HAND);
    company.scene.pgpki(MOVE);
    let at = |when: &str| {
        let mut rotate = company
            .scene
            .command_at(when, ["rotate", "--force", "--no-reload"]);
        let output = rotate.output().unwrap();
        assert!(output.status.success(), "{when}: {output:?}");
    };
    at("+90d");
    assert_eq!(roots(&company, "alice"), [NEW, OLD, OWN]);
    at("+110d");
    assert_eq!(roots(&company, "alice"), [NEW, OWN]);
}

#[test]
fn it_is_taken_back_by_naming_the_root_of_now() {
    let company = company();
    company.scene.pgpki(HAND);
    let said = company
        .scene
        .pgpki("rotate --no-reload --issuer-root root.pem");
    assert!(said.contains("no other root"), "{said}");
    company.scene.pgpki("issue-client bob --out clients");
    assert_eq!(roots(&company, "bob"), [OLD, OWN]);
    company.scene.fails(REFUSED, MOVE);
}

/// A run that was killed after the root was recorded, and before every folder had it.
#[test]
fn a_folder_that_was_not_reached_is_gone_on_with() {
    let company = company();
    fs::rename(company.path("clients"), company.path("away")).unwrap();
    let said = company.scene.pgpki(HAND);
    assert!(said.contains("Who has none here"), "{said}");
    fs::rename(company.path("away"), company.path("clients")).unwrap();
    assert_eq!(roots(&company, "alice"), [OLD, OWN]);
    let said = company.scene.pgpki("rotate --no-reload");
    assert!(said.contains("clients/alice"), "{said}");
    assert_eq!(roots(&company, "alice"), [OLD, NEW, OWN]);
}

#[test]
fn a_backup_knows_what_clients_were_handed() {
    let company = company();
    company.scene.pgpki(HAND);
    company.write("pass", "passphrase of the backup\n");
    company.scene.pgpki("backup --passphrase-file pass pki.age");
    fs::rename(company.path("home"), company.path("lost")).unwrap();
    company
        .scene
        .pgpki("restore --passphrase-file pass pki.age");
    company.scene.pgpki("issue-client bob --out clients");
    assert_eq!(roots(&company, "bob"), [OLD, NEW, OWN]);
    company.scene.pgpki(MOVE);
    verifies(&company, "clients/alice/root.crt");
}

/// The company certifies its root anew: name and key are the same, and whoever has nothing but the old certificate is lost when
/// that ends.
#[test]
fn a_root_that_was_certified_anew_is_handed_as_well() {
    const ROOT: &str = "/C=DE/O=Company/OU=a/OU=b/CN=Company root";
    let company = company();
    let certify_anew = |days| {
        company.certify("root", ROOT, None, CA, days);
        let chain = company.read("sub.pem") + &company.read("root.pem");
        company.write("chain.pem", &chain);
    };
    let next = || {
        company
            .scene
            .pgpki("rotate --issuing --no-reload --issuer-cert chain.pem --issuer-key sub.key");
        verifies(&company, "clients/alice/root.crt");
        assert!(company.scene.pgpki("rotate --no-reload").is_empty());
        let looked = company.scene.pgpki("inspect");
        assert!(!looked.contains("handed to clients"), "{looked}");
    };
    certify_anew(6000);
    company
        .scene
        .pgpki("rotate --no-reload --issuer-root root.pem");
    let looked = company.scene.pgpki("inspect");
    assert!(looked.contains("handed to clients"), "{looked}");
    assert_eq!(roots(&company, "alice"), [OLD, OLD, OWN]);
    let handed = company.read("clients/alice/root.crt");
    assert!(handed.contains(company.read("root.pem").trim()));
    next();
    // Where what clients have lasts, it needs no announcement.
    certify_anew(6500);
    next();
}

/// No rotation renews what another key was signed for, or lies sealed on a shelf: whoever has it is handed the root.
#[test]
fn a_folder_that_no_rotation_renews_is_said_to_lack_it() {
    let company = company();
    company.scene.pgpki("request bob --out asked");
    company
        .scene
        .pgpki("sign asked/bob/postgresql.csr --role bob --out clients");
    let said = company.scene.pgpki(HAND);
    assert!(said.contains("clients/alice") && !said.contains("clients/bob"));
    assert_eq!(roots(&company, "bob"), [OLD, OWN]);
    assert!(
        said.contains("pgpki sign") && said.contains("--encrypt-to") && said.contains("root.crt"),
        "{said}"
    );
}

/// OpenSSL tries one of several roots with the name that it looks for, unless key identifiers tell them apart.
#[test]
fn a_new_root_with_the_old_name_needs_key_identifiers() {
    const ROOT: &str = "/C=DE/O=Company/OU=a/OU=b/CN=Company root";
    let without = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=none";
    let company = company();
    company.certify("new", ROOT, None, without, 3000);
    let said = company.scene.fails(REFUSED, HAND);
    assert!(said.contains("key identifiers are missing"), "{said}");
    assert_eq!(roots(&company, "alice"), [OLD, OWN]);
    company.certify("new", ROOT, None, CA, 3000);
    company.scene.pgpki(HAND);
    verifies(&company, "clients/alice/root.crt");
    let none = format!("{without}\nauthorityKeyIdentifier=none");
    // Clients have the old root for as long as a chain to it counts, also when servers are under the new one.
    for (extensions, is_good) in [(&*none, false), (CA, true), (&*none, false), (CA, true)] {
        company.certify("below", "/CN=Company sub 2", Some("new"), extensions, 2000);
        let chain = company.read("below.pem") + &company.read("new.pem");
        company.write("new-chain.pem", &chain);
        match is_good {
            true => drop(company.scene.pgpki(MOVE)),
            false => drop(company.scene.fails(REFUSED, MOVE)),
        }
        verifies(&company, "clients/alice/root.crt");
    }
    verifies(&company, "new.pem");
}

#[test]
fn what_is_no_root_is_handed_to_nobody() {
    let company = company();
    company.certify("leaf", "/CN=leaf", None, "basicConstraints=CA:FALSE", 100);
    for (status, file, expected) in [
        (BAD_INPUT, "new-chain.pem", "no root"),
        (BAD_INPUT, "sub.pem", "Company root"),
        (REFUSED, "leaf.pem", "is no CA's certificate"),
        (BAD_INPUT, "missing.pem", "missing.pem"),
    ] {
        let line = format!("rotate --no-reload --issuer-root {file}");
        let said = company.scene.fails(status, &line);
        assert!(said.contains(expected), "{file}: {said}");
        // No more than the root is asked for.
        assert!(!said.contains("--issuer-cert"), "{file}: {said}");
    }
    company.scene.fails(USAGE, &format!("{HAND} --issuing"));
    assert_eq!(roots(&company, "alice"), [OLD, OWN]);
    let own = Company::new();
    own.scene.init("");
    own.certify("new", "/CN=Company root 2", None, CA, 3000);
    let said = own.scene.fails(REFUSED, HAND);
    assert!(said.contains("certified by no other CA"), "{said}");
}
