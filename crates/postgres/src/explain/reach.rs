//! The client has not come as far as TLS.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "host-unknown",
        title: "There is no such host",
        cause: "The name after host= leads to no address. Neither PostgreSQL nor TLS was asked.",
        checks: &[
            "the name, letter by letter: host= of the connection, PGHOST, or the service's",
            "getent hosts NAME, on the client's machine",
        ],
        fix: "Have the name known there (DNS, /etc/hosts). hostaddr=ADDRESS beside host=NAME goes without, and NAME is still \
              what the certificate is checked against.",
        findings: &["unreachable"],
        texts: &[
            "could not translate host name",
            "name or service not known",
            "temporary failure in name resolution",
            "nodename nor servname provided",
            // Go, Java, Node.js, Rust.
            "no such host",
            "unknownhostexception",
            "getaddrinfo enotfound",
            "getaddrinfo eai_again",
            "failed to lookup address information",
        ],
    },
    Entry {
        name: "server-not-listening",
        title: "Nothing listens there",
        cause: "The machine was reached, or is this one, and no server takes connections at this address and port, or on this \
                socket. TLS has not begun.",
        checks: &[
            "that the server runs: pg_lsclusters, or systemctl status postgresql; its log says why it does not start",
            "host= and port=; without host=, which socket's directory libpq looks in",
            "SHOW listen_addresses, SHOW port, SHOW unix_socket_directories",
        ],
        fix: "Start the server, or name the address, port or socket on which it listens. One that does not start because of its \
              certificate says so: pgpki doctor.",
        findings: &["unreachable", "not-running"],
        texts: &[
            "connection refused",
            "running on that host and accepting",
            "running locally and accepting",
            "connections on unix domain socket",
            "connection to server on socket … no such file or directory",
            // Node.js, asyncio, pgJDBC.
            "econnrefused",
            "connect call failed",
            "check that the hostname and port are correct",
        ],
    },
    Entry {
        name: "no-answer",
        title: "Nobody answers there",
        cause: "The packets go nowhere, or whatever listens says nothing: a firewall that drops them, another address, a machine \
                that is down. What answers and is not PostgreSQL looks the same.",
        checks: &[
            "host= and port=",
            "firewalls and security groups between the two",
            "from the server's own machine: pgpki doctor --client",
        ],
        fix: "Let the client through to the server's port, or name the address at which it can be reached.",
        findings: &["unreachable"],
        texts: &[
            "timeout expired",
            "connection timed out",
            "connect timed out",
            "no route to host",
            "network is unreachable",
            "etimedout",
            "i/o timeout",
        ],
    },
    Entry {
        name: "server-not-ready",
        title: "The server takes no sessions at this moment",
        cause: "It is starting, stopping, or recovering from a crash. A standby with hot_standby = off never takes any. It has \
                nothing to do with certificates.",
        checks: &["the server's log: what it waits for"],
        fix: "Try again when it is done.",
        findings: &[],
        texts: &[
            // postgres/postgres, src/backend/postmaster/postmaster.c and tcop/backend_startup.c, 13 to 18.
            "the database system is starting up",
            "the database system is shutting down",
            "the database system is in recovery mode",
            "the database system is not yet accepting connections",
            "the database system is not accepting connections",
        ],
    },
];
