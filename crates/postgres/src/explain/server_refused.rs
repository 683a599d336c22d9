//! The client refuses the server's certificate, or has nothing to check it with.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "host-name-mismatch",
        title: "The server's certificate has another name",
        cause: "The host that the client asked for is not among the names (subjectAltName) of the \
                certificate. An address must stand there as an address.",
        checks: &[
            "which names it has: pgpki inspect HOST:PORT",
            "host= of the connection; with hostaddr=, host= is still the name that counts",
        ],
        fix: "Have it issued with that name (pgpki issue-server), or connect by a name that it has.",
        findings: &["name-mismatch"],
        texts: &[
            "server certificate for … does not match host name",
            "hostname/ip does not match certificate's altnames",
            "x509: certificate is valid for … not",
            "x509: cannot validate certificate for … because it doesn't contain any ip sans",
            "could not be verified by hostnameverifier",
            "certificate not valid for name",
            "certificate verify failed: hostname mismatch, certificate is not valid for",
            "certificate verify failed: ip address mismatch, certificate is not valid for",
            "invalidcertificate(notvalidforname",
            "err_tls_cert_altname_invalid",
            // golang/go 1.19, HostnameError in src/crypto/x509/verify.go.
            "x509: certificate is not valid for any names",
            // openjdk/jdk 17 and 25, sun/security/util/HostnameChecker.java of java.base: in drivers
            // that leave the name to it; pgJDBC does not.
            "no subject alternative dns name matching",
            "no subject alternative names matching ip address",
            "no name matching … found",
        ],
    },
    Entry {
        name: "no-alternative-name",
        title: "The server's certificate has no subjectAltName",
        cause: "Its name stands only in the common name. libpq, pgJDBC, node and Python take that; \
                Go and rustls do not.",
        checks: &["pgpki inspect HOST:PORT shows its names"],
        fix: "Have it issued again with a subjectAltName: pgpki issue-server HOST.",
        findings: &["no-alternative-name"],
        texts: &[
            "certificate relies on legacy common name field",
            "certificate not valid for name … certificate is not valid for any names",
            "invalidcertificate(notvalidfornamecontext … presented: [] }",
            // openjdk/jdk 17 and 25, sun/security/util/HostnameChecker.java.
            "no subject alternative names present",
        ],
    },
    Entry {
        name: "server-certificate-expired",
        title: "The server's certificate has expired",
        cause: "It is over, or a CA above it. PostgreSQL serves such a certificate in silence.",
        checks: &[
            "pgpki inspect HOST:PORT shows until when each counts",
            "the client's clock",
        ],
        fix: "Renew it (pgpki rotate), reload the server, and look again what it serves.",
        findings: &["expired"],
        texts: &[
            "certificate has expired",
            "certificate expired: verification time",
            "certificateexpiredexception",
            "certificate verify failed: certificate has expired",
            "certificate has expired or is not yet valid: … is after",
            "invalidcertificate(expired",
            "cert_has_expired",
        ],
    },
    Entry {
        name: "server-certificate-not-yet-valid",
        title: "The server's certificate does not count yet",
        cause: "By the client's clock the certificate's time has not begun.",
        checks: &[
            "the clocks of the client and of the CA",
            "pgpki inspect HOST:PORT",
        ],
        fix: "Put the clocks right, or have it issued again.",
        findings: &["not-yet-valid"],
        texts: &[
            "certificate is not yet valid",
            "certificate not valid yet: verification time",
            "certificatenotyetvalidexception",
            "certificate verify failed: certificate is not yet valid",
            "certificate has expired or is not yet valid: … is before",
            "invalidcertificate(notvalidyet",
            "cert_not_yet_valid",
        ],
    },
    Entry {
        name: "server-certificate-not-now",
        title: "The server's certificate does not count at this time",
        cause: "It is over, or its time has not begun by the client's clock; or that of a CA above it. \
                Java says which only in the last line of its stack (Caused by).",
        checks: &[
            "pgpki inspect HOST:PORT shows from when and until when each counts",
            "the client's clock",
        ],
        fix: "Renew it (pgpki rotate) and reload the server, or put the clocks right.",
        findings: &["expired", "not-yet-valid"],
        texts: &["certpathvalidatorexception: validity check failed"],
    },
    Entry {
        name: "server-certificate-purpose",
        title: "The server's certificate is not for servers",
        cause: "Its extended key usage lacks serverAuth: it may be a client's certificate.",
        checks: &["pgpki inspect HOST:PORT shows what it is for"],
        fix: "Have one issued for a server: pgpki issue-server HOST.",
        findings: &["purpose-missing"],
        texts: &[
            "unsuitable certificate purpose",
            "certificate does not allow extended key usage for",
            "x509: certificate specifies an incompatible key usage",
            "certificate verify failed: unsuitable certificate purpose",
            "extended key usage does not permit use for tls server authentication",
            "invalidcertificate(invalidpurpose",
        ],
    },
    Entry {
        name: "server-certificate-revoked",
        title: "The server's certificate is revoked",
        cause: "It stands in a CRL of the client's (sslcrl, or ~/.postgresql/root.crl).",
        checks: &["the serial number: pgpki inspect HOST:PORT, openssl crl -text -noout"],
        fix: "Have the server's certificate issued again: pgpki issue-server HOST.",
        findings: &["revoked"],
        texts: &[
            "invalid peer certificate: revoked",
            "certificate verify failed: certificate revoked",
            "invalidcertificate(revoked)",
        ],
    },
    Entry {
        name: "server-certificate-is-ca",
        title: "The server serves a CA's certificate as its own",
        cause: "A self-signed certificate serves as its own root. psql takes that; rustls (sqlx, \
                tokio-postgres) does not.",
        checks: &["pgpki inspect HOST:PORT"],
        fix: "Have a leaf issued by a CA (pgpki issue-server), and give clients the CA's root.",
        findings: &["leaf-is-ca", "self-signed-leaf"],
        texts: &["causedasendentity"],
    },
    Entry {
        name: "server-certificate-version",
        title: "The server's certificate is not X.509 version 3",
        cause: "It was made without any extension, as openssl x509 -req does by itself. rustls \
                (sqlx, tokio-postgres) reads only version 3.",
        checks: &["pgpki inspect HOST:PORT"],
        fix: "Have it issued again, as version 3 with a subjectAltName: pgpki issue-server HOST.",
        findings: &["certificate-unusable"],
        texts: &["unsupportedcertversion"],
    },
    Entry {
        name: "ed25519-signature",
        title: "Channel binding does not work with this server's certificate",
        cause: "The CA has signed the server's certificate with Ed25519 or Ed448, which have no hash \
                that channel binding (SCRAM-SHA-256-PLUS) could use. Only the CA's kind of key \
                counts, not the server's.",
        checks: &["the signature of the server's certificate: pgpki inspect HOST:PORT"],
        fix: "Have it issued by a CA with a P-256, P-384 or RSA key. Until then clients can set \
              channel_binding=disable.",
        findings: &["signature-no-digest"],
        texts: &["could not find digest for nid undef"],
    },
    Entry {
        name: "root-file-missing",
        title: "The client has no root certificates",
        cause: "sslmode is verify-ca or verify-full, and the file to check the server with \
                (sslrootcert, or ~/.postgresql/root.crt) is not there.",
        checks: &[
            "the path in the message",
            "the home: HOME from libpq 15 on, before that the one in the password database; under \
             sudo, cron or systemd it is another user's",
            "libpq 16 and later: sslrootcert=system takes the machine's own roots",
        ],
        fix: "Put the root of the server's CA there (root.crt of any folder that pgpki has handed \
              out), or name its place with sslrootcert.",
        findings: &["root-file-missing"],
        texts: &[
            "root certificate file … does not exist",
            "could not open ssl root certificate file",
            // postgres/postgres, src/interfaces/libpq/fe-secure-openssl.c, 13 to 18.
            "could not get home directory to locate root certificate file",
        ],
    },
    Entry {
        name: "server-issuer-unknown",
        title: "The client does not know who signed the server's certificate",
        cause: "The chain that the server sends leads to no root that the client has: the client has \
                another root (one of the same name and another key is another one), or only an \
                intermediate CA, or the server does not send the CA in between.",
        checks: &[
            "pgpki inspect --root root.crt HOST:PORT says where the chain ends",
            "root.crt of the client: the self-signed root, not an intermediate CA",
            "ssl_cert_file of the server: the issuing CA must follow the leaf",
            "Java looks into its own store unless sslrootcert is given; node and Go too, unless \
             they are told",
        ],
        fix: "Give the client the right root, or append the missing CA to ssl_cert_file and reload.",
        findings: &["chain-broken", "chain-incomplete", "root-unknown"],
        texts: &[
            "unable to get local issuer certificate",
            "unable to verify the first certificate",
            "self-signed certificate",
            "pkix path building failed",
            "unable to find valid certification path to requested target",
            "x509: certificate signed by unknown authority",
            "invalid peer certificate: unknownissuer",
            "certificate verify failed: unable to get local issuer certificate",
            "certificate verify failed: self-signed certificate",
            "path does not chain with any of the trust anchors",
            "invalid peer certificate: badsignature",
            "invalidcertificate(unknownissuer)",
            "invalidcertificate(badsignature)",
            "unable_to_get_issuer_cert",
            "unable_to_verify_leaf_signature",
            "self_signed_cert_in_chain",
            "depth_zero_self_signed_cert",
            // The other words of openssl/openssl, crypto/x509/x509_txt.c: `self-signed` in 3.0 and
            // 3.5, `self signed` in 1.1.1.
            "unable to get issuer certificate",
            "self signed certificate",
        ],
    },
    Entry {
        name: "server-not-trusted",
        title: "The client does not trust the server's certificate",
        cause: "libpq says no more than this: the client lacks the root, or has only an intermediate \
                CA; the server does not send the CA in between; the server's certificate is over or \
                not for servers; or the client has CRLs (root.crl) and none of one of the CAs.",
        checks: &[
            "pgpki inspect --root root.crt HOST:PORT: where the chain ends, and until when it counts",
            "root.crt of the client: the root itself, of the CA that the server has now",
            "~/.postgresql/root.crl, or sslcrl: whether it is over",
        ],
        fix: "Give the client the right root, complete the chain in ssl_cert_file, or renew the \
              server's certificate; then reload.",
        findings: &[
            "chain-broken",
            "chain-incomplete",
            "root-missing",
            "expired",
        ],
        texts: &["certificate verify failed"],
    },
    Entry {
        name: "weak-sslmode",
        title: "sslmode is too weak for another setting",
        cause: "sslrootcert=system goes with sslmode=verify-full alone, because anybody can get a \
                certificate from a public CA; sslnegotiation=direct goes with require and stronger.",
        checks: &["sslmode in the connection string, in the service file, and PGSSLMODE"],
        fix: "sslmode=verify-full",
        findings: &["sslmode-weak"],
        texts: &["weak sslmode … may not be used with"],
    },
    Entry {
        name: "host-name-needed",
        title: "There is no host name to compare the certificate with",
        cause: "sslmode=verify-full compares a name, and the connection names only hostaddr.",
        checks: &["host= in the connection string, and PGHOST"],
        fix: "Give host= as well: the name in the certificate.",
        findings: &["name-mismatch"],
        texts: &["host name must be specified for a verified ssl connection"],
    },
];
