//! Files that cannot be written: an error, and everything as it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::geteuid;
use pgpki_testing::{as_user, replace, run};

use crate::fixture::{EVERYTHING, Files, Stage};

fn needs_root() {
    assert!(
        geteuid().is_root(),
        "this test mounts filesystems: run it as root, as CI does"
    );
}

/// Undone however the test ends.
struct Undo(Vec<Command>);

impl Drop for Undo {
    fn drop(&mut self) {
        for command in &mut self.0 {
            let _ = command.status();
        }
    }
}

fn command(program: &str, args: &[&str], path: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(args).arg(path);
    command
}

fn mount(args: &[&str], at: &Path) -> Undo {
    run(&mut command("mount", args, at));
    Undo(vec![command("umount", &["-l"], at)])
}

fn conf_d(stage: &Stage) -> PathBuf {
    let conf_d = stage.cluster.data_dir().join("conf.d");
    fs::create_dir(&conf_d).unwrap();
    stage.cluster.owner().take(&conf_d).unwrap();
    let text = fs::read_to_string(stage.conf()).unwrap();
    replace(stage.conf(), format!("{text}\ninclude_dir 'conf.d'\n"));
    conf_d
}

/// Everything works once the obstacle is gone.
#[track_caller]
fn then_works(stage: &Stage) {
    let before = Files::of(&stage.cluster);
    stage.configure(&EVERYTHING);
    stage.serves_what_is_installed();
    stage.configure(&["--remove"]);
    before.assert_unchanged(&stage.cluster);
}

#[test]
fn a_conf_d_that_is_read_only() {
    needs_root();
    let stage = Stage::new();
    let conf_d = conf_d(&stage);
    let path = conf_d.to_str().unwrap();
    let mounted = mount(&["-o", "bind", path], &conf_d);
    run(&mut command("mount", &["-o", "remount,bind,ro"], &conf_d));
    let said = stage.refuses(5, &EVERYTHING);
    assert!(said.contains(path), "{said}");
    drop(mounted);
    then_works(&stage);
}

/// A single file that is mounted, as containers have it, cannot be replaced. What has been written
/// before it is taken back.
#[test]
fn a_file_that_is_a_mount_of_its_own() {
    needs_root();
    let stage = Stage::new();
    for path in [stage.hba(), stage.conf()] {
        let mounted = mount(&["-o", "bind", path.to_str().unwrap()], &path);
        let said = stage.refuses(5, &EVERYTHING);
        assert!(said.contains(path.to_str().unwrap()), "{said}");
        drop(mounted);
    }
    then_works(&stage);
}

#[test]
fn a_pg_hba_conf_that_is_immutable() {
    needs_root();
    let stage = Stage::new();
    let hba = stage.hba();
    let attempt = command("chattr", &["+i"], &hba).status();
    if !attempt.is_ok_and(|status| status.success()) {
        // Not every filesystem has the attribute; the mounts above stand for it there.
        return;
    }
    let attribute = Undo(vec![command("chattr", &["-i"], &hba)]);
    let said = stage.refuses(5, &EVERYTHING);
    assert!(said.contains("pg_hba.conf"), "{said}");
    drop(attribute);
    then_works(&stage);
}

/// The rest of a small filesystem is taken, byte by byte less.
#[test]
fn a_filesystem_without_room() {
    needs_root();
    let stage = Stage::new();
    let conf_d = conf_d(&stage);
    let _mounted = mount(&["-t", "tmpfs", "-o", "size=64k", "tmpfs"], &conf_d);
    stage.cluster.owner().take(&conf_d).unwrap();
    let filler = conf_d.join("filler");
    let full = fs::write(&filler, vec![0; 1 << 20]);
    assert!(full.is_err(), "a megabyte fits into 64 KiB");
    let said = stage.refuses(5, &EVERYTHING);
    assert!(said.contains("conf.d"), "{said}");
    fs::remove_file(filler).unwrap();
    then_works(&stage);
}

/// A run that is not root's, in a directory of root's.
#[test]
fn a_caller_who_may_not_write() {
    needs_root();
    let stage = Stage::new();
    let conf_d = conf_d(&stage);
    std::os::unix::fs::chown(&conf_d, Some(0), Some(0)).unwrap();
    let before = Files::of(&stage.cluster);
    let owner = stage.cluster.owner();
    let by = |uid, gid| {
        let command = stage.command(&EVERYTHING);
        let mut command = as_user(&command, uid, gid, &stage.scene.path(""));
        command.output().unwrap()
    };
    let output = by(owner.uid, owner.gid);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    before.assert_unchanged(&stage.cluster);
    let nobody = by(65534, 65534);
    assert!(matches!(nobody.status.code(), Some(4 | 5)), "{nobody:?}");
    before.assert_unchanged(&stage.cluster);
}
