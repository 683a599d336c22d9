//! The home.

use std::fs;
use std::os::unix::fs::symlink;

use pgpki_fs::{Kind, Owner, PrivateDir, PrivateError, ReadError, WalkError};

use crate::scene::{HOSTILE, Scene, chmod, chown, is_root, names, seen};

fn new_home(scene: &Scene) -> PrivateDir {
    PrivateDir::stage_new(&scene.path("home"))
        .unwrap()
        .commit()
        .unwrap()
}

#[test]
fn a_home_appears_whole_or_not_at_all() {
    let scene = Scene::new();
    let path = scene.path("var/lib/pgpki");
    let new = PrivateDir::stage_new(&path).unwrap();
    new.dir()
        .create_subdir("root")
        .unwrap()
        .write_new("root.key", 0o600, b"key")
        .unwrap();
    assert!(!path.exists());
    let home = new.commit().unwrap();
    assert_eq!(home.path(), path);
    assert_eq!(names(&scene.path("var/lib")), ["pgpki"]);
    assert_eq!(seen(&path).0, 0o700);
    assert_eq!(seen(&path.join("root/root.key")).0, 0o600);
    let again = PrivateDir::open(&path).unwrap();
    let root = again.subdir("root").unwrap();
    assert_eq!(root.read_secret("root.key", 100).unwrap().unwrap(), b"key");
}

#[test]
fn a_home_that_is_given_up_leaves_nothing() {
    let scene = Scene::new();
    let new = PrivateDir::stage_new(&scene.path("var/lib/pgpki")).unwrap();
    new.dir()
        .create_subdir("a")
        .unwrap()
        .create_subdir("b")
        .unwrap()
        .write_new("key", 0o600, b"")
        .unwrap();
    fs::write(scene.path("outside"), "").unwrap();
    symlink(scene.path("outside"), new.dir().path().join("link")).unwrap();
    drop(new);
    assert_eq!(names(&scene.path("")), ["outside"]);
}

#[test]
fn what_exists_is_no_place_for_a_home() {
    let scene = Scene::new();
    let exists = |refused| matches!(refused, Err(PrivateError::AlreadyExists { .. }));
    fs::write(scene.path("home"), "mine").unwrap();
    assert!(exists(PrivateDir::stage_new(&scene.path("home")).map(drop)));
    fs::remove_file(scene.path("home")).unwrap();

    let new = PrivateDir::stage_new(&scene.path("home")).unwrap();
    fs::create_dir(scene.path("home")).unwrap();
    fs::write(scene.path("home/x"), "mine").unwrap();
    assert!(exists(new.commit().map(drop)));
    assert_eq!(names(&scene.path("")), ["home"]);
    assert_eq!(names(&scene.path("home")), ["x"]);
}

#[test]
fn killed_inits_are_cleared_away_and_living_ones_are_not() {
    let scene = Scene::new();
    let dead = scene.path(".home.new-0123456789abcdef");
    fs::create_dir(&dead).unwrap();
    chmod(&dead, 0o700);
    fs::write(dead.join("issuing.key"), "key").unwrap();
    let living = PrivateDir::stage_new(&scene.path("home")).unwrap();
    assert!(!dead.exists());
    let second = PrivateDir::stage_new(&scene.path("home")).unwrap();
    assert!(living.dir().path().exists());
    living.commit().unwrap();
    assert!(second.commit().is_err());
    assert_eq!(names(&scene.path("")), ["home"]);
}

#[test]
fn only_a_directory_of_the_callers_alone_is_opened() {
    let scene = Scene::new();
    let refusal = |path: &str| match PrivateDir::open(&scene.path(path)) {
        Err(PrivateError::Directory(error)) => error,
        other => panic!("{path}: {other:?}"),
    };
    assert!(matches!(refusal("home"), WalkError::Missing { .. }));
    scene.dir("home", 0o750, Owner::caller());
    assert!(matches!(
        refusal("home"),
        WalkError::TooOpen { mode: 0o750, .. }
    ));
    symlink("home", scene.path("link")).unwrap();
    assert!(matches!(
        refusal("link"),
        WalkError::NotADirectory {
            kind: Kind::Symlink,
            ..
        }
    ));
    if is_root() {
        scene.dir("theirs", 0o700, HOSTILE);
        assert!(matches!(
            refusal("theirs"),
            WalkError::WrongOwner { seen: HOSTILE, .. }
        ));
    }
}

#[test]
fn files_are_written_once_or_replaced_whole() {
    let scene = Scene::new();
    let home = new_home(&scene);
    home.write_new("pgpki.toml", 0o644, b"one").unwrap();
    let refused = home.write_new("pgpki.toml", 0o600, b"two");
    assert!(matches!(refused, Err(PrivateError::AlreadyExists { .. })));
    assert_eq!(home.read("pgpki.toml", 9).unwrap().unwrap(), b"one");
    home.replace("pgpki.toml", 0o600, b"two").unwrap();
    assert_eq!(home.read("pgpki.toml", 9).unwrap().unwrap(), b"two");
    assert_eq!(seen(&home.path().join("pgpki.toml")).0, 0o600);
    home.replace("new", 0o600, b"x").unwrap();
    assert_eq!(home.read("none", 9).unwrap(), None);
    assert_eq!(names(home.path()), ["new", "pgpki.toml"]);

    home.create_subdir("root").unwrap();
    assert!(matches!(
        home.create_subdir("root"),
        Err(PrivateError::AlreadyExists { .. })
    ));
    assert!(home.replace("root", 0o600, b"").is_err());
    assert!(home.subdir("pgpki.toml").is_err());
    assert!(matches!(
        home.subdir("no"),
        Err(PrivateError::Directory(WalkError::Missing { .. }))
    ));
    for name in ["", "..", "a/b"] {
        assert!(matches!(
            home.write_new(name, 0o600, b""),
            Err(PrivateError::BadName { .. })
        ));
        assert!(matches!(
            home.subdir(name),
            Err(PrivateError::BadName { .. })
        ));
    }
    assert_eq!(names(home.path()), ["new", "pgpki.toml", "root"]);
}

#[test]
fn a_secret_is_the_callers_alone() {
    let scene = Scene::new();
    let home = new_home(&scene);
    home.write_new("key", 0o600, b"key").unwrap();
    let path = home.path().join("key");
    assert_eq!(home.read_secret("key", 9).unwrap().unwrap(), b"key");
    chmod(&path, 0o640);
    assert!(matches!(
        home.read_secret("key", 9),
        Err(ReadError::TooOpen { mode: 0o640, .. })
    ));
    assert!(home.read("key", 9).is_ok());
    fs::hard_link(&path, home.path().join("twin")).unwrap();
    assert!(matches!(
        home.read("key", 9),
        Err(ReadError::HardLink { links: 2, .. })
    ));
    if is_root() {
        fs::remove_file(home.path().join("twin")).unwrap();
        chown(&path, HOSTILE);
        assert!(matches!(
            home.read("key", 9),
            Err(ReadError::WrongOwner { .. })
        ));
    }
}

#[test]
fn drafts_of_killed_runs_are_swept() {
    let scene = Scene::new();
    let home = new_home(&scene);
    fs::write(home.path().join(".new-0123456789abcdef"), "half a key").unwrap();
    fs::write(home.path().join("kept"), "").unwrap();
    assert_eq!(home.sweep().unwrap().removed, 1);
    assert_eq!(names(home.path()), ["kept"]);
}
