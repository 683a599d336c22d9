//! Places that cannot be read, change meanwhile, or have names that are no text.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use pgpki_testing::{Scene, as_user};

use crate::need_root;
use crate::report::{Report, inspect, limited, list, scene_with_authority, set_mode};

const STRANGER: u32 = 65534;

/// `pgpki inspect` as somebody without any rights.
fn as_stranger(scene: &Scene, target: &str) -> Report {
    let command = scene.command(["inspect", target]);
    Report::of(&mut as_user(&command, STRANGER, STRANGER, &scene.path("")))
}

#[test]
fn without_permission() {
    need_root();
    let scene = scene_with_authority();
    for (name, mode) in [
        ("closed", 0o700),
        ("list-only", 0o744),
        ("enter-only", 0o711),
    ] {
        fs::create_dir(scene.path(name)).unwrap();
        let file = format!("{name}/root.crt");
        fs::copy(scene.tls().join("current/root.crt"), scene.path(&file)).unwrap();
        set_mode(&scene, name, mode);
    }
    fs::write(scene.path("secret.crt"), "x").unwrap();
    set_mode(&scene, "secret.crt", 0o600);
    // docs/exit-codes.md has no permission as 5.
    for target in [
        "closed",
        "closed/root.crt",
        "enter-only",
        "list-only/root.crt",
        "secret.crt",
        "tls",
    ] {
        let report = as_stranger(&scene, target);
        assert_eq!(
            (report.status, report.text().as_str()),
            (Some(5), ""),
            "{target}: {}",
            report.stderr
        );
        assert!(report.stderr.starts_with("pgpki: "), "{}", report.stderr);
        assert_eq!(
            report.stderr.matches("pgpki: ").count(),
            1,
            "{}",
            report.stderr
        );
        assert!(
            report.stderr.contains("ermission") && report.stderr.contains(target),
            "{}",
            report.stderr
        );
    }
    // What may be read is.
    assert_eq!(as_stranger(&scene, "enter-only/root.crt").status, Some(0));
    let listed = as_stranger(&scene, "list-only");
    assert_eq!(listed.status, Some(1));
    assert!(listed.text().contains("[unreadable]"), "{}", listed.text());
}

#[test]
fn names_that_are_no_text() {
    let scene = scene_with_authority();
    let root = scene.tls().join("current/root.crt");
    let name = OsStr::from_bytes(b"caf\xe9.crt");
    fs::copy(&root, scene.path(name)).unwrap();
    for json in [false, true] {
        let mut command = scene.command([OsStr::new("inspect"), name]);
        if json {
            command.arg("--json");
        }
        let report = Report::of(&mut limited(&command));
        let text = String::from_utf8(report.stdout.clone()).expect("the report is text");
        assert_eq!(report.status, Some(0), "{}", report.stderr);
        assert!(text.contains("caf\u{fffd}.crt"), "{text}");
        if json {
            report.json_with(0);
        }
    }
    // One that is missing, or garbage, is named as well as can be.
    fs::write(scene.path(OsStr::from_bytes(b"bad\xff.key")), "garbage").unwrap();
    for name in [&b"bad\xff.key"[..], b"missing\xff.crt"] {
        let report =
            Report::of(&mut scene.command([OsStr::new("inspect"), OsStr::from_bytes(name)]));
        assert_eq!((report.status, report.text().as_str()), (Some(4), ""));
        assert!(report.stderr.starts_with("pgpki: "), "{}", report.stderr);
    }
}

/// A file is looked at, whatever its name: what is not mentioned is taken for absent.
#[test]
fn a_folder_with_names_that_are_no_text() {
    let scene = scene_with_authority();
    fs::create_dir(scene.path("folder")).unwrap();
    let root = scene.tls().join("current/root.crt");
    fs::copy(&root, scene.path("folder/plain.crt")).unwrap();
    fs::copy(
        &root,
        scene.path("folder").join(OsStr::from_bytes(b"caf\xe9.crt")),
    )
    .unwrap();
    let report = inspect(&scene, &["folder", "--json"]);
    let report = report.json_with(report.status.unwrap());
    assert_eq!(list(&report, "files").len(), 2, "{report:#}");
}

#[test]
fn a_folder_name_that_is_no_text() {
    let scene = scene_with_authority();
    let folder = scene.path(OsStr::from_bytes(b"d\xff"));
    fs::create_dir(&folder).unwrap();
    fs::copy(
        scene.tls().join("current/root.crt"),
        folder.join("root.crt"),
    )
    .unwrap();
    let mut command = scene.command([
        OsStr::new("inspect"),
        folder.as_os_str(),
        OsStr::new("--json"),
    ]);
    Report::of(&mut command).json_with(0);
}

/// Ends the other thread's loop, on a panic too: nobody would wait for it otherwise.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A file that comes and goes while it is looked at.
#[test]
fn what_vanishes_meanwhile() {
    let scene = scene_with_authority();
    fs::create_dir(scene.path("folder")).unwrap();
    let root = scene.tls().join("current/root.crt");
    fs::copy(&root, scene.path("folder/stays.crt")).unwrap();
    let (file, stop) = (scene.path("folder/a.crt"), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                fs::copy(&root, &file).unwrap();
                fs::remove_file(&file).unwrap();
            }
        });
        let _stop = StopAtEnd(&stop);
        for _ in 0..60 {
            // Whole, missing, or empty because it is being written.
            let alone = inspect(&scene, &["folder/a.crt"]);
            assert!(matches!(alone.status, Some(0 | 4)), "{}", alone.stderr);
            let folder = inspect(&scene, &["folder"]);
            assert!(matches!(folder.status, Some(0 | 1)), "{}", folder.stderr);
        }
    });
}

/// An installation is looked at while another generation takes its place.
#[test]
fn an_installation_that_is_rotated_meanwhile() {
    let scene = scene_with_authority();
    let stop = AtomicBool::new(false);
    let reports: Vec<Report> = thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut reports = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                reports.push(inspect(&scene, &["tls"]));
            }
            reports
        });
        {
            let _stop = StopAtEnd(&stop);
            for _ in 0..8 {
                scene.pgpki("rotate --force");
            }
        }
        watcher.join().unwrap()
    });
    assert!(!reports.is_empty());
    for report in reports {
        assert_eq!(report.status, Some(0), "{}{}", report.text(), report.stderr);
    }
}
