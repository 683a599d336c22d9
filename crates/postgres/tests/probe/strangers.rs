//! Peers that are no PostgreSQL, or none that means well: each ends in a typed error, in time.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pgpki_postgres::probe::{
    Answer, Cause, Endpoint, Login, Plaintext, Probe, ProbeError, Served, Stage, plaintext, probe,
};
use pgpki_testing::Cluster;
use proptest::prelude::*;

use crate::authority::{Authority, at, endpoint, soon};

/// Short enough for a test, long enough that everything that is to be seen is seen.
const SHORT: Duration = Duration::from_millis(700);

/// Far less than what would be waited without a limit, and more than a busy machine adds.
const IN_TIME: Duration = Duration::from_secs(10);

/// Something that listens and does `act` with everybody who connects, until it is dropped.
struct Stranger {
    endpoint: Endpoint,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Stranger {
    fn new(act: impl Fn(TcpStream, &AtomicBool) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                act(stream.unwrap(), &stopped);
            }
        });
        Self {
            endpoint: endpoint(&address.to_string()),
            stop,
            thread: Some(thread),
        }
    }

    /// One that reads something, says `answer`, and hangs up.
    fn saying(answer: &[u8]) -> Self {
        let answer = answer.to_vec();
        Self::new(move |mut stream, _| {
            read_some(&mut stream);
            let _ = stream.write_all(&answer);
        })
    }

    fn probe(&self) -> ProbeError {
        cause(probe(&self.endpoint, soon()))
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let address = format!("127.0.0.1:{}", self.endpoint.port);
        // It waits for somebody to come.
        let _ = TcpStream::connect(address);
        let _ = self.thread.take().unwrap().join();
    }
}

fn read_some(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(IN_TIME)).unwrap();
    let _ = stream.read(&mut [0; 1024]);
}

/// Reads until the peer goes away.
fn wait_for_the_end(stream: &mut TcpStream, stop: &AtomicBool) {
    stream
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    while !stop.load(Ordering::Relaxed) {
        match stream.read(&mut [0; 1024]) {
            Ok(0) => return,
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return;
            }
            _ => {}
        }
    }
}

#[track_caller]
fn cause(outcome: Result<Served, ProbeError>) -> ProbeError {
    let error = outcome.unwrap_err();
    let said = format!("{error} {} {:?}", error.hint(), error.cause);
    assert!(!error.to_string().chars().any(char::is_control), "{said}");
    error
}

/// A probe with little time ends with no more than that.
#[track_caller]
fn times_out(endpoint: &Endpoint, stage: Stage) {
    let start = Instant::now();
    let error = cause(probe(endpoint, start + SHORT));
    let elapsed = start.elapsed();
    assert!(
        matches!(error.cause, Cause::TimedOut(at) if at == stage),
        "{error}"
    );
    assert!((SHORT..IN_TIME).contains(&elapsed), "{elapsed:?}");
}

#[test]
fn one_that_says_nothing() {
    let silent = Stranger::new(|mut stream, stop| wait_for_the_end(&mut stream, stop));
    times_out(&silent.endpoint, Stage::SslRequest);
    let start = Instant::now();
    let error = plaintext(&silent.endpoint, &Login::default(), start + SHORT).unwrap_err();
    assert!(
        matches!(error.cause, Cause::TimedOut(Stage::Startup)),
        "{error}"
    );
    assert!(start.elapsed() < IN_TIME);
    let direct = Endpoint {
        negotiation: pgpki_postgres::probe::Negotiation::Direct,
        ..silent.endpoint.clone()
    };
    times_out(&direct, Stage::Handshake);
}

#[test]
fn one_that_consents_and_then_says_nothing() {
    let half = Stranger::new(|mut stream, stop| {
        read_some(&mut stream);
        stream.write_all(b"S").unwrap();
        wait_for_the_end(&mut stream, stop);
    });
    times_out(&half.endpoint, Stage::Handshake);
}

