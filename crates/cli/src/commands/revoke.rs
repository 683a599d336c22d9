//! `pgpki revoke`: a certificate stops counting now, on every server that can be reached.

mod outcome;
mod target;
mod text;

use std::path::Path;

use pgpki_authority::ledger::{KnownPlace, Leaf, PlaceKind};

use self::outcome::Outcome;
use crate::Clock;
use crate::args::Revoke;
use crate::exit::{Exit, Failure};
use crate::json;
use crate::servers::LocalServers;

pub(crate) fn run(args: &Revoke, clock: Clock) -> Result<Exit, Failure> {
    let mut authority = args
        .home
        .open_to_sign(&args.token, &args.issuing_passphrase)?;
    let now = clock();
    let mut leaves: Vec<Leaf> = Vec::new();
    for target in &args.targets {
        for leaf in target::find(target, &authority, now)? {
            if !leaves.iter().any(|known| known.serial == leaf.serial) {
                leaves.push(leaf);
            }
        }
    }
    let mut servers = LocalServers::new(!args.no_reload, &authority, now)?;
    let done = authority.revoke(
        leaves,
        args.reason,
        args.keep_sessions || args.no_reload,
        &mut servers,
        now,
    )?;
    let outcome = Outcome::of(&done, args.reason, &args.home.flag());
    let places = authority.ledger().places()?;
    let ways_in = servers.ways_in(installations(&places), &outcome.roles());
    let outcome = outcome.with_ways_in(ways_in);
    authority.remember_clusters(servers.users())?;
    match args.json {
        true => json::report(&outcome)?,
        false => text::print(&outcome, &mut anstream::stdout().lock())?,
    }
    Ok(outcome.exit())
}

fn installations(places: &[KnownPlace]) -> impl Iterator<Item = &Path> {
    let places = places.iter().map(|known| &known.place);
    let installations = places.filter(|place| place.kind == PlaceKind::Installation);
    installations.map(|place| place.path.as_path())
}
