//! Folders for clients.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;

use pgpki_fs::{FolderState, IoError, Kind, Owner, ReadError, Shelf, ShelfError, sync_all};

use crate::scene::{HOSTILE, Scene, fifo, is_root, names, seen, set, snapshot};

const FILES: [&str; 2] = ["server.key", "server.crt"];

/// A name that a folder had on its way.
const LEFTOVER: &str = ".pgpki.new-0123456789abcdef";

fn publish(
    shelf: &Shelf,
    name: &str,
    mark: &str,
    replace: bool,
) -> Result<Vec<IoError>, ShelfError> {
    let synced = shelf.stage(&set(mark), Owner::caller())?.sync()?;
    let left = shelf.publish(synced, name.as_ref(), replace)?;
    shelf.settle()?;
    Ok(left)
}

fn new_shelf(scene: &Scene) -> Shelf {
    Shelf::prepare(&scene.path("shelf")).unwrap().0
}

/// What is in a live folder, whoever reads it.
fn mark(scene: &Scene, name: &str) -> String {
    let read = |file| fs::read_to_string(scene.path("shelf").join(name).join(file)).unwrap();
    assert_eq!(read("server.key"), read("server.crt"));
    read("server.key")
}

#[test]
fn a_folder_is_published_and_nothing_else_stays() {
    let scene = Scene::new();
    let shelf = new_shelf(&scene);
    assert_eq!(
        shelf.folder_state("alice".as_ref()).unwrap(),
        FolderState::Missing
    );
    assert!(publish(&shelf, "alice", "one", false).unwrap().is_empty());
    let owner = Owner::caller();
    assert_eq!(
        shelf.folder_state("alice".as_ref()).unwrap(),
        FolderState::Folder { owner }
    );
    assert_eq!(mark(&scene, "alice"), "one");
    assert_eq!(seen(&scene.path("shelf/alice")).0, 0o700);
    assert_eq!(seen(&scene.path("shelf/alice/server.key")).0, 0o600);
    assert_eq!(
        shelf
            .read("alice".as_ref(), "server.key", 9)
            .unwrap()
            .unwrap(),
        b"one"
    );
    assert_eq!(shelf.read("alice".as_ref(), "none", 9).unwrap(), None);
    assert_eq!(shelf.read("bob".as_ref(), "server.key", 9).unwrap(), None);
    drop(shelf);
    assert_eq!(names(&scene.path("shelf")), ["alice"]);
}

#[test]
fn a_folder_gets_its_owner() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let shelf = new_shelf(&scene);
    let synced = shelf.stage(&set("x"), HOSTILE).unwrap().sync().unwrap();
    assert!(is_staged_under(&scene.path("shelf")));
    shelf.publish(synced, "alice".as_ref(), false).unwrap();
    for path in [
        "shelf/alice",
        "shelf/alice/server.key",
        "shelf/alice/server.crt",
    ] {
        assert_eq!(seen(&scene.path(path)).1, HOSTILE, "{path}");
    }
}

/// Whether a directory has one in it that is on its way to a name.
fn is_staged_under(path: &Path) -> bool {
    let mut names = names(path).into_iter();
    names.any(|name| name.starts_with(".pgpki.new-"))
}

#[test]
fn where_others_may_write_folders_are_staged_out_of_their_reach() {
    let scene = Scene::new();
    let path = scene.dir("shelf", 0o777, Owner::caller());
    let shelf = Shelf::open(&path).unwrap();
    let synced = shelf
        .stage(&set("one"), Owner::caller())
        .unwrap()
        .sync()
        .unwrap();
    assert_eq!(names(&path), [".pgpki"]);
    assert_eq!(seen(&path.join(".pgpki")), (0o700, Owner::caller()));
    assert!(is_staged_under(&path.join(".pgpki")));
    shelf.publish(synced, "alice".as_ref(), false).unwrap();
    assert_eq!(mark(&scene, "alice"), "one");

    for leftover in ["", ".pgpki"].map(|above| path.join(above).join(LEFTOVER)) {
        fs::create_dir(&leftover).unwrap();
        fs::write(leftover.join("server.key"), "half").unwrap();
    }
    assert_eq!(shelf.sweep().unwrap().removed, 1);
    drop(shelf);
    assert_eq!(
        names(&path),
        [LEFTOVER, "alice"],
        "what somebody else may have put there stays"
    );
}

