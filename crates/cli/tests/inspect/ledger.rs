//! `pgpki inspect` without a target: the ledger.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use pgpki_testing::Scene;
use serde_json::Value;

use crate::report::{
    Report, check_findings, check_time, codes, has_fields, inspect, inspect_at, list,
    scene_with_authority, texts,
};

/// Issues to each role of a list that arrives on standard input.
fn issue_from_input(scene: &Scene, roles: impl Iterator<Item = String>, days: &str) {
    let list: String = roles.map(|role| role + "\n").collect();
    let args = ["issue-client", "--from", "-", "--out", "clients", "--days"];
    let mut child = scene
        .command(args.iter().chain([&days]))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(list.as_bytes()).unwrap();
    drop(input);
    assert!(child.wait().unwrap().success());
}

/// The serial numbers in a report for people, in order.
fn serials(text: &str) -> Vec<&str> {
    let is_serial = |word: &&str| word.len() == 32 && word.bytes().all(|b| b.is_ascii_hexdigit());
    text.split_whitespace().filter(is_serial).collect()
}

#[test]
fn fifty_of_many_and_all_of_them() {
    let scene = scene_with_authority();
    // Not in the order in which they end.
    for (days, prefix) in [("300", "late"), ("100", "early"), ("200", "middle")] {
        issue_from_input(&scene, (0..400).map(|n| format!("{prefix}{n:03}")), days);
    }
    let screen = inspect(&scene, &[]).text_with(0);
    let shown = serials(&screen);
    assert_eq!(shown.len(), 50, "{screen}");
    assert_eq!(
        screen.matches("early").count(),
        100,
        "name and place: {screen}"
    );
    for part in [
        scene.home().to_str().unwrap(),
        "client   1200 valid",
        "server   1 valid",
        "issuing  1 valid",
        "root     1 valid",
        "the 50 that end soonest",
        "--all",
    ] {
        assert!(screen.contains(part), "{part:?} is not in {screen}");
    }

    let json = inspect(&scene, &["--json"]).json_with(0);
    assert_eq!(texts(&json, "certificates", "serial"), shown);

    let all = inspect(&scene, &["--all", "--json"]).json_with(0);
    let of_all = texts(&all, "certificates", "serial");
    assert_eq!(of_all.len(), 1203);
    let different: HashSet<&&str> = of_all.iter().collect();
    assert_eq!(different.len(), 1203, "every serial once");
    let ends = texts(&all, "certificates", "not_after");
    assert!(ends.is_sorted(), "the soonest to end first");
    let subjects = texts(&all, "certificates", "subject");
    assert!(subjects[0].starts_with("early"));
    assert!(subjects[399].starts_with("early") && subjects[400].starts_with("middle"));

    let text = inspect(&scene, &["--all"]).text_with(0);
    assert_eq!(serials(&text), of_all, "both reports have the same order");
    assert_eq!(
        text.lines().count(),
        1204,
        "a heading, and one line for each"
    );
}

#[test]
fn the_documented_fields() {
    let scene = scene_with_authority();
    scene.pgpki("issue-client alice --out clients");
    // Late enough for findings, and for the server to be due.
    for when in ["+0d", "+300d"] {
        let json = inspect_at(&scene, when, &["--json"]);
        let json = json.json_with(json.status.unwrap());
        let top = [
            "version",
            "home",
            "counts",
            "cas",
            "findings",
            "certificates",
        ];
        has_fields(&json, &top, &[]);
        for ca in list(&json, "cas") {
            let fields = ["profile", "subject", "not_after", "key"];
            has_fields(ca, &fields, &[]);
            check_time(&ca["not_after"]);
            assert_eq!(ca["key"], "file");
        }
        assert_eq!(texts(&json, "cas", "profile"), ["root", "issuing"]);
        assert_eq!(json["home"], scene.home().to_str().unwrap());
        for count in list(&json, "counts") {
            let fields = ["profile", "valid", "due", "replaced", "revoked", "expired"];
            has_fields(count, &fields, &[]);
            let numbers = fields[1..]
                .iter()
                .map(|field| count[field].as_u64().unwrap());
            assert_eq!(numbers.sum::<u64>(), 1, "{count}");
        }
        check_findings(&json);
        assert_eq!(list(&json, "certificates").len(), 4);
        for certificate in list(&json, "certificates") {
            let fields = [
                "serial",
                "profile",
                "subject",
                "names",
                "not_before",
                "not_after",
                "status",
            ];
            has_fields(certificate, &fields, &["place"]);
            check_time(&certificate["not_before"]);
            check_time(&certificate["not_after"]);
            let serial = certificate["serial"].as_str().unwrap();
            assert_eq!(serials(serial), [serial]);
        }
    }
}

