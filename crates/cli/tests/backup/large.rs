//! Memory does not grow with the ledger.

use std::process::Command;

use pgpki_testing::{Scene, run};

use crate::fixture::{empty, is_sound, lose_home};

/// In bytes: far more than what is left of [`MEMORY`] once a passphrase was tried.
const LEDGER: usize = 600 << 20;

/// In bytes, all mappings included: 256 MiB for the passphrase, and the program with its libraries.
const MEMORY: &str = "--as=450000000";

fn limited(scene: &Scene, line: &str) -> Command {
    let mut command = Command::new("prlimit");
    command
        .args([MEMORY, env!("CARGO_BIN_EXE_pgpki")])
        .args(line.split(' '))
        .current_dir(scene.path(""))
        .env("PGPKI_HOME", scene.home());
    command
}

#[test]
fn a_ledger_larger_than_the_memory() {
    let scene = empty();
    scene.init("");
    let path = scene.home().join("ledger.db");
    let ledger = rusqlite::Connection::open(&path).unwrap();
    ledger.pragma_update(None, "synchronous", "OFF").unwrap();
    let row = 4 << 20;
    let sql = "INSERT INTO certificates (serial, issuer, profile, common_name, hosts, not_before, not_after, replaced, der)
               VALUES (randomblob(16), 2, 'client', 'old', '', 0, 1, 1, zeroblob(?1))";
    ledger.execute_batch("BEGIN").unwrap();
    for _ in 0..LEDGER / row {
        ledger.execute(sql, [row as i64]).unwrap();
    }
    ledger.execute_batch("COMMIT").unwrap();
    drop(ledger);
    assert!(path.metadata().unwrap().len() > LEDGER as u64 / 2);
    run(&mut limited(
        &scene,
        "backup --passphrase-file pass pki.age",
    ));
    lose_home(&scene);
    run(&mut limited(
        &scene,
        "restore --passphrase-file pass pki.age",
    ));
    is_sound(&scene.home());
}
