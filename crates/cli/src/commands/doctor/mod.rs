//! `pgpki doctor`: what is wrong with a cluster, a client, or behind an error message.

mod client;
mod explain;
mod report;
mod server;

use time::OffsetDateTime;

use crate::args::Doctor;
use crate::exit::{Exit, Failure};

pub(crate) fn run(args: &Doctor, now: OffsetDateTime) -> Result<Exit, Failure> {
    match (&args.explain, args.client) {
        (Some(text), _) => explain::run(args, text),
        (None, true) => client::run(args, now),
        (None, false) => {
            args.home.refuse_waiting()?;
            server::run(args, now)
        }
    }
}
