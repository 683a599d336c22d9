//! The token is pulled out, dies on the way, or signs garbage.

use std::fs;

use pgpki_testing::{openssl, run};

use crate::token::{MODULE, failing_module};
use crate::vault::{
    BAD_INPUT, FAILED, FINDINGS, ISSUING, ROOT, Vault, connects, conninfo, ends_with, failing,
};

/// Both keys in the token, and PINs that are known.
fn vault() -> Vault {
    let vault = Vault::new();
    let (root, issuing) = (vault.with_pin(ROOT), vault.with_pin(ISSUING));
    vault.init(&["--root-key", &root, "--issuing-key", &issuing]);
    vault
}

#[test]
fn a_token_that_was_pulled_out_is_one_clear_error() {
    let vault = vault();
    let cluster = vault.server();
    let alice = vault.client(&cluster, "alice", &[]);
    let before = vault.state();
    vault.hsm.pull_out();
    for command in [
        &["rotate"][..],
        &["rotate", "--force"],
        &["rotate", "--root"],
        &["rotate", "--issuing"],
        &["revoke", "alice"],
        &["issue-client", "bob", "--out", "clients"],
    ] {
        let text = vault.ends(BAD_INPUT, command);
        assert_eq!(
            text.matches("no token is what").count(),
            1,
            "{command:?}: {text}"
        );
        assert!(text.contains("Plug it in"), "{text}");
    }
    assert_eq!(vault.state(), before);
    connects(&cluster, &conninfo(&cluster, "alice", &alice));
    vault.hsm.plug_in();
    vault.pgpki(&["rotate", "--force"]);
    connects(&cluster, &conninfo(&cluster, "alice", &alice));
}

/// The token goes at every signature that a change of roots takes, one after the other.
#[test]
fn a_token_that_goes_in_the_middle_of_a_change_of_roots_leaves_everything_as_it_was() {
    goes_at_each_signature(&["rotate", "--root"]);
}

#[test]
fn a_token_that_goes_in_the_middle_of_a_new_issuing_ca_leaves_everything_as_it_was() {
    goes_at_each_signature(&["rotate", "--issuing"]);
}

#[test]
fn a_token_that_goes_while_all_is_revoked_leaves_everything_as_it_was() {
    goes_at_each_signature(&["rotate", "--issuing", "--compromised"]);
}

#[track_caller]
fn goes_at_each_signature(command: &[&str]) {
    let removed = "token \"vault\" was lost on the way (C_Sign: CKR_DEVICE_REMOVED)";
    let garbage = "the token has made a signature that its own public key does not verify";
    for (accident, said) in [("removed", removed), ("garbage", garbage)] {
        let vault = vault();
        failing_module(&vault.scene);
        let before = vault.state();
        let mut met = 0;
        while generations(&vault) == 1 {
            let output = failing(&vault, accident, met, command).output().unwrap();
            let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(!text.contains("panicked"), "{text}");
            if generations(&vault) > 1 {
                // The new CA is there, and the token went when leaves were signed.
                break;
            }
            let status = output.status.code();
            assert_eq!(status, Some(FAILED), "{accident} at {met}: {text}");
            assert_eq!(text.matches(said).count(), 1, "{accident} at {met}: {text}");
            assert_eq!(vault.state(), before, "{accident} at {met}: {text}");
            met += 1;
            assert!(met < 20, "it never comes about");
        }
        assert!(met > 1, "{accident} met only {met} signatures");
        // Somebody plugs it in again.
        // The new CA's key is kept with the library that it was made by.
        let rotate = ["rotate", "--pkcs11-module", MODULE];
        let output = vault.command(rotate).output().unwrap();
        assert!(
            matches!(output.status.code(), Some(0 | FINDINGS)),
            "{output:?}"
        );
        vault.openssl_agrees("sslserver", &vault.scene.tls().join("current/server.crt"));
        assert_eq!(vault.pgpki(&rotate), "");
    }
}

/// How many issuing CAs have a key.
fn generations(vault: &Vault) -> usize {
    let entries = fs::read_dir(vault.scene.home().join("issuing")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with('g'))
        .count()
}

/// Leaves are signed one by one: those before are good, the others are as they were, and it is said once.
#[test]
fn a_token_that_goes_between_two_leaves_says_so_once() {
    let vault = vault();
    failing_module(&vault.scene);
    vault.pgpki(&["issue-client", "alice", "bob", "carol", "--out", "clients"]);
    let mut command = failing(&vault, "removed", 2, &["rotate", "--force"]);
    let text = ends_with(FINDINGS, &mut command);
    let lost = "was lost on the way (C_Sign: CKR_DEVICE_REMOVED)";
    assert_eq!(text.matches(lost).count(), 1, "{text}");
    for role in ["alice", "bob", "carol"] {
        let certificate = vault
            .scene
            .path("clients")
            .join(role)
            .join("postgresql.crt");
        vault.openssl_agrees("sslclient", &certificate);
    }
    vault.pgpki(&["rotate"]);
}

/// A token that signs garbage: nothing of it is published, on whatever way.
#[test]
fn garbage_is_never_published() {
    let vault = vault();
    failing_module(&vault.scene);
    vault.pgpki(&["issue-client", "alice", "--out", "clients"]);
    let before = vault.state();
    for command in [
        &["issue-client", "bob", "--out", "clients"][..],
        &["revoke", "alice"],
        &["issue-server", "db2", "--out", "servers"],
    ] {
        let mut command = failing(&vault, "garbage", 0, command);
        let text = ends_with(FAILED, &mut command);
        assert!(
            text.contains("its own public key does not verify"),
            "{text}"
        );
    }
    assert_eq!(vault.state(), before);
    assert!(!vault.scene.path("clients/bob").exists());
    let certificate = vault.scene.path("clients/alice/postgresql.crt");
    openssl(["x509", "-noout", "-in", certificate.to_str().unwrap()]);
}

/// `init` that loses the token leaves nothing but the keys that are in it, and the next one uses them.
#[test]
fn a_founding_that_fails_leaves_nothing() {
    let vault = Vault::new();
    failing_module(&vault.scene);
    let (root, issuing) = (vault.with_pin(ROOT), vault.with_pin(ISSUING));
    let keys = ["--root-key", &root, "--issuing-key", &issuing];
    for signatures in 0..5 {
        let mut init = vault.init_command(&keys);
        init.arg("--pkcs11-module")
            .arg(vault.scene.path("failing_module.so"));
        init.env("TEST_MODULE", MODULE)
            .env("TEST_ACCIDENT", "removed");
        init.env("TEST_SIGNATURES", signatures.to_string());
        let text = ends_with(FAILED, &mut init);
        assert!(text.contains("was lost on the way"), "{text}");
        assert!(!vault.scene.home().exists() && !vault.scene.tls().exists());
    }
    run(&mut vault.init_command(&keys));
    assert_eq!(vault.hsm.keys().len(), 2);
}
