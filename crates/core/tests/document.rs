//! What `document` says about credentials of ours, and about each fault in turn.
#![allow(clippy::unwrap_used)]

mod samples;

use pgpki_core::document::{Document, Encoding, Item, Opening, ReadError, Signature};
use pgpki_core::due::Within;
use pgpki_core::finding::Severity::{self, Error, Info, Warning};
use pgpki_core::key::{KeyAlgorithm, PrivateKey};
use pgpki_core::profile::Profile;
use rcgen::{CertificateParams, DnType, DnValue, KeyUsagePurpose};
use samples::{Ours, certificate, codes, codes_at, der, read, summary};
use time::Duration;

const NOTHING: [(&str, Severity); 0] = [];

#[test]
fn nothing_is_wrong_with_ours() {
    for algorithm in KeyAlgorithm::ALL {
        let ours = Ours::with(algorithm, &[]);
        for (file, content) in ours.installation().into_iter().chain(ours.for_client()) {
            assert_eq!(codes(content), NOTHING, "{file} {algorithm}");
        }
    }
}

#[test]
fn facts_of_our_certificates() {
    let ours = Ours::new();
    let document = read(&ours.server);
    assert_eq!(document.encoding, Encoding::Pem);
    let [leaf, ca] = &document.certificates().collect::<Vec<_>>()[..] else {
        panic!("two certificates");
    };
    assert_eq!(leaf.common_name.as_deref(), Some("db.example.com"));
    assert_eq!(leaf.subject, "CN=db.example.com");
    assert_eq!(leaf.issuer, "CN=our issuing CA");
    assert_eq!(leaf.alternative_names.dns, ["db.example.com"]);
    assert_eq!(
        leaf.alternative_names.ip,
        ["10.0.0.7".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!(leaf.profile(), Some(Profile::Server));
    assert_eq!(leaf.public_key.kind.to_string(), "P-256");
    assert_eq!(leaf.signature_algorithm, "ECDSA with SHA-384");
    assert_eq!(leaf.key_usage.as_deref(), Some(&["digitalSignature"][..]));
    assert_eq!(leaf.authority_key_id, ca.subject_key_id);
    assert_eq!(leaf.signed_by(ca), Signature::Good);
    assert_eq!(ca.signed_by(leaf), Signature::Bad);
    assert_eq!(
        (ca.is_ca, ca.path_length, ca.self_signed),
        (true, Some(0), false)
    );
    assert_eq!(ca.profile(), Some(Profile::Issuing));

    let roots = read(&ours.roots);
    let root = roots.certificates().next().unwrap();
    assert_eq!(
        (root.profile(), root.self_signed),
        (Some(Profile::Root), true)
    );
    let client = read(&ours.client);
    assert_eq!(
        client.certificates().next().unwrap().profile(),
        Some(Profile::Client)
    );

    let crls = read(&ours.crls);
    let crl = crls.crls().next().unwrap();
    assert_eq!(crl.issuer, "CN=our issuing CA");
    assert_eq!(
        (crl.revoked, crl.number.as_ref().unwrap().decimal.as_str()),
        (0, "1")
    );
    assert_eq!(crl.signed_by(ca), Signature::Good);
    assert_eq!(crl.signed_by(root), Signature::Bad);
}

#[test]
fn keys_find_their_public_half() {
    for algorithm in KeyAlgorithm::ALL {
        let ours = Ours::with(algorithm, &[]);
        let document = read(&ours.server);
        let certificate = document.certificates().next().unwrap();
        let matching = |text: &str, passphrase| {
            let document = Document::open(text.as_bytes(), passphrase).unwrap();
            let key = document.keys().next().unwrap().clone();
            (key.matches(&certificate.public_key), key.opening)
        };
        let key = &ours.server_key;
        assert_eq!(matching(key, None), (Some(true), Opening::NotEncrypted));
        assert_eq!(matching(&ours.client_key, None).0, Some(false));
        let encrypted = PrivateKey::from_pem(key.as_bytes(), None).unwrap();
        let encrypted = encrypted.to_encrypted_pem(b"geheim").unwrap();
        assert_eq!(
            matching(&encrypted, None),
            (None, Opening::PassphraseNeeded)
        );
        assert_eq!(
            matching(&encrypted, Some(b"x")),
            (None, Opening::WrongPassphrase)
        );
        assert_eq!(
            matching(&encrypted, Some(b"geheim")),
            (Some(true), Opening::Opened)
        );
        assert_eq!(codes(encrypted.as_bytes()), [("key-encrypted", Warning)]);
    }
}

#[test]
fn time_passes() {
    let ours = Ours::new();
    let at = |content: &str, days| codes_at(content, ours.now + Duration::days(days));
    let (leaf, _) = ours
        .server
        .split_at(ours.server.find("-----END").unwrap() + 26);
    let alone = ("chain-incomplete", Info);
    assert_eq!(at(leaf, -1), [("not-yet-valid", Error), alone]);
    assert_eq!(at(leaf, 363), [alone]);
    assert_eq!(at(leaf, 364), [("due", Warning), alone]);
    assert_eq!(at(leaf, 366), [("expired", Error), alone]);
    assert_eq!(at(&ours.roots, 3649), [("due", Info)]);
    let (crl, _) = ours.crls.split_at(ours.crls.find("-----END").unwrap());
    let crl = format!("{crl}-----END X509 CRL-----\n");
    assert_eq!(at(&crl, -1), [("crl-not-yet-valid", Error)]);
    assert_eq!(at(&crl, 1824), [("crl-due", Warning)]);
    assert_eq!(at(&crl, 1826), [("crl-expired", Error)]);

    let third =
        pgpki_core::document::findings(&read(leaf), ours.now + Duration::days(250), Within::Third);
    assert_eq!(summary(&third)[0], ("due", Warning));
}

#[test]
fn the_form_of_a_file() {
    let ours = Ours::new();
    let server = &ours.server;
    assert_eq!(codes(server.replace('\n', "\r\n")), NOTHING);
    assert_eq!(
        codes(format!("\u{feff}{server}")),
        [("byte-order-mark", Warning)]
    );
    assert_eq!(
        codes(format!("subject=x\n{server}")),
        [("text-between", Info)]
    );
    assert_eq!(
        codes(format!("{server}  {server}")),
        [
            ("block-ignored", Warning),
            ("text-between", Info),
            ("duplicate-certificate", Info),
        ]
    );
    let both = format!("{server}{}", ours.server_key);
    assert_eq!(codes(both), [("key-with-certificate", Info)]);
    assert_eq!(codes(der(&ours.roots)), [("der-not-pem", Error)]);
    assert_eq!(codes(der(&ours.crls)), [("der-not-pem", Error)]);
    assert_eq!(codes(der(&ours.server_key)), [("key-der", Info)]);
    let block = |label| pgpki_core::pem(label, &[1, 2, 3]);
    assert_eq!(codes(block("DH PARAMETERS")), [("unknown-block", Info)]);
    assert_eq!(codes(block("OPENSSH PRIVATE KEY")), [("ssh-key", Error)]);
    assert_eq!(codes(block("EC PARAMETERS")), NOTHING);
}

#[test]
fn the_order_of_a_chain() {
    let ours = Ours::new();
    let issuing = ours.issuing_pem();
    let leaf = ours.server.strip_suffix(issuing.as_str()).unwrap();
    let root = &ours.roots;
    assert_eq!(codes(format!("{issuing}{leaf}")), [("chain-order", Error)]);
    assert_eq!(
        codes(format!("{leaf}{root}{issuing}")),
        [("chain-order", Warning), ("root-in-chain", Info),]
    );
    assert_eq!(
        codes(format!("{leaf}{issuing}{root}")),
        [("root-in-chain", Info)]
    );
    assert_eq!(
        codes(format!("{leaf}{issuing}{issuing}")),
        [("duplicate-certificate", Info)]
    );
    assert_eq!(codes(leaf), [("chain-incomplete", Info)]);
    assert_eq!(codes(format!("{root}{issuing}")), NOTHING);
}

#[test]
fn certificates_that_no_tool_should_make() {
    let key = rcgen::KeyPair::generate().unwrap();
    let now = time::OffsetDateTime::now_utc();
    let made = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = CertificateParams::new(vec!["db.example.com".to_owned()]).unwrap();
        params.not_before = now;
        params.not_after = now + Duration::days(90);
        params.is_ca = rcgen::IsCa::ExplicitNoCa;
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        certificate(params.self_signed(&key).unwrap().der())
    };
    let later = now + Duration::MINUTE;
    let own = ("self-signed-leaf", Warning);
    assert_eq!(codes_at(made(&|_| {}), later), [own]);
    let empty = made(&|p| p.not_after = p.not_before - Duration::DAY);
    assert_eq!(codes_at(empty, later), [("validity-empty", Error), own]);
    let zero = made(&|p| p.distinguished_name.push(DnType::CommonName, "a\0b"));
    assert_eq!(codes_at(zero, later), [own, ("zero-in-name", Error)]);
    let nameless = made(&|p| {
        p.distinguished_name = rcgen::DistinguishedName::new();
        p.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    assert_eq!(codes_at(nameless, later), [own, ("no-common-name", Error)]);
    let usage = made(&|p| p.key_usages = vec![KeyUsagePurpose::KeyEncipherment]);
    assert_eq!(codes_at(usage, later), [own, ("key-usage", Error)]);
    let hostile = made(&|p| {
        let name = DnValue::Utf8String("\x1b[2J\u{202e}evil\n".to_owned());
        p.distinguished_name.push(DnType::CommonName, name);
    });
    let document = read(&hostile);
    let facts = document.certificates().next().unwrap();
    assert_eq!(
        facts.common_name.as_deref(),
        Some("\\u{1b}[2J\\u{202e}evil\\n")
    );
    assert_eq!(facts.subject, "CN=\\1B[2J\\E2\\80\\AEevil\\0A");
    assert_eq!(codes_at(hostile, later), [own]);
}

#[test]
fn what_is_none_of_it() {
    let error = |bytes: &[u8]| Document::read(bytes).unwrap_err();
    assert_eq!(error(b""), ReadError::Empty);
    assert_eq!(error(b" \r\n\t"), ReadError::Empty);
    let cases: [(&[u8], &str); 14] = [
        (b"ssh-ed25519 AAAA x", "an SSH public key"),
        (b"PuTTY-User-Key-File-3: x", "an SSH key of PuTTY"),
        (b"\n<!DOCTYPE html><html>", "a web page (HTML)"),
        (
            b"\xff\xfe-\0-\0",
            "text in UTF-16; save it as UTF-8 or ASCII",
        ),
        (
            b"\xfe\xed\xfe\xed\0",
            "a Java keystore (JKS); convert it to PKCS#12 with keytool",
        ),
        (b"\x1f\x8b\x08", "a compressed archive"),
        (b"host all all", "text"),
        (b"\x7fELF\0\x01", "binary data"),
        (b"0", "text"),
        (b"\x30\x82", "binary data"),
        (b"\x30\x80\0\0", "binary data"),
        (
            b"MIIBPQIBAAJBAOsf",
            "base64 without its BEGIN and END lines",
        ),
        (b"\x30\x04\x30\0\x03\0", "a public key alone"),
        (
            b"  -----BEGIN CERTIFICATE-----",
            "PEM whose BEGIN and END lines are indented, quoted or joined; each must be a whole line",
        ),
    ];
    for (bytes, looks_like) in cases {
        assert_eq!(
            error(bytes),
            ReadError::NotRecognised { looks_like },
            "{bytes:?}"
        );
    }
}

#[test]
fn broken_files_say_where() {
    let ours = Ours::new();
    let error = |bytes: &[u8]| Document::read(bytes).unwrap_err().to_string();
    let text = |text: String| error(text.as_bytes());
    let server = &ours.server;
    let garbage = pgpki_core::pem("CERTIFICATE", &[0x30, 0x03, 1, 2, 3]);
    let said = text(format!("{server}{garbage}"));
    assert!(
        said.starts_with("PEM block 3 (CERTIFICATE) cannot be read: "),
        "{said}"
    );
    let cut = &server[..server.len() - 30];
    assert!(error(cut.as_bytes()).ends_with("its END line is missing: the file is cut off"));
    assert!(text(server.replacen("END CERTIFICATE", "END X", 1)).contains("names something else"));
    assert!(text(format!("-----BEGIN A-----\n{server}")).contains("before its END line"));
    assert!(text(server.replacen("MII", "!!!", 1)).contains("not base64"));
    assert!(text("-----BEGIN A-----\n-----END A-----\n".to_owned()).contains("is empty"));
    let escaped = text("-----BEGIN \x1b[2J-----\n".to_owned());
    assert!(
        !escaped.contains('\x1b') && escaped.contains("u{1b}"),
        "{escaped}"
    );

    let root = der(&ours.roots);
    let longer = [&root[..], &[0; 7]].concat();
    assert_eq!(error(&longer), "the file has 7 bytes too many at its end");
    assert_eq!(
        error(&root[..100]),
        "the file cannot be read: it is cut off"
    );
    let longer = certificate(&longer);
    assert_eq!(
        text(longer),
        "PEM block 1 (CERTIFICATE) has 7 bytes too many at its end"
    );
}

#[test]
fn a_private_key_is_not_in_what_is_kept() {
    let ours = Ours::new();
    let document = read(&ours.server_key);
    let Some(Item::Key(key)) = document.items.first() else {
        panic!("a key");
    };
    let secret = der(&ours.server_key)[36..68].to_vec();
    let list = format!("{secret:?}");
    assert!(!format!("{key:?}{document:?}").contains(list.trim_matches(['[', ']'])));
}
