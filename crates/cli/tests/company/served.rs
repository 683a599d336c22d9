//! Servers and clients of an authority under a company's CA, live.

use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use pgpki_testing::{Client, Cluster, Connection, await_that, run};

use crate::company::{CA, Company};
use crate::requested::{INSTALL, request};

fn cluster(company: &Company) -> Cluster {
    let cluster = Cluster::running();
    let mut configure =
        company
            .scene
            .command(["configure", "--require-tls", "--client-certs", "all"]);
    configure.arg("--pgdata").arg(cluster.data_dir());
    run(configure.arg("--install").arg(company.scene.tls()));
    cluster.create_role("alice", None, true);
    cluster
}

fn psql(cluster: &Cluster, root: &Path, certificate: &Path, key: &Path) -> Result<String, String> {
    let (root, certificate, key) = (root.display(), certificate.display(), key.display());
    let conninfo = format!(
        "host=localhost port={} dbname=postgres user=alice sslmode=verify-full sslrootcert={root} \
         sslcert={certificate} sslkey={key}",
        cluster.port()
    );
    let output = cluster.psql(&conninfo, "select 6 * 7");
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

#[test]
fn every_client_is_in_with_nothing_but_the_companys_root() {
    let company = Company::new();
    company.init("");
    company.openssl_agrees();
    let cluster = cluster(&company);
    company.scene.pgpki("issue-client alice --out clients");
    let folder = company.path("clients/alice");
    let roots = [
        ("the company's root", company.path("root.pem")),
        ("what it was handed", folder.join("root.crt")),
    ];
    let said = company
        .scene
        .pgpki(&format!("inspect localhost:{}", cluster.port()));
    assert!(
        said.contains("localhost issuing CA 1 < Company sub < Company root"),
        "{said}"
    );
    let said = company
        .scene
        .pgpki(&format!("doctor --pgdata {}", cluster.data_dir().display()));
    assert!(said.contains("healthy"), "{said}");
    thread::scope(|scope| {
        for client in Client::ALL {
            let (cluster, roots, folder) = (&cluster, &roots, &folder);
            scope.spawn(move || {
                for (knows, root) in roots {
                    let connection = Connection::to(cluster, "alice", root).with_folder(folder);
                    let session = client.connect(&connection);
                    let session = session
                        .unwrap_or_else(|refusal| panic!("{client} knows {knows}: {refusal}"));
                    assert_eq!(session.client_dn, "/CN=alice", "{client}");
                }
            });
        }
    });
}

#[test]
fn whoever_the_company_certifies_is_not_let_in() {
    let company = Company::new();
    company.init("");
    let cluster = cluster(&company);
    company.scene.pgpki("issue-client alice --out clients");
    let root = company.path("clients/alice/root.crt");
    let ours = company.path("clients/alice");
    let in_with = psql(
        &cluster,
        &root,
        &ours.join("postgresql.crt"),
        &ours.join("postgresql.key"),
    );
    assert_eq!(in_with.as_deref(), Ok("42\n"));
    for signer in ["sub", "root"] {
        let name = format!("by-{signer}");
        company.client(&name, "alice", signer);
        let alone = company.read(&format!("{name}.pem"));
        for (file, more) in [
            ("alone.crt", String::new()),
            ("whole.crt", company.read("chain.pem")),
        ] {
            company.write(file, &(alone.clone() + &more));
            let refused = psql(
                &cluster,
                &root,
                &company.path(file),
                &company.path(&format!("{name}.key")),
            );
            let said = refused.unwrap_err();
            assert!(said.contains("unknown ca"), "{signer}: {said}");
        }
    }
    // Whoever comes with the chain of a server is ours all the same: servers have the issuing CA from both sides.
    let leaf = company.read("clients/alice/postgresql.crt");
    let end = "-----END CERTIFICATE-----\n";
    let leaf = leaf.split_inclusive(end).next().unwrap();
    let chain: String = company
        .read("tls/current/server.crt")
        .split_inclusive(end)
        .skip(1)
        .collect();
    company.write("other-way.crt", &(leaf.to_owned() + &chain));
    let in_with = psql(
        &cluster,
        &root,
        &company.path("other-way.crt"),
        &ours.join("postgresql.key"),
    );
    assert_eq!(in_with.as_deref(), Ok("42\n"));
    // A server that connects to another one knows it by its own files.
    let own = company.scene.tls().join("current/root.crt");
    let readable = company.path("of-the-server.crt");
    std::fs::copy(own, &readable).unwrap();
    let in_with = psql(
        &cluster,
        &readable,
        &ours.join("postgresql.crt"),
        &ours.join("postgresql.key"),
    );
    assert_eq!(in_with.as_deref(), Ok("42\n"));
}

#[test]
fn a_revoked_certificate_is_refused_without_a_crl_of_the_companys() {
    let company = Company::new();
    company.init("");
    let cluster = cluster(&company);
    for out in ["first", "second"] {
        company
            .scene
            .pgpki(&format!("issue-client alice --out {out}"));
    }
    let enters = |out: &str| {
        let folder = company.path(out).join("alice");
        psql(
            &cluster,
            &company.path("root.pem"),
            &folder.join("postgresql.crt"),
            &folder.join("postgresql.key"),
        )
    };
    assert!(enters("first").is_ok());
    let pem = format!("{}/alice/postgresql.crt", company.path("first").display());
    company.scene.pgpki(&format!("revoke {pem}"));
    let said = enters("first").unwrap_err();
    assert!(said.contains("certificate revoked"), "{said}");
    assert!(enters("second").is_ok());
}

/// PostgreSQL has its own way to print each attribute of a name, and sessions are known by the name of their CA.
#[test]
fn a_session_ends_whatever_the_company_has_made_of_our_name() {
    let company = Company::new();
    request(&company, "");
    company.write("ext", &CA.replace("TRUE", "TRUE,pathlen:0"));
    company.openssl(
        "x509 -req -in ours.csr -days 300 -CA sub.pem -CAkey sub.key -CAcreateserial -extfile ext \
         -subj /CN=Databases/SN=a/street=b/emailAddress=pki@example.com -out issuing.pem",
    );
    company.scene.pgpki(INSTALL);
    let cluster = cluster(&company);
    company.scene.pgpki("issue-client alice --out clients");
    let folder = company.path("clients/alice");
    let conninfo = format!(
        "host=localhost port={} dbname=postgres user=alice sslmode=verify-full sslrootcert={1}/root.crt \
         sslcert={1}/postgresql.crt sslkey={1}/postgresql.key",
        cluster.port(),
        folder.display()
    );
    let mut psql = cluster.psql_command();
    psql.args(["-XAtq", "-d", &conninfo, "-c", "select pg_sleep(60)"]);
    let psql = psql.stderr(Stdio::piped()).spawn().unwrap();
    await_that("alice is in", Duration::from_secs(60), || {
        let sleeping =
            "select count(*) from pg_stat_activity where usename = 'alice' and state = 'active'";
        cluster.sql(sleeping) == "1"
    });
    company.scene.pgpki("revoke alice");
    let output = psql.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("terminating connection due to administrator command"),
        "{output:?}"
    );
}

