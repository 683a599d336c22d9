//! Arguments that are wrong in themselves.

use crate::refusal::{Refusal, empty_scene, refuses, scene_with_authority};

const USAGE: i32 = 2;
const BAD_INPUT: i32 = 4;

#[test]
fn hosts() {
    let long_label = format!("{}.example.com", "x".repeat(64));
    let long = format!("{}example.com", "abcdefghi.".repeat(25));
    let long_common_name = format!("{}.example.com", "x".repeat(60));
    let cases = [
        ("", "empty"),
        ("foo bar", "' '"),
        ("10.0.0.0/8", "network"),
        ("fd00::/8", "network"),
        ("db.example.com:5432", "port"),
        ("10.0.0.5:5432", "port"),
        ("[::1]", "brackets"),
        ("256.1.1.1", "IPv4"),
        ("1.2.3", "IPv4"),
        ("db.example.com.", "dot"),
        (".example.com", "dots"),
        ("a..b", "dots"),
        ("-a.example.com", "hyphen"),
        ("a-.example.com", "hyphen"),
        ("a.*.example.com", "leftmost"),
        ("db*.example.com", "leftmost"),
        ("*.com", "two parts"),
        ("*", "*"),
        ("db,example", "','"),
        ("user@db", "'@'"),
        ("db\nexample", "db"),
        ("https://db", "https://db"),
        (&long_label, "63 characters"),
        (&long, "253"),
        (&long_common_name, "64 characters"),
    ];
    let (empty, authority) = (empty_scene(), scene_with_authority());
    for (host, reason) in cases {
        let says = [reason];
        let init = [
            "init",
            "--no-root-passphrase",
            "--install",
            "tls",
            "--",
            host,
        ];
        refuses(
            &empty,
            &Refusal {
                args: &init,
                status: BAD_INPUT,
                says: &says,
            },
        );
        let issue = ["issue-server", "--out", "node", "--", host];
        refuses(
            &authority,
            &Refusal {
                args: &issue,
                status: BAD_INPUT,
                says: &says,
            },
        );
    }
    // One that is wrong among others that are right.
    refuses(
        &authority,
        &Refusal {
            args: &[
                "issue-server",
                "db.example.com",
                "10.0.0.0/8",
                "--out",
                "node",
            ],
            status: BAD_INPUT,
            says: &["\"10.0.0.0/8\""],
        },
    );
}

#[test]
fn roles() {
    let long = "x".repeat(64);
    let long_in_two_bytes = "é".repeat(32);
    let cases = [
        ("", "empty"),
        (".", "\".\""),
        ("..", "\"..\""),
        (".pgpki", "\".pgpki\""),
        ("a/b", "\"a/b\""),
        ("../alice", "\"../alice\""),
        ("/etc", "\"/etc\""),
        (&long, "63 bytes"),
        (&long_in_two_bytes, "63 bytes"),
    ];
    let scene = scene_with_authority();
    for (role, reason) in cases {
        refuses(
            &scene,
            &Refusal {
                args: &["issue-client", "--out", "clients", "--", "good", role],
                status: BAD_INPUT,
                says: &[reason],
            },
        );
    }
}

