//! An issuing CA that the company certifies in its own time: a request, and its answer.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use pgpki_testing::{Owner, run};

use crate::company::{BAD_INPUT, CA, Company, REFUSED, USAGE};

fn request_command(company: &Company, more: &str) -> Command {
    let owner = Owner::of_new_clusters().unwrap();
    let mut command = company
        .scene
        .command(["init", "localhost", "--request-issuing", "ours.csr"]);
    command.arg("--install").arg(company.scene.tls());
    command.arg(format!("--owner={}:{}", owner.uid, owner.gid));
    command.args(more.split_whitespace());
    command
}

/// Asks; what is printed.
pub(crate) fn request(company: &Company, more: &str) -> String {
    let output = run(&mut request_command(company, more));
    assert!(!company.scene.home().exists());
    String::from_utf8(output.stdout).unwrap()
}

/// The company signs with the command that was printed, as `sub`; more than one line of it is not needed.
fn sign(company: &Company, printed: &str) {
    let line = printed
        .lines()
        .find(|line| line.starts_with("openssl "))
        .unwrap();
    let line = line
        .replace("ca.pem", "sub.pem")
        .replace("ca.key", "sub.key");
    company.openssl(line.strip_prefix("openssl ").unwrap());
}

pub(crate) const INSTALL: &str =
    "init --install-issuing issuing.pem --issuer-cert chain.pem --no-root-passphrase";

