//! The help pages.

use pgpki_testing::run;

use crate::refusal::empty_scene;

#[test]
fn every_command_explains_itself() {
    let cases: [(&str, &[&str]); 6] = [
        (
            "",
            &[
                "Usage: pgpki <COMMAND>",
                "rotate",
                "inspect",
                "Exit status",
                "70",
            ],
        ),
        (
            "init",
            &[
                "Usage: pgpki init [OPTIONS] [HOST]...",
                "--home",
                "PGPKI_HOME",
                "--install",
                "/etc/ssl/postgres",
                "--owner",
                "--root-passphrase-file",
                "--no-root-passphrase",
                "--organization",
                "--organizational-unit",
                "--country",
                "--state",
                "--locality",
                "p256, p384, rsa2048, rsa3072, rsa4096]",
                "Examples:",
            ],
        ),
        (
            "issue-server",
            &[
                "Usage: pgpki issue-server",
                "<HOST>...",
                "--out",
                "--install",
                "--days",
            ],
        ),
        (
            "issue-client",
            &[
                "Usage: pgpki issue-client",
                "--out",
                "--from",
                "--days",
                "ed25519",
                "Examples:",
            ],
        ),
        (
            "rotate",
            &[
                "Usage: pgpki rotate",
                "--within",
                "--force",
                "--dry-run",
                "--root-passphrase-file",
                "--json",
            ],
        ),
        (
            "inspect",
            &["Usage: pgpki inspect", "[TARGET]", "--all", "--json"],
        ),
    ];
    let scene = empty_scene();
    for (command, parts) in cases {
        let args = |flag: &'static str| [command, flag].into_iter().filter(|it| !it.is_empty());
        let help = run(&mut scene.command(args("--help")));
        assert_eq!(help.stderr, b"", "{command}");
        let help = String::from_utf8(help.stdout).unwrap();
        for part in parts {
            assert!(help.contains(part), "{part:?} is not in\n{help}");
        }
        assert!(!help.contains('\u{1b}'), "colour without a terminal");
        let short = String::from_utf8(run(&mut scene.command(args("-h"))).stdout).unwrap();
        assert!(short.contains("Usage: pgpki"), "{short}");
    }
    assert_eq!(std::fs::read_dir(scene.path("")).unwrap().count(), 0);
}

#[test]
fn without_a_command_help_is_a_mistake() {
    let output = empty_scene().command([""; 0]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Usage: pgpki <COMMAND>"), "{said}");
}
