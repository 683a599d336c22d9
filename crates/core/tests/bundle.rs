//! What `bundle` says about the files of a folder together.
#![allow(clippy::unwrap_used)]

mod samples;

use pgpki_core::bundle::{Bundle, ChainEnd};
use pgpki_core::crl::Revoked;
use pgpki_core::document::Document;
use pgpki_core::due::Within;
use pgpki_core::finding::Severity::{self, Error, Info, Warning};
use pgpki_core::issue::{Ca, Holder};
use pgpki_core::key::{KeyAlgorithm, PrivateKey};
use pgpki_core::name::Organization;
use pgpki_core::validity::Days;
use samples::{EC, OpenSsl, Ours, SERVER, read, summary};
use time::{Duration, OffsetDateTime};

type Seen<'a> = (String, &'static str, Severity);

fn bundle<C: AsRef<[u8]>>(files: &[(&str, C)]) -> Bundle {
    let read =
        |(name, content): &(&str, C)| ((*name).to_owned(), Document::read(content.as_ref()).ok());
    Bundle::new(files.iter().map(read).collect())
}

fn seen(bundle: &Bundle) -> Vec<Seen<'_>> {
    let within = Within::Duration(Duration::DAY);
    let findings = bundle.findings(OffsetDateTime::now_utc(), within);
    let codes = |f: &pgpki_core::bundle::FileFinding| summary(std::slice::from_ref(&f.finding))[0];
    findings
        .iter()
        .map(|f| (f.file.clone(), codes(f).0, codes(f).1))
        .collect()
}

fn found<C: AsRef<[u8]>>(files: &[(&str, C)]) -> Vec<(String, &'static str, Severity)> {
    let bundle = bundle(files);
    seen(&bundle)
}

fn one(
    file: &str,
    code: &'static str,
    severity: Severity,
) -> Vec<(String, &'static str, Severity)> {
    vec![(file.to_owned(), code, severity)]
}

/// The files with one of them replaced, or taken away where there is no content.
fn with<'a>(
    mut files: Vec<(&'a str, String)>,
    name: &str,
    content: Option<String>,
) -> Vec<(&'a str, String)> {
    match content {
        Some(content) => files
            .iter_mut()
            .filter(|f| f.0 == name)
            .for_each(|f| f.1.clone_from(&content)),
        None => files.retain(|f| f.0 != name),
    }
    files
}

#[test]
fn nothing_is_wrong_with_ours() {
    for algorithm in KeyAlgorithm::ALL {
        let ours = Ours::with(algorithm, &[]);
        assert_eq!(found(&ours.installation()), [], "{algorithm}");
        assert_eq!(found(&ours.for_client()), [], "{algorithm}");
    }
    let ours = Ours::new();
    let bundle = bundle(&ours.installation());
    let [chain] = &bundle.chains()[..] else {
        panic!("one leaf")
    };
    let names: Vec<_> = chain
        .links
        .iter()
        .map(|link| link.certificate.title())
        .collect();
    assert_eq!(names, ["our issuing CA", "our root"]);
    assert_eq!((chain.file, chain.end), ("server.crt", ChainEnd::Root));
    let matches = bundle.key_matches();
    let [found] = &matches[..] else {
        panic!("one match")
    };
    assert_eq!(
        (found.key_file, found.certificate_file, found.place),
        ("server.key", "server.crt", 1)
    );
}

#[test]
fn files_that_are_missing_or_swapped() {
    let ours = Ours::new();
    let files = ours.installation();
    let without = |name| found(&with(files.clone(), name, None));
    assert_eq!(
        without("server.key"),
        one("server.crt", "key-missing", Error)
    );
    let mut alone = without("server.crt");
    alone.retain(|f| f.1 != "crl-foreign" && f.1 != "crl-missing");
    assert_eq!(alone, one("server.key", "certificate-missing", Error));
    let unreadable: Vec<_> = files
        .iter()
        .map(|(name, text)| {
            let document = (*name != "server.key").then(|| read(text));
            ((*name).to_owned(), document)
        })
        .collect();
    assert_eq!(seen(&Bundle::new(unreadable)), []);

    let swapped = with(files.clone(), "server.key", Some(ours.client_key.clone()));
    assert_eq!(found(&swapped), one("server.key", "key-mismatch", Error));
    let wrong = with(files.clone(), "root.crl", Some(ours.roots.clone()));
    assert_eq!(found(&wrong), one("root.crl", "wrong-content", Error));
    let client = with(files, "server.crt", Some(ours.client.clone()));
    let client = with(client, "server.key", Some(ours.client_key.clone()));
    let expected = [("purpose-missing", Error), ("no-alternative-name", Warning)];
    assert_eq!(
        found(&client),
        expected.map(|(code, severity)| ("server.crt".to_owned(), code, severity))
    );
}

