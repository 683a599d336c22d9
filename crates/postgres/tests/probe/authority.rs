//! An authority for one test, and a cluster that it has certified.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use pgpki_core::crl::Revoked;
use pgpki_core::issue::{Ca, Holder, Issued};
use pgpki_core::key::{KeyAlgorithm, PrivateKey};
use pgpki_core::name::{Host, Organization};
use pgpki_core::validity::Days;
use pgpki_postgres::probe::{Endpoint, Target};
use pgpki_testing::{Cluster, ClusterBuilder};
use time::OffsetDateTime;

/// Far beyond what a handshake on the loopback takes.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

pub(crate) fn endpoint(text: &str) -> Endpoint {
    let target: Target = text.parse().unwrap();
    target.endpoints.into_iter().next().unwrap()
}

pub(crate) struct Authority {
    root: Ca,
    issuing: Ca,
}

/// A leaf, and what belongs to it in PEM.
pub(crate) struct Credential {
    pub(crate) issued: Issued,
    pub(crate) chain: String,
    pub(crate) key: String,
}

fn pem(der: &[u8]) -> String {
    pgpki_core::pem("CERTIFICATE", der)
}

fn key() -> PrivateKey {
    PrivateKey::generate(KeyAlgorithm::P256).unwrap()
}

fn days(number: u32) -> Days {
    Days::new(number).unwrap()
}

impl Authority {
    pub(crate) fn new() -> Self {
        let (now, organization) = (OffsetDateTime::now_utc(), Organization::default());
        let (root, _) = Ca::new_root(key(), &organization, "root", now, days(3650)).unwrap();
        let issuing_key = key();
        let issued = root
            .issue_ca(
                &(&issuing_key).into(),
                &organization,
                "issuing",
                now,
                days(1825),
            )
            .unwrap();
        let issuing = Ca::load(&issued.der, issuing_key).unwrap();
        Self { root, issuing }
    }

    pub(crate) fn issue(&self, holder: &Holder) -> Credential {
        let (now, organization, key) = (OffsetDateTime::now_utc(), Organization::default(), key());
        let issued = self
            .issuing
            .issue_leaf(holder, &(&key).into(), &organization, now, days(365))
            .unwrap();
        Credential {
            chain: pem(&issued.der) + &pem(self.issuing.der()),
            key: key.to_pem().unwrap().to_string(),
            issued,
        }
    }

    pub(crate) fn server(&self, hosts: &[&str]) -> Credential {
        let hosts = hosts.iter().map(|host| host.parse::<Host>().unwrap());
        self.issue(&Holder::Server(hosts.collect()))
    }

    pub(crate) fn client(&self, role: &str) -> Credential {
        self.issue(&Holder::Client(role.parse().unwrap()))
    }

    /// The certificates (DER) that a server with one of these credentials sends.
    pub(crate) fn sent(&self, credential: &Credential) -> Vec<Vec<u8>> {
        vec![credential.issued.der.clone(), self.issuing.der().to_vec()]
    }

    pub(crate) fn root_pem(&self) -> String {
        pem(self.root.der())
    }

    /// A CRL of each CA, in one file.
    pub(crate) fn crls(&self, revoked: &[&Credential]) -> String {
        let now = OffsetDateTime::now_utc();
        let revoked: Vec<Revoked> = revoked
            .iter()
            .map(|credential| Revoked {
                serial: credential.issued.serial,
                at: now,
                reason: None,
            })
            .collect();
        let crl = |ca: &Ca, revoked: &[Revoked]| {
            pgpki_core::pem("X509 CRL", &ca.sign_crl(2, revoked, now).unwrap())
        };
        crl(&self.root, &[]) + &crl(&self.issuing, &revoked)
    }
}

/// Settings for a file that [`put`] puts into the cluster's data directory.
pub(crate) const TLS: &str = "ssl = on\nssl_cert_file = 'own.crt'\nssl_key_file = 'own.key'\n";

/// Puts a file where the server looks for it, as the server's own.
pub(crate) fn put(cluster: &Cluster, name: &str, text: &str) {
    let path = cluster.data_dir().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    let owner = cluster.owner();
    std::os::unix::fs::chown(&path, Some(owner.uid), Some(owner.gid)).unwrap();
}

/// A cluster that serves a credential, with more lines of settings.
pub(crate) fn serving(credential: &Credential, conf: &str) -> Cluster {
    served_by(Cluster::builder(), credential, conf)
}

pub(crate) fn served_by(builder: ClusterBuilder, credential: &Credential, conf: &str) -> Cluster {
    let mut cluster = builder.conf(format!("{TLS}{conf}")).create().unwrap();
    put(&cluster, "own.crt", &credential.chain);
    put(&cluster, "own.key", &credential.key);
    cluster.start().unwrap();
    cluster
}

/// Where a cluster is, by the name or address `host`.
pub(crate) fn at(cluster: &Cluster, host: &str) -> Endpoint {
    endpoint(&format!("{host}:{}", cluster.port()))
}
