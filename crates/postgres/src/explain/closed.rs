//! The connection is gone, and the message does not say why.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "driver-hides-refusal",
        title: "The server hung up, and the driver does not say why",
        cause: "In TLS 1.3 a server looks at the client's certificate when the client believes the \
                handshake over. asyncpg and pg8000 then report the lost connection, not the alert. \
                A server that stops looks the same.",
        checks: &[
            "the same files with psql, which shows the alert; or pgpki doctor --client",
            "the server's log at that moment",
        ],
        fix: "Explain the message of psql or of the server's log: pgpki doctor --explain 'TEXT'.",
        findings: &[],
        texts: &[
            "connection was closed in the middle of operation",
            "unexpected connection_lost() call",
            "interfaceerror … network error",
            "=network error",
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
            "ssl connection has been closed unexpectedly",
            "connection terminated unexpectedly",
            "ssl syscall error: eof detected",
            "could not accept ssl connection: eof detected",
            "unexpected eof while reading",
        ],
    },
];
