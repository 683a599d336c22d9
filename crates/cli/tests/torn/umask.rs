//! Modes are as documented under any umask, at every instant: strace shows each one that was asked
//! for.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use pgpki_testing::startable_copy;

use crate::fixture::{Fixture, finish, said};
use crate::strace::strace;
use crate::tree::{Content, Tree, holds_key};

/// Calls that give a file or directory its mode.
const CALLS: &str =
    "?open,openat,?creat,?mkdir,mkdirat,?mknod,?mknodat,?chmod,fchmod,fchmodat,umask,execve";

/// Runs a command line under an umask, as a user, and checks every mode on the way.
fn run(fixture: &Fixture, umask: &str, uid: Option<u32>, line: &str) {
    let dir = tempfile::TempDir::new().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
    let log = dir.path().join("log");
    fs::write(&log, "").unwrap();
    fs::set_permissions(&log, Permissions::from_mode(0o666)).unwrap();
    let traced = strace(&log, CALLS);
    let mut command = Command::new("strace");
    command
        .args(traced.get_args())
        .args(["sh", "-c", "umask $0; exec \"$@\"", umask])
        .arg(startable_copy(env!("CARGO_BIN_EXE_pgpki"), dir.path()))
        .args(line.split(' '));
    fixture.set_up(&mut command);
    if let Some(uid) = uid {
        command.uid(uid).gid(uid);
    }
    let output = finish(&mut command);
    assert!(
        output.status.success(),
        "umask {umask}: {line}\n{}",
        said(&output)
    );

    let log = fs::read_to_string(&log).unwrap();
    // What the shell does before is not ours.
    let (_, log) = log.rsplit_once(" execve(").unwrap();
    let mut seen = 0;
    for call in log.lines().filter(|call| !call.contains("= -1 ")) {
        let Some(mode) = mode_asked_for(call) else {
            continue;
        };
        seen += 1;
        // Files begin closed, and only certificates are opened, once they are whole.
        let allowed: &[u32] = match call {
            _ if call.contains("mkdir") => &[0o700],
            _ if call.contains("O_CREAT") => &[0o600],
            _ => &[0o600, 0o644, 0o700],
        };
        assert!(allowed.contains(&mode), "mode {mode:04o}: {call}");
    }
    assert!(
        !log.contains(" umask("),
        "the umask is the whole process's:\n{log}"
    );
    assert!(seen > 4, "strace saw {seen} modes:\n{log}");
}

/// The mode is the last argument of all of these that have one.
fn mode_asked_for(call: &str) -> Option<u32> {
    let gives_one = call.contains("O_CREAT") || call.contains("mkdir") || call.contains("chmod");
    let arguments = call.rsplit_once(") ")?.0;
    let mode = arguments
        .rsplit(", ")
        .map(str::trim)
        .find(|it| it.starts_with('0') && it.bytes().all(|byte| byte.is_ascii_digit()))?;
    gives_one.then(|| u32::from_str_radix(mode, 8).unwrap())
}

/// The modes in docs/files.md.
fn check_modes(tree: &Tree) {
    let listing = tree.listing();
    for (path, node) in &tree.0 {
        let name = path.file_name().unwrap().to_string_lossy();
        let expected = match &node.content {
            Content::Dir => 0o700,
            Content::Link(_) => continue,
            _ if path.starts_with("home") => 0o600,
            Content::File(bytes) if holds_key(bytes) => 0o600,
            _ if name.ends_with(".crt") || name.ends_with(".crl") => 0o644,
            _ => panic!("{path:?} is not expected:\n{listing}"),
        };
        assert_eq!(
            node.mode, expected,
            "{path:?}, mode {:04o}:\n{listing}",
            node.mode
        );
    }
}

fn main_job(fixture: &Fixture, umask: &str, uid: Option<u32>) {
    let init = match uid {
        None => fixture.init_line(),
        Some(_) => "init localhost --no-root-passphrase --install tls".to_owned(),
    };
    for line in [
        &*init,
        "issue-client alice bob --out out",
        "rotate --force",
        "rotate --force",
    ] {
        run(fixture, umask, uid, line);
        check_modes(&fixture.tree());
    }
}

#[test]
fn no_umask_changes_a_mode() {
    crate::need_root();
    for umask in ["0000", "0777"] {
        main_job(&Fixture::new(), umask, None);
    }
}

#[test]
fn no_umask_changes_a_mode_for_an_ordinary_user() {
    crate::need_root();
    for umask in ["0000", "0777"] {
        let fixture = Fixture::new();
        let uid = fixture.owner().uid;
        std::os::unix::fs::chown(fixture.root(), Some(uid), Some(uid)).unwrap();
        main_job(&fixture, umask, Some(uid));
    }
}

/// What is made on the way to a home or an installation has one mode, too.
#[test]
fn directories_on_the_way_have_one_mode_under_any_umask() {
    crate::need_root();
    for umask in ["0000", "0777"] {
        let fixture = Fixture::new();
        let line = "init localhost --no-root-passphrase --home a/b/home --install c/d/tls";
        let mut command = Command::new("sh");
        command
            .args(["-c", "umask $0; exec \"$@\"", umask])
            .arg(env!("CARGO_BIN_EXE_pgpki"))
            .args(line.split(' '));
        fixture.set_up(&mut command);
        let output = finish(&mut command);
        assert!(output.status.success(), "{}", said(&output));
        let tree = fixture.tree();
        for (path, mode) in [
            ("a", 0o755),
            ("a/b", 0o700),
            ("a/b/home", 0o700),
            ("c", 0o755),
            ("c/d", 0o755),
            ("c/d/tls", 0o700),
        ] {
            let node = &tree.0[std::path::Path::new(path)];
            assert_eq!(
                node.mode, mode,
                "umask {umask}: {path} is {:04o}",
                node.mode
            );
        }
    }
}

/// A file that others could read never becomes the key.
#[test]
fn a_file_that_is_open_under_the_keys_name_is_not_written_into() {
    crate::need_root();
    let fixture = Fixture::new();
    // Of the server's user, in the installation itself, before there is one.
    let tls = fixture.path("tls");
    fs::create_dir(&tls).unwrap();
    fs::set_permissions(&tls, Permissions::from_mode(0o700)).unwrap();
    for name in ["server.key", "server.crt"] {
        fs::write(tls.join(name), "old\n").unwrap();
        fs::set_permissions(tls.join(name), Permissions::from_mode(0o644)).unwrap();
        fixture.owner().take(&tls.join(name)).unwrap();
    }
    fixture.owner().take(&tls).unwrap();
    fixture.init();
    assert_eq!(fs::read_to_string(tls.join("server.key")).unwrap(), "old\n");

    fixture.pgpki("issue-client alice --out out");
    let keys = [
        fixture.path("out/alice/postgresql.key"),
        tls.join("current/server.key"),
    ];
    for key in &keys {
        fs::set_permissions(key, Permissions::from_mode(0o644)).unwrap();
    }
    fixture.pgpki("rotate --force");
    for key in &keys {
        let mode = fs::metadata(key).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600, "{}", key.display());
    }
    // A folder of the role's name that this authority did not make is nobody's to fill.
    fs::create_dir(fixture.path("out/bob")).unwrap();
    let open = fixture.path("out/bob/postgresql.key");
    fs::write(&open, "old\n").unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o644)).unwrap();
    let output = finish(&mut fixture.command(["issue-client", "bob", "--out", "out"]));
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert_eq!(fs::read_to_string(&open).unwrap(), "old\n");
}
