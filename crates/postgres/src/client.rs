//! A client on this machine as libpq would have it connect: its settings, its files, and what a
//! real connection with them comes to.
//!
//! Nothing is asked of anybody, and no password is sent: a login is begun, and given up at the
//! server's first answer.

mod conninfo;
mod files;
mod server;
mod settings;
mod sslmode;
mod wire;

use pgpki_core::document::printable;
use pgpki_core::finding::Finding;
use time::OffsetDateTime;

pub use conninfo::{ConninfoError, Parameters};
pub use settings::{Roots, Server, Settings, SettingsError, Source, SslMode, Surroundings};

use crate::doctor::Located;
use files::Files;

/// Looks at the client's settings and files, and connects to every server that is named. `role` is
/// whom it connects as, ahead of what the settings say. Connecting takes up to 10 seconds for each
/// server, and a minute for all.
///
/// # Errors
/// libpq could do nothing with the settings.
pub fn examine(
    settings: &Settings,
    role: Option<&str>,
    now: OffsetDateTime,
) -> Result<Vec<Located>, SettingsError> {
    let (mode, source) = settings.ssl_mode()?;
    let servers = settings.servers()?;
    let negotiation = settings.negotiation()?;
    let login = settings.login(role);
    let files = Files::read(settings);
    let mut findings = of_surroundings(settings);
    findings.extend(sslmode::judge(mode, source, negotiation, &files).map(Located::from));
    findings.extend(files.findings(mode, now));
    let sight = wire::connect(&servers, &files, mode, login.as_ref(), now);
    let role = login.as_ref().map(|login| login.user.as_str());
    findings.extend(files.of_role(role, sight.role_passed));
    if sight.certificate_passed {
        // What only the server can judge, it has.
        findings.retain(|located| !files::is_the_servers_to_judge(&located.finding));
    }
    findings.extend(sight.findings);
    Ok(findings)
}

fn of_surroundings(settings: &Settings) -> Vec<Located> {
    let mut findings = Vec::new();
    if let Some(service) = settings.service() {
        findings.push(Finding::info(
            "service-unread",
            format!(
                "the settings of the service \"{}\" are not looked at",
                printable(service)
            ),
            "Write what pg_service.conf has for it into the connection string.",
        ));
    }
    if let (Some(folder), Some(older)) = (settings.folder(), settings.older_folder()) {
        let (folder, older) = (folder.display().to_string(), older.display().to_string());
        findings.push(Finding::info(
            "home-differs",
            format!(
                "HOME is not the home in the password database: libpq 15 and later look into \
                 {}, older ones into {}",
                printable(&folder),
                printable(&older)
            ),
            "Name the files with sslcert, sslkey and sslrootcert if older clients run here, or \
             if this is not the user who connects.",
        ));
    }
    findings.into_iter().map(Located::from).collect()
}
