//! No TLS comes about at all.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "server-without-tls",
        title: "The server has no TLS",
        cause: "ssl is off, or the server could not load its files at a reload that turned it on; or \
                something in between, such as PgBouncer without client_tls_sslmode, answers for it.",
        checks: &[
            "SHOW ssl",
            "the server's log at its start and at reloads",
            "host and port: whether this is the server or a pooler",
        ],
        fix: "ssl = on, ssl_cert_file and ssl_key_file, then reload: pgpki configure.",
        findings: &["no-tls", "ssl-off"],
        texts: &[
            "server does not support ssl",
            "server does not support tls",
            "server refused tls connection",
            "rejected ssl upgrade",
            "server refuses ssl",
            "hostssl record cannot match because ssl is disabled",
            "ssl is not enabled on the server",
        ],
    },
    Entry {
        name: "data-before-tls",
        title: "Data came in the clear where TLS should begin",
        cause: "The other side, or somebody in between, has sent something between the agreement on \
                TLS and its beginning (CVE-2021-23214, CVE-2021-23222).",
        checks: &["what stands in between: proxies, balancers, poolers"],
        fix: "Do not log in before it is known who sends that.",
        findings: &["data-before-tls"],
        texts: &[
            // postgres/postgres, 13 to 18: `request` in src/backend/postmaster/postmaster.c (from 17
            // on src/backend/tcop/backend_startup.c), `response` in
            // src/interfaces/libpq/fe-connect.c.
            "received unencrypted data after ssl re",
            // src/backend/libpq/be-secure.c, 17 and 18.
            "buffered unencrypted data remains after negotiating ssl connection",
        ],
    },
    Entry {
        name: "direct-tls",
        title: "Direct TLS is not understood by the other side",
        cause: "sslnegotiation=direct begins with PostgreSQL 17, and both sides must name the \
                protocol postgresql (ALPN). A proxy that ends TLS has to pass that on.",
        checks: &[
            "the server's version: SHOW server_version",
            "what stands in between",
        ],
        fix: "Leave sslnegotiation=direct away, or have the proxy offer ALPN postgresql.",
        findings: &["not-postgresql"],
        texts: &[
            // openssl/openssl, ssl/ssl_err.c (crypto/ssl_err.c in 3.5): alone in a server's log, after
            // `alert` in a client from 3.0 on. For a client with 1.1.1, libpq 17 and 18 have the words
            // (src/interfaces/libpq/fe-secure-openssl.c).
            "no application protocol",
            // postgres/postgres, 17 and 18: src/backend/libpq/be-secure-openssl.c; then
            // src/backend/tcop/backend_startup.c and src/interfaces/libpq/fe-secure-openssl.c; and the
            // latter alone.
            "connection request with unexpected alpn protocol",
            "without alpn protocol negotiation extension",
            "was established with unexpected alpn protocol",
        ],
    },
    Entry {
        name: "protocol-version",
        title: "No version of TLS in common",
        cause: "The server wants a newer version than the client offers (ssl_min_protocol_version), \
                or one of them speaks only versions that the other no longer takes.",
        checks: &[
            "ssl_min_protocol_version and ssl_max_protocol_version of the server",
            "ssl_min_protocol_version and ssl_max_protocol_version of the client's connection",
            "MinProtocol in /etc/ssl/openssl.cnf; the age of the client's TLS library",
        ],
        fix: "Allow TLS 1.2 and 1.3 on both sides.",
        findings: &["handshake-failed"],
        texts: &[
            "alert protocol version",
            "received fatal alert: protocol_version",
            "received fatal alert: protocolversion",
            "tls: protocol version not supported",
            "alertreceived(protocolversion)",
            // openssl/openssl, ssl/ssl_err.c in 1.1.1 and 3.0, crypto/ssl_err.c in 3.5.
            "unsupported protocol",
            "no protocols available",
        ],
    },
    Entry {
        name: "no-common-cipher",
        title: "Nothing in common to encrypt or sign with",
        cause: "The server found no cipher suite, curve or kind of signature that both sides take.",
        checks: &[
            "ssl_ciphers, and ssl_groups or ssl_ecdh_curve of the server",
            "the kind of the server's key: pgpki inspect FILE",
        ],
        fix: "Take those settings out, so that their defaults count; use P-256 or RSA keys.",
        findings: &["handshake-failed", "key-kind"],
        texts: &[
            "alert handshake failure",
            "received fatal alert: handshake_failure",
            "received fatal alert: handshakefailure",
            "remote error: tls: handshake failure",
            "alertreceived(handshakefailure)",
            // openssl/openssl, ssl/ssl_err.c in 1.1.1 and 3.0, crypto/ssl_err.c in 3.5: in a server's
            // log.
            "no shared cipher",
            "no suitable signature algorithm",
        ],
    },
    Entry {
        name: "not-tls",
        title: "The other side does not speak TLS at this point",
        cause: "TLS was begun with something that answers in the clear: the wrong port, or a program \
                that begins TLS at once where PostgreSQL waits to be asked for it (SSLRequest).",
        checks: &["host and port", "openssl s_client needs -starttls postgres"],
        fix: "Use a PostgreSQL driver, and the port of the server.",
        findings: &["not-postgresql"],
        texts: &[
            "wrong version number",
            "first record does not look like a tls handshake",
            "unsupported or unrecognized ssl message",
            "received corrupt message of type invalidcontenttype",
            "invalidmessage(invalidcontenttype)",
            "wrong_version_number",
        ],
    },
];
