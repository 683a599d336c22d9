//! From the fields of a line to a rule or an include, after `parse_hba_line` in PostgreSQL's
//! `hba.c`.

use crate::conf::IncludeKind;

use super::address::{self, Address, Network, Written};
use super::problem::{Field as FieldName, MethodAdvice, Problem};
use super::rule::{AuthOption, ConnType, Database, Method, Name, Rule, User};
use super::token::{Field, Token};

/// From this version on there are includes and regular expressions.
const INCLUDES_SINCE: u32 = 16;
const REGEX_SINCE: u32 = 16;

/// The include that a line is, where this version has includes.
pub(super) fn include(fields: &[Field], major: u32) -> Option<(IncludeKind, Vec<u8>)> {
    let [first, second] = fields else { return None };
    let kind = include_kind(first)?;
    let target = second.first()?;
    (major >= INCLUDES_SINCE).then(|| (kind, target.text.clone()))
}

fn include_kind(field: &Field) -> Option<IncludeKind> {
    match field.first()?.text.as_slice() {
        b"include" => Some(IncludeKind::File),
        b"include_if_exists" => Some(IncludeKind::FileIfExists),
        b"include_dir" => Some(IncludeKind::Directory),
        _ => None,
    }
}

/// The keyword of an include.
pub(super) fn directive(kind: IncludeKind) -> &'static str {
    match kind {
        IncludeKind::File => "include",
        IncludeKind::FileIfExists => "include_if_exists",
        IncludeKind::Directory => "include_dir",
    }
}

/// The rule that a line is. What depends on the method's options is left to [`Rule::problems`].
pub(super) fn rule(
    (first_line, last_line): (u32, u32),
    fields: Vec<Field>,
    major: u32,
) -> Result<Rule, Problem> {
    let mut fields = fields.into_iter();
    let conn_type = conn_type(&mut fields, major)?;
    let databases = fields.next().ok_or(Problem::Missing(FieldName::Database))?;
    let users = fields.next().ok_or(Problem::Missing(FieldName::User))?;
    let address = match conn_type {
        ConnType::Local => None,
        _ => Some(read_address(&mut fields)?),
    };
    let method = one(fields.next(), FieldName::Method)?;
    let method = Method::from_keyword(&method.text).ok_or_else(|| Problem::Method {
        text: method.to_text(),
        advice: advice(&method.text),
    })?;
    let options = fields.flatten().map(option).collect::<Result<_, _>>()?;
    Ok(Rule {
        first_line,
        last_line,
        conn_type,
        databases: databases.iter().map(|it| database(it, major)).collect(),
        users: users.iter().map(|it| user(it, major)).collect(),
        address,
        method,
        options,
    })
}

fn conn_type(fields: &mut impl Iterator<Item = Field>, major: u32) -> Result<ConnType, Problem> {
    let field = fields.next();
    let include = field.as_ref().and_then(include_kind);
    let token = one(field, FieldName::ConnType)?;
    ConnType::from_keyword(&token.text).ok_or_else(|| match include {
        Some(kind) if major < INCLUDES_SINCE => Problem::IncludeTooOld {
            directive: directive(kind),
            major,
        },
        _ => Problem::ConnType(token.to_text()),
    })
}

/// A field that may have one item only.
fn one(field: Option<Field>, name: FieldName) -> Result<Token, Problem> {
    let mut items = field.into_iter().flatten();
    let first = items.next().ok_or(Problem::Missing(name))?;
    if items.next().is_some() {
        return Err(Problem::List(name));
    }
    if first.is_file {
        return Err(Problem::NotExpanded {
            field: name,
            file: first.to_text(),
        });
    }
    Ok(first)
}

fn read_address(fields: &mut impl Iterator<Item = Field>) -> Result<Address, Problem> {
    let token = one(fields.next(), FieldName::Address)?;
    let keywords = [
        ("all", Address::All),
        ("samehost", Address::SameHost),
        ("samenet", Address::SameNet),
    ];
    if let Some((_, address)) = keywords
        .into_iter()
        .find(|(keyword, _)| token.is_keyword(keyword))
    {
        return Ok(address);
    }
    let address = match address::read(&token.text)? {
        Written::Whole(address) => return Ok(address),
        Written::NeedsMask(address) => address,
    };
    let Some(field) = fields.next() else {
        return Err(Problem::MissingMask(address));
    };
    let token = one(Some(field), FieldName::Mask)?;
    let mask = address::numeric(&token.text).ok_or_else(|| Problem::Mask {
        address,
        text: token.to_text(),
    })?;
    Network::new(address, mask)
        .map(Address::Network)
        .ok_or(Problem::MaskFamily { address, mask })
}

fn database(token: &Token, major: u32) -> Database {
    let keywords = [
        ("all", Database::All),
        ("sameuser", Database::SameUser),
        ("samerole", Database::SameRole),
        ("samegroup", Database::SameRole),
        ("replication", Database::Replication),
    ];
    let name = || Name(token.text.clone());
    if token.is_file {
        return Database::File(name());
    }
    if let Some((_, database)) = keywords.into_iter().find(|(it, _)| token.is_keyword(it)) {
        return database;
    }
    match regex(token, major) {
        Some(regex) => Database::Regex(regex),
        None => Database::Name(name()),
    }
}

fn user(token: &Token, major: u32) -> User {
    let name = || Name(token.text.clone());
    if token.is_file {
        return User::File(name());
    }
    if token.is_keyword("all") {
        return User::All;
    }
    match token.text.strip_prefix(b"+") {
        Some(role) if !token.quoted => User::Member(Name(role.to_vec())),
        _ => match regex(token, major) {
            Some(regex) => User::Regex(regex),
            None => User::Name(name()),
        },
    }
}

/// A quoted one is a regular expression, too.
fn regex(token: &Token, major: u32) -> Option<Name> {
    let regex = token.text.strip_prefix(b"/")?;
    (major >= REGEX_SINCE).then(|| Name(regex.to_vec()))
}

fn option(token: Token) -> Result<AuthOption, Problem> {
    if token.is_file {
        return Err(Problem::NotExpanded {
            field: FieldName::Option,
            file: token.to_text(),
        });
    }
    let text = token.to_text();
    Ok(match text.split_once('=') {
        Some((name, value)) => AuthOption {
            name: name.to_owned(),
            value: Some(value.to_owned()),
        },
        None => AuthOption {
            name: text,
            value: None,
        },
    })
}

fn advice(method: &[u8]) -> MethodAdvice {
    if method.contains(&b'=') {
        MethodAdvice::FieldMissing
    } else if matches!(method, b"verify-ca" | b"verify-full") {
        MethodAdvice::ClientCert
    } else if address::read(method)
        .is_ok_and(|it| !matches!(it, Written::Whole(Address::HostName(_))))
    {
        MethodAdvice::Address
    } else {
        MethodAdvice::None
    }
}
