//! What the authority of this machine has issued to a cluster and its roles.

use std::collections::HashMap;
use std::path::Path;

use pgpki_authority::ledger::{Certificate, Ledger, LedgerError, PlaceKind};
use pgpki_authority::{Authority, AuthorityError};
use pgpki_core::issue::Holder;
use pgpki_core::profile::Profile;
use pgpki_fs::Installation;
use pgpki_postgres::cluster::Cluster;
use pgpki_postgres::doctor::facts::{ClientIssued, Issued, ServerIssued, Unseen};
use pgpki_postgres::probe::ClientCredential;
use time::OffsetDateTime;

use super::passphrase;
use crate::args::Doctor;
use crate::exit::Failure;

/// Certificates that are read at a time, so that nobody waits for the ledger meanwhile.
const PAGE: usize = 1000;

/// Doctor works without an authority: most clusters' is on another machine.
pub(super) fn by_authority(
    args: &Doctor,
    cluster: &Cluster,
    now: OffsetDateTime,
) -> Result<(Issued, Vec<ClientCredential>), Unseen> {
    let unseen = |failure: Failure| Unseen {
        why: failure.message,
        hint: "Where the authority is on another machine, run pgpki inspect there; otherwise \
               name it with --home."
            .to_owned(),
    };
    let authority = args.home.open().map_err(unseen)?;
    let read = || -> Result<_, AuthorityError> {
        let issued = Issued {
            server: server(&authority, cluster, now)?,
            ..leaves(authority.ledger(), now)?
        };
        Ok((issued, revoked(&authority, now)?))
    };
    read().map_err(|error| unseen(error.into()))
}

/// What the authority's CRLs list, and a server should refuse.
fn revoked(
    authority: &Authority,
    now: OffsetDateTime,
) -> Result<Vec<ClientCredential>, LedgerError> {
    let witnesses = authority.witnesses(now)?.into_iter();
    let credentials = witnesses.filter_map(|it| {
        ClientCredential::from_pem(it.certificate.as_bytes(), it.key.as_bytes()).ok()
    });
    Ok(credentials.collect())
}

/// The last certificate of each role that was not revoked, if it was not over long ago; and those that were.
fn leaves(ledger: &Ledger, now: OffsetDateTime) -> Result<Issued, LedgerError> {
    /// Whoever has gone without one for longer has been given up.
    const FORGOTTEN: time::Duration = time::Duration::days(90);
    let mut last: HashMap<String, ClientIssued> = HashMap::new();
    let mut issued = Issued::default();
    let mut after = None;
    loop {
        let page = ledger.page(after, PAGE)?;
        after = page.last().map(|it| (it.validity.not_after, it.serial));
        let is_short = page.len() < PAGE;
        let counts = |it: &Certificate| {
            it.profile == Profile::Client
                && !it.replaced
                && !it.revoked
                && it.validity.not_after + FORGOTTEN >= now
        };
        let is_revoked = |it: &&Certificate| it.revoked && it.validity.not_after >= now;
        for it in page.iter().filter(is_revoked) {
            match it.profile {
                Profile::Server => issued.revoked_servers.push(it.serial.to_string()),
                _ => issued.revoked_clients += 1,
            }
        }
        // The pages come in the order of their ends, so that the last one of a role stays.
        for it in page.into_iter().filter(counts) {
            let client = ClientIssued {
                role: it.common_name.clone(),
                validity: it.validity,
            };
            last.insert(it.common_name, client);
        }
        if is_short {
            break;
        }
    }
    issued.clients = last.into_values().collect();
    issued.clients.sort_by(|a, b| a.role.cmp(&b.role));
    Ok(issued)
}

/// What should stand where the server reads its certificate.
fn server(
    authority: &Authority,
    cluster: &Cluster,
    now: OffsetDateTime,
) -> Result<Option<ServerIssued>, AuthorityError> {
    let given = cluster.given("ssl_cert_file");
    let file = given.map(|given| cluster.resolve(given.path()));
    let Some(file) = file.and_then(|file| file.canonicalize().ok()) else {
        return Ok(None);
    };
    let holds = |installation: &Path| {
        let installation = installation.canonicalize();
        installation.is_ok_and(|installation| file.starts_with(installation))
    };
    let places = authority.ledger().places()?.into_iter();
    let found = places
        .filter(|known| known.place.kind == PlaceKind::Installation)
        .find(|known| holds(&known.place.path));
    let Some(known) = found else {
        return Ok(None);
    };
    Ok(Some(ServerIssued {
        is_behind: authority.is_behind(known.clone(), now)?,
        refused: Installation::open(&known.place.path, known.place.owner)
            .err()
            .map(|error| Unseen {
                hint: error.hint().unwrap_or_default(),
                why: error.to_string(),
            }),
        passphrase_file: passphrase::file(&known.place, cluster),
        serial: known.serial.to_string(),
        hosts: match known.place.holder {
            Holder::Server(hosts) => hosts,
            Holder::Client(_) => Vec::new(),
        },
        installation: known.place.path,
    }))
}
