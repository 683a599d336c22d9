//! The connection is gone, and the message does not say why.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "driver-hides-refusal",
        title: "The server hung up, and the driver does not say why",
        cause: "A server that refuses a client's certificate hangs up at once. Drivers that are still \
                writing then see their connection break, and the alert with the reason is lost: Go, \
                pgJDBC and rustls sometimes, asyncpg and pg8000 always with TLS 1.3. A server that \
                stops looks the same.",
        checks: &[
            "the same files with psql, which shows the alert; or pgpki doctor --client",
            "the server's log at that moment",
            "the driver's whole stack or traceback, which may name the alert",
        ],
        fix: "Explain the message of psql or of the server's log: pgpki doctor --explain 'TEXT'.",
        findings: &[],
        texts: &[
            "connection was closed in the middle of operation",
            "interfaceerror … network error",
            "=network error",
            "ssl error: broken pipe",
            "ssl error: connection reset by peer",
            "write tcp … connection reset by peer",
            "error performing tls handshake: broken pipe",
            "kind: tls, cause: some(os … kind: brokenpipe",
            "java.net.socketexception: broken pipe",
            "java.net.socketexception: connection reset",
            // Which error it is, EPIPE or ECONNRESET, and at which step, is a matter of microseconds.
            // golang/go 1.19, OpError in src/net/net.go and src/syscall/zerrors_linux_amd64.go;
            // tokio-postgres 0.7.18, src/error/mod.rs, around what std::io::Error prints.
            "read tcp … connection reset by peer",
            "write tcp … broken pipe",
            "error performing tls handshake: connection reset by peer",
            "error communicating with the server: broken pipe",
            "error communicating with the server: connection reset by peer",
            "kind: tls, cause: some(os … kind: connectionreset",
            "kind: io, cause: some(os … kind: brokenpipe",
            "kind: io, cause: some(os … kind: connectionreset",
        ],
    },
    Entry {
        name: "session-ended",
        title: "An administrator has ended the session",
        cause: "pg_terminate_backend, or the server was shut down. pgpki revoke, and rotate --issuing \
                --compromised, end the sessions that came in with what they revoke.",
        checks: &[
            "a new connection: pgpki doctor --client 'host=…'",
            "at the authority, whether the role's certificate was revoked: pgpki inspect --all",
        ],
        fix: "Connect again. If that is refused with \"certificate revoked\", have a new one issued: \
              pgpki issue-client ROLE.",
        findings: &["client-certificate-refused"],
        texts: &["terminating connection due to administrator command"],
    },
    Entry {
        name: "driver-hides-cause",
        title: "The driver's message leaves the cause out",
        cause: "It is the text of the outermost error. tokio-postgres keeps the cause in source(), \
                pgJDBC in getCause(), pg8000 in __cause__.",
        checks: &[
            "Rust: the error with {:?}, or with {:#} of anyhow",
            "Java: the stack, with its lines of Caused by",
            "Python: the whole traceback",
        ],
        fix: "Have the program print the causes too, and explain those: pgpki doctor --explain 'TEXT'.",
        findings: &[],
        texts: &[
            "=error performing tls handshake",
            "=error communicating with the server",
            "=error connecting to server",
            "can't create a connection to host … and port",
            "=db error",
            "=invalid configuration",
            "=the connection attempt failed.",
        ],
    },
    Entry {
        name: "closed-without-reason",
        title: "The other side hung up without a reason",
        cause: "The server was stopped or crashed, a proxy in between ended the connection, or \
                something that is not PostgreSQL listens there.",
        checks: &[
            "the server's log at that moment",
            "timeouts of proxies and firewalls in between",
            "sslnegotiation=direct, which servers before 17 answer by hanging up",
        ],
        fix: "The server's log has the reason; explain its line: pgpki doctor --explain 'TEXT'.",
        findings: &["unreachable"],
        texts: &[
            "server closed the connection unexpectedly",
            "connection terminated unexpectedly",
            "ssl syscall error: eof detected",
            "could not accept ssl connection: eof detected",
            "unexpected eof while reading",
            "unexpected connection_lost() call",
            "tls error (eof)",
            "failed to write startup message (eof)",
            "java.io.eofexception",
            "remote host terminated the handshake",
            "client network socket disconnected before secure tls connection was established",
            "server: early eof",
            "kind: unexpectedeof",
            "tls handshake eof",
            "unexpected_eof_while_reading",
            // postgres/postgres, src/interfaces/libpq/fe-secure-openssl.c, 13 to 18: in a session
            // that stood.
            "ssl connection has been closed unexpectedly",
        ],
    },
];
