//! TLS stands, and the login does not.

use std::io::{Read, Write};
use std::process::Stdio;

use pgpki_testing::{Cluster, ServerPrograms};

use super::{explained, libpqs, log_during, psql_says};
use crate::material::{CLIENTS, Material, TLS, put, put_credential};

/// The first version without `clientcert=1`.
const WITHOUT_NUMBERS: u32 = 14;

fn cluster(material: &Material, programs: &ServerPrograms, rule: &str) -> Cluster {
    let builder = Cluster::builder()
        .programs(programs)
        .conf(format!("{TLS}{CLIENTS}"));
    let mut cluster = builder.hba(rule).create().unwrap();
    put_credential(&cluster, &material.server());
    put(&cluster, "root.crt", &material.root());
    put(&cluster, "root.crl", &material.crls());
    cluster.start().unwrap();
    for role in ["alice", "bob"] {
        cluster.create_role(role, None, true);
    }
    cluster
}

#[test]
fn the_certificate_of_another_role() {
    let material = Material::new();
    let files = material.files(&material.client("alice"), &material.root());
    for programs in ServerPrograms::every() {
        for rule in ["cert", "trust clientcert=verify-full"] {
            if rule != "cert" && programs.major() < WITHOUT_NUMBERS {
                continue;
            }
            let cluster = cluster(&material, &programs, &format!("hostssl all all all {rule}"));
            let mut said = String::new();
            let logged = log_during(&cluster, "FATAL", || {
                said = psql_says(&cluster, None, &format!("user=bob sslmode=require {files}"));
            });
            // `trust` fails in the name of trust, and only the log tells the truth.
            if rule == "cert" {
                explained(&said, &["certificate-for-another-role"]);
            }
            explained(&logged, &["certificate-for-another-role"]);
        }
    }
}

#[test]
fn a_certificate_without_a_name() {
    let material = Material::new();
    let nobody = material.leaf("/O=nobody", "extendedKeyUsage=clientAuth");
    let files = material.files(&nobody, &material.root());
    for programs in ServerPrograms::every() {
        let cluster = cluster(&material, &programs, "hostssl all all all cert");
        let logged = log_during(&cluster, "FATAL", || {
            psql_says(
                &cluster,
                None,
                &format!("user=alice sslmode=require {files}"),
            );
        });
        let first = super::names(&logged).first().cloned();
        assert_eq!(
            first.as_deref(),
            Some("certificate-without-common-name"),
            "{logged}"
        );
    }
}

#[test]
fn nothing_to_check_certificates_with() {
    let material = Material::new();
    let files = material.files(&material.client("alice"), &material.root());
    for programs in ServerPrograms::every() {
        let rule = "hostssl all all all cert";
        let mut cluster = cluster(&material, &programs, rule);
        cluster.set_conf(TLS);
        cluster.reload().unwrap();
        let said = psql_says(
            &cluster,
            None,
            &format!("user=alice sslmode=require {files}"),
        );
        explained(&said, &["no-root-store"]);
    }
}

#[test]
fn no_rule() {
    let material = Material::new();
    for programs in ServerPrograms::every() {
        let cluster = cluster(&material, &programs, "hostssl all bob all trust");
        for (conninfo, expected) in [
            ("user=bob sslmode=disable", "no-rule-without-tls"),
            ("user=alice sslmode=disable", "no-rule-without-tls"),
            ("user=alice sslmode=require", "no-rule"),
            ("user=bob sslmode=require replication=true", "no-rule"),
        ] {
            explained(&psql_says(&cluster, None, conninfo), &[expected]);
        }
    }
    let programs = ServerPrograms::find().unwrap();
    let rules = "hostnossl all all all reject\nhostssl all alice all reject";
    let cluster = cluster(&material, &programs, rules);
    let says = |mode: &str| psql_says(&cluster, None, &format!("user=alice sslmode={mode}"));
    explained(&says("disable"), &["no-rule-without-tls"]);
    explained(&says("require"), &["no-rule"]);
}

#[test]
fn rules_that_a_version_does_not_take() {
    let material = Material::new();
    for programs in ServerPrograms::every() {
        let mut cluster = cluster(&material, &programs, "hostssl all all all cert");
        let mut refused = |rule: &str, expected: &str| {
            cluster.set_hba(rule);
            let logged = cluster.reload().unwrap_err();
            explained(&logged, &[expected]);
        };
        if programs.major() >= WITHOUT_NUMBERS {
            refused(
                "hostssl all all all scram-sha-256 clientcert=1",
                "clientcert-value",
            );
            refused(
                "hostssl all all all cert clientcert=verify-ca",
                "clientcert-value",
            );
        }
        refused(
            "hostssl all all all scram-sha-256 clientcert=always",
            "clientcert-value",
        );
        refused("host all all all cert", "certificate-without-hostssl");
        refused(
            "host all all all scram-sha-256 clientcert=verify-full",
            "certificate-without-hostssl",
        );
    }
}

