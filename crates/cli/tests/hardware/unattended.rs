//! Nobody is there to type a PIN.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use pgpki_testing::{Owner, await_that, run};

use crate::token::{MODULE, PIN, failing_module, pin_file};
use crate::vault::{
    BAD_INPUT, FINDINGS, ISSUING, ROOT, USAGE, Vault, connects, conninfo, ends_with, failing,
};

/// The URI keeps where PIN and library are, so that cron needs neither argument nor variable.
#[test]
fn the_uri_says_where_the_pin_is() {
    let vault = Vault::new();
    let issuing = format!("{}&module-path={MODULE}", vault.with_pin(ISSUING));
    vault.init(&["--no-root-passphrase", "--issuing-key", &issuing]);
    let cluster = vault.server();
    let alice = vault.client(&cluster, "alice", &[]);
    connects(&cluster, &conninfo(&cluster, "alice", &alice));

    let mut rotate = vault.command(["rotate", "--force"]);
    run(rotate.env_remove("PGPKI_PKCS11_MODULE"));
    connects(&cluster, &conninfo(&cluster, "alice", &alice));
    // Nothing is due: nothing is changed, and nothing said.
    let before = vault.state();
    assert_eq!(vault.pgpki(&["rotate"]), "");
    assert_eq!(vault.state(), before);
    let uri = fs::read_to_string(vault.uri("issuing", 1)).unwrap();
    assert!(
        uri.contains("module-path=") && uri.contains("pin-source=file:/"),
        "{uri}"
    );
    assert!(!vault.scene.home().join("issuing/g0001/ca.key").exists());
}

#[test]
fn without_a_pin_it_says_how_to_give_one() {
    let vault = Vault::with_both(&[]);
    let before = vault.state();
    for command in [
        &["issue-client", "alice", "--out", "clients"][..],
        &["issue-server", "db2", "--out", "servers"],
        &["rotate"],
        &["rotate", "--root"],
        &["rotate", "--issuing"],
    ] {
        let text = vault.ends(USAGE, command);
        assert!(text.contains("token \"vault\" needs its PIN"), "{text}");
        assert!(
            text.contains("--pin-file") && text.contains("pin-source"),
            "{text}"
        );
    }
    assert_eq!(vault.state(), before);
    assert!(!vault.scene.path("clients").exists());
}

#[test]
fn a_module_that_has_moved_is_named_again() {
    let vault = Vault::with_both(&[]);
    let file = vault.uri("issuing", 1);
    let uri = fs::read_to_string(&file).unwrap();
    let (path, _) = uri.split_once("?module-path=").unwrap();
    fs::write(&file, format!("{path}?module-path=/opt/gone/module.so\n")).unwrap();
    let pin = vault.pin.to_str().unwrap();
    let issue = [
        "issue-client",
        "alice",
        "--out",
        "clients",
        "--pin-file",
        pin,
    ];
    let text = vault.ends(BAD_INPUT, &issue);
    assert!(
        text.contains("/opt/gone/module.so is not a PKCS#11 module"),
        "{text}"
    );
    assert!(text.contains("--pkcs11-module"), "{text}");
    vault.pgpki(&[&issue[..], &["--pkcs11-module", MODULE]].concat());
    // Or by its name alone.
    fs::write(&file, format!("{path}?module-name=softhsm2\n")).unwrap();
    vault.pgpki(&["issue-client", "bob", "--out", "clients", "--pin-file", pin]);
}

/// A token says no more than that a wrong PIN was entered; a run enters it once.
#[test]
fn a_wrong_pin_is_tried_once() {
    let vault = Vault::with_both(&[]);
    let before = vault.state();
    let wrong = pin_file(&vault.scene, "wrong", "000000");
    let wrong = ["--pin-file", wrong.to_str().unwrap()];
    for command in [
        &["rotate", "--force"][..],
        &["rotate", "--root"],
        &["issue-client", "alice", "bob", "--out", "clients"],
    ] {
        let text = vault.ends(BAD_INPUT, &[command, &wrong].concat());
        assert!(
            text.contains("the PIN does not open token \"vault\""),
            "{text}"
        );
        assert!(
            text.contains("there are fewer tries left than before"),
            "{text}"
        );
        assert_eq!(text.matches("does not open").count(), 1, "{text}");
        assert!(!text.contains("000000") && !text.contains(PIN), "{text}");
    }
    assert_eq!(vault.state(), before);
}

