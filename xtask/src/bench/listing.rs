//! (c) `inspect` of a ledger of a million certificates: the first screen, and its memory, against
//! a ledger of a thousand.

use std::ffi::OsString;
use std::path::Path;

use rusqlite::{Connection, params};

use super::spent::{Spent, measure};
use super::{init, said};
use crate::running::Failure;

const SMALL: u32 = 1_000;
const LARGE: u32 = 1_000_000;

/// A client's certificate takes about this, in bytes.
const CERTIFICATE: u32 = 500;

pub(super) fn run(program: &Path, dir: &Path) -> Result<(), Failure> {
    let home = init(program, dir)?;
    fill(&home, 0, SMALL)?;
    let small = screen(program, &home, &[])?;
    fill(&home, SMALL, LARGE)?;
    let large = screen(program, &home, &[])?;
    let all = screen(program, &home, &["--all".into()])?;
    let ratio = |a: u64, b: u64| a as f64 / b as f64;
    println!("c. inspect of {LARGE} certificates, against {SMALL}:");
    println!(
        "   first screen {:.2} s, {:.2} x the memory",
        large.wall.as_secs_f64(),
        ratio(large.memory, small.memory)
    );
    println!(
        "   --all {:.2} s, {:.2} x the memory",
        all.wall.as_secs_f64(),
        ratio(all.memory, small.memory)
    );
    Ok(())
}

fn screen(program: &Path, home: &Path, more: &[OsString]) -> Result<Spent, Failure> {
    let mut arguments: Vec<OsString> = vec!["inspect".into(), "--home".into(), home.into()];
    arguments.extend_from_slice(more);
    measure(1, program, &arguments)
}

/// Certificates that differ in name and time. What is in them does not matter to a listing, so
/// none is signed.
fn fill(home: &Path, from: u32, to: u32) -> Result<(), Failure> {
    let mut ledger = Connection::open(home.join("ledger.db")).map_err(said)?;
    let transaction = ledger.transaction().map_err(said)?;
    transaction
        .execute(
            "WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
             INSERT INTO certificates
             (serial, issuer, profile, common_name, hosts, not_before, not_after, der)
             SELECT randomblob(16), 2, 'client', 'role_' || i, '',
                    unixepoch() - i * 31, unixepoch() - i * 31 + 31536000, randomblob(?3)
             FROM n",
            params![from, to, CERTIFICATE],
        )
        .map_err(said)?;
    // Each of them in a folder, as issue-client leaves it: the listing names the place.
    transaction
        .execute(
            "INSERT INTO places
             (path, kind, profile, common_name, hosts, algorithm, uid, gid, formats, serial)
             SELECT '/srv/hand-over/' || common_name, 'folder', profile, common_name, '', 'p256',
                    0, 0, 'libpq', serial
             FROM certificates
             WHERE profile = 'client' AND serial NOT IN (SELECT serial FROM places)",
            [],
        )
        .map_err(said)?;
    transaction.commit().map_err(said)
}
