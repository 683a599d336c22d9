//! TLS stands, and pg_hba.conf or the role's name does not agree.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "certificate-without-common-name",
        title: "The client's certificate names nobody",
        cause: "Its subject has no common name (CN), and that is what PostgreSQL takes the role from.",
        checks: &["pgpki inspect postgresql.crt"],
        fix: "Have one issued whose CN is the role: pgpki issue-client ROLE.",
        findings: &["no-common-name"],
        texts: &["client certificate contains no user name"],
    },
    Entry {
        name: "socket-for-another-role",
        title: "The user of the operating system is not that role",
        cause: "The rule says peer: over the Unix-domain socket, where no host= was given, PostgreSQL takes the role from the \
                operating system's user. No certificate is looked at there.",
        checks: &[
            "whoami, and user= of the connection: both have to be the role, or pg_ident.conf maps them",
            "host= of the connection, PGHOST: without it libpq takes the socket",
        ],
        fix: "Come over the network, with host=NAME and the certificate; or as that user: sudo -u USER psql.",
        findings: &[],
        // A log has the words of the next entry above these.
        texts: &[
            "peer authentication failed for user",
            "ident authentication failed for user",
        ],
    },
    Entry {
        name: "certificate-for-another-role",
        title: "The certificate is not that role's",
        cause: "The common name of the certificate is not the role that the client asked for, and no \
                line of pg_ident.conf says that it may be. The case of letters counts.",
        checks: &[
            "the client's user: user= of the connection, PGUSER, or the operating system's user",
            "the certificate's CN: pgpki inspect postgresql.crt",
            "the rule's map=: with it, every CN needs a line in pg_ident.conf",
        ],
        fix: "Connect as the role in the certificate, have one issued for this role (pgpki \
              issue-client ROLE), or map it in pg_ident.conf.",
        findings: &["role-mismatch"],
        texts: &[
            "certificate authentication failed for user",
            "provided user name … and authenticated user name … do not match",
            "certificate validation (clientcert=verify-full) failed for user",
            "no match in usermap",
        ],
    },
    Entry {
        name: "no-root-store",
        title: "The server cannot check client certificates",
        cause: "The rule of pg_hba.conf wants a client certificate, and ssl_ca_file is empty.",
        checks: &[
            "SHOW ssl_ca_file",
            "that the last reload was taken up: the server's log",
        ],
        fix: "Set ssl_ca_file to the root of the clients' CA, and reload: pgpki configure.",
        findings: &["ca-file-unset"],
        texts: &[
            "client certificates can only be checked if a root certificate store is available",
        ],
    },
    Entry {
        name: "no-rule-without-tls",
        title: "The client came without TLS, and there is no rule for that",
        cause: "Its attempt with TLS has failed before, and sslmode=prefer, the default, then tries \
                without; or it did not ask for TLS at all. What refuses it here is right: the first \
                error is the one that counts.",
        checks: &[
            "the message above this one, if there is one",
            "with sslmode=verify-full: the real error shows",
            "pg_hba.conf: whether hostssl has a rule for this role, database and address",
        ],
        fix: "Set sslmode=verify-full at the client and mend what it then says. Do not add a rule \
              for connections without TLS.",
        findings: &["hba-downgrade", "sslmode-weak"],
        texts: &[
            "no pg_hba.conf entry … no encryption",
            "no pg_hba.conf entry … ssl off",
            "pg_hba.conf rejects … no encryption",
            // postgres/postgres, src/backend/libpq/auth.c, 13.
            "pg_hba.conf rejects … ssl off",
        ],
    },
    Entry {
        name: "no-rule",
        title: "pg_hba.conf has no rule that lets this connection in",
        cause: "No line fits the role, database, address and kind of the connection together, or the \
                first one that fits says reject. `all` does not stand for replication.",
        checks: &[
            "SELECT * FROM pg_hba_file_rules: the server's own view, in order",
            "the address in the message: that of a pooler or proxy may be another one",
            "that the file was reloaded: one bad line keeps all of the old rules",
        ],
        fix: "Add a hostssl line for it above the one that rejects, and reload.",
        findings: &["hba-hidden", "replication-rule-missing"],
        texts: &["no pg_hba.conf entry", "pg_hba.conf rejects"],
    },
    Entry {
        name: "clientcert-value",
        title: "pg_hba.conf has a clientcert that this version does not take",
        cause: "From PostgreSQL 14 on, clientcert is verify-ca or verify-full; 0, 1 and no-verify are \
                gone. The method cert takes verify-full alone, which it means anyway. A file with \
                such a line is not loaded at all.",
        checks: &["the line of pg_hba.conf that the message names"],
        fix: "With cert, take clientcert away; with another method, write clientcert=verify-full.",
        findings: &["hba-refused"],
        texts: &[
            "invalid value for clientcert",
            "clientcert only accepts \"verify-full\"",
            // postgres/postgres, src/backend/libpq/hba.c: 13; then 14 to 18, what the column error of
            // pg_hba_file_rules says where the log says `only accepts`.
            "clientcert cannot be set to \"no-verify\"",
            "clientcert can only be set to \"verify-full\"",
        ],
    },
    Entry {
        name: "certificate-without-hostssl",
        title: "pg_hba.conf asks for a certificate where there is no TLS",
        cause: "The method cert and the option clientcert need a line that begins with hostssl.",
        checks: &["the line of pg_hba.conf that the message names"],
        fix: "Begin the line with hostssl.",
        findings: &["hba-refused"],
        texts: &[
            "cert authentication is only supported on hostssl connections",
            "clientcert can only be configured for",
        ],
    },
    Entry {
        name: "channel-binding",
        title: "Channel binding is required and cannot be had",
        cause: "channel_binding=require needs TLS and a password over SCRAM-SHA-256. The server \
                offers another method, such as cert, trust or md5, or there is no TLS.",
        checks: &[
            "the rule of pg_hba.conf that the connection meets",
            "channel_binding, PGCHANNELBINDING",
        ],
        fix: "Use scram-sha-256 in that rule, or leave channel_binding at prefer and rely on \
              sslmode=verify-full.",
        findings: &[],
        texts: &[
            "channel binding required",
            // postgres/postgres, src/interfaces/libpq/fe-auth.c, 13 to 18.
            "channel binding is required",
        ],
    },
];
