//! What is wrong with one key.

use super::{KeyFacts, KeyFormat, KeyKind};
use crate::finding::Finding;

/// What PostgreSQL's OpenSSL says about the size and the kind of a key; `called` is whose.
pub(super) fn public_key_findings(kind: &KeyKind, called: &str) -> Vec<Finding> {
    let small = match kind {
        KeyKind::Rsa { bits } => *bits < 2048,
        KeyKind::Ec(curve) => *curve == "P-192",
        _ => false,
    };
    if small {
        return vec![Finding::error(
            "key-too-small",
            format!("the key of \"{called}\" is {kind}: \"ee key too small\""),
            "Make a new key: P-256, or RSA of at least 2048 bits.",
        )];
    }
    match kind {
        KeyKind::Other(name) if name != "RSA-PSS" && !name.starts_with("ML-DSA") => {
            vec![Finding::error(
                "key-kind",
                format!("the key of \"{called}\" is of the kind {name}, which TLS does not use"),
                "Make a new key: P-256, or RSA of at least 2048 bits.",
            )]
        }
        _ => Vec::new(),
    }
}

pub(super) fn key_findings(key: &KeyFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(kind) = &key.kind {
        findings.extend(public_key_findings(kind, "this file"));
    }
    if let Some(encryption) = &key.encryption {
        findings.push(Finding::warning(
            "key-encrypted",
            format!("the private key is encrypted ({})", encryption.method),
            "A server needs ssl_passphrase_command for it, libpq needs sslpassword, and pgJDBC \
             cannot use it.",
        ));
        if let Some(reason) = encryption.refused_by_openssl {
            findings.push(Finding::error(
                "key-encryption-refused",
                format!("PostgreSQL cannot decrypt the private key: {reason}"),
                "Encrypt it again in a way that OpenSSL opens: pgpki convert FILE --to pkcs8 \
                 --encrypt.",
            ));
        }
    }
    findings.extend(format_finding(key));
    findings
}

fn format_finding(key: &KeyFacts) -> Option<Finding> {
    match key.format {
        KeyFormat::Pkcs8 { version: 2 } => Some(Finding::error(
            "key-version-2",
            "the private key is PKCS#8 version 2, with its public half beside it",
            "Write it as version 1: OpenSSL 3.0, and with it PostgreSQL and libpq, refuses this.",
        )),
        KeyFormat::Pkcs1 | KeyFormat::Sec1 => Some(Finding::info(
            "key-not-pkcs8",
            format!("the private key is {}, not PKCS#8", key.format.as_str()),
            "PostgreSQL and libpq read it; for pgJDBC convert it with pgpki convert FILE --to der.",
        )),
        KeyFormat::LegacyEncrypted => Some(Finding::warning(
            "key-encryption-weak",
            "the private key is encrypted the way OpenSSL did of old, with one round of MD5",
            "Encrypt it again with pgpki convert FILE --to pkcs8 --encrypt: guessing this \
             passphrase costs next to nothing.",
        )),
        KeyFormat::Pkcs8 { .. } | KeyFormat::EncryptedPkcs8 => None,
    }
}
