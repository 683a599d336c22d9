//! `pgpki sign`: certificates for keys that stay with whoever has sent the request.

mod confirm;
mod order;
mod report;

use std::io;

use pgpki_authority::{Authority, DeliverError, SignError};
use pgpki_fs::Shelf;

pub(super) use self::order::folder;

use self::order::Wanted;
use self::report::Signed;
use super::{earlier, server};
use crate::Clock;
use crate::args::Sign;
use crate::exit::{Exit, Failure};

pub(crate) fn run(args: &Sign, clock: Clock) -> Result<Exit, Failure> {
    let wanted = order::all(args)?;
    let out = pgpki_fs::canonical(&args.out)?;
    match confirm::terminal().filter(|_| args.trust_request) {
        None => be_heard(report::show(&wanted, &mut anstream::stdout().lock()))?,
        // The authority is not open alone meanwhile: people may take their time.
        Some(mut terminal) => {
            if out.is_dir() {
                check_all(&args.home.open()?, &wanted, &Shelf::open(&out)?)?;
            }
            report::show(&wanted, &mut terminal)?;
            confirm::ask(wanted.len(), &mut terminal)?;
        }
    }
    let mut authority = args
        .home
        .open_to_sign(&args.token, &args.issuing_passphrase)?;
    let had = earlier::of(&authority, wanted.iter().filter_map(Wanted::role), clock())?;
    let (shelf, created) = Shelf::prepare(&out)?;
    let signed = check_all(&authority, &wanted, &shelf).and_then(|()| {
        // What a run that was killed has left; what cannot be removed is in nobody's way.
        let _ = shelf.sweep()?;
        sign_all(&mut authority, &wanted, &shelf, clock)
    });
    drop(shelf);
    let Signed { done, failed } = server::undo(signed, created)?;
    report::print(&done, &had, &mut anstream::stdout().lock())?;
    failed.map_or(Ok(Exit::Done), Err)
}

/// That nobody listens to what is going to be done is no reason not to do it; that it cannot be written is one.
fn be_heard(said: io::Result<()>) -> io::Result<()> {
    match said {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        said => said,
    }
}

fn check_all(authority: &Authority, wanted: &[Wanted], shelf: &Shelf) -> Result<(), Failure> {
    wanted.iter().try_for_each(|wanted| {
        let checked = authority.check_order(&wanted.order, shelf);
        checked.map_err(|error| wanted.failure(error))
    })
}

/// # Errors
/// Nothing was signed. What fails after something was is in the result.
fn sign_all(
    authority: &mut Authority,
    wanted: &[Wanted],
    shelf: &Shelf,
    clock: Clock,
) -> Result<Signed, Failure> {
    let mut signed = Signed::default();
    for wanted in wanted {
        let order = &wanted.order;
        match authority.sign(order, shelf, clock()) {
            Ok(issued) => {
                let path = shelf.path().join(&order.folder);
                signed.done.push((order.holder.clone(), issued, path));
            }
            Err(error) if signed.done.is_empty() => return Err(wanted.failure(error)),
            Err(error) => {
                let is_signed =
                    matches!(error, SignError::Deliver(DeliverError::NotSettled { .. }));
                let failure = wanted.failure(error);
                let hint = match is_signed {
                    true => "It was signed, and those after it were not",
                    false => "It and those after it were not signed",
                };
                signed.failed = Some(Failure {
                    exit: Exit::Findings,
                    hint: Some(hint.to_owned()),
                    ..failure
                });
                break;
            }
        }
    }
    Ok(signed)
}

impl From<SignError> for Failure {
    fn from(error: SignError) -> Self {
        match error {
            SignError::Deliver(error) => error.into(),
            SignError::Compromised { .. } => Self::new(Exit::Refused, error)
                .hint("Nothing was signed. Have a new key made, and a request with it"),
            _ => Self::new(Exit::Refused, error)
                .hint("Nothing was signed. Move it away, or choose another directory"),
        }
    }
}
