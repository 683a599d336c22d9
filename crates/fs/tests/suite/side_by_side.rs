//! Several runs on one shelf, and in one directory of files. Each opens the directory for itself, as a process does.

use std::fs::{self, File};
use std::io::Write;
use std::thread;

use nix::fcntl::{Flock, FlockArg};
use pgpki_fs::{Output, Owner, Shelf, ShelfError};

use crate::scene::{Scene, names, set};

const LEFTOVER: &str = ".pgpki.new-0123456789abcdef";

#[test]
fn what_is_staged_is_not_swept_by_another_run() {
    let scene = Scene::new();
    for mode in [0o700, 0o777] {
        let path = scene.dir(&format!("shelf-{mode:o}"), mode, Owner::caller());
        let (one, other) = (Shelf::open(&path).unwrap(), Shelf::open(&path).unwrap());
        let alice = one.stage(&set("alice"), Owner::caller()).unwrap();
        let bob = one.stage(&set("bob"), Owner::caller()).unwrap();
        assert_eq!(other.sweep().unwrap().removed, 0);
        one.publish(alice.sync().unwrap(), "alice".as_ref(), false)
            .unwrap();
        assert_eq!(
            other.sweep().unwrap().removed,
            0,
            "bob's is still on its way"
        );
        let staged_in = match mode {
            0o700 => path.clone(),
            _ => path.join(".pgpki"),
        };
        fs::create_dir(staged_in.join(LEFTOVER)).unwrap();
        one.publish(bob.sync().unwrap(), "bob".as_ref(), false)
            .unwrap();
        assert_eq!(other.sweep().unwrap().removed, 1);
        drop((one, other));
        assert_eq!(names(&path), ["alice", "bob"]);
    }
}

/// `.pgpki` comes and goes with whoever needs it.
#[test]
fn many_runs_publish_and_sweep_where_others_may_write() {
    let scene = Scene::new();
    let path = scene.dir("shelf", 0o777, Owner::caller());
    let run = |name: String| {
        for _ in 0..100 {
            let shelf = Shelf::open(&path).unwrap();
            let _ = shelf.sweep().unwrap();
            let staged = shelf.stage(&set(&name), Owner::caller()).unwrap();
            let synced = staged.sync().unwrap();
            shelf.publish(synced, name.as_ref(), true).unwrap();
            let kept = shelf.prune(name.as_ref(), 1, &["server.key", "server.crt"]);
            assert!(kept.unwrap().left.is_empty());
            let files = names(&path.join(&name));
            assert_eq!(files, ["server.crt", "server.key"]);
        }
    };
    thread::scope(|scope| {
        for number in 0..4 {
            scope.spawn(move || run(number.to_string()));
        }
    });
    assert_eq!(names(&path), ["0", "1", "2", "3"]);
}

/// Anybody who may read a directory may lock it, and never let go.
#[test]
fn a_shelf_that_somebody_has_locked_is_used_all_the_same() {
    let scene = Scene::new();
    let path = scene.dir("shelf", 0o755, Owner::caller());
    let lock = File::open(&path).unwrap();
    let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).unwrap();
    let shelf = Shelf::open(&path).unwrap();
    let staged = shelf.stage(&set("one"), Owner::caller()).unwrap();
    assert_eq!(names(&path), [".pgpki"]);
    shelf
        .publish(staged.sync().unwrap(), "alice".as_ref(), false)
        .unwrap();
    drop(shelf);
    assert_eq!(names(&path), ["alice"]);
    drop(lock);
    // Nobody but the caller can do that in there, and then it is said who.
    let own = scene.dir("shelf/.pgpki", 0o700, Owner::caller());
    let holders = [&path, &own].map(|path| {
        let file = File::open(path).unwrap();
        Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap()
    });
    let refused = Shelf::open(&path)
        .unwrap()
        .stage(&set("two"), Owner::caller());
    let Err(ShelfError::Lock(error)) = refused else {
        panic!("{refused:?}");
    };
    assert!(error.to_string().contains("is in use by"), "{error}");
    drop(holders);
    assert_eq!(names(&path), [".pgpki", "alice"]);
}

#[test]
fn files_that_are_being_written_stay() {
    let scene = Scene::new();
    let path = scene.dir("out", 0o755, Owner::caller());
    thread::scope(|scope| {
        for number in 0..4 {
            let path = path.join(number.to_string());
            scope.spawn(move || {
                for _ in 0..500 {
                    let mut output = Output::create(&path, true).unwrap();
                    output.write_all(b"whole").unwrap();
                    output.commit().unwrap();
                }
            });
        }
    });
    assert_eq!(names(&path), ["0", "1", "2", "3"]);
}
