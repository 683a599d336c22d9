//! What real servers serve.

use pgpki_postgres::probe::{
    Cause, Comparison, Login, Negotiation, Plaintext, Stage, TlsVersion, compare, plaintext, probe,
};
use pgpki_testing::{Cluster, openssl};

use crate::authority::{Authority, Credential, TLS, at, endpoint, put, serving, soon};

#[test]
fn the_installed_chain_comes_back_byte_for_byte() {
    let authority = Authority::new();
    let credential = authority.server(&["localhost"]);
    let mut cluster = serving(&credential, "");
    let served = probe(&at(&cluster, "localhost"), soon()).unwrap();
    assert_eq!(served.protocol, TlsVersion::V1_3);
    assert!(served.cipher_suite.starts_with("TLS13_"), "{served:?}");
    assert_eq!(served.address.port(), cluster.port());
    assert_eq!(served.signature_unchecked, None);
    assert_eq!(served.client_certificate, None);
    assert_eq!(served.answer, None);
    let installed = authority.sent(&credential);
    assert_eq!(compare(&served.chain, &installed), Comparison::Match);

    // Another certificate on disk is not served before the reload, and is after it.
    let next = authority.server(&["localhost"]);
    put(&cluster, "own.crt", &next.chain);
    put(&cluster, "own.key", &next.key);
    let served = probe(&at(&cluster, "localhost"), soon()).unwrap();
    let Comparison::Differs(difference) = compare(&served.chain, &authority.sent(&next)) else {
        panic!("it was not reloaded");
    };
    let serial = |credential: &Credential| Some(credential.issued.serial.to_string());
    assert_eq!(difference.served_serial, serial(&credential));
    assert_eq!(difference.installed_serial, serial(&next));
    cluster.reload().unwrap();
    let served = probe(&at(&cluster, "localhost"), soon()).unwrap();
    let installed = authority.sent(&next);
    assert_eq!(compare(&served.chain, &installed), Comparison::Match);
    // Nothing that anybody has to read.
    let log = cluster.log();
    assert!(!log.contains("could not"), "{log}");
}

#[test]
fn tls_1_2_alone() {
    let credential = Authority::new().server(&["localhost"]);
    let cluster = serving(&credential, "ssl_max_protocol_version = 'TLSv1.2'");
    let served = probe(&at(&cluster, "127.0.0.1"), soon()).unwrap();
    assert_eq!(served.protocol, TlsVersion::V1_2);
    assert!(served.cipher_suite.starts_with("TLS_ECDHE"), "{served:?}");
}

#[test]
fn older_tls_is_named_as_the_likely_reason() {
    let credential = Authority::new().server(&["localhost"]);
    let old = "ssl_min_protocol_version = 'TLSv1.1'\nssl_max_protocol_version = 'TLSv1.1'\n\
               ssl_ciphers = 'ALL:@SECLEVEL=0'";
    let cluster = serving(&credential, old);
    let error = probe(&at(&cluster, "localhost"), soon()).unwrap_err();
    assert!(
        matches!(error.cause, Cause::Alert(_) | Cause::Incompatible(_)),
        "{error}"
    );
    assert!(error.hint().contains("ssl_max_protocol_version"));
}

#[test]
fn by_ipv6() {
    assert!(
        std::net::TcpListener::bind("[::1]:0").is_ok(),
        "this machine has no IPv6 loopback address"
    );
    let credential = Authority::new().server(&["::1"]);
    let cluster = serving(&credential, "");
    let served = probe(&at(&cluster, "[::1]"), soon()).unwrap();
    assert!(served.address.is_ipv6());
}

#[test]
fn tls_is_off() {
    let cluster = Cluster::running();
    let error = probe(&at(&cluster, "localhost"), soon()).unwrap_err();
    assert!(matches!(error.cause, Cause::NoTls), "{error}");
    let taken = plaintext(&at(&cluster, "localhost"), &Login::default(), soon()).unwrap();
    assert_eq!(taken, Plaintext::Taken { method: "trust" });
}

#[test]
fn nothing_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = probe(&endpoint(&address.to_string()), soon()).unwrap_err();
    let Cause::NoConnection(attempts) = &error.cause else {
        panic!("{error}");
    };
    assert_eq!(attempts.len(), 1);
    let error = probe(&endpoint("no-such-host.invalid"), soon()).unwrap_err();
    assert!(matches!(error.cause, Cause::NotResolved(_)), "{error}");
}

/// The name decides what the certificate must have, and the address where to connect.
#[test]
fn an_address_beside_the_name() {
    let cluster = serving(&Authority::new().server(&["db.invalid"]), "");
    let port = cluster.port();
    let url = format!("postgresql://db.invalid:{port}/?hostaddr=127.0.0.1");
    let served = probe(&endpoint(&url), soon()).unwrap();
    assert!(served.address.ip().is_loopback());
}

