//! What `document` says about certificates, requests and CRLs that the openssl command line makes.
#![allow(clippy::unwrap_used)]

mod samples;

use pgpki_core::document::{Item, Signature};
use pgpki_core::finding::Severity::{self, Error, Info, Warning};
use samples::{CLIENT, EC, OpenSsl, SERVER, codes, read};

const ALONE: (&str, Severity) = ("chain-incomplete", Info);

/// The server's extensions without those that begin with one of `left_out`, and with `more`.
fn extensions(left_out: &[&str], more: &str) -> String {
    let kept = SERVER
        .lines()
        .filter(|line| !left_out.iter().any(|out| line.starts_with(out)));
    let kept: Vec<_> = kept.chain(more.lines()).collect();
    format!("{}\n", kept.join("\n"))
}

#[test]
fn names_are_what_openssl_prints() {
    let openssl = OpenSsl::new();
    openssl.run(&format!("genpkey -algorithm {EC} -out k"));
    for subject in [
        "/C=DE/ST=x/L=y/O=a, b+c;d/OU= e /CN=#zoë\"<\\\\>=",
        "/DC=org/DC=example/UID=u/CN=one+serialNumber=7/emailAddress=a@b",
        "/CN=x/GN=g/SN=s/title=t/1.2.3.4=odd",
    ] {
        let name = subject.replace(' ', "\u{a0}");
        openssl.run(&format!(
            "req -new -x509 -key k -utf8 -multivalue-rdn -subj {name} -out c"
        ));
        let printed = openssl.run("x509 -in c -noout -subject -issuer -serial -nameopt RFC2253");
        let document = read(openssl.read("c"));
        let facts = document.certificates().next().unwrap();
        let ours = format!(
            "subject={}\nissuer={}\nserial={}\n",
            facts.subject,
            facts.issuer,
            facts.serial.hex.to_uppercase()
        );
        assert_eq!(ours, printed);
    }
    for serial in [
        "1",
        "-1",
        "255",
        "-129",
        "0xFEDCBA9876543210FEDCBA9876543210FEDCBA98",
    ] {
        openssl.run(&format!(
            "req -new -x509 -key k -subj /CN=x -set_serial {serial} -out c"
        ));
        let printed = openssl.run("x509 -in c -noout -serial");
        let document = read(openssl.read("c"));
        let serial = document.certificates().next().unwrap().serial.clone();
        assert_eq!(format!("serial={}\n", serial.hex.to_uppercase()), printed);
    }
}

#[test]
fn facts_agree_with_openssl() {
    let openssl = OpenSsl::new();
    openssl.ca("ca", EC);
    let text = openssl.leaf("leaf", "ca", "rsa:3072", SERVER, "");
    let document = read(&text);
    let facts = document.certificates().next().unwrap();
    let printed = openssl.run("x509 -in leaf.crt -noout -fingerprint -sha256");
    let digits = printed
        .trim()
        .rsplit('=')
        .next()
        .unwrap()
        .replace(':', "")
        .to_lowercase();
    assert_eq!(facts.fingerprint, digits);
    assert_eq!(facts.public_key.kind.to_string(), "RSA 3072");
    assert_eq!(codes(&text), [ALONE]);
}

#[test]
fn extensions_that_are_missing_or_wrong() {
    let openssl = OpenSsl::new();
    openssl.ca("ca", EC);
    type Case<'a> = (&'a [&'a str], &'a str, &'a [(&'a str, Severity)]);
    let cases: [Case<'_>; 12] = [
        (&["subjectAlt"], "", &[("no-alternative-name", Warning)]),
        (
            &["subjectAlt"],
            "subjectAltName=DNS:10.0.0.1",
            &[("name-unusable", Warning)],
        ),
        (
            &["subjectAlt"],
            "subjectAltName=DNS:foo bar,IP:10.0.0.1",
            &[("name-unusable", Warning)],
        ),
        (&["extended"], "", &[("purpose-unstated", Info)]),
        (
            &["extended"],
            "extendedKeyUsage=codeSigning",
            &[("purpose-missing", Error)],
        ),
        (
            &["extended"],
            "extendedKeyUsage=anyExtendedKeyUsage",
            &[("purpose-missing", Error)],
        ),
        (
            &["subjectKey"],
            "subjectKeyIdentifier=none",
            &[("subject-key-id-missing", Info)],
        ),
        (
            &["authorityKey"],
            "authorityKeyIdentifier=none",
            &[("authority-key-id-missing", Warning)],
        ),
        (
            &["keyUsage"],
            "keyUsage=keyAgreement",
            &[("key-usage", Error)],
        ),
        (
            &["basic"],
            "basicConstraints=critical,CA:TRUE",
            &[("leaf-is-ca", Warning), ("key-usage", Error)],
        ),
        (
            &[],
            "1.2.3.4=critical,DER:0500",
            &[("extension-unusable", Error)],
        ),
        (
            &["subjectAlt"],
            "subjectAltName=DER:0500",
            &[
                ("no-alternative-name", Warning),
                ("extension-unusable", Error),
            ],
        ),
    ];
    for (left_out, more, expected) in cases {
        let text = openssl.leaf("leaf", "ca", EC, &extensions(left_out, more), "");
        let mut found = codes(&text);
        found.retain(|finding| *finding != ALONE);
        assert_eq!(found, expected, "{left_out:?} {more}");
    }
    let long = openssl.leaf("long", "ca", EC, SERVER, " -days 20000");
    assert_eq!(codes(long), [("lifetime-long", Warning), ALONE]);
}

