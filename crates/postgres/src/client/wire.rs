//! A real connection with what the client has.

use std::time::{Duration, Instant};

use pgpki_core::document::printable;
use pgpki_core::finding::{Finding, Severity};
use time::OffsetDateTime;

use super::files::Files;
use super::{Server, SslMode, server};
use crate::doctor::Located;
use crate::explain::{Entry, explain, session};
use crate::probe::{
    Answer, Cause, Endpoint, Login, Probe, ProbeError, Served, TlsAlert, TlsVersion,
};

/// How long one server may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long all of them together may take.
const PATIENCE_IN_ALL: Duration = Duration::from_secs(60);

/// What connecting has shown.
#[derive(Default)]
pub(super) struct Sight {
    pub(super) findings: Vec<Located>,
    /// Whether a server has asked for the client's certificate and taken it.
    pub(super) certificate_passed: bool,
    /// Whether it then took the role as well.
    pub(super) role_passed: bool,
}

/// Connects to each server in turn.
pub(super) fn connect(
    servers: &[Server],
    files: &Files,
    mode: SslMode,
    login: Option<&Login>,
    now: OffsetDateTime,
) -> Sight {
    let until = Instant::now() + PATIENCE_IN_ALL;
    let mut sight = Sight::default();
    for server in servers {
        match server {
            Server::Socket => sight.add(unconnected()),
            Server::Tcp { endpoint, is_named } => {
                let attempt = Attempt {
                    endpoint,
                    is_named: *is_named,
                    files,
                    mode,
                    is_real: login.is_some(),
                    login: login.cloned().unwrap_or_default(),
                };
                attempt.run((Instant::now() + PATIENCE).min(until), now, &mut sight);
            }
        }
    }
    sight
}

fn unconnected() -> Finding {
    Finding::info(
        "not-connected",
        "no host is named, so libpq takes a Unix-domain socket, over which PostgreSQL has no TLS; \
         no connection was made",
        "Name the server: pgpki doctor --client 'host=…'.",
    )
}

impl Sight {
    fn add(&mut self, finding: Finding) {
        self.findings.push(finding.into());
    }
}

/// A connection to one server.
struct Attempt<'a> {
    endpoint: &'a Endpoint,
    is_named: bool,
    files: &'a Files,
    mode: SslMode,
    login: Login,
    /// Whether somebody means to log in like that.
    is_real: bool,
}

