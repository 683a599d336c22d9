//! What `pgpki key` does not do, and says so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::stage::{BAD_INPUT, DONE, FINDINGS, REFUSED, Stage, USAGE, ends_with, secret};

const ENCRYPT: [&str; 3] = ["key", "encrypt", "issuing"];
const DECRYPT: [&str; 3] = ["key", "decrypt", "issuing"];
const CHANGE: [&str; 3] = ["key", "change-passphrase", "issuing"];

#[test]
fn what_is_so_already() {
    let stage = Stage::open();
    for act in [&DECRYPT, &CHANGE] {
        // Before anybody is asked for a passphrase.
        let said = stage.unchanged(REFUSED, act);
        assert!(
            said.contains("issuing/g0001/ca.key is not encrypted"),
            "{said}"
        );
        assert!(said.contains("pgpki key encrypt issuing"), "{said}");
    }
    // What is to be done next is about the same home.
    let home = stage.scene.home();
    let named = format!("--home {}", home.display());
    let mut elsewhere = Command::new(env!("CARGO_BIN_EXE_pgpki"));
    elsewhere.args(DECRYPT).arg("--home").arg(&home);
    let said = ends_with(REFUSED, &mut elsewhere);
    assert!(said.contains(&named), "{said}");
    let stage = Stage::encrypted();
    let said = stage.unchanged(REFUSED, &ENCRYPT);
    assert!(said.contains("is encrypted already"), "{said}");
    assert!(
        said.contains("pgpki key change-passphrase issuing"),
        "{said}"
    );
}

#[test]
fn a_passphrase_that_is_missing_or_wrong() {
    let stage = Stage::encrypted();
    for act in [
        &DECRYPT[..],
        &[&CHANGE[..], &["--new-passphrase-file", "other"]].concat(),
    ] {
        let said = stage.unchanged(USAGE, act);
        assert!(said.contains("--passphrase-file"), "{said}");
        let wrong = [act, &["--passphrase-file", "wrong"]].concat();
        let said = stage.unchanged(BAD_INPUT, &wrong);
        assert!(
            said.contains("the passphrase does not open the key"),
            "{said}"
        );
        assert!(said.contains("is the first line of wrong"), "{said}");
    }
    let said = stage.unchanged(
        USAGE,
        &[&CHANGE[..], &["--passphrase-file", "right"]].concat(),
    );
    assert!(said.contains("--new-passphrase-file"), "{said}");
    let said = Stage::open().unchanged(USAGE, &ENCRYPT);
    assert!(said.contains("--generate-passphrase"), "{said}");
}

/// A next step is pasted as it is printed, wherever the home is.
#[test]
fn a_next_step_is_one_that_a_shell_takes() {
    let stage = Stage::open();
    let home = stage.scene.path("it's a \"home\" $HOME; touch pasted");
    fs::rename(stage.scene.home(), &home).unwrap();
    let mut decrypt = Command::new(env!("CARGO_BIN_EXE_pgpki"));
    decrypt.args(DECRYPT).arg("--home").arg(&home);
    let said = ends_with(REFUSED, &mut decrypt);
    let (_, step) = said.split_once("To encrypt it: pgpki ").unwrap();
    let program = env!("CARGO_BIN_EXE_pgpki");
    let line = format!("'{program}' {} --new-passphrase-file right", step.trim());
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).current_dir(stage.scene.path(""));
    let said = ends_with(DONE, &mut shell);
    assert!(said.contains("encrypted"), "{said}");
    assert!(!stage.scene.path("pasted").exists());
    let key = home.join("issuing/g0001/ca.key");
    fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    let said = ends_with(REFUSED, &mut decrypt);
    let (_, step) = said.split_once("chmod ").unwrap();
    let (step, _) = step.rsplit_once(", and take").unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("chmod {step}")]);
    ends_with(DONE, &mut shell);
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

/// A key that only pgpki could open, because OpenSSL takes no such passphrase.
#[test]
fn a_passphrase_that_openssl_could_not_use() {
    let stage = Stage::open();
    secret(&stage.scene.path("zero"), "with a \0 in it");
    secret(&stage.scene.path("long"), &"x".repeat(1024));
    secret(&stage.scene.path("longest"), &"x".repeat(1023));
    let with = |file| [&ENCRYPT[..], &["--new-passphrase-file", file]].concat();
    for (file, why) in [("zero", "a zero byte"), ("long", "longer than 1023 bytes")] {
        let said = stage.unchanged(BAD_INPUT, &with(file));
        assert!(said.contains(why), "{said}");
    }
    stage.ends(DONE, &with("longest"));
    assert!(stage.openssl_opens("issuing", 1, "longest"));
}

