//! The file with a private key, on either side.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "key-mode",
        title: "Others may read the private key's file",
        cause: "PostgreSQL and libpq refuse a key that the group or others have access to. 0600 is \
                accepted, and 0640 where root owns the file.",
        checks: &[
            "ls -lL of the file that is named: its mode and its owner",
            "what copied it there: git, zip, a Windows share or a Kubernetes secret set modes of \
             their own (defaultMode)",
        ],
        fix: "chmod 0600 FILE; for a server's key that root owns, chmod 0640 and the server's group.",
        findings: &["key-mode"],
        texts: &[
            "private key file … has group or world access",
            "private key has world access",
        ],
    },
    Entry {
        name: "key-in-engine",
        title: "libpq looks for the key in an OpenSSL engine",
        cause: "sslkey contains a colon: what stands before it is taken for the name of an engine, and not for a part of \
                a file's path.",
        checks: &["sslkey of the connection, PGSSLKEY"],
        fix: "Rename the file or its folder, so that there is no colon in the path; or let the folder be ~/.postgresql, \
              which needs no sslkey.",
        findings: &["key-in-engine"],
        texts: &[
            "could not load ssl engine",
            "could not initialize ssl engine",
        ],
    },
    Entry {
        name: "key-owner",
        title: "The server's key belongs to somebody else",
        cause: "The key's file belongs neither to the user that the server runs as nor to root. In \
                containers the user ids inside and outside of a bind mount differ.",
        checks: &[
            "ls -lnL of the file, by number",
            "the user that the server runs as: 999 in the official image, 70 in its Alpine variant",
        ],
        fix: "chown it to the server's user; or to root with the server's group and mode 0640.",
        findings: &["key-owner"],
        texts: &["must be owned by the database user or root"],
    },
    Entry {
        name: "key-not-a-file",
        title: "There is no ordinary file in the private key's place",
        cause: "The path of the private key leads to a directory, a named pipe or a device. A \
                container makes a directory where the source of a bind mount is missing.",
        checks: &[
            "ls -ldL of the path that is named",
            "ssl_key_file, or sslkey of the client",
        ],
        fix: "Put the key into an ordinary file, or correct the path.",
        findings: &["key-not-a-file"],
        texts: &["private key file … is not a regular file"],
    },
    Entry {
        name: "key-unreadable",
        title: "The private key cannot be read",
        cause: "The server's user, or the client's, may not open the file: it belongs to root and \
                has no group that may read it. The checks of owner and mode let that pass.",
        checks: &["ls -lL of the file", "the groups of the user: id USER"],
        fix: "For a server: chgrp to the server's group with mode 0640, or chown to its user with \
              0600. For a client: chown it to that user.",
        findings: &["key-unreadable"],
        texts: &["could not load private key file … permission denied"],
    },
    Entry {
        name: "key-inaccessible",
        title: "The private key is not where it is looked for",
        cause: "There is no file under that path, or one of the directories above it cannot be \
                entered by the user who looks.",
        checks: &[
            "namei -l PATH: each directory needs x for that user",
            "ssl_key_file, or sslkey; a relative path counts from the data directory",
        ],
        fix: "Correct the path, or let the user enter the directories above the file.",
        findings: &["file-missing", "directory-closed", "key-missing"],
        texts: &[
            "could not access private key file",
            // postgres/postgres, src/interfaces/libpq/fe-secure-openssl.c, 15 to 18.
            "could not stat private key file",
        ],
    },
    Entry {
        name: "key-missing",
        title: "The client has a certificate and no key",
        cause: "libpq has found a certificate (sslcert, or ~/.postgresql/postgresql.crt) and no key \
                for it (sslkey, or ~/.postgresql/postgresql.key).",
        checks: &[
            "the path in the message",
            "whether HOME is that of the user who connects",
        ],
        fix: "Put the key there, or name its place with sslkey.",
        findings: &["key-missing"],
        texts: &["certificate present, but not private key file"],
    },
    Entry {
        name: "key-mismatch",
        title: "Certificate and key do not belong together",
        cause: "The key belongs to another certificate than the first one of the file: only one of \
                the two was replaced, or an intermediate CA stands before the leaf. pgJDBC does not \
                look, so that it is the server that refuses (decrypt_error).",
        checks: &[
            "pgpki inspect FOLDER says which certificate the key belongs to",
            "the order of the certificate file: leaf, its issuer, the issuer's issuer",
        ],
        fix: "Put together what was made together, the leaf first; then reload the server.",
        findings: &["key-mismatch", "chain-order"],
        texts: &[
            "key values mismatch",
            "could not load private key file … key values mismatch",
            "certificate does not match private key file",
            "private key does not match public key",
            "keys may not be consistent: keymismatch",
            "inconsistentkeys(keymismatch)",
            "received fatal alert: decrypt_error",
            "key_values_mismatch",
            "no certificate assigned",
            "private key type does not match public key type",
        ],
    },
    Entry {
        name: "key-passphrase",
        title: "The private key is encrypted, and its passphrase is missing or wrong",
        cause: "A server asks ssl_passphrase_command, and at a reload only with \
                ssl_passphrase_command_supports_reload = on; libpq and pgJDBC take sslpassword.",
        checks: &[
            "the first line of the file: ENCRYPTED PRIVATE KEY, or Proc-Type: 4,ENCRYPTED below it",
            "what the command of ssl_passphrase_command prints when the server's user runs it",
        ],
        fix: "Give the passphrase there; or decrypt the key, pgpki convert FILE --to pkcs8 --out NEW, and guard the file.",
        findings: &["key-encrypted"],
        texts: &[
            "cannot be reloaded because it requires a passphrase",
            "could not load private key file … bad decrypt",
            // pgjdbc/pgjdbc 42.5.5, pgjdbc/src/main/java/org/postgresql/ssl/LazyKeyManager.java.
            "could not decrypt ssl key file",
        ],
    },
    Entry {
        name: "key-not-loaded",
        title: "The private key cannot be loaded",
        cause: "There is a file, and OpenSSL makes no key of it. Where the user may not \
                read the file, libpq with OpenSSL 3.0 prints garbage behind the path.",
        checks: &[
            "whether the user who connects may read it: ls -lL, namei -l PATH",
            "what it is: pgpki inspect FILE. OpenSSL 3.0 refuses PKCS#8 version 2, and some kinds of \
             encryption",
        ],
        fix: "Let its user read it (chown, 0600), or write it again as PKCS#8: pgpki convert FILE --to pkcs8 --out NEW.",
        findings: &["key-unreadable", "key-version-2", "key-encryption-refused"],
        texts: &["could not load private key file"],
    },
    Entry {
        name: "jdbc-key",
        title: "pgJDBC cannot read the key",
        cause: "pgJDBC takes a key as PKCS#8 in DER (.pk8) or a PKCS#12 container (.p12), and no \
                PEM. It says the same where there is no file, or a key of another kind than the \
                certificate has.",
        checks: &[
            "sslkey: its ending, and what pgpki inspect FILE says of it",
            "in a .p12, the alias of the key must be user",
        ],
        fix: "pgpki convert postgresql.key --to der --out postgresql.pk8",
        findings: &["key-not-pkcs8", "pkcs12-alias"],
        texts: &["extra data at the end", "could not read ssl key file"],
    },
];
