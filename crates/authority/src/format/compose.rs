//! A fragment for Docker Compose.

use zeroize::Zeroizing;

use super::{CLIENT, Material, quoted};

/// The fragment, YAML, for a compose file in the same folder. The files become secrets, which Compose mounts from where
/// they are, with the owner and mode that they have there.
pub(super) fn fragment(material: &Material<'_>) -> Zeroizing<Vec<u8>> {
    let stem = material.stem;
    let (service, reader) = match stem {
        CLIENT => ("app", "libpq"),
        _ => ("db", "PostgreSQL"),
    };
    let head = format!(
        "# {whose}: `docker compose -f {stem}-compose.yaml -f …`, or copy what you need.\n\
         # Compose mounts the files as they are, and {reader} refuses a key that others can read: give {stem}.key to the user\n\
         # id of the program in the container (chown), with mode 0600; or leave it to root with its group and mode 0640.\n\
         services:\n  \
           {service}:\n",
        whose = quoted(material.name),
    );
    let environment = match stem {
        CLIENT => format!(
            "    environment:\n      \
               PGSSLMODE: verify-full\n      \
               PGUSER: {}\n      \
               PGSSLROOTCERT: /run/secrets/root.crt\n      \
               PGSSLCERT: /run/secrets/{stem}.crt\n      \
               PGSSLKEY: /run/secrets/{stem}.key\n",
            // Compose reads a dollar sign as the beginning of a variable's name.
            quoted(material.name).replace('$', "$$"),
        ),
        _ => String::new(),
    };
    let mut text = head + &environment + "    secrets:\n";
    let mut files = vec![
        format!("{stem}.crt"),
        format!("{stem}.key"),
        "root.crt".to_owned(),
    ];
    files.extend(material.crls.map(|_| "root.crl".to_owned()));
    for file in &files {
        text.push_str(&format!("      - {file}\n"));
    }
    text.push_str("secrets:\n");
    for file in &files {
        text.push_str(&format!("  {file}:\n    file: ./{file}\n"));
    }
    Zeroizing::new(text.into_bytes())
}