#[test]
fn what_is_printed_is_all_that_the_company_has_to_do() {
    let company = Company::new();
    let printed = request(&company, "--organization Ours --permit-dns localhost");
    assert!(printed.contains("only DNS names in localhost"), "{printed}");
    let text = company.openssl("req -in ours.csr -noout -text -verify");
    for expected in [
        "CA:TRUE, pathlen:0",
        "Certificate Sign, CRL Sign",
        "Name Constraints: critical",
        "DNS:localhost",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    sign(&company, &printed);
    company.openssl("verify -x509_strict -CAfile root.pem -untrusted sub.pem issuing.pem");
    company.scene.pgpki(INSTALL);
    company.openssl_agrees();
    assert!(!company.path("home.requested").exists());
    assert_eq!(
        company.subjects("tls/current/server.crt")[..2],
        ["CN=localhost,O=Ours", "CN=localhost issuing CA 1,O=Ours"]
    );
    let ours = company.openssl("x509 -in home/issuing/g0001/ca.crt -noout -pubkey");
    assert_eq!(ours, company.openssl("x509 -in issuing.pem -noout -pubkey"));
    let said = company
        .scene
        .fails(BAD_INPUT, "issue-server db.example.com --out servers");
    assert!(
        said.contains("permits only DNS names in localhost"),
        "{said}"
    );
    // The next one comes with the company's key, as if this one had.
    company
        .scene
        .pgpki("rotate --issuing --no-reload --issuer-cert chain.pem --issuer-key sub.key");
    company.openssl_agrees();
}

/// ring knows nothing of it.
#[test]
fn a_company_whose_keys_are_on_p_521() {
    let company = Company::new();
    for (name, signer, days) in [("root", None, 3000), ("sub", Some("root"), 2000)] {
        company.openssl(&format!(
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out {name}.key"
        ));
        company.certify(name, &format!("/CN=Large {name}"), signer, CA, days);
    }
    company.write(
        "chain.pem",
        &(company.read("sub.pem") + &company.read("root.pem")),
    );
    let said = company.init_fails(
        BAD_INPUT,
        "localhost",
        "--issuer-cert chain.pem --issuer-key sub.key",
    );
    assert!(said.contains("--request-issuing"), "{said}");
    let printed = request(&company, "");
    sign(&company, &printed);
    company.scene.pgpki(INSTALL);
    company.openssl_agrees();
}

#[test]
fn until_the_answer_is_there_every_command_says_so() {
    let company = Company::new();
    request(&company, "");
    for line in [
        "rotate",
        "inspect",
        "issue-client alice --out clients",
        "issue-server a --out servers",
        "revoke alice",
        "backup b",
    ] {
        let said = company.scene.fails(REFUSED, line);
        assert!(
            said.contains("waits for its issuing CA's certificate"),
            "{line}: {said}"
        );
        assert!(said.contains("--install-issuing"), "{line}: {said}");
    }
    let mut again = request_command(&company, "");
    company.scene.fails_with(REFUSED, &mut again);
    company.init_fails(REFUSED, "localhost", "");
    // The request is there once more.
    assert_eq!(
        company.read("ours.csr"),
        company.read("home.requested/request.pem")
    );
}

#[test]
fn the_answer_may_come_in_any_form() {
    for form in ["-outform DER -out issuing.pem -in ours.pem", "crl2pkcs7"] {
        let company = Company::new();
        sign(&company, &request(&company, ""));
        fs::rename(company.path("issuing.pem"), company.path("ours.pem")).unwrap();
        match form {
            "crl2pkcs7" => {
                company.openssl(
                    "crl2pkcs7 -nocrl -outform DER -certfile chain.pem -certfile ours.pem -out issuing.pem",
                );
                company
                    .scene
                    .pgpki("init --install-issuing issuing.pem --no-root-passphrase");
            }
            form => {
                company.openssl(&format!("x509 {form}"));
                company.scene.pgpki(INSTALL);
            }
        }
        company.openssl_agrees();
    }
}

#[test]
fn a_subject_that_the_company_has_changed_is_ours_to_the_octet() {
    let company = Company::new();
    request(&company, "");
    company.write("ext", &CA.replace("TRUE", "TRUE,pathlen:0"));
    company.openssl(
        "x509 -req -in ours.csr -days 300 -CA sub.pem -CAkey sub.key -CAcreateserial -extfile ext \
         -subj /DC=com/DC=company/OU=a/OU=b/CN=Databases -out issuing.pem",
    );
    company.scene.pgpki(INSTALL);
    company.openssl_agrees();
    company.scene.pgpki("issue-client alice --out clients");
    for (root, leaf) in [
        ("tls/current/root.crt", "clients/alice/postgresql.crt"),
        ("clients/alice/root.crt", "tls/current/server.crt"),
    ] {
        company.openssl(&format!(
            "verify -x509_strict -no-CApath -no-CAstore -CAfile {root} -untrusted {leaf} {leaf}"
        ));
    }
    company.openssl(
        "verify -x509_strict -crl_check_all -CRLfile tls/current/root.crl -no-CApath -no-CAstore \
         -CAfile tls/current/root.crt -untrusted clients/alice/postgresql.crt clients/alice/postgresql.crt",
    );
    let said = company.scene.pgpki("inspect tls/current");
    assert!(
        !said.contains("warning") && !said.contains("error"),
        "{said}"
    );
}

#[test]
fn a_wrong_answer_is_refused_and_the_request_waits_on() {
    let company = Company::new();
    let printed = request(&company, "");
    sign(&company, &printed);
    fs::rename(company.path("issuing.pem"), company.path("right.pem")).unwrap();
    company.certify(
        "stranger",
        "/CN=localhost issuing CA 1",
        Some("sub"),
        CA,
        100,
    );
    company.certify("issuer-of-nobody", "/CN=x", None, CA, 100);
    company.write("garbage", "garbage");
    company.write("ext", "basicConstraints=critical,CA:FALSE");
    company.openssl("x509 -req -in ours.csr -CA sub.pem -CAkey sub.key -extfile ext -out leaf.pem");
    let issuing = CA.replace("TRUE", "TRUE,pathlen:0");
    let constraints = format!("{issuing}\nnameConstraints=critical,permitted;DNS:example.com");
    company.write("ext", &constraints);
    company.openssl(
        "x509 -req -in ours.csr -CA sub.pem -CAkey sub.key -extfile ext -out elsewhere.pem",
    );
    for (status, answer, chain, expected) in [
        (BAD_INPUT, "stranger.pem", "chain.pem", "another key"),
        (
            BAD_INPUT,
            "right.pem",
            "issuer-of-nobody.pem",
            "Company sub",
        ),
        (BAD_INPUT, "garbage", "chain.pem", "garbage"),
        (REFUSED, "leaf.pem", "chain.pem", "is no CA's certificate"),
        (
            BAD_INPUT,
            "elsewhere.pem",
            "chain.pem",
            "permits only DNS names in example.com",
        ),
        (BAD_INPUT, "missing.pem", "chain.pem", "missing.pem"),
    ] {
        let line =
            format!("init --install-issuing {answer} --issuer-cert {chain} --no-root-passphrase");
        let said = company.scene.fails(status, &line);
        assert!(said.contains(expected), "{answer}: {said}");
        assert!(
            said.contains("request still waits") || answer == "missing.pem",
            "{answer}: {said}"
        );
        assert!(
            !company.scene.home().exists() && !company.scene.tls().exists(),
            "{answer}"
        );
        assert!(company.path("home.requested/ca.key").exists());
    }
    fs::rename(company.path("right.pem"), company.path("issuing.pem")).unwrap();
    company.scene.pgpki(INSTALL);
    company.openssl_agrees();
    let said = company.scene.fails(BAD_INPUT, INSTALL);
    assert!(said.contains("no request waits"), "{said}");
}

#[test]
fn a_run_that_was_killed_is_run_again() {
    let company = Company::new();
    sign(&company, &request(&company, ""));
    let copy = |from: &str, to: &str| {
        run(Command::new("cp")
            .arg("-a")
            .arg(company.path(from))
            .arg(company.path(to)));
    };
    copy("home.requested", "kept");
    company.scene.pgpki(INSTALL);
    // After the home had its name, and before the server had its files.
    fs::rename(company.path("kept"), company.path("home.requested")).unwrap();
    fs::remove_dir_all(company.scene.tls()).unwrap();
    company.scene.pgpki(INSTALL);
    company.openssl_agrees();
    assert!(!company.path("home.requested").exists());
    assert!(company.scene.pgpki("rotate --no-reload").is_empty());
    // An authority that has come there in another way is left alone.
    let other = Company::new();
    sign(&other, &request(&other, ""));
    fs::rename(other.path("home.requested"), other.path("kept")).unwrap();
    other.init("");
    fs::rename(other.path("kept"), other.path("home.requested")).unwrap();
    let before = other.read("tls/current/server.crt");
    let said = other.scene.fails(REFUSED, INSTALL);
    assert!(said.contains("is another authority"), "{said}");
    assert_eq!(other.read("tls/current/server.crt"), before);
}

#[test]
fn a_key_that_is_encrypted_stays_so() {
    let company = Company::new();
    company.write("secret", "secret\n");
    sign(
        &company,
        &request(&company, "--issuing-passphrase-file secret"),
    );
    let said = company.scene.fails(USAGE, INSTALL);
    assert!(said.contains("--issuing-passphrase-file"), "{said}");
    assert!(!company.scene.home().exists());
    company
        .scene
        .pgpki(&format!("{INSTALL} --issuing-passphrase-file secret"));
    assert!(
        company
            .read("home/issuing/g0001/ca.key")
            .contains("ENCRYPTED")
    );
    company.openssl_agrees();
}

#[test]
fn a_request_that_cannot_be_written_leaves_nothing() {
    let company = Company::new();
    company.write("ours.csr", "something else");
    company
        .scene
        .fails_with(REFUSED, &mut request_command(&company, ""));
    assert_eq!(company.read("ours.csr"), "something else");
    assert!(!company.path("home.requested").exists());
    for line in [
        "init --request-issuing a.csr --root-key pkcs11:token=t;object=o",
        "init --request-issuing a.csr --issuer-cert chain.pem",
        "init --install-issuing a.pem localhost",
        "init --install-issuing a.pem --issuer-key sub.key --issuer-cert chain.pem",
    ] {
        company.scene.fails(USAGE, line);
    }
}

/// Asks for the next issuing CA, and has `sub` sign it; the answer is `issuing.pem`.
fn next(company: &Company) {
    let output = run(&mut company
        .scene
        .command(["rotate", "--request-issuing", "next.csr"]));
    sign(company, &String::from_utf8(output.stdout).unwrap());
}

const TAKE: &str = "rotate --no-reload --install-issuing issuing.pem --issuer-cert chain.pem";

#[test]
fn the_next_issuing_ca_comes_by_way_of_a_request_as_well() {
    let company = Company::new();
    company.init("");
    company.scene.pgpki("issue-client alice --out clients");
    next(&company);
    let said = company
        .scene
        .fails(REFUSED, "rotate --request-issuing again.csr");
    assert!(said.contains("home/next/request.pem"), "{said}");
    // Until the answer is there, cron's runs leave the key where it is, and everything as it was.
    assert!(company.scene.pgpki("rotate --no-reload").is_empty());
    company.scene.pgpki("issue-client bob --out clients");
    assert_eq!(
        company.subjects("tls/current/server.crt")[1],
        "CN=localhost issuing CA 1"
    );
    let said = company.scene.pgpki(TAKE);
    assert!(said.contains("the issuing CA, until"), "{said}");
    company.openssl_agrees();
    assert_eq!(
        company.subjects("tls/current/server.crt")[1],
        "CN=localhost issuing CA 2"
    );
    let key = |file: &str| company.openssl(&format!("x509 -in {file} -noout -pubkey"));
    assert_eq!(key("home/issuing/g0002/ca.crt"), key("issuing.pem"));
    assert!(!company.path("home/next").exists());
    let said = company.scene.fails(BAD_INPUT, TAKE);
    assert!(said.contains("no request waits"), "{said}");
}

#[test]
fn an_answer_that_was_half_taken_is_taken_again() {
    let company = Company::new();
    company.init("");
    next(&company);
    run(Command::new("cp")
        .arg("-a")
        .arg(company.path("home/next"))
        .arg(company.path("kept")));
    company.scene.pgpki(TAKE);
    let before = company.read("tls/current/server.crt");
    run(Command::new("cp")
        .arg("-a")
        .arg(company.path("kept"))
        .arg(company.path("home/next")));
    company.scene.pgpki(TAKE);
    assert_eq!(company.read("tls/current/server.crt"), before);
    assert!(!company.path("home/next").exists());
    assert!(
        company.path("home/issuing/g0002").exists() && !company.path("home/issuing/g0003").exists()
    );
    // Killed while it removed the request, whose key goes first.
    fs::create_dir(company.path("home/next")).unwrap();
    fs::set_permissions(company.path("home/next"), PermissionsExt::from_mode(0o700)).unwrap();
    company.write("home/next/request.pem", "the rest");
    company.scene.pgpki(TAKE);
    assert!(!company.path("home/next").exists());
}

#[test]
fn an_answer_that_does_not_fit_leaves_everything_as_it_was() {
    let company = Company::new();
    company.init("");
    let before = company.read("tls/current/server.crt");
    next(&company);
    company.certify("other", "/CN=other root", None, CA, 3000);
    company.write("ext", &CA.replace("TRUE", "TRUE,pathlen:0"));
    company.openssl(
        "x509 -req -in next.csr -CA other.pem -CAkey other.key -extfile ext -out elsewhere.pem",
    );
    company.certify(
        "stranger",
        "/CN=localhost issuing CA 2",
        Some("sub"),
        CA,
        100,
    );
    for (status, answer, chain, expected) in [
        (REFUSED, "elsewhere.pem", "other.pem", "other root"),
        (BAD_INPUT, "stranger.pem", "chain.pem", "another key"),
        (BAD_INPUT, "issuing.pem", "sub.pem", "Company root"),
    ] {
        let line = format!("rotate --no-reload --install-issuing {answer} --issuer-cert {chain}");
        let said = company.scene.fails(status, &line);
        assert!(said.contains(expected), "{answer}: {said}");
        assert_eq!(company.read("tls/current/server.crt"), before);
        assert!(company.path("home/next/ca.key").exists());
    }
    company.scene.pgpki(TAKE);
    company.openssl_agrees();
    let own = Company::new();
    own.scene.init("");
    let said = own
        .scene
        .fails(REFUSED, "rotate --request-issuing next.csr");
    assert!(said.contains("certified by no other CA"), "{said}");
    assert!(!own.path("next.csr").exists() && !own.path("home/next").exists());
}

#[test]
fn the_next_key_is_encrypted_as_the_one_before() {
    let company = Company::new();
    company.write("secret", "secret\n");
    company.init("--issuing-passphrase-file secret");
    let ask = "rotate --request-issuing next.csr";
    let said = company.scene.fails(USAGE, ask);
    assert!(said.contains("passphrase"), "{said}");
    let output = company
        .scene
        .pgpki(&format!("{ask} --issuing-passphrase-file secret"));
    assert!(company.read("home/next/ca.key").contains("ENCRYPTED"));
    sign(&company, &output);
    company.scene.fails(USAGE, TAKE);
    company
        .scene
        .pgpki(&format!("{TAKE} --issuing-passphrase-file secret"));
    assert!(
        company
            .read("home/issuing/g0002/ca.key")
            .contains("ENCRYPTED")
    );
    company.openssl_agrees();
}
