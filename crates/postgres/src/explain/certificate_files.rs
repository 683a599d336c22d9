//! Files with certificates and CRLs that cannot be loaded.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "not-pem",
        title: "A file is not PEM",
        cause: "OpenSSL looks for a line that begins with -----BEGIN and finds none: the file is \
                empty, or DER, or PKCS#12, or holds a key where a certificate should be.",
        checks: &[
            "pgpki inspect FILE says what it is",
            "whether a run that was to write it has ended early, or the disk was full",
        ],
        fix: "Put the right file there, or convert it: pgpki convert FILE --to pem --out NEW.",
        findings: &["der-not-pem", "wrong-content"],
        texts: &[
            "no start line",
            // Of a key: the reason stands in crypto/pem/pem_err.c of openssl/openssl, 1.1.1 to 3.5.
            "could not load private key file … no start line",
        ],
    },
    Entry {
        name: "no-certificate-or-crl",
        title: "A file of CAs or CRLs holds none",
        cause: "The file exists, and no certificate or CRL in PEM is in it: it is empty or DER.",
        checks: &[
            "pgpki inspect FILE says what it is",
            "which one it is: ssl_ca_file, ssl_crl_file, or sslrootcert of the client",
        ],
        fix: "Put PEM there, or take the setting out if there is to be none.",
        findings: &["wrong-content", "der-not-pem"],
        texts: &["no certificate or crl found"],
    },
    Entry {
        name: "key-too-small",
        title: "A key is too small",
        cause: "OpenSSL at its security level of 2 takes no RSA key below 2048 bits.",
        checks: &["pgpki inspect FILE shows the kind and size of each key"],
        fix: "Have the certificate issued again for a new key: P-256, or RSA of 2048 bits and more.",
        findings: &["key-too-small"],
        texts: &[
            "ee key too small",
            // Of a CA above it: openssl/openssl, ssl/ssl_err.c in 1.1.1 and 3.0, crypto/ssl_err.c in
            // 3.5.
            "ca key too small",
        ],
    },
    Entry {
        name: "signature-weak",
        title: "A certificate is signed with a hash that no longer counts",
        cause: "OpenSSL at its security level of 2 takes no signature with SHA-1 or MD5.",
        checks: &["pgpki inspect FILE shows the signature of each certificate"],
        fix: "Have it issued again, with SHA-256.",
        findings: &["signature-weak"],
        texts: &["ca md too weak"],
    },
    Entry {
        name: "certificate-file-unreadable",
        title: "A file with certificates or CRLs cannot be opened",
        cause: "There is no file under that path, or the user who looks may not read it or enter a \
                directory above it.",
        checks: &[
            "namei -l PATH: each directory needs x for that user, and the file r",
            "the setting that names it; in the server a relative path counts from the data directory",
        ],
        fix: "Correct the path, the owner or the mode. Certificates need no protection: 0644.",
        findings: &["file-missing", "file-closed", "directory-closed"],
        texts: &[
            "could not load server certificate file … no such file",
            "could not load server certificate file … permission denied",
            "could not load root certificate file … no such file",
            "could not load root certificate file … permission denied",
            "could not load ssl certificate revocation list file … no such file",
            "could not load ssl certificate revocation list file … permission denied",
            // postgres/postgres, src/interfaces/libpq/fe-secure-openssl.c, 13 to 18.
            "could not open certificate file",
            "could not read root certificate file … permission denied",
        ],
    },
    Entry {
        name: "not-reloaded",
        title: "The server goes on with the files that it had",
        cause: "A reload is all or nothing: one file of the new set cannot be loaded. Nothing in \
                SQL tells, SHOW prints the new path, the old certificate is served, and the next \
                restart fails.",
        checks: &[
            "the line before this one in the server's log: it names the file and the reason",
            "what is served: pgpki inspect HOST:PORT",
        ],
        fix: "Put that file right, reload, and look again what is served.",
        findings: &["reload-failed"],
        texts: &["ssl configuration was not reloaded"],
    },
];
