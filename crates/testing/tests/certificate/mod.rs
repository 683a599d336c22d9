//! What a server needs to speak TLS, without pgpki.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pgpki_testing::{Cluster, openssl};

/// A certificate for `localhost` that is its own root, and its key, in the cluster's directory.
pub(crate) struct Certificate {
    pub(crate) cert: PathBuf,
    key: PathBuf,
}

impl Certificate {
    pub(crate) fn make(cluster: &Cluster) -> Self {
        let [cert, key] = ["server.crt", "server.key"].map(|name| cluster.dir().join(name));
        let request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
                       -subj /CN=localhost -addext subjectAltName=DNS:localhost";
        let files = ["-keyout".as_ref(), key.as_path(), "-out".as_ref(), &cert];
        openssl(request.split_whitespace().map(Path::new).chain(files));
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        cluster.owner().take(&key).unwrap();
        Self { cert, key }
    }

    /// The lines for `postgresql.conf`.
    pub(crate) fn conf(&self) -> String {
        format!(
            "ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\n",
            self.cert.display(),
            self.key.display()
        )
    }

    /// The connection string of a superuser who accepts nothing but this certificate.
    pub(crate) fn conninfo(&self, cluster: &Cluster) -> String {
        format!(
            "host=localhost port={} user=postgres dbname=postgres sslmode=verify-full sslrootcert={}",
            cluster.port(),
            self.cert.display()
        )
    }
}
