//! Backups while others issue.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use pgpki_testing::Scene;

use crate::fixture::{back_up, is_sound, ledger, names, opened, scene, serial_of, unpack};

const LOOPS: usize = 8;
const BACKUPS: usize = 6;

/// The serial numbers of everything that is on disk now.
fn on_disk(scene: &Scene) -> BTreeSet<String> {
    let mut serials = BTreeSet::new();
    for shelf in (0..LOOPS).map(|number| scene.path(format!("out{number}"))) {
        if !shelf.is_dir() {
            continue;
        }
        for role in names(&shelf) {
            let file = shelf.join(&role).join("postgresql.crt");
            // Not what is on its way there.
            if !role.starts_with('.') && file.exists() {
                serials.insert(serial_of(&file));
            }
        }
    }
    serials
}

fn in_ledger(home: &std::path::Path) -> BTreeSet<String> {
    let ledger = ledger(home);
    let mut statement = ledger
        .prepare("SELECT lower(hex(serial)) FROM certificates")
        .unwrap();
    let serials = statement.query_map([], |row| row.get(0)).unwrap();
    serials.map(Result::unwrap).collect()
}

#[test]
fn every_backup_holds_all_that_was_on_disk_when_it_began() {
    let scene = scene();
    let is_over = AtomicBool::new(false);
    let issued = AtomicUsize::new(0);
    thread::scope(|threads| {
        for number in 0..LOOPS {
            let (scene, is_over, issued) = (&scene, &is_over, &issued);
            threads.spawn(move || {
                for role in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    scene.pgpki(&format!("issue-client r{number}x{role} --out out{number}"));
                    issued.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for number in 0..BACKUPS {
                let (before, began) = (on_disk(&scene), issued.load(Ordering::Relaxed));
                let backup = back_up(&scene, &format!("{number}.age"));
                let went_on = issued.load(Ordering::Relaxed) - began;
                assert!(went_on > 0, "nobody issued while backup {number} was made");
                let home = scene.path(format!("home{number}"));
                unpack(&opened(&fs::read(backup).unwrap()), &home);
                is_sound(&home);
                let known = in_ledger(&home);
                let missing: Vec<_> = before.difference(&known).collect();
                assert!(missing.is_empty(), "backup {number} has not {missing:?}");
                // It is a home: one can go on from it.
                let home = home.display().to_string();
                scene.pgpki(&format!(
                    "issue-client after --out after{number} --home {home}"
                ));
            }
        }));
        is_over.store(true, Ordering::Relaxed);
        if let Err(panic) = checked {
            std::panic::resume_unwind(panic);
        }
    });
    for number in 0..BACKUPS {
        let home = scene
            .path(format!("restored{number}"))
            .display()
            .to_string();
        scene.pgpki(&format!(
            "restore --passphrase-file pass {number}.age --home {home}"
        ));
        is_sound(home.as_ref());
    }
}
