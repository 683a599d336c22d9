//! What a server logged since it last read its files: the end of its log.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;

use crate::doctor::facts::Unseen;
use crate::postmaster::Postmaster;
use crate::reload::logs_in_english;

/// What a server logs when it keeps what it had (`be-secure-openssl.c`, `postmaster.c`), unless
/// its messages are in another language.
pub(crate) const KEPT: &str = "was not reloaded";

/// How much of the log is read, in bytes from its end.
const TAIL: u64 = 1 << 20;

/// What a server logs when it begins to read its files, in English (`postmaster.c`).
const BEGINNINGS: [&str; 2] = ["received SIGHUP", "starting PostgreSQL"];

/// What was logged since the server last began to read its files. Where that was longer ago than
/// the tail of the log goes, nothing.
pub(crate) fn since_last_reload(postmaster: &Postmaster) -> Result<Vec<String>, Unseen> {
    let unseen = |why: String| Unseen {
        why,
        hint: format!("Look there for \"{KEPT}\" after a reload."),
    };
    let log = postmaster
        .log()
        .ok_or_else(|| unseen("the server's log is no file that can be found from here".into()))?;
    let tail = tail(log.path())
        .map_err(|error| unseen(format!("cannot read {}: {error}", log.path().display())))?;
    let lines: Vec<&str> = tail.lines().collect();
    let begins = |line: &&str| BEGINNINGS.iter().any(|words| line.contains(words));
    let last = lines.iter().rposition(begins);
    let since = last.and_then(|last| lines.get(last + 1..));
    let since = since.unwrap_or_default();
    // What is there to be read is read all the same: the language may be another one since.
    if !since.iter().any(|line| line.contains(KEPT)) && logs_in_english(postmaster) == Some(false) {
        return Err(unseen(
            "its messages are not known to be in English (lc_messages)".into(),
        ));
    }
    Ok(since.iter().map(|line| (*line).to_owned()).collect())
}

/// The server's user owns the file, and may have put anything there.
fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::options()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
