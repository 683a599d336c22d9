//! What to give a manager in place of lines in its files, in its own words.

use pgpki_fs::shell_word;

use super::{Managed, Manager};
use crate::configure::{ClientCerts, Wishes, access, settings};

impl Managed {
    /// What to give it instead, and what to do where it is gone.
    #[must_use]
    pub fn instead(&self, wishes: &Wishes) -> String {
        let given = Given::of(wishes);
        let mut text = match self.manager {
            Manager::Patroni => self.patroni(wishes, &given),
            Manager::Zalando => zalando(&given),
            Manager::Pgo => pgo(&given),
            Manager::StackGres => stackgres(&given),
            Manager::CloudNativePg => cloud_native_pg(&given),
            Manager::PgAutoFailover => pg_auto_failover(&given),
        };
        if let (Some(path), false) = (&self.untouched_rules, given.rules.is_empty()) {
            let name = self.manager.name();
            let path = path.display();
            text += &format!("{name} leaves {path} to you. On every node, at its top:\n");
            text.extend(given.rules.iter().map(|rule| format!("{rule}\n")));
        }
        text + &self.where_it_is_gone()
    }

    fn where_it_is_gone(&self) -> String {
        let name = self.manager.name();
        let file = self.file.display();
        match self.sign {
            Some(_) => format!("Where {name} is gone, take that line out of {file}."),
            None => format!("Where {name} is gone, remove {file}."),
        }
    }

    /// A list of rules in the store replaces `pg_hba.conf` as a whole, so that it gets no list where
    /// it has none (`replace_pg_hba` in patroni/patroni, patroni/postgresql/config.py, 00e4ee6).
    fn patroni(&self, wishes: &Wishes, given: &Given) -> String {
        let mut text =
            "patronictl edit-config, and in it:\npostgresql:\n  parameters:\n".to_owned();
        for (name, value) in settings(&wishes.installation, wishes.passphrase_file.as_deref()) {
            let value = yaml(&String::from_utf8_lossy(&value));
            text += &format!("    {name}: {value}\n");
        }
        if self.untouched_rules.is_none() {
            text += &given.rules(
                "  pg_hba:  # the whole list: before the lines that are there",
                "  ",
            );
        }
        text += "What a node's own patroni.yml has under postgresql wins over it. Every node needs a \
                 certificate of its own in that directory first: pgpki issue-server NODE\n";
        if given.clients {
            text += "Patroni's own roles need certificates then: sslcert and sslkey of \
                     postgresql.authentication in patroni.yml, as `pgpki connect ROLE --for patroni` \
                     and `--for patroni-rewind` print them\n";
        }
        text
    }
}

/// The wishes as managers take them.
struct Given {
    certificate: String,
    key: String,
    root: String,
    crl: String,
    rules: Vec<String>,
    /// Whether clients are asked for certificates, which the server then has to check.
    clients: bool,
}

impl Given {
    fn of(wishes: &Wishes) -> Self {
        let current = wishes.installation.join("current");
        let file = |name: &str| shell_word(current.join(name));
        Self {
            certificate: file("server.crt"),
            key: file("server.key"),
            root: file("root.crt"),
            crl: file("root.crl"),
            rules: access::rules(wishes),
            clients: wishes.client_certs != ClientCerts::AsBefore,
        }
    }

    /// The rules as a list under `heading`, or nothing.
    fn rules(&self, heading: &str, indent: &str) -> String {
        if self.rules.is_empty() {
            return String::new();
        }
        let items = self.rules.iter().map(|rule| yaml(rule));
        let items: String = items.map(|rule| format!("{indent}- {rule}\n")).collect();
        format!("{heading}\n{items}")
    }

    /// A Secret with everything, by the names that operators look for.
    fn secret(&self, more: &str) -> String {
        format!(
            "kubectl create secret generic pgpki-server --from-file=tls.crt={} \
             --from-file=tls.key={} --from-file=ca.crt={}{more}\n",
            self.certificate, self.key, self.root
        )
    }
}

