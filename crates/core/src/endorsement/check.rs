//! Whether a CA may stand above our leaves, in the eyes of those who connect to them: OpenSSL, and with it libpq, Java and Go.

use time::OffsetDateTime;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::prelude::X509Certificate;

use super::EndorsementError;
use crate::document::text::{short_name, value_as_text};
use crate::document::{CertificateFacts, KeyKind, Strength};
use crate::issue::parse;
use crate::name::Host;
use crate::name_constraints::is_readable;

/// What OpenSSL's security level 2, Debian's default, demands of RSA.
const MIN_RSA_BITS: usize = 2048;

/// The extensions that may be critical: those that OpenSSL knows in a CA's certificate (`X509_supported_extension`). What is known
/// here beside them, such as authorityInfoAccess, clients refuse where it is critical.
const MAY_BE_CRITICAL: [&str; 11] = [
    "2.5.29.15",             // keyUsage
    "2.5.29.17",             // subjectAltName
    "2.5.29.19",             // basicConstraints
    "2.5.29.30",             // nameConstraints
    "2.5.29.31",             // cRLDistributionPoints
    "2.5.29.32",             // certificatePolicies
    "2.5.29.33",             // policyMappings
    "2.5.29.36",             // policyConstraints
    "2.5.29.37",             // extKeyUsage
    "2.5.29.54",             // inhibitAnyPolicy
    "2.16.840.1.113730.1.1", // Netscape's certificate type
];

/// Whether a CA may stand above our leaves with so many CAs below it.
pub(super) fn check(
    ca: &CertificateFacts,
    below: usize,
    now: OffsetDateTime,
) -> Result<(), EndorsementError> {
    let name = || ca.title();
    if !ca.is_ca {
        return Err(EndorsementError::NotACa(name()));
    }
    if !ca.may("keyCertSign") {
        return Err(EndorsementError::NoCertSign(name()));
    }
    if let Some(limit) = ca.path_length
        && usize::try_from(limit).is_ok_and(|limit| limit < below)
    {
        return Err(EndorsementError::PathLength {
            name: name(),
            limit,
            needed: below,
        });
    }
    // OpenSSL does not take anyExtendedKeyUsage for it, nor does webpki.
    if ca.purposes.as_ref().is_some_and(|it| !it.server) {
        return Err(EndorsementError::NotForServers(name()));
    }
    let validity = ca.validity;
    if !(validity.not_before..=validity.not_after).contains(&now) {
        return Err(EndorsementError::NotValid {
            name: name(),
            not_before: validity.not_before,
            not_after: validity.not_after,
            now,
        });
    }
    check_extensions(ca, below)?;
    match &ca.public_key.kind {
        KeyKind::Rsa { bits } if *bits < MIN_RSA_BITS => Err(EndorsementError::Weak {
            name: name(),
            why: format!("its key is RSA with {bits} bits"),
        }),
        _ => Ok(()),
    }
}

fn check_extensions(ca: &CertificateFacts, below: usize) -> Result<(), EndorsementError> {
    let unusable = |extension: String| EndorsementError::Extension {
        name: ca.title(),
        extension,
    };
    if let Some(extension) = ca.unusable_extensions.first() {
        return Err(unusable(extension.clone()));
    }
    let parsed = parse(&ca.der)?;
    if parsed.subject().iter_rdn().next().is_none() {
        return Err(EndorsementError::NoSubject);
    }
    for extension in parsed.extensions() {
        let oid = extension.oid.to_id_string();
        if extension.critical && !MAY_BE_CRITICAL.contains(&&*oid) {
            return Err(unusable(format!("{oid} (critical)")));
        }
        check_content(ca, extension, below)?;
    }
    Ok(())
}

fn check_content(
    ca: &CertificateFacts,
    extension: &X509Extension<'_>,
    below: usize,
) -> Result<(), EndorsementError> {
    match extension.parsed_extension() {
        ParsedExtension::NameConstraints(_) if !is_readable(extension.value) => {
            Err(EndorsementError::Constraints(ca.title()))
        }
        // RFC 5280 section 6.1: it counts down with each certificate below it, the leaf included, and a root's does not count.
        ParsedExtension::PolicyConstraints(constraints)
            if !ca.self_signed
                && (constraints.require_explicit_policy).is_some_and(|skipped| {
                    usize::try_from(skipped).is_ok_and(|it| it <= below + 1)
                }) =>
        {
            Err(EndorsementError::DemandsPolicy(ca.title()))
        }
        _ => Ok(()),
    }
}

