//! Reload and proof, with a patience that is a test's.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgpki_postgres::postmaster::Postmaster;
use pgpki_postgres::reload::{Cause, NotProven, Proof, endpoint, reload_and_prove};
use pgpki_testing::{Cluster, ServerPrograms, Shutdown, openssl};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_secs(1);

/// A self-signed certificate in the data directory; returns its DER.
fn certify(cluster: &Cluster, name: &str) -> Vec<Vec<u8>> {
    let file = |extension: &str| cluster.data_dir().join(format!("{name}.{extension}"));
    let (crt, key) = (file("crt"), file("key"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    openssl([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        &format!("/CN={name}"),
        "-out",
        &text(&crt),
        "-keyout",
        &text(&key),
    ]);
    for path in [&crt, &key] {
        cluster.owner().take(path).unwrap();
    }
    let der = openssl(["x509", "-in", &text(&crt), "-outform", "DER"]);
    vec![der.stdout]
}

fn served(cluster: &mut Cluster, name: &str) {
    cluster.set_conf(format!(
        "ssl = on\nssl_cert_file = '{name}.crt'\nssl_key_file = '{name}.key'\n"
    ));
}

fn prove(cluster: &Cluster, chain: &[Vec<u8>], patience: Duration) -> Result<Proof, NotProven> {
    let postmaster = Postmaster::of(&cluster.data_dir()).unwrap().unwrap();
    let began = Instant::now();
    let result = reload_and_prove(&postmaster, cluster.major(), chain, patience);
    // One question may begin just before the end.
    let most = patience + Duration::from_secs(8);
    assert!(began.elapsed() < most, "{:?}", began.elapsed());
    result
}

#[test]
fn what_is_served_is_proven_on_every_version() {
    for programs in ServerPrograms::every() {
        let mut cluster = Cluster::builder().programs(&programs).start().unwrap();
        let (one, two) = (certify(&cluster, "one"), certify(&cluster, "two"));
        served(&mut cluster, "one");
        let proof = prove(&cluster, &one, LONG).unwrap();
        assert_eq!(proof.direct, programs.major() >= 17, "{programs}");
        assert_eq!(
            proof.endpoint.to_string(),
            format!("127.0.0.1:{}", cluster.port())
        );
        served(&mut cluster, "two");
        prove(&cluster, &two, LONG).unwrap();

        let error = prove(&cluster, &one, SHORT).unwrap_err();
        assert!(
            matches!(*error.cause, Cause::Differs { .. }),
            "{programs}: {error}"
        );
        // The old one is served on, and the log says why.
        fs::write(cluster.data_dir().join("one.key"), "garbage").unwrap();
        served(&mut cluster, "one");
        let error = prove(&cluster, &one, LONG).unwrap_err();
        assert!(matches!(*error.cause, Cause::Kept), "{programs}: {error}");
        assert!(error.to_string().contains("one.key"), "{programs}: {error}");
        prove(&cluster, &two, LONG).unwrap();
    }
}

#[test]
fn a_server_that_does_not_answer_is_given_up_in_time() {
    let mut cluster = Cluster::running();
    let one = certify(&cluster, "one");
    served(&mut cluster, "one");
    prove(&cluster, &one, LONG).unwrap();
    let postmaster = Postmaster::of(&cluster.data_dir()).unwrap().unwrap();
    kill(Pid::from_raw(postmaster.pid), Signal::SIGSTOP).unwrap();
    let error = prove(&cluster, &one, SHORT).unwrap_err();
    kill(Pid::from_raw(postmaster.pid), Signal::SIGCONT).unwrap();
    assert!(matches!(*error.cause, Cause::NoAnswer(_)), "{error}");

    cluster.stop(Shutdown::Immediate).unwrap();
    let error = reload_and_prove(&postmaster, cluster.major(), &one, SHORT).unwrap_err();
    assert!(matches!(*error.cause, Cause::Ended), "{error}");
}

#[test]
fn where_it_listens_is_where_it_is_asked() {
    let mut cluster = Cluster::running();
    for (listens, expected) in [
        ("*", Some("127.0.0.1")),
        ("0.0.0.0", Some("127.0.0.1")),
        ("::", Some("[::1]")),
        ("::1, 127.0.0.1", Some("[::1]")),
        ("localhost", Some("localhost")),
        ("", None),
    ] {
        cluster.set_conf(format!("listen_addresses = '{listens}'"));
        cluster.restart().unwrap();
        let postmaster = Postmaster::of(&cluster.data_dir()).unwrap().unwrap();
        match (endpoint(&postmaster), expected) {
            (Ok(at), Some(expected)) => {
                assert_eq!(at.to_string(), format!("{expected}:{}", cluster.port()));
            }
            (Err(error), None) => assert!(matches!(*error.cause, Cause::NotListening), "{error}"),
            (result, _) => panic!("{listens}: {result:?}"),
        }
    }
}

/// A pid that has gone, and been given to somebody else, is not signalled.
#[test]
fn nobody_else_is_told_to_reload() {
    let mut cluster = Cluster::running();
    let mut postmaster = Postmaster::of(&cluster.data_dir()).unwrap().unwrap();
    cluster.stop(Shutdown::Fast).unwrap();
    let mut sleep = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    postmaster.pid = sleep.id().cast_signed();
    postmaster.reload().unwrap_err();
    std::thread::sleep(Duration::from_millis(50));
    assert!(sleep.try_wait().unwrap().is_none(), "SIGHUP ended it");
    sleep.kill().unwrap();
    sleep.wait().unwrap();
}
