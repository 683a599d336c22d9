//! Connects to PostgreSQL with tokio-postgres and rustls.

use std::env;
use std::error::Error;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::{Config, SslMode};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

const WHO_AM_I: &str = "select current_user::text, coalesce(client_dn, '') \
                        from pg_stat_ssl where pid = pg_backend_pid()";

/// Between two texts, of which each could be all that users see.
const SEPARATOR: char = '\u{1e}';

/// What `main` returns is shown with `Debug`. What programs print is an error's own text, or that and
/// those of its causes, as anyhow has it.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let outcome = connect(&arguments).await;
    outcome.inspect_err(|refused| println!("{refused}{SEPARATOR}{}", with_causes(refused.as_ref())))
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

async fn connect(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [host, port, role, database, mode, files @ ..] = arguments else {
        return Err("HOST PORT ROLE DATABASE MODE ROOT CERTIFICATE KEY".into());
    };
    let mut config = Config::new();
    config
        .host(host)
        .port(port.parse()?)
        .user(role)
        .dbname(database)
        .connect_timeout(Duration::from_secs(10));
    if mode == "disable" {
        who_am_i(&config, NoTls).await
    } else {
        config.ssl_mode(SslMode::Require);
        who_am_i(&config, MakeRustlsConnect::new(tls(files)?)).await
    }
}

fn tls(files: &[String]) -> Result<ClientConfig, Box<dyn Error>> {
    let [root, certificate, key] = files else {
        return Err("ROOT CERTIFICATE KEY".into());
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(root)? {
        roots.add(certificate?)?;
    }
    // CRLs may stand in the same file; without any, nothing is looked up.
    let crls = CertificateRevocationListDer::pem_file_iter(root)?.collect::<Result<Vec<_>, _>>()?;
    let verifier = WebPkiServerVerifier::builder(roots.into())
        .with_crls(crls)
        .build()?;
    let config = ClientConfig::builder().with_webpki_verifier(verifier);
    if certificate.is_empty() {
        return Ok(config.with_no_client_auth());
    }
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
    Ok(config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key)?)?)
}

async fn who_am_i<T>(config: &Config, tls: T) -> Result<(), Box<dyn Error>>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let (client, connection) = config.connect(tls).await?;
    tokio::spawn(connection);
    let row = client.query_one(WHO_AM_I, &[]).await?;
    let (user, name): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
    println!("ok\t{user}\t{name}");
    Ok(())
}
