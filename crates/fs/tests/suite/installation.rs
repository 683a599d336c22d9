//! Installations whose owner is well-behaved.

use std::fs;
use std::os::unix::fs::symlink;

use pgpki_fs::{
    Installation, InstallationError, NewFile, Owner, ReadError, StageError, Synced, sync_all,
};

use crate::scene::{HOSTILE, Scene, chmod, fifo, is_root, names, seen, set, snapshot};

fn synced(installation: &Installation, mark: &str) -> Synced {
    installation.stage(&set(mark)).unwrap().sync().unwrap()
}

fn publish(installation: &Installation, mark: &str) -> u32 {
    installation.publish(synced(installation, mark)).unwrap()
}

fn new_installation(scene: &Scene) -> Installation {
    Installation::prepare(&scene.path("tls"), Owner::caller())
        .unwrap()
        .0
}

#[test]
fn a_generation_is_published_with_exact_modes() {
    let scene = Scene::new();
    let installation = new_installation(&scene);
    assert_eq!(installation.current().unwrap(), None);
    assert_eq!(publish(&installation, "one"), 1);
    assert_eq!(publish(&installation, "two"), 2);

    assert_eq!(installation.current().unwrap(), Some(2));
    assert_eq!(installation.generations().unwrap(), [1, 2]);
    assert_eq!(names(installation.path()), ["current", "g0001", "g0002"]);
    assert_eq!(
        names(&scene.path("tls/g0002")),
        ["server.crt", "server.key"]
    );
    let mode = |path| seen(&scene.path(path)).0;
    assert_eq!(mode("tls"), 0o700);
    assert_eq!(mode("tls/g0002"), 0o700);
    assert_eq!(mode("tls/g0002/server.key"), 0o600);
    assert_eq!(mode("tls/g0002/server.crt"), 0o644);
    assert_eq!(
        fs::read(scene.path("tls/current/server.key")).unwrap(),
        b"two"
    );
    assert_eq!(
        installation.read(1, "server.key", 100).unwrap().unwrap(),
        b"one"
    );
}

#[test]
fn everything_belongs_to_the_owner() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let (installation, _created) = Installation::prepare(&scene.path("a/tls"), HOSTILE).unwrap();
    publish(&installation, "one");
    for path in [
        "a/tls",
        "a/tls/g0001",
        "a/tls/g0001/server.key",
        "a/tls/g0001/server.crt",
    ] {
        assert_eq!(seen(&scene.path(path)).1, HOSTILE, "{path}");
    }
    assert_eq!(seen(&scene.path("a")), (0o755, Owner::caller()));
    Installation::open(&scene.path("a/tls"), HOSTILE).unwrap();
    assert_eq!(
        installation.read(1, "server.key", 100).unwrap().unwrap(),
        b"one"
    );
}

#[test]
fn what_is_staged_and_not_published_is_removed() {
    let scene = Scene::new();
    let installation = new_installation(&scene);
    let staged = installation.stage(&set("one")).unwrap();
    assert_eq!(names(installation.path()).len(), 1);
    drop(staged);
    assert!(names(installation.path()).is_empty());
    drop(synced(&installation, "one"));
    assert!(names(installation.path()).is_empty());
}

#[test]
fn names_with_a_directory_in_them_are_refused() {
    let scene = Scene::new();
    let installation = new_installation(&scene);
    for name in ["", ".", "..", "../x", "/x", "a/b", "a\0b"] {
        let refused = installation.stage(&[NewFile {
            name,
            mode: 0o600,
            bytes: b"",
        }]);
        assert!(
            matches!(
                refused,
                Err(InstallationError::Stage(StageError::BadName { .. }))
            ),
            "{name:?}"
        );
        assert!(matches!(
            installation.read(1, name, 9),
            Ok(None) | Err(ReadError::BadName { .. })
        ));
    }
    assert!(names(installation.path()).is_empty());
}

#[test]
fn one_sync_serves_many() {
    let scene = Scene::new();
    let installation = new_installation(&scene);
    let staged = ["one", "two"].map(|mark| installation.stage(&set(mark)).unwrap());
    let synced = sync_all(staged.into()).unwrap();
    for synced in synced {
        installation.publish(synced.unwrap()).unwrap();
    }
    assert_eq!(
        installation.read(2, "server.key", 9).unwrap().unwrap(),
        b"two"
    );
}

#[test]
fn numbers_go_on_after_the_highest() {
    let scene = Scene::new();
    let installation = new_installation(&scene);
    symlink("g0041", scene.path("tls/current")).unwrap();
    assert_eq!(publish(&installation, "x"), 42);
    fs::create_dir(scene.path("tls/g9999")).unwrap();
    assert_eq!(publish(&installation, "x"), 10_000);
    assert_eq!(installation.current().unwrap(), Some(10_000));

    fs::create_dir(scene.path("tls/g4294967295")).unwrap();
    let refused = installation.publish(synced(&installation, "x"));
    assert!(matches!(
        refused,
        Err(InstallationError::NoFreeNumber {
            highest: u32::MAX,
            ..
        })
    ));
    assert_eq!(installation.current().unwrap(), Some(10_000));
}