#[test]
fn keys_that_cannot_be_compared() {
    let ours = Ours::new();
    let key = PrivateKey::from_pem(ours.server_key.as_bytes(), None).unwrap();
    let encrypted = key.to_encrypted_pem(b"geheim").unwrap().to_string();
    let files = with(ours.installation(), "server.key", Some(encrypted));
    let expected = [("key-encrypted", Warning), ("key-unchecked", Info)];
    assert_eq!(
        found(&files),
        expected.map(|(code, severity)| ("server.key".to_owned(), code, severity))
    );

    let mut files: Vec<(&str, Vec<u8>)> = Vec::new();
    for (name, text) in ours.installation() {
        let key = name == "server.key";
        files.push((
            name,
            if key {
                samples::der(&text)
            } else {
                text.into_bytes()
            },
        ));
    }
    let expected = [("key-der", Info), ("der-not-pem", Error)];
    assert_eq!(
        found(&files),
        expected.map(|(code, severity)| ("server.key".to_owned(), code, severity))
    );
}

#[test]
fn chains_that_do_not_close() {
    let ours = Ours::new();
    let others = Ours::new();
    let issuing = ours.issuing_pem();
    let leaf = ours
        .server
        .strip_suffix(issuing.as_str())
        .unwrap()
        .to_owned();
    let files = with(ours.installation(), "root.crl", None);
    let bare = with(files.clone(), "server.crt", Some(leaf.clone()));
    assert_eq!(found(&bare), one("server.crt", "chain-broken", Error));
    let mut elsewhere = bare.clone();
    elsewhere.push(("issuing.crt", issuing.clone()));
    assert_eq!(
        found(&elsewhere),
        one("server.crt", "chain-incomplete", Warning)
    );
    let rootless = with(bare, "root.crt", None);
    assert_eq!(
        found(&rootless),
        one("server.crt", "chain-incomplete", Info)
    );
    assert_eq!(found(&with(files.clone(), "root.crt", None)), []);

    // Of the same name, with other keys: the identifiers tell them apart.
    let foreign = with(files.clone(), "root.crt", Some(others.roots.clone()));
    assert_eq!(found(&foreign), one("server.crt", "chain-broken", Error));
    let both = format!("{}{}", others.roots, ours.roots);
    assert_eq!(found(&with(files.clone(), "root.crt", Some(both))), []);

    let only_issuing = with(files.clone(), "root.crt", Some(issuing.clone()));
    assert_eq!(found(&only_issuing), one("root.crt", "root-missing", Error));
    let with_leaf = format!("{}{}", ours.roots, ours.client);
    let with_leaf = with(files, "root.crt", Some(with_leaf));
    assert_eq!(found(&with_leaf), one("root.crt", "trust-not-ca", Warning));
}

#[test]
fn a_root_that_is_cross_signed() {
    let openssl = OpenSsl::new();
    openssl.ca("old", EC);
    openssl.ca("new", EC);
    openssl
        .run("x509 -x509toreq -in new.crt -signkey new.key -out new.csr -copy_extensions copyall");
    openssl.write("x", "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n");
    openssl.run("x509 -req -in new.csr -CA old.crt -CAkey old.key -CAcreateserial -extfile x -days 99 -out cross.crt");
    openssl.leaf("leaf", "new", EC, SERVER, "");
    let chain = openssl.text("leaf.crt") + &openssl.text("cross.crt");
    for roots in ["old.crt", "new.crt"] {
        let files = [
            ("server.crt", chain.clone()),
            ("server.key", openssl.text("leaf.key")),
            ("root.crt", openssl.text(roots)),
        ];
        let bundle = bundle(&files);
        assert_eq!(bundle.chains()[0].end, ChainEnd::Root, "{roots}");
        assert_eq!(seen(&bundle), [], "{roots}");
    }
    let roots = openssl.text("new.crt") + &openssl.text("cross.crt");
    let files = [("root.crt", roots)];
    assert_eq!(found(&files), []);
}

