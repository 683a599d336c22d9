//! Where the keys of the CAs are, and whether they are encrypted.

use std::io::{self, Write};

use pgpki_authority::ledger::{CaState, KnownCa};
use pgpki_authority::{Authority, AuthorityError, CaStoreError, KeyPlace};
use pgpki_core::document::printable;
use pgpki_core::due::{Phase, Within};
use pgpki_core::finding::{Finding, Severity};
use serde::Serialize;
use time::OffsetDateTime;

use crate::show;

/// A CA in JSON, as `docs/json.md` has it.
#[derive(Serialize)]
pub(super) struct CaJson {
    profile: &'static str,
    subject: String,
    not_after: String,
    /// `file`, `encrypted`, `token`, `elsewhere`, `unreadable`.
    key: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endorsement: Option<EndorsementJson>,
}

/// The certificate that a CA of somebody else's has given ours.
#[derive(Serialize)]
struct EndorsementJson {
    issuer: String,
    serial: String,
    not_after: String,
}

/// What is wrong with the certificate that somebody else's CA has given the issuing CA that signs.
///
/// `home` is the flag that names the authority in a next step, if one is needed.
pub(super) fn endorsement(
    authority: &Authority,
    home: &str,
    now: OffsetDateTime,
) -> Option<Finding> {
    let (ca, endorsement) = authority.hierarchy().endorsed(now)?;
    let phase = Phase::at(endorsement.validity, Within::Third, now);
    let is_lacking = authority.hierarchy().lacks_endorsement(now);
    let severity = match phase {
        _ if is_lacking => Severity::Error,
        Phase::Due => Severity::Warning,
        Phase::Expired => Severity::Error,
        _ => return None,
    };
    let (name, issuer) = (
        printable(&ca.facts.common_name),
        printable(&endorsement.issuer()),
    );
    let until = show::date(endorsement.validity.not_after);
    Some(Finding {
        code: "endorsement-due",
        severity,
        message: match severity {
            _ if is_lacking => format!(
                "the issuing CA was certified by nobody else, and the one before it, {name}, by {issuer}"
            ),
            Severity::Error => {
                format!("that {issuer} has certified the issuing CA {name} ended on {until}")
            }
            _ => format!("that {issuer} has certified the issuing CA {name} ends on {until}"),
        },
        hint: format!(
            "pgpki rotate --issuing --issuer-cert FILE --issuer-key FILE{home}, by whoever has that CA's key; without it: \
             pgpki rotate --request-issuing FILE{home}. {}",
            match severity {
                Severity::Error =>
                    "Until then servers have the chain to your own root, and clients that know only the company's refuse them.",
                _ => "Until then no server's certificate lasts longer.",
            }
        ),
    })
}

/// The CAs that count or may have to sign a CRL, in the order in which they were made.
pub(super) fn all(authority: &Authority, now: OffsetDateTime) -> Vec<CaJson> {
    let counts = |ca: &&KnownCa| {
        ca.state != CaState::Pending && !ca.state.is_revoked() && now <= ca.facts.validity.not_after
    };
    let cas = authority.hierarchy().cas().filter(counts);
    cas.map(|ca| CaJson::of(ca, authority.key_place(ca)))
        .collect()
}

impl CaJson {
    fn of(ca: &KnownCa, place: Result<KeyPlace, AuthorityError>) -> Self {
        let (key, uri, reason) = match place {
            Ok(KeyPlace::File) => ("file", None, None),
            Ok(KeyPlace::Encrypted) => ("encrypted", None, None),
            Ok(KeyPlace::Token(uri)) => ("token", Some(uri), None),
            Err(AuthorityError::Ca(
                CaStoreError::NotKept { .. } | CaStoreError::Missing { .. },
            )) => ("elsewhere", None, None),
            Err(error) => ("unreadable", None, Some(error.to_string())),
        };
        Self {
            profile: ca.profile.as_str(),
            subject: ca.facts.common_name.clone(),
            not_after: show::rfc3339(ca.facts.validity.not_after),
            key,
            uri,
            reason,
            endorsement: ca.endorsement.as_ref().map(|it| EndorsementJson {
                issuer: it.issuer(),
                serial: it.serial(),
                not_after: show::rfc3339(it.validity.not_after),
            }),
        }
    }

    /// `issuing  key encrypted  db.example.com issuing CA 1`. The name comes last: it may be of any width.
    pub(super) fn line(&self, out: &mut impl Write) -> io::Result<()> {
        let key = match self.key {
            "file" => "key not encrypted",
            "encrypted" => "key encrypted",
            "token" => "key in a token",
            "elsewhere" => "key elsewhere",
            _ => "key unreadable",
        };
        let (profile, subject) = (self.profile, printable(&self.subject));
        write!(out, "{profile:<8} {key:<17}  {subject}")?;
        if let Some(more) = self.uri.as_ref().or(self.reason.as_ref()) {
            write!(out, "  {}", printable(more))?;
        }
        if let Some(endorsement) = &self.endorsement {
            let until = endorsement.not_after.split('T').next().unwrap_or_default();
            let issuer = printable(&endorsement.issuer);
            write!(out, "  certified by {issuer}  until {until}")?;
        }
        writeln!(out)
    }
}
