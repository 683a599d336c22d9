//! Clusters whose configuration somebody else's program writes.
//!
//! What each program writes is taken from its source; where that stands is said beside each sign,
//! as repository, file and commit. repmgr has none, because it writes none of these files.

mod instead;

use std::path::{Path, PathBuf};

use crate::cluster::{Cluster, Disk};
use crate::conf::Conf;
use crate::conf::effective::Effective;
use crate::conf::files::ConfigFiles as _;

/// The second line of `postgresql.conf`, and of `pg_hba.conf` where Patroni has rules for it:
/// `ConfigWriter` in patroni/patroni, patroni/postgresql/config.py, 00e4ee6.
const PATRONI_HEADER: &str = "# It will be overwritten by Patroni!";

/// What Patroni keeps of its distributed configuration in the data directory: patroni/patroni,
/// patroni/config.py.
const PATRONI_CACHE: &str = "patroni.dynamic.json";

/// Set in `custom.conf`, after everything that it is the sum of: `CreatePostgresqlConfFile` in
/// cloudnative-pg/cloudnative-pg, pkg/postgres/configuration.go, b122f63; the second one before the
/// operator had its present name, 000280e.
const CLOUD_NATIVE_PG_SUMS: [&str; 2] = ["cnpg.config_sha256", "cnp.config_sha256"];

/// Included by the first line of `postgresql.conf`: hapostgres/pg_auto_failover,
/// src/bin/pg_autoctl/pgctl.c, 679badd.
const PG_AUTO_FAILOVER_FILE: &str = "postgresql-auto-failover.conf";

/// A program that writes the configuration of clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// Patroni, which keeps it in its distributed configuration store.
    Patroni,
    /// Zalando's operator for Kubernetes, whose image Spilo has a Patroni in it.
    Zalando,
    /// Crunchy's operator PGO and Percona's, which is made from it; both tell a Patroni.
    Pgo,
    /// OnGres' operator, which tells a Patroni.
    StackGres,
    /// CloudNativePG's operator for Kubernetes.
    CloudNativePg,
    /// `pg_autoctl`, the keeper of each node.
    PgAutoFailover,
}

/// Who writes the configuration of one cluster, and by what that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Managed {
    /// Who it is.
    pub manager: Manager,
    /// The file that shows it.
    file: PathBuf,
    /// What in the file shows it; nothing where it is the file itself.
    sign: Option<String>,
    /// The cluster's rules, where the manager leaves them alone.
    untouched_rules: Option<PathBuf>,
}

impl Managed {
    /// Nothing where the files are the administrator's own.
    pub(super) fn of(cluster: &Cluster) -> Option<Self> {
        let effective = cluster.effective();
        let own_rules = Some(cluster.hba_file.clone());
        if let Some((file, sign)) = patroni(cluster) {
            // Where it keeps its files elsewhere, this is not the one to look at.
            let leaves_rules = |path: &PathBuf| sign.is_some() && !has_patroni_header(path);
            let untouched_rules = own_rules.filter(leaves_rules);
            return Some(Self {
                manager: behind_patroni(&effective),
                file,
                sign,
                untouched_rules,
            });
        }
        let sum = |name| effective.winner(name);
        if let Some(line) = CLOUD_NATIVE_PG_SUMS.into_iter().find_map(sum) {
            return Some(Self {
                manager: Manager::CloudNativePg,
                file: line.file.clone(),
                sign: Some(line.setting.name.clone()),
                untouched_rules: None,
            });
        }
        includes_auto_failover(cluster).then(|| Self {
            manager: Manager::PgAutoFailover,
            file: cluster.config_file.clone(),
            sign: Some(format!("include '{PG_AUTO_FAILOVER_FILE}'")),
            untouched_rules: own_rules,
        })
    }

    /// By what it was seen, for people.
    #[must_use]
    pub fn seen(&self) -> String {
        match &self.sign {
            Some(sign) => format!("{} says {sign:?}", self.file.display()),
            None => format!("there is {}", self.file.display()),
        }
    }
}

impl Manager {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Patroni => "Patroni",
            Self::Zalando => "Zalando's Postgres Operator",
            Self::Pgo => "Crunchy's PGO or Percona's operator",
            Self::StackGres => "StackGres",
            Self::CloudNativePg => "CloudNativePG",
            Self::PgAutoFailover => "pg_auto_failover",
        }
    }
}

/// Patroni's sign: the file, and what in it.
fn patroni(cluster: &Cluster) -> Option<(PathBuf, Option<String>)> {
    if has_patroni_header(&cluster.config_file) {
        let header = Some(PATRONI_HEADER.to_owned());
        return Some((cluster.config_file.clone(), header));
    }
    let cache = cluster.data_directory.join(PATRONI_CACHE);
    cache.exists().then_some((cache, None))
}

fn has_patroni_header(path: &Path) -> bool {
    Disk.read(path).is_ok_and(|text| {
        let mut first = text.split(|byte| *byte == b'\n').take(2);
        first.any(|line| line.trim_ascii_end() == PATRONI_HEADER.as_bytes())
    })
}

/// Operators hand Patroni parameters of their own, which it then writes.
fn behind_patroni(effective: &Effective) -> Manager {
    let is = |name, wanted: &dyn Fn(&str) -> bool| {
        let winner = effective.winner(name);
        winner.is_some_and(|line| wanted(&line.setting.text()))
    };
    // zalando/spilo, postgres-appliance/scripts/configure_spilo.py, 5659205.
    if is("extwlist.custom_path", &|value| value == "/scripts") {
        return Manager::Zalando;
    }
    // A mandatory parameter in CrunchyData/postgres-operator, internal/postgres/parameters.go,
    // c09468c, and in percona/percona-postgresql-operator, the same file, 3198a14.
    if is("ssl_cert_file", &|value| value == "/pgconf/tls/tls.crt") {
        return Manager::Pgo;
    }
    // ongres/stackgres, …/factory/cluster/patroni/PatroniConfigEndpoints.java, 95bbb16: where there
    // are backups.
    let by_its_script = |value: &str| value.starts_with("exec-with-env '");
    if is("archive_command", &by_its_script) || is("restore_command", &by_its_script) {
        return Manager::StackGres;
    }
    Manager::Patroni
}

fn includes_auto_failover(cluster: &Cluster) -> bool {
    Disk.read(&cluster.config_file).is_ok_and(|text| {
        let conf = Conf::parse(&text);
        conf.includes()
            .any(|include| include.target == PG_AUTO_FAILOVER_FILE.as_bytes())
    })
}