/// A PIN from a file is not tried when one more wrong one would lock the token, and nothing is when it is locked.
#[test]
fn the_last_try_is_left_to_a_person() {
    let vault = Vault::with_both(&[]);
    failing_module(&vault.scene);
    let before = vault.state();
    let pin = vault.pin.to_str().unwrap();
    let issue = [
        "issue-client",
        "alice",
        "--out",
        "clients",
        "--pin-file",
        pin,
    ];
    for (accident, said) in [
        ("last-try", "has one try left before it locks"),
        ("locked", "is locked"),
    ] {
        let mut issue = failing(&vault, accident, 99, &issue);
        let text = ends_with(BAD_INPUT, &mut issue);
        assert!(text.contains(said), "{text}");
    }
    assert_eq!(vault.state(), before);
    vault.pgpki(&issue);
}

/// The root's token lies in a safe when the issuing CA is due.
#[test]
fn what_needs_the_roots_token_is_said_to_be_due() {
    let vault = Vault::new();
    let pin = ["--pin-file", vault.pin.to_str().unwrap()];
    let owner = Owner::of_new_clusters().unwrap();
    let owner = format!("{}:{}", owner.uid, owner.gid);
    let tls = vault.scene.tls();
    let init = ["init", "localhost", "--install", tls.to_str().unwrap()];
    let keys = ["--owner", &owner, "--root-key", ROOT];
    let init = [&init[..], &keys, &pin].concat();
    run(&mut vault.surround(vault.scene.command_at("-1500d", init)));
    vault.hsm.pull_out();
    let rotate = |status, more: &[&str]| {
        let text = vault.ends(status, &[&["rotate", "--json"], more].concat());
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let report = rotate(FINDINGS, &[]);
    assert_eq!(report["issuing_ca"], "token-needed", "{report}");
    let reason = report["issuing_ca_reason"].as_str().unwrap();
    assert!(reason.contains("no token is what"), "{reason}");
    assert_eq!(report["places"][0]["outcome"], "renewed", "{report}");
    let text = vault.ends(FINDINGS, &["rotate"]);
    assert!(text.contains("needs the token with the root key"), "{text}");

    vault.hsm.plug_in();
    let report = rotate(FINDINGS, &[]);
    let reason = report["issuing_ca_reason"].as_str().unwrap();
    assert!(reason.contains("needs its PIN"), "{reason}");
    let text = vault.pgpki(&["rotate", pin[0], pin[1]]);
    assert!(text.contains("renewed  the issuing CA"), "{text}");
    assert_eq!(vault.pgpki(&["rotate"]), "");
}

/// Somebody at a terminal is asked, once for all that is signed.
#[test]
fn a_person_is_asked_for_the_pin_once() {
    let vault = Vault::with_both(&[]);
    let typed = |pin: &str| {
        let program = env!("CARGO_BIN_EXE_pgpki");
        let line = format!("'{program}' issue-client alice bob --out clients");
        let screen = vault.scene.path(format!("screen of {pin}"));
        let surrounded = vault.command([""; 0]);
        let environment = surrounded.get_envs();
        let environment = environment.filter_map(|(name, value)| Some((name, value?)));
        let mut script = Command::new("script");
        script.args(["--quiet", "--flush", "--return", "--command", &line]);
        script.arg(&screen).current_dir(vault.scene.path(""));
        script.env_clear().envs(environment).env("SHELL", "/bin/sh");
        let script = script.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut script = script.spawn().unwrap();
        let shown = || String::from_utf8_lossy(&fs::read(&screen).unwrap_or_default()).into_owned();
        await_that("a prompt", Duration::from_secs(20), || {
            shown().contains("PIN of token \"vault\": ")
        });
        let mut keyboard = script.stdin.take().unwrap();
        writeln!(keyboard, "{pin}").unwrap();
        let status = script.wait().unwrap();
        let screen = shown();
        assert!(!screen.contains(pin), "the PIN was shown: {screen}");
        (status.code(), screen)
    };
    let (status, screen) = typed("000000");
    assert_eq!(status, Some(BAD_INPUT), "{screen}");
    assert_eq!(screen.matches("does not open").count(), 1, "{screen}");
    let (status, screen) = typed(PIN);
    assert_eq!(status, Some(0), "{screen}");
    assert_eq!(screen.matches("PIN of").count(), 1, "{screen}");
    assert!(vault.scene.path("clients/bob/postgresql.crt").exists());
}