#[test]
fn an_empty_folder_is_taken_and_a_full_one_only_when_told() {
    let scene = Scene::new();
    let shelf = new_shelf(&scene);
    fs::create_dir(scene.path("shelf/empty")).unwrap();
    publish(&shelf, "empty", "one", false).unwrap();
    assert_eq!(mark(&scene, "empty"), "one");

    let error = publish(&shelf, "empty", "two", false).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("empty exists and was not made by this authority"),
        "{error}"
    );
    assert_eq!(mark(&scene, "empty"), "one");
    publish(&shelf, "empty", "two", true).unwrap();
    assert_eq!(mark(&scene, "empty"), "two");
    let former = scene.path("shelf/.pgpki/empty/g0001");
    assert_eq!(fs::read(former.join("server.key")).unwrap(), b"one");
    assert_eq!(names(&scene.path("shelf/.pgpki")), ["empty"]);
}

#[test]
fn a_users_own_files_move_to_the_new_folder() {
    let scene = Scene::new();
    let shelf = new_shelf(&scene);
    publish(&shelf, "alice", "one", false).unwrap();
    fs::write(scene.path("shelf/alice/notes.txt"), "mine").unwrap();
    fs::create_dir(scene.path("shelf/alice/more")).unwrap();
    fs::write(scene.path("shelf/alice/more/thesis"), "mine").unwrap();
    assert!(publish(&shelf, "alice", "two", true).unwrap().is_empty());
    assert_eq!(
        names(&scene.path("shelf/alice")),
        ["more", "notes.txt", "server.crt", "server.key"]
    );
    assert_eq!(names(&scene.path("shelf/alice/more")), ["thesis"]);
    assert_eq!(mark(&scene, "alice"), "two");
    assert_eq!(
        names(&scene.path("shelf/.pgpki/alice/g0001")),
        ["server.crt", "server.key"]
    );
}

#[test]
fn whatever_is_no_folder_is_refused_and_kept() {
    let scene = Scene::new();
    let shelf = new_shelf(&scene);
    let at = |name: &str| scene.path("shelf").join(name);
    fs::create_dir(scene.path("elsewhere")).unwrap();
    symlink("../elsewhere", at("link")).unwrap();
    symlink("nowhere", at("dangling")).unwrap();
    fs::write(at("file"), "mine").unwrap();
    fifo(&at("fifo"));
    let before = snapshot(&scene.path("elsewhere"));
    for (name, kind) in [
        ("link", Kind::Symlink),
        ("dangling", Kind::Symlink),
        ("file", Kind::File),
        ("fifo", Kind::Fifo),
    ] {
        assert_eq!(
            shelf.folder_state(name.as_ref()).unwrap(),
            FolderState::Other(kind)
        );
        for replace in [false, true] {
            let refused = publish(&shelf, name, "x", replace);
            assert!(
                matches!(refused, Err(ShelfError::InTheWay { kind: seen, .. }) if seen == kind),
                "{name}"
            );
        }
        assert_eq!(
            shelf.folder_state(name.as_ref()).unwrap(),
            FolderState::Other(kind)
        );
    }
    assert_eq!(
        names(&scene.path("shelf")),
        ["dangling", "fifo", "file", "link"]
    );
    assert_eq!(snapshot(&scene.path("elsewhere")), before);
}

#[test]
fn some_names_are_no_folders() {
    let scene = Scene::new();
    let shelf = new_shelf(&scene);
    for name in [
        "", ".", "..", ".pgpki", LEFTOVER, "a/b", "/etc", "../x", "a\0b",
    ] {
        assert!(
            matches!(
                publish(&shelf, name, "x", true),
                Err(ShelfError::BadName { .. })
            ),
            "{name:?}"
        );
        let name: &OsStr = name.as_ref();
        assert!(matches!(
            shelf.folder_state(name),
            Err(ShelfError::BadName { .. })
        ));
        assert!(matches!(
            shelf.prune(name, 1, &FILES),
            Err(ShelfError::BadName { .. })
        ));
        assert!(matches!(
            shelf.read(name, "x", 1),
            Err(ReadError::BadName { .. })
        ));
    }
    let bytes = OsStr::from_bytes(b"\xff\xfe");
    let synced = shelf
        .stage(&set("x"), Owner::caller())
        .unwrap()
        .sync()
        .unwrap();
    shelf.publish(synced, bytes, false).unwrap();
    assert!(scene.path("shelf").join(bytes).is_dir());
}