#[test]
fn the_values_are_those_of_the_certificates() {
    let scene = scene_with_authority();
    scene.pgpki("issue-client alice --out clients --days 30");
    let json = inspect(&scene, &["--json"]).json_with(0);
    let find = |profile: &str| {
        let certificates = list(&json, "certificates").iter();
        let mut found = certificates.filter(|c| c["profile"] == profile);
        found.next().unwrap()
    };
    let (tls, clients) = (scene.tls(), scene.path("clients/alice"));
    for (profile, file, place, subject) in [
        (
            "client",
            clients.join("postgresql.crt"),
            clients.to_str(),
            "alice",
        ),
        (
            "server",
            tls.join("current/server.crt"),
            tls.to_str(),
            "localhost",
        ),
        (
            "root",
            tls.join("current/root.crt"),
            None,
            "localhost root CA 1",
        ),
    ] {
        let certificate = find(profile);
        assert_eq!(certificate["subject"], subject);
        assert_eq!(certificate["place"].as_str(), place);
        let file = file.to_str().unwrap();
        let flags = "x509 -noout -serial -dates -dateopt iso_8601 -in";
        let said = pgpki_testing::openssl(flags.split(' ').chain([file])).stdout;
        // openssl leaves out a first octet of zero, which a random number has now and then.
        let said = String::from_utf8(said)
            .unwrap()
            .replace("serial=", "serial=00");
        let serial = certificate["serial"].as_str().unwrap().to_uppercase();
        let serial = serial.strip_prefix("00").unwrap_or(&serial);
        let instant = |field: &str| certificate[field].as_str().unwrap().replace('T', " ");
        for line in [
            format!(
                "serial=00{serial}
"
            ),
            format!("notBefore={}", instant("not_before")),
            format!("notAfter={}", instant("not_after")),
        ] {
            assert!(said.contains(&line), "{line} is not in {said}");
        }
    }
    assert_eq!(
        find("server")["names"],
        serde_json::json!(["localhost", "127.0.0.1"])
    );
    assert_eq!(find("client")["names"], serde_json::json!([]));
}

/// The status of the one certificate with this subject and serial number.
fn status<'a>(json: &'a Value, serial: &str) -> &'a str {
    let mut found = list(json, "certificates")
        .iter()
        .filter(|c| c["serial"] == serial);
    found.next().unwrap()["status"].as_str().unwrap()
}

