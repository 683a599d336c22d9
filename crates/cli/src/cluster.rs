//! Which cluster the flags mean.

use pgpki_postgres::cluster::{Cluster, ClusterError};

use crate::args::{Configured, WhichCluster};
use crate::exit::{Exit, Failure};

impl WhichCluster {
    /// The cluster that was named, or the only one.
    pub(crate) fn find(&self) -> Result<Cluster, Failure> {
        Ok(match (&self.pgdata, &self.cluster) {
            (Some(directory), _) => Cluster::at(directory),
            (None, Some(name)) => Cluster::debian(name),
            (None, None) => Cluster::only(),
        }?)
    }
}

impl Configured {
    /// The cluster that was named, if one was.
    pub(crate) fn find(&self) -> Result<Option<Cluster>, Failure> {
        Ok(match (&self.pgdata, &self.cluster) {
            (Some(directory), _) => Some(Cluster::at(directory)?),
            (None, Some(name)) => Some(Cluster::debian(name)?),
            (None, None) => match (self.rules.is_any(), self.no_reload) {
                (true, _) => return Err(no_cluster("rules for pg_hba.conf")),
                (false, true) => return Err(no_cluster("--no-reload")),
                (false, false) => None,
            },
        })
    }
}

fn no_cluster(what: &str) -> Failure {
    let message = format!("{what}, and no cluster that is meant by it");
    Failure::new(Exit::Usage, message).hint("Name it with --pgdata DIR or --cluster VERSION/NAME")
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Self {
        let exit = match error {
            ClusterError::Io { .. } | ClusterError::Postmaster(_) => Exit::Failed,
            _ => Exit::BadInput,
        };
        let failure = Self::new(exit, &error);
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
