//! What clients make of a CA or an answer, which is what is made of it here.

use super::*;

/// What is known here and not to OpenSSL may not be critical; a purpose is no purpose if it is any.
#[test]
fn the_extensions_of_a_ca_are_judged_as_openssl_does() {
    let company = Company::new();
    company.ca("root", None, CA, "");
    for (extension, expected) in [
        ("", None),
        ("extendedKeyUsage=serverAuth,clientAuth", None),
        (
            "extendedKeyUsage=anyExtendedKeyUsage",
            Some("no serverAuth"),
        ),
        ("extendedKeyUsage=clientAuth", Some("no serverAuth")),
        ("crlDistributionPoints=critical,URI:http://x/", None),
        ("certificatePolicies=critical,1.2.3.4", None),
        ("inhibitAnyPolicy=critical,0", None),
        ("authorityInfoAccess=OCSP;URI:http://x/", None),
        (
            "authorityInfoAccess=critical,OCSP;URI:http://x/",
            Some("critical"),
        ),
        ("issuerAltName=critical,URI:http://x/", Some("critical")),
        ("nsComment=critical,hello", Some("critical")),
        ("nameConstraints=critical,permitted;email:example.com", None),
        // A minimum of 1 beside the name.
        (
            "nameConstraints=critical,DER:30:0e:a0:0c:30:0a:82:05:73:68:6f:72:74:80:01:01",
            Some("a minimum"),
        ),
        // One of 0, which DER leaves out.
        (
            "nameConstraints=critical,DER:30:0e:a0:0c:30:0a:82:05:73:68:6f:72:74:80:01:00",
            None,
        ),
        // Six octets, which are no address and mask.
        (
            "nameConstraints=critical,DER:30:0c:a0:0a:30:08:87:06:0a:00:00:00:ff:00",
            Some("without its mask"),
        ),
    ] {
        company.ca("sub", Some("root"), &format!("{CA}\n{extension}"), "");
        company.ca(
            "leaf",
            Some("sub"),
            "subjectAltName=DNS:short,IP:10.0.0.1\nauthorityKeyIdentifier=keyid",
            "",
        );
        let found = read(&company.read(&["sub", "root"]), now()).err();
        let (verified, said) =
            company.judge("verify -purpose sslserver -CAfile root.pem -untrusted sub.pem leaf.pem");
        assert_eq!(verified, expected.is_none(), "{extension}: {said}");
        let found = found.map(|error| error.to_string());
        match (expected, &found) {
            (None, None) => {}
            (Some(expected), Some(found)) if found.contains(expected) => {}
            _ => panic!("{extension}: {found:?}"),
        }
    }
}

/// RFC 5280 section 6.1. OpenSSL looks at policies only if it is asked to; Java always does.
#[test]
fn a_policy_that_is_demanded_is_one_that_our_certificates_lack() {
    let company = Company::new();
    let demanding = |skipped| format!("{CA}\npolicyConstraints=requireExplicitPolicy:{skipped}");
    company.ca("root", None, &demanding(0), "");
    // Below it are the issuing CA and the leaf.
    for (skipped, is_good) in [(0, false), (1, false), (2, false), (3, true)] {
        company.ca("sub", Some("root"), &demanding(skipped), "");
        let found = read(&company.read(&["sub", "root"]), now());
        assert_eq!(found.is_ok(), is_good, "{skipped}: {found:?}");
        company.ca("ours", Some("sub"), ISSUING, "");
        company.ca("leaf", Some("ours"), "basicConstraints=CA:FALSE", "");
        company.write(
            "between.pem",
            &String::from_utf8(company.read(&["sub", "ours"])).unwrap(),
        );
        let (verified, said) =
            company.judge("verify -policy_check -CAfile root.pem -untrusted between.pem leaf.pem");
        assert_eq!(verified, is_good, "{skipped}: {said}");
    }
}

#[test]
fn a_ca_without_a_name_is_refused() {
    let company = Company::new();
    company.ca("root", None, CA, "");
    company.key("sub", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256");
    company.write("ext", CA);
    company.openssl("req -new -key sub.key -subj / -out sub.csr");
    company.openssl("x509 -req -in sub.csr -CA root.pem -CAkey root.key -CAcreateserial -extfile ext -out sub.pem");
    let found = read(&company.read(&["sub", "root"]), now());
    assert_eq!(found, Err(EndorsementError::NoSubject));
}

#[test]
fn an_answers_name_is_one_that_postgresql_can_print() {
    let company = Company::new();
    company.ca("root", None, CA, "");
    company.key("ours", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256");
    company.write(
        "names.cnf",
        "oid_section=oids\n[oids]\nunheard=1.3.6.1.4.1.55555.1\n[req]\ndistinguished_name=none\n[none]\n",
    );
    company.write("ext", ISSUING);
    let key = std::fs::read(company.0.path().join("ours.key")).unwrap();
    let key = SubjectKey::from(&PrivateKey::read(&key, None).unwrap());
    for (subject, expected) in [
        ("/CN=ours/emailAddress=a@b.c", None),
        ("/CN=ours/unheard=x", Some("1.3.6.1.4.1.55555.1")),
        ("/CN=ou\x1b[31mrs", Some("control characters")),
        ("/O=ours", Some("no common name")),
    ] {
        company.openssl(&format!(
            "req -new -config names.cnf -key ours.key -subj {subject} -out ours.csr"
        ));
        company.openssl("x509 -req -in ours.csr -CA root.pem -CAkey root.key -CAcreateserial -extfile ext -out ours.pem");
        let file = company.read(&["ours", "root"]);
        let read = IssuerChain::read_answer(&file, b"", &key, &Permitted::default(), now());
        let found = read.err().map(|error| error.to_string());
        match (expected, &found) {
            (None, None) => {}
            (Some(expected), Some(found)) if found.contains(expected) => {}
            _ => panic!("{subject}: {found:?}"),
        }
    }
}

/// OpenSSL holds a CA to the constraints above it by its other names as well.
#[test]
fn an_answer_has_no_other_name_that_a_ca_above_may_not_sign_for() {
    let company = Company::new();
    let constraints =
        "nameConstraints=critical,permitted;DNS:example.com,permitted;IP:10.0.0.0/255.0.0.0";
    company.ca("root", None, &format!("{CA}\n{constraints}"), "");
    for (name, is_good) in [
        ("DNS:db.example.com", true),
        ("DNS:db.example.org", false),
        ("IP:10.0.0.1", true),
        ("IP:11.0.0.1", false),
    ] {
        company.ca(
            "ours",
            Some("root"),
            &format!("{ISSUING}\nsubjectAltName={name}"),
            "",
        );
        let key = std::fs::read(company.0.path().join("ours.key")).unwrap();
        let key = SubjectKey::from(&PrivateKey::read(&key, None).unwrap());
        let file = company.read(&["ours", "root"]);
        let read = IssuerChain::read_answer(&file, b"", &key, &Permitted::default(), now());
        assert_eq!(read.is_ok(), is_good, "{name}: {read:?}");
        let (verified, said) = company.judge("verify -CAfile root.pem ours.pem");
        assert_eq!(verified, is_good, "{name}: {said}");
    }
}