#[test]
fn values_and_combinations() {
    let init = |more: &'static [&'static str]| {
        [&["init", "localhost", "--install", "tls"][..], more].concat()
    };
    let subject =
        |more: &'static [&'static str]| [&init(&["--no-root-passphrase"])[..], more].concat();
    let cases: Vec<(Vec<&str>, i32, Vec<&str>)> = vec![
        (
            init(&[]),
            USAGE,
            vec!["--root-passphrase-file", "--no-root-passphrase", "terminal"],
        ),
        (
            init(&["--no-root-passphrase", "--root-passphrase-file", "p"]),
            USAGE,
            vec!["--no-root-passphrase", "--root-passphrase-file"],
        ),
        (
            subject(&["--country", "Germany"]),
            BAD_INPUT,
            vec!["\"Germany\""],
        ),
        (subject(&["--country", "de"]), BAD_INPUT, vec!["\"de\""]),
        (subject(&["--country", ""]), BAD_INPUT, vec!["country"]),
        (
            subject(&["--organization", ""]),
            BAD_INPUT,
            vec!["organization"],
        ),
        (
            subject(&["--locality", "a\nb"]),
            BAD_INPUT,
            vec!["locality"],
        ),
        (
            subject(&["--owner", "no-such-user"]),
            BAD_INPUT,
            vec!["no-such-user"],
        ),
        (
            subject(&["--owner", "root:no-such-group"]),
            BAD_INPUT,
            vec!["no-such-group"],
        ),
        (subject(&["--owner", ""]), BAD_INPUT, vec!["USER:GROUP"]),
        (subject(&["--days", "0"]), USAGE, vec!["--days", "0"]),
        (
            subject(&["--days", "36526"]),
            USAGE,
            vec!["--days", "36525"],
        ),
        (subject(&["--days", "-1"]), USAGE, vec!["-1"]),
        (subject(&["--days", "a year"]), USAGE, vec!["a year"]),
        (
            subject(&["--days", "99999999999999999999"]),
            USAGE,
            vec!["--days"],
        ),
        (
            subject(&["--key-algorithm", "ed25519"]),
            USAGE,
            vec!["ed25519", "p256", "rsa4096"],
        ),
        (
            subject(&["--key-algorithm", "rsa1024"]),
            USAGE,
            vec!["rsa1024"],
        ),
        (
            subject(&["--require-tls"]),
            USAGE,
            vec!["rules for pg_hba.conf", "--cluster VERSION/NAME"],
        ),
        (
            subject(&["--no-reload"]),
            USAGE,
            vec!["--no-reload, and no cluster", "--pgdata DIR"],
        ),
    ];
    let scene = empty_scene();
    for (args, status, says) in &cases {
        refuses(
            &scene,
            &Refusal {
                args,
                status: *status,
                says,
            },
        );
    }
}

#[test]
fn values_for_an_authority_that_is_there() {
    let cases: [(&[&str], i32, &[&str]); 14] = [
        (&["issue-client", "--out", "c"], USAGE, &["ROLE"]),
        (&["issue-client", "alice"], USAGE, &["--out"]),
        (&["issue-client", "alice", "--out", ""], USAGE, &["--out"]),
        (
            &["issue-client", "alice", "--out", "c", "--days", "0"],
            USAGE,
            &["--days"],
        ),
        (
            &[
                "issue-client",
                "alice",
                "--out",
                "c",
                "--key-algorithm",
                "dsa",
            ],
            USAGE,
            &["dsa", "ed25519"],
        ),
        (&["issue-server", "--out", "d"], USAGE, &["HOST"]),
        (&["issue-server", "db"], USAGE, &["--out", "--install"]),
        (
            &["issue-server", "db", "--out", "a", "--install", "b"],
            USAGE,
            &["--out", "--install"],
        ),
        (
            &["issue-server", "db", "--out", "a", "--owner", "root"],
            USAGE,
            &["--install"],
        ),
        (
            &[
                "issue-server",
                "db",
                "--install",
                "a",
                "--owner",
                "no-such-user",
            ],
            BAD_INPUT,
            &["no-such-user"],
        ),
        (&["rotate", "--within", "30"], USAGE, &["--within", "30d"]),
        (&["rotate", "--within", "-1d"], USAGE, &["-1d"]),
        (&["revolve"], USAGE, &["revolve"]),
        (
            &["rotate", "--root-passphrase-file", "missing"],
            BAD_INPUT,
            &["missing"],
        ),
    ];
    let scene = scene_with_authority();
    for (args, status, says) in cases {
        refuses(&scene, &Refusal { args, status, says });
    }
}

#[test]
fn without_an_authority() {
    let cases: [&[&str]; 5] = [
        &["issue-client", "alice", "--out", "clients"],
        &["issue-server", "db", "--out", "node"],
        &["rotate"],
        &["rotate", "--dry-run"],
        &["inspect"],
    ];
    let scene = empty_scene();
    let home = scene.home();
    for args in cases {
        let says = [home.to_str().unwrap(), "pgpki init", "--home"];
        let status = BAD_INPUT;
        refuses(
            &scene,
            &Refusal {
                args,
                status,
                says: &says,
            },
        );
    }
    // A directory, but no home.
    std::fs::create_dir(&home).unwrap();
    std::fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    for args in cases {
        let says = [home.to_str().unwrap(), "not the home", "pgpki init"];
        let status = BAD_INPUT;
        refuses(
            &scene,
            &Refusal {
                args,
                status,
                says: &says,
            },
        );
    }
}
