//! An encrypted root: what opens it is asked for, and without it nothing changes.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pgpki_testing::{Scene, run};

use crate::stage::{BAD_INPUT, DONE, REFUSED, Stage, USAGE, files, init_at};

const STEPS: [&[&str]; 3] = [
    &["rotate", "--root"],
    &["rotate", "--issuing"],
    &["rotate", "--issuing", "--compromised"],
];

fn secret(scene: &Scene, name: &str, text: &str) {
    fs::write(scene.path(name), text).unwrap();
    fs::set_permissions(scene.path(name), PermissionsExt::from_mode(0o600)).unwrap();
}

fn encrypted() -> Stage {
    Stage::with(|scene| {
        secret(scene, "right", "correct horse\n");
        secret(scene, "wrong", "battery staple\n");
        init_at(scene, "-300d", &["--root-passphrase-file", "right"]);
    })
}

#[test]
fn without_the_passphrase_nothing_changes() {
    let stage = encrypted();
    // Due or not: a step that was asked for stops there.
    run(&mut stage
        .scene
        .command_at("-300d", ["issue-client", "--out", "clients", "due"]));
    let before = stage.home();
    for step in STEPS {
        let said = stage.says(USAGE, step);
        assert!(said.contains("--root-passphrase-file"), "{said}");
        let with = |file| [step, &["--root-passphrase-file", file]].concat();
        let said = stage.says(BAD_INPUT, &with("wrong"));
        assert!(said.contains("passphrase"), "{said}");
        assert_eq!(stage.home(), before, "{step:?}");
    }
}

/// `--finish` and `--undo` sign nothing with the root, and so do not ask for it.
#[test]
fn a_change_of_roots_keeps_the_passphrase() {
    let stage = encrypted();
    let begin = ["--root", "--root-passphrase-file", "right"];
    stage.rotate(DONE, &begin);
    // Whether it is under way is said before anybody looks for a passphrase.
    let said = stage.says(REFUSED, STEPS[0]);
    assert!(said.contains("already taking over"), "{said}");
    stage.rotate(DONE, &["--root", "--undo"]);
    stage.rotate(DONE, &begin);
    stage.rotate(DONE, &["--root", "--finish"]);

    let keys = files(&stage.scene.home().join("root"));
    let keys: Vec<_> = keys
        .iter()
        .filter(|(path, _)| path.ends_with("ca.key"))
        .collect();
    assert_eq!(keys.len(), 3);
    for (path, key) in keys {
        let text = String::from_utf8_lossy(key);
        assert!(text.contains("ENCRYPTED PRIVATE KEY"), "{}", path.display());
    }
    stage.rotate(DONE, &["--issuing", "--root-passphrase-file", "right"]);
    stage.is_settled();
}
