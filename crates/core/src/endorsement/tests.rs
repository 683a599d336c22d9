#![allow(clippy::unwrap_used)]

mod judged;
mod ways;

use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::issue::{Ca, CaName, Holder, NewIssuing};
use crate::key::{KeyAlgorithm, PrivateKey};
use crate::name::Organization;
use crate::validity::Days;

/// CAs that openssl made, in one folder.
struct Company(TempDir);

const CA: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n\
    subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid";

const ISSUING: &str = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n\
    subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid";

impl Company {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn openssl(&self, arguments: &str) {
        let (verdict, output) = self.judge(arguments);
        assert!(verdict, "{arguments}: {output}");
    }

    /// Whether openssl agrees, and what it says.
    fn judge(&self, arguments: &str) -> (bool, String) {
        let mut command = Command::new("openssl");
        command
            .current_dir(self.0.path())
            .args(arguments.split(' '));
        let output = command.output().unwrap();
        (output.status.success(), format!("{output:?}"))
    }

    fn key(&self, name: &str, algorithm: &str) {
        self.openssl(&format!("genpkey {algorithm} -out {name}.key"));
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    fn read(&self, names: &[&str]) -> Vec<u8> {
        let read = |name: &&str| std::fs::read(self.0.path().join(format!("{name}.pem"))).unwrap();
        names.iter().flat_map(read).collect()
    }

    /// A CA under another one, or a root.
    fn ca(&self, name: &str, above: Option<&str>, extensions: &str, more: &str) {
        self.key(name, "-algorithm EC -pkeyopt ec_paramgen_curve:P-256");
        self.certify(name, above, extensions, more);
    }

    fn certify(&self, name: &str, above: Option<&str>, extensions: &str, more: &str) {
        self.write("ext", extensions);
        self.openssl(&format!(
            "req -new -key {name}.key -subj /O=Company/CN={name} -out {name}.csr"
        ));
        let signer = match above {
            None => format!("-signkey {name}.key"),
            Some(above) => format!("-CA {above}.pem -CAkey {above}.key -CAcreateserial"),
        };
        self.openssl(
            format!(
                "x509 -req -in {name}.csr {signer} -days 3000 -extfile ext -out {name}.pem {more}"
            )
            .trim_end(),
        );
    }
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc() + time::Duration::MINUTE
}

/// The chain that counts where nothing speaks for another.
fn read(file: &[u8], now: OffsetDateTime) -> Result<IssuerChain, EndorsementError> {
    let chains = IssuerChain::read(file, now)?;
    Ok(chains.into_iter().next().unwrap())
}

fn titles(chain: &IssuerChain) -> Vec<String> {
    let names = chain.certificates().iter();
    let names = names.map(|der| CaFacts::read(der).unwrap().common_name);
    names.collect()
}

#[test]
fn a_chain_is_found_in_any_order_and_ends_at_its_root() {
    let company = Company::new();
    company.ca("root", None, CA, "");
    company.ca("middle", Some("root"), CA, "");
    company.ca("sub", Some("middle"), CA, "");
    let chain = read(&company.read(&["sub", "root", "middle"]), now()).unwrap();
    assert_eq!(titles(&chain), ["sub", "middle", "root"]);
    assert_eq!(IssuerChain::recorded(&chain.to_record()), Ok(chain));
    let alone = read(&company.read(&["root"]), now()).unwrap();
    assert_eq!(alone.certificates().len(), 1);
    let open = read(&company.read(&["sub", "root"]), now()).unwrap_err();
    assert_eq!(
        open,
        EndorsementError::IssuerMissing {
            name: "sub".into(),
            issuer: "CN=middle,O=Company".into()
        }
    );
}

#[test]
fn what_may_not_sign_an_issuing_ca_is_refused() {
    let company = Company::new();
    company.ca("root", None, CA, "");
    let strange = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n1.2.3.4=critical,ASN1:NULL";
    for (name, extensions, more, expected) in [
        (
            "leaf",
            "basicConstraints=critical,CA:FALSE",
            "",
            "is no CA's certificate",
        ),
        (
            "nosign",
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign",
            "",
            "has no keyCertSign",
        ),
        (
            "short",
            "basicConstraints=critical,CA:TRUE,pathlen:0",
            "",
            "has a path length of 0",
        ),
        (
            "clients",
            "basicConstraints=critical,CA:TRUE\nextendedKeyUsage=clientAuth",
            "",
            "has no serverAuth",
        ),
        ("strange", strange, "", "critical and not known here"),
        ("sha1", CA, "-sha1", "RSA with SHA-1"),
    ] {
        let above = if name == "sha1" {
            company.key("rsa", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048");
            company.certify("rsa", None, CA, "");
            "rsa"
        } else {
            "root"
        };
        company.ca(name, Some(above), extensions, more);
        let error = read(&company.read(&[name, above]), now()).unwrap_err();
        assert!(error.to_string().contains(expected), "{name}: {error}");
    }
    company.key("small", "-algorithm RSA -pkeyopt rsa_keygen_bits:1024");
    company.certify("small", Some("root"), CA, "");
    let error = read(&company.read(&["small", "root"]), now()).unwrap_err();
    assert!(error.to_string().contains("RSA with 1024 bits"), "{error}");
    for at in [
        now() + time::Duration::days(4000),
        now() - time::Duration::DAY,
    ] {
        let error = read(&company.read(&["root"]), at).unwrap_err();
        assert!(
            matches!(error, EndorsementError::NotValid { .. }),
            "{error}"
        );
    }
}

#[test]
fn the_path_length_of_every_ca_above_counts() {
    let company = Company::new();
    company.ca("root", None, &CA.replace("TRUE", "TRUE,pathlen:1"), "");
    company.ca("sub", Some("root"), CA, "");
    let error = read(&company.read(&["sub", "root"]), now()).unwrap_err();
    assert_eq!(
        error,
        EndorsementError::PathLength {
            name: "root".into(),
            limit: 1,
            needed: 2
        }
    );
    assert!(read(&company.read(&["root"]), now()).is_ok());
}

#[test]
fn a_name_alone_makes_nobody_the_issuer() {
    let (company, other) = (Company::new(), Company::new());
    for it in [&company, &other] {
        it.ca("root", None, CA, "");
    }
    company.ca("sub", Some("root"), CA, "");
    let mut file = company.read(&["sub"]);
    file.extend(other.read(&["root"]));
    let error = read(&file, now()).unwrap_err();
    assert!(
        matches!(error, EndorsementError::NotSigned { .. }),
        "{error}"
    );
    // With both there, the one that has signed is found.
    file.extend(company.read(&["root"]));
    let chain = read(&file, now()).unwrap();
    let root = company.read(&["root"]);
    assert_eq!(
        chain.certificates().last(),
        crate::first_certificate(&root).as_ref()
    );
}

#[test]
fn garbage_is_refused_in_words() {
    for file in [
        b"".as_slice(),
        b"garbage",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        assert!(read(file, now()).is_err());
    }
    let company = Company::new();
    company.ca("root", None, CA, "");
    let many = company.read(&["root"; 65]);
    assert_eq!(read(&many, now()), Err(EndorsementError::TooMany(65)));
    let key = std::fs::read(company.0.path().join("root.key")).unwrap();
    assert_eq!(read(&key, now()), Err(EndorsementError::NoCertificate));
}

#[test]
fn a_company_without_key_identifiers_signs_as_well() {
    let company = Company::new();
    let bare = "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=none";
    company.ca("root", None, bare, "");
    let chain = read(&company.read(&["root"]), now()).unwrap();
    let key = std::fs::read(company.0.path().join("root.key")).unwrap();
    let root = Ca::load(chain.issuer(), PrivateKey::read(&key, None).unwrap()).unwrap();
    let ours = SubjectKey::from(&PrivateKey::generate(KeyAlgorithm::P256).unwrap());
    let organization = Organization::default();
    let issued = root.issue_ca(&ours, &organization, "ours", now(), Days::ISSUING);
    let issued = issued.unwrap();
    company.write("ours.pem", &crate::pem("CERTIFICATE", &issued.der));
    company.openssl("verify -CAfile root.pem ours.pem");
    // RFC 5280 section 4.2.1.2: SHA-1 of the key.
    let facts = CertificateFacts::read(&issued.der).unwrap();
    assert_eq!(facts.authority_key_id.unwrap().len(), 40);
}

/// Our issuing CA under a company's CA with these constraints, and whether a leaf for a holder is refused.
fn refusal(constraints: &str, organization: &Organization, holder: &Holder) -> Option<String> {
    let company = Company::new();
    company.ca("root", None, CA, "");
    company.ca("sub", Some("root"), &format!("{CA}\n{constraints}"), "");
    let chain = read(&company.read(&["sub", "root"]), now()).unwrap();
    let key = std::fs::read(company.0.path().join("sub.key")).unwrap();
    let sub = Ca::load(chain.issuer(), PrivateKey::read(&key, None).unwrap()).unwrap();
    let ours = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let public = (&ours).into();
    let new = NewIssuing {
        key: &public,
        name: CaName::Common(organization, "ours"),
        permitted: &Permitted::default(),
        days: Days::ISSUING,
        until: Some(chain.until()),
    };
    let issued = match sub.issue(&new, now()) {
        Ok(issued) => issued,
        Err(error) => return Some(error.to_string()),
    };
    let issuing = Ca::load(&issued.der, ours).unwrap();
    let leaf_key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let leaf =
        |ca: &Ca| ca.issue_leaf(holder, &(&leaf_key).into(), organization, now(), Days::LEAF);
    let unconstrained = leaf(&issuing).unwrap();
    let refusal = leaf(&issuing.under(chain.constraints(), chain.until())).err();
    // OpenSSL has the last word.
    let write = |name: &str, der: &[u8]| company.write(name, &crate::pem("CERTIFICATE", der));
    write("ours.pem", &issued.der);
    write("leaf.pem", &unconstrained.der);
    company.write(
        "chain.pem",
        &String::from_utf8(company.read(&["sub", "ours"])).unwrap(),
    );
    let mut openssl = Command::new("openssl");
    openssl.current_dir(company.0.path());
    let verified = openssl
        .args("verify -CAfile root.pem -untrusted chain.pem leaf.pem".split(' '))
        .output()
        .unwrap();
    assert_eq!(
        verified.status.success(),
        refusal.is_none(),
        "{constraints}: {refusal:?} {verified:?}"
    );
    refusal.map(|error| error.to_string())
}

#[test]
fn the_companys_name_constraints_are_openssls() {
    let plain = Organization::default();
    let of_company = Organization {
        organization: Some("Company".into()),
        ..Organization::default()
    };
    let server =
        |hosts: &[&str]| Holder::Server(hosts.iter().map(|it| it.parse().unwrap()).collect());
    let role = |name: &str| Holder::Client(name.parse().unwrap());
    let dns = "nameConstraints=critical,permitted;DNS:example.com,excluded;DNS:no.example.com";
    let ip = "nameConstraints=critical,permitted;IP:10.0.0.0/255.0.0.0";
    let directory = "nameConstraints=critical,permitted;dirName:base\n[base]\nO=company";
    let outside = "nameConstraints=critical,excluded;dirName:base\n[base]\nO=Company";
    let dot = "nameConstraints=critical,permitted;DNS:.example.com";
    for (constraints, organization, holder, expected) in [
        (
            dns,
            &plain,
            server(&["db.example.com", "example.com", "10.1.1.1"]),
            None,
        ),
        (dns, &plain, server(&["*.db.example.com"]), None),
        (
            dns,
            &plain,
            server(&["db.example.org"]),
            Some("permits only DNS names in example.com"),
        ),
        (
            dns,
            &plain,
            server(&["a.no.example.com"]),
            Some("excludes DNS names in no.example.com"),
        ),
        (
            dns,
            &plain,
            server(&["10.1.1.1"]),
            Some("which OpenSSL takes for a DNS name"),
        ),
        (dns, &plain, role("alice"), None),
        (
            dns,
            &plain,
            role("a.b"),
            Some("the common name a.b, which OpenSSL"),
        ),
        (dns, &plain, role("a.example.com"), None),
        (ip, &plain, server(&["db.example.com", "10.1.1.1"]), None),
        (
            ip,
            &plain,
            server(&["db.example.com", "11.1.1.1"]),
            Some("permits only addresses in 10.0.0.0/8"),
        ),
        (
            directory,
            &plain,
            server(&["db.example.com"]),
            Some("permits only subjects below O=company"),
        ),
        (directory, &of_company, server(&["db.example.com"]), None),
        (
            outside,
            &of_company,
            server(&["db.example.com"]),
            Some("excludes subjects below O=Company"),
        ),
        (dot, &plain, server(&["db.example.com"]), None),
        (dot, &plain, server(&["example.com"]), Some("permits only")),
    ] {
        let found = refusal(constraints, organization, &holder);
        match (expected, &found) {
            (None, None) => {}
            (Some(text), Some(found)) if found.contains(text) => {}
            _ => panic!("{constraints}, {holder}: {found:?}"),
        }
    }
}

#[test]
fn ones_own_permitted_names_are_openssls_and_exclude_the_other_kinds() {
    let now = now();
    let organization = Organization::default();
    let server =
        |hosts: &[&str]| Holder::Server(hosts.iter().map(|it| it.parse().unwrap()).collect());
    let key = || PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let (root, _) = Ca::new_root(key(), &organization, "root", now, Days::ROOT).unwrap();
    let dns: &[&str] = &["example.com"];
    let ip: &[&str] = &["10.0.0.0/8"];
    let none: &[&str] = &[];
    for (dns, ip, holder, is_good) in [
        (dns, none, server(&["db.example.com"]), true),
        (dns, none, server(&["db.example.com", "10.0.0.1"]), false),
        (dns, none, server(&["db.example.com", "fd00::1"]), false),
        (dns, none, server(&["db.example.org"]), false),
        (dns, none, Holder::Client("alice".parse().unwrap()), true),
        (dns, none, Holder::Client("a.b".parse().unwrap()), false),
        (dns, ip, server(&["db.example.com", "10.0.0.1"]), true),
        (dns, ip, server(&["db.example.com", "11.0.0.1"]), false),
        (dns, ip, server(&["db.example.com", "fd00::1"]), false),
        (none, ip, server(&["db.example.com"]), false),
        // Its common name is one for OpenSSL, and no DNS name is permitted.
        (none, ip, server(&["10.0.0.1"]), false),
        (none, &["fd00::/8"], server(&["fd00::1"]), true),
    ] {
        let text = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let permitted = Permitted::new(&text(dns), &text(ip)).unwrap();
        let private = key();
        let public = (&private).into();
        let new = NewIssuing {
            key: &public,
            name: CaName::Common(&organization, "issuing"),
            permitted: &permitted,
            days: Days::ISSUING,
            until: None,
        };
        let issued = root.issue(&new, now).unwrap();
        let der = private.to_der();
        let issuing = Ca::load(&issued.der, private).unwrap();
        let leaf_key = key();
        let leaf =
            |ca: &Ca| ca.issue_leaf(&holder, &(&leaf_key).into(), &organization, now, Days::LEAF);
        assert_eq!(leaf(&issuing).is_ok(), is_good, "{dns:?} {ip:?} {holder}");
        // The same key under a certificate without constraints signs what OpenSSL then judges by the one with them.
        let free = root
            .issue_ca(&public, &organization, "issuing", now, Days::ISSUING)
            .unwrap();
        let free = Ca::load(&free.der, PrivateKey::from_pkcs8(&der).unwrap()).unwrap();
        let folder = Company::new();
        for (name, der) in [
            ("root.pem", root.der()),
            ("issuing.pem", &issued.der),
            ("leaf.pem", &leaf(&free).unwrap().der),
        ] {
            folder.write(name, &crate::pem("CERTIFICATE", der));
        }
        let mut openssl = Command::new("openssl");
        openssl.current_dir(folder.0.path());
        let arguments = "verify -x509_strict -CAfile root.pem -untrusted issuing.pem leaf.pem";
        let output = openssl.args(arguments.split(' ')).output().unwrap();
        assert_eq!(
            output.status.success(),
            is_good,
            "{dns:?} {ip:?} {holder}: {output:?}"
        );
    }
}

#[test]
fn pkcs7_holds_certificates_as_well() {
    let company = Company::new();
    company.ca("root", None, CA, "");
    company.ca("sub", Some("root"), CA, "");
    let expected = read(&company.read(&["sub", "root"]), now()).unwrap();
    for form in ["PEM", "DER"] {
        company.openssl(&format!(
            "crl2pkcs7 -nocrl -certfile sub.pem -certfile root.pem -outform {form} -out chain.p7b"
        ));
        let file = std::fs::read(company.0.path().join("chain.p7b")).unwrap();
        assert_eq!(read(&file, now()), Ok(expected.clone()), "{form}");
        for end in [1, 20, 100, file.len() / 2] {
            assert!(read(&file[..end], now()).is_err(), "{form} {end}");
        }
    }
}

#[test]
fn an_answer_is_for_the_key_that_asked_and_can_be_an_issuing_ca() {
    let company = Company::new();
    company.ca("root", None, CA, "");
    company.ca("sub", Some("root"), CA, "");
    let public = |name: &str| {
        let key = std::fs::read(company.0.path().join(format!("{name}.key"))).unwrap();
        SubjectKey::from(&PrivateKey::read(&key, None).unwrap())
    };
    let answered = |answer: &[&str], beside: &[&str], key: &str| {
        IssuerChain::read_answer(
            &company.read(answer),
            &company.read(beside),
            &public(key),
            &Permitted::default(),
            now(),
        )
    };
    company.ca("ours", Some("sub"), ISSUING, "");
    for (answer, beside) in [
        (vec!["ours", "sub", "root"], vec![]),
        (vec!["root", "ours", "sub"], vec![]),
        (vec!["ours"], vec!["sub", "root"]),
    ] {
        let (certificate, chain) = answered(&answer, &beside, "ours").unwrap();
        assert_eq!(
            Some(certificate),
            crate::first_certificate(&company.read(&["ours"]))
        );
        assert_eq!(chain[0].certificates().len(), 2);
    }
    let error = answered(&["sub", "root"], &[], "ours").unwrap_err();
    assert_eq!(error, EndorsementError::OtherKey("sub".into()));
    let error = answered(&["ours"], &["sub"], "ours").unwrap_err();
    assert!(
        matches!(error, EndorsementError::IssuerMissing { .. }),
        "{error}"
    );
    for (name, extensions, expected) in [
        (
            "leaf",
            "basicConstraints=critical,CA:FALSE",
            "is no CA's certificate",
        ),
        (
            "nocrl",
            "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=keyCertSign",
            "has no cRLSign",
        ),
        (
            "signing",
            "basicConstraints=critical,CA:TRUE\nkeyUsage=cRLSign",
            "has no keyCertSign",
        ),
        ("open", CA, "path length is not 0"),
        (
            "deep",
            &CA.replace("CA:TRUE", "CA:TRUE,pathlen:1"),
            "path length is not 0",
        ),
    ] {
        company.ca(name, Some("sub"), extensions, "");
        let error = answered(&[name, "sub", "root"], &[], name).unwrap_err();
        assert!(error.to_string().contains(expected), "{name}: {error}");
    }
    let error = answered(&["root"], &[], "root").unwrap_err();
    assert!(error.to_string().contains("its own key"), "{error}");
}

#[test]
fn an_answer_is_held_to_the_names_that_the_request_asks_for() {
    let company = Company::new();
    company.ca("root", None, CA, "");
    company.ca("free", Some("root"), ISSUING, "");
    let constraints = "nameConstraints=critical,permitted;DNS:example.com";
    company.ca(
        "held",
        Some("root"),
        &format!("{ISSUING}\n{constraints}"),
        "",
    );
    let asked = Permitted::new(&["example.com".to_owned()], &[]).unwrap();
    for (name, good) in [("free", false), ("held", true)] {
        let key = std::fs::read(company.0.path().join(format!("{name}.key"))).unwrap();
        let key = SubjectKey::from(&PrivateKey::read(&key, None).unwrap());
        let file = company.read(&[name, "root"]);
        let read = IssuerChain::read_answer(&file, b"", &key, &asked, now());
        assert_eq!(read.is_ok(), good, "{name}: {read:?}");
    }
}

/// Openssl refuses such a chain with "excluded subtree violation".
#[test]
fn an_answer_has_a_name_that_every_ca_above_may_sign_for() {
    let company = Company::new();
    let excluded = "nameConstraints=critical,excluded;dirName:base\n[base]\nO=Company\nCN=ours";
    company.ca("root", None, &format!("{CA}\n{excluded}"), "");
    company.ca("sub", Some("root"), CA, "");
    company.ca("ours", Some("sub"), ISSUING, "");
    let key = std::fs::read(company.0.path().join("ours.key")).unwrap();
    let key = SubjectKey::from(&PrivateKey::read(&key, None).unwrap());
    let file = company.read(&["ours", "sub", "root"]);
    let read = IssuerChain::read_answer(&file, b"", &key, &Permitted::default(), now());
    let error = read.unwrap_err().to_string();
    assert!(error.contains("may not sign"), "{error}");
}

#[test]
fn of_a_ca_and_the_same_ca_renewed_the_one_that_counts_is_taken() {
    let company = Company::new();
    company.ca("root", None, CA, "");
    company.ca("sub", Some("root"), CA, "");
    let renewed = company.read(&["sub"]);
    company.certify("sub", Some("root"), CA, "-days 1");
    let former = company.read(&["sub"]);
    company.ca("below", Some("sub"), CA, "");
    let file = [
        company.read(&["below"]),
        former,
        renewed,
        company.read(&["root"]),
    ]
    .concat();
    let later = now() + time::Duration::days(5);
    let chain = read(&file, later).unwrap();
    assert!(chain.until() > later);
}
