//! The server's side.

use time::OffsetDateTime;

use super::report::{LookedAt, Side, report};
use crate::args::Doctor;
use crate::exit::{Exit, Failure};

pub(super) fn run(args: &Doctor, _now: OffsetDateTime) -> Result<Exit, Failure> {
    let cluster = args.which.find()?;
    let looked_at = LookedAt {
        side: Side::Server,
        name: cluster.name(),
        mended: Vec::new(),
    };
    report(&looked_at, &[], args)
}
