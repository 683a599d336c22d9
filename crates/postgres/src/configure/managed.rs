//! Clusters whose configuration somebody else's program writes.

use super::{Wishes, access, settings};
use crate::cluster::Cluster;

/// Who writes the configuration of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// Patroni, which keeps it in its distributed configuration store.
    Patroni,
    /// CloudNativePG's operator for Kubernetes.
    CloudNativePg,
}

impl Manager {
    /// Recognised by what each leaves in the data directory: Patroni its cached configuration, and
    /// the original `postgresql.conf` under another name; the operator its `override.conf`.
    pub(super) fn of(cluster: &Cluster) -> Option<Self> {
        let has = |name: &str| cluster.data_directory.join(name).exists();
        let beside = |name: &str| cluster.config_file.with_file_name(name).exists();
        if has("patroni.dynamic.json") || beside("postgresql.base.conf") {
            Some(Self::Patroni)
        } else if has("override.conf") && has("custom.conf") {
            Some(Self::CloudNativePg)
        } else {
            None
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Patroni => "Patroni",
            Self::CloudNativePg => "CloudNativePG",
        }
    }

    /// What to give it instead.
    #[must_use]
    pub fn instead(self, wishes: &Wishes) -> String {
        let settings = settings(&wishes.installation);
        let values = settings
            .iter()
            .map(|(name, value)| (name, String::from_utf8_lossy(value)));
        match self {
            Self::Patroni => {
                let lines = values.map(|(name, value)| format!("    {name}: {}", yaml(&value)));
                let mut text =
                    "patronictl edit-config, and in it:\npostgresql:\n  parameters:\n".to_owned();
                text.extend(lines.map(|line| line + "\n"));
                let rules = access::rules(wishes);
                if !rules.is_empty() {
                    text += "  pg_hba:  # before the lines that are there\n";
                }
                text.extend(rules.iter().map(|rule| format!("  - {}\n", yaml(rule))));
                text
            }
            Self::CloudNativePg => {
                "The operator takes certificates from Secrets: spec.certificates of the Cluster, \
                 serverTLSSecret, serverCASecret, clientCASecret"
                    .to_owned()
            }
        }
    }
}

/// A string in single quotes, where a quote is doubled (YAML 1.2, section 7.3.2).
fn yaml(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
