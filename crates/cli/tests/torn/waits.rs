//! What a run waits for: its own files where they are few, for a database beside them may have a gigabyte to write.

use crate::fixture::Fixture;
use crate::strace::record;

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
