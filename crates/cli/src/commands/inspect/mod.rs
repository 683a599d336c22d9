//! `pgpki inspect`: the ledger, a file or a folder.

mod findings;
mod ledger;
mod target;

use time::OffsetDateTime;

use crate::args::Inspect;
use crate::exit::{Exit, Failure};

pub(crate) fn run(args: &Inspect, now: OffsetDateTime) -> Result<Exit, Failure> {
    match &args.target {
        None => ledger::run(args, now),
        Some(target) => target::run(args, target, now),
    }
}
