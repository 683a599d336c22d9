//! `pgpki key`, with OpenSSL looking on, and what signs afterwards.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use pgpki_testing::run;

use crate::stage::{BAD_INPUT, DONE, FINDINGS, Stage, USAGE, ends_with, secret};

const WITH_RIGHT: [&str; 2] = ["--issuing-passphrase-file", "right"];

#[test]
fn all_keys_of_a_kind_change_together() {
    let stage = Stage::open();
    // Three generations, of which the two before still have CRLs to sign.
    stage.ends(DONE, &["rotate", "--issuing"]);
    stage.ends(DONE, &["rotate", "--issuing"]);
    let all = |opens: Option<&str>| {
        for generation in 1..=3 {
            assert_eq!(stage.is_encrypted("issuing", generation), opens.is_some());
            if let Some(passphrase) = opens {
                assert!(stage.openssl_opens("issuing", generation, passphrase));
            }
            assert_eq!(stage.names("issuing", generation), ["ca.crt", "ca.key"]);
            let key = stage.key("issuing", generation).metadata().unwrap();
            assert_eq!(key.permissions().mode() & 0o7777, 0o600);
        }
        assert!(!stage.is_encrypted("root", 1), "the other kind stays");
    };
    let key = |act, more: &[&str]| {
        let said = stage.ends(DONE, &[&["key", act, "issuing"], more].concat());
        assert_eq!(said.matches("/ca.key").count(), 3, "{said}");
    };
    key("encrypt", &["--new-passphrase-file", "right"]);
    all(Some("right"));
    let change = ["--passphrase-file", "right", "--new-passphrase-file"];
    key("change-passphrase", &[&change[..], &["other"]].concat());
    all(Some("other"));
    assert!(!stage.openssl_opens("issuing", 3, "right"));
    key("decrypt", &["--passphrase-command", "cat other"]);
    all(None);
    // They are the same keys: what they sign has their CAs' certificates.
    stage.ends(DONE, &["issue-client", "alice", "--out", "clients"]);
    stage.ends(FINDINGS, &["revoke", "alice"]);
}

#[test]
fn the_roots_key_as_well() {
    let stage = Stage::with(&["--root-passphrase-file", "right"]);
    let change = ["key", "change-passphrase", "root", "--passphrase-file"];
    let more = ["right", "--new-passphrase-file", "other"];
    stage.ends(DONE, &[&change[..], &more].concat());
    assert!(stage.openssl_opens("root", 1, "other"));
    let issuing = ["rotate", "--issuing", "--root-passphrase-file"];
    stage.unchanged(BAD_INPUT, &[&issuing[..], &["right"]].concat());
    stage.ends(DONE, &[&issuing[..], &["other"]].concat());
}

#[test]
fn a_passphrase_that_is_generated_opens_it() {
    let stage = Stage::open();
    let said = stage.ends(DONE, &["key", "encrypt", "root", "--generate-passphrase"]);
    let line = said
        .lines()
        .find(|line| line.contains("Passphrase of the root key: "));
    let (_, passphrase) = line.unwrap().split_once(": ").unwrap();
    let mut pkey = Command::new("openssl");
    pkey.args(["pkey", "-noout", "-passin", &format!("pass:{passphrase}")]);
    run(pkey.arg("-in").arg(stage.key("root", 1)));
    // Nothing is changed where it could not be shown.
    let stage = Stage::open();
    let before = stage.state();
    let program = env!("CARGO_BIN_EXE_pgpki");
    let line = format!("'{program}' key encrypt root --generate-passphrase 2>/dev/full");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &line])
        .env("PGPKI_HOME", stage.scene.home());
    assert_eq!(shell.output().unwrap().status.code(), Some(5));
    assert!(stage.state() == before);
}

