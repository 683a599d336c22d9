//! Whether the server may read its files: PostgreSQL's rules for the key, the permissions of the
//! others, and every directory on the way.

use std::collections::BTreeSet;
use std::path::PathBuf;

use pgpki_core::document::printable;
use pgpki_core::finding::Finding;
use pgpki_core::key_file::{FileKind, key_file_finding};

use super::Located;
use super::facts::{Absent, Facts, FileSeen, Status};

pub(super) fn judge(facts: &Facts) -> Vec<Located> {
    if !facts.configuration.ssl_is_on() {
        return Vec::new();
    }
    let user = User {
        uid: facts.cluster.owner.uid,
        groups: &facts.groups,
    };
    let mut findings = Vec::new();
    let mut closed = BTreeSet::new();
    for file in facts.files.all() {
        closed.extend(user.closed(file));
        findings.extend(user.file(file).map(|it| Located::in_file(it, &file.path)));
    }
    let closed = closed.into_iter().map(|(directory, mode)| {
        let finding = Finding::error(
            "directory-closed",
            format!(
                "the server's user (id {}) cannot enter this directory, in which or below which \
                 its TLS files are: the mode is {mode:04o}",
                user.uid
            ),
            "Give it to that user, or let it be entered (chmod o+x); the server finds no \
             file below it: \"could not access\".",
        );
        Located::in_file(finding, directory)
    });
    findings.extend(closed);
    findings
}

/// Whom the server runs as. Access control lists are not looked at.
struct User<'a> {
    uid: u32,
    groups: &'a [u32],
}

impl User<'_> {
    fn file(&self, file: &FileSeen) -> Option<Finding> {
        match &file.status {
            Ok(status) if file.parameter == "ssl_key_file" => self.key(file, *status),
            Ok(status) => self.other(file, *status),
            Err(Absent::Missing) => Some(Finding::error(
                "file-missing",
                format!("{} names this file, and it is not there", file.parameter),
                "Put the file there, or correct the parameter; with ssl = on, the server does \
                 not start without it.",
            )),
            // The way to it is a finding of its own, or it is us who may not look.
            Err(Absent::Unknown(_)) => None,
        }
    }

    fn key(&self, file: &FileSeen, status: Status) -> Option<Finding> {
        let Status {
            kind,
            mode,
            uid,
            gid,
            ..
        } = status;
        let path = file.path.to_string_lossy();
        let by_rule = key_file_finding(&path, kind, mode, uid, gid, Some(self.uid));
        by_rule
            .filter(|_| !is_about_group_root(status))
            .or_else(|| {
                (!self.may(status, 0o4)).then(|| {
                    Finding::error(
                        "key-unreadable",
                        format!(
                            "could not load private key file \"{}\": Permission denied; its group \
                         is {gid}, and the server's user is not in it",
                            printable(&path)
                        ),
                        "Give the file to the server's group with chgrp.",
                    )
                })
            })
    }

    fn other(&self, file: &FileSeen, status: Status) -> Option<Finding> {
        if status.kind != FileKind::Regular {
            return Some(Finding::error(
                "file-missing",
                format!("{} names something that is no regular file", file.parameter),
                "Correct the parameter; with ssl = on, the server does not start with it.",
            ));
        }
        (!self.may(status, 0o4)).then(|| {
            Finding::error(
                "file-closed",
                format!(
                    "the server's user (id {}) may not read it: it belongs to user {} and group \
                     {}, with mode {:04o}",
                    self.uid, status.uid, status.gid, status.mode
                ),
                "Let it be read: there is nothing secret in it (chmod 0644).",
            )
        })
    }

    fn closed(&self, file: &FileSeen) -> Vec<(PathBuf, u32)> {
        let closed = file
            .way
            .iter()
            .filter(|(_, status)| !self.may(*status, 0o1));
        closed
            .map(|(path, status)| (path.clone(), status.mode))
            .collect()
    }

    /// Whether the permission bits allow it: 4 to read, 1 to enter. As the kernel does, the first
    /// class that fits decides.
    fn may(&self, status: Status, wanted: u32) -> bool {
        let shift = match status {
            _ if self.uid == 0 => return true,
            Status { uid, .. } if uid == self.uid => 6,
            Status { gid, .. } if self.groups.contains(&gid) => 3,
            _ => 0,
        };
        status.mode >> shift & wanted == wanted
    }
}

/// The rule for keys knows no groups, and warns where it depends on them; they are known here.
fn is_about_group_root(status: Status) -> bool {
    status.uid == 0 && status.gid == 0 && status.mode & 0o037 == 0 && status.mode & 0o040 != 0
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    #[test]
    fn the_first_class_that_fits_decides() {
        let user = User {
            uid: 10,
            groups: &[20, 21],
        };
        let may = |uid, gid, mode| {
            let status = Status {
                kind: FileKind::Regular,
                mode,
                uid,
                gid,
                modified: OffsetDateTime::UNIX_EPOCH,
            };
            user.may(status, 0o4)
        };
        assert!(may(10, 0, 0o400) && !may(10, 20, 0o077));
        assert!(may(0, 21, 0o040) && !may(0, 20, 0o707));
        assert!(may(0, 0, 0o004) && !may(0, 0, 0o770));
    }
}
