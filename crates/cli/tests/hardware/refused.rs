//! URIs that mean nothing, or too much.

use crate::vault::{BAD_INPUT, ISSUING, ROOT, Vault, ends_with};

#[test]
fn two_tokens_with_one_label_are_told_apart_by_serial_number() {
    let vault = Vault::without_token();
    let serials = ["vault", "vault"].map(|label| vault.hsm.make_token(label));
    let root = vault.with_pin(ROOT);
    let text = ends_with(BAD_INPUT, &mut vault.init_command(&["--root-key", &root]));
    assert!(text.contains("could mean several tokens"), "{text}");
    for serial in &serials {
        assert!(text.contains(serial.as_str()), "{serial}: {text}");
    }
    assert!(text.contains("Add serial="), "{text}");
    assert!(!vault.scene.home().exists());

    let exact = vault.with_pin(&format!("pkcs11:serial={};object=root", serials[1]));
    vault.init(&[
        "--root-key",
        &exact,
        "--issuing-key",
        &vault.with_pin(&format!("pkcs11:serial={};object=issuing", serials[0])),
    ]);
    // What is kept means each of them, and no other.
    vault.pgpki(&["issue-client", "alice", "--out", "clients"]);
    vault.pgpki(&["rotate", "--issuing"]);
}

#[test]
fn what_is_there_is_listed_where_nothing_is_meant() {
    let vault = Vault::new();
    let elsewhere = vault.with_pin("pkcs11:token=other;object=root");
    let text = ends_with(
        BAD_INPUT,
        &mut vault.init_command(&["--root-key", &elsewhere]),
    );
    assert!(
        text.contains("no token is what pkcs11:token=other;object=root means"),
        "{text}"
    );
    assert!(
        text.contains("there is one token: token \"vault\" with serial"),
        "{text}"
    );

    let whole = vault.with_pin("pkcs11:token=vault");
    let text = ends_with(BAD_INPUT, &mut vault.init_command(&["--root-key", &whole]));
    assert!(
        text.contains("names no key; there is no private key"),
        "{text}"
    );
    for id in ["01", "02"] {
        let make = [
            "--keypairgen",
            "--key-type",
            "EC:prime256v1",
            "--label",
            "same",
        ];
        vault.hsm.pkcs11_tool(&[&make[..], &["--id", id]].concat());
    }
    let text = ends_with(BAD_INPUT, &mut vault.init_command(&["--root-key", &whole]));
    assert!(
        text.contains("there are 2 private keys: object=same;id=%0"),
        "{text}"
    );
    let same = vault.with_pin("pkcs11:token=vault;object=same");
    let text = ends_with(BAD_INPUT, &mut vault.init_command(&["--root-key", &same]));
    assert!(text.contains("could mean several private keys"), "{text}");
    assert!(text.contains("Add id="), "{text}");
    assert!(!vault.scene.home().exists());
}

#[test]
fn a_pin_as_an_argument_is_refused_and_not_repeated() {
    let vault = Vault::new();
    let uri = format!("{ISSUING}?pin-value=271828");
    for flag in ["--root-key", "--issuing-key"] {
        let init = [flag, &uri, "--no-root-passphrase"];
        let text = ends_with(BAD_INPUT, &mut vault.init_command(&init));
        assert!(
            text.contains("every user of the machine can read it"),
            "{text}"
        );
        assert!(!text.contains("271828"), "{text}");
    }
    let text = ends_with(
        BAD_INPUT,
        &mut vault.init_command(&["--root-key", "root.key"]),
    );
    assert!(text.contains("does not begin with pkcs11:"), "{text}");
    assert!(vault.hsm.keys().is_empty());
}

#[test]
fn no_module_and_no_such_module() {
    let vault = Vault::new();
    let root = vault.with_pin(ROOT);
    let init = ["--root-key", &root, "--pkcs11-module", "/etc/passwd"];
    let text = ends_with(BAD_INPUT, &mut vault.init_command(&init));
    assert!(
        text.contains("/etc/passwd is not a PKCS#11 module"),
        "{text}"
    );
    let named = format!("{root}&module-name=nosuch");
    let text = ends_with(BAD_INPUT, &mut vault.init_command(&["--root-key", &named]));
    assert!(
        text.contains("there is no PKCS#11 module \"nosuch\""),
        "{text}"
    );
}

/// The file in the home is read like anything that could be damaged.
#[test]
fn a_damaged_uri_in_the_home_is_one_clear_error() {
    let vault = Vault::with_both(&[]);
    for damage in [
        "",
        "\n",
        "not a uri\n",
        "pkcs11:object=a\npkcs11:object=b\n",
        "pkcs11:object=issuing%zz\n",
    ] {
        std::fs::write(vault.uri("issuing", 1), damage).unwrap();
        let text = vault.ends(BAD_INPUT, &["issue-client", "alice", "--out", "clients"]);
        assert!(text.contains("issuing/g0001/ca.uri"), "{damage:?}: {text}");
    }
}

/// What is wrong with one of two URIs is said before a key is made for the other.
#[test]
fn a_rotation_begins_with_both_keys_at_hand_or_not_at_all() {
    let vault = Vault::new();
    vault.init(&["--no-root-passphrase"]);
    let before = vault.state();
    let root = vault.with_pin(ROOT);
    let elsewhere = vault.with_pin("pkcs11:token=elsewhere;object=issuing");
    let whole = vault.with_pin("pkcs11:token=vault");
    let wrong = crate::token::pin_file(&vault.scene, "wrong", "000000");
    let wrong = format!("{ISSUING}?pin-source=file:{}", wrong.display());
    vault.hsm.make_token("other");
    let wrong = wrong.replace("token=vault", "token=other");
    for (issuing, says) in [
        (&*elsewhere, "no token is what"),
        (&whole, "names no key"),
        (&wrong, "PIN"),
        ("pkcs11:tokn=vault", "--issuing-key"),
    ] {
        let args = [
            "rotate",
            "--root",
            "--root-key",
            &root,
            "--issuing-key",
            issuing,
        ];
        let text = vault.ends(BAD_INPUT, &args);
        assert!(text.contains(says), "{issuing}: {text}");
        let list = [
            "--token-label",
            "vault",
            "--list-objects",
            "--type",
            "privkey",
        ];
        let keys = vault.hsm.pkcs11_tool(&list);
        assert!(!keys.contains("Private Key"), "{issuing}: {text}\n{keys}");
        assert!(vault.state() == before, "{issuing}: {text}");
    }
}

#[test]
fn an_authority_begins_with_both_keys_at_hand_or_not_at_all() {
    let vault = Vault::new();
    let root = vault.with_pin(ROOT);
    let elsewhere = vault.with_pin("pkcs11:token=elsewhere;object=issuing");
    let mut init = vault.init_command(&["--root-key", &root, "--issuing-key", &elsewhere]);
    let text = ends_with(BAD_INPUT, &mut init);
    assert!(text.contains("no token is what"), "{text}");
    let list = [
        "--token-label",
        "vault",
        "--list-objects",
        "--type",
        "privkey",
    ];
    let keys = vault.hsm.pkcs11_tool(&list);
    assert!(!keys.contains("Private Key"), "{text}\n{keys}");
}
