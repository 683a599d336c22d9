//! What the roles that are issued a certificate had before: somebody may not know of it.

use std::io::{self, Write};

use pgpki_authority::Authority;
use pgpki_authority::ledger::Earlier;
use pgpki_core::document::printable;
use pgpki_core::name::Role;
use time::OffsetDateTime;

use crate::exit::Failure;
use crate::show::{self, WARNING};

/// With more roles than this they are counted.
const LISTED: usize = 50;

/// For each role what it had before, where that has not ended.
pub(super) fn of<'a>(
    authority: &Authority,
    roles: impl Iterator<Item = &'a Role>,
    now: OffsetDateTime,
) -> Result<Vec<(Role, Earlier)>, Failure> {
    let mut had = Vec::new();
    for role in roles {
        if let Some(earlier) = authority.earlier(role, now)? {
            had.push((role.clone(), earlier));
        }
    }
    Ok(had)
}

pub(super) fn print(had: &[(Role, Earlier)], out: &mut impl Write) -> io::Result<()> {
    let is_revoked = |earlier: &Earlier| matches!(earlier, Earlier::Revoked);
    let (revoked, live): (Vec<_>, Vec<_>) =
        had.iter().partition(|(_, earlier)| is_revoked(earlier));
    for (role, earlier) in live.iter().take(LISTED) {
        if let Earlier::Live { until } = earlier {
            let (role, until) = (printable(role.as_str()), show::date(*until));
            writeln!(
                out,
                "  {role} already had a certificate, which stays valid until {until}"
            )?;
        }
    }
    if let Some(more @ 1..) = live.len().checked_sub(LISTED) {
        writeln!(
            out,
            "  and {more} more roles already had one that stays valid"
        )?;
    }
    for (role, _) in revoked.iter().take(LISTED) {
        let role = printable(role.as_str());
        writeln!(
            out,
            "  {WARNING}{role} was revoked{WARNING:#} before; with this certificate it comes in again"
        )?;
    }
    if let Some(more @ 1..) = revoked.len().checked_sub(LISTED) {
        writeln!(out, "  and {more} more roles were revoked before")?;
    }
    Ok(())
}