impl Attempt<'_> {
    fn run(&self, deadline: Instant, now: OffsetDateTime, sight: &mut Sight) {
        let credential = match self.files.credential() {
            Some(Ok(credential)) => Some(credential),
            Some(Err(why)) => {
                sight.add(self.not_presented(&why.to_string()));
                None
            }
            None => None,
        };
        let mut probe = Probe::new(self.endpoint);
        probe = match credential {
            Some(credential) => probe.client(credential, &self.login),
            // libpq comes without one as well, unless there is one that it cannot use.
            None if self.is_real && !self.files.has_certificate() => probe.stranger(&self.login),
            None => probe,
        };
        if self.is_real {
            probe = probe.to_the_session();
        }
        match probe.run(deadline) {
            Err(error) => sight.add(self.of_error(&error, credential.is_some())),
            Ok(served) => {
                let judged = server::judge(
                    self.endpoint,
                    self.is_named,
                    &served,
                    self.files,
                    self.mode,
                    now,
                );
                let is_trusted = judged.iter().all(|it| it.severity < Severity::Warning);
                sight.findings.extend(judged.into_iter().map(Located::from));
                if let Some(finding) = self.of_request(&served) {
                    sight.add(finding);
                }
                // Its refusal would have been an alert.
                let passed = credential.is_some()
                    && served.client_certificate.is_some()
                    && served.answer.is_some();
                sight.certificate_passed |= passed;
                match &served.answer {
                    Some(Answer::Error {
                        message,
                        sqlstate,
                        routine,
                    }) => {
                        let why = (sqlstate.as_deref(), routine.as_deref());
                        sight.add(self.of_refusal(message, why));
                    }
                    _ => {
                        sight.role_passed |= passed;
                        match &served.no_session {
                            Some(why) => sight.add(self.without_session(why)),
                            None if is_trusted => sight.add(self.connected(&served, passed)),
                            None => {}
                        }
                    }
                }
            }
        }
    }

    fn not_presented(&self, why: &str) -> Finding {
        Finding::info(
            "not-presented",
            format!(
                "{} is asked without the client's certificate: {}",
                self.endpoint,
                printable(why)
            ),
            "psql may do better, with an encrypted key (sslpassword) or one in DER.",
        )
    }

    /// A TLS connection that failed; alerts in the words of [`crate::explain`].
    fn of_error(&self, error: &ProbeError, presented: bool) -> Finding {
        let other = Finding {
            code: "unreachable",
            severity: Severity::Error,
            message: error.to_string(),
            hint: error.hint().to_owned(),
        };
        match &error.cause {
            Cause::Alert(alert) => self.of_alert(*alert, presented),
            Cause::NoTls => Finding {
                code: "no-tls",
                message: format!(
                    "{}, and sslmode={} {}",
                    error,
                    self.mode.as_str(),
                    self.without_tls()
                ),
                ..other
            },
            Cause::NotPostgres { .. } | Cause::TooMuch { .. } => Finding {
                code: "not-postgresql",
                ..other
            },
            Cause::DataBeforeTls => Finding {
                code: "data-before-tls",
                ..other
            },
            Cause::Server { .. } => Finding {
                code: "server-error",
                ..other
            },
            Cause::Incompatible(_) | Cause::Handshake(_) => Finding {
                code: "handshake-failed",
                ..other
            },
            _ => other,
        }
    }

    fn without_tls(&self) -> &'static str {
        match self.mode < SslMode::Require {
            true => "goes on without it",
            false => "refuses to go on",
        }
    }

    fn of_alert(&self, alert: TlsAlert, presented: bool) -> Finding {
        let endpoint = self.endpoint;
        let known = first(&alert.to_string());
        let title = known.map_or("it says no more", |entry| entry.title);
        let hint = known.map_or_else(|| "Look into the server's log.".to_owned(), advice);
        let message = format!("{endpoint} refuses with \"{alert}\": {}", lower(title));
        let is_about_certificate = matches!(
            alert,
            TlsAlert::BadCertificate
                | TlsAlert::UnsupportedCertificate
                | TlsAlert::CertificateRevoked
                | TlsAlert::CertificateExpired
                | TlsAlert::CertificateUnknown
                | TlsAlert::UnknownCa
        );
        match presented && is_about_certificate {
            true => Finding::error("client-certificate-refused", message, &hint),
            false => Finding::error("handshake-failed", message, &hint),
        }
    }

    fn without_session(&self, why: &str) -> Finding {
        Finding::error(
            "no-session",
            format!(
                "{} lets {} in, and then no session begins: {why}",
                self.endpoint,
                printable(&self.login.user)
            ),
            "Look into the server's log; where a pooler answers, into its log, and whether it reaches its server.",
        )
    }

    fn of_refusal(&self, message: &str, why: (Option<&str>, Option<&str>)) -> Finding {
        let known = first(message).or_else(|| of_session(why));
        let hint = known.map_or_else(
            || "Look into the server's log, which says more than it tells clients.".to_owned(),
            advice,
        );
        Finding::error(
            "login-refused",
            format!(
                "{} does not let {} in: \"{message}\"",
                self.endpoint,
                printable(&self.login.user)
            ),
            &hint,
        )
    }

    /// Whether there is a certificate where one is wanted, and the other way round.
    fn of_request(&self, served: &Served) -> Option<Finding> {
        let endpoint = self.endpoint;
        // What is there and cannot be presented has findings of its own.
        let has_one = self.files.has_certificate();
        match (served.client_certificate.is_some(), has_one) {
            (true, false) => Some(Finding::warning(
                "client-certificate-missing",
                format!("{endpoint} asks for a client's certificate, and there is none to present"),
                "Put the role's folder into ~/.postgresql (pgpki issue-client ROLE); without it, \
                 rules with cert or clientcert say \"connection requires a valid client \
                 certificate\".",
            )),
            (false, true) => Some(Finding::info(
                "certificate-not-asked",
                format!("{endpoint} does not ask for the client's certificate"),
                "If it should, set ssl_ca_file at the server, and reload.",
            )),
            _ => None,
        }
    }

    fn connected(&self, served: &Served, passed: bool) -> Finding {
        let version = match served.protocol {
            TlsVersion::V1_2 => "TLS 1.2",
            TlsVersion::V1_3 => "TLS 1.3",
        };
        let user = printable(&self.login.user);
        let (certificate, login) = match &served.answer {
            Some(Answer::Authentication { method }) => {
                let certificate = match passed {
                    true => ", takes the client's certificate",
                    false => "",
                };
                let login = match *method {
                    "trust" => format!("lets {user} in"),
                    method => format!("asks {user} for a password ({method}), and none was sent"),
                };
                (certificate, format!(" and {login}"))
            }
            _ => ("", ", and was asked for no more".to_owned()),
        };
        Finding::info(
            "connected",
            format!("{} speaks {version}{certificate}{login}", self.endpoint),
            "Nothing has to be done.",
        )
    }
}

/// What a session does not begin for, whatever language the server speaks; see "PostgreSQL Error Codes" in PostgreSQL's
/// documentation.
fn of_session((sqlstate, routine): (Option<&str>, Option<&str>)) -> Option<&'static Entry> {
    match (sqlstate, routine) {
        (Some("3D000"), _) => Some(&session::DATABASE_UNKNOWN),
        // The rules of pg_hba.conf have the same code.
        (Some("28000"), Some("InitializeSessionUserId")) => Some(&session::ROLE_CANNOT_LOG_IN),
        (Some("42501"), _) => Some(&session::DATABASE_CLOSED),
        (Some("53300"), _) => Some(&session::TOO_MANY_CONNECTIONS),
        _ => None,
    }
}

/// What a text means, if it is known.
fn first(text: &str) -> Option<&'static Entry> {
    explain(text).first().map(|explanation| explanation.entry)
}

fn advice(entry: &Entry) -> String {
    format!("{} {}", entry.cause, entry.fix)
}

/// A title within a sentence. Names of files and settings keep their letters.
fn lower(title: &str) -> String {
    match title.strip_prefix("The ") {
        Some(rest) => format!("the {rest}"),
        None => title.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{of_session, session};

    /// Both are 28000, and only one of them is about the role.
    #[test]
    fn a_rule_that_refuses_is_no_role_that_may_not_log_in() {
        let entry = |routine| of_session((Some("28000"), Some(routine)));
        assert_eq!(
            entry("InitializeSessionUserId"),
            Some(&session::ROLE_CANNOT_LOG_IN)
        );
        assert_eq!(entry("auth_failed"), None);
    }
}