#[test]
fn what_is_installed_is_what_the_reports_say() {
    let company = Company::new();
    let said = company.init("");
    assert!(said.contains("certified by Company sub  until "), "{said}");
    assert!(said.contains("has signed once, and is not kept"), "{said}");
    // Which root clients are handed is seen by nothing else.
    let root = company.openssl("x509 -in root.pem -noout -fingerprint -sha256");
    let root = root.trim().rsplit('=').next().unwrap();
    let root = root.replace(':', "").to_lowercase();
    assert!(
        said.contains("Company root") && said.contains(&root),
        "{root}: {said}"
    );
    let end = company.openssl("x509 -in sub.pem -noout -enddate");
    assert_eq!(
        company.subjects("tls/current/server.crt"),
        [
            "CN=localhost",
            "CN=localhost issuing CA 1",
            "CN=Company sub,OU=b,OU=a,O=Company,C=DE"
        ]
    );
    assert_eq!(
        company.subjects("tls/current/root.crt"),
        ["CN=localhost root CA 1", "CN=localhost issuing CA 1"]
    );
    company.scene.pgpki("issue-client alice --out clients");
    assert_eq!(
        company.subjects("clients/alice/root.crt"),
        [
            "CN=Company root,OU=b,OU=a,O=Company,C=DE",
            "CN=localhost root CA 1"
        ]
    );
    assert_eq!(
        company.subjects("clients/alice/postgresql.crt"),
        ["CN=alice", "CN=localhost issuing CA 1"]
    );
    for target in ["tls/current", "clients/alice"] {
        let said = company.scene.pgpki(&format!("inspect {target}"));
        assert!(
            !said.contains("warning") && !said.contains("error"),
            "{said}"
        );
    }
    let said = company.scene.pgpki("inspect");
    assert!(said.contains("certified by Company sub  until "), "{said}");
    assert!(end.contains("notAfter"));
    // The company's key is not kept, nor is anything of it.
    let key = company.read("sub.key");
    let secret = key.lines().nth(1).unwrap();
    let mut grep = std::process::Command::new("grep");
    let found = grep
        .args(["-r", secret])
        .arg(company.scene.home())
        .output()
        .unwrap();
    assert!(found.stdout.is_empty(), "{found:?}");
}
