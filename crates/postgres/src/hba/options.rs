//! What a server of some version rejects in a rule that has all of its fields: methods and options
//! that do not go together, or that it does not know. After `parse_hba_line` and
//! `parse_hba_auth_opt` of PostgreSQL 13 to 18.

use super::problem::Problem;
use super::rule::{AuthOption, ConnType, Method, Rule};

/// An option: the methods that may have it, their names, and the first version that knows it.
struct Known {
    name: &'static str,
    methods: Methods,
    since: u32,
}

/// The methods that an option may stand with.
enum Methods {
    /// Any, in a `hostssl` line.
    AnyOverTls,
    /// These, under the words that people know them by.
    Only(&'static [Method], &'static str),
}

/// `oauth` and its options came with version 18, `clientname` with 14.
const OAUTH_SINCE: u32 = 18;
const CLIENTNAME_SINCE: u32 = 14;
/// The first version without `clientcert=0`, `1` and `no-verify`.
const CLIENTCERT_WORDS_SINCE: u32 = 14;

const MAP: Methods = Methods::Only(
    &[
        Method::Ident,
        Method::Peer,
        Method::Gss,
        Method::Sspi,
        Method::Cert,
        Method::OAuth,
    ],
    "ident, peer, gss, cert and, from version 18 on, oauth",
);
const LDAP: Methods = Methods::Only(&[Method::Ldap], "ldap");
const RADIUS: Methods = Methods::Only(&[Method::Radius], "radius");
const PAM: Methods = Methods::Only(&[Method::Pam], "pam");
const GSS: Methods = Methods::Only(&[Method::Gss, Method::Sspi], "gss");
const SSPI: Methods = Methods::Only(&[Method::Sspi], "sspi");
const OAUTH: Methods = Methods::Only(&[Method::OAuth], "oauth");

const fn known(name: &'static str, methods: Methods, since: u32) -> Known {
    Known {
        name,
        methods,
        since,
    }
}

const KNOWN: &[Known] = &[
    known("map", MAP, 0),
    known("clientcert", Methods::AnyOverTls, 0),
    known("clientname", Methods::AnyOverTls, CLIENTNAME_SINCE),
    known("pamservice", PAM, 0),
    known("pam_use_hostname", PAM, 0),
    known("ldapurl", LDAP, 0),
    known("ldaptls", LDAP, 0),
    known("ldapscheme", LDAP, 0),
    known("ldapserver", LDAP, 0),
    known("ldapport", LDAP, 0),
    known("ldapbinddn", LDAP, 0),
    known("ldapbindpasswd", LDAP, 0),
    known("ldapsearchattribute", LDAP, 0),
    known("ldapsearchfilter", LDAP, 0),
    known("ldapbasedn", LDAP, 0),
    known("ldapprefix", LDAP, 0),
    known("ldapsuffix", LDAP, 0),
    known("krb_realm", GSS, 0),
    known("include_realm", GSS, 0),
    known("compat_realm", SSPI, 0),
    known("upn_username", SSPI, 0),
    known("radiusservers", RADIUS, 0),
    known("radiusports", RADIUS, 0),
    known("radiussecrets", RADIUS, 0),
    known("radiusidentifiers", RADIUS, 0),
    known("issuer", OAUTH, OAUTH_SINCE),
    known("scope", OAUTH, OAUTH_SINCE),
    known("validator", OAUTH, OAUTH_SINCE),
    known("delegate_ident_mapping", OAUTH, OAUTH_SINCE),
];

