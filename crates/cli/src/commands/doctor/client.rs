//! The client's side.

use std::env;

use nix::unistd::{Uid, User};
use pgpki_postgres::client::{
    ConninfoError, Parameters, Settings, SettingsError, Surroundings, examine,
};
use time::OffsetDateTime;

use super::report::{LookedAt, Side, report};
use crate::args::Doctor;
use crate::exit::{Exit, Failure};

pub(super) fn run(args: &Doctor, now: OffsetDateTime) -> Result<Exit, Failure> {
    let text = args.connection.as_deref().unwrap_or_default();
    let parameters = Parameters::parse(text)?;
    let settings = Settings::new(parameters, surroundings());
    let findings = examine(&settings, args.role.as_deref(), now)?;
    let looked_at = LookedAt {
        side: Side::Client,
        name: name(&settings, args.role.as_deref()),
        mended: Vec::new(),
    };
    report(&looked_at, &findings, args)
}

/// What libpq would see of this process and its user.
fn surroundings() -> Surroundings {
    let is_libpqs = |name: &str| name.starts_with("PG") || name == "HOME";
    let variables = env::vars_os().filter_map(|(name, value)| {
        // libpq takes any bytes; what is not UTF-8 cannot be a setting that is looked at here.
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        is_libpqs(&name).then_some((name, value))
    });
    let user = User::from_uid(Uid::effective()).ok().flatten();
    Surroundings {
        variables: variables.collect(),
        passwd_home: user.as_ref().map(|user| user.dir.clone()),
        user: user.map(|user| user.name),
    }
}

/// `alice in /home/alice/.postgresql`.
fn name(settings: &Settings, role: Option<&str>) -> String {
    let login = settings.login(role);
    let role = login.map_or_else(|| "somebody".to_owned(), |login| login.user);
    let certificate = settings.certificate();
    let folder = certificate.and_then(|(path, _)| Some(path.parent()?.display().to_string()));
    match folder.filter(|folder| !folder.is_empty()) {
        Some(folder) => format!("{role} in {folder}"),
        None => role,
    }
}

impl From<ConninfoError> for Failure {
    fn from(error: ConninfoError) -> Self {
        Self::new(Exit::BadInput, error)
            .hint("Write it as for psql: 'host=db.example.com user=alice', or postgresql://…")
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::new(Exit::BadInput, error)
            .hint("Look at the connection string, and at the PG… variables of the environment")
    }
}
