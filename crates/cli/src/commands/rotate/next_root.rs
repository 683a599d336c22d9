//! `pgpki rotate --issuer-root`: a company changes its root, and clients have to know the new one first.

use std::io::{self, Write};
use std::path::Path;

use pgpki_authority::{Authority, NextRoot};
use pgpki_core::document::printable;
use pgpki_core::endorsement::{EndorsementError, IssuerChain, fingerprint};
use pgpki_core::issue::CaFacts;
use time::OffsetDateTime;

use super::requested::failure;
use crate::args::Rotate;
use crate::exit::{Exit, Failure};
use crate::issuer;
use crate::show::STRONG;

const ROOT_ALONE: &str =
    "Nothing was changed. A root signs itself: give the file with the company's new one alone";

/// The root that was named, and what became of it.
pub(super) struct Handed {
    next: NextRoot,
    name: String,
    fingerprint: String,
    home: String,
}

/// Has clients know this root from now on.
pub(super) fn hand(
    args: &Rotate,
    file: &Path,
    authority: &mut Authority,
    now: OffsetDateTime,
) -> Result<Handed, Failure> {
    let chains = IssuerChain::read(&issuer::read(file)?, now);
    let chains = chains.map_err(|error| match error {
        // No more is wanted than the root, whatever is missing above another certificate.
        EndorsementError::IssuerMissing { .. } | EndorsementError::Circle(_) => {
            Failure::new(Exit::BadInput, format!("{}: {error}", file.display())).hint(ROOT_ALONE)
        }
        error => issuer::endorsement(file, &error),
    })?;
    let root = match chains.first().map(IssuerChain::certificates) {
        Some([root]) => root,
        _ => {
            let message = format!("{}: its first certificate is no root", file.display());
            return Err(Failure::new(Exit::BadInput, message).hint(ROOT_ALONE));
        }
    };
    let next = authority.hand_next_root(root, now);
    let facts = CaFacts::read(root);
    Ok(Handed {
        next: next.map_err(|error| failure(args, error))?,
        name: facts.map(|facts| facts.common_name).unwrap_or_default(),
        fingerprint: fingerprint(root),
        home: args.home.flag(),
    })
}

impl Handed {
    /// What is to be done next.
    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let Self {
            fingerprint, home, ..
        } = self;
        let name = printable(&self.name);
        if self.next == NextRoot::Present {
            return writeln!(
                out,
                "Servers' chains end in {STRONG}{name}{STRONG:#}, and clients are handed no other root of the company's.\n\
                 SHA-256  {fingerprint}"
            );
        }
        writeln!(
            out,
            "\nClients are handed {STRONG}{name}{STRONG:#} beside the root that they have, if this is its SHA-256:\n{fingerprint}\n\
             Bring every client the folder that was renewed. Who has none here, or one that no rotation renews (pgpki sign,\n\
             --encrypt-to), adds the root to his root.crt.\n\
             Not before all of them have it: pgpki rotate --issuing --issuer-cert FILE --issuer-key FILE{home}\n\
             Back to the root of now: pgpki rotate --issuer-root FILE{home}, with that"
        )
    }
}
