//! Keys that somebody else has put into the token.

use pgpki_testing::openssl;

use crate::vault::{BAD_INPUT, ISSUING, REFUSED, ROOT, Vault, ends_with};

#[test]
fn a_key_that_is_there_is_used() {
    let vault = Vault::new();
    for (curve, label, id) in [
        ("EC:secp384r1", "root", "01"),
        ("rsa:2048", "issuing", "02"),
    ] {
        let make = [
            "--keypairgen",
            "--key-type",
            curve,
            "--label",
            label,
            "--id",
            id,
        ];
        vault.hsm.pkcs11_tool(&make);
    }
    let text = vault.init(&[
        "--root-key",
        "pkcs11:token=vault;id=%01",
        "--issuing-key",
        &vault.with_pin(ISSUING),
        "--pin-file",
        vault.pin.to_str().unwrap(),
    ]);
    assert!(
        text.contains("use the key object=root;id=%01 of token \"vault\""),
        "{text}"
    );
    assert!(text.contains("use the key object=issuing;id=%02"), "{text}");
    assert!(!text.contains("made the"), "{text}");
    assert!(vault.key_of("root").contains("P-384"));
    assert!(vault.key_of("issuing").contains("(2048 bit)"));
    assert_eq!(vault.hsm.keys().len(), 2);
    vault.no_key_is_in_the_home();
    vault.openssl_agrees("sslserver", &vault.scene.tls().join("current/server.crt"));
}

/// What somebody has written into the token was a file once, and can be read out of it.
#[test]
fn a_key_that_can_be_read_out_is_warned_of() {
    let vault = Vault::new();
    let key = vault.scene.path("own.key");
    let key = key.to_str().unwrap();
    openssl([
        "ecparam",
        "-name",
        "prime256v1",
        "-genkey",
        "-noout",
        "-out",
        key,
    ]);
    let der = vault.scene.path("own.der");
    let public = vault.scene.path("public.der");
    let (der, public) = (der.to_str().unwrap(), public.to_str().unwrap());
    openssl(["ec", "-in", key, "-outform", "DER", "-out", der]);
    openssl([
        "ec", "-in", key, "-pubout", "-outform", "DER", "-out", public,
    ]);
    let named = ["--label", "root", "--id", "07"];
    let private = ["--write-object", der, "--type", "privkey", "--extractable"];
    vault.hsm.pkcs11_tool(&[&private[..], &named].concat());

    let pin = vault.pin.to_str().unwrap();
    let init = ["--root-key", ROOT, "--pin-file", pin];
    let text = ends_with(BAD_INPUT, &mut vault.init_command(&init));
    assert!(
        text.contains("does not tell the public half of its key object=root;id=%07"),
        "{text}"
    );
    assert!(!vault.scene.home().exists());

    let written = ["--write-object", public, "--type", "pubkey"];
    vault.hsm.pkcs11_tool(&[&written[..], &named].concat());
    let text = vault.init(&init);
    assert!(
        text.contains("warning: object=root;id=%07 of token \"vault\" can be read out"),
        "{text}"
    );
}

#[test]
fn keys_that_no_ca_can_have_are_refused_with_the_reason() {
    let vault = Vault::new();
    for (label, id, more, why) in [
        (
            "p521",
            "01",
            &["--key-type", "EC:secp521r1"][..],
            "another curve than P-256 and P-384",
        ),
        (
            "short",
            "02",
            &["--key-type", "rsa:1024"],
            "less than 2048 can be broken",
        ),
        (
            "asks",
            "04",
            &["--key-type", "EC:prime256v1", "--always-auth"],
            "CKA_ALWAYS_AUTHENTICATE",
        ),
    ] {
        let make = ["--keypairgen", "--label", label, "--id", id];
        vault.hsm.pkcs11_tool(&[&make[..], more].concat());
        let uri = vault.with_pin(&format!("pkcs11:token=vault;object={label}"));
        let text = ends_with(BAD_INPUT, &mut vault.init_command(&["--root-key", &uri]));
        assert!(
            text.contains("cannot be a CA's") && text.contains(why),
            "{label}: {text}"
        );
        assert!(!vault.scene.home().exists());
        assert!(!vault.scene.tls().exists());
    }
}

#[test]
fn one_key_is_not_two_cas() {
    let vault = Vault::new();
    let root = vault.with_pin(ROOT);
    let both = ["--root-key", &root, "--issuing-key", &root];
    let text = ends_with(REFUSED, &mut vault.init_command(&both));
    assert!(
        text.contains("is that of \"localhost root CA 1\""),
        "{text}"
    );
    assert!(!vault.scene.home().exists());

    // The key that was made on the way is found by the next run.
    let text = vault.init(&["--root-key", &root]);
    assert!(text.contains("use the key object=root"), "{text}");
    let before = vault.state();
    let text = vault.ends(
        crate::vault::FAILED,
        &["rotate", "--root", "--root-key", &root],
    );
    assert!(
        text.contains("is that of \"localhost root CA 1\""),
        "{text}"
    );
    assert_eq!(vault.state(), before);
}
