//! A directory whose owner wants root to write, read, delete or give away something elsewhere.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pgpki_fs::{Installation, Owner, ReadError, Shelf, ShelfError, Swept};

use crate::scene::{Attacker, HOSTILE, Scene, chown, fifo, is_root, names, seen, set, snapshot};

/// What root must not be led to touch.
struct Treasure(PathBuf, Vec<String>);

impl Treasure {
    fn bury(scene: &Scene) -> Self {
        let path = scene.dir("treasure", 0o700, Owner::caller());
        fs::write(path.join("shadow"), "secret").unwrap();
        fs::write(path.join("server.key"), "secret").unwrap();
        fs::create_dir(path.join("empty")).unwrap();
        let seen = snapshot(&path);
        Self(path, seen)
    }

    fn check(&self) {
        assert_eq!(
            snapshot(&self.0),
            self.1,
            "root was led to touch something elsewhere"
        );
    }
}

/// Puts each kind of thing under a name, calls `check`, and clears it away.
fn plant_each(name: &Path, treasure: &Treasure, mut check: impl FnMut(&str)) {
    let plant = |kind: &str| match kind {
        "link to a directory" => symlink(&treasure.0, name).unwrap(),
        "link to a file" => symlink(treasure.0.join("shadow"), name).unwrap(),
        "FIFO" => fifo(name),
        "file" => fs::write(name, "planted").unwrap(),
        "directory" => fs::create_dir(name).unwrap(),
        other => panic!("{other}"),
    };
    for kind in [
        "link to a directory",
        "link to a file",
        "FIFO",
        "file",
        "directory",
    ] {
        plant(kind);
        chown(name, HOSTILE);
        check(kind);
        if kind == "directory" {
            fs::remove_dir(name).unwrap()
        } else {
            fs::remove_file(name).unwrap()
        }
    }
}

#[test]
fn planted_generations_are_stepped_over() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let treasure = Treasure::bury(&scene);
    let path = scene.dir("tls", 0o700, HOSTILE);
    let installation = Installation::open(&path, HOSTILE).unwrap();
    plant_each(&path.join("g0001"), &treasure, |kind| {
        let number = installation
            .publish(installation.stage(&set("x")).unwrap().sync().unwrap())
            .unwrap();
        assert!(number > 1, "{kind}");
        assert_eq!(installation.current().unwrap(), Some(number));
        if kind != "directory" {
            assert!(!installation.generations().unwrap().contains(&1), "{kind}");
            assert!(installation.point_to(1).is_err(), "{kind}");
            assert!(installation.read(1, "server.key", 99).is_err(), "{kind}");
        }
        treasure.check();
    });
}

#[test]
fn a_planted_current_is_refused() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let treasure = Treasure::bury(&scene);
    let path = scene.dir("tls", 0o700, HOSTILE);
    let installation = Installation::open(&path, HOSTILE).unwrap();
    plant_each(&path.join("current"), &treasure, |kind| {
        assert!(installation.current().is_err(), "{kind}");
        let synced = installation.stage(&set("x")).unwrap().sync().unwrap();
        assert!(installation.publish(synced).is_err(), "{kind}");
        assert!(installation.prune(0).is_err(), "{kind}");
        assert_eq!(names(&path), ["current"], "{kind}");
        treasure.check();
    });
}

#[test]
fn planted_files_are_not_read_into_the_installation() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let treasure = Treasure::bury(&scene);
    let path = scene.dir("tls", 0o700, HOSTILE);
    let installation = Installation::open(&path, HOSTILE).unwrap();
    installation
        .publish(installation.stage(&set("x")).unwrap().sync().unwrap())
        .unwrap();
    let key = path.join("g0001/server.key");
    fs::remove_file(&key).unwrap();
    plant_each(&key, &treasure, |kind| {
        let read = installation.read(1, "server.key", 99);
        match kind {
            "file" => assert_eq!(read.unwrap().unwrap(), b"planted"),
            _ => assert!(
                matches!(read, Err(ReadError::NotAFile { .. })),
                "{kind}: {read:?}"
            ),
        }
    });
    treasure.check();

    fs::hard_link(treasure.0.join("shadow"), &key).unwrap();
    assert!(matches!(
        installation.read(1, "server.key", 99),
        Err(ReadError::HardLink { .. })
    ));
    assert!(
        installation.prune(0).unwrap().removed.is_empty(),
        "the live one stays"
    );
    installation
        .publish(installation.stage(&set("x")).unwrap().sync().unwrap())
        .unwrap();
    assert_eq!(installation.prune(1).unwrap().removed, [1]);
    assert_eq!(fs::read(treasure.0.join("shadow")).unwrap(), b"secret");
    fs::write(path.join("g0002/root.key"), "").unwrap();
    assert!(matches!(
        installation.read(2, "root.key", 99),
        Err(ReadError::WrongOwner { .. })
    ));
}

