//! The server refuses the client's certificate, or its lack of one.
//!
//! The client sees an alert (RFC 8446 section 6.2), which each TLS library words in its own way:
//! OpenSSL with `sslv3` or `tlsv1` in front in 1.1.1 and 3.0, with `ssl/tls` or `tlsv1` in 3.5
//! (ssl/ssl_err.c and crypto/ssl_err.c of openssl/openssl).
//! The server's log has the cause from PostgreSQL 16 on, as DETAIL.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "crl-expired",
        title: "A CRL is over",
        cause: "A revocation list has passed its nextUpdate. Whoever checks with it, a server with \
                ssl_crl_file or a client with sslcrl, then refuses every certificate of that CA.",
        checks: &[
            "pgpki inspect FILE shows until when a CRL counts",
            "the clock of that machine",
        ],
        fix: "Have the CA make a new CRL and install it; a server needs a reload for ssl_crl_file.",
        findings: &["crl-expired"],
        texts: &["crl has expired"],
    },
    Entry {
        name: "crl-missing",
        title: "A CA has no CRL",
        cause: "As soon as one CRL is loaded, OpenSSL wants one of every CA in the chain, the root \
                included. In ssl_crl_dir a file counts only under the name HASH.r0.",
        checks: &[
            "pgpki inspect FOLDER compares CAs and CRLs",
            "in ssl_crl_dir: openssl crl -hash -noout -in FILE",
        ],
        fix: "Add the CRL of every CA, or load none at all; then reload.",
        findings: &["crl-missing"],
        texts: &["unable to get certificate crl"],
    },
    Entry {
        name: "client-certificate-revoked",
        title: "The client's certificate is revoked",
        cause: "It stands in a CRL of the server's.",
        checks: &["the serial number: pgpki inspect postgresql.crt, openssl crl -text -noout"],
        fix: "Issue a new one, if its owner may still have one: pgpki issue-client ROLE.",
        findings: &["revoked"],
        texts: &[
            "alert certificate revoked",
            "client certificate verification failed at depth … certificate revoked",
            "received fatal alert: certificate_revoked",
            "received fatal alert: certificaterevoked",
            "remote error: tls: revoked certificate",
            "alertreceived(certificaterevoked)",
        ],
    },
    Entry {
        name: "client-certificate-expired",
        title: "The server says that something has expired",
        cause: "The client's certificate is over, or a CA above it, or the server's CRL: the alert \
                is the same for all three.",
        checks: &[
            "the client's file: pgpki inspect ~/.postgresql",
            "the server's root.crl and its CAs: pgpki doctor there, or pgpki inspect FOLDER",
            "whether others are refused as well: then it is the CRL or a CA",
        ],
        fix: "Renew what is over: pgpki rotate, and hand the client its new folder; for a CRL or CA \
              of the server's, install the new one and reload.",
        findings: &["expired", "crl-expired"],
        texts: &[
            "alert certificate expired",
            "client certificate verification failed at depth … certificate has expired",
            "received fatal alert: certificate_expired",
            "received fatal alert: certificateexpired",
            "remote error: tls: expired certificate",
            "alertreceived(certificateexpired)",
        ],
    },
    Entry {
        name: "client-certificate-not-yet-valid",
        title: "The client's certificate does not count yet",
        cause: "By the server's clock the certificate's time has not begun.",
        checks: &[
            "the clocks of the server and of the CA",
            "pgpki inspect postgresql.crt",
        ],
        fix: "Put the clocks right, or have it issued again.",
        findings: &["not-yet-valid"],
        texts: &["client certificate verification failed at depth … certificate is not yet valid"],
    },
    Entry {
        name: "client-certificate-bad",
        title: "The server cannot accept the client's certificate",
        cause: "By the server's clock it does not count yet, or its time or signature is damaged.",
        checks: &[
            "the clocks of the server, of the client and of the CA",
            "pgpki inspect postgresql.crt: from when it counts",
            "the server's log: PostgreSQL 16 and later give the reason",
        ],
        fix: "Put the clocks right, or have the certificate issued again.",
        findings: &["not-yet-valid", "signature-bad"],
        texts: &[
            "alert bad certificate",
            "received fatal alert: bad_certificate",
            "received fatal alert: badcertificate",
            "remote error: tls: bad certificate",
            "alertreceived(badcertificate)",
        ],
    },
    Entry {
        name: "client-certificate-purpose",
        title: "The client's certificate is not for clients",
        cause: "Its extended key usage lacks clientAuth: it is a server's certificate, or a CA of \
                another purpose has signed it.",
        checks: &[
            "pgpki inspect postgresql.crt shows what it is for",
            "that no CA above limits it",
        ],
        fix: "Have one issued for a client: pgpki issue-client ROLE.",
        findings: &["purpose-missing"],
        texts: &[
            "alert unsupported certificate",
            "client certificate verification failed at depth … unsupported certificate purpose",
            "received fatal alert: unsupported_certificate",
            "received fatal alert: unsupportedcertificate",
            "remote error: tls: unsupported certificate",
            "alertreceived(unsupportedcertificate)",
            // openssl/openssl, crypto/x509/x509_txt.c: `unsuitable` in 3.0 and 3.5, `unsupported` in
            // 1.1.1.
            "client certificate verification failed at depth … unsuitable certificate purpose",
        ],
    },
    Entry {
        name: "client-issuer-unknown",
        title: "The server does not know who signed the client's certificate",
        cause: "The chain of the client's certificate leads to no root in ssl_ca_file: another CA \
                has signed it, a CA in between was not sent, or the server has CRLs and none of one \
                of the CAs.",
        checks: &[
            "who issued it: pgpki inspect postgresql.crt, beside the server's ssl_ca_file",
            "postgresql.crt: the issuing CA's certificate must follow the leaf",
            "ssl_ca_file: the root itself, not only an intermediate CA",
            "ssl_crl_file and ssl_crl_dir: one CRL for every CA, under the right name, or none",
        ],
        fix: "Install the right root in ssl_ca_file, append the missing CA to postgresql.crt, or \
              add the missing CRL; after a change at the server, reload.",
        findings: &[
            "chain-broken",
            "chain-incomplete",
            "root-missing",
            "crl-missing",
        ],
        texts: &[
            "alert unknown ca",
            "client certificate verification failed at depth … unable to get local issuer certificate",
            "received fatal alert: unknown_ca",
            "received fatal alert: unknownca",
            "remote error: tls: unknown certificate authority",
            "alertreceived(unknownca)",
            // The other words of openssl/openssl, crypto/x509/x509_txt.c: `self-signed` in 3.0 and
            // 3.5, `self signed` in 1.1.1.
            "client certificate verification failed at depth … unable to get issuer certificate",
            "client certificate verification failed at depth … unable to verify the first certificate",
            "client certificate verification failed at depth … self-signed certificate",
            "client certificate verification failed at depth … self signed certificate",
        ],
    },
    Entry {
        name: "server-refused-by-client",
        title: "A client does not trust this server",
        cause: "This is the server's log: a client has ended the handshake, because the server's \
                certificate leads to no root that it has, is over, or has not the right name.",
        checks: &[
            "what clients see: pgpki inspect HOST:PORT --root root.crt",
            "the client's own message, which says more: certificate verify failed, UnknownIssuer",
            "root.crt of that client",
        ],
        fix: "Give the client the root of this server's CA, or complete the chain in ssl_cert_file.",
        findings: &["chain-broken", "chain-incomplete", "expired"],
        texts: &[
            "could not accept ssl connection: … alert unknown ca",
            "could not accept ssl connection: … alert bad certificate",
            "could not accept ssl connection: … alert certificate unknown",
            "could not accept ssl connection: … alert certificate expired",
            "could not accept ssl connection: … alert unsupported certificate",
            "could not accept ssl connection: … alert decrypt error",
        ],
    },
    Entry {
        name: "client-certificate-refused",
        title: "The server has refused a client's certificate",
        cause: "This is the server's log: the certificate of a client does not pass. PostgreSQL 16 \
                and later say why in the DETAIL below it, older ones do not; the client has an \
                alert that does.",
        checks: &[
            "the DETAIL below it, or the client's own message: alert unknown ca, expired, revoked",
            "that client's files: pgpki doctor --client there",
            "root.crl and ssl_ca_file here, if more than one client is refused",
        ],
        fix: "Explain the client's message: pgpki doctor --explain 'TEXT'.",
        findings: &["client-certificate-refused"],
        texts: &["could not accept ssl connection: certificate verify failed"],
    },
    Entry {
        name: "client-certificate-unknown",
        title: "A certificate is refused for a reason without a name",
        cause: "The other side took offence at the certificate in a way that TLS has no alert for. \
                Java clients say it about any server that they do not trust.",
        checks: &["the log of the side that refused"],
        fix: "Compare the certificate with what that side trusts: pgpki inspect.",
        findings: &[],
        texts: &["alert certificate unknown"],
    },
    Entry {
        name: "client-certificate-required",
        title: "The client has presented no certificate",
        cause: "The rule of pg_hba.conf wants one (cert, or clientcert=). The client has none where \
                it looks, or holds it back because the server asks for certificates of other CAs.",
        checks: &[
            "the client: sslcert and sslkey, or ~/.postgresql of the user who connects",
            "pgJDBC: in a .p12 the alias must be user; it presents nothing that is not signed by a \
             CA of ssl_ca_file",
            "node-postgres takes the contents of files in ssl: {ca, cert, key}, and sslmode in the \
             URL overrides them",
            "the server: that ssl_ca_file has the root of the client's CA",
        ],
        fix: "Put the credential there (pgpki issue-client ROLE), and try pgpki doctor --client.",
        findings: &[
            "client-certificate-missing",
            "certificate-missing",
            "pkcs12-alias",
        ],
        texts: &[
            "connection requires a valid client certificate",
            // `tlsv13 alert certificate required` in openssl/openssl, ssl/ssl_err.c in 1.1.1 and 3.0,
            // crypto/ssl_err.c in 3.5. PostgreSQL does not send it; what stands before it may.
            "alert certificate required",
        ],
    },
];
