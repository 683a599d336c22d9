//! Disks that are full, or cannot be written.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use pgpki_testing::{Scene, run};

use crate::fixture::{FAILED, back_up, is_sound, lose_home, names, opened, scene, sealed};

/// A small filesystem of its own, unmounted however the test ends.
struct Disk(PathBuf);

impl Disk {
    fn mount(scene: &Scene) -> Self {
        assert!(
            nix::unistd::geteuid().is_root(),
            "this test mounts filesystems: run it as root, as CI does"
        );
        let path = scene.path("disk");
        fs::create_dir(&path).unwrap();
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m,mode=0755", "tmpfs"])
            .arg(&path));
        Self(path)
    }

    fn remount(&self, how: &str) {
        let how = format!("remount,{how}");
        run(Command::new("mount").args(["-o", &how]).arg(&self.0));
    }

    /// Takes all the room but this many pages.
    fn leave(&self, pages: u64) {
        let path = self.0.join("filler");
        let mut filler = File::create(path).unwrap();
        let mut size = 0;
        while let Ok(written) = filler.write(&[1; 4096]) {
            size += written as u64;
        }
        filler.set_len(size - pages * 4096).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_under_the_backup() {
    let scene = scene();
    let disk = Disk::mount(&scene);
    for pages in [0, 1, 5, 12] {
        disk.leave(pages);
        let said = scene.fails(FAILED, "backup --passphrase-file pass disk/pki.age");
        assert!(
            said.contains("disk/pki.age: No space left on device"),
            "{said}"
        );
        assert_eq!(names(&disk.0), ["filler"], "{pages}: {said}");
    }
    fs::write(disk.0.join("filler"), "").unwrap();
    let old = fs::read(back_up(&scene, "disk/pki.age")).unwrap();
    disk.leave(5);
    scene.fails(FAILED, "backup --passphrase-file pass --force disk/pki.age");
    assert_eq!(fs::read(disk.0.join("pki.age")).unwrap(), old);
    assert_eq!(names(&disk.0), ["filler", "pki.age"]);
}

#[test]
fn a_full_disk_under_the_home() {
    let scene = scene();
    let backup = fs::read(back_up(&scene, "pki.age")).unwrap();
    fs::write(scene.path("quick.age"), sealed(&opened(&backup))).unwrap();
    let disk = Disk::mount(&scene);
    let line = "restore --passphrase-file pass quick.age --home disk/deep/home";
    let mut failed = 0;
    for pages in 0.. {
        disk.leave(pages);
        let output = scene.command(line.split(' ')).output().unwrap();
        if output.status.success() {
            break;
        }
        failed += 1;
        let said = crate::fixture::said(&output);
        assert_eq!(output.status.code(), Some(FAILED), "{pages}: {said}");
        assert!(
            said.contains("No space left on device") || said.contains("disk is full"),
            "{pages}: {said}"
        );
        assert_eq!(names(&disk.0), ["filler"], "{pages}: {said}");
    }
    assert!(failed > 10, "it needs no room?");
    is_sound(&disk.0.join("deep/home"));
    // A home on a full disk can still be backed up elsewhere.
    disk.leave(0);
    let home = disk.0.join("deep/home").display().to_string();
    scene.pgpki(&format!(
        "backup --passphrase-file pass saved.age --home {home}"
    ));
}

#[test]
fn a_read_only_disk() {
    let scene = scene();
    back_up(&scene, "pki.age");
    let disk = Disk::mount(&scene);
    scene.pgpki("restore --passphrase-file pass pki.age --home disk/home");
    disk.remount("ro");
    let said = scene.fails(FAILED, "backup --passphrase-file pass disk/pki.age");
    assert!(said.contains("Read-only file system"), "{said}");
    let line = "restore --passphrase-file pass pki.age --home disk/new";
    let said = scene.fails(FAILED, line);
    assert!(said.contains("Read-only file system"), "{said}");
    assert_eq!(names(&disk.0), ["home"]);
    // What is on one can be saved from it.
    scene.pgpki("backup --passphrase-file pass saved.age --home disk/home");
    lose_home(&scene);
    scene.pgpki("restore --passphrase-file pass saved.age");
    is_sound(&scene.home());
}
