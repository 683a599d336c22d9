//! The tar archive: which files a home has, and what they are called in it. POSIX `ustar`, with GNU's
//! extension for a ledger above 8 GiB.

use std::io::{self, Write};

use tar::{EntryType, Header};

use crate::ca_store::{CERTIFICATE, ISSUING, KEY, ROOT, URI};
use crate::{ledger, settings};

const CURRENT: &str = "current";

/// tar's unit, in bytes: a header takes one, and what follows is padded to a whole number of them.
const BLOCK: usize = 512;

/// Which CAs are kept in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Store {
    Roots,
    Issuing,
}

impl Store {
    pub(super) const ALL: [Self; 2] = [Self::Roots, Self::Issuing];

    /// The name of its directory in the home.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Roots => ROOT,
            Self::Issuing => ISSUING,
        }
    }
}

/// Something in a home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Settings,
    Ledger,
    Directory(Store),
    Generation(Store, u32),
    Certificate(Store, u32),
    Key(Store, u32),
    /// Where the key is, if it is in a token.
    Uri(Store, u32),
    /// The link to the live generation. Read, it is no more than the number it says.
    Current(Store),
}

impl Part {
    pub(super) fn path(self) -> String {
        match self {
            Self::Settings => settings::FILE.to_owned(),
            Self::Ledger => ledger::FILE.to_owned(),
            Self::Directory(store) => format!("{}/", store.name()),
            Self::Generation(store, number) => format!("{}/{}/", store.name(), generation(number)),
            Self::Certificate(store, number) => {
                format!("{}/{}/{CERTIFICATE}", store.name(), generation(number))
            }
            Self::Key(store, number) => {
                format!("{}/{}/{KEY}", store.name(), generation(number))
            }
            Self::Uri(store, number) => {
                format!("{}/{}/{URI}", store.name(), generation(number))
            }
            Self::Current(store) => format!("{}/{CURRENT}", store.name()),
        }
    }

    /// The part with this name, exactly as [`Part::path`] has it.
    pub(super) fn parse(path: &[u8]) -> Option<Self> {
        let path = std::str::from_utf8(path).ok()?;
        let found = match path.split('/').collect::<Vec<_>>()[..] {
            [name] if name == settings::FILE => Self::Settings,
            [name] if name == ledger::FILE => Self::Ledger,
            [name, ref rest @ ..] => {
                let store = Store::ALL.into_iter().find(|store| store.name() == name)?;
                match *rest {
                    [""] => Self::Directory(store),
                    [CURRENT] => Self::Current(store),
                    [generation, ""] => Self::Generation(store, number(generation.as_bytes())?),
                    [generation, CERTIFICATE] => {
                        Self::Certificate(store, number(generation.as_bytes())?)
                    }
                    [generation, KEY] => Self::Key(store, number(generation.as_bytes())?),
                    [generation, URI] => Self::Uri(store, number(generation.as_bytes())?),
                    _ => return None,
                }
            }
            [] => return None,
        };
        (found.path() == path).then_some(found)
    }

    pub(super) fn kind(self) -> EntryType {
        match self {
            Self::Directory(_) | Self::Generation(..) => EntryType::Directory,
            Self::Current(_) => EntryType::Symlink,
            _ => EntryType::Regular,
        }
    }

    /// A header for it. `seconds` since 1970 is when the backup was made.
    pub(super) fn header(self, size: u64, seconds: u64) -> Header {
        let mut header = Header::new_gnu();
        let path = self.path();
        // All names are far shorter than the field.
        if let Some(field) = header.as_gnu_mut() {
            for (to, from) in field.name.iter_mut().zip(path.as_bytes()) {
                *to = *from;
            }
        }
        header.set_entry_type(self.kind());
        header.set_mode(match self.kind() {
            EntryType::Directory => 0o700,
            EntryType::Symlink => 0o777,
            _ => 0o600,
        });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(seconds);
        header.set_size(size);
        header.set_cksum();
        header
    }
}

/// `g0001`.
pub(super) fn generation(number: u32) -> String {
    format!("g{number:04}")
}

/// The number of a generation with exactly this name.
pub(super) fn number(name: &[u8]) -> Option<u32> {
    let name = std::str::from_utf8(name).ok()?;
    let number = name.strip_prefix('g')?.parse().ok()?;
    (generation(number) == name).then_some(number)
}

/// Fills up what was written to a whole number of blocks.
pub(super) fn pad(out: &mut impl Write, size: u64) -> io::Result<()> {
    let over = (size % BLOCK as u64) as usize;
    match over {
        0 => Ok(()),
        _ => out.write_all(&[0; BLOCK][over..]),
    }
}

/// What an archive ends with.
pub(super) fn finish(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_names_of_a_home_are_read_as_they_are_written() {
        let mut parts = vec![Part::Settings, Part::Ledger];
        for store in Store::ALL {
            parts.extend([Part::Directory(store), Part::Current(store)]);
            for number in [1, 9999, 10_000, u32::MAX] {
                parts.push(Part::Generation(store, number));
                parts.push(Part::Certificate(store, number));
                parts.push(Part::Key(store, number));
                parts.push(Part::Uri(store, number));
            }
        }
        for part in parts {
            assert_eq!(Part::parse(part.path().as_bytes()), Some(part));
            let header = part.header(1, 2);
            assert_eq!(header.path_bytes(), part.path().as_bytes());
        }
    }

    #[test]
    fn no_other_name_is() {
        for name in [
            "",
            "/",
            "./pgpki.toml",
            "/pgpki.toml",
            "pgpki.toml/",
            "pgpki.toml\0",
            "ledger.db-journal",
            "root",
            "root//",
            "root/../ledger.db",
            "root/g1/ca.key",
            "root/g00001/ca.key",
            "root/g+001/ca.key",
            "root/g99999999999/ca.key",
            "root/g0001/ca.key/",
            "root/g0001/../ca.key",
            "root/g0001/other",
            "root/current/ca.key",
            "other/g0001/ca.key",
            "../pgpki.toml",
        ] {
            assert_eq!(Part::parse(name.as_bytes()), None, "{name}");
        }
        assert_eq!(Part::parse(b"root/g0001/ca.key\xff"), None);
    }
}
