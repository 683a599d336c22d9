//! What `document` says about keys and containers that the openssl command line makes.
#![allow(clippy::unwrap_used)]

mod samples;

use pgpki_core::document::{Document, Item, KeyFormat, Opening, Pkcs12Facts};
use pgpki_core::finding::Severity::{Error, Info, Warning};
use samples::{CLIENT, EC, OpenSsl, codes, read};

#[test]
fn keys_in_every_form() {
    let openssl = OpenSsl::new();
    let kinds = [
        ("RSA -pkeyopt rsa_keygen_bits:2048", "RSA 2048"),
        (EC, "P-256"),
        ("ec -pkeyopt ec_paramgen_curve:P-384", "P-384"),
        ("ec -pkeyopt ec_paramgen_curve:P-521", "P-521"),
        ("ec -pkeyopt ec_paramgen_curve:secp256k1", "secp256k1"),
        ("ED25519", "Ed25519"),
    ];
    for (algorithm, name) in kinds {
        openssl.run(&format!(
            "genpkey -algorithm {} -out k",
            algorithm.replacen("ec ", "EC ", 1)
        ));
        openssl.run("req -new -x509 -key k -subj /CN=x -out c");
        let certificate = read(openssl.read("c"));
        let certificate = certificate.certificates().next().unwrap();
        let mut forms = vec![("pkey -in k -out f", "PKCS#8", vec![])];
        forms.push((
            "pkcs8 -topk8 -nocrypt -in k -outform DER -out f",
            "PKCS#8",
            vec![("key-der", Info)],
        ));
        if !name.starts_with("Ed") {
            let form = if name.starts_with("RSA") {
                "PKCS#1"
            } else {
                "SEC 1"
            };
            let other = vec![("key-not-pkcs8", Info)];
            let binary = vec![("key-der", Info), ("key-not-pkcs8", Info)];
            forms.push(("pkey -in k -traditional -out f", form, other));
            forms.push(("pkey -in k -traditional -outform DER -out f", form, binary));
        }
        for (command, format, expected) in forms {
            openssl.run(command);
            let document = read(openssl.read("f"));
            let key = document.keys().next().unwrap();
            assert_eq!(key.format.as_str(), format, "{command}");
            assert_eq!(key.kind.as_ref().unwrap().to_string(), name);
            assert_eq!(
                key.matches(&certificate.public_key),
                Some(true),
                "{command}"
            );
            assert_eq!(codes(openssl.read("f")), expected, "{command}");
        }
    }
    openssl.run("genpkey -algorithm X25519 -out x");
    assert_eq!(codes(openssl.read("x")), [("key-kind", Error)]);
    openssl.run("ecparam -name prime256v1 -genkey -out p");
    assert_eq!(codes(openssl.read("p")), [("key-not-pkcs8", Info)]);
    openssl.run("ecparam -name prime256v1 -genkey -param_enc explicit -noout -out e");
    assert_eq!(
        codes(openssl.read("e")),
        [("key-kind", Error), ("key-not-pkcs8", Info)]
    );
}

#[test]
fn keys_that_are_encrypted() {
    let openssl = OpenSsl::new();
    openssl.run(&format!("genpkey -algorithm {EC} -out k"));
    let open = |passphrase: &str| {
        let document = Document::open(&openssl.read("f"), Some(passphrase.as_bytes())).unwrap();
        document.keys().next().unwrap().clone()
    };
    for more in ["-v2 aes-256-cbc", "-v2 aes-128-cbc", "-scrypt"] {
        openssl.run(&format!(
            "pkcs8 -topk8 -in k -out f -passout pass:geheim {more}"
        ));
        assert_eq!(
            codes(openssl.read("f")),
            [("key-encrypted", Warning)],
            "{more}"
        );
        assert_eq!(open("x").opening, Opening::WrongPassphrase, "{more}");
        let key = open("geheim");
        assert_eq!(key.opening, Opening::Opened, "{more}");
        assert_eq!(key.kind.unwrap().to_string(), "P-256");
        assert!(key.public_key.is_some());
    }
    for more in [
        "-v2 aes-256-cbc -v2prf hmacWithSHA1",
        "-v2 des3",
        "-v1 PBE-SHA1-3DES",
    ] {
        openssl.run(&format!(
            "pkcs8 -topk8 -in k -out f -passout pass:geheim {more}"
        ));
        assert_eq!(
            codes(openssl.read("f")),
            [("key-encrypted", Warning)],
            "{more}"
        );
        assert_eq!(open("x").opening, Opening::WrongPassphrase, "{more}");
        assert_eq!(open("geheim").opening, Opening::Opened, "{more}");
    }
    openssl.run("pkcs8 -topk8 -in k -out f -passout pass:geheim -v1 PBE-MD5-DES -provider legacy -provider default");
    let refused = [
        ("key-encrypted", Warning),
        ("key-encryption-refused", Error),
    ];
    assert_eq!(codes(openssl.read("f")), refused);
    assert!(!openssl.accepts("pkey -in f -passin pass:geheim -noout"));
    assert_eq!(open("geheim").opening, Opening::Unsupported);

    openssl.run("pkey -in k -traditional -aes256 -passout pass:geheim -out f");
    let weak = [("key-encrypted", Warning), ("key-encryption-weak", Warning)];
    assert_eq!(codes(openssl.read("f")), weak);
    assert_eq!(open("geheim").format, KeyFormat::LegacyEncrypted);
    assert_eq!(open("geheim").opening, Opening::Opened);
    assert_eq!(open("x").opening, Opening::WrongPassphrase);
}

