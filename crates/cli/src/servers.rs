//! The servers of this machine that use an installation: told to reload, and asked what they
//! serve.

use std::path::Path;
use std::time::{Duration, Instant};

use pgpki_authority::{Servers, TakenUp};
use pgpki_fs::Installation;
use pgpki_postgres::cluster::Cluster;
use pgpki_postgres::postmaster::Postmaster;
use pgpki_postgres::reload::{self, Proof};

/// More than any chain takes, in bytes.
const MAX_CHAIN: u64 = 1 << 20;

/// How long a server is given to show what it serves when nothing has changed.
const A_LOOK: Duration = Duration::from_secs(5);

/// The servers of this machine, or nobody for whoever reloads them himself.
pub(crate) struct LocalServers {
    reload: bool,
    /// The clusters of this machine, once they have been looked for.
    clusters: Option<Vec<Cluster>>,
}

impl LocalServers {
    /// With `reload` the servers are told and asked; without, they are left alone.
    pub(crate) fn new(reload: bool) -> Self {
        Self {
            reload,
            clusters: None,
        }
    }

    /// The clusters whose configuration names the installation's certificate.
    fn users_of(&mut self, installation: &Path) -> Vec<Cluster> {
        let clusters = self.clusters.get_or_insert_with(Cluster::all);
        let users = clusters
            .iter()
            .filter(|cluster| uses(cluster, installation));
        users.cloned().collect()
    }

    fn each(
        &mut self,
        installation: &Installation,
        ask: impl Fn(&Cluster, &Postmaster, &[Vec<u8>]) -> Result<Proof, reload::NotProven>,
    ) -> Result<TakenUp, String> {
        if !self.reload {
            return Ok(TakenUp::NotProven("not reloaded, as asked".to_owned()));
        }
        let path = installation.path();
        let users = self.users_of(path);
        if users.is_empty() {
            let nobody = format!("no PostgreSQL on this machine uses {}", path.display());
            return Ok(TakenUp::NotProven(nobody));
        }
        let chain = installed_chain(installation)?;
        let (mut proven, mut stopped) = (Vec::new(), Vec::new());
        for cluster in &users {
            let name = cluster.name();
            match cluster.postmaster() {
                Err(error) => return Err(format!("{name}: {error}")),
                Ok(None) => stopped.push(format!("{name} is not running")),
                Ok(Some(postmaster)) => match ask(cluster, &postmaster, &chain) {
                    Ok(proof) => proven.push(format!("{name} at {}", proof.endpoint)),
                    // Nobody is served TLS there, so there is nothing to put right.
                    Err(error) if matches!(*error.cause, reload::Cause::NotListening) => {
                        stopped.push(format!("{name} listens on no TCP address"));
                    }
                    Err(error) => return Err(format!("{name}: {error}")),
                },
            }
        }
        match proven.is_empty() {
            true => Ok(TakenUp::NotProven(stopped.join(", "))),
            false => Ok(TakenUp::Proven(proven)),
        }
    }
}

impl Servers for LocalServers {
    fn take_up(&mut self, installation: &Installation) -> Result<TakenUp, String> {
        self.each(installation, |cluster, postmaster, chain| {
            reload::reload_and_prove(postmaster, cluster.major, chain, reload::PATIENCE)
        })
    }

    fn look(&mut self, installation: &Installation) -> Result<TakenUp, String> {
        self.each(installation, |_, postmaster, chain| {
            let endpoint = reload::endpoint(postmaster)?;
            reload::ask_once(&endpoint, chain, Instant::now() + A_LOOK)?;
            Ok(Proof {
                endpoint,
                direct: false,
            })
        })
    }
}

/// Whether TLS is on and the certificate is one of the installation's.
fn uses(cluster: &Cluster, installation: &Path) -> bool {
    let is_on = cluster
        .given("ssl")
        .is_some_and(|given| is_true(&given.text()));
    let leads_here = |file: &Path| {
        let file = cluster.resolve(file).canonicalize();
        file.is_ok_and(|file| file.starts_with(installation))
    };
    is_on
        && cluster
            .given("ssl_cert_file")
            .is_some_and(|given| leads_here(given.path()))
}

/// A boolean as PostgreSQL reads it: any unambiguous beginning of `true`, `yes`, `on`, or `1`
/// (`parse_bool`).
fn is_true(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let begins = |word: &str| !text.is_empty() && word.starts_with(&text);
    begins("true") || begins("yes") || text == "on" || text == "1"
}

/// The chain of the live generation, DER, the leaf first.
pub(crate) fn installed_chain(installation: &Installation) -> Result<Vec<Vec<u8>>, String> {
    let current = installation.current().map_err(|error| error.to_string())?;
    let file = current.map(|current| installation.read(current, "server.crt", MAX_CHAIN));
    match file.transpose().map_err(|error| error.to_string())? {
        Some(Some(pem)) => Ok(pgpki_core::certificates(&pem)),
        _ => Err(format!(
            "{} has no server.crt",
            installation.path().display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::is_true;

    #[test]
    fn booleans_are_read_as_the_server_reads_them() {
        for yes in ["on", "ON", "t", "tru", "TRUE", "y", "yes", "1"] {
            assert!(is_true(yes), "{yes}");
        }
        for no in ["", "o", "of", "off", "f", "no", "0", "onn", "11"] {
            assert!(!is_true(no), "{no}");
        }
    }
}
