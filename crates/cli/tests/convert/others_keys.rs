//! Private keys that others wrote, in every form.

use std::process::Command;

use pgpki_testing::{Scene, run};

use crate::fixture::{
    BAD_INPUT, KINDS, PASSPHRASE, USAGE, openssl, public_half, refuses, scene, text,
    with_credential,
};

/// Converts `name` to PKCS#8, and finds alice's key in it.
#[track_caller]
fn converts(scene: &Scene, name: &str, how: &str) {
    scene.pgpki(&format!(
        "convert {name} --passphrase-file pass --to pkcs8 --out new.key --force"
    ));
    assert_eq!(
        public_half(scene, "new.key", ""),
        public_half(scene, "alice.key", ""),
        "{how}"
    );
    let new = text(scene, "new.key");
    assert!(
        new.starts_with("-----BEGIN PRIVATE KEY-----\n"),
        "{how}: {new}"
    );
}

#[test]
fn each_kind_in_each_plain_form() {
    for (kind, _) in KINDS {
        let scene = with_credential(kind);
        let mut forms = vec![
            "pkcs8 -topk8 -nocrypt -in alice.key -out k",
            "pkcs8 -topk8 -nocrypt -in alice.key -outform DER -out k",
        ];
        if kind != "ed25519" {
            forms.push("pkey -in alice.key -traditional -out k");
            forms.push("pkey -in alice.key -traditional -outform DER -out k");
        }
        if kind.starts_with('p') {
            forms.push("ec -in alice.key -no_public -out k");
            forms.push("ec -in alice.key -no_public -outform DER -out k");
            forms.push("ec -in alice.key -conv_form compressed -out k");
        }
        for form in forms {
            openssl(&scene, form);
            converts(&scene, "k", &format!("{kind}: {form}"));
        }
    }
}

#[test]
fn encrypted_keys_of_openssl() {
    for kind in ["p256", "rsa2048", "ed25519"] {
        let scene = with_credential(kind);
        for method in [
            "-v2 aes-256-cbc",
            "-v2 aes-128-cbc -v2prf hmacWithSHA512",
            "-v2 aes-192-cbc -iter 100000",
            "-v2 des3",
            "-v2 aes-256-cbc -v2prf hmacWithSHA1",
            "-scrypt",
            "-v1 PBE-SHA1-3DES",
            "-v1 PBE-SHA1-2DES",
            "-v1 PBE-SHA1-RC2-40 -provider legacy -provider default",
            "-v2 aes-256-cbc -outform DER",
        ] {
            openssl(
                &scene,
                &format!("pkcs8 -topk8 -in alice.key -passout file:pass -out k {method}"),
            );
            converts(&scene, "k", &format!("{kind}: {method}"));
        }
    }
}

#[test]
fn encrypted_pem_of_old() {
    for (kind, program) in [("rsa2048", "rsa"), ("p256", "ec"), ("p384", "ec")] {
        let scene = with_credential(kind);
        let traditional = if program == "rsa" {
            " -traditional"
        } else {
            ""
        };
        for cipher in ["aes128", "aes192", "aes256", "des3"] {
            openssl(
                &scene,
                &format!(
                    "{program} -in alice.key{traditional} -{cipher} -passout file:pass -out k"
                ),
            );
            let written = text(&scene, "k");
            assert!(written.contains("Proc-Type: 4,ENCRYPTED"), "{written}");
            converts(&scene, "k", &format!("{kind}: {cipher}"));
            let said = refuses(
                &scene,
                BAD_INPUT,
                "convert k --passphrase-file other --to pkcs8 --out x",
            );
            assert!(said.contains("the passphrase does not open"), "{said}");
            assert!(said.contains("--passphrase-file FILE"), "{said}");
        }
    }
}

/// GnuTLS and Java have encodings of their own.
#[test]
fn keys_of_gnutls() {
    let scene = scene();
    for (kind, more) in [
        ("rsa", "--bits 2048"),
        ("rsa", "--bits 3072"),
        ("ecdsa", "--curve secp256r1"),
        ("ecdsa", "--curve secp384r1"),
        ("ed25519", ""),
    ] {
        let mut certtool = Command::new("certtool");
        certtool
            .args([
                "--generate-privkey",
                "--key-type",
                kind,
                "--outfile",
                "g.key",
            ])
            .args(more.split_whitespace())
            .current_dir(scene.path(""));
        run(&mut certtool);
        let mut locked = Command::new("certtool");
        locked
            .args(["--to-p8", "--load-privkey", "g.key", "--outfile", "g.p8"])
            .args(["--password", PASSPHRASE])
            .current_dir(scene.path(""));
        run(&mut locked);
        for name in ["g.key", "g.p8"] {
            scene.pgpki(&format!(
                "convert {name} --passphrase-file pass --to pkcs8 --out new.key --force"
            ));
            assert_eq!(
                public_half(&scene, "new.key", ""),
                public_half(&scene, "g.key", ""),
                "{kind} {more} {name}"
            );
        }
    }
}

#[test]
fn methods_that_are_not_known() {
    let scene = with_credential("rsa2048");
    for method in [
        "pkcs8 -topk8 -in alice.key -passout file:pass -out k -v1 PBE-MD5-DES -provider legacy -provider default",
        "pkcs8 -topk8 -in alice.key -passout file:pass -out k -v1 PBE-SHA1-RC4-128 -provider legacy -provider default",
        "rsa -in alice.key -traditional -camellia256 -passout file:pass -out k",
    ] {
        openssl(&scene, method);
        let said = refuses(
            &scene,
            BAD_INPUT,
            "convert k --passphrase-file pass --to pkcs8 --out x",
        );
        assert!(
            said.contains("by a method that is not supported here"),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn kinds_that_are_not_known() {
    let scene = scene();
    for kind in [
        "EC -pkeyopt ec_paramgen_curve:P-521",
        "EC -pkeyopt ec_paramgen_curve:secp256k1",
        "RSA -pkeyopt rsa_keygen_bits:1024",
        "RSA -pkeyopt rsa_keygen_bits:2432",
        "ED448",
        "X25519",
    ] {
        openssl(&scene, &format!("genpkey -algorithm {kind} -out k"));
        let said = refuses(&scene, BAD_INPUT, "convert k --to der --out x");
        assert!(said.contains("its kind of key is not supported"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

/// Without a passphrase, a terminal or a flag there is nothing to go on.
#[test]
fn what_is_encrypted_needs_a_passphrase() {
    let scene = with_credential("p256");
    openssl(
        &scene,
        "pkcs8 -topk8 -in alice.key -passout file:pass -out k -scrypt",
    );
    openssl(
        &scene,
        "pkcs12 -export -in alice.crt -inkey alice.key -passout file:pass -out k.p12",
    );
    for name in ["k", "k.p12"] {
        let said = refuses(&scene, USAGE, &format!("convert {name} --to pem --out x"));
        assert!(said.contains(&format!("{name} is encrypted")), "{said}");
        assert!(said.contains("--passphrase-file FILE"), "{said}");
    }
}
