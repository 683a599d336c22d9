//! What a run waits for: its own files where they are few, for a database beside them may have a gigabyte to write.

use std::fs;

use crate::fixture::{Fixture, said};
use crate::strace::{Fault, record, with_fault};

/// As many folders as are synced one by one (`FEW` in the filesystem crate).
const FEW: usize = 32;

#[test]
fn for_nobody_elses_files_where_folders_are_few() {
    let fixture = Fixture::new();
    fixture.init();
    assert_eq!(syncs_of_the_filesystem(&fixture, FEW), 0);
}

#[test]
fn for_the_whole_file_system_where_they_are_many() {
    let fixture = Fixture::new();
    fixture.init();
    assert_eq!(syncs_of_the_filesystem(&fixture, FEW + 1), 1 + 2);
}

/// How often the whole file system is waited for when so many folders are made, and when they are renewed.
fn syncs_of_the_filesystem(fixture: &Fixture, folders: usize) -> usize {
    let names: Vec<String> = (0..folders).map(|number| format!("role{number}")).collect();
    let mut issue = vec!["issue-client", "--out", "clients"];
    issue.extend(names.iter().map(String::as_str));
    let calls = [
        record(fixture, &issue),
        record(fixture, &["rotate", "--force"]),
    ];
    for calls in &calls {
        assert!(calls.iter().any(|call| call.name == "fsync"));
    }
    calls
        .iter()
        .flatten()
        .filter(|call| call.name == "syncfs")
        .count()
}

/// Of a file that its user has put beside his key as well: it moves only after what was done before is on disk.
#[test]
fn a_sync_that_fails_is_told() {
    let fixture = Fixture::new();
    fixture.init();
    fixture.pgpki("issue-client alice --out clients");
    fs::write(fixture.path("clients/alice/pg_service.conf"), "mine").unwrap();
    let prepared = fixture.tree();
    let rotate = ["rotate", "--force"];
    let mut calls = record(&fixture, &rotate);
    // SQLite looks at its own, but for the directory of its journal.
    calls.retain(|call| call.name == "fsync");
    assert!(calls.len() > 10, "{calls:?}");
    for call in calls {
        prepared.restore(fixture.root());
        let fault = Fault::Fails(call);
        let (output, has_struck) = with_fault(&fixture, 0, &fault, &rotate);
        assert!(has_struck, "{}", fault.describe());
        let told = !output.status.success();
        assert!(told, "{}: {}", fault.describe(), said(&output));
    }
}

/// A file system without a journal could keep both names of a folder that was staged there, and the next run would sweep one.
#[test]
fn for_the_directory_that_a_folder_was_staged_in() {
    crate::need_root();
    let fixture = Fixture::new();
    fixture.init();
    let shelf = fixture.path("shared");
    fs::create_dir(&shelf).unwrap();
    std::os::unix::fs::chown(&shelf, Some(fixture.owner().uid), None).unwrap();
    let calls = record(&fixture, &["issue-client", "alice", "--out", "shared"]);
    let published = calls
        .iter()
        .rposition(|call| call.name.starts_with("renameat"));
    let opened = calls.iter().rev().find_map(|call| {
        let is_it = call.name == "openat" && call.line.contains("\".pgpki\"");
        let (_, descriptor) = call.line.rsplit_once(" = ").filter(|_| is_it)?;
        descriptor.parse::<u32>().ok()
    });
    let synced = format!("fsync({})", opened.unwrap());
    let mut after = calls[published.unwrap()..].iter();
    assert!(after.any(|call| call.line.contains(&synced)), "{calls:#?}");
}