/// A person has encrypted a key by hand, in each way that OpenSSL has, and pgpki signs with it.
#[test]
fn what_openssl_has_encrypted_opens() {
    for algorithm in ["p256", "rsa2048"] {
        let stage = Stage::with(&["--no-root-passphrase", "--key-algorithm", algorithm]);
        let key = stage.key("issuing", 1);
        let plain = fs::read(&key).unwrap();
        let pass = format!("file:{}", stage.scene.path("right").display());
        let with_pass = |args: &[&str]| {
            fs::write(&key, &plain).unwrap();
            let mut openssl = Command::new("openssl");
            openssl
                .args(args)
                .args(["-passout", &pass, "-in"])
                .arg(&key);
            let encrypted = run(&mut openssl).stdout;
            assert!(String::from_utf8_lossy(&encrypted).contains("ENCRYPTED"));
            fs::write(&key, encrypted).unwrap();
        };
        for (number, way) in [
            &["pkey", "-aes256"][..],
            &["pkey", "-aes-128-cbc", "-traditional"],
            &["pkcs8", "-topk8", "-scrypt"],
            &[
                "pkcs8",
                "-topk8",
                "-v2",
                "aes-256-cbc",
                "-v2prf",
                "hmacWithSHA512",
            ],
        ]
        .into_iter()
        .enumerate()
        {
            with_pass(way);
            let role = format!("role{number}");
            let issue = ["issue-client", &role, "--out", "clients"];
            stage.unchanged(USAGE, &issue);
            let wrong = ["--issuing-passphrase-file", "wrong"];
            stage.unchanged(BAD_INPUT, &[&issue[..], &wrong].concat());
            stage.ends(DONE, &[&issue[..], &WITH_RIGHT].concat());
        }
        // And becomes one of pgpki's own.
        let change = ["key", "change-passphrase", "issuing", "--passphrase-file"];
        let more = ["right", "--new-passphrase-file", "right"];
        stage.ends(DONE, &[&change[..], &more].concat());
        assert!(stage.openssl_opens("issuing", 1, "right"));
        assert!(stage.is_encrypted("issuing", 1));
    }
}

/// A person has encrypted it in a way that only OpenSSL knows: it is not lost, and the next one is not left open.
#[test]
fn what_only_openssl_opens_is_no_lost_key() {
    let stage = Stage::open();
    let key = stage.key("issuing", 1);
    let pass = format!("file:{}", stage.scene.path("right").display());
    let mut pkey = Command::new("openssl");
    pkey.args(["pkey", "-camellia256", "-passout", &pass, "-in"]);
    let camellia = run(pkey.arg(&key)).stdout;
    fs::write(&key, camellia).unwrap();
    let rotate = ["rotate", "--issuing"];
    for line in [&["issue-client", "alice", "--out", "clients"][..], &rotate] {
        let said = stage.unchanged(BAD_INPUT, line);
        assert!(said.contains("not supported here"), "{said}");
        assert!(said.contains("pgpki key encrypt"), "{said}");
        assert!(!said.contains("--compromised"), "{said}");
    }
    stage.ends(DONE, &[&rotate[..], &WITH_RIGHT].concat());
    assert!(stage.openssl_opens("issuing", 2, "right") && stage.is_encrypted("issuing", 2));
}

/// Whatever makes a new CA encrypts its key as that of the one before is, and no other way.
#[test]
fn the_next_key_is_encrypted_like_the_last() {
    let stage = Stage::encrypted();
    for (generation, step) in [
        (2, &["rotate", "--issuing"][..]),
        (3, &["rotate", "--root"]),
        (4, &["rotate", "--issuing", "--compromised"]),
    ] {
        let said = stage.unchanged(USAGE, step);
        assert!(said.contains("--issuing-passphrase-file"), "{said}");
        let wrong = ["--issuing-passphrase-file", "wrong"];
        stage.unchanged(BAD_INPUT, &[step, &wrong].concat());
        stage.ends(DONE, &[step, &WITH_RIGHT].concat());
        assert!(stage.openssl_opens("issuing", generation, "right"));
        assert!(stage.is_encrypted("issuing", generation));
    }
    assert!(!stage.is_encrypted("root", 2));
    // Once it is open, nobody is asked any more.
    let decrypt = ["key", "decrypt", "issuing", "--passphrase-file", "right"];
    stage.ends(DONE, &decrypt);
    let said = stage.ends(DONE, &["rotate", "--issuing"]);
    assert!(
        !stage.is_encrypted("issuing", 5) && !said.contains("warning"),
        "{said}"
    );
    // Who gives a passphrase all the same is told that it is for nothing.
    let said = stage.ends(DONE, &[&["rotate", "--issuing"][..], &WITH_RIGHT].concat());
    assert!(!stage.is_encrypted("issuing", 6), "{said}");
    assert!(
        said.contains("the new issuing key is not encrypted"),
        "{said}"
    );
}

