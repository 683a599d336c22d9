//! The server's side.

mod issued;
mod mend;
mod passphrase;

use pgpki_postgres::cluster::Cluster;
use pgpki_postgres::doctor::facts::Facts;
use pgpki_postgres::doctor::{gather, judge};
use time::OffsetDateTime;

use super::report::{LookedAt, Side, report};
use crate::args::Doctor;
use crate::exit::{Exit, Failure};

pub(super) fn run(args: &Doctor, now: OffsetDateTime) -> Result<Exit, Failure> {
    let cluster = args.which.find()?;
    let mut facts = look(args, &cluster, now);
    let mut mended = Vec::new();
    if args.fix {
        mended = mend::mend(args, &facts, &judge(&facts, now), now);
        if !mended.is_empty() {
            facts = look(args, &cluster, now);
        }
    }
    let looked_at = LookedAt {
        side: Side::Server,
        name: cluster.name(),
        mended,
    };
    report(&looked_at, &judge(&facts, now), args)
}

fn look(args: &Doctor, cluster: &Cluster, now: OffsetDateTime) -> Facts {
    match issued::by_authority(args, cluster, now) {
        Ok((issued, revoked)) => gather(cluster, Ok(issued), &revoked),
        Err(unseen) => gather(cluster, Err(unseen), &[]),
    }
}
