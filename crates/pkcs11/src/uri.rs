//! PKCS#11 URIs (RFC 7512): parsed and written, without a look at any token.

mod percent;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use self::percent::{decode, encode, encode_path};

/// Far more than any URI of a key takes, in bytes.
const MAX_LENGTH: usize = 4096;

const SCHEME: &str = "pkcs11:";

/// What a URI may say of the token, or of the slot that it is in, or of its library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Property {
    /// The token's label.
    Token,
    /// Its serial number.
    Serial,
    /// Who made it.
    Manufacturer,
    /// Its model.
    Model,
    /// What the slot is called.
    SlotDescription,
    /// Who made the slot.
    SlotManufacturer,
    /// What the library is called.
    LibraryDescription,
    /// Who made the library.
    LibraryManufacturer,
}

impl Property {
    const ALL: [Self; 8] = [
        Self::Token,
        Self::Serial,
        Self::Manufacturer,
        Self::Model,
        Self::SlotDescription,
        Self::SlotManufacturer,
        Self::LibraryDescription,
        Self::LibraryManufacturer,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Serial => "serial",
            Self::Manufacturer => "manufacturer",
            Self::Model => "model",
            Self::SlotDescription => "slot-description",
            Self::SlotManufacturer => "slot-manufacturer",
            Self::LibraryDescription => "library-description",
            Self::LibraryManufacturer => "library-manufacturer",
        }
    }
}

/// Where the PIN is (RFC 7512 section 2.4, `pin-source`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinSource {
    /// The first line of this file; the path is absolute.
    File(PathBuf),
}

/// A URI of a private key, or of where one is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uri {
    /// In the order of [`Property::ALL`], each at most once.
    pub(crate) properties: Vec<(Property, String)>,
    /// The number of the slot. Modules number as they like, SoftHSM anew for each token.
    pub slot: Option<u64>,
    /// `CKA_LABEL`.
    pub object: Option<String>,
    /// `CKA_ID`, octets.
    pub id: Option<Vec<u8>>,
    /// The file of the module.
    pub module_path: Option<PathBuf>,
    /// The module's name, without directory and `.so`.
    pub module_name: Option<String>,
    /// Where the PIN is.
    pub pin_source: Option<PinSource>,
}

/// Why a text is no URI of a CA's key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// Another scheme, or none.
    #[error("it does not begin with {SCHEME}")]
    Scheme,
    /// Longer than any real one.
    #[error("it is longer than {MAX_LENGTH} bytes")]
    Long,
    /// Something between two separators is not `name=value`.
    #[error("{0:?} is not name=value")]
    NoValue(String),
    /// The same attribute twice.
    #[error("{0} stands in it twice")]
    Twice(String),
    /// An attribute that it could not be matched by (RFC 7512 section 2.5: such a URI means nothing).
    #[error("the attribute {0:?} is not known")]
    Unknown(String),
    /// `%` without two hexadecimal digits, a character that must be escaped, or octets that are not UTF-8.
    #[error("the value of {0} is not escaped as RFC 3986 has it")]
    Escape(String),
    /// The value of this attribute is empty.
    #[error("the value of {0} is empty")]
    Empty(String),
    /// Not a number.
    #[error("the value of slot-id is not a number")]
    Slot,
    /// It is no private key that is meant.
    #[error("it names an object of type {0:?}, and a CA signs with a private key: type=private")]
    Type(String),
    /// A PIN in an argument.
    #[error(
        "it has the PIN in it (pin-value), where every user of the machine can read it: \
         use pin-source=file:/path, or a prompt"
    )]
    PinValue,
    /// A PIN from somewhere else.
    #[error("its pin-source is not the absolute path of a file: pin-source=file:/path")]
    PinSource,
    /// A module by a relative path, which would be another one from another directory.
    #[error("its module-path is not an absolute path")]
    ModulePath,
    /// A module's name that leads elsewhere.
    #[error("its module-name is not the bare name of a library")]
    ModuleName,
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        if text.len() > MAX_LENGTH {
            return Err(UriError::Long);
        }
        // RFC 3986 section 3.1: the scheme in either case.
        let is_scheme = |scheme: &str| scheme.eq_ignore_ascii_case(SCHEME);
        let rest = match text.get(..SCHEME.len()) {
            Some(scheme) if is_scheme(scheme) => &text[SCHEME.len()..],
            _ => return Err(UriError::Scheme),
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::default();
        let mut seen = Vec::new();
        for part in path.split(';').filter(|part| !part.is_empty()) {
            let (name, value) = attribute(part, &mut seen)?;
            uri.take_path(name, value)?;
        }
        uri.properties.sort_by_key(|(property, _)| *property);
        seen.clear();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = attribute(part, &mut seen)?;
            uri.take_query(name, value)?;
        }
        Ok(uri)
    }
}

fn attribute<'a>(part: &'a str, seen: &mut Vec<&'a str>) -> Result<(&'a str, &'a str), UriError> {
    let no_value = || UriError::NoValue(part.to_owned());
    let (name, value) = part.split_once('=').ok_or_else(no_value)?;
    if seen.contains(&name) {
        return Err(UriError::Twice(name.to_owned()));
    }
    seen.push(name);
    Ok((name, value))
}