#[test]
fn encryption_that_openssl_refuses() {
    use pkcs8::der::Decode;
    use pkcs8::pkcs5::{pbes2::Parameters, scrypt::Params};
    let openssl = OpenSsl::new();
    openssl.run(&format!("genpkey -algorithm {EC} -out k"));
    let plain = samples::der(&openssl.text("k"));
    let write = |parameters| {
        let info = pkcs8::PrivateKeyInfoRef::from_der(&plain).unwrap();
        let encrypted = info.encrypt_with_params(parameters, b"geheim").unwrap();
        openssl.write(
            "f",
            pgpki_core::pem("ENCRYPTED PRIVATE KEY", encrypted.as_bytes()),
        );
        (
            codes(openssl.read("f")),
            openssl.accepts("pkey -in f -passin pass:geheim -noout"),
        )
    };
    let cost = |log_n| Params::new(log_n, 8, 1).unwrap();
    let fine = write(Parameters::generate_scrypt_aes256cbc(cost(14), &[1; 16], [2; 16]).unwrap());
    assert_eq!(fine, (vec![("key-encrypted", Warning)], true));
    let refused = (
        vec![
            ("key-encrypted", Warning),
            ("key-encryption-refused", Error),
        ],
        false,
    );
    let large = Parameters::generate_scrypt_aes256cbc(cost(15), &[1; 16], [2; 16]).unwrap();
    assert_eq!(write(large), refused);
    let gcm = Parameters::scrypt_aes256gcm(cost(10), &[1; 16], [2; 12]).unwrap();
    assert_eq!(write(gcm), refused);
}

#[test]
fn ed25519_of_version_2() {
    let openssl = OpenSsl::new();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    openssl.write("f", key.serialize_pem());
    assert!(!openssl.accepts("pkey -in f -noout"));
    assert_eq!(codes(openssl.read("f")), [("key-version-2", Error)]);
}

#[test]
fn pkcs12_containers() {
    let openssl = OpenSsl::new();
    openssl.ca("ca", EC);
    openssl.leaf("alice", "ca", EC, CLIENT, "");
    let export = |more: &str| {
        openssl.run(&format!(
            "pkcs12 -export -in alice.crt -inkey alice.key -certfile ca.crt -passout pass:geheim -out f {more}"
        ));
        openssl.read("f")
    };
    let open = |bytes: &[u8], passphrase: Option<&str>| -> (Pkcs12Facts, Vec<_>) {
        let document = Document::open(bytes, passphrase.map(str::as_bytes)).unwrap();
        let now = time::OffsetDateTime::now_utc();
        let within = pgpki_core::due::Within::Duration(time::Duration::DAY);
        let findings = pgpki_core::document::findings(&document, now, within);
        match document.items.into_iter().next() {
            Some(Item::Pkcs12(facts)) => (facts, samples::summary(&findings)),
            other => panic!("{other:?}"),
        }
    };
    let file = export("-name user");
    let (facts, found) = open(&file, Some("geheim"));
    assert_eq!((facts.opening, found), (Opening::Opened, vec![]));
    let [key] = &facts.keys[..] else {
        panic!("one key")
    };
    let [leaf, ca] = &facts.certificates[..] else {
        panic!("two certificates")
    };
    assert_eq!(key.alias.as_deref(), Some("user"));
    assert_eq!(key.facts.matches(&leaf.facts.public_key), Some(true));
    assert_eq!(ca.facts.title(), "ca");

    let (facts, found) = open(&file, None);
    assert_eq!(facts.certificates.len(), 0);
    assert_eq!(facts.encryption.len(), 1, "{:?}", facts.encryption);
    assert_eq!(found, [("pkcs12-locked", Info)]);
    assert_eq!(open(&file, Some("x")).1, [("pkcs12-passphrase", Warning)]);
    let other = export("-name alice");
    assert_eq!(open(&other, Some("geheim")).1, [("pkcs12-alias", Warning)]);
    let old = export("-name user -legacy");
    assert_eq!(open(&old, Some("geheim")).1, []);
    let older = export("-name user -legacy -certpbe PBE-SHA1-RC4-128");
    assert_eq!(open(&older, Some("geheim")).1, [("pkcs12-method", Info)]);
    let costly = export("-name user -nomac -keypbe AES-256-CBC -iter 10000001");
    assert_eq!(
        open(&costly, Some("geheim")).1,
        [("pkcs12-costly", Warning)]
    );
    let plain = export("-name user -keypbe NONE -certpbe NONE -nomac");
    let (facts, found) = open(&plain, None);
    assert_eq!(
        (facts.opening, facts.certificates.len()),
        (Opening::NotEncrypted, 2)
    );
    assert_eq!(found, []);
}
