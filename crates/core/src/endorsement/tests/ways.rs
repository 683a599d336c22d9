//! The ways up from a CA, and which of them counts.

use super::*;

/// OpenSSL compares what a certificate says of its issuer, and does not look further at one that differs.
#[test]
fn a_certificate_that_names_another_one_as_its_issuer_is_held_to_it() {
    let company = Company::new();
    company.ca("root", None, CA, "");
    company.ca("sub", Some("root"), CA, "");
    let former = company.read(&["sub"]);
    let exact = ISSUING.replace("=keyid", "=keyid,issuer:always");
    company.ca("ours", Some("sub"), &exact, "");
    let verify = "verify -CAfile root.pem -untrusted sub.pem ours.pem";
    company.openssl(verify);
    // The same key, name and root, and another serial number.
    company.certify("sub", Some("root"), CA, "");
    assert!(!company.judge(verify).0);
    let key = std::fs::read(company.0.path().join("ours.key")).unwrap();
    let key = SubjectKey::from(&PrivateKey::read(&key, None).unwrap());
    let answered = |file: &[u8]| {
        let all = Permitted::default();
        IssuerChain::read_answer(file, b"", &key, &all, now())
    };
    let refused = answered(&company.read(&["ours", "sub", "root"])).unwrap_err();
    assert!(
        matches!(refused, EndorsementError::OtherIssuer { .. }),
        "{refused}"
    );
    let both = [
        company.read(&["ours", "sub"]),
        former.clone(),
        company.read(&["root"]),
    ];
    let (_, chains) = answered(&both.concat()).unwrap();
    let former = crate::first_certificate(&former).unwrap();
    assert_eq!(chains[0].issuer(), former);
}

#[test]
fn each_way_up_that_closes_counts_and_no_other() {
    let company = Company::new();
    for root in ["old", "new", "lost"] {
        company.ca(root, None, CA, "");
    }
    company.ca("middle", Some("lost"), CA, "");
    let under_lost = company.read(&["middle"]);
    company.certify("middle", Some("new"), CA, "");
    company.ca("sub", Some("middle"), CA, "");
    // Its root is not there; the same CA under another root comes after it.
    let file = [
        company.read(&["sub"]),
        under_lost,
        company.read(&["middle", "new"]),
    ];
    let chains = IssuerChain::read(&file.concat(), now()).unwrap();
    assert_eq!(chains.len(), 1);
    assert_eq!(titles(&chains[0]), ["sub", "middle", "new"]);
    // The new root, and the same certified by the old one.
    let new = company.read(&["new"]);
    company.certify("new", Some("old"), CA, "");
    let file = [company.read(&["sub", "middle", "new", "old"]), new];
    let chains = IssuerChain::read(&file.concat(), now()).unwrap();
    let titles: Vec<_> = chains.iter().map(titles).collect();
    assert_eq!(
        titles,
        [
            vec!["sub", "middle", "new"],
            vec!["sub", "middle", "new", "old"]
        ]
    );
}

/// CAs that have certified one another are two ways each, and a chain that goes through a CA twice is none that anybody builds.
#[test]
fn a_way_goes_through_no_ca_twice() {
    let company = Company::new();
    for root in ["root", "ours", "bridge"] {
        company.ca(root, None, CA, "");
    }
    company.ca("sub", Some("ours"), CA, "");
    let own = company.read(&["bridge"]);
    company.certify("bridge", Some("ours"), CA, "");
    let by_ours = company.read(&["bridge"]);
    company.write("bridge.pem", &String::from_utf8(own).unwrap());
    company.certify("ours", Some("bridge"), CA, "");
    company.certify("bridge", Some("root"), CA, "");
    let circle = [company.read(&["sub", "ours"]), by_ours];
    let file = [circle.concat(), company.read(&["bridge", "root"])];
    let chains = IssuerChain::read(&file.concat(), now()).unwrap();
    let titles: Vec<_> = chains.iter().map(titles).collect();
    assert_eq!(titles, [["sub", "ours", "bridge", "root"]]);
    let refused = IssuerChain::read(&circle.concat(), now()).unwrap_err();
    assert!(refused.to_string().contains("in a circle"), "{refused}");
}

/// A set has no order, and so the root may come first.
#[test]
fn in_pkcs7_the_ca_is_found_wherever_it_is() {
    let company = Company::new();
    company.ca("root", None, CA, "");
    company.ca("middle", Some("root"), CA, "");
    company.ca("sub", Some("middle"), CA, "");
    company.openssl(
        "crl2pkcs7 -nocrl -certfile root.pem -certfile sub.pem -certfile middle.pem -outform DER -out chain.p7b",
    );
    let file = std::fs::read(company.0.path().join("chain.p7b")).unwrap();
    assert_eq!(
        titles(&read(&file, now()).unwrap()),
        ["sub", "middle", "root"]
    );
    company.openssl("crl2pkcs7 -nocrl -certfile root.pem -outform DER -out alone.p7b");
    let file = std::fs::read(company.0.path().join("alone.p7b")).unwrap();
    assert_eq!(titles(&read(&file, now()).unwrap()), ["root"]);
}

/// Everybody certifies everybody: there are more ways than can be looked at, and none has an end.
#[test]
fn a_file_that_is_made_to_keep_us_busy_does_not() {
    let company = Company::new();
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    for name in names {
        company.key(name, "-algorithm EC -pkeyopt ec_paramgen_curve:P-256");
        company.certify(name, None, CA, "");
    }
    let mut file = Vec::new();
    for name in names {
        for above in names.iter().filter(|above| **above != name) {
            let own = company.read(&[name]);
            company.certify(name, Some(above), CA, "");
            file.extend(company.read(&[name]));
            company.write(&format!("{name}.pem"), &String::from_utf8(own).unwrap());
        }
    }
    let refused = IssuerChain::read(&file, now()).unwrap_err();
    assert!(matches!(refused, EndorsementError::Circle(_)), "{refused}");
}