fn text(name: &str, value: &str) -> Result<String, UriError> {
    let octets = octets(name, value)?;
    String::from_utf8(octets).map_err(|_| UriError::Escape(name.to_owned()))
}

fn octets(name: &str, value: &str) -> Result<Vec<u8>, UriError> {
    match decode(value) {
        Some(octets) if octets.is_empty() => Err(UriError::Empty(name.to_owned())),
        Some(octets) => Ok(octets),
        None => Err(UriError::Escape(name.to_owned())),
    }
}

impl Uri {
    fn take_path(&mut self, name: &str, value: &str) -> Result<(), UriError> {
        let property = Property::ALL.into_iter().find(|it| it.name() == name);
        match (name, property) {
            (_, Some(property)) => self.properties.push((property, text(name, value)?)),
            ("object", _) => self.object = Some(text(name, value)?),
            ("id", _) => self.id = Some(octets(name, value)?),
            ("slot-id", _) => {
                let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
                let number = value.parse().ok().filter(|_| is_number);
                self.slot = Some(number.ok_or(UriError::Slot)?);
            }
            ("type", _) if value == "private" => {}
            ("type", _) => return Err(UriError::Type(value.to_owned())),
            _ => return Err(UriError::Unknown(name.to_owned())),
        }
        Ok(())
    }

    fn take_query(&mut self, name: &str, value: &str) -> Result<(), UriError> {
        match name {
            "pin-value" => return Err(UriError::PinValue),
            "pin-source" => self.pin_source = Some(pin_source(&text(name, value)?)?),
            "module-path" => {
                let path = PathBuf::from(text(name, value)?);
                if !path.is_absolute() {
                    return Err(UriError::ModulePath);
                }
                self.module_path = Some(path);
            }
            "module-name" => {
                let module = text(name, value)?;
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
                if !module.bytes().all(is_plain) || module.starts_with('.') {
                    return Err(UriError::ModuleName);
                }
                self.module_name = Some(module);
            }
            // RFC 7512 section 2.5: what is not known in the query is ignored.
            _ => {}
        }
        Ok(())
    }

    /// What it says of the token.
    pub(crate) fn properties(&self) -> &[(Property, String)] {
        &self.properties
    }

    /// Sets what it says of the token.
    pub(crate) fn set(&mut self, property: Property, value: &str) {
        self.properties.retain(|(it, _)| *it != property);
        if !value.is_empty() {
            self.properties.push((property, value.to_owned()));
        }
        self.properties.sort_by_key(|(property, _)| *property);
    }

    /// What it says of token and key, for messages: without where the library and the PIN are.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("{SCHEME}{}", self.path().join(";"))
    }

    fn path(&self) -> Vec<String> {
        let properties = self.properties.iter();
        let mut path: Vec<String> = properties
            .map(|(property, value)| format!("{}={}", property.name(), encode(value.as_bytes())))
            .collect();
        path.extend(self.slot.map(|slot| format!("slot-id={slot}")));
        path.extend(self.object_path());
        path
    }

    /// What it says of the key alone.
    pub(crate) fn object_path(&self) -> Vec<String> {
        let object = self.object.as_ref();
        let object = object.map(|object| format!("object={}", encode(object.as_bytes())));
        let id = self.id.as_ref().map(|id| format!("id={}", encode_all(id)));
        object.into_iter().chain(id).collect()
    }

    /// Whether it says which object in the token is meant.
    #[must_use]
    pub fn names_an_object(&self) -> bool {
        self.object.is_some() || self.id.is_some()
    }
}

/// `file:/path`, `file:///path`, `file://localhost/path` (RFC 8089 section 2), or the path alone.
fn pin_source(value: &str) -> Result<PinSource, UriError> {
    let path = match value.strip_prefix("file:") {
        None => value,
        Some(rest) => {
            let local = rest.strip_prefix("//localhost");
            local.or(rest.strip_prefix("//")).unwrap_or(rest)
        }
    };
    match path.starts_with('/') && !path.starts_with("//") {
        true => Ok(PinSource::File(PathBuf::from(path))),
        false => Err(UriError::PinSource),
    }
}

impl fmt::Display for Uri {
    /// The URI, with everything escaped that could be taken for something else.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = self.path();
        path.push("type=private".to_owned());
        let mut query = Vec::new();
        let module = self.module_path.as_ref();
        query.extend(module.map(|path| format!("module-path={}", encode_path(path))));
        let module = self.module_name.as_ref();
        query.extend(module.map(|name| format!("module-name={}", encode(name.as_bytes()))));
        if let Some(PinSource::File(path)) = &self.pin_source {
            query.push(format!("pin-source=file:{}", encode_path(path)));
        }
        write!(f, "{SCHEME}{}", path.join(";"))?;
        match query.is_empty() {
            true => Ok(()),
            false => write!(f, "?{}", query.join("&")),
        }
    }
}

/// An identifier is no text, even where its octets happen to be letters.
fn encode_all(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("%{octet:02x}")).collect()
}

#[cfg(test)]
mod tests;