#[test]
fn chains_that_are_forged() {
    let openssl = OpenSsl::new();
    openssl.ca("ca", EC);
    let no_id = SERVER.replace(
        "authorityKeyIdentifier=keyid",
        "authorityKeyIdentifier=none",
    );
    let leaf = openssl.leaf("leaf", "ca", EC, &no_id, "");
    openssl.ca("ca", EC);
    let warning = ("server.crt".to_owned(), "authority-key-id-missing", Warning);
    let files = [
        ("server.crt", leaf),
        ("server.key", openssl.text("leaf.key")),
        ("root.crt", openssl.text("ca.crt")),
    ];
    assert_eq!(
        found(&files),
        [warning, ("server.crt".to_owned(), "signature-bad", Error)]
    );

    openssl.leaf("middle", "ca", EC, SERVER, "");
    let below = openssl.leaf("below", "middle", EC, SERVER, "");
    let chain = format!("{below}{}", openssl.text("middle.crt"));
    let files = [
        ("server.crt", chain),
        ("server.key", openssl.text("below.key")),
        ("root.crt", openssl.text("ca.crt")),
    ];
    assert_eq!(found(&files), one("server.crt", "issuer-not-ca", Error));

    let ca = |length: u8| {
        format!(
            "basicConstraints=critical,CA:TRUE,pathlen:{length}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        )
    };
    openssl.leaf("one", "ca", EC, &ca(0), "");
    openssl.leaf("two", "one", EC, &ca(0), "");
    let leaf = openssl.leaf("leaf", "two", EC, SERVER, "");
    let chain = leaf + &openssl.text("two.crt") + &openssl.text("one.crt");
    let files = [
        ("server.crt", chain),
        ("server.key", openssl.text("leaf.key")),
        ("root.crt", openssl.text("ca.crt")),
    ];
    assert_eq!(found(&files), one("server.crt", "path-length", Error));
    assert!(!openssl.accepts("verify -CAfile ca.crt -untrusted server.crt leaf.crt"));

    openssl.ca("ca", "ec -pkeyopt ec_paramgen_curve:P-224");
    let leaf = openssl.leaf("leaf", "ca", EC, SERVER, "");
    let files = [
        ("server.crt", leaf),
        ("server.key", openssl.text("leaf.key")),
        ("root.crt", openssl.text("ca.crt")),
    ];
    assert_eq!(
        found(&files),
        one("server.crt", "signature-unchecked", Info)
    );
}

#[test]
fn revocation() {
    let ours = Ours::new();
    let others = Ours::new();
    let files = ours.installation();
    let crl = |ca: &Ca, revoked: &[Revoked]| {
        pgpki_core::pem("X509 CRL", &ca.sign_crl(2, revoked, ours.now).unwrap())
    };
    let issuing_only = with(files.clone(), "root.crl", Some(crl(&ours.issuing, &[])));
    assert_eq!(found(&issuing_only), one("root.crl", "crl-missing", Error));
    let root_only = with(files.clone(), "root.crl", Some(crl(&ours.root, &[])));
    assert_eq!(found(&root_only), one("root.crl", "crl-missing", Error));
    let foreign = ours.crls.clone() + &crl(&others.root, &[]);
    let foreign = with(files.clone(), "root.crl", Some(foreign));
    assert_eq!(found(&foreign), one("root.crl", "crl-foreign", Info));

    let organization = Organization::default();
    let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let holder = Holder::Server(vec!["db.example.com".parse().unwrap()]);
    let leaf = ours
        .issuing
        .issue_leaf(&holder, &(&key).into(), &organization, ours.now, Days::LEAF)
        .unwrap();
    let revoked = Revoked {
        serial: leaf.serial,
        at: ours.now,
        reason: None,
    };
    let chain = samples::certificate(&leaf.der) + &ours.issuing_pem();
    let files = with(files, "server.crt", Some(chain));
    let files = with(files, "server.key", Some(key.to_pem().unwrap().to_string()));
    assert_eq!(found(&files), []);
    let crls = crl(&ours.issuing, &[revoked]) + &crl(&ours.root, &[]);
    let files = with(files, "root.crl", Some(crls));
    assert_eq!(found(&files), one("server.crt", "revoked", Error));
}

#[test]
fn a_list_that_its_ca_did_not_sign() {
    let ours = Ours::new();
    let mut forged = samples::der(&pgpki_core::pem(
        "X509 CRL",
        &ours.root.sign_crl(1, &[], ours.now).unwrap(),
    ));
    let number = forged
        .windows(5)
        .position(|w| w == [0x55, 0x1d, 0x14, 0x04, 0x03])
        .unwrap();
    forged[number + 7] = 9;
    let crls = ours.crls.clone() + &pgpki_core::pem("X509 CRL", &forged);
    let files = with(ours.installation(), "root.crl", Some(crls));
    assert_eq!(found(&files), one("root.crl", "crl-signature", Error));
}

#[test]
fn a_tangle_of_cas_ends() {
    let openssl = OpenSsl::new();
    openssl.ca("a", EC);
    openssl.ca("b", EC);
    openssl.write(
        "x",
        "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n",
    );
    for (subject, issuer) in [("a", "b"), ("b", "a")] {
        openssl.run(&format!(
            "x509 -x509toreq -in {subject}.crt -signkey {subject}.key -out r"
        ));
        openssl.run(&format!("x509 -req -in r -CA {issuer}.crt -CAkey {issuer}.key -CAcreateserial -extfile x -days 99 -out {subject}x.crt"));
    }
    let leaf = openssl.leaf("leaf", "a", EC, SERVER, "");
    let files = [(
        "x.crt",
        leaf + &openssl.text("ax.crt") + &openssl.text("bx.crt"),
    )];
    let bundle = bundle(&files);
    assert!(matches!(
        bundle.chains()[0].end,
        ChainEnd::Root | ChainEnd::IssuerMissing(_)
    ));
    assert!(bundle.chains()[0].links.len() <= 2);
}
