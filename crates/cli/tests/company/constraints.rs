//! Name constraints on one's own issuing CA.

use std::path::Path;
use std::thread;
use std::time::SystemTime;

use pgpki_testing::{Client, Cluster, Connection, run};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::company::{BAD_INPUT, CA, Company};

fn certificates(file: &Path) -> Vec<CertificateDer<'static>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).unwrap().collect();
    read.unwrap()
}

fn webpki_agrees(root: &Path, chain: &Path) {
    webpki_judges(root, chain).unwrap();
}

/// webpki is rustls's judge.
fn webpki_judges(root: &Path, chain: &Path) -> Result<(), webpki::Error> {
    let (roots, chain) = (certificates(root), certificates(chain));
    let anchors: Vec<_> = roots
        .iter()
        .map(|root| anchor_from_trusted_cert(root).unwrap())
        .collect();
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let leaf = EndEntityCert::try_from(&chain[0]).unwrap();
    leaf.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &anchors,
        &chain[1..],
        UnixTime::since_unix_epoch(now),
        KeyUsage::server_auth(),
        None,
        None,
    )
    .map(drop)
}

/// `docs/existing-ca.md` says what rustls refuses, and that nobody else does.
#[test]
fn what_rustls_refuses_is_what_the_manual_says() {
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/existing-ca.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    for (extensions, is_good, said) in [
        ("", true, ""),
        (
            "\ncertificatePolicies=critical,1.2.3.4",
            false,
            "a critical `certificatePolicies`",
        ),
        (
            "\nnameConstraints=critical,permitted;dirName:base\n[base]\nO=Company",
            false,
            "any constraint on directory names",
        ),
    ] {
        let company = Company::with(&format!("{CA}{extensions}"));
        company.init("--organization Company");
        company.openssl_agrees();
        let (root, chain) = (
            company.path("root.pem"),
            company.path("tls/current/server.crt"),
        );
        let verdict = webpki_judges(&root, &chain);
        assert_eq!(verdict.is_ok(), is_good, "{extensions}: {verdict:?}");
        assert!(manual.contains(said), "{said}");
    }
}