/// Each byte comes long before any timeout of a single read.
#[test]
fn one_that_drips() {
    let drip = |first: &'static [u8], then: &'static [u8]| {
        Stranger::new(move |mut stream, stop| {
            read_some(&mut stream);
            let _ = stream.write_all(first);
            read_some(&mut stream);
            for byte in then.iter().cycle() {
                if stop.load(Ordering::Relaxed) || stream.write_all(&[*byte]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(20));
            }
        })
    };
    // The header of a handshake record of 16 KiB, and what could be its content.
    let record = &[0x16, 0x03, 0x03, 0x40, 0x00, 0x02, 0x00, 0x3f, 0xfc];
    times_out(&drip(b"S", record).endpoint, Stage::Handshake);
    times_out(&drip(b"Eslow", b"x").endpoint, Stage::SslRequest);
}

#[test]
fn one_that_talks_without_end() {
    // Empty records of application data, which say nothing and could go on for ever.
    let flood = |first: &'static [u8], then: &'static [u8]| {
        Stranger::new(move |mut stream, stop| {
            read_some(&mut stream);
            let _ = stream.write_all(first);
            let block = then.repeat(4096);
            while !stop.load(Ordering::Relaxed) && stream.write_all(&block).is_ok() {}
        })
    };
    let start = Instant::now();
    // Alerts of the warning level; an error that goes on; noise.
    for (first, then) in [
        (&b"S"[..], &[0x15, 0x03, 0x03, 0x00, 0x02, 0x01, 0x00][..]),
        (b"S", &[0x16, 0x03, 0x03, 0x00, 0x01, 0x00]),
        (b"E", b"x"),
        (b"x", b"x"),
    ] {
        let flood = flood(first, then);
        let error = flood.probe();
        assert!(!matches!(error.cause, Cause::TimedOut(_)), "{error}");
    }
    assert!(start.elapsed() < IN_TIME, "{:?}", start.elapsed());
}

#[test]
fn other_programs() {
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"220 mail ESMTP\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"NO",
        b"\0",
        b"\x1b[2J",
    ] {
        let error = Stranger::saying(answer).probe();
        let is_none = matches!(error.cause, Cause::NotPostgres { .. });
        assert!(is_none, "{error}");
        assert!(error.to_string().contains("not PostgreSQL"), "{error}");
    }
    let error = Stranger::saying(b"S").probe();
    assert!(matches!(error.cause, Cause::Closed(_)), "{error}");
    let error = Stranger::saying(b"").probe();
    assert!(
        matches!(error.cause, Cause::Closed(Stage::SslRequest)),
        "{error}"
    );
}

/// CVE-2021-23222: what comes in the clear behind the consent must not be taken for the server's.
#[test]
fn bytes_behind_the_consent() {
    for answer in [&b"Sx"[..], b"SR\0\0\0\x08\0\0\0\0"] {
        let error = Stranger::saying(answer).probe();
        assert!(matches!(error.cause, Cause::DataBeforeTls), "{error}");
    }
}

#[test]
fn errors_in_the_place_of_consent() {
    let new = b"E\0\0\0\x23SFATAL\0C53300\0Mtoo \x1bmany\0\0\0\0\0\0\0\0";
    let old = b"Ecould not fork new process for connection: Cannot allocate memory\n";
    for (answer, expected) in [(&new[..], "too \\u{1b}many"), (old, "could not fork")] {
        let error = Stranger::saying(answer).probe();
        let Cause::Server { message, .. } = &error.cause else {
            panic!("{error}");
        };
        assert!(message.starts_with(expected), "{message}");
    }
}

/// Any certificate can be copied; its key cannot.
#[test]
fn a_certificate_without_its_key() {
    let authority = Authority::new();
    let (own, other) = (
        authority.server(&["localhost"]),
        authority.server(&["localhost"]),
    );
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (key, is_own) in [(&own.key, true), (&other.key, false)] {
            let server = Stranger::new(tls_server(&own.chain, key, version, b""));
            let outcome = probe(&server.endpoint, soon());
            if is_own {
                assert_eq!(outcome.unwrap().chain, authority.sent(&own));
                continue;
            }
            let error = cause(outcome);
            assert!(matches!(error.cause, Cause::Handshake(_)), "{error}");
            assert!(error.to_string().contains("BadSignature"), "{error}");
        }
    }
}