#[test]
fn planted_leftovers_are_swept_by_name_only() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let treasure = Treasure::bury(&scene);
    let path = scene.dir("tls", 0o700, HOSTILE);
    let installation = Installation::open(&path, HOSTILE).unwrap();
    for name in [".new-0123456789abcdef", ".current-0123456789abcdef"] {
        let planted = path.join(name);
        symlink(&treasure.0, &planted).unwrap();
        assert_eq!(installation.sweep().unwrap().removed, 1);
        fs::create_dir(&planted).unwrap();
        symlink(&treasure.0, planted.join("link")).unwrap();
        fs::create_dir(planted.join("deep")).unwrap();
        let Swept { removed, left, .. } = installation.sweep().unwrap();
        assert_eq!((removed, left.len()), (0, 1));
        fs::remove_dir(planted.join("deep")).unwrap();
        assert_eq!(installation.sweep().unwrap().removed, 1);
    }
    assert!(names(&path).is_empty());
    treasure.check();
}

#[test]
fn a_reserved_directory_that_is_not_ours_is_refused() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let treasure = Treasure::bury(&scene);
    let path = scene.dir("home-of-alice", 0o755, HOSTILE);
    plant_each(&path.join(".pgpki"), &treasure, |kind| {
        let shelf = Shelf::open(&path).unwrap();
        let refused = shelf.stage(&set("x"), HOSTILE);
        assert!(
            matches!(refused, Err(ShelfError::ReservedTaken { .. })),
            "{kind}"
        );
        assert!(
            matches!(shelf.sweep(), Err(ShelfError::ReservedTaken { .. })),
            "{kind}"
        );
        drop(shelf);
        assert_eq!(names(&path), [".pgpki"], "{kind}");
        treasure.check();
    });
    let open = scene.dir("home-of-alice/.pgpki", 0o711, Owner::caller());
    let refused = Shelf::open(&path).unwrap().stage(&set("x"), HOSTILE);
    assert!(matches!(
        refused,
        Err(ShelfError::ReservedTaken { mode: 0o711, .. })
    ));
    assert_eq!(seen(&open).0, 0o711);
}

/// He gives a directory of root's, which stands beside the folders, the name of a leftover.
#[test]
fn nothing_of_roots_is_swept_from_a_shelf_of_somebody_elses() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let path = scene.dir("home-of-alice", 0o700, HOSTILE);
    let backup = scene.dir("home-of-alice/backup", 0o700, Owner::caller());
    fs::write(backup.join("precious"), "root's").unwrap();
    let posing = path.join(".pgpki.new-0123456789abcdef");
    fs::rename(&backup, &posing).unwrap();
    let shelf = Shelf::open(&path).unwrap();
    assert_eq!(shelf.sweep().unwrap().removed, 0);
    assert_eq!(names(&posing), ["precious"]);
}

/// Whatever appears in the directory is swapped for something else, as fast as can be.
const SPOILER: &str = r"
import os, random, sys, shutil
place, treasure = sys.argv[1], sys.argv[2]
os.chdir(place)
open('started', 'w').close()
plants = [
    lambda name: os.symlink(treasure, name),
    lambda name: os.symlink(treasure + '/shadow', name),
    lambda name: os.mkfifo(name),
    lambda name: os.mkdir(name, 0o777),
    lambda name: os.symlink('g0001', name),
]
count = 0
while True:
    names = os.listdir('.')
    for name in names + ['current', '.pgpki', 'alice', 'g%04d' % random.randrange(1, 400)]:
        if name == 'started' or name.startswith('spoilt'):
            continue
        try:
            what = random.randrange(4)
            if what == 0:
                count += 1
                os.rename(name, 'spoilt%d' % count)
                random.choice(plants)(name)
            elif what == 1:
                for inner in os.listdir(name):
                    os.rename(name + '/' + inner, 'spoilt-' + inner)
                    random.choice(plants)(name + '/' + inner)
            elif what == 2:
                random.choice(plants)(name)
            else:
                os.unlink(name)
        except OSError:
            pass
    if count % 50 == 0:
        for name in os.listdir('.'):
            if name.startswith('spoilt'):
                try:
                    shutil.rmtree(name) if os.path.isdir(name) and not os.path.islink(name) else os.unlink(name)
                except OSError:
                    pass
