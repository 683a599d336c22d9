//! A client's certificate, presented to a real server.

use pgpki_postgres::probe::{
    Answer, Cause, ClientCredential, CredentialError, Login, Probe, ProbeError, Served, TlsAlert,
    probe,
};
use pgpki_testing::Cluster;

use crate::authority::{Authority, Credential, at, put, served_by, soon};

const WITH_CLIENTS: &str = "ssl_ca_file = 'root.crt'\nssl_crl_file = 'root.crl'\n";

fn cluster(authority: &Authority, revoked: &[&Credential], more: &str) -> Cluster {
    let builder = Cluster::builder().hba("hostssl all all all cert");
    let credential = authority.server(&["localhost"]);
    let mut cluster = served_by(builder, &credential, "");
    put(&cluster, "root.crt", &authority.root_pem());
    put(&cluster, "root.crl", &authority.crls(revoked));
    let tls = crate::authority::TLS;
    cluster.set_conf(format!("{tls}{WITH_CLIENTS}{more}"));
    cluster.reload().unwrap();
    cluster.create_role("alice", None, true);
    cluster
}

fn present(cluster: &Cluster, client: &Credential) -> Result<Served, ProbeError> {
    let login = Login {
        user: "alice".to_owned(),
        database: "postgres".to_owned(),
    };
    let credential =
        ClientCredential::from_pem(client.chain.as_bytes(), client.key.as_bytes()).unwrap();
    Probe::new(&at(cluster, "localhost"))
        .client(&credential, &login)
        .run(soon())
}

fn alert(outcome: Result<Served, ProbeError>) -> TlsAlert {
    match outcome.map_err(|error| error.cause) {
        Err(Cause::Alert(alert)) => alert,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_one_gets_in_and_a_revoked_one_does_not() {
    let authority = Authority::new();
    let (good, revoked) = (authority.client("alice"), authority.client("alice"));
    for more in ["", "ssl_max_protocol_version = 'TLSv1.2'"] {
        let cluster = cluster(&authority, &[&revoked], more);
        let served = present(&cluster, &good).unwrap();
        let lets_in = Answer::Authentication { method: "trust" };
        assert_eq!(served.answer, Some(lets_in), "{more}");
        let request = served.client_certificate.unwrap();
        assert_eq!(request.authorities.len(), 1, "{more}");
        // Again and again: the server hangs up while the client is still sending.
        for _ in 0..20 {
            let outcome = present(&cluster, &revoked);
            assert_eq!(alert(outcome), TlsAlert::CertificateRevoked, "{more}");
        }
    }
}

#[test]
fn a_session_begins_or_the_server_says_why_not() {
    let authority = Authority::new();
    let (alice, login) = (
        authority.client("alice"),
        Login {
            user: "alice".to_owned(),
            database: "postgres".to_owned(),
        },
    );
    let credential =
        ClientCredential::from_pem(alice.chain.as_bytes(), alice.key.as_bytes()).unwrap();
    let lets_in = Some(Answer::Authentication { method: "trust" });
    let cluster = cluster(&authority, &[], "");
    let endpoint = at(&cluster, "localhost");
    let probe = Probe::new(&endpoint).client(&credential, &login);
    let served = probe.to_the_session().run(soon()).unwrap();
    assert_eq!((served.answer, served.no_session), (lets_in, None));
    let login = Login {
        database: "nope".to_owned(),
        ..login
    };
    let probe = Probe::new(&endpoint).client(&credential, &login);
    let served = probe.to_the_session().run(soon()).unwrap();
    assert!(
        matches!(served.answer, Some(Answer::Error { .. })),
        "{served:?}"
    );
}

#[test]
fn the_wrong_ca_is_an_alert_and_the_wrong_role_an_answer() {
    let authority = Authority::new();
    let cluster = cluster(&authority, &[], "");
    let stranger = Authority::new().client("alice");
    let outcome = present(&cluster, &stranger);
    assert_eq!(alert(outcome), TlsAlert::UnknownCa);
    let served = present(&cluster, &authority.client("bob")).unwrap();
    let Some(Answer::Error { message, .. }) = &served.answer else {
        panic!("{served:?}");
    };
    assert!(
        message.contains("certificate authentication failed"),
        "{message}"
    );
    let server = authority.server(&["alice"]);
    let outcome = present(&cluster, &server);
    assert_eq!(alert(outcome), TlsAlert::UnsupportedCertificate);
}

#[test]
fn nothing_presented() {
    let authority = Authority::new();
    let cluster = cluster(&authority, &[], "");
    let served = probe(&at(&cluster, "localhost"), soon()).unwrap();
    assert!(served.client_certificate.is_some(), "it asks");
}

#[test]
fn credentials_that_cannot_be_presented() {
    let authority = Authority::new();
    let (one, other) = (authority.client("alice"), authority.client("bob"));
    let made =
        |chain: &str, key: &str| ClientCredential::from_pem(chain.as_bytes(), key.as_bytes());
    assert!(made(&one.chain, &one.key).is_ok());
    assert_eq!(
        made("", &one.key).unwrap_err(),
        CredentialError::NoCertificate
    );
    assert_eq!(made(&one.chain, "x").unwrap_err(), CredentialError::NoKey);
    let mixed = made(&one.chain, &other.key).unwrap_err();
    assert!(matches!(mixed, CredentialError::Unusable(_)), "{mixed}");
}
