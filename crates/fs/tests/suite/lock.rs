//! One run at a time.

use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use pgpki_fs::{Lock, LockError, PrivateDir};

use crate::scene::Scene;

const LONG: Duration = Duration::from_secs(60);

fn new_home(scene: &Scene) -> PrivateDir {
    PrivateDir::stage_new(&scene.path("home"))
        .unwrap()
        .commit()
        .unwrap()
}

#[test]
fn one_at_a_time() {
    let scene = Scene::new();
    let home = new_home(&scene);
    let first = Lock::take(&home, Duration::ZERO, |_| panic!("nobody else is there")).unwrap();
    let Err(LockError::Busy { path, holder }) = Lock::take(&home, Duration::ZERO, |_| {}) else {
        panic!("two have it");
    };
    assert_eq!(path, home.path());
    let holder = holder.expect("/proc/locks tells");
    assert_eq!(holder.pid, std::process::id());
    assert!(holder.command.contains("suite"), "{holder}");
    drop(first);
    let _next = Lock::take(&home, Duration::ZERO, |_| {}).unwrap();
}

#[test]
fn who_waits_is_told_once_for_whom_and_gets_it_then() {
    let scene = Scene::new();
    let home = new_home(&scene);
    let held = Lock::take(&home, Duration::ZERO, |_| {}).unwrap();
    let (told, hears) = channel();
    thread::scope(|scope| {
        let waiting = scope
            .spawn(|| Lock::take(&home, LONG, move |holder| told.send(holder).unwrap()).map(drop));
        let holder = hears
            .recv_timeout(LONG)
            .unwrap()
            .expect("/proc/locks tells");
        assert_eq!(holder.pid, std::process::id());
        drop(held);
        waiting.join().unwrap().unwrap();
    });
    assert!(hears.recv().is_err(), "told twice");
}

#[test]
fn patience_ends() {
    let scene = Scene::new();
    let home = new_home(&scene);
    let _held = Lock::take(&home, Duration::ZERO, |_| {}).unwrap();
    let started = Instant::now();
    let patience = Duration::from_millis(80);
    let error = Lock::take(&home, patience, |_| {}).unwrap_err();
    assert!(started.elapsed() >= patience);
    assert!(
        error
            .to_string()
            .contains(&format!("is in use by process {}", std::process::id())),
        "{error}"
    );
}