impl Rule {
    /// Everything for which PostgreSQL `major` (13 to 18) on Linux refuses this rule, in the order
    /// in which the server would find it; it reports the first. What depends on the server's build,
    /// on its settings (`ssl = off`) or on name resolution is not among it.
    pub fn problems(&self, major: u32) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(self.method_problem(major));
        problems.extend(
            self.options
                .iter()
                .filter_map(|option| self.option_problem(option, major).err()),
        );
        problems.extend(match self.method {
            Method::Ldap => self.ldap_problem(),
            Method::Radius => self.radius_problem(),
            Method::OAuth => self.oauth_problem(),
            _ => None,
        });
        problems
    }

    fn method_problem(&self, major: u32) -> Option<Problem> {
        let method = self.method;
        let local = self.conn_type == ConnType::Local;
        let not_here = match method {
            Method::OAuth if major < OAUTH_SINCE => {
                return Some(Problem::MethodTooOld {
                    method,
                    since: OAUTH_SINCE,
                    major,
                });
            }
            Method::Sspi | Method::Bsd => return Some(Problem::MethodElsewhere(method)),
            Method::Gss => local,
            Method::Peer => !local,
            Method::Cert => self.conn_type != ConnType::HostSsl,
            _ => false,
        };
        not_here.then_some(Problem::MethodNotHere {
            method,
            conn_type: self.conn_type,
        })
    }

    fn option_problem(&self, option: &AuthOption, major: u32) -> Result<(), Problem> {
        let Some(value) = option.value.as_deref() else {
            return Err(Problem::OptionForm(option.name.clone()));
        };
        let known = KNOWN
            .iter()
            .find(|it| it.name == option.name)
            .ok_or_else(|| Problem::UnknownOption(option.name.clone()))?;
        let name = known.name;
        if major < known.since {
            return Err(Problem::OptionTooOld {
                name,
                since: known.since,
                major,
            });
        }
        match known.methods {
            Methods::AnyOverTls if self.conn_type != ConnType::HostSsl => {
                Err(Problem::OptionNeedsTls {
                    name,
                    conn_type: self.conn_type,
                })
            }
            Methods::Only(methods, allowed) if !methods.contains(&self.method) => {
                Err(Problem::OptionNotHere {
                    name,
                    method: self.method,
                    allowed,
                })
            }
            _ => self.value_problem(name, value, major),
        }
    }

    fn value_problem(&self, name: &'static str, value: &str, major: u32) -> Result<(), Problem> {
        let port = || Problem::Port {
            name,
            value: value.to_owned(),
        };
        match name {
            "clientcert" => self.clientcert_problem(value, major),
            "clientname" if !matches!(value, "CN" | "DN") => {
                Err(Problem::ClientName(value.to_owned()))
            }
            "ldapport" if atoi(value) == 0 => Err(port()),
            "radiusports" if value.split(',').any(|it| atoi(it) == 0) => Err(port()),
            "ldapurl" if !["ldap://", "ldaps://"].iter().any(|it| starts(value, it)) => {
                Err(Problem::LdapUrl(value.to_owned()))
            }
            _ => Ok(()),
        }
    }

    fn clientcert_problem(&self, value: &str, major: u32) -> Result<(), Problem> {
        let value = value.to_owned();
        let old_words = major < CLIENTCERT_WORDS_SINCE;
        let cert = self.method == Method::Cert;
        match value.as_str() {
            "verify-full" => Ok(()),
            "verify-ca" if cert && !old_words => Err(Problem::ClientCertOfCert(value)),
            "0" | "no-verify" if cert && old_words => Err(Problem::ClientCertOfCert(value)),
            "verify-ca" => Ok(()),
            "0" | "1" | "no-verify" if old_words => Ok(()),
            "0" | "1" | "no-verify" => Err(Problem::ClientCertTooNew { value, major }),
            _ => Err(Problem::ClientCert(value)),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.options.iter().any(|it| it.name == name)
    }

    fn ldap_problem(&self) -> Option<Problem> {
        let simple = ["ldapprefix", "ldapsuffix"]
            .into_iter()
            .find(|it| self.has(it));
        let search = [
            "ldapurl",
            "ldapbasedn",
            "ldapbinddn",
            "ldapbindpasswd",
            "ldapsearchattribute",
            "ldapsearchfilter",
        ]
        .into_iter()
        .find(|it| self.has(it));
        match (simple, search) {
            (Some(simple), Some(search)) => Some(Problem::Conflict(search, simple)),
            (None, _) if !self.has("ldapbasedn") && !self.has("ldapurl") => {
                Some(Problem::MissingOption {
                    method: Method::Ldap,
                    option: "ldapbasedn, ldapprefix or ldapsuffix",
                })
            }
            _ if self.has("ldapsearchattribute") && self.has("ldapsearchfilter") => {
                Some(Problem::Conflict("ldapsearchattribute", "ldapsearchfilter"))
            }
            _ => None,
        }
    }

    fn radius_problem(&self) -> Option<Problem> {
        let missing = |option| Problem::MissingOption {
            method: Method::Radius,
            option,
        };
        let count = |name| self.option(name).map(|it| it.split(',').count());
        let Some(servers) = count("radiusservers") else {
            return Some(missing("radiusservers"));
        };
        if !self.has("radiussecrets") {
            return Some(missing("radiussecrets"));
        }
        ["radiussecrets", "radiusports", "radiusidentifiers"]
            .into_iter()
            .find(|name| count(name).is_some_and(|it| it != 1 && it != servers))
            .map(Problem::RadiusList)
    }

    fn oauth_problem(&self) -> Option<Problem> {
        if let Some(option) = ["scope", "issuer"].into_iter().find(|it| !self.has(it)) {
            return Some(Problem::MissingOption {
                method: Method::OAuth,
                option,
            });
        }
        let delegates = self.option("delegate_ident_mapping") == Some("1");
        (delegates && self.has("map"))
            .then_some(Problem::Conflict("map", "delegate_ident_mapping=1"))
    }
}

/// Whether `text` begins with `prefix`, in any case.
fn starts(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len())
        .is_some_and(|it| it.eq_ignore_ascii_case(prefix))
}

/// C's `atoi`: blanks, a sign, and the digits up to whatever follows; 0 where there are none.
fn atoi(text: &str) -> i64 {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = unsigned
        .find(|it: char| !it.is_ascii_digit())
        .unwrap_or(unsigned.len());
    unsigned[..digits].parse().unwrap_or(0)
}
