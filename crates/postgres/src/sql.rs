//! A query over the local socket, as the user who owns the cluster.
