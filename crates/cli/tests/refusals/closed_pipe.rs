//! A reader that has seen enough, as `head` does, is no failure.

use std::process::Stdio;

use pgpki_testing::Owner;

use crate::refusal::{empty_scene, scene_with_authority};

#[test]
fn nobody_reads_what_is_printed() {
    let scene = scene_with_authority();
    let roles: Vec<String> = (0..60).map(|n| format!("role{n}")).collect();
    let issue = format!("issue-client {} --out clients", roles.join(" "));
    for line in [
        issue.as_str(),
        "issue-client alice --out clients",
        "issue-server db --out node",
        "inspect",
        "inspect --all",
        "inspect --json",
        "inspect --all --json",
        "rotate",
        "rotate --json",
        "rotate --dry-run --force",
        "rotate --force",
        "rotate --force --json",
        "--help",
        "--version",
        "init --help",
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = scene.command(line.split(' '));
        let output = command.stdout(Stdio::from(writer)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{line}\n{said}");
        assert_eq!(said, "", "{line}");
    }
    // The work was done all the same.
    assert!(scene.path("clients/alice/postgresql.key").exists());
    assert_eq!(
        std::fs::read_link(scene.tls().join("current"))
            .unwrap()
            .to_str(),
        Some("g0003")
    );
}

#[test]
fn init_is_done_all_the_same() {
    let scene = empty_scene();
    let owner = Owner::of_new_clusters().unwrap();
    let owner = format!("{}:{}", owner.uid, owner.gid);
    let args = "init localhost --no-root-passphrase --install tls --owner";
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = scene.command(args.split(' ').chain([owner.as_str()]));
    let output = command.stdout(Stdio::from(writer)).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(output.stderr, b"");
    scene.pgpki("inspect");
}

#[test]
fn nobody_reads_the_errors_either() {
    let scene = empty_scene();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = scene.command(["inspect"]);
    let status = command.stderr(Stdio::from(writer)).status().unwrap();
    assert_eq!(status.code(), Some(4));
}
