//! A CRL that has lapsed: whoever presents a certificate is refused. The authority makes none
//! alone, so the installation is made anew, with the CRLs of today.

use std::path::PathBuf;

use pgpki_authority::ledger::PlaceKind;
use pgpki_fs::Installation;
use pgpki_postgres::doctor::Located;
use time::OffsetDateTime;

use super::act;
use crate::args::Doctor;
use crate::exit::Failure;
use crate::servers::LocalServers;

pub(super) fn mend(args: &Doctor, findings: &[Located], now: OffsetDateTime) -> Option<String> {
    let lapsed = findings
        .iter()
        .find(|it| it.finding.code == "crl-expired")?;
    let file = lapsed.file.as_ref()?.canonicalize().ok()?;
    let known = args.home.open().ok()?.ledger().places().ok()?;
    let place = known.into_iter().map(|known| known.place).find(|place| {
        let path = place.path.canonicalize();
        place.kind == PlaceKind::Installation && path.is_ok_and(|path| file.starts_with(path))
    })?;
    let what = format!(
        "installing a new certificate with the CRLs of today in {}",
        place.path.display()
    );
    act(what, || -> Result<(), String> {
        let mut authority = args.home.open_alone().map_err(message)?;
        let path: PathBuf = place.path.clone();
        let installation = Installation::open(&path, place.owner).map_err(text)?;
        let mut servers = LocalServers::new(true, &authority, now).map_err(message)?;
        authority
            .install(&place, &installation, &mut servers, now)
            .map_err(text)?;
        Ok(())
    })
}

fn message(failure: Failure) -> String {
    failure.message
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