#[test]
fn cas_that_are_wrong() {
    let openssl = OpenSsl::new();
    let ca = |lines: &str| {
        openssl.write(
            "config",
            format!("[req]\ndistinguished_name=d\n[d]\n[v]\n{lines}\n"),
        );
        openssl.run(&format!(
            "req -x509 -newkey {EC} -nodes -keyout k -out c -subj /CN=ca -days 3650 -config config -extensions v"
        ));
        codes(openssl.read("c"))
    };
    let id = "subjectKeyIdentifier=hash";
    assert_eq!(ca(&format!("basicConstraints=critical,CA:TRUE\n{id}")), []);
    let lax = ca(&format!("basicConstraints=CA:TRUE\n{id}"));
    assert_eq!(lax, [("constraints-not-critical", Warning)]);
    let bare = ca("basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=none");
    assert_eq!(bare, [("subject-key-id-missing", Warning)]);
    let usage = |usage: &str| {
        ca(&format!(
            "basicConstraints=critical,CA:TRUE\n{id}\nkeyUsage={usage}"
        ))
    };
    assert_eq!(usage("cRLSign"), [("key-usage", Error)]);
    assert_eq!(usage("keyCertSign"), [("key-usage", Warning)]);
    let snake_oil = ca(&format!("basicConstraints=critical,CA:FALSE\n{id}"));
    assert_eq!(
        snake_oil,
        [("self-signed-leaf", Warning), ("purpose-unstated", Info)]
    );
}

#[test]
fn algorithms_that_postgresql_refuses() {
    let openssl = OpenSsl::new();
    openssl.ca("ca", "rsa:2048");
    openssl.ca("ed", "ed25519");
    assert_eq!(
        codes(openssl.read("ed.crt")),
        [("signature-no-digest", Warning)]
    );
    let small = openssl.leaf("small", "ca", "rsa:1024", SERVER, "");
    assert_eq!(codes(small), [("key-too-small", Error), ALONE]);
    assert_eq!(codes(openssl.read("small.key")), [("key-too-small", Error)]);
    assert_eq!(codes(openssl.read("small.csr")), [("key-too-small", Error)]);
    let sha1 = openssl.leaf("sha1", "ca", EC, SERVER, " -sha1");
    assert_eq!(codes(sha1), [("signature-weak", Error), ALONE]);
    let md5 = openssl.leaf("md5", "ca", EC, SERVER, " -md5");
    assert_eq!(codes(md5), [("signature-weak", Error), ALONE]);

    let server = openssl.leaf("server", "ed", EC, SERVER, "");
    assert_eq!(codes(server), [("signature-no-digest", Error), ALONE]);
    let client = openssl.leaf("client", "ed", EC, CLIENT, "");
    assert_eq!(codes(client), [ALONE]);
    let any = openssl.leaf("any", "ed", EC, &extensions(&["extended"], ""), "");
    let unstated = ("purpose-unstated", Info);
    assert_eq!(
        codes(any),
        [unstated, ("signature-no-digest", Warning), ALONE]
    );
    let ed_leaf = openssl.leaf("edleaf", "ca", "ed25519", SERVER, "");
    assert_eq!(codes(ed_leaf), [ALONE]);
    let small = openssl.leaf(
        "p192",
        "ca",
        "ec -pkeyopt ec_paramgen_curve:prime192v1",
        SERVER,
        "",
    );
    assert_eq!(codes(small), [("key-too-small", Error), ALONE]);
}

