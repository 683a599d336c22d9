//! Why a server does not take a line, and what to write instead.

use std::path::PathBuf;

use super::rule::{ConnType, Method};

/// Why a server does not take a line of `pg_hba.conf`. With one such line it does not start; a
/// running one keeps the rules that it has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The line is cut off at it.
    #[error("the line has a zero byte, at which PostgreSQL stops reading; remove it")]
    ZeroByte,
    /// Version 13 only.
    #[error(
        "the line is longer than {limit} bytes, PostgreSQL 13's limit; divide its lists among several lines"
    )]
    LineTooLong {
        /// In bytes, without the line ending.
        limit: usize,
    },
    /// Up to version 15.
    #[error("an item is longer than {limit} bytes, the limit of this version")]
    TokenTooLong {
        /// In bytes.
        limit: usize,
    },
    /// `@file`, or an included file.
    #[error(
        "cannot read {}: {reason}; correct the name, or let the server's user read it",
        .path.display()
    )]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        reason: String,
    },
    /// Files that name each other.
    #[error(
        "{} is included too often or too deep (PostgreSQL allows 10 levels); look for files \
         that include each other",
        .0.display()
    )]
    TooDeep(PathBuf),
    /// An `include_dir` without a name.
    #[error("include_dir names nothing; write the name of a directory")]
    EmptyName,
    /// `@file` in a field that has to be known to read the line.
    #[error("the {field} stands in the file {file:?}, which has not been read")]
    NotExpanded {
        /// The field.
        field: Field,
        /// The file as it is written.
        file: String,
    },
    /// An include directive before version 16.
    #[error(
        "{directive} is known from PostgreSQL 16 on, and this server is {major}; write the rules here"
    )]
    IncludeTooOld {
        /// The directive.
        directive: &'static str,
        /// The server's version.
        major: u32,
    },
    /// The first field is none of the types.
    #[error(
        "{0:?} is no connection type; a rule begins with local, host, hostssl, hostnossl, hostgssenc or hostnogssenc"
    )]
    ConnType(String),
    /// The line ends too early.
    #[error(
        "the line ends before the {0}; a rule is: type, database, user, address (not for local), method"
    )]
    Missing(Field),
    /// An address without a mask at the line's end.
    #[error(
        "the address {0} has no mask; write {0}/{length} for this address alone",
        length = if .0.is_ipv4() { 32 } else { 128 }
    )]
    MissingMask(std::net::IpAddr),
    /// A list where one item is wanted.
    #[error("the {0} is a list, and must be one item; write a line for each")]
    List(Field),
    /// `name/24`.
    #[error(
        "{text:?} is a host name with a mask, or a wrong address; write the name alone, or an address in digits"
    )]
    HostNameWithMask {
        /// The field.
        text: String,
    },
    /// `10.0.0.0/33`.
    #[error("{text:?} has no valid mask; it is a number up to 32 for IPv4, up to 128 for IPv6")]
    PrefixLength {
        /// The field.
        text: String,
    },
    /// The word after a single address is no mask.
    #[error(
        "{text:?} follows the address {address}, but is no mask; write {address}/{length} for \
         this address alone",
        length = if .address.is_ipv4() { 32 } else { 128 }
    )]
    Mask {
        /// The address before it.
        address: std::net::IpAddr,
        /// What stands where the mask should.
        text: String,
    },
    /// Address and mask are of two families.
    #[error(
        "the address {address} and the mask {mask} are not both IPv4 or both IPv6; write {address}/ and the number of bits"
    )]
    MaskFamily {
        /// The address.
        address: std::net::IpAddr,
        /// The mask.
        mask: std::net::IpAddr,
    },
    /// None of the methods of any version.
    #[error("{text:?} is no authentication method; {advice}")]
    Method {
        /// What stands there.
        text: String,
        /// What was probably meant.
        advice: MethodAdvice,
    },
    /// A method of later versions.
    #[error(
        "the method {method} is known from PostgreSQL {since} on, and this server is {major}; use scram-sha-256 or cert"
    )]
    MethodTooOld {
        /// The method.
        method: Method,
        /// The first version that has it.
        since: u32,
        /// The server's version.
        major: u32,
    },
    /// A method of other systems.
    #[error(
        "the method {0} does not exist in PostgreSQL for Linux; use gss, pam, scram-sha-256 or cert"
    )]
    MethodElsewhere(Method),
    /// A method that this type of connection cannot have.
    #[error("the method {method} cannot stand in a {conn_type} line; {}", not_here(*.method))]
    MethodNotHere {
        /// The method.
        method: Method,
        /// The line's type.
        conn_type: ConnType,
    },
    /// A word after the method.
    #[error("{0:?} follows the method, but is no option; options are name=value, without blanks")]
    OptionForm(String),
    /// An option that no version has.
    #[error("{0:?} is no option of pg_hba.conf; remove it")]
    UnknownOption(String),
    /// An option of later versions.
    #[error(
        "the option {name} is known from PostgreSQL {since} on, and this server is {major}; remove it"
    )]
    OptionTooOld {
        /// The option.
        name: &'static str,
        /// The first version that has it.
        since: u32,
        /// The server's version.
        major: u32,
    },
    /// An option of other methods.
    #[error(
        "the option {name} cannot stand with the method {method}, only with {allowed}; remove \
         it{}",
        map_advice(.name, *.method)
    )]
    OptionNotHere {
        /// The option.
        name: &'static str,
        /// The line's method.
        method: Method,
        /// The methods that have it.
        allowed: &'static str,
    },
    /// `clientcert` or `clientname` where no certificate is asked for.
    #[error(
        "the option {name} can only stand in a hostssl line, and this is a {conn_type} line; write hostssl, or remove the option"
    )]
    OptionNeedsTls {
        /// The option.
        name: &'static str,
        /// The line's type.
        conn_type: ConnType,
    },
    /// Version 13's spelling, later.
    #[error(
        "clientcert={value} is known up to PostgreSQL 13, and this server is {major}; {}",
        clientcert_advice(.value)
    )]
    ClientCertTooNew {
        /// The value.
        value: String,
        /// The server's version.
        major: u32,
    },
    /// Some other value.
    #[error(
        "clientcert={0} is unknown; write clientcert=verify-full, or clientcert=verify-ca where any role may use any certificate"
    )]
    ClientCert(String),
    /// `cert clientcert=verify-ca`, or `no-verify` in version 13.
    #[error(
        "clientcert={0} cannot stand with the method cert, which always demands verify-full; remove the option"
    )]
    ClientCertOfCert(String),
    /// Neither `CN` nor `DN`.
    #[error("clientname={0} is unknown; write clientname=CN or clientname=DN, in capitals")]
    ClientName(String),
    /// A port that is no number.
    #[error("{name}={value} is no port; write a number from 1 to 65535")]
    Port {
        /// The option.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// Not a URL for LDAP.
    #[error("ldapurl={0} is no LDAP URL; it begins with ldap:// or ldaps://")]
    LdapUrl(String),
    /// Two of LDAP's ways at once.
    #[error("{0} cannot stand with {1}; keep one of them")]
    Conflict(&'static str, &'static str),
    /// A method without what it needs.
    #[error("the method {method} needs {option}; add it")]
    MissingOption {
        /// The method.
        method: Method,
        /// The option, or the choice of options.
        option: &'static str,
    },
    /// RADIUS lists of different lengths, or with empty items.
    #[error("{0} does not fit radiusservers; give one item, or one for each server")]
    RadiusList(&'static str),
}

/// A field of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "their words stand beside them")]
pub enum Field {
    #[error("connection type")]
    ConnType,
    #[error("database")]
    Database,
    #[error("user")]
    User,
    #[error("address")]
    Address,
    #[error("mask")]
    Mask,
    #[error("authentication method")]
    Method,
    #[error("option")]
    Option,
}

/// What was probably meant by a word that is no method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MethodAdvice {
    /// An option stands in the place of the method.
    #[error(
        "a field before it is missing, probably the user; a rule is: type, database, user, address (not for local), method, options"
    )]
    FieldMissing,
    /// `verify-ca` and `verify-full` are values of an option.
    #[error("write cert, or scram-sha-256 clientcert=verify-full")]
    ClientCert,
    /// An address in a `local` line, or a mask too many.
    #[error("it looks like an address; a local line has none, and one with a / has no second mask")]
    Address,
    /// Nothing known.
    #[error(
        "use scram-sha-256, cert, peer, reject or another one of PostgreSQL's list, in lower case"
    )]
    None,
}

fn not_here(method: Method) -> &'static str {
    match method {
        Method::Cert => "certificates come with TLS: write hostssl",
        Method::Peer => "it knows the user of a socket: write local, or another method",
        _ => "write host, or another method such as peer",
    }
}

fn map_advice(name: &str, method: Method) -> &'static str {
    match (name, method) {
        ("map", _) => ", or use cert: other methods compare the role itself",
        _ => "",
    }
}

fn clientcert_advice(value: &str) -> &'static str {
    match value {
        "1" => "write clientcert=verify-full, or clientcert=verify-ca for what it meant",
        _ => "remove it",
    }
}
