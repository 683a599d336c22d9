//! Files that are not what they should be: one message, exit 4, and nothing changed.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use pgpki_testing::{Scene, openssl};

use crate::report::{Report, inspect, scene_with_authority, secret};

/// A prime, so that the cuts fall anywhere in the lines of 64 characters.
const STEP: usize = 97;

/// What is wrong with how the program refuses a target.
fn problem(scene: &Scene, target: &str, args: &[&str]) -> Option<String> {
    let args: Vec<&str> = [target].iter().chain(args).copied().collect();
    let Report {
        status,
        stdout,
        stderr,
    } = inspect(scene, &args);
    let is_message = stderr.starts_with("pgpki: ") && stderr.matches("pgpki: ").count() == 1;
    let good = status == Some(4) && stdout.is_empty() && is_message && stderr.contains(target);
    (!good).then(|| format!("{args:?}: {status:?}, {} bytes, {stderr}", stdout.len()))
}

#[track_caller]
fn none(problems: impl IntoIterator<Item = String>) {
    let problems: Vec<String> = problems.into_iter().collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// One of each kind, by itself, as text and binary.
fn samples(scene: &Scene) -> Vec<(&'static str, Vec<u8>)> {
    scene.pgpki("issue-client alice --out clients");
    let path = |name: &str| scene.path(name).to_str().unwrap().to_owned();
    let (certificate, key) = (
        "clients/alice/postgresql.crt",
        "clients/alice/postgresql.key",
    );
    let crl = path("tls/current/root.crl");
    let run = |line: &str, file: &str| {
        let file = path(file);
        openssl(line.split(' ').chain(["-in", &file])).stdout
    };
    let request = ["req", "-new", "-subj", "/CN=alice", "-key", &path(key)];
    let export = [
        "pkcs12",
        "-export",
        "-passout",
        "pass:secret",
        "-inkey",
        &path(key),
        "-in",
    ];
    vec![
        ("crt", run("x509 -outform PEM", certificate)),
        ("crt", run("x509 -outform DER", certificate)),
        ("key", run("pkey -outform PEM", key)),
        ("key", run("pkey -outform DER", key)),
        ("key", run("pkcs8 -topk8 -passout pass:secret", key)),
        (
            "crl",
            openssl(["crl", "-outform", "PEM", "-in", &crl]).stdout,
        ),
        (
            "crl",
            openssl(["crl", "-outform", "DER", "-in", &crl]).stdout,
        ),
        ("csr", openssl(request).stdout),
        (
            "p12",
            openssl(export.iter().copied().chain([path(certificate).as_str()])).stdout,
        ),
    ]
}

#[test]
fn cut_off_anywhere() {
    let scene = scene_with_authority();
    let samples = samples(&scene);
    secret(&scene, "pass", "secret\n");
    let mut problems = Vec::new();
    for (kind, whole) in &samples {
        let name = format!("cut.{kind}");
        assert!(whole.len() > STEP, "{kind}");
        for length in (0..whole.len()).step_by(STEP) {
            secret(&scene, &name, &whole[..length]);
            let with: &[&str] = match *kind {
                "p12" => &["--passphrase-file", "pass"],
                _ => &[],
            };
            let found = problem(&scene, &name, with);
            problems.extend(found.map(|found| format!("{length} of {}: {found}", whole.len())));
            assert_eq!(fs::read(scene.path(&name)).unwrap(), whole[..length]);
        }
        // The whole is sound, so it is the cut that was refused.
        secret(&scene, &name, whole);
        let status = inspect(&scene, &[&name]).status;
        assert!(matches!(status, Some(0 | 1)), "{kind}: {status:?}");
    }
    none(problems);
}

#[test]
fn bytes_turned_over_never_panic() {
    let scene = scene_with_authority();
    secret(&scene, "pass", "secret\n");
    for (kind, whole) in samples(&scene) {
        let name = format!("odd.{kind}");
        for at in (0..whole.len()).step_by(STEP / 2) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            secret(&scene, &name, &bytes);
            let report = inspect(&scene, &[&name, "--passphrase-file", "pass"]);
            assert!(
                matches!(report.status, Some(0 | 1 | 4)),
                "{kind} {at}: {}",
                report.stderr
            );
        }
    }
}

#[test]
fn garbage() {
    let scene = scene_with_authority();
    let long = "A".repeat(1 << 20);
    let contents: [&[u8]; 16] = [
        b"",
        b"\n\n \t\n",
        b"hello",
        b"\0",
        b"\x30",
        b"\x30\x80",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x88\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x30\x82\x01\x00\x30",
        b"\xff\xfe-\0-\0",
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"<!DOCTYPE html><html></html>",
        long.as_bytes(),
    ];
    let mut problems = Vec::new();
    for content in contents {
        for name in ["a.crt", "a.pem", "a.key", "a.csr", "a.crl", "a.p12"] {
            secret(&scene, name, content);
            let shown = &content[..content.len().min(40)];
            let found = problem(&scene, name, &[]).or_else(|| problem(&scene, name, &["--json"]));
            problems.extend(found.map(|found| format!("{shown:?}: {found}")));
        }
    }
    none(problems);
}

