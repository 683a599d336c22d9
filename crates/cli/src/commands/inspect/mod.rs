//! `pgpki inspect`: the ledger, a file or a folder, or servers.

mod asked;
mod cas;
mod certificate;
mod findings;
mod ledger;
mod server;
mod target;
mod waiting;

use time::OffsetDateTime;

use crate::args::Inspect;
use crate::exit::{Exit, Failure};
use asked::Asked;

pub(crate) fn run(args: &Inspect, now: OffsetDateTime) -> Result<Exit, Failure> {
    match asked::of(args)? {
        Asked::Ledger => ledger::run(args, now),
        Asked::Path(path) => target::run(args, path, now),
        Asked::Servers(servers) => server::run(args, &servers, now),
    }
}
