//! What `--fix` mends: owners and modes inside an installation, and a CRL that has lapsed. It says
//! what it does before it does it. Whatever else is wrong takes somebody who knows why.

mod access;
mod crl;

use std::io::Write as _;

use pgpki_core::document::printable;
use pgpki_postgres::doctor::Located;
use pgpki_postgres::doctor::facts::Facts;
use time::OffsetDateTime;

use crate::args::Doctor;

/// Mends what can be, and returns what was done, each in a sentence. What could not be done is said
/// on standard error, and is found again by whoever looks next.
pub(super) fn mend(
    args: &Doctor,
    facts: &Facts,
    findings: &[Located],
    now: OffsetDateTime,
) -> Vec<String> {
    let mut done = access::mend(facts, findings);
    done.extend(crl::mend(args, findings, now));
    done
}

/// Says what is about to be done, does it, and says what became of it.
fn act<E: std::fmt::Display>(what: String, act: impl FnOnce() -> Result<(), E>) -> Option<String> {
    let what = printable(&what);
    say(&what);
    match act() {
        Ok(()) => Some(what),
        Err(error) => {
            say(&format!("not done: {}", printable(&error.to_string())));
            None
        }
    }
}

fn say(text: &str) {
    // Nothing can be done about a closed standard error.
    let _ = writeln!(std::io::stderr(), "pgpki: {text}");
}