#[test]
fn signatures_by_every_kind_of_ca() {
    let openssl = OpenSsl::new();
    for (key, more, expected) in [
        (EC, "", Signature::Good),
        ("ec -pkeyopt ec_paramgen_curve:P-384", "", Signature::Good),
        ("ec -pkeyopt ec_paramgen_curve:P-521", "", Signature::Good),
        (
            "ec -pkeyopt ec_paramgen_curve:P-521",
            " -sha512",
            Signature::Good,
        ),
        (EC, " -sha512", Signature::Good),
        (
            "ec -pkeyopt ec_paramgen_curve:P-384",
            " -sha512",
            Signature::Good,
        ),
        (
            "ec -pkeyopt ec_paramgen_curve:P-224",
            "",
            Signature::Unsupported,
        ),
        ("ed25519", "", Signature::Good),
        ("ed448", "", Signature::Unsupported),
        ("rsa:1024", "", Signature::Good),
        ("rsa:2048", "", Signature::Good),
        ("rsa:2048", " -sha1", Signature::Good),
        ("rsa:1024", " -sha512", Signature::Good),
        (
            "rsa:2048",
            " -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:-1",
            Signature::Good,
        ),
        (
            "rsa:2048",
            " -sigopt rsa_padding_mode:pss",
            Signature::Unsupported,
        ),
    ] {
        openssl.ca("ca", key);
        let leaf = read(openssl.leaf("leaf", "ca", EC, SERVER, more));
        let ca = read(openssl.read("ca.crt"));
        let (leaf, ca) = (
            leaf.certificates().next().unwrap(),
            ca.certificates().next().unwrap(),
        );
        assert_eq!(leaf.signed_by(ca), expected, "{key}{more}");
        assert!(ca.self_signed && !leaf.self_signed, "{key}{more}");
        assert_ne!(ca.signed_by(leaf), Signature::Good, "{key}{more}");
    }
}

#[test]
fn requests() {
    let openssl = OpenSsl::new();
    openssl.run(&format!(
        "req -new -newkey {EC} -nodes -keyout k -out r -subj /CN=db -addext subjectAltName=DNS:db.example.com,IP:::1,email:a@b"
    ));
    let document = read(openssl.read("r"));
    let Some(Item::Request(request)) = document.items.first() else {
        panic!("a request");
    };
    assert_eq!(request.subject, "CN=db");
    assert_eq!(request.alternative_names.dns, ["db.example.com"]);
    assert_eq!(
        (
            request.alternative_names.ip.len(),
            request.alternative_names.others
        ),
        (1, 1)
    );
    assert_eq!(request.signature, Signature::Good);
    assert_eq!(codes(openssl.read("r")), []);
    assert_eq!(codes(samples::der(&openssl.text("r"))), []);

    let mut altered = samples::der(&openssl.text("r"));
    let at = altered.windows(2).position(|pair| pair == b"db").unwrap();
    altered[at] = b'e';
    assert_eq!(codes(altered), [("request-signature", Error)]);
    openssl.run(
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-521 -nodes -keyout k -out r -subj /CN=db",
    );
    assert_eq!(codes(openssl.read("r")), []);
    openssl.run(
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-224 -nodes -keyout k -out r -subj /CN=db",
    );
    assert_eq!(codes(openssl.read("r")), [("request-signature", Info)]);
}

#[test]
fn revocation_lists() {
    let openssl = OpenSsl::new();
    openssl.ca("ca", EC);
    openssl.write("index", "");
    openssl.write("number", "1f\n");
    let config = |more: &str| {
        format!(
            "[ca]\ndefault_ca=c\n[c]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\n[e]\n{more}"
        )
    };
    let crl = |more: &str, arguments: &str| {
        openssl.write("config", config(more));
        openssl.run(&format!(
            "ca -gencrl -config config -cert ca.crt -keyfile ca.key -crldays 30 -out l{arguments}"
        ));
        openssl.read("l")
    };
    let good = crl("authorityKeyIdentifier=keyid", " -crlexts e");
    assert_eq!(codes(&good), []);
    let document = read(&good);
    let facts = document.crls().next().unwrap();
    assert_eq!(facts.number.as_ref().unwrap().decimal, "31");
    assert_eq!(
        facts.next_update.unwrap() - facts.this_update,
        time::Duration::days(30)
    );
    let ca = read(openssl.read("ca.crt"));
    assert_eq!(
        facts.signed_by(ca.certificates().next().unwrap()),
        Signature::Good
    );
    assert_eq!(codes(crl("", "")), [("authority-key-id-missing", Warning)]);
    let limited = "authorityKeyIdentifier=keyid\nissuingDistributionPoint=critical,onlyuser:TRUE";
    assert_eq!(
        codes(crl(limited, " -crlexts e")),
        [("crl-distribution-point", Error)]
    );
}
