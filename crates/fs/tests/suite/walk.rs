//! Paths: what is made, taken over, refused and undone on the way.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use pgpki_fs::{Installation, InstallationError, Owner, WalkError, canonical};

use crate::scene::{HOSTILE, Scene, is_root, names, seen};

fn refusal(path: &Path, owner: Owner) -> WalkError {
    match Installation::prepare(path, owner) {
        Err(InstallationError::Directory(error)) => error,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn what_was_made_is_undone_unless_it_is_used() {
    let scene = Scene::new();
    fs::create_dir(scene.path("a")).unwrap();
    let (_, created) = Installation::prepare(&scene.path("a/b/c/tls"), Owner::caller()).unwrap();
    assert_eq!(seen(&scene.path("a/b/c")).0, 0o755);
    assert!(created.undo().is_empty());
    assert_eq!(names(&scene.path("a")), [""; 0]);

    let (_, created) = Installation::prepare(&scene.path("a/b/c/tls"), Owner::caller()).unwrap();
    fs::write(scene.path("a/b/mine"), "").unwrap();
    assert_eq!(created.undo(), [scene.path("a/b")]);
    assert_eq!(names(&scene.path("a/b")), ["mine"]);
}

#[test]
fn a_directory_made_anew_in_its_place_is_not_undone() {
    let scene = Scene::new();
    let (installation, created) =
        Installation::prepare(&scene.path("tls"), Owner::caller()).unwrap();
    fs::remove_dir(scene.path("tls")).unwrap();
    fs::create_dir(scene.path("tls")).unwrap();
    created.undo();
    assert!(scene.path("tls").exists());
    drop(installation);
}

#[test]
fn an_empty_directory_of_the_callers_is_taken_over_and_given_back() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let path = scene.dir("tls", 0o755, Owner::caller());
    let (_, created) = Installation::prepare(&path, HOSTILE).unwrap();
    assert_eq!(seen(&path), (0o700, HOSTILE));
    assert!(created.undo().is_empty());
    assert_eq!(seen(&path), (0o755, Owner::caller()));

    fs::write(path.join("x"), "").unwrap();
    let error = refusal(&path, HOSTILE);
    assert!(matches!(error, WalkError::WrongOwner { .. }), "{error}");
    assert!(error.hint().unwrap().contains("chown"));
    assert_eq!(seen(&path), (0o755, Owner::caller()));
}

#[test]
fn somebody_elses_directory_is_refused() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let third = Owner {
        uid: 4242,
        gid: 4242,
    };
    let path = scene.dir("tls", 0o700, third);
    assert!(matches!(refusal(&path, HOSTILE), WalkError::WrongOwner { seen, .. } if seen == third));
    let path = scene.dir("open", 0o711, HOSTILE);
    assert!(matches!(
        refusal(&path, HOSTILE),
        WalkError::TooOpen { mode: 0o711, .. }
    ));
    assert_eq!(seen(&path).0, 0o711);
}

#[test]
fn no_component_may_be_a_link() {
    let scene = Scene::new();
    fs::create_dir_all(scene.path("real/tls")).unwrap();
    symlink("real", scene.path("link")).unwrap();
    symlink("tls", scene.path("real/last")).unwrap();
    for path in ["link/tls", "link/new", "real/last"] {
        let error = refusal(&scene.path(path), Owner::caller());
        assert!(
            error
                .to_string()
                .ends_with("is a symbolic link, not a directory"),
            "{error}"
        );
    }
    assert_eq!(names(&scene.path("real")), ["last", "tls"]);
}

#[test]
fn paths_must_be_absolute_and_plain() {
    for path in ["tls", "./tls", "", "/tmp/../etc"] {
        assert!(
            matches!(
                refusal(path.as_ref(), Owner::caller()),
                WalkError::NotCanonical { .. }
            ),
            "{path:?}"
        );
    }
    let missing = Installation::open("/nonexistent/tls".as_ref(), Owner::caller()).unwrap_err();
    assert_eq!(missing.to_string(), "/nonexistent does not exist");
}

#[test]
fn a_failure_removes_what_was_made_before_it() {
    let scene = Scene::new();
    fs::create_dir(scene.path("a")).unwrap();
    // 256 bytes are one more than a name can have.
    let path = scene.path("a/b").join("x".repeat(256));
    assert!(Installation::prepare(&path, Owner::caller()).is_err());
    assert!(names(&scene.path("a")).is_empty());
}

#[test]
fn links_of_our_own_are_resolved() {
    let scene = Scene::new();
    fs::create_dir_all(scene.path("real/deep")).unwrap();
    symlink("real/deep", scene.path("relative")).unwrap();
    symlink(scene.path("relative"), scene.path("absolute")).unwrap();
    symlink("loop", scene.path("loop")).unwrap();
    let resolved = |path| canonical(&scene.path(path));
    assert_eq!(
        resolved("absolute/new/tls").unwrap(),
        scene.path("real/deep/new/tls")
    );
    assert_eq!(resolved("absolute/../x").unwrap(), scene.path("real/x"));
    assert!(matches!(resolved("loop"), Err(WalkError::LinkLoop { .. })));
    assert!(canonical("here".as_ref()).unwrap().is_absolute());
}

#[test]
fn links_that_others_could_have_made_are_not_followed() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    for (name, mode, owner) in [
        ("alices", 0o755, HOSTILE),
        ("shared", 0o777, Owner::caller()),
    ] {
        let path = scene.dir(name, mode, owner);
        symlink("/etc", path.join("out")).unwrap();
        let error = canonical(&path.join("out/ssl")).unwrap_err();
        assert!(
            matches!(error, WalkError::UntrustedLink { .. }),
            "{name}: {error}"
        );
    }
    let sticky = scene.dir("tmp", 0o1777, Owner::caller());
    symlink("/etc", sticky.join("ours")).unwrap();
    assert_eq!(canonical(&sticky.join("ours")).unwrap(), Path::new("/etc"));
    symlink("/etc", sticky.join("theirs")).unwrap();
    crate::scene::chown(&sticky.join("theirs"), HOSTILE);
    assert!(canonical(&sticky.join("theirs")).is_err());
}
