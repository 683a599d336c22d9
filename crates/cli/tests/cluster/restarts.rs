//! A server that restarts while a rotation is under way.

use std::thread;
use std::time::Duration;

use crate::fixture::{EVERYTHING, Stage};

/// Whichever of the two comes first: what was installed is proven, or it is put back, and nothing
/// has to be done afterwards.
#[test]
fn a_restart_at_any_moment_of_a_rotation() {
    let mut stage = Stage::configured(&EVERYTHING);
    for round in 0..16 {
        let before = stage.installed_leaf();
        let mut rotate = stage.scene.command(["rotate", "--force", "--json"]);
        let rotation = thread::spawn(move || rotate.output().unwrap());
        thread::sleep(Duration::from_millis(round * 12));
        restart(&mut stage);
        let output = rotation.join().unwrap();
        let is_new = stage.installed_leaf() != before;
        match output.status.code() {
            Some(0) => assert!(is_new, "{round}: {output:?}"),
            Some(6) => assert!(!is_new, "{round}: {output:?}"),
            _ => panic!("{round}: {output:?}\n{}", stage.cluster.log()),
        }
        stage.is_sound_with(&stage.current());
    }
}

/// It goes down and up again for as long as the rotation lasts.
#[test]
fn a_server_that_restarts_all_the_time() {
    let mut stage = Stage::configured(&EVERYTHING);
    for round in 0..4 {
        let before = stage.installed_leaf();
        let mut rotate = stage.scene.command(["rotate", "--force", "--json"]);
        let rotation = thread::spawn(move || rotate.output().unwrap());
        while !rotation.is_finished() {
            restart(&mut stage);
        }
        let output = rotation.join().unwrap();
        let is_new = stage.installed_leaf() != before;
        assert_eq!(
            output.status.code(),
            Some(if is_new { 0 } else { 6 }),
            "{round}: {output:?}"
        );
        stage.is_sound_with(&stage.current());
    }
}

/// A server opens the certificate first and the key a moment later, through a link that has turned
/// in between: then it does not start, and is started again.
fn restart(stage: &mut Stage) {
    if let Err(failure) = stage.cluster.restart() {
        assert!(failure.contains("key values mismatch"), "{failure}");
        stage.cluster.start().unwrap();
    }
}