/// What a run that was killed has left: some keys changed, some not. Only with the passphrase of those can the rest follow.
#[test]
fn half_of_it_is_gone_on_with() {
    let stage = Stage::open();
    stage.ends(DONE, &["rotate", "--issuing"]);
    let open = fs::read(stage.key("issuing", 2)).unwrap();
    let with = |file| [&ENCRYPT[..], &["--new-passphrase-file", file]].concat();
    stage.ends(DONE, &with("right"));
    fs::write(stage.key("issuing", 2), &open).unwrap();

    let said = stage.unchanged(REFUSED, &with("other"));
    assert!(said.contains("with another passphrase"), "{said}");
    let generated = [&ENCRYPT[..], &["--generate-passphrase"]].concat();
    stage.unchanged(REFUSED, &generated);
    let said = stage.ends(DONE, &with("right"));
    assert!(said.contains("g0002") && !said.contains("g0001"), "{said}");
    assert!(stage.openssl_opens("issuing", 1, "right"));
    assert!(stage.openssl_opens("issuing", 2, "right") && stage.is_encrypted("issuing", 2));

    // The same half way through a change of passphrases.
    let first = fs::read(stage.key("issuing", 1)).unwrap();
    let change = [
        "--passphrase-file",
        "right",
        "--new-passphrase-file",
        "other",
    ];
    let change = [&CHANGE[..], &change].concat();
    stage.ends(DONE, &change);
    fs::write(stage.key("issuing", 1), &first).unwrap();
    let said = stage.ends(DONE, &change);
    assert!(said.contains("g0001") && !said.contains("g0002"), "{said}");
    assert!(stage.openssl_opens("issuing", 1, "other"));
    let said = stage.ends(DONE, &change);
    assert!(said.contains("has that passphrase already"), "{said}");
}

/// A former CA's key with a passphrase that nobody gave stays, and is named.
#[test]
fn a_former_key_under_another_passphrase() {
    let stage = Stage::encrypted();
    let former = fs::read(stage.key("issuing", 1)).unwrap();
    let change = [
        "--passphrase-file",
        "right",
        "--new-passphrase-file",
        "other",
    ];
    stage.ends(DONE, &[&CHANGE[..], &change].concat());
    let rotate = ["rotate", "--issuing", "--issuing-passphrase-file", "other"];
    stage.ends(DONE, &rotate);
    fs::write(stage.key("issuing", 1), &former).unwrap();
    let said = stage.ends(
        FINDINGS,
        &[&DECRYPT[..], &["--passphrase-file", "other"]].concat(),
    );
    assert!(
        said.contains("left") && said.contains("g0001/ca.key"),
        "{said}"
    );
    assert!(stage.is_encrypted("issuing", 1) && !stage.is_encrypted("issuing", 2));
}

#[test]
fn a_damaged_key() {
    let stage = Stage::open();
    fs::write(stage.key("issuing", 1), "garbage\n").unwrap();
    let with = [&ENCRYPT[..], &["--new-passphrase-file", "right"]].concat();
    let said = stage.unchanged(BAD_INPUT, &with);
    assert!(said.contains("issuing/g0001/ca.key"), "{said}");
    // One that others may have read, or changed, is no key to go on with.
    let stage = Stage::open();
    fs::set_permissions(stage.key("issuing", 1), PermissionsExt::from_mode(0o644)).unwrap();
    stage.unchanged(REFUSED, &with);
    // Nor one that is a link to elsewhere.
    let stage = Stage::open();
    let key = stage.key("issuing", 1);
    fs::rename(&key, stage.scene.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(stage.scene.path("elsewhere"), &key).unwrap();
    let before = fs::read(stage.scene.path("elsewhere")).unwrap();
    stage.unchanged(BAD_INPUT, &with);
    assert_eq!(fs::read(stage.scene.path("elsewhere")).unwrap(), before);
}

/// That nobody reads the report does not undo what was done.
#[test]
fn a_closed_output() {
    let stage = Stage::open();
    let program = env!("CARGO_BIN_EXE_pgpki");
    let line = format!("'{program}' key encrypt issuing --new-passphrase-file right | true");
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).current_dir(stage.scene.path(""));
    shell.env("PGPKI_HOME", stage.scene.home());
    let output = shell.output().unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    assert!(stage.openssl_opens("issuing", 1, "right") && stage.is_encrypted("issuing", 1));
}

/// Two at once take turns: one does it, the other finds it done.
#[test]
fn two_at_once() {
    let stage = Stage::open();
    let with = [&ENCRYPT[..], &["--new-passphrase-file", "right"]].concat();
    let mut running: Vec<_> = (0..2)
        .map(|_| {
            let mut command = stage.command(&with);
            let quiet = command.stdout(std::process::Stdio::null());
            quiet.stderr(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    let ended = running.iter_mut().map(|child| child.wait().unwrap().code());
    let mut ended: Vec<_> = ended.collect();
    ended.sort_unstable();
    assert_eq!(ended, [Some(DONE), Some(REFUSED)]);
    assert!(stage.openssl_opens("issuing", 1, "right") && stage.is_encrypted("issuing", 1));
}
