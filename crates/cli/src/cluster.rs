//! Which cluster the flags mean.

use pgpki_postgres::cluster::{Cluster, ClusterError};

use crate::args::WhichCluster;
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
