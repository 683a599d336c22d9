//! Drivers for Rust.

use super::literal::rust as literal;
use super::{Driver, File, PEM, Target};

pub(super) const TOKIO_POSTGRES: Driver = Driver {
    name: "tokio-postgres",
    aliases: &["rust-postgres"],
    what: "Rust: tokio-postgres with rustls",
    files: PEM,
    is_libpq: false,
    write: |target| Ok(tokio_postgres(target)),
};

pub(super) const SQLX: Driver = Driver {
    name: "sqlx",
    aliases: &[],
    what: "Rust: sqlx",
    files: PEM,
    is_libpq: false,
    write: |target| Ok(sqlx(target)),
};

fn tokio_postgres(target: &Target) -> String {
    let file = |file| literal(&target.file(file));
    format!(
        "// With tokio-postgres-rustls. tokio-postgres knows no verify-full, and no sslrootcert, sslcert or sslkey\n\
         // in its strings: Require makes it use TLS, and rustls always checks certificate and name.\n\
         use rustls::pki_types::{{CertificateDer, PrivateKeyDer, pem::PemObject}};\n\
         let mut roots = rustls::RootCertStore::empty();\n\
         for root in CertificateDer::pem_file_iter({})? {{\n    roots.add(root?)?;\n}}\n\
         let chain = CertificateDer::pem_file_iter({})?.collect::<Result<_, _>>()?;\n\
         let key = PrivateKeyDer::from_pem_file({})?;\n\
         let tls = rustls::ClientConfig::builder()\n    .with_root_certificates(roots)\n    \
         .with_client_auth_cert(chain, key)?;\n\
         let (client, connection) = tokio_postgres::Config::new()\n    .host({})\n    .port({})\n    .user({})\n    \
         .dbname({})\n    .ssl_mode(tokio_postgres::config::SslMode::Require)\n    \
         .connect(tokio_postgres_rustls::MakeRustlsConnect::new(tls))\n    .await?;\n",
        file(File::Root),
        file(File::Certificate),
        file(File::Key),
        literal(&target.host.to_string()),
        target.port,
        literal(target.role.as_str()),
        literal(&target.dbname)
    )
}

fn sqlx(target: &Target) -> String {
    let file = |file| literal(&target.file(file));
    format!(
        "// sqlx needs one of its features for TLS, such as tls-rustls-ring-webpki; without, the connection fails.\n\
         let options = sqlx::postgres::PgConnectOptions::new()\n    .host({})\n    .port({})\n    .username({})\n    \
         .database({})\n    .ssl_mode(sqlx::postgres::PgSslMode::VerifyFull)\n    .ssl_root_cert({})\n    \
         .ssl_client_cert({})\n    .ssl_client_key({});\n",
        literal(&target.host.to_string()),
        target.port,
        literal(target.role.as_str()),
        literal(&target.dbname),
        file(File::Root),
        file(File::Certificate),
        file(File::Key)
    )
}