/// A certificate of X.509 version 1, as `openssl x509 -req` makes it.
#[test]
fn a_certificate_that_rustls_cannot_use() {
    let mut cluster = Cluster::builder().conf(TLS).create().unwrap();
    let path = |name: &str| cluster.dir().join(name).to_str().unwrap().to_owned();
    let (key, request) = (path("k.pem"), path("r.pem"));
    openssl([
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-keyout",
        &key,
        "-out",
        &request,
    ]);
    let certificate = openssl(["x509", "-req", "-in", &request, "-signkey", &key]).stdout;
    let key = std::fs::read_to_string(key).unwrap();
    put(
        &cluster,
        "own.crt",
        std::str::from_utf8(&certificate).unwrap(),
    );
    put(&cluster, "own.key", &key);
    cluster.start().unwrap();
    let served = probe(&at(&cluster, "localhost"), soon()).unwrap();
    assert_eq!(served.chain.len(), 1);
    assert!(served.signature_unchecked.is_some(), "{served:?}");
}

#[test]
fn plaintext_as_the_rules_have_it() {
    let credential = Authority::new().server(&["localhost"]);
    let mut cluster = serving(&credential, "");
    let endpoint = at(&cluster, "127.0.0.1");
    let login = Login {
        user: "app".to_owned(),
        database: "orders".to_owned(),
    };
    cluster.create_role("app", Some("secret"), true);
    for (rules, expected) in [
        ("host all all all scram-sha-256", Some("scram-sha-256")),
        ("host all all all password", Some("password")),
        ("host all all all trust", Some("trust")),
        ("hostnossl all all all reject\nhost all all all trust", None),
        ("hostssl all all all trust", None),
        ("host other all all trust", None),
        // It holds for one role and database, and is asked for those.
        (
            "host orders app all md5\nhostnossl all all all reject",
            Some("scram-sha-256"),
        ),
        (
            "hostnossl orders app all reject\nhost all all all md5",
            None,
        ),
    ] {
        cluster.set_hba(rules);
        cluster.reload().unwrap();
        let answer = plaintext(&endpoint, &login, soon()).unwrap();
        match (expected, &answer) {
            (Some(method), Plaintext::Taken { method: seen }) => assert_eq!(*seen, method),
            (None, Plaintext::Refused { message }) => {
                // Version 13 still says it in other words.
                let words = ["no encryption", "SSL off"];
                assert!(words.iter().any(|it| message.contains(it)), "{message}");
            }
            _ => panic!("{rules}: {answer:?}"),
        }
    }
}

#[test]
fn plaintext_that_nobody_can_tell() {
    let mut cluster = Cluster::builder()
        .conf(
            "max_connections = 1\nsuperuser_reserved_connections = 0\nmax_wal_senders = 0\n\
               autovacuum_max_workers = 1\nmax_worker_processes = 0",
        )
        .hba("host all all all trust")
        .start()
        .unwrap();
    let socket = cluster.socket_dir();
    let mut psql = cluster
        .psql_command()
        .args(["-XAtq", "-U", "postgres", "-d", "postgres", "-h"])
        .arg(&socket)
        .args(["-p", &cluster.port().to_string()])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Once it has answered, it holds the only place.
    let mut line = String::new();
    {
        use std::io::{BufRead as _, Write as _};
        let input = psql.stdin.as_mut().unwrap();
        input.write_all(b"select 1;\n").unwrap();
        let mut output = std::io::BufReader::new(psql.stdout.as_mut().unwrap());
        output.read_line(&mut line).unwrap();
    }
    assert_eq!(line, "1\n");
    let answer = plaintext(&at(&cluster, "localhost"), &Login::default(), soon()).unwrap();
    drop(psql.stdin.take());
    psql.wait().unwrap();
    let Plaintext::Unknown { message } = &answer else {
        panic!("{answer:?}");
    };
    assert!(message.contains("too many clients"), "{message}");
    cluster.stop(pgpki_testing::Shutdown::Fast).unwrap();
}

/// From version 17 on; those before hang up, and the hint says why.
#[test]
fn direct_tls() {
    let authority = Authority::new();
    let credential = authority.server(&["localhost"]);
    let cluster = serving(&credential, "");
    let url = format!(
        "postgresql://localhost:{}/?sslnegotiation=direct",
        cluster.port()
    );
    let endpoint = endpoint(&url);
    assert_eq!(endpoint.negotiation, Negotiation::Direct);
    let outcome = probe(&endpoint, soon());
    if cluster
        .sql("show server_version_num")
        .parse::<u32>()
        .unwrap()
        >= 170_000
    {
        let served = outcome.unwrap();
        assert_eq!(served.alpn.as_deref(), Some("postgresql"));
        assert_eq!(served.chain, authority.sent(&credential));
    } else {
        let error = outcome.unwrap_err();
        let closed = matches!(error.cause, Cause::Closed(Stage::Handshake));
        assert!(closed, "{error}");
        assert!(error.hint().contains("PostgreSQL 17"), "{}", error.hint());
    }
}
