//! How the text behind a flag becomes a value, or a usage error that says what it should have been.

use pgpki_core::crl::Reason;
use pgpki_core::key::KeyAlgorithm;
use pgpki_core::validity::Days;

pub(super) fn reason() -> impl clap::builder::TypedValueParser<Value = Reason> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    let names = Reason::ALL.into_iter().map(Reason::as_str);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Reason>())
}

pub(super) fn any_algorithm() -> impl clap::builder::TypedValueParser<Value = KeyAlgorithm> {
    algorithms(|_| true)
}

pub(super) fn ca_algorithm() -> impl clap::builder::TypedValueParser<Value = KeyAlgorithm> {
    algorithms(KeyAlgorithm::may_sign_certificates)
}

fn algorithms(
    keep: fn(KeyAlgorithm) -> bool,
) -> impl clap::builder::TypedValueParser<Value = KeyAlgorithm> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    let names = KeyAlgorithm::ALL
        .into_iter()
        .filter(move |algorithm| keep(*algorithm))
        .map(KeyAlgorithm::as_str);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<KeyAlgorithm>())
}

pub(super) fn days(text: &str) -> Result<Days, String> {
    let number = text
        .parse()
        .map_err(|_| "it must be a whole number of days".to_owned())?;
    Days::new(number).map_err(|e| e.to_string())
}

pub(super) fn duration(text: &str) -> Result<time::Duration, String> {
    let parsed = humantime::parse_duration(text)
        .map_err(|e| format!("{e}; give a number and a unit, such as 30d, 2w or 12h"))?;
    time::Duration::try_from(parsed).map_err(|e| e.to_string())
}

/// Longer than this nobody waits for a server.
const LONGEST_PATIENCE: std::time::Duration = std::time::Duration::from_secs(3600);

pub(super) fn patience(text: &str) -> Result<std::time::Duration, String> {
    let parsed = humantime::parse_duration(text)
        .map_err(|e| format!("{e}; give a number and a unit, such as 10s or 500ms"))?;
    match parsed.is_zero() || parsed > LONGEST_PATIENCE {
        true => Err("it must be more than nothing, and at most 1h".to_owned()),
        false => Ok(parsed),
    }
}