/// Every key of the kind is lost, so that none tells how it was kept: a passphrase that was given is used.
#[test]
fn a_key_after_those_that_are_lost() {
    let credentials = |stage: &Stage| {
        fs::create_dir(stage.scene.path("credentials")).unwrap();
        let file = stage.scene.path("credentials/pgpki.issuing-passphrase");
        fs::copy(stage.scene.path("right"), file).unwrap();
    };
    for (more, credential, is_encrypted) in [
        (&[][..], false, false),
        (&WITH_RIGHT, false, true),
        (&["--issuing-passphrase-command", "cat right"], false, true),
        (&[], true, true),
    ] {
        let stage = Stage::encrypted();
        fs::remove_file(stage.key("issuing", 1)).unwrap();
        let line = [&["rotate", "--issuing", "--compromised"], more].concat();
        let mut rotate = stage.command(&line);
        if credential {
            credentials(&stage);
            rotate.env("CREDENTIALS_DIRECTORY", stage.scene.path("credentials"));
        }
        ends_with(DONE, &mut rotate);
        assert_eq!(stage.is_encrypted("issuing", 2), is_encrypted, "{line:?}");
        assert!(!is_encrypted || stage.openssl_opens("issuing", 2, "right"));
    }
    // One that cannot be had is none.
    let stage = Stage::encrypted();
    fs::remove_file(stage.key("issuing", 1)).unwrap();
    let missing = ["--issuing-passphrase-file", "missing"];
    let line = [&["rotate", "--issuing", "--compromised"], &missing[..]].concat();
    stage.unchanged(BAD_INPUT, &line);
    // Nor is one that no other program would take.
    secret(&stage.scene.path("long"), &"x".repeat(1024));
    secret(&stage.scene.path("zero"), "a\0b");
    for (file, why) in [("long", "longer than 1023 bytes"), ("zero", "a zero byte")] {
        let given = ["--issuing-passphrase-file", file];
        let line = [&["rotate", "--issuing", "--compromised"], &given[..]].concat();
        let said = stage.unchanged(BAD_INPUT, &line);
        assert!(said.contains(why), "{said}");
    }
}

/// Nobody knows the passphrase any more: the error says where it stands what to do, and nobody has to be handed anything.
#[test]
fn a_lost_passphrase_costs_no_certificate() {
    let stage = Stage::encrypted();
    let alice = ["issue-client", "alice", "--out", "clients"];
    stage.ends(DONE, &[&alice[..], &WITH_RIGHT].concat());
    stage.ends(DONE, &[&["rotate", "--issuing"][..], &WITH_RIGHT].concat());
    let other = ["--issuing-passphrase-file", "other"];
    let next = [&["rotate", "--issuing"][..], &other].concat();
    for line in [&next[..], &[&["rotate", "--force"][..], &other].concat()] {
        let said = stage.unchanged(BAD_INPUT, line);
        assert!(said.contains("docs/keys.md"), "{said}");
    }
    // As docs/keys.md has it.
    for generation in 1..=2 {
        let kept = stage.scene.path(format!("kept-{generation}"));
        fs::rename(stage.key("issuing", generation), kept).unwrap();
    }
    stage.ends(DONE, &next);
    assert!(stage.openssl_opens("issuing", 3, "other") && stage.is_encrypted("issuing", 3));
    let report = stage.ends(DONE, &["rotate", "--json"]);
    assert!(report.contains("\"places\":[]"), "{report}");
    let json = stage.ends(DONE, &["inspect", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let counts = json["counts"].as_array().unwrap();
    assert!(counts.iter().all(|it| it["revoked"] == 0), "{json}");
    stage.ends(
        DONE,
        &[&["issue-client", "bob", "--out", "clients"][..], &other].concat(),
    );
}

#[test]
fn where_each_key_is_is_shown() {
    let stage = Stage::with(&["--root-passphrase-file", "right"]);
    let text = stage.ends(DONE, &["inspect"]);
    assert!(text.contains("root     key encrypted"), "{text}");
    assert!(text.contains("issuing  key not encrypted"), "{text}");
    let json = stage.ends(DONE, &["inspect", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["cas"][0]["key"], "encrypted");
    assert_eq!(json["cas"][1]["key"], "file");
    // A root's key may be kept elsewhere between two uses.
    fs::remove_file(stage.key("root", 1)).unwrap();
    let json = stage.ends(DONE, &["inspect", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["cas"][0]["key"], "elsewhere");
}

/// A backup has the keys as they are, and what comes out of it asks for the same passphrase.
#[test]
fn a_backup_keeps_them_encrypted() {
    let stage = Stage::encrypted();
    stage.ends(
        DONE,
        &["backup", "--passphrase-file", "other", "backup.age"],
    );
    fs::remove_dir_all(stage.scene.home()).unwrap();
    let restore = ["restore", "--passphrase-file", "other", "backup.age"];
    stage.ends(DONE, &restore);
    assert!(stage.openssl_opens("issuing", 1, "right") && stage.is_encrypted("issuing", 1));
    let issue = ["issue-client", "alice", "--out", "clients"];
    stage.unchanged(USAGE, &issue);
    stage.ends(DONE, &[&issue[..], &WITH_RIGHT].concat());
}