#[test]
fn statuses_as_time_passes() {
    let scene = scene_with_authority();
    scene.pgpki("issue-client alice --out clients --days 90");
    let json = inspect(&scene, &["--json"]).json_with(0);
    let serial_of = |subject: &str, json: &Value| {
        let mut found = list(json, "certificates")
            .iter()
            .filter(|c| c["subject"] == subject);
        found.next().unwrap()["serial"].as_str().unwrap().to_owned()
    };
    let alice = serial_of("alice", &json);
    let server = serial_of("localhost", &json);
    let root = serial_of("localhost root CA 1", &json);
    // Two thirds of 90 days are 60, of 365 days 243.3, of ten years 2433.
    for (when, end, of_alice, of_server, of_root, expected) in [
        (
            "-1d",
            1,
            "not-yet-valid",
            "not-yet-valid",
            "not-yet-valid",
            None,
        ),
        ("+59d", 0, "valid", "valid", "valid", Some(&[][..])),
        ("+61d", 1, "due", "valid", "valid", Some(&["due"])),
        ("+91d", 1, "expired", "valid", "valid", Some(&["expired"])),
        // A client that nobody renewed for a month is abandoned.
        ("+130d", 0, "expired", "valid", "valid", Some(&[])),
        ("+244d", 1, "expired", "due", "valid", Some(&["due"])),
        (
            "+366d",
            1,
            "expired",
            "expired",
            "valid",
            Some(&["expired"]),
        ),
        // A server is not.
        (
            "+500d",
            1,
            "expired",
            "expired",
            "valid",
            Some(&["expired"]),
        ),
        ("+2440d", 1, "expired", "expired", "due", None),
    ] {
        let run = inspect_at(&scene, when, &["--all", "--json"]);
        if when == "-1d" {
            // Whether a wrong clock is a finding is left open here.
            let json = run.json_with(run.status.unwrap());
            assert_eq!(status(&json, &alice), of_alice);
            continue;
        }
        let json = run.json_with(end);
        for (serial, expected) in [(&alice, of_alice), (&server, of_server), (&root, of_root)] {
            assert_eq!(status(&json, serial), expected, "{when}: {json}");
        }
        if let Some(expected) = expected {
            assert_eq!(codes(&json), expected, "{when}: {json}");
        }
        let text = inspect_at(&scene, when, &[]).text_with(end);
        for code in codes(&json) {
            assert!(text.contains(&format!("[{code}]")), "{when}: {text}");
        }
    }
}

#[test]
fn what_another_stands_for_is_replaced() {
    let scene = scene_with_authority();
    scene.pgpki("issue-client alice --out clients --days 90");
    let json = inspect(&scene, &["--json"]).json_with(0);
    let old = texts(&json, "certificates", "serial")[0].to_owned();
    scene.pgpki("issue-client alice --out clients --days 90");
    let json = inspect(&scene, &["--all", "--json"]).json_with(0);
    assert_eq!(status(&json, &old), "replaced");
    let of_alice = list(&json, "certificates")
        .iter()
        .filter(|c| c["subject"] == "alice");
    let statuses: HashSet<_> = of_alice.map(|c| c["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, HashSet::from(["replaced", "valid"]));
    let clients = list(&json, "counts")
        .iter()
        .find(|c| c["profile"] == "client");
    assert_eq!(
        (&clients.unwrap()["valid"], &clients.unwrap()["replaced"]),
        (&1.into(), &1.into())
    );
    assert!(
        inspect(&scene, &[])
            .text_with(0)
            .contains("client   1 valid, 1 replaced")
    );
    let after = inspect_at(&scene, "+91d", &["--all", "--json"]).json_with(1);
    assert_eq!(
        status(&after, &old),
        "expired",
        "and no longer valid at all"
    );
}

#[test]
fn what_rotate_has_renewed_is_not_due() {
    let scene = scene_with_authority();
    let run = |when: &str| inspect_at(&scene, when, &["--json"]);
    assert_eq!(codes(&run("+300d").json_with(1)), ["due"]);
    let mut rotate = scene.command_at("+300d", ["rotate"]);
    pgpki_testing::run(&mut rotate);
    assert_eq!(codes(&run("+300d").json_with(0)), [""; 0]);
}

/// Every file below a directory.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(contents(&path)),
            false => files.push((path.clone(), fs::read(&path).unwrap())),
        }
    }
    files.sort();
    files
}

#[test]
fn nothing_is_changed_and_flags_are_checked() {
    let scene = scene_with_authority();
    let before = contents(&scene.home());
    for args in [&[][..], &["--all"], &["--json"], &["--all", "--json"]] {
        inspect(&scene, args).text_with(0);
    }
    assert!(before == contents(&scene.home()), "the home has changed");
    for line in [
        "inspect --all tls",
        "inspect --passphrase-file x",
        "inspect tls tls",
    ] {
        scene.fails(2, line);
    }
    let other = Report::of(&mut scene.command(["inspect", "--home", "nowhere"]));
    assert_eq!((other.status, other.stdout.len()), (Some(4), 0));
    assert!(other.stderr.contains("nowhere") && other.stderr.contains("--home"));
}
