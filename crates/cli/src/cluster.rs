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
            (None, None) if self.rules.is_any() || self.no_reload => {
                let message = "rules for pg_hba.conf, and no cluster that they are for";
                return Err(Failure::new(Exit::Usage, message)
                    .hint("Name it with --pgdata DIR or --cluster VERSION/NAME"));
            }
            (None, None) => None,
        })
    }
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