#[test]
fn what_is_permitted_is_served_and_nothing_else_is_issued() {
    let company = Company::new();
    company
        .scene
        .init("--permit-dns localhost,example.com --permit-ip 127.0.0.0/8");
    let text = company.openssl("x509 -in home/issuing/g0001/ca.crt -noout -text");
    for expected in [
        "Name Constraints: critical",
        "DNS:localhost",
        "DNS:example.com",
        "IP:127.0.0.0/255.0.0.0",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    for (line, expected) in [
        (
            "issue-server db.example.org --out servers",
            "permits only DNS names",
        ),
        (
            "issue-server db.example.com 10.0.0.1 --out servers",
            "permits only addresses in 127.0.0.0/8",
        ),
        (
            "issue-server db.example.com ::1 --out servers",
            "permits only addresses in 127.0.0.0/8",
        ),
        (
            "issue-client a.b --out clients",
            "OpenSSL takes for a DNS name",
        ),
    ] {
        let said = company.scene.fails(BAD_INPUT, line);
        assert!(said.contains(expected), "{line}: {said}");
        assert!(!company.path("servers").exists() && !company.path("clients").exists());
    }
    company
        .scene
        .pgpki("request --host db.example.org --out asked");
    let request = company.path("asked/db.example.org/server.csr");
    let line = format!(
        "sign {} --host db.example.org --out signed",
        request.display()
    );
    let said = company.scene.fails(BAD_INPUT, &line);
    assert!(said.contains("permits only DNS names"), "{said}");
    assert!(!company.path("signed").exists());
    company
        .scene
        .pgpki("issue-server db.example.com 127.0.0.2 --out servers");
    company.scene.pgpki("issue-client alice --out clients");
    let root = company.path("clients/alice/root.crt");
    webpki_agrees(&root, &company.path("servers/server.crt"));
    webpki_agrees(&root, &company.path("tls/current/server.crt"));
    company.openssl("verify -x509_strict -CAfile clients/alice/root.crt -untrusted tls/current/server.crt tls/current/server.crt");

    let cluster = Cluster::running();
    let mut configure =
        company
            .scene
            .command(["configure", "--require-tls", "--client-certs", "all"]);
    configure.arg("--pgdata").arg(cluster.data_dir());
    run(configure.arg("--install").arg(company.scene.tls()));
    cluster.create_role("alice", None, true);
    let folder = company.path("clients/alice");
    let folder = folder.display();
    let conninfo = format!(
        "host=localhost port={} dbname=postgres user=alice sslmode=verify-full sslrootcert={folder}/root.crt \
         sslcert={folder}/postgresql.crt sslkey={folder}/postgresql.key",
        cluster.port()
    );
    let output = cluster.psql(&conninfo, "select 6 * 7");
    assert_eq!(output.stdout, b"42\n", "{output:?}\n{}", cluster.log());
    // Each has its own way to compare names with constraints; the server has an address as well.
    thread::scope(|scope| {
        for client in Client::ALL {
            let (cluster, root, company) = (&cluster, &root, &company);
            scope.spawn(move || {
                let folder = company.path("clients/alice");
                let connection = Connection::to(cluster, "alice", root).with_folder(&folder);
                let session = client.connect(&connection);
                session.unwrap_or_else(|refusal| panic!("{client}: {refusal}"));
            });
        }
    });
}

#[test]
fn later_issuing_cas_have_the_same_constraints() {
    let company = Company::new();
    company.init("--permit-dns localhost --permit-ip 127.0.0.0/8");
    company
        .scene
        .pgpki("rotate --issuing --no-reload --issuer-cert chain.pem --issuer-key sub.key");
    let server = company.read("tls/current/server.crt");
    let end = "-----END CERTIFICATE-----\n";
    company.write(
        "by-company.pem",
        server.split_inclusive(end).nth(1).unwrap(),
    );
    for file in ["home/issuing/g0002/ca.crt", "by-company.pem"] {
        let text = company.openssl(&format!("x509 -in {file} -noout -text"));
        for expected in [
            "CN = localhost issuing CA 2",
            "Name Constraints: critical",
            "DNS:localhost",
            "IP:127.0.0.0/255.0.0.0",
            "pathlen:0",
        ] {
            assert!(text.contains(expected), "{file}: {text}");
        }
    }
    company.openssl_agrees();
}

#[test]
fn settings_that_would_lock_a_server_out_make_no_issuing_ca() {
    let company = Company::new();
    company.scene.init("");
    let settings = company.read("home/pgpki.toml");
    let permit = |dns: &str| {
        let line = format!("dns = [{dns}]");
        company.write(
            "home/pgpki.toml",
            &settings.replace("# dns = [\"example.com\"]", &line),
        );
    };
    let before = company.read("tls/current/server.crt");
    for (dns, expected) in [
        ("\"example.com\"", "localhost is a name for which"),
        ("\"localhost\"", "127.0.0.1 is a name for which"),
    ] {
        permit(dns);
        let output = company
            .scene
            .command(["rotate", "--issuing", "--no-reload"])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(
            !output.status.success() && said.contains(expected),
            "{said}"
        );
        assert_eq!(company.read("tls/current/server.crt"), before);
        assert!(!company.path("home/issuing/g0002").exists());
    }
    company.write("home/pgpki.toml", &settings);
    company.scene.pgpki("issue-client a.b --out clients");
    company.write(
        "home/pgpki.toml",
        &settings
            .replace("# dns = [\"example.com\"]", "dns = [\"localhost\"]")
            .replace("# ip = [\"10.0.0.0/8\"]", "ip = [\"127.0.0.1\"]"),
    );
    let output = company
        .scene
        .command(["rotate", "--issuing", "--no-reload"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("the common name a.b, which OpenSSL takes"),
        "{said}"
    );
    std::fs::write(company.path("home/pgpki.toml"), &settings).unwrap();
    company.scene.pgpki("rotate --issuing --no-reload");
    assert!(company.path("home/issuing/g0002").exists());
}

#[test]
fn what_cannot_be_permitted_is_refused() {
    let company = Company::new();
    for (hosts, more, expected) in [
        (
            "localhost",
            "--permit-dns example.com",
            "permits only DNS names in example.com",
        ),
        (
            "127.0.0.1",
            "--permit-ip 127.0.0.0/8",
            "OpenSSL takes for a DNS name",
        ),
        (
            "localhost",
            "--permit-dns *.example.com",
            "leave out the \"*.\"",
        ),
        ("localhost", "--permit-dns 10.0.0.1", "is an address"),
        ("localhost", "--permit-dns .example.com", "at the start"),
        ("localhost", "--permit-ip 10.0.0.1/8", "is no network"),
        ("localhost", "--permit-ip 10.0.0.0/33", "is no network"),
    ] {
        let said = company.init_fails(BAD_INPUT, hosts, more);
        assert!(said.contains(expected), "{more}: {said}");
    }
}
