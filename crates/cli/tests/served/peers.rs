//! Peers that are no PostgreSQL.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use crate::fixture::{codes, finding, inspect, one, scene};

/// Answers the first who comes, and hangs up.
fn answering(answer: &'static [u8]) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 64]);
        let _ = stream.write_all(answer);
    });
    (address, thread)
}

#[test]
fn what_they_answer() {
    let scene = scene();
    for (answer, code) in [
        (&b"HTTP/1.1 400 Bad Request\r\n"[..], "not-postgresql"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not-postgresql"),
        (b"\x1b]0;title\x07", "not-postgresql"),
        (b"SX", "data-before-tls"),
        (b"S\x15\x03\x03\x00\x02\x02\x28", "data-before-tls"),
        (b"Ecould not fork new process: \x1b[2Jno\n", "server-error"),
        (b"", "unreachable"),
        (b"S", "unreachable"),
    ] {
        let (address, thread) = answering(answer);
        let server = one(&scene, &[&address], 1);
        thread.join().unwrap();
        assert_eq!(codes(&server), [code], "{server:#}");
        assert!(server["plaintext"].is_null(), "{server:#}");
        let found = finding(&server, code);
        assert_eq!(found["severity"], "error");
        let said = found["message"].as_str().unwrap();
        assert!(!said.chars().any(char::is_control), "{said:?}");
    }
}

#[test]
fn silence_takes_no_longer_than_was_said() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let start = Instant::now();
    let text = inspect(&scene(), &[&address, "--timeout", "700ms"]).text(1);
    let elapsed = start.elapsed();
    assert!(text.contains("no answer in time"), "{text}");
    assert!(elapsed >= Duration::from_millis(700), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(8), "{elapsed:?}");
}

#[test]
fn a_handshake_that_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = thread::spawn(move || {
        // TLS, and then the question about plaintext.
        for answer in [&b"S"[..], b""] {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 64]);
            let _ = stream.write_all(answer);
            let _ = stream.read(&mut [0; 4096]);
            // A fatal alert: protocol version.
            let _ = stream.write_all(b"\x15\x03\x01\x00\x02\x02\x46");
        }
    });
    let server = one(&scene(), &[&address], 1);
    thread.join().unwrap();
    assert_eq!(codes(&server), ["handshake-failed"]);
    let hint = finding(&server, "handshake-failed")["hint"]
        .as_str()
        .unwrap();
    assert!(hint.contains("TLS 1.0 or 1.1"), "{hint}");
    assert_eq!(server["plaintext"]["answer"], "unknown");
}
