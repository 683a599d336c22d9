//! A Secret for Kubernetes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{CLIENT, Material, quoted};

/// The most characters of a Secret's name: an RFC 1123 label, so that it can also be a volume's.
const MAX_NAME: usize = 63;

/// The manifest, YAML. Its type is `kubernetes.io/tls`, which has `tls.crt` and `tls.key`; `ca.crt` beside them is where
/// cert-manager and CloudNativePG look for the roots, and a server's CRLs as `ca.crl`. CloudNativePG reads a Secret again when it changes if it has the
/// label `cnpg.io/reload`.
pub(super) fn manifest(material: &Material<'_>, key: &str) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(String::with_capacity(16 << 10));
    text.push_str(&format!(
        "# {whose}, for kubectl apply -f. {reader} wants the key closed to others: mount it with defaultMode: 0400,\n\
         # or 0440 where the pod has an fsGroup.\n\
         apiVersion: v1\n\
         kind: Secret\n\
         metadata:\n  \
           name: {name}\n  \
           labels:\n    \
             app.kubernetes.io/managed-by: pgpki\n    \
             cnpg.io/reload: \"\"\n\
         type: kubernetes.io/tls\n\
         data:\n",
        whose = quoted(material.name),
        reader = match material.stem {
            CLIENT => "libpq",
            _ => "PostgreSQL",
        },
        name = name(material.name, material.stem),
    ));
    let entries = [
        ("tls.crt", material.certificate),
        ("tls.key", key),
        ("ca.crt", material.roots),
    ];
    let crls = material.crls.map(|crls| ("ca.crl", crls));
    for (entry, pem) in entries.into_iter().chain(crls) {
        text.push_str("  ");
        text.push_str(entry);
        text.push_str(": ");
        STANDARD.encode_string(pem, &mut text);
        text.push('\n');
    }
    super::bytes(text)
}

/// A name that Kubernetes takes: lower-case letters, digits and hyphens. Two roles may get the same one; the manifest is
/// there to be edited.
fn name(of: &str, stem: &str) -> String {
    let plain: String = of
        .chars()
        .map(|c| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => c,
            _ => '-',
        })
        .collect();
    let suffix = format!("{stem}-tls");
    let room = MAX_NAME - suffix.len() - 1;
    let plain: String = plain.trim_matches('-').chars().take(room).collect();
    match plain.trim_matches('-') {
        "" => suffix,
        plain => format!("{plain}-{suffix}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels_of_rfc_1123() {
        assert_eq!(name("alice", "postgresql"), "alice-postgresql-tls");
        assert_eq!(name("O'Brien Ä", "postgresql"), "o-brien-postgresql-tls");
        assert_eq!(name("Ä", "postgresql"), "postgresql-tls");
        assert_eq!(
            name("*.db.example.com", "server"),
            "db-example-com-server-tls"
        );
        let long = name(&"x".repeat(63), "postgresql");
        assert_eq!(long.len(), MAX_NAME);
    }
}
