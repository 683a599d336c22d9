//! A colon in the path of a key: libpq takes what stands before it for the name of an OpenSSL engine (PostgreSQL's
//! documentation, "Parameter Key Words", `sslkey`). A folder that becomes `~/.postgresql` is read all the same.

use std::io::{self, Write};
use std::path::Path;

use pgpki_core::document::printable;

/// What to do about folders that it cannot be told of: the first is named.
pub(super) fn note<'a>(
    folders: impl IntoIterator<Item = &'a Path>,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut odd = folders
        .into_iter()
        .filter(|folder| folder.to_string_lossy().contains(':'));
    let Some(first) = odd.next() else {
        return Ok(());
    };
    let more = match odd.count() {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let first = printable(&first.to_string_lossy());
    writeln!(
        out,
        "  {first} has a colon in its path{more}, which libpq takes for an OpenSSL engine in sslkey: rename it where it \
         is used, or let it be ~/.postgresql"
    )
}
