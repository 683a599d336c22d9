//! A rotation with nothing due writes nothing at all.

use std::fs;
use std::process::Command;

use pgpki_testing::{Scene, run};

use crate::refusal::scene_with_authority;
use crate::snapshot::{DirectoryTimes, Snapshot};

/// An authority with a server and two clients, one of which was replaced once.
fn scene_with_clients() -> Scene {
    let scene = scene_with_authority();
    scene.pgpki("issue-client alice bob --out clients");
    scene.pgpki("issue-client alice --out clients");
    scene
}

#[test]
fn not_a_file_nor_a_directory_is_touched() {
    let scene = scene_with_clients();
    let before = Snapshot::of(&scene.path(""), DirectoryTimes::Count);
    for args in [
        &["rotate"][..],
        &["rotate", "--json"],
        &["rotate", "--dry-run"],
        &["rotate", "--dry-run", "--force"],
        &["rotate", "--within", "1d"],
        &["inspect"],
        &["inspect", "--all", "--json"],
    ] {
        run(&mut scene.command(args));
        let after = Snapshot::of(&scene.path(""), DirectoryTimes::Count);
        let changes = after.changes_since(&before);
        assert!(changes.is_empty(), "{args:?}\n{changes}");
    }
    // It would have been seen.
    scene.pgpki("rotate --force");
    let after = Snapshot::of(&scene.path(""), DirectoryTimes::Count);
    assert!(!after.changes_since(&before).is_empty());
}

#[test]
fn cron_has_nothing_to_mail() {
    let output = run(&mut scene_with_clients().command(["rotate"]));
    assert_eq!((output.stdout, output.stderr), (vec![], vec![]));
}

#[test]
fn no_call_that_writes_is_made() {
    let scene = scene_with_clients();
    assert_eq!(writing_calls(&scene, "rotate"), [""; 0]);
    // The list is one of calls that are made when something is due.
    assert!(writing_calls(&scene, "rotate --force").len() > 10);
}

/// The system calls of a command that change a file or directory.
fn writing_calls(scene: &Scene, line: &str) -> Vec<String> {
    let trace = scene.path("trace");
    let inner = scene.command(line.split(' '));
    let mut strace = Command::new("strace");
    strace
        .args([
            "-f",
            "-qq",
            "-y",
            "-s",
            "16",
            "-e",
            "trace=%file,%desc",
            "-o",
        ])
        .arg(&trace)
        .arg(inner.get_program())
        .args(inner.get_args())
        .current_dir(scene.path(""))
        .env("PGPKI_HOME", scene.home());
    run(&mut strace);
    let text = fs::read_to_string(&trace).unwrap();
    fs::remove_file(&trace).unwrap();
    assert!(text.contains("ledger.db"), "{text}");
    text.lines()
        .filter(|call| writes(call))
        .map(str::to_owned)
        .collect()
}

/// Calls that change a name, an owner, a mode, a time or a size.
const CHANGES: [&str; 24] = [
    "rename",
    "renameat",
    "renameat2",
    "mkdir",
    "mkdirat",
    "rmdir",
    "unlink",
    "unlinkat",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "chmod",
    "fchmod",
    "fchmodat",
    "chown",
    "fchown",
    "fchownat",
    "lchown",
    "utimensat",
    "truncate",
    "ftruncate",
    "fallocate",
    "mknodat",
];

/// Calls that write, or wait for what was written, through a descriptor.
const WRITES: [&str; 9] = [
    "write",
    "pwrite64",
    "writev",
    "pwritev",
    "pwritev2",
    "fsync",
    "fdatasync",
    "syncfs",
    "copy_file_range",
];

fn writes(line: &str) -> bool {
    // `4711 openat(AT_FDCWD</tmp>, "…", O_RDWR|O_CREAT, 0600) = 3</tmp/…>`
    let call = line
        .split_once(' ')
        .map_or(line, |(_, call)| call.trim_start());
    let Some((name, arguments)) = call.split_once('(') else {
        return false;
    };
    let is_stdio = |text: &str| ["0<", "1<", "2<"].iter().any(|fd| text.starts_with(fd));
    // Locks of SQLite's and between threads go through memory and eventfds.
    let is_a_file = arguments.contains("</") && !arguments.starts_with("eventfd");
    match name {
        "open" | "openat" | "openat2" | "creat" => {
            let opens_to_write = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"]
                .iter()
                .any(|flag| arguments.contains(flag));
            // SQLite opens the ledger for reading and writing; that alone writes nothing.
            let is_ledger = arguments.contains("ledger.db\"") && !arguments.contains("O_CREAT");
            opens_to_write && !is_ledger && !arguments.contains("\"/dev/")
        }
        // Removing a directory that is not empty, in the hope that it is, changes nothing.
        _ if CHANGES.contains(&name) => !call.contains(" = -1 E"),
        _ if WRITES.contains(&name) => is_a_file && !is_stdio(arguments),
        _ => false,
    }
}