/// zalando/postgres-operator, docs/reference/cluster_manifest.md, 00ea4ca: the Secret is mounted
/// at `/tls`, and the rules replace its own.
fn zalando(given: &Given) -> String {
    given.secret(&format!(" --from-file=ca.crl={}", given.crl))
        + "and in the manifest of the postgresql:\n\
           spec:\n  tls:\n    secretName: pgpki-server\n    caFile: ca.crt\n  \
           postgresql:\n    parameters:\n      ssl_crl_file: /tls/ca.crl\n"
        + &given.rules(
            "  patroni:\n    pg_hba:  # then the lines that are there now, which this replaces",
            "    ",
        )
}

/// CrunchyData/postgres-operator, internal/patroni/config.go, c09468c: what is under
/// `dynamicConfiguration` comes after the rules and under the parameters that are mandatory, which
/// those of TLS are. percona/percona-postgresql-operator has the Secrets under `secrets`.
fn pgo(given: &Given) -> String {
    given.secret("")
        + "another one, pgpki-replication, of what `pgpki issue-client _crunchyrepl` writes, with \
           the same ca.crt,\n\
           and in the PostgresCluster (a PerconaPGCluster has both Secrets under spec.secrets):\n\
           spec:\n  customTLSSecret:\n    name: pgpki-server\n  \
           customReplicationTLSSecret:\n    name: pgpki-replication\n"
        + &given.rules(
            "  patroni:\n    dynamicConfiguration:\n      postgresql:\n        \
             pg_hba:  # before the lines that are there",
            "        ",
        )
}

/// ongres/stackgres, the reference of `SGCluster.spec.postgres.ssl`, and of Patroni's configuration,
/// of which it takes `pg_hba` alone from under `postgresql`; it puts its own rules behind.
fn stackgres(given: &Given) -> String {
    given.secret("")
        + "and in the SGCluster:\n\
           spec:\n  postgres:\n    ssl:\n      enabled: true\n      \
           certificateSecretKeySelector:\n        name: pgpki-server\n        key: tls.crt\n      \
           privateKeySecretKeySelector:\n        name: pgpki-server\n        key: tls.key\n"
        + &given.rules(
            "  configurations:\n    patroni:\n      dynamicConfig:\n        postgresql:\n          \
             pg_hba:  # before the lines that are there",
            "          ",
        )
}

/// cloudnative-pg/cloudnative-pg, docs/src/certificates.md, 0a1dbf4, and
/// `FixedConfigurationParameters` in pkg/postgres/configuration.go, b122f63: it refuses a Cluster
/// that sets `ssl`, `ssl_cert_file`, `ssl_key_file`, `ssl_ca_file` or `ssl_crl_file`. With a client
/// CA that is not its own it needs a certificate for its replication as well.
fn cloud_native_pg(given: &Given) -> String {
    let mut text = format!(
        "kubectl create secret tls pgpki-server --cert={} --key={}\n\
         kubectl create secret generic pgpki-ca --from-file=ca.crt={}\n",
        given.certificate, given.key, given.root
    );
    let mut names = "pgpki-server pgpki-ca".to_owned();
    if given.clients {
        text += "pgpki issue-client streaming_replica --out replication\n\
                 kubectl create secret tls pgpki-replication \
                 --cert=replication/streaming_replica/postgresql.crt \
                 --key=replication/streaming_replica/postgresql.key\n";
        names += " pgpki-replication";
    }
    text += &format!(
        "kubectl label secret {names} cnpg.io/reload=true\n\
         and in the Cluster, which must not set ssl_cert_file and the like:\n\
         spec:\n  certificates:\n    serverTLSSecret: pgpki-server\n    serverCASecret: pgpki-ca\n"
    );
    if given.clients {
        text += "    clientCASecret: pgpki-ca\n    replicationTLSSecret: pgpki-replication\n";
    }
    text += &given.rules("  postgresql:\n    pg_hba:", "    ");
    if given.clients {
        text += "It has no place for a CRL: a revoked certificate is taken until it expires.\n";
    }
    text
}

/// hapostgres/pg_auto_failover, docs, "Enable SSL connections on an existing setup".
fn pg_auto_failover(given: &Given) -> String {
    format!(
        "On every node: pg_autoctl enable ssl --ssl-ca-file {} --ssl-crl-file {} --server-cert {} \
         --server-key {} --ssl-mode verify-full\n",
        given.root, given.crl, given.certificate, given.key
    )
}

/// A string in single quotes, where a quote is doubled (YAML 1.2, section 7.3.2).
fn yaml(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