/// A root's own signature proves nothing, and nobody checks it.
pub(super) fn check_signature(ca: &CertificateFacts) -> Result<(), EndorsementError> {
    match ca.signature_strength {
        Strength::Broken => Err(EndorsementError::Weak {
            name: ca.title(),
            why: format!("it is signed with {}", ca.signature_algorithm),
        }),
        Strength::Unknown => Err(EndorsementError::Unchecked {
            name: ca.title(),
            algorithm: ca.signature_algorithm.clone(),
        }),
        Strength::Sound | Strength::NoDigest => Ok(()),
    }
}

/// Whether a certificate means this one, if it says which one has signed it: OpenSSL's `X509_check_akid`.
pub(super) fn names_as_issuer(certificate: &CertificateFacts, issuer: &CertificateFacts) -> bool {
    if let (Some(named), Some(own)) = (&certificate.authority_key_id, &issuer.subject_key_id)
        && named != own
    {
        return false;
    }
    let (Ok(certificate), Ok(issuer)) = (parse(&certificate.der), parse(&issuer.der)) else {
        return false;
    };
    let mut extensions = certificate.extensions().iter();
    let named = extensions.find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(named) => Some(named),
        _ => None,
    });
    let Some(named) = named else {
        return true;
    };
    let mut names = named.authority_cert_issuer.iter().flatten();
    let above = names.find_map(|name| match name {
        GeneralName::DirectoryName(name) => Some(name.as_raw()),
        _ => None,
    });
    (named.authority_cert_serial).is_none_or(|serial| serial == issuer.raw_serial())
        && above.is_none_or(|above| above == issuer.issuer().as_raw())
}

/// What our issuing CA needs, beyond what every CA does as well.
pub(super) fn check_issuing(
    answer: &CertificateFacts,
    now: OffsetDateTime,
) -> Result<(), EndorsementError> {
    check(answer, 0, now)?;
    check_signature(answer)?;
    let not_issuing = |why: &str| {
        Err(EndorsementError::NotIssuing {
            name: answer.title(),
            why: why.to_owned(),
        })
    };
    if answer.self_signed {
        return not_issuing("it is signed with its own key");
    }
    if !answer.may("cRLSign") {
        return not_issuing("its keyUsage has no cRLSign");
    }
    if answer.path_length != Some(0) {
        return not_issuing("its path length is not 0, and it could make further CAs");
    }
    if answer.common_name.as_deref().is_none_or(str::is_empty) {
        return not_issuing("its subject has no common name");
    }
    if answer.subject == answer.issuer {
        return not_issuing("it has the name of the CA that signed it");
    }
    match unprintable(&parse(&answer.der)?) {
        Some(why) => not_issuing(&why),
        None => Ok(()),
    }
}

/// What PostgreSQL could not print of the subject. It prints a client's issuer for `pg_stat_ssl` as soon as the client is in, and
/// ends the session if it cannot (`X509_NAME_to_cstring` in be-secure-openssl.c).
fn unprintable(certificate: &X509Certificate<'_>) -> Option<String> {
    certificate.subject().iter_attributes().find_map(|attribute| {
        let oid = attribute.attr_type().to_id_string();
        if short_name(&oid).is_none() {
            return Some(format!(
                "its subject has an attribute {oid} that is not known here, and with one that OpenSSL does not know PostgreSQL \
                 refuses every client"
            ));
        }
        let text = value_as_text(attribute.attr_value());
        let is_plain = text.is_some_and(|text| !text.chars().any(char::is_control));
        (!is_plain).then(|| "its subject has control characters, or something that is no text".to_owned())
    })
}

/// The hosts among the other names of a CA, which it is held to as well.
pub(super) fn names_of(certificate: &X509Certificate<'_>) -> Vec<Host> {
    let names = certificate
        .extensions()
        .iter()
        .filter_map(|it| match it.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        });
    let host = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => name.parse::<Host>().ok(),
        GeneralName::IPAddress(octets) => {
            let four = <[u8; 4]>::try_from(*octets).map(std::net::IpAddr::from);
            let sixteen = <[u8; 16]>::try_from(*octets).map(std::net::IpAddr::from);
            four.or(sixteen).ok().map(Host::Ip)
        }
        _ => None,
    };
    names.flatten().filter_map(host).collect()
}
