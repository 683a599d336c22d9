//! Queries over the local socket: on a real server, and on sockets where something else answers.
#![allow(clippy::unwrap_used)]

use std::fs::{self, Permissions};
use std::io::{Read as _, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::{Uid, geteuid};
use pgpki_postgres::sql::{Session, Socket, SqlCause, SqlError, literal};
use pgpki_testing::Cluster;

const LONG: Duration = Duration::from_secs(20);

fn socket(cluster: &Cluster) -> Socket {
    Socket {
        directory: cluster.socket_dir(),
        port: cluster.port(),
        uid: Uid::from_raw(cluster.owner().uid),
    }
}

#[test]
fn values_come_back_as_they_are() {
    let cluster = Cluster::running();
    let mut session = Session::open(&socket(&cluster), Instant::now() + LONG).unwrap();
    for text in [
        "",
        "it's",
        "a\\'b\\\\",
        "é\u{1f980}",
        "$1 -- /* ",
        "line\nbreak\t",
    ] {
        for conforming in ["on", "off"] {
            let set = format!("set standard_conforming_strings = {conforming}");
            session.query(&set).unwrap();
            let rows = session
                .query(&format!("select {}, null", literal(text)))
                .unwrap();
            assert_eq!(rows, [[Some(text.to_owned()), None]], "{conforming}");
        }
    }
    let many = session
        .query("select n from generate_series(1, 50000) n")
        .unwrap();
    assert_eq!(many.len(), 50_000);
    assert_eq!(many[49_999][0].as_deref(), Some("50000"));
    // Afterwards it is the caller again.
    assert_eq!(geteuid(), Uid::current());
}

#[test]
fn an_error_has_its_code_and_ends_nothing() {
    let cluster = Cluster::running();
    let mut session = Session::open(&socket(&cluster), Instant::now() + LONG).unwrap();
    for (sql, code) in [
        ("select 1/0", "22012"),
        ("selec", "42601"),
        ("table none", "42P01"),
    ] {
        let error = session.query(sql).unwrap_err();
        match &error.cause {
            SqlCause::Server(said) => assert_eq!(said.code, code, "{said}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(session.query("select 1").unwrap(), [[Some("1".to_owned())]]);
    }
}

#[test]
fn a_query_ends_with_its_deadline() {
    let cluster = Cluster::running();
    let began = Instant::now();
    let deadline = began + Duration::from_millis(300);
    let mut session = Session::open(&socket(&cluster), deadline).unwrap();
    let error = session.query("select pg_sleep(60)").unwrap_err();
    assert!(matches!(error.cause, SqlCause::TimedOut(_)), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_server_that_wants_a_password_gets_none() {
    let mut cluster = Cluster::running();
    let hba = cluster.data_dir().join("pg_hba.conf");
    for method in ["password", "md5", "scram-sha-256"] {
        fs::write(&hba, format!("local all all {method}\n")).unwrap();
        cluster.restart().unwrap();
        let error = Session::open(&socket(&cluster), Instant::now() + LONG).unwrap_err();
        assert!(
            matches!(error.cause, SqlCause::PasswordWanted { .. }),
            "{method}: {error}"
        );
        assert!(error.hint().unwrap().contains("peer"), "{method}");
    }
    cluster.stop(pgpki_testing::Shutdown::Fast).unwrap();
    let error = Session::open(&socket(&cluster), Instant::now() + LONG).unwrap_err();
    assert!(matches!(error.cause, SqlCause::Io(_)), "{error}");
}

/// Whatever `answer` does on the socket, the session ends with an error, and in time.
fn asks_a_stranger(answer: impl Fn(UnixStream) + Send + 'static) -> SqlError {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let socket = Socket {
        directory: dir.path().to_owned(),
        port: 5432,
        uid: geteuid(),
    };
    let listener = UnixListener::bind(socket.path()).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        answer(stream);
    });
    let began = Instant::now();
    let opened = Session::open(&socket, began + Duration::from_secs(2));
    let error = match opened {
        Ok(mut session) => session.query("select 1").unwrap_err(),
        Err(error) => error,
    };
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    error
}

const READY: [u8; 6] = [b'Z', 0, 0, 0, 5, b'I'];
const WELCOME: [u8; 9] = [b'R', 0, 0, 0, 8, 0, 0, 0, 0];

fn log_in(stream: &mut UnixStream) {
    stream.write_all(&WELCOME).unwrap();
    stream.write_all(&READY).unwrap();
    let _ = stream.read(&mut [0; 4096]);
}

#[test]
fn a_stranger_on_the_socket_is_no_danger() {
    let silent = asks_a_stranger(|stream| {
        thread::sleep(Duration::from_secs(30));
        drop(stream);
    });
    assert!(matches!(silent.cause, SqlCause::TimedOut(_)), "{silent}");
    for bytes in [
        &b""[..],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        &[0; 64],
        &[0xff; 64],
        &[b'R', 0, 0, 0, 0],
        &[b'R', 0xff, 0xff, 0xff, 0xff],
        &[b'E', 0, 0, 0, 5, b'M'],
    ] {
        let bytes = bytes.to_vec();
        asks_a_stranger(move |mut stream| {
            let _ = stream.write_all(&bytes);
        });
    }
    let trickle = asks_a_stranger(|mut stream| {
        // A message that never ends.
        let _ = stream.write_all(&[b'S', 0x7f, 0xff, 0xff, 0xff]);
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    assert!(matches!(trickle.cause, SqlCause::TimedOut(_)), "{trickle}");
}

/// Rows without end are not kept without end.
#[test]
fn an_answer_is_bounded() {
    let row = [
        b'D', 0, 0, 0, 16, 0, 1, 0, 0, 0, 6, b'a', b'b', b'c', b'd', b'e', b'f',
    ];
    let rows = row.repeat(10_000);
    let began = Instant::now();
    let endless = asks_a_stranger(move |mut stream| {
        log_in(&mut stream);
        while stream.write_all(&rows).is_ok() {}
    });
    let ended_early = began.elapsed() < Duration::from_secs(2);
    match endless.cause {
        SqlCause::Protocol(what) => assert!(what.contains("exceeds"), "{what}"),
        // A slow machine does not get that far in the time.
        SqlCause::TimedOut(_) => assert!(!ended_early),
        other => panic!("{other:?}"),
    }
    asks_a_stranger(|mut stream| {
        log_in(&mut stream);
        let _ = stream.write_all(&[b'D', 0x7f, 0xff, 0xff, 0xff]);
        while stream.write_all(&[0; 65536]).is_ok() {}
    });
}

/// A server that hangs, and has no room for another caller.
#[test]
fn a_connection_that_is_never_accepted_is_given_up_in_time() {
    use nix::sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
    };
    use std::os::fd::AsRawFd;

    let dir = tempfile::tempdir().unwrap();
    let at = Socket {
        directory: dir.path().to_owned(),
        port: 5432,
        uid: geteuid(),
    };
    let listener = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::empty(),
        None,
    )
    .unwrap();
    bind(listener.as_raw_fd(), &UnixAddr::new(&at.path()).unwrap()).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let _first = UnixStream::connect(at.path()).unwrap();
    let began = Instant::now();
    let error = Session::open(&at, began + Duration::from_millis(500)).unwrap_err();
    assert!(matches!(error.cause, SqlCause::TimedOut(_)), "{error}");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}
