//! A backup has where a key is, and nothing of it.

use std::process::Command;

use pgpki_testing::run;

use crate::token::pin_file;
use crate::vault::{Vault, connects, conninfo};

#[test]
fn an_authority_is_restored_without_its_token_and_goes_on_with_it() {
    let vault = Vault::with_both(&[]);
    let cluster = vault.server();
    let pin = ["--pin-file", vault.pin.to_str().unwrap()];
    let alice = vault.client(&cluster, "alice", &pin);
    let passphrase = pin_file(&vault.scene, "passphrase", "correct horse");
    let passphrase = ["--passphrase-file", passphrase.to_str().unwrap()];
    let uris = || ["root", "issuing"].map(|store| std::fs::read(vault.uri(store, 1)).unwrap());
    let before = uris();

    vault.hsm.pull_out();
    vault.pgpki(&[&["backup", "pki.age"][..], &passphrase].concat());
    run(Command::new("rm").arg("-r").arg(vault.scene.home()));
    vault.pgpki(&[&["restore", "pki.age"][..], &passphrase].concat());
    assert_eq!(uris(), before);
    vault.no_key_is_in_the_home();

    vault.hsm.plug_in();
    connects(&cluster, &conninfo(&cluster, "alice", &alice));
    vault.pgpki(&["rotate", "--force", pin[0], pin[1]]);
    connects(&cluster, &conninfo(&cluster, "alice", &alice));
    vault.openssl_agrees("sslclient", &alice.join("postgresql.crt"));
}
