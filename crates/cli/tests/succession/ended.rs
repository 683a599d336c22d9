//! A root that has ended can certify nothing: a new one stands alone.

use pgpki_testing::{Scene, run};

use crate::stage::{DONE, FINDINGS, REFUSED, blocks, init_at};

/// Root and all that it signed ended two months ago.
fn too_late() -> Scene {
    let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
    init_at(&scene, "-3712d", &["--no-root-passphrase"]);
    let alice = ["issue-client", "--out", "clients", "alice"];
    run(&mut scene.command_at("-3700d", alice));
    scene
}

#[test]
fn everybody_must_be_handed_the_new_one() {
    let scene = too_late();
    let ended = blocks(&scene.tls().join("current/root.crt"));
    let said = |status: i32, args: &[&str]| {
        let output = scene.command(args).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(status), "{args:?}\n{text}");
        text
    };
    // cron cannot decide that.
    let cron = said(REFUSED, &["rotate"]);
    assert!(cron.contains("pgpki rotate --root"), "{cron}");
    let dry = said(DONE, &["rotate", "--root", "--dry-run"]);
    assert!(dry.contains("cannot sign the new one"), "{dry}");
    let text = said(FINDINGS, &["rotate", "--root"]);
    assert!(text.contains("hand everybody the new root.crt"), "{text}");
    assert!(!text.contains("has signed it"), "{text}");

    let now = blocks(&scene.tls().join("current/root.crt"));
    assert_eq!(now.len(), 1);
    assert_ne!(now, ended);
    // The leaf and its issuing CA, and nothing that leads to the old root.
    assert_eq!(blocks(&scene.tls().join("current/server.crt")).len(), 2);
    assert_eq!(blocks(&scene.path("clients/alice/root.crt")), now);
    assert_eq!(said(DONE, &["rotate"]), "");
}