/// PostgreSQL says everything at once. A pooler lets clients in before it has a server for them.
#[test]
fn a_session_that_does_not_begin_takes_nothing_away() {
    let authority = Authority::new();
    let own = authority.server(&["localhost"]);
    let version = &rustls::version::TLS13;
    let server = Stranger::new(tls_server(
        &own.chain,
        &own.key,
        version,
        b"R\0\0\0\x08\0\0\0\0",
    ));
    let login = Login::default();
    let probe = Probe::new(&server.endpoint).stranger(&login);
    let served = probe.run(soon()).unwrap();
    assert_eq!(served.no_session, None);
    let served = probe.to_the_session().run(Instant::now() + 5 * SHORT);
    let served = served.unwrap();
    assert_eq!(served.chain, authority.sent(&own));
    let lets_in = Answer::Authentication { method: "trust" };
    assert_eq!(served.answer, Some(lets_in));
    let why = served.no_session.unwrap();
    assert_eq!(why, "no answer in time when a session was to begin");
}

/// A server that consents to TLS, and does not mind a key that is not the certificate's. To a login it says `answer`.
fn tls_server(
    chain: &str,
    key: &str,
    version: &'static rustls::SupportedProtocolVersion,
    answer: &'static [u8],
) -> impl Fn(TcpStream, &AtomicBool) + Send + Sync + 'static {
    use rustls::server::ServerConfig;
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap);
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let certified = rustls::sign::CertifiedKey::new(chain.collect(), key);
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    let config = Arc::new(config);
    move |mut stream, stop| {
        read_some(&mut stream);
        stream.write_all(b"S").unwrap();
        let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        while tls.is_handshaking() && tls.complete_io(&mut stream).is_ok() {}
        if !answer.is_empty() {
            let mut login = [0; 256];
            let mut tls = rustls::Stream::new(&mut tls, &mut stream);
            let _ = tls.read(&mut login).and_then(|_| tls.write_all(answer));
            let _ = tls.flush();
        }
        wait_for_the_end(&mut stream, stop);
    }
}

/// A postmaster that is stopped takes connections, and nothing else.
#[test]
fn a_server_that_is_stopped() {
    use nix::sys::signal::{Signal, kill};
    let cluster = Cluster::running();
    let pid_file = std::fs::read_to_string(cluster.data_dir().join("postmaster.pid")).unwrap();
    let pid = nix::unistd::Pid::from_raw(pid_file.lines().next().unwrap().parse().unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();
    let start = Instant::now();
    let outcome = probe(&at(&cluster, "localhost"), start + SHORT);
    kill(pid, Signal::SIGCONT).unwrap();
    let error = cause(outcome);
    assert!(
        matches!(error.cause, Cause::TimedOut(Stage::SslRequest)),
        "{error}"
    );
    assert!(start.elapsed() < IN_TIME);
}

#[test]
fn a_deadline_that_is_over() {
    let error = cause(probe(&endpoint("127.0.0.1:5432"), Instant::now()));
    assert!(error.to_string().contains("does not answer"), "{error}");
    let error = cause(probe(&endpoint("localhost:5432"), Instant::now()));
    assert!(matches!(
        error.cause,
        Cause::NotResolved(_) | Cause::NoConnection(_)
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Whatever a peer says, the probe ends with a value, in time, and without a panic.
    #[test]
    fn random_answers(
        first in prop_oneof![Just(&b"S"[..]), Just(&b"E"[..]), Just(&b"R"[..]), Just(&b""[..])],
        record in prop_oneof![
            Just(&[0x16, 0x03, 0x03, 0x00, 0x40][..]),
            Just(&[0x15, 0x03, 0x03, 0x00, 0x02][..]),
            Just(&[][..])
        ],
        noise in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let rest = [record, &noise[..]].concat();
        let stranger = Stranger::new(move |mut stream, _| {
            read_some(&mut stream);
            let _ = stream.write_all(first);
            if first == b"S" {
                read_some(&mut stream);
            }
            let _ = stream.write_all(&rest);
        });
        let start = Instant::now();
        let error = probe(&stranger.endpoint, soon()).unwrap_err();
        prop_assert!(!error.to_string().chars().any(char::is_control), "{}", error);
        let answer = plaintext(&stranger.endpoint, &Login::default(), soon());
        if let Ok(Plaintext::Refused { message } | Plaintext::Unknown { message }) = answer {
            prop_assert!(!message.chars().any(char::is_control), "{}", message);
        }
        prop_assert!(start.elapsed() < IN_TIME);
    }
}
