//! What a target is: a path or a server.

use std::fs;

use pgpki_testing::run;

use crate::fixture::{at, codes, finding, inspect, one, scene, scene_with_authority, serving};

/// What exists is a path, whatever else it could be.
#[test]
fn a_file_that_is_called_like_a_host() {
    let scene = scene_with_authority();
    let cluster = serving(&scene);
    let root = scene.tls().join("current/root.crt");
    fs::copy(&root, scene.path("localhost")).unwrap();
    let text = inspect(&scene, &["localhost"]).text(0);
    assert!(text.contains("root certificate"), "{text}");
    // A port makes it a server; a slash makes it a path.
    let text = inspect(&scene, &[&at(&cluster, "localhost")]).text(0);
    assert!(text.contains("TLSv1.3"), "{text}");
    let text = inspect(&scene, &["./localhost"]).text(0);
    assert!(text.contains("root certificate"), "{text}");
}

#[test]
fn neither_of_the_two() {
    let scene = scene();
    // With a port, no file was meant: it is a server that was not found.
    let server = one(&scene, &["no-such-thing.invalid:5432"], 1);
    assert_eq!(codes(&server), ["unreachable"]);
    let message = &finding(&server, "unreachable")["message"];
    assert!(
        message.as_str().unwrap().contains("cannot be resolved"),
        "{message}"
    );
    for (target, words) in [
        (
            "no-such-thing.invalid",
            &["does not exist", "no such host", "./NAME", "NAME:5432"][..],
        ),
        ("foo bar", &["file", "server", "foo bar"]),
        ("db:99999", &["file", "port", "99999"]),
        ("*.example.com", &["wildcard"]),
        ("missing.crt", &["missing.crt does not exist", "HOST:5432"]),
        ("./db", &["./db does not exist"]),
        ("postgresql:///app", &["Unix-domain socket"]),
        ("https://db", &["postgresql://"]),
        ("postgresql://u:sekrit/x@db", &["%2F"]),
    ] {
        let said = scene.fails_with(4, &mut scene.command(["inspect", target]));
        for word in words {
            assert!(said.contains(word), "{word:?} is not in {said}");
        }
        assert!(!said.contains("sekrit"), "{said}");
    }
}

#[test]
fn what_does_not_go_together() {
    let scene = scene_with_authority();
    for line in [
        "inspect tls db:5432",
        "inspect tls tls",
        "inspect --root tls/current/root.crt tls",
        "inspect --root tls/current/root.crt",
        "inspect --passphrase-file x db:5432",
        "inspect --all --from x",
        "inspect --timeout 0s db:5432",
        "inspect --timeout 2h db:5432",
    ] {
        scene.fails(2, line);
    }
    let said = scene.fails(4, "inspect --root missing.crt db:5432");
    assert!(said.contains("missing.crt"), "{said}");
    let said = scene.fails(4, "inspect --root tls/current/server.key db:5432");
    assert!(
        said.contains("cannot") || said.contains("no certificate"),
        "{said}"
    );
}

/// An authority that cannot be read is mentioned, and does not stand in the way.
#[test]
fn a_damaged_authority() {
    let scene = scene_with_authority();
    let cluster = serving(&scene);
    let root = scene.tls().join("current/root.crt");
    fs::write(scene.home().join("pgpki.toml"), "nonsense").unwrap();
    let report = inspect(&scene, &[&at(&cluster, "localhost")]);
    assert_eq!(report.status, Some(1), "{}", report.stdout);
    assert!(
        report.stderr.contains("is not compared"),
        "{}",
        report.stderr
    );
    assert!(report.stdout.contains("root-unknown"), "{}", report.stdout);
    let root = root.to_str().unwrap();
    inspect(&scene, &[&at(&cluster, "localhost"), "--root", root]).text(0);
}

#[test]
fn help_tells_the_two_apart() {
    let scene = scene();
    let help = run(&mut scene.command(["inspect", "--help"]));
    let help = String::from_utf8(help.stdout).unwrap();
    for part in [
        "HOST:PORT",
        "postgresql://",
        "slash",
        "--timeout",
        "--from",
        "--root",
        "10s",
    ] {
        assert!(help.contains(part), "{part:?} is not in\n{help}");
    }
}
