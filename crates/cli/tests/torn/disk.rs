//! Disks that are full, or cannot be written: nothing changes, the message names the file, and with
//! room again the next run succeeds.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgpki_testing::run;

use crate::fixture::{Fixture, finish, said};
use crate::state::ended_well;
use crate::tree::Tree;

/// The unit in which a tmpfs gives out room, in bytes.
const PAGE: u64 = 4096;

/// A small filesystem of its own, unmounted however the test ends.
struct Disk(PathBuf);

impl Disk {
    fn mount(fixture: &Fixture) -> Self {
        let path = fixture.path("disk");
        fs::create_dir(&path).unwrap();
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m,mode=0755", "tmpfs"])
            .arg(&path));
        Self(path)
    }

    fn remount(&self, how: &str) {
        run(Command::new("mount")
            .args(["-o", &format!("remount,{how}")])
            .arg(&self.0));
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Takes all the room but this many pages.
    fn leave(&self, pages: u64) {
        let mut filler = File::create(self.filler()).unwrap();
        let page = [1; PAGE as usize];
        let mut size = 0;
        while let Ok(written) = filler.write(&page) {
            size += written as u64;
        }
        filler.set_len(size - pages * PAGE).unwrap();
    }

    fn empty(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    /// All that is on it but the filler.
    fn tree(&self) -> Tree {
        let mut tree = Tree::read(&self.0);
        tree.0.remove(Path::new("filler"));
        tree
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// What must have been said about a failure on the disk.
fn check_message(disk: &Disk, said: &str, words: &[&str]) {
    assert!(
        words.iter().any(|it| said.contains(it)),
        "none of {words:?} in {said}"
    );
    assert!(
        said.contains(&disk.0.display().to_string()),
        "no file is named: {said}"
    );
}

const FULL: [&str; 2] = ["No space left on device", "database or disk is full"];
const READ_ONLY: [&str; 2] = ["Read-only file system", "readonly database"];

/// Runs a command with less and less room until it fails for the lack of it. In between it fails at
/// every point where it could.
fn sweep(fixture: &Fixture, disk: &Disk, line: &str, forget: impl Fn()) {
    let mut failed = 0;
    for pages in 0.. {
        forget();
        let (before, elsewhere) = (disk.tree(), elsewhere(fixture));
        disk.leave(pages);
        let output = finish(&mut fixture.command(line.split(' ')));
        let status = ended_well(&output).unwrap();
        if status == 0 {
            disk.empty();
            break;
        }
        failed += 1;
        let text = said(&output);
        assert_eq!(status, 5, "{pages} pages: {text}");
        check_message(disk, &text, &FULL);
        let after = disk.tree();
        assert!(
            live(&before) == live(&after),
            "{pages} pages, and it changed:\n{}\nto\n{}\n{text}",
            before.listing(),
            after.listing()
        );
        assert!(
            live(&elsewhere) == live(&self::elsewhere(fixture)),
            "{pages} pages, and it changed something elsewhere: {text}"
        );
        disk.empty();
        let output = finish(&mut fixture.command(line.split(' ')));
        assert_eq!(
            ended_well(&output),
            Ok(0),
            "{pages} pages, then all: {}",
            said(&output)
        );
    }
    assert!(failed > 2, "{line} needs no room?");
}

/// What is not on the disk.
fn elsewhere(fixture: &Fixture) -> Tree {
    let mut tree = fixture.tree();
    tree.0.retain(|path, _| !path.starts_with("disk"));
    tree
}

/// All but the ledger: that a certificate was issued is recorded even if it never arrived.
fn live(tree: &Tree) -> Tree {
    let mut tree = tree.clone();
    tree.0.retain(|path, _| !path.ends_with("ledger.db"));
    tree
}

#[test]
fn a_full_disk_under_the_installation() {
    crate::need_root();
    let fixture = Fixture::new();
    let disk = Disk::mount(&fixture);
    let init = fixture
        .init_line()
        .replace("--install tls", "--install disk/tls");
    sweep(&fixture, &disk, &init, || {
        crate::tree::remove(&fixture.path("home"));
        crate::tree::remove(&disk.0.join("tls"));
    });
    sweep(&fixture, &disk, "rotate --force", || {});
}

#[test]
fn a_full_disk_under_the_home() {
    crate::need_root();
    let fixture = Fixture::new();
    let disk = Disk::mount(&fixture);
    let init = format!("{} --home disk/home", fixture.init_line());
    sweep(&fixture, &disk, &init, || {
        crate::tree::remove(&disk.0.join("home"));
        crate::tree::remove(&fixture.path("tls"));
    });
    sweep(&fixture, &disk, "rotate --force --home disk/home", || {});
    let issue = "issue-client alice --out out --home disk/home";
    sweep(&fixture, &disk, issue, || {});
}

#[test]
fn a_full_disk_under_the_folders() {
    crate::need_root();
    let fixture = Fixture::new();
    let disk = Disk::mount(&fixture);
    fixture.init();
    sweep(&fixture, &disk, "issue-client alice bob --out disk", || {});
    // The installation comes first and is renewed; what is meant here is the folders.
    fs::remove_dir_all(fixture.path("tls")).unwrap();
    let before = disk.tree();
    disk.leave(0);
    let output = finish(&mut fixture.command(["rotate", "--force"]));
    assert_eq!(ended_well(&output), Ok(5), "{}", said(&output));
    check_message(&disk, &said(&output), &FULL);
    assert_eq!(disk.tree(), before, "{}", said(&output));
}

#[test]
fn a_read_only_disk_under_each_in_turn() {
    crate::need_root();
    for (what, line) in [
        ("home", "rotate --force --home disk/home"),
        ("home", "issue-client bob --out out --home disk/home"),
        ("tls", "rotate --force"),
        ("out", "rotate --force"),
        ("out", "issue-client bob --out disk/out"),
    ] {
        let fixture = Fixture::new();
        let disk = Disk::mount(&fixture);
        let place = |name: &str| match name == what {
            true => format!("disk/{name}"),
            false => name.to_owned(),
        };
        let home = format!("--home {}", place("home"));
        let init = fixture
            .init_line()
            .replace("--install tls", &format!("--install {}", place("tls")));
        fixture.pgpki(&format!("{init} {home}"));
        fixture.pgpki(&format!("issue-client alice --out {} {home}", place("out")));
        let before = disk.tree();
        disk.remount("ro");
        let output = finish(&mut fixture.command(line.split(' ')));
        // Where one place of two could be renewed, it was.
        let expected = if line == "rotate --force" { 1 } else { 5 };
        assert_eq!(
            ended_well(&output),
            Ok(expected),
            "{what}: {}",
            said(&output)
        );
        check_message(&disk, &said(&output), &READ_ONLY);
        assert_eq!(disk.tree(), before, "{what}: {}", said(&output));
        // Looking needs no writing.
        let home = place("home");
        fixture.pgpki(&format!("inspect --home {home}"));
        disk.remount("rw");
        fixture.pgpki(line);
    }
}

#[test]
fn an_init_on_a_read_only_disk_makes_nothing() {
    crate::need_root();
    let fixture = Fixture::new();
    let disk = Disk::mount(&fixture);
    disk.remount("ro");
    for line in [
        fixture
            .init_line()
            .replace("--install tls", "--install disk/tls"),
        format!("{} --home disk/home", fixture.init_line()),
        format!("{} --home disk/new/home", fixture.init_line()),
    ] {
        let output = finish(&mut fixture.command(line.split(' ')));
        assert_eq!(ended_well(&output), Ok(5), "{}", said(&output));
        check_message(&disk, &said(&output), &READ_ONLY);
        assert!(
            elsewhere(&fixture).0.is_empty(),
            "{}",
            fixture.tree().listing()
        );
    }
}