";

fn spoil(place: &Path, treasure: &Treasure) -> Attacker {
    let arguments: [&OsStr; 2] = [place.as_ref(), treasure.0.as_ref()];
    let attacker = Attacker::start(SPOILER, &arguments);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !place.join("started").exists() {
        assert!(Instant::now() < deadline, "the attacker did not start");
        std::thread::yield_now();
    }
    attacker
}

/// Every key below that holds a secret of ours is closed to everybody but its owner.
fn check_keys(path: &Path) {
    let Ok(entries) = fs::read_dir(path) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            check_keys(&entry.path());
        } else if kind.is_file() && fs::read(entry.path()).is_ok_and(|bytes| bytes == b"private") {
            assert_eq!(
                seen(&entry.path()).0 & 0o077,
                0,
                "{}",
                entry.path().display()
            );
        }
    }
}

fn private_set() -> [pgpki_fs::NewFile<'static>; 1] {
    [pgpki_fs::NewFile {
        name: "server.key",
        mode: 0o600,
        bytes: b"private",
    }]
}

#[test]
fn a_spoiler_gains_nothing_from_publications() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let treasure = Treasure::bury(&scene);
    let path = scene.dir("tls", 0o700, HOSTILE);
    let installation = Installation::open(&path, HOSTILE).unwrap();
    let attacker = spoil(&path, &treasure);
    let (mut published, mut failed) = (0, 0);
    for _ in 0..400 {
        let done = installation
            .stage(&private_set())
            .and_then(|staged| Ok(staged.sync()?))
            .and_then(|synced| installation.publish(synced));
        match done {
            Ok(number) => {
                published += 1;
                let _ = installation.read(number, "server.key", 99);
                let _ = installation.point_to(number);
            }
            Err(_) => failed += 1,
        }
        let _ = installation.prune(2);
        let _ = installation.sweep();
    }
    drop(attacker);
    treasure.check();
    check_keys(&path);
    assert!(
        failed > 0,
        "the attacker never struck: {published} published"
    );
}

#[test]
fn a_spoiler_gains_nothing_from_folders() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let treasure = Treasure::bury(&scene);
    let path = scene.dir("home-of-alice", 0o700, HOSTILE);
    let attacker = spoil(&path, &treasure);
    let name: &OsStr = "alice".as_ref();
    let mut failed = 0;
    for _ in 0..400 {
        let shelf = Shelf::open(&path).unwrap();
        let done = shelf
            .stage(&private_set(), HOSTILE)
            .and_then(|staged| Ok(staged.sync()?))
            .and_then(|synced| shelf.publish(synced, name, true));
        failed += u32::from(done.is_err());
        let _ = shelf.settle();
        let _ = shelf.read(name, "server.key", 99);
        let _ = shelf.prune(name, 2, &["server.key"]);
        let _ = shelf.sweep();
    }
    drop(attacker);
    treasure.check();
    check_keys(&path);
    assert!(failed > 0, "the attacker never struck");
}

/// The way to a new installation leads through a directory that the attacker swaps.
#[test]
fn a_spoiler_gains_nothing_from_directories_on_the_way() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let treasure = Treasure::bury(&scene);
    let path = scene.dir("var-lib-postgresql", 0o755, HOSTILE);
    let attacker = spoil(&path, &treasure);
    for _ in 0..400 {
        if let Ok((installation, created)) = Installation::prepare(&path.join("alice/tls"), HOSTILE)
        {
            let _ = installation.stage(&private_set());
            created.undo();
        }
    }
    drop(attacker);
    treasure.check();
    assert_eq!(seen(&treasure.0.join("empty")).1, Owner::caller());
}
