//! What is told about the company's CA: the next command for the same authority, what to ask for, until when it counts.

use serde_json::Value;

use crate::company::{CA, Company, FINDINGS, REFUSED, USAGE};

const UNDER: &str = "--issuer-cert chain.pem --issuer-key sub.key";

/// The flag that names the scene's authority.
fn home(company: &Company) -> String {
    format!(" --home {}", company.scene.home().display())
}

#[test]
fn a_step_that_needs_the_company_names_the_command_for_this_step_and_this_authority() {
    let company = Company::new();
    company.init("");
    let home = home(&company);
    for (step, flags, beside) in [
        ("--issuing", "--issuing", ""),
        ("--root", "--root", "--root "),
    ] {
        let said = company.scene.fails(REFUSED, &format!("rotate {step}"));
        for expected in [
            format!("pgpki rotate {flags} --issuer-cert FILE --issuer-key FILE{home}"),
            format!("pgpki rotate --request-issuing FILE{home}"),
            format!("pgpki rotate {beside}--install-issuing FILE --issuer-cert FILE{home}"),
        ] {
            assert!(said.contains(&expected), "{expected}: {said}");
        }
    }
    let said = company
        .scene
        .fails(USAGE, &format!("rotate --no-reload {UNDER}"));
    assert!(said.contains("Nothing was done"), "{said}");
}

#[test]
fn a_request_that_waits_is_told_of_with_its_key_and_the_next_command() {
    let company = Company::new();
    company.init("");
    let home = home(&company);
    let inspect =
        |line: &str| -> Value { serde_json::from_str(&company.scene.pgpki(line)).unwrap() };
    assert!(inspect("inspect --json").get("request").is_none());
    let said = company.scene.pgpki("rotate --request-issuing next.csr");
    let install = "pgpki rotate --install-issuing issuing.pem --issuer-cert chain.pem";
    assert!(said.contains(&format!("{install}{home}\n")), "{said}");
    let said = company
        .scene
        .fails(REFUSED, "rotate --request-issuing again.csr");
    assert!(
        said.contains(&format!("--install-issuing FILE --issuer-cert FILE{home}")),
        "{said}"
    );
    let next = company.path("home/next");
    let said = company.scene.pgpki("inspect");
    let line = said.lines().find(|line| line.starts_with("request "));
    let line = line.expect(&said);
    assert!(line.contains("CN=localhost issuing CA 2"), "{said}");
    assert!(line.contains(next.to_str().unwrap()), "{said}");
    let request = &inspect("inspect --json")["request"];
    assert_eq!(request["subject"], "CN=localhost issuing CA 2");
    assert_eq!(request["path"], next.to_str().unwrap());
    // The file that goes to the company says what it asks for.
    let said = company.scene.pgpki("inspect next.csr");
    assert!(said.contains("CA:TRUE, pathlen:0"), "{said}");
    let request = &inspect("inspect --json next.csr")["requests"][0];
    assert_eq!(request["ca"], true);
    assert_eq!(request["path_length"], 0);
}

#[test]
fn a_refusal_says_what_to_ask_the_company_for() {
    let path_length = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=keyCertSign";
    let said = Company::with(path_length).init_fails(REFUSED, "localhost", UNDER);
    assert!(said.contains("1 CA would be below it"), "{said}");
    let no_sign = "basicConstraints=critical,CA:TRUE\nkeyUsage=cRLSign";
    let said = Company::with(no_sign).init_fails(REFUSED, "localhost", UNDER);
    assert!(said.contains("CA:TRUE, no pathlen"), "{said}");
    let elsewhere =
        format!("{CA}\nnameConstraints=critical,permitted;dirName:base\n[base]\nO=Company");
    let said = Company::with(&elsewhere).init_fails(4, "localhost", UNDER);
    assert!(
        said.contains("--organization") && !said.contains("\"\""),
        "{said}"
    );
    let company = Company::new();
    let mut late = company
        .scene
        .command_at("+2500d", ["init", "localhost", "--no-root-passphrase"]);
    late.args(UNDER.split(' '))
        .arg("--install")
        .arg(company.scene.tls());
    let said = company.scene.fails_with(REFUSED, &mut late);
    let until = said.split(" until ").nth(1).expect(&said);
    let until = until.split(',').next().expect(&said);
    assert!(until.ends_with(" UTC") && !until.contains('.'), "{said}");
}

#[test]
fn while_the_first_request_waits_a_named_authority_is_refused_by_every_command() {
    let company = Company::new();
    company
        .scene
        .pgpki("init localhost --install tls --request-issuing ours.csr");
    for line in ["doctor", "configure --dry-run"] {
        let said = company.scene.fails(REFUSED, line);
        assert!(
            said.contains("waits for its issuing CA's certificate"),
            "{line}: {said}"
        );
    }
}

#[test]
fn the_end_of_the_issuing_ca_is_the_first_of_its_two() {
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
    company.init("");
    let rotate = |when: &str, more: &str| {
        let line = format!("rotate --dry-run {more}");
        let mut command = company.scene.command_at(when, line.split_whitespace());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let report: Value = serde_json::from_str(&rotate("+1d", "--json")).unwrap();
    let end = report["issuing_ca_endorsement_not_after"].as_str().unwrap();
    assert!(end < report["issuing_ca_not_after"].as_str().unwrap());
    let said = rotate("+1d", &format!("--issuing {UNDER}"));
    let day = end.split('T').next().unwrap();
    assert!(
        said.contains(&format!("the issuing CA, which ends {day}")),
        "{said}"
    );
    // Before the end, and after it.
    let said = rotate("+90d", "");
    assert!(said.contains("Once that has ended"), "{said}");
    let said = rotate("+101d", "");
    assert!(said.contains("Since then servers have"), "{said}");
    let looked = |when: &str| {
        let output = company.scene.command_at(when, ["inspect"]).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(FINDINGS), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(looked("+90d").contains("no server's certificate lasts longer"));
    let said = looked("+101d");
    assert!(!said.contains("lasts longer"), "{said}");
    assert!(said.contains("chain to your own root"), "{said}");
}
