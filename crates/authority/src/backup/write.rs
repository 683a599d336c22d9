//! Writing a backup.

use std::fs::File;
use std::io::{BufWriter, Read, Write};

use pgpki_fs::{Installation, IoError, PrivateDir};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::archive::{Part, Store, finish, generation, pad};
use super::{BackupError, Seal};
use crate::authority::{Authority, AuthorityError};
use crate::ca_store::{self, CERTIFICATE, CaStoreError, KEY, URI};
use crate::{ledger, settings};

/// How much of the ledger is in memory at a time, in bytes.
const CHUNK: usize = 1 << 16;

/// What a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// How long it is, in bytes.
    pub bytes: u64,
    /// How many CAs the ledger knows.
    pub cas: usize,
    /// How many certificates the ledger knows, those of CAs included.
    pub certificates: u64,
}

impl Authority {
    /// Writes the home. The authority is open alone, so that nobody changes it meanwhile.
    ///
    /// # Errors
    /// The home is damaged, a file of it cannot be read, or the backup cannot be written. What was
    /// written until then is no backup.
    pub fn back_up(
        &self,
        seal: Seal,
        out: impl Write,
        now: OffsetDateTime,
    ) -> Result<Written, BackupError> {
        self.check_parts()?;
        self.ledger.check().map_err(AuthorityError::from)?;
        let certificates = self.ledger.len().map_err(AuthorityError::from)?;
        let home = PrivateDir::open(self.home())?;
        let mut archive = Archive {
            // Buffered, because age makes a text of an error of the first bytes.
            out: seal.over(Counted {
                out: BufWriter::new(out),
                bytes: 0,
            })?,
            seconds: u64::try_from(now.unix_timestamp()).unwrap_or(0),
        };
        let settings = home
            .read(settings::FILE, settings::MAX_BYTES)?
            .ok_or_else(|| missing(&home, settings::FILE))?;
        archive.add(Part::Settings, &settings)?;
        for store in Store::ALL {
            archive.add_store(&home, store)?;
        }
        archive.add_ledger(&home)?;
        finish(&mut archive.out).map_err(BackupError::Write)?;
        let mut counted = archive.out.finish().map_err(BackupError::Write)?;
        counted.out.flush().map_err(BackupError::Write)?;
        Ok(Written {
            bytes: counted.bytes,
            cas: self.hierarchy.cas().count(),
            certificates,
        })
    }
}

/// A tar archive in the making.
struct Archive<W> {
    out: W,
    seconds: u64,
}

impl<W: Write> Archive<W> {
    fn begin(&mut self, part: Part, size: u64) -> Result<(), BackupError> {
        let header = part.header(size, self.seconds);
        self.write(header.as_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.out.write_all(bytes).map_err(BackupError::Write)
    }

    fn add(&mut self, part: Part, bytes: &[u8]) -> Result<(), BackupError> {
        let size = bytes.len() as u64;
        self.begin(part, size)?;
        self.write(bytes)?;
        pad(&mut self.out, size).map_err(BackupError::Write)
    }

    fn add_store(&mut self, home: &PrivateDir, store: Store) -> Result<(), BackupError> {
        let failed = |error| AuthorityError::from(CaStoreError::from(error));
        let installation = Installation::open_in(home, store.name()).map_err(failed)?;
        self.begin(Part::Directory(store), 0)?;
        for number in installation.generations().map_err(failed)? {
            self.begin(Part::Generation(store, number), 0)?;
            let files = [
                (Part::Certificate(store, number), CERTIFICATE),
                (Part::Key(store, number), KEY),
                (Part::Uri(store, number), URI),
            ];
            for (part, name) in files {
                let read = installation.read_secret(number, name, ca_store::MAX_BYTES)?;
                // A root's key may be kept elsewhere between two uses.
                if let Some(bytes) = read.map(Zeroizing::new) {
                    self.add(part, &bytes)?;
                }
            }
        }
        if let Some(live) = installation.current().map_err(failed)? {
            let part = Part::Current(store);
            let mut header = part.header(0, self.seconds);
            let target = generation(live);
            if let Some(field) = header.as_gnu_mut() {
                for (to, from) in field.linkname.iter_mut().zip(target.as_bytes()) {
                    *to = *from;
                }
            }
            header.set_cksum();
            self.write(header.as_bytes())?;
        }
        Ok(())
    }

    /// The descriptor outlives the copy, and the authority's connection to the ledger is not used
    /// again: closing any descriptor of a file gives up the locks that SQLite holds on it.
    fn add_ledger(&mut self, home: &PrivateDir) -> Result<(), BackupError> {
        let (mut file, size) = home
            .open_secret(ledger::FILE)?
            .ok_or_else(|| missing(home, ledger::FILE))?;
        self.begin(Part::Ledger, size)?;
        let path = home.path().join(ledger::FILE);
        let mut left = size;
        let mut chunk = [0; CHUNK];
        while left > 0 {
            let room = chunk.len().min(usize::try_from(left).unwrap_or(CHUNK));
            let read = read(&mut file, &mut chunk[..room]).map_err(|source| IoError {
                operation: "read",
                path: path.clone(),
                source,
            })?;
            if read == 0 {
                return Err(BackupError::Changed { path });
            }
            self.write(&chunk[..read])?;
            left -= read as u64;
        }
        match read(&mut file, &mut chunk) {
            Ok(0) => pad(&mut self.out, size).map_err(BackupError::Write),
            _ => Err(BackupError::Changed { path }),
        }
    }
}

fn read(file: &mut File, chunk: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match file.read(chunk) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

fn missing(home: &PrivateDir, name: &str) -> BackupError {
    let path = home.path().join(name);
    BackupError::Missing { path }
}

struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
