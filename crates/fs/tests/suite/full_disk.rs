//! No room, and no permission.

use std::path::{Path, PathBuf};
use std::process::Command;

use pgpki_fs::{Installation, InstallationError, NewFile, Owner, PrivateDir, Shelf};

use crate::scene::{Scene, is_root, names, set};

/// A filesystem of 64 KiB, unmounted with the test however it ends.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(scene: &Scene) -> Self {
        let path = scene.dir("disk", 0o755, Owner::caller());
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k,mode=0755", "tmpfs"])
            .arg(&path));
        Self(path)
    }

    fn remount(&self, how: &str) {
        run(Command::new("mount")
            .arg("-o")
            .arg(format!("remount,{how}"))
            .arg(&self.0));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

fn check_installed(path: &Path, mark: &str) {
    let installation = Installation::open(path, Owner::caller()).unwrap();
    assert_eq!(installation.current().unwrap(), Some(1));
    assert_eq!(
        installation.read(1, "server.key", 9).unwrap().unwrap(),
        mark.as_bytes()
    );
    assert_eq!(names(path), ["current", "g0001"]);
}

#[test]
fn a_full_disk_leaves_the_old_set_and_says_so() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let disk = SmallDisk::mount(&scene);
    let path = disk.0.canonicalize().unwrap().join("tls");
    let (installation, _) = Installation::prepare(&path, Owner::caller()).unwrap();
    installation
        .publish(installation.stage(&set("old")).unwrap().sync().unwrap())
        .unwrap();

    let large = vec![0; 100_000];
    let files = [NewFile {
        name: "server.key",
        mode: 0o600,
        bytes: &large,
    }];
    let error = installation.stage(&files).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("cannot write {}/.new-", path.display())),
        "{text}"
    );
    assert!(
        text.ends_with("/server.key: No space left on device"),
        "{text}"
    );
    assert!(error.hint().unwrap().contains("df"));
    check_installed(&path, "old");

    let shelf = Shelf::open(path.parent().unwrap()).unwrap();
    assert!(shelf.stage(&files, Owner::caller()).is_err());
    drop(shelf);
    let new = PrivateDir::stage_new(&path.with_file_name("home")).unwrap();
    assert!(new.dir().write_new("key", 0o600, &large).is_err());
    assert!(names(new.dir().path()).is_empty());
    drop(new);
    assert_eq!(names(&disk.0), ["tls"]);
}

#[test]
fn a_read_only_disk_can_be_read_and_swept() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let disk = SmallDisk::mount(&scene);
    let path = disk.0.canonicalize().unwrap().join("tls");
    let (installation, _) = Installation::prepare(&path, Owner::caller()).unwrap();
    installation
        .publish(installation.stage(&set("old")).unwrap().sync().unwrap())
        .unwrap();
    let staged = installation.stage(&set("new")).unwrap().sync().unwrap();
    disk.remount("ro");
    let error = installation.publish(staged).unwrap_err();
    assert!(
        error.to_string().ends_with("Read-only file system"),
        "{error}"
    );
    assert!(matches!(error, InstallationError::Io(_)), "{error:?}");
    disk.remount("rw");
    assert_eq!(installation.sweep().unwrap().removed, 1);
    disk.remount("ro");
    assert_eq!(installation.sweep().unwrap().removed, 0);
    check_installed(&path, "old");
    assert!(Installation::prepare(&path.with_file_name("new"), Owner::caller()).is_err());
}