#[test]
fn former_generations_go_but_never_a_users_file() {
    let scene = Scene::new();
    let shelf = new_shelf(&scene);
    for round in 0..5 {
        publish(&shelf, "alice", "x", round > 0).unwrap();
    }
    let former = scene.path("shelf/.pgpki/alice");
    assert_eq!(names(&former), ["g0001", "g0002", "g0003", "g0004"]);
    fs::write(former.join("g0001/notes.txt"), "mine").unwrap();
    let pruned = shelf.prune("alice".as_ref(), 3, &FILES).unwrap();
    assert_eq!(pruned.removed, [2]);
    assert_eq!(pruned.left.len(), 1);
    assert_eq!(names(&former.join("g0001")), ["notes.txt"]);
    assert_eq!(names(&former), ["g0001", "g0003", "g0004"]);

    fs::remove_file(former.join("g0001/notes.txt")).unwrap();
    assert_eq!(
        shelf.prune("alice".as_ref(), 1, &FILES).unwrap().removed,
        [1, 3, 4]
    );
    assert!(
        shelf
            .prune("alice".as_ref(), 1, &FILES)
            .unwrap()
            .removed
            .is_empty()
    );
    drop(shelf);
    assert_eq!(names(&scene.path("shelf")), ["alice"]);
}

#[test]
fn leftovers_are_swept_and_nothing_else() {
    let scene = Scene::new();
    let shelf = new_shelf(&scene);
    let before = snapshot(shelf.path());
    assert_eq!(shelf.sweep().unwrap().removed, 0);
    publish(&shelf, "alice", "one", false).unwrap();
    publish(&shelf, "alice", "two", true).unwrap();
    let after = snapshot(shelf.path());
    assert_ne!(before, after);
    assert_eq!(shelf.sweep().unwrap().removed, 0);
    assert_eq!(
        snapshot(shelf.path()),
        after,
        "sweeping nothing must write nothing"
    );

    for above in ["shelf", "shelf/.pgpki"] {
        let leftover = scene.path(above).join(LEFTOVER);
        fs::create_dir(&leftover).unwrap();
        fs::write(leftover.join("server.key"), "half").unwrap();
    }
    assert_eq!(shelf.sweep().unwrap().removed, 2);
    assert_eq!(snapshot(&scene.path("shelf/alice")).len(), 3);
    assert_eq!(names(&scene.path("shelf/.pgpki")), ["alice"]);
    assert_eq!(names(&scene.path("shelf")), [".pgpki", "alice"]);
}

#[test]
fn thousands_are_staged_by_two_threads_and_hold_no_descriptors() {
    let scene = Scene::new();
    let shelf = new_shelf(&scene);
    let open_files = || fs::read_dir(Path::new("/proc/self/fd")).unwrap().count();
    let before = open_files();
    let half = |range: std::ops::Range<u32>| {
        range
            .map(|number| (number, shelf.stage(&set("x"), Owner::caller()).unwrap()))
            .collect::<Vec<_>>()
    };
    let (mut all, more) = thread::scope(|scope| {
        let other = scope.spawn(|| half(1000..2000));
        (half(0..1000), other.join().unwrap())
    });
    all.extend(more);
    // Other tests of this process open some meanwhile, but not thousands.
    assert!(open_files() < before + 500);
    let (numbers, staged): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    for (number, synced) in numbers.iter().zip(sync_all(staged).unwrap()) {
        shelf
            .publish(synced.unwrap(), number.to_string().as_ref(), false)
            .unwrap();
    }
    shelf.settle().unwrap();
    drop(shelf);
    assert_eq!(names(&scene.path("shelf")).len(), 2000);
}

/// Where somebody else may enter the shelf, whoever gets a folder can spoil it before it is his.
#[test]
fn what_is_spoiled_for_one_is_not_for_the_others() {
    let scene = Scene::new();
    let shelf = new_shelf(&scene);
    let staged = ["one", "two"].map(|mark| shelf.stage(&set(mark), Owner::caller()).unwrap());
    let spoiled = names(&scene.path("shelf"))
        .into_iter()
        .map(|name| scene.path("shelf").join(name))
        .find(|folder| fs::read_to_string(folder.join("server.key")).unwrap() == "one")
        .unwrap();
    fs::remove_file(spoiled.join("server.key")).unwrap();
    let mut synced = sync_all(staged.into()).unwrap().into_iter();
    let error = synced.next().unwrap().unwrap_err();
    assert!(error.to_string().contains("server.key"), "{error}");
    let second = synced.next().unwrap().unwrap();
    shelf.publish(second, "bob".as_ref(), false).unwrap();
    shelf.settle().unwrap();
    assert_eq!(mark(&scene, "bob"), "two");
}
