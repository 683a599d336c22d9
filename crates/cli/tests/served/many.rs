//! Many servers in one call.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use pgpki_testing::Cluster;

use crate::fixture::{Report, at, codes, inspect, scene, scene_with_authority, serving};

#[test]
fn a_line_each_in_order() {
    let scene = scene_with_authority();
    let (good, bare) = (serving(&scene), Cluster::running());
    let targets = [
        at(&good, "localhost"),
        at(&bare, "127.0.0.1"),
        at(&good, "127.0.0.1"),
        "127.0.0.1:1".to_owned(),
        at(&good, "[::1]"),
    ];
    let args: Vec<&str> = targets.iter().map(String::as_str).collect();
    let text = inspect(&scene, &args).text(1);
    let lines: Vec<&str> = text.lines().collect();
    for (place, (target, word)) in targets
        .iter()
        .zip(["  ok", "no-tls", "  ok", "unreachable", "name-mismatch"])
        .enumerate()
    {
        let line = lines[place + 1];
        assert!(
            line.contains(target) && line.contains(word),
            "{place}\n{text}"
        );
    }
    assert!(text.contains("3 servers with findings"), "{text}");

    let json: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
    let servers = inspect(&scene, &json).servers(1);
    let found: Vec<_> = servers.iter().map(codes).collect();
    let none: Vec<&str> = Vec::new();
    assert_eq!(
        found,
        [
            none.clone(),
            vec!["no-tls"],
            none,
            vec!["unreachable"],
            vec!["name-mismatch"]
        ]
    );

    // A list, and a URL with several hosts, are the same thing.
    let list = format!("# the cluster\n\n  {}\n{}\n", targets[0], targets[2]);
    fs::write(scene.path("servers.txt"), &list).unwrap();
    let text = inspect(&scene, &["--from", "servers.txt"]).text(0);
    assert_eq!(text.matches("  ok").count(), 2, "{text}");
    let url = format!("postgresql://{},{}/app", targets[0], targets[2]);
    let text = inspect(&scene, &[&url]).text(0);
    assert_eq!(text.matches("  ok").count(), 2, "{text}");
    let mut command = scene.command(["inspect", "--from", "-", &targets[0]]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(list.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches("  ok").count(), 3, "{text}");
}

/// Silent peers are waited for side by side, each for no longer than was said.
#[test]
fn side_by_side() {
    // What nobody accepts still connects, and says nothing.
    let silent: Vec<TcpListener> = (0..24)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let targets = silent.iter().map(|it| it.local_addr().unwrap().to_string());
    let targets: Vec<String> = targets.collect();
    let scene = scene();
    let mut args: Vec<&str> = targets.iter().map(String::as_str).collect();
    args.extend(["--timeout", "1s", "--json"]);
    let start = Instant::now();
    let servers = inspect(&scene, &args).servers(1);
    let elapsed = start.elapsed();
    assert_eq!(servers.len(), 24);
    assert!(servers.iter().all(|it| codes(it) == ["unreachable"]));
    assert!(elapsed >= Duration::from_secs(1), "{elapsed:?}");
    assert!(
        elapsed < Duration::from_secs(12),
        "one after the other: {elapsed:?}"
    );
}

#[test]
fn lists_that_are_wrong() {
    let scene = scene();
    for (list, expected) in [
        ("", "no server"),
        ("# nothing\n", "no server"),
        ("db1\nfoo bar\n", "line 2"),
        ("postgresql://u:sekrit/x@db\n", "line 1"),
    ] {
        fs::write(scene.path("list"), list).unwrap();
        let said = scene.fails(4, "inspect --from list");
        assert!(
            said.contains(expected) && !said.contains("sekrit"),
            "{said}"
        );
    }
    fs::write(scene.path("list"), b"\xff\xfe").unwrap();
    scene.fails(4, "inspect --from list");
    let said = scene.fails(4, "inspect --from missing.txt");
    assert!(said.contains("missing.txt"), "{said}");
    let many = "db.invalid\n".repeat(10_001);
    fs::write(scene.path("list"), many).unwrap();
    let said = scene.fails(4, "inspect --from list");
    assert!(said.contains("10001"), "{said}");
    let report = Report::of(&mut scene.command(["inspect", "--from", "/dev/zero"]));
    assert_eq!(report.status, Some(4), "{}", report.stderr);
}
