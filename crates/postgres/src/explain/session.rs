//! TLS stands, the rule of pg_hba.conf does too, and no session begins. What it says about the certificate differs: before a
//! server looks for role and database it has accepted the certificate, and before it asks for a password it has not.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    ROLE_CANNOT_LOG_IN,
    DATABASE_UNKNOWN,
    DATABASE_CLOSED,
    TOO_MANY_CONNECTIONS,
    PASSWORD_REFUSED,
    PASSWORD_MISSING,
];

pub(crate) const ROLE_CANNOT_LOG_IN: Entry = Entry {
    name: "role-cannot-log-in",
    title: "The server has no such role, or none that may log in",
    cause: "TLS and the certificate have passed, where the rule asks for one. A certificate makes no role: the server needs one \
            of the same name, to the letter (Alice is not alice), with LOGIN.",
    checks: &[
        "the role that is asked for: user= of the connection, PGUSER, or the operating system's user",
        "SELECT rolname, rolcanlogin FROM pg_roles",
        "that it is the server that was meant: host= and port=",
    ],
    fix: "Let the role log in: CREATE ROLE … LOGIN, or ALTER ROLE … LOGIN.",
    findings: &["role-missing", "role-no-login"],
    texts: &[
        "role \"…\" does not exist",
        // As a driver for Rust writes it with {:?}.
        "role \\\"…\\\" does not exist",
        "is not permitted to log in",
    ],
};

pub(crate) const DATABASE_UNKNOWN: Entry = Entry {
    name: "database-unknown",
    title: "The server has no such database",
    cause: "TLS, certificate and role have passed. Where a connection names no database, it is the one that is called like the \
            role.",
    checks: &[
        "dbname= of the connection, PGDATABASE",
        "SELECT datname FROM pg_database",
        "that it is the server that was meant: host= and port=",
    ],
    fix: "Create the database, or name one that is there with dbname=.",
    findings: &["login-refused"],
    texts: &[
        "database \"…\" does not exist",
        "database \\\"…\\\" does not exist",
    ],
};

pub(crate) const DATABASE_CLOSED: Entry = Entry {
    name: "database-closed",
    title: "The database does not let the role in",
    cause: "TLS, certificate and role have passed. The role has no CONNECT on the database, or the database takes no \
            connections at all (datallowconn), as template0 does.",
    checks: &["SELECT datname, datallowconn, datacl FROM pg_database"],
    fix: "Let the role into the database: GRANT CONNECT ON DATABASE … TO …, or ALTER DATABASE … ALLOW_CONNECTIONS true.",
    findings: &["login-refused"],
    texts: &[
        // With quotes: without them it is about what somebody wants to do in there.
        "permission denied for database \"",
        "permission denied for database \\\"",
        "user does not have connect privilege",
        "is not currently accepting connections",
    ],
};

pub(crate) const TOO_MANY_CONNECTIONS: Entry = Entry {
    name: "too-many-connections",
    title: "Too many are connected",
    cause: "The server, the database or the role has as many connections as it may have. It has nothing to do with certificates.",
    checks: &[
        "SELECT usename, datname, count(*) FROM pg_stat_activity GROUP BY 1, 2",
        "max_connections, and CONNECTION LIMIT of the role and of the database",
    ],
    fix: "Try again, have fewer connect, or raise the limit (max_connections, CONNECTION LIMIT).",
    findings: &["login-refused"],
    texts: &[
        // postgres/postgres, src/backend/storage/lmgr/proc.c, 13 to 18.
        "sorry, too many clients already",
        "remaining connection slots are reserved for",
        "too many connections for role",
        "too many connections for database",
    ],
};

const PASSWORD_REFUSED: Entry = Entry {
    name: "password-refused",
    title: "The rule wants a password, and this one is not the role's",
    cause: "TLS stands. The role has no password or another one, one that has expired (VALID UNTIL), one that is kept as MD5 under \
            a rule with scram-sha-256; or there is no such role. Clients are told the same of all, and a certificate's \
            name is looked at only afterwards.",
    checks: &[
        "the server's log: its DETAIL has the reason, and the line of pg_hba.conf that was met",
        "where no password was meant: whether another rule stands above the one with the method cert",
    ],
    fix: "Set the password (\\password in psql). Where the certificate alone is to do, put the rule with cert first: pgpki \
          configure --client-certs ROLE.",
    findings: &["login-refused"],
    texts: &["password authentication failed for user"],
};

const PASSWORD_MISSING: Entry = Entry {
    name: "password-missing",
    title: "The rule wants a password, and none was given",
    cause: "TLS stands. The first rule of pg_hba.conf that fits has a password method; a client's certificate does not take its \
            place, only a rule with the method cert does without.",
    checks: &[
        "password= of the connection, PGPASSWORD, ~/.pgpass",
        "SELECT * FROM pg_hba_file_rules: the first one that fits the role, database and address",
    ],
    fix: "Give the password. Where the certificate alone is to do, put the rule with cert first: pgpki configure --client-certs \
          ROLE.",
    findings: &["login-refused"],
    texts: &[
        "no password supplied",
        // pgJDBC, node-postgres, tokio-postgres. Others send an empty one.
        "authentication, but no password was provided",
        "client password must be a string",
        "invalid configuration: password missing",
        "kind: config, cause: some(\"password missing\")",
    ],
};
