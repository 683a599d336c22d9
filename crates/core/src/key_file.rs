//! PostgreSQL's own rules for the file that holds a private key, as a pure function of what
//! `stat` says. The server (`check_ssl_key_file_permissions` in be-secure-common.c) and libpq
//! (`initialize_SSL` in fe-secure-openssl.c) share the rule about the mode; only the server looks
//! at the owner.

use crate::document::printable;
use crate::finding::Finding;

/// What kind of file stands at a path, symbolic links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A socket or a device.
    Other,
}

/// Any access by others, or writing or executing by the group.
const BEYOND_0640: u32 = 0o037;
/// Any access by the group or by others.
const BEYOND_0600: u32 = 0o077;

/// What PostgreSQL would say about a private key's file; `None` where it would take it.
///
/// `server_uid` is the user that the server runs as, or `None` for a client's key, whose owner
/// libpq does not look at. Everything else is what `stat` says about the file.
pub fn key_file_finding(
    path: &str,
    kind: FileKind,
    mode: u32,
    uid: u32,
    gid: u32,
    server_uid: Option<u32>,
) -> Option<Finding> {
    let path = printable(path);
    if kind != FileKind::Regular {
        return Some(Finding::error(
            "key-not-a-file",
            format!("private key file \"{path}\" is not a regular file"),
            "Put the key into an ordinary file, or correct the path.",
        ));
    }
    if let Some(server) = server_uid
        && uid != server
        && uid != 0
    {
        return Some(Finding::error(
            "key-owner",
            format!(
                "private key file \"{path}\" must be owned by the database user or root; it \
                 belongs to user id {uid}, and the server runs as {server}"
            ),
            "Give it to the database's user with chown; in a container, look at the bind mount's \
             user ids.",
        ));
    }
    let (beyond, allowed) = match uid {
        0 => (BEYOND_0640, "0640 (root owns it)"),
        _ => (BEYOND_0600, "0600"),
    };
    if mode & beyond != 0 {
        return Some(Finding::error(
            "key-mode",
            format!(
                "private key file \"{path}\" has group or world access: its mode is {:04o}, \
                 and at most {allowed} is accepted",
                mode & 0o7777
            ),
            "Take the access away with chmod 0600, or 0640 where root owns the file and the \
             server's group reads it.",
        ));
    }
    server_uid.and_then(|server| unreadable(&path, mode, uid, gid, server))
}

/// The checks above let pass what the server then cannot open.
fn unreadable(path: &str, mode: u32, uid: u32, gid: u32, server: u32) -> Option<Finding> {
    let message = format!("could not load private key file \"{path}\": Permission denied");
    if uid == server {
        return (mode & 0o400 == 0).then(|| {
            Finding::error(
                "key-unreadable",
                message,
                "Its owner may not read it; set its mode to 0600.",
            )
        });
    }
    if mode & 0o040 == 0 {
        return Some(Finding::error(
            "key-unreadable",
            message,
            "Only root may read it; give it to the database's user, or to root with the \
             server's group and mode 0640.",
        ));
    }
    // In containers with arbitrary user ids the server's group really is root's.
    (gid == 0).then(|| {
        Finding::warning(
            "key-unreadable",
            format!("{message}, unless the server's user is in the group root"),
            "Give the file to the server's group with chgrp.",
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::finding::Severity;

    const POSTGRES: u32 = 999;

    fn server(mode: u32, uid: u32, gid: u32) -> Option<(&'static str, Severity)> {
        let finding = key_file_finding("k", FileKind::Regular, mode, uid, gid, Some(POSTGRES));
        finding.map(|f| (f.code, f.severity))
    }

    #[test]
    fn the_servers_key_as_postgresql_was_seen_to_take_it() {
        for mode in [0o600, 0o400, 0o700, 0o100_600] {
            assert_eq!(server(mode, POSTGRES, POSTGRES), None, "{mode:o}");
        }
        for mode in [0o640, 0o440] {
            assert_eq!(server(mode, 0, POSTGRES), None, "{mode:o}");
        }
        let error = |code| Some((code, Severity::Error));
        for mode in [0o640, 0o644, 0o604, 0o610] {
            assert_eq!(server(mode, POSTGRES, POSTGRES), error("key-mode"));
        }
        for mode in [0o644, 0o660, 0o650] {
            assert_eq!(server(mode, 0, POSTGRES), error("key-mode"), "{mode:o}");
        }
        assert_eq!(server(0o600, 1000, 1000), error("key-owner"));
        assert_eq!(server(0o600, 0, 0), error("key-unreadable"));
        assert_eq!(server(0o200, POSTGRES, POSTGRES), error("key-unreadable"));
        assert_eq!(
            server(0o640, 0, 0),
            Some(("key-unreadable", Severity::Warning))
        );
    }

    #[test]
    fn a_clients_key_may_belong_to_anybody() {
        let client = |mode, uid| key_file_finding("k", FileKind::Regular, mode, uid, 5, None);
        assert_eq!(client(0o600, 1000), None);
        assert_eq!(client(0o640, 0), None);
        assert_eq!(client(0o640, 1000).unwrap().code, "key-mode");
        assert_eq!(client(0o644, 0).unwrap().code, "key-mode");
    }

    #[test]
    fn what_is_no_file_is_refused_and_its_name_is_escaped() {
        for kind in [FileKind::Directory, FileKind::Fifo, FileKind::Other] {
            let finding = key_file_finding("a\x1b[2Jb", kind, 0o600, 1, 1, Some(1)).unwrap();
            assert_eq!(finding.code, "key-not-a-file");
            assert!(!finding.message.contains('\x1b'), "{finding}");
        }
    }

    #[test]
    fn severities_are_ordered() {
        assert!(Severity::Info < Severity::Warning && Severity::Warning < Severity::Error);
    }
}
