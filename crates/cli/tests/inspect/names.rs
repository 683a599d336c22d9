//! Names that somebody else has chosen: nothing in them reaches a terminal as it is.

use std::fs;
use std::process::Command;

use pgpki_testing::{Scene, openssl};
use serde_json::Value;

use crate::report::{Report, inspect, list, scene, scene_with_authority, secret};

/// Escape sequences, C0 and C1 controls, what turns the direction of writing around, and what is
/// taken for the end of a line.
const NASTY: [&str; 12] = [
    "a\x1b[2J\x1b]0;title\x07",
    "b\rowner",
    "c\tn",
    "d\u{8}\u{8}x",
    "e\u{9b}31mred",
    "f\u{202e}dlrow",
    "g\u{2066}h\u{2069}",
    "h\u{200b}\u{feff}",
    "i\u{85}j",
    "j\u{200f}k",
    "k\u{1b}c",
    "l\u{7f}m",
];

/// What a terminal acts upon, or does not show, line ends apart.
fn is_raw(c: char) -> bool {
    let bidi = matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    bidi || (c.is_control() && c != '\n')
}

#[track_caller]
fn nothing_raw(text: &str) {
    let raw: Vec<char> = text.chars().filter(|c| is_raw(*c)).collect();
    assert!(raw.is_empty(), "{raw:?} in {text:?}");
}

fn scene_with(names: &[&str]) -> Scene {
    let scene = scene_with_authority();
    let args = ["issue-client", "--out", "clients"];
    pgpki_testing::run(&mut scene.command(args.iter().chain(names)));
    scene
}

#[test]
fn roles_in_the_ledger() {
    let scene = scene_with(&NASTY);
    for args in [&[][..], &["--all"]] {
        let text = inspect(&scene, args).text_with(0);
        nothing_raw(&text);
        assert_eq!(
            text.lines()
                .filter(|line| line.contains(" client "))
                .count(),
            NASTY.len()
        );
    }
    for when in ["+300d", "+370d"] {
        nothing_raw(&crate::report::inspect_at(&scene, when, &[]).text_with(1));
    }
}

#[test]
fn marks_of_arabic_and_line_separators_in_the_ledger() {
    let scene = scene_with(&["a\u{61c}b", "c\u{2028}d", "e\u{2029}f"]);
    nothing_raw(&inspect(&scene, &[]).text_with(0));
}

/// A role in JSON is the role, to the letter: a program that reads the report looks it up.
#[test]
fn roles_in_json_to_the_letter() {
    let scene = scene_with(&NASTY);
    let json = inspect(&scene, &["--json"]).json_with(0);
    let clients = list(&json, "certificates")
        .iter()
        .filter(|c| c["profile"] == "client");
    let mut seen: Vec<&str> = clients.map(|c| c["subject"].as_str().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, NASTY);
}

/// JSON can say any character without holding it.
#[test]
fn roles_in_json_are_not_raw() {
    let scene = scene_with(&NASTY);
    let report = inspect(&scene, &["--json"]);
    report.json_with(0);
    nothing_raw(&report.text());
}

#[test]
fn subjects_of_files() {
    for role in NASTY {
        let scene = scene_with(&[role]);
        let folder = scene.path("clients").join(role);
        let file = folder.join("postgresql.crt");
        for target in [&folder, &file] {
            let target = target.to_str().unwrap();
            nothing_raw(&inspect(&scene, &[target]).text_with(0));
            let json = inspect(&scene, &[target, "--json"]).json_with(0);
            let subject = list(&json, "certificates")[0]["subject"].as_str().unwrap();
            nothing_raw(subject);
        }
    }
}

/// An alias in PKCS#12 and a name in a request are their maker's own, too.
#[test]
fn aliases_and_requests() {
    let scene = scene_with(&["alice"]);
    secret(&scene, "pass", "secret\n");
    for name in ["x\x1b[2Jy", "x\u{9b}31my", "x\u{202e}y"] {
        let subject = format!("/CN={name}");
        let args = ["req", "-utf8", "-new", "-newkey", "rsa:2048", "-noenc"];
        let (key, csr) = (scene.path("r.key"), scene.path("r.csr"));
        let files = [
            "-keyout",
            key.to_str().unwrap(),
            "-out",
            csr.to_str().unwrap(),
        ];
        openssl(args.iter().chain(&files).chain(&["-subj", &subject]));
        nothing_raw(&inspect(&scene, &["r.csr"]).text_with(0));
        let p12 = scene.path("a.p12");
        let alice = scene.path("clients/alice");
        let (key, certificate) = (alice.join("postgresql.key"), alice.join("postgresql.crt"));
        let args = [
            "pkcs12",
            "-export",
            "-passout",
            "pass:secret",
            "-name",
            name,
        ];
        let files = [
            "-inkey",
            key.to_str().unwrap(),
            "-in",
            certificate.to_str().unwrap(),
            "-out",
            p12.to_str().unwrap(),
        ];
        openssl(args.iter().chain(&files));
        let report = inspect(&scene, &["a.p12", "--passphrase-file", "pass"]);
        assert_eq!(report.stderr, "");
        let text = report.text();
        assert!(text.contains("alias x"), "{text}");
        nothing_raw(&text);
    }
}

/// Files in a folder of somebody else's.
#[test]
fn file_names_in_a_folder() {
    let scene = scene_with(&["alice"]);
    fs::create_dir(scene.path("theirs")).unwrap();
    for name in NASTY {
        let target = scene.path("theirs").join(format!("{name}.crt"));
        fs::copy(scene.path("clients/alice/root.crt"), target).unwrap();
        fs::write(scene.path("theirs").join(format!("{name}.key")), "garbage").unwrap();
    }
    let report = inspect(&scene, &["theirs"]);
    nothing_raw(&report.text_with(1));
    let json = inspect(&scene, &["theirs", "--json"]).json_with(1);
    for finding in list(&json, "findings") {
        nothing_raw(finding["message"].as_str().unwrap());
        nothing_raw(finding["hint"].as_str().unwrap());
    }
}

/// The hint names a folder that the owner of the outer one has chosen.
#[test]
fn a_folder_of_folders_with_such_names() {
    for role in NASTY {
        let scene = scene_with(&[role]);
        let report = inspect(&scene, &["clients"]);
        assert_eq!(report.status, Some(4));
        nothing_raw(&report.stderr);
    }
}

/// A target may come from a shell's `*`, in a directory of somebody else's.
#[test]
fn targets_that_cannot_be_read() {
    for name in NASTY {
        let scene = scene();
        fs::write(scene.path(name), "garbage").unwrap();
        for target in [name.to_owned(), format!("{name}.missing")] {
            let report = inspect(&scene, &[&target]);
            assert_eq!((report.status, report.text().as_str()), (Some(4), ""));
            nothing_raw(&report.stderr);
        }
    }
}

/// Colour is for terminals, and this is none.
#[test]
fn no_colour_without_a_terminal() {
    let scene = scene_with(&["alice"]);
    for args in [
        &[][..],
        &["--all"],
        &["tls"],
        &["clients/alice/postgresql.crt"],
    ] {
        let mut command: Command = scene.command(["inspect"].iter().chain(args));
        command.env("TERM", "xterm-256color");
        let report = Report::of(&mut command);
        nothing_raw(&report.text());
        assert_eq!(report.status, Some(0));
    }
    let json: Value = inspect(&scene, &["tls", "--json"]).json_with(0);
    assert!(json.is_object());
}