/// Sequences within sequences: a parser that recurses without a limit runs out of stack.
#[test]
fn deeply_nested() {
    let scene = scene_with_authority();
    let mut bytes = Vec::new();
    for _ in 0..100_000 {
        let mut outer = vec![0x30, 0x84];
        outer.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
        // From the inside outwards, in reverse, so that each step costs nothing.
        bytes.extend(outer.iter().rev());
    }
    bytes.reverse();
    secret(&scene, "deep.der", bytes);
    none(problem(&scene, "deep.der", &[]));
}

#[test]
fn a_gigabyte_is_not_read() {
    let scene = scene_with_authority();
    fs::create_dir(scene.path("folder")).unwrap();
    for name in ["big.crt", "big.key", "big.p12", "folder/root.crt"] {
        let file = File::create(scene.path(name)).unwrap();
        file.set_len(1 << 30).unwrap();
    }
    let start = Instant::now();
    none(
        ["big.crt", "big.key", "big.p12"]
            .iter()
            .filter_map(|name| problem(&scene, name, &[])),
    );
    // In a folder it is one finding among others.
    let report = inspect(&scene, &["folder", "--json"]).json_with(1);
    assert!(
        crate::report::codes(&report).contains(&"unreadable"),
        "{report:#}"
    );
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

/// The largest that is read at all, full of something.
#[test]
fn the_largest_that_is_read() {
    let scene = scene_with_authority();
    for (name, block) in [
        (
            "a.pem",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ),
        ("b.pem", "-----BEGIN CERTIFICATE-----\n"),
        ("c.pem", "\n"),
        ("d.pem", "-----BEGIN X-----\n\n-----END X-----\n"),
    ] {
        fs::write(scene.path(name), block.repeat((8 << 20) / block.len())).unwrap();
        let report = inspect(&scene, &[name]);
        assert!(
            matches!(report.status, Some(0 | 1 | 4)),
            "{name}: {:?} {}",
            report.status,
            report.stderr
        );
    }
}

#[test]
fn what_is_no_file() {
    let scene = scene_with_authority();
    let path = |name: &str| scene.path(name);
    pgpki_testing::run(std::process::Command::new("mkfifo").arg(path("fifo.crt")));
    std::os::unix::fs::symlink("nowhere", path("broken.crt")).unwrap();
    std::os::unix::fs::symlink("loop.crt", path("loop.crt")).unwrap();
    std::os::unix::fs::symlink("fifo.crt", path("to-fifo.crt")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path("socket.crt")).unwrap();
    let targets = [
        "fifo.crt",
        "broken.crt",
        "to-fifo.crt",
        "socket.crt",
        "missing.crt",
        "/dev/zero",
        "/dev/null",
        "/dev/tty",
        "/dev/stdin",
        "/proc/self/cmdline",
        "/proc/self/maps",
    ];
    none(
        targets
            .iter()
            .filter_map(|target| problem(&scene, target, &[])),
    );
    assert!(Path::new("/dev/zero").exists());
    // A place that cannot be read, whatever is in it, is a failure.
    for target in ["/proc/self/mem", "loop.crt", "tls/current/server.crt/below"] {
        let report = inspect(&scene, &[target]);
        assert!(
            matches!(report.status, Some(4 | 5)),
            "{target}: {:?}",
            report.status
        );
        assert_eq!(report.text(), "");
        assert!(report.stderr.starts_with("pgpki: ") && report.stderr.contains(target));
    }
}

#[test]
fn what_may_have_a_password_in_it_is_not_printed() {
    let scene = scene_with_authority();
    for target in [
        "host=h password=TOPSECRET",
        "bob:TOPSECRET@127.0.0.1:21432",
        "postgresql//bob:TOPSECRET@h",
        "postgresql://bob:TOPSECRET@h:x",
    ] {
        let report = inspect(&scene, &[target]);
        assert_eq!(report.status, Some(4), "{}", report.stderr);
        assert!(!report.stderr.contains("TOPSECRET"), "{}", report.stderr);
    }
    // A file may be called anything.
    let name = "bob:x@y.crt";
    fs::copy(scene.path("tls/current/server.crt"), scene.path(name)).unwrap();
    assert!(!inspect(&scene, &[name]).stderr.contains("not shown"));
}
