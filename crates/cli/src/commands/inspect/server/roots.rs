//! The roots that clients may have.

use std::io::Write as _;
use std::path::Path;

use pgpki_authority::ledger::CaState;
use pgpki_authority::{Authority, AuthorityError};
use pgpki_core::document::{Document, Encoding, Item, printable};
use pgpki_fs::{PrivateError, WalkError};
use pgpki_postgres::probe::system_roots;

use crate::args::Inspect;
use crate::exit::{Exit, Failure};

/// The largest file of roots that is read, in bytes: a system's whole store has a quarter of a
/// megabyte.
const MAX_ROOTS: u64 = 16 << 20;

/// Some roots, and where they are from.
pub(super) struct Store {
    pub(super) from: From,
    /// What reports call it.
    pub(super) name: String,
    pub(super) document: Document,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// The authority of the home.
    Authority,
    /// `--root FILE`.
    File,
    /// The machine's own.
    System,
}

impl From {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::File => "file",
            Self::System => "system",
        }
    }
}

/// What is given with `--root`, or else this authority's root, if there is one, and the system's.
pub(super) fn gather(args: &Inspect) -> Result<Vec<Store>, Failure> {
    if let Some(file) = &args.root {
        return Ok(vec![Store {
            from: From::File,
            name: printable(&file.to_string_lossy()),
            document: read(file)?,
        }]);
    }
    let system = Store {
        from: From::System,
        name: "the system's roots".to_owned(),
        document: certificates(&system_roots()),
    };
    Ok(authority(args).into_iter().chain([system]).collect())
}

fn read(file: &Path) -> Result<Document, Failure> {
    let bad = |why: &str| Failure::new(Exit::BadInput, format!("--root {}: {why}", file.display()));
    let bytes = pgpki_fs::read_bounded(file, MAX_ROOTS)?;
    let document = Document::read(&bytes).map_err(|error| bad(&error.to_string()))?;
    if document.certificates().next().is_none() {
        return Err(bad("there is no certificate in it"));
    }
    Ok(document)
}

/// To look at a server, nobody needs an authority; one that cannot be read is mentioned.
fn authority(args: &Inspect) -> Option<Store> {
    let home = args.home.path().ok()?;
    let read_all = || -> Result<Document, Failure> {
        let authority = Authority::open(&home).map_err(|error| match error {
            AuthorityError::Home(PrivateError::Directory(WalkError::Missing { .. }))
            | AuthorityError::NotAHome { .. } => Failure::new(Exit::Done, ""),
            error => error.into(),
        })?;
        let cas = authority.hierarchy().cas();
        let active = cas.filter(|ca| ca.state == CaState::Active);
        // Under a CA of somebody else's it is that one's root that clients have.
        let active = active.map(|ca| match &ca.endorsement {
            Some(endorsement) => endorsement.chain.root().to_vec(),
            None => ca.certificate.clone(),
        });
        let active: Vec<Vec<u8>> = active.collect();
        Ok(certificates(&active))
    };
    match read_all() {
        Ok(document) => Some(Store {
            from: From::Authority,
            name: "this authority".to_owned(),
            document,
        }),
        Err(failure) => {
            if failure.exit != Exit::Done {
                let why = printable(&failure.message);
                // Nothing can be done about a closed standard error.
                let _ = writeln!(
                    std::io::stderr(),
                    "pgpki: this authority's root is not compared: {why}"
                );
            }
            None
        }
    }
}

/// Whatever can be read of some certificates in DER.
fn certificates(ders: &[Vec<u8>]) -> Document {
    let read = ders.iter().filter_map(|der| Document::read(der).ok());
    of_items(read.flat_map(|document| document.items).collect())
}

pub(super) fn of_items(items: Vec<Item>) -> Document {
    Document {
        encoding: Encoding::Pem,
        items,
        text_between: false,
        byte_order_mark: false,
        ignored_blocks: 0,
    }
}
