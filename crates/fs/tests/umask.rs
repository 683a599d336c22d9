//! No umask makes a mode other than the one asked for. The umask is the process's, so this has a
//! process of its own, and one test.
#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::sys::stat::{Mode, umask};
use pgpki_fs::{Installation, NewFile, Owner, PrivateDir, Shelf};

/// Where the test runs itself again as somebody who may not pass a mode of 0.
const PLACE: &str = "PGPKI_UMASK_TEST_PLACE";

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn use_everything(place: &Path) {
    let owner = Owner::caller();
    let files = [
        NewFile {
            name: "a.key",
            mode: 0o600,
            bytes: b"key",
        },
        NewFile {
            name: "a.crt",
            mode: 0o644,
            bytes: b"certificate",
        },
    ];
    let (installation, _) = Installation::prepare(&place.join("way/tls"), owner).unwrap();
    installation
        .publish(installation.stage(&files).unwrap().sync().unwrap())
        .unwrap();
    let (shelf, _) = Shelf::prepare(&place.join("shelf")).unwrap();
    for replace in [false, true] {
        let synced = shelf.stage(&files, owner).unwrap().sync().unwrap();
        shelf.publish(synced, OsStr::new("alice"), replace).unwrap();
    }
    let new = PrivateDir::stage_new(&place.join("home")).unwrap();
    new.dir()
        .create_subdir("root")
        .unwrap()
        .write_new("a.key", 0o600, b"key")
        .unwrap();
    new.dir().replace("pgpki.toml", 0o644, b"").unwrap();
    new.commit().unwrap();

    for (path, expected) in [
        ("way", 0o755),
        ("way/tls", 0o700),
        ("way/tls/g0001", 0o700),
        ("way/tls/g0001/a.key", 0o600),
        ("way/tls/g0001/a.crt", 0o644),
        ("shelf", 0o700),
        ("shelf/.pgpki", 0o700),
        ("shelf/.pgpki/alice", 0o700),
        ("shelf/.pgpki/alice/g0001/a.key", 0o600),
        ("shelf/alice", 0o700),
        ("shelf/alice/a.key", 0o600),
        ("shelf/alice/a.crt", 0o644),
        ("home", 0o700),
        ("home/root", 0o700),
        ("home/root/a.key", 0o600),
        ("home/pgpki.toml", 0o644),
    ] {
        assert_eq!(mode(&place.join(path)), expected, "{path}");
    }
}

#[test]
fn modes_are_exact_whatever_the_umask() {
    if let Some(place) = std::env::var_os(PLACE) {
        for mask in [0, 0o777] {
            umask(Mode::from_bits_truncate(mask));
            use_everything(&Path::new(&place).join(format!("{mask:o}")));
        }
        return;
    }
    let me = Owner::caller();
    let nobody = Owner {
        uid: 65534,
        gid: 65534,
    };
    for user in if me.uid == 0 {
        vec![me, nobody]
    } else {
        vec![me]
    } {
        let place = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(place.path(), Some(user.uid), Some(user.gid)).unwrap();
        for mask in ["0", "777"] {
            let path = place.path().join(mask);
            fs::create_dir(&path).unwrap();
            std::os::unix::fs::chown(&path, Some(user.uid), Some(user.gid)).unwrap();
        }
        // A copy, because the way to the build directory may be closed to others.
        let copy = place.path().join("umask-test");
        fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new(&copy);
        command.args([
            "--exact",
            "modes_are_exact_whatever_the_umask",
            "--nocapture",
        ]);
        command
            .env(PLACE, place.path().canonicalize().unwrap())
            .current_dir("/");
        if user != me {
            command.uid(user.uid).gid(user.gid);
        }
        assert!(command.status().unwrap().success(), "as {user}");
    }
}
