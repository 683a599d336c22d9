//! The defaults of somebody who is not root.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use pgpki_testing::{Scene, attempt, run, startable_copy};

/// Nobody, who has no home of his own.
const UID: u32 = 65534;

struct Person {
    scene: Scene,
    program: PathBuf,
}

impl Person {
    fn new() -> Self {
        crate::need_root();
        let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
        fs::create_dir(scene.path("me")).unwrap();
        chown(scene.path("me"), Some(UID), Some(UID)).unwrap();
        let program = startable_copy(env!("CARGO_BIN_EXE_pgpki"), &scene.path(""));
        Self { scene, program }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scene.path("me").join(name)
    }

    fn pgpki(&self, line: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(line.split(' '))
            .current_dir(self.scene.path("me"))
            .env_clear()
            .env("HOME", self.scene.path("me"))
            .stdin(Stdio::null())
            .uid(UID)
            .gid(UID);
        command
    }
}

const INIT: &str = "init --no-root-passphrase --install tls localhost";

#[test]
fn at_home() {
    let person = Person::new();
    run(&mut person.pgpki(INIT));
    let home = person.path(".local/share/pgpki").metadata().unwrap();
    assert_eq!((home.mode() & 0o7777, home.uid()), (0o700, UID));
    assert_eq!(person.path("tls").metadata().unwrap().uid(), UID);
    run(&mut person.pgpki("issue-client alice --out hand-over"));
    run(&mut person.pgpki("rotate --force"));
    let said = run(&mut person.pgpki("inspect")).stdout;
    let said = String::from_utf8(said).unwrap();
    let home = person.path(".local/share/pgpki");
    assert!(said.starts_with(home.to_str().unwrap()), "{said}");
}

#[test]
fn where_xdg_says() {
    let person = Person::new();
    let data = person.path("data");
    run(person.pgpki(INIT).env("XDG_DATA_HOME", &data));
    assert!(data.join("pgpki/ledger.db").exists());
    assert!(!person.path(".local").exists());
    run(person
        .pgpki("inspect")
        .env("XDG_DATA_HOME", &data)
        .env_remove("HOME"));
    run(person
        .pgpki("inspect")
        .env("PGPKI_HOME", data.join("pgpki")));
}

/// The specification has it so.
#[test]
fn a_relative_or_empty_xdg_is_as_none() {
    for data in ["data", "", "./data"] {
        let person = Person::new();
        run(person.pgpki(INIT).env("XDG_DATA_HOME", data));
        assert!(
            person.path(".local/share/pgpki/ledger.db").exists(),
            "{data:?}"
        );
    }
}

#[test]
fn without_any_home() {
    let person = Person::new();
    for line in [INIT, "inspect", "rotate", "issue-client alice --out o"] {
        for home in [None, Some(""), Some("relative")] {
            let mut command = person.pgpki(line);
            command.env_remove("HOME");
            home.map(|home| command.env("HOME", home));
            let failure = attempt(&mut command).unwrap_err();
            for part in ["exit status: 2", "HOME", "--home"] {
                assert!(failure.contains(part), "{part:?} is not in {failure}");
            }
        }
    }
    assert_eq!(fs::read_dir(person.path("")).unwrap().count(), 0);
}

/// `/etc/ssl` is root's.
#[test]
fn the_default_installation_is_not_his() {
    let person = Person::new();
    let line = "init --no-root-passphrase localhost";
    let failure = attempt(&mut person.pgpki(line)).unwrap_err();
    for part in ["exit status: 5", "/etc/ssl", "ermission", "run as root"] {
        assert!(failure.contains(part), "{part:?} is not in {failure}");
    }
    assert_eq!(
        fs::read_dir(person.path("")).unwrap().count(),
        0,
        "nothing is left behind"
    );
}

#[test]
fn files_for_somebody_else() {
    let person = Person::new();
    for owner in ["postgres", "root", "0:0", "root:root"] {
        let failure = attempt(&mut person.pgpki(&format!("{INIT} --owner {owner}"))).unwrap_err();
        for part in ["exit status: 3", "only root", "--owner"] {
            assert!(failure.contains(part), "{part:?} is not in {failure}");
        }
    }
    assert_eq!(fs::read_dir(person.path("")).unwrap().count(), 0);
    // Himself is another matter.
    run(&mut person.pgpki(&format!("{INIT} --owner {UID}")));
}

/// The names of root's places are no secret; what is in them is.
#[test]
fn roots_authority() {
    let person = Person::new();
    run(&mut person.scene.command([
        "init",
        "--no-root-passphrase",
        "--install",
        "tls",
        "--owner",
        "root",
        "localhost",
    ]));
    let home = person.scene.home();
    for line in ["inspect", "rotate", "issue-client alice --out o"] {
        let failure = attempt(person.pgpki(line).env("PGPKI_HOME", &home)).unwrap_err();
        assert!(failure.contains(home.to_str().unwrap()), "{failure}");
        assert!(
            failure.contains("exit status: 3") || failure.contains("exit status: 5"),
            "{failure}"
        );
    }
}