#[test]
fn an_old_generation_is_put_back() {
    let scene = Scene::new();
    let installation = new_installation(&scene);
    publish(&installation, "one");
    publish(&installation, "two");
    installation.point_to(1).unwrap();
    assert_eq!(installation.current().unwrap(), Some(1));
    assert_eq!(names(installation.path()), ["current", "g0001", "g0002"]);

    fs::write(scene.path("tls/g0007"), "").unwrap();
    for number in [3, 7] {
        let refused = installation.point_to(number);
        assert!(
            matches!(refused, Err(InstallationError::NoSuchGeneration { .. })),
            "{number}"
        );
    }
    assert_eq!(installation.current().unwrap(), Some(1));
}

#[test]
fn a_current_that_is_not_ours_is_reported_and_kept() {
    let scene = Scene::new();
    let installation = new_installation(&scene);
    let current = scene.path("tls/current");
    for target in ["/etc", "../g0001", "g1", "g0001/", "gen"] {
        symlink(target, &current).unwrap();
        let error = installation.current().unwrap_err();
        assert!(
            error.to_string().contains(&format!("leads to {target:?}")),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("move"));
        assert!(installation.publish(synced(&installation, "x")).is_err());
        assert_eq!(fs::read_link(&current).unwrap().to_str(), Some(target));
        fs::remove_file(&current).unwrap();
    }
    fifo(&current);
    let error = installation
        .publish(synced(&installation, "x"))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("current is a FIFO, not a link to a generation"),
        "{error}"
    );
    assert_eq!(names(installation.path()), ["current"]);
}

#[test]
fn the_oldest_generations_go_and_the_live_one_stays() {
    let scene = Scene::new();
    let installation = new_installation(&scene);
    for _ in 0..5 {
        publish(&installation, "x");
    }
    installation.point_to(1).unwrap();
    let pruned = installation.prune(3).unwrap();
    assert_eq!(pruned.removed, [2, 3]);
    assert!(pruned.left.is_empty());
    assert_eq!(installation.generations().unwrap(), [1, 4, 5]);
    assert_eq!(installation.prune(0).unwrap().removed, [4, 5]);
    assert_eq!(installation.generations().unwrap(), [1]);
    assert!(installation.prune(0).unwrap().removed.is_empty());
}

#[test]
fn a_directory_in_a_generation_is_left_and_reported() {
    let scene = Scene::new();
    let installation = new_installation(&scene);
    for _ in 0..3 {
        publish(&installation, "x");
    }
    fs::create_dir(scene.path("tls/g0001/mine")).unwrap();
    fs::write(scene.path("tls/g0001/mine/thesis"), "years").unwrap();
    let pruned = installation.prune(1).unwrap();
    assert_eq!(pruned.removed, [2]);
    assert_eq!(pruned.left.len(), 1);
    assert!(
        pruned.left[0]
            .to_string()
            .ends_with("g0001: Directory not empty"),
        "{}",
        pruned.left[0]
    );
    assert_eq!(
        fs::read(scene.path("tls/g0001/mine/thesis")).unwrap(),
        b"years"
    );
}

#[test]
fn leftovers_are_swept_and_nothing_else() {
    let scene = Scene::new();
    let installation = new_installation(&scene);
    publish(&installation, "x");
    fs::create_dir(scene.path("tls/.new-kitchen")).unwrap();
    let before = snapshot(installation.path());
    assert_eq!(installation.sweep().unwrap().removed, 0);
    assert_eq!(
        snapshot(installation.path()),
        before,
        "sweeping nothing must write nothing"
    );

    fs::create_dir(scene.path("tls/.new-0123456789abcdef")).unwrap();
    fs::write(scene.path("tls/.new-0123456789abcdef/server.key"), "half").unwrap();
    fifo(&scene.path("tls/.new-aaaaaaaaaaaaaaaa"));
    symlink("g0002", scene.path("tls/.current-0123456789abcdef")).unwrap();
    assert_eq!(installation.sweep().unwrap().removed, 3);
    assert_eq!(
        names(installation.path()),
        [".new-kitchen", "current", "g0001"]
    );
}

#[test]
fn only_a_directory_of_the_owners_alone_is_opened() {
    let scene = Scene::new();
    let path = scene.dir("tls", 0o750, Owner::caller());
    fs::write(path.join("x"), "").unwrap();
    for refused in [
        Installation::open(&path, Owner::caller()).map(drop),
        Installation::prepare(&path, Owner::caller()).map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(error.to_string().ends_with("its mode is 0750"), "{error}");
        assert_eq!(
            error.hint().unwrap(),
            format!("chmod 0700 {}", path.display())
        );
    }
    assert_eq!(seen(&path).0, 0o750);
    chmod(&path, 0o700);
    Installation::open(&path, Owner::caller()).unwrap();
}
