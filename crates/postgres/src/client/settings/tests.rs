#![allow(clippy::unwrap_used)]
use super::*;

fn settings(text: &str, variables: &[(&str, &str)]) -> Settings {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let surroundings = Surroundings {
        variables: variables.iter().map(own).collect(),
        passwd_home: Some("/home/passwd".into()),
        user: Some("os".to_owned()),
    };
    Settings::new(Parameters::parse(text).unwrap(), surroundings)
}

#[test]
fn the_string_goes_before_the_environment_and_that_before_the_default() {
    let path = |settings: &Settings| settings.certificate().unwrap();
    let own = path(&settings("sslcert=/a", &[("PGSSLCERT", "/b")]));
    assert_eq!(own, ("/a".into(), Source::ConnectionString));
    let variable = path(&settings("", &[("PGSSLCERT", "/b")]));
    assert_eq!(variable, ("/b".into(), Source::Environment("PGSSLCERT")));
    // An empty value in the string hides the variable.
    for text in ["", "sslcert=''"] {
        let seen = path(&settings(text, &[("PGSSLCERT", ""), ("HOME", "/h")]));
        assert_eq!(
            seen,
            ("/h/.postgresql/postgresql.crt".into(), Source::Default)
        );
    }
    let seen = path(&settings("sslcert=''", &[("PGSSLCERT", "/b")]));
    assert_eq!(seen.1, Source::Default);
    assert_eq!(settings("sslcertmode=disable", &[]).certificate(), None);
}

#[test]
fn home() {
    let own = settings("", &[("HOME", "/h")]);
    assert_eq!(own.folder(), Some("/h/.postgresql".into()));
    assert_eq!(own.older_folder(), Some("/home/passwd/.postgresql".into()));
    let none = settings("", &[("HOME", "")]);
    assert_eq!(none.folder(), Some("/home/passwd/.postgresql".into()));
    assert_eq!(none.older_folder(), None);
}

#[test]
fn sslmode() {
    let mode = |text: &str, variables: &[(&str, &str)]| settings(text, variables).ssl_mode();
    let unset = (SslMode::Prefer, Source::Default);
    assert_eq!(mode("", &[]).unwrap(), unset);
    assert_eq!(
        mode("", &[("PGREQUIRESSL", "1")]).unwrap().0,
        SslMode::Require
    );
    assert_eq!(
        mode("", &[("PGSSLMODE", "verify-ca")]).unwrap().0,
        SslMode::VerifyCa
    );
    assert_eq!(
        mode("sslrootcert=system", &[]).unwrap().0,
        SslMode::VerifyFull
    );
    assert!(mode("sslmode=full", &[]).is_err());
}

#[test]
fn servers() {
    let seen = |text: &str, variables: &[(&str, &str)]| -> Result<Vec<String>, SettingsError> {
        let servers = settings(text, variables).servers()?;
        let text = |server| match server {
            Server::Socket => "socket".to_owned(),
            Server::Tcp { endpoint, is_named } => format!("{endpoint} {is_named}"),
        };
        Ok(servers.into_iter().map(text).collect())
    };
    assert_eq!(seen("", &[]).unwrap(), ["socket"]);
    assert_eq!(seen("host=/tmp", &[]).unwrap(), ["socket"]);
    assert_eq!(
        seen("", &[("PGHOST", "db"), ("PGPORT", "1")]).unwrap(),
        ["db:1 true"]
    );
    assert_eq!(seen("hostaddr=::1", &[]).unwrap(), ["[::1]:5432 false"]);
    assert_eq!(
        seen("host=a,b port=7", &[]).unwrap(),
        ["a:7 true", "b:7 true"]
    );
    assert_eq!(
        seen("host=a,b port=7,", &[]).unwrap(),
        ["a:7 true", "b:5432 true"]
    );
    assert!(matches!(
        seen("host=a,b port=1,2,3", &[]),
        Err(SettingsError::Lists { .. })
    ));
    assert!(matches!(
        seen("host=a,b hostaddr=::1", &[]),
        Err(SettingsError::Lists { .. })
    ));
    assert!(matches!(
        seen("host=a port=x", &[]),
        Err(SettingsError::Port(_))
    ));
    assert!(matches!(seen("host=*.a", &[]), Err(SettingsError::Host(_))));
    assert!(matches!(
        seen("hostaddr=db", &[]),
        Err(SettingsError::Address(_))
    ));
    assert!(seen(&format!("host={}", "a,".repeat(70)), &[]).is_err());
}

#[test]
fn who_logs_in() {
    let login = |text: &str, role| {
        let login = settings(text, &[("PGUSER", "env")]).login(role).unwrap();
        (login.user, login.database)
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(login("", None), pair("env", "env"));
    assert_eq!(login("user=u dbname=d", None), pair("u", "d"));
    assert_eq!(login("user=u", Some("alice")), pair("alice", "alice"));
    assert_eq!(settings("", &[]).login(None).unwrap().user, "os");
}