/// A name that a map does not have, which only the log tells.
#[test]
fn a_map_without_a_line_for_it() {
    let material = Material::new();
    let files = material.files(&material.client("alice"), &material.root());
    for programs in ServerPrograms::every() {
        let cluster = cluster(&material, &programs, "hostssl all all all cert map=people");
        let logged = log_during(&cluster, "FATAL", || {
            psql_says(
                &cluster,
                None,
                &format!("user=alice sslmode=require {files}"),
            );
        });
        explained(&logged, &["certificate-for-another-role"]);
    }
}

#[test]
fn channel_binding_without_a_password() {
    let material = Material::new();
    for programs in ServerPrograms::every() {
        let cluster = cluster(&material, &programs, "hostssl all all all trust");
        for libpq in libpqs(&cluster) {
            let conninfo = "user=alice sslmode=require channel_binding=require";
            let said = psql_says(&cluster, libpq.as_ref(), conninfo);
            explained(&said, &["channel-binding"]);
        }
    }
}

#[test]
fn hostssl_without_tls() {
    let material = Material::new();
    for programs in ServerPrograms::every() {
        let mut cluster = cluster(&material, &programs, "hostssl all all all cert");
        cluster.set_conf("ssl = off\n");
        cluster.reload().unwrap();
        explained(&cluster.log(), &["server-without-tls"]);
    }
}

#[test]
fn a_session_that_was_ended() {
    for programs in ServerPrograms::every() {
        let cluster = Cluster::builder().programs(&programs).start().unwrap();
        let mut psql = cluster.psql_command();
        let socket = format!(
            "host={} port={}",
            cluster.socket_dir().display(),
            cluster.port()
        );
        psql.args(["-d", &format!("{socket} user=postgres dbname=postgres")]);
        let output = psql
            .args(["-c", "select pg_terminate_backend(pg_backend_pid())"])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        // libpq adds that the connection is gone.
        explained(&said, &["session-ended", "closed-without-reason"]);
    }
}

/// The log has these words as well.
#[test]
fn a_session_that_does_not_begin() {
    let material = Material::new();
    let files = material.files(&material.client("alice"), &material.root());
    for programs in ServerPrograms::every() {
        let cluster = cluster(&material, &programs, "hostssl all all all cert");
        let says = |dbname: &str, expected: &str| {
            let conninfo = format!("user=alice dbname={dbname} sslmode=require {files}");
            let mut said = String::new();
            let logged = log_during(&cluster, "FATAL", || {
                said = psql_says(&cluster, None, &conninfo);
            });
            explained(&said, &[expected]);
            explained(&logged, &[expected]);
        };
        says("nowhere", "database-unknown");
        cluster.sql("create database shut");
        cluster.sql("revoke connect on database shut from public");
        says("shut", "database-closed");
        cluster.sql("create database closed allow_connections false");
        says("closed", "database-closed");
        cluster.sql("create database crowded connection limit 0");
        says("crowded", "too-many-connections");
        cluster.sql("alter role alice connection limit 0");
        says("postgres", "too-many-connections");
        cluster.sql("alter role alice nologin");
        says("postgres", "role-cannot-log-in");
        cluster.sql("drop role alice");
        says("postgres", "role-cannot-log-in");
    }
}

#[test]
fn a_server_that_is_full() {
    let material = Material::new();
    let files = material.files(&material.client("alice"), &material.root());
    for programs in ServerPrograms::every() {
        let mut cluster = cluster(&material, &programs, "hostssl all all all cert");
        let own = "max_connections = 2\nsuperuser_reserved_connections = 1\nmax_wal_senders = 0\n";
        cluster.set_conf(format!("{TLS}{CLIENTS}{own}"));
        cluster.restart().unwrap();
        let mut psql = cluster.psql_command();
        let socket = cluster.socket_dir();
        psql.args(["-XAtq", "-U", "postgres", "-d", "postgres", "-h"]);
        psql.arg(socket).args(["-p", &cluster.port().to_string()]);
        let psql = psql.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut held = psql.spawn().unwrap();
        held.stdin
            .as_ref()
            .unwrap()
            .write_all(b"select 1;\n")
            .unwrap();
        held.stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut [0; 2])
            .unwrap();

        let conninfo = format!("user=alice sslmode=require {files}");
        let said = psql_says(&cluster, None, &conninfo);
        explained(&said, &["too-many-connections"]);
        // It ends with its input.
        held.wait().unwrap();
    }
}

#[test]
fn a_password() {
    let material = Material::new();
    let files = material.files(&material.client("alice"), &material.root());
    for programs in ServerPrograms::every() {
        for rule in [
            "scram-sha-256",
            "scram-sha-256 clientcert=verify-ca",
            "password",
            "md5",
        ] {
            let cluster = cluster(&material, &programs, &format!("hostssl all all all {rule}"));
            cluster.sql("alter role alice password 'right'");
            let conninfo = format!("user=alice sslmode=require {files}");
            explained(&psql_says(&cluster, None, &conninfo), &["password-missing"]);
            let conninfo = format!("{conninfo} password=wrong");
            let mut said = String::new();
            let logged = log_during(&cluster, "FATAL", || {
                said = psql_says(&cluster, None, &conninfo);
            });
            explained(&said, &["password-refused"]);
            explained(&logged, &["password-refused"]);
        }
    }
}
