//! Whether a certificate is for the host that was asked for, as libpq's `sslmode=verify-full` and
//! rustls see it.

use std::net::IpAddr;

use pgpki_core::document::CertificateFacts;
use pgpki_core::name::Host;

/// Whether a certificate has a host's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostMatch {
    /// It has, in its subjectAltName.
    Yes,
    /// Only libpq thinks so: the name is the common name, or an address stands there as a DNS name.
    LibpqOnly,
    /// It has not.
    No,
}

/// Compares by RFC 6125 as libpq does (PostgreSQL documentation, "SSL Support", on `verify-full`).
/// `*.` stands for exactly one label; a common name counts only for libpq, and only where
/// subjectAltName has no entry of the host's kind.
pub fn host_match(certificate: &CertificateFacts, host: &Host) -> HostMatch {
    let names = &certificate.alternative_names;
    match host {
        Host::Dns(host) => {
            if names.dns.iter().any(|name| dns_match(name, host)) {
                return HostMatch::Yes;
            }
            by_common_name(certificate, host, names.dns.is_empty())
        }
        Host::Ip(address) => {
            if names.ip.contains(address) {
                return HostMatch::Yes;
            }
            let text = address.to_string();
            if names.dns.iter().any(|name| is_address(name, *address)) {
                return HostMatch::LibpqOnly;
            }
            by_common_name(certificate, &text, names.ip.is_empty())
        }
    }
}

fn is_address(name: &str, address: IpAddr) -> bool {
    name.eq_ignore_ascii_case(&address.to_string())
}

fn by_common_name(certificate: &CertificateFacts, host: &str, counts: bool) -> HostMatch {
    let common_name = certificate.common_name.as_deref().unwrap_or_default();
    match counts && !certificate.zero_in_common_name && dns_match(common_name, host) {
        true => HostMatch::LibpqOnly,
        false => HostMatch::No,
    }
}

fn dns_match(pattern: &str, host: &str) -> bool {
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    let Some(parent) = pattern.strip_prefix("*.") else {
        return false;
    };
    host.split_once('.').is_some_and(|(label, rest)| {
        !label.is_empty() && !parent.is_empty() && rest.eq_ignore_ascii_case(parent)
    })
}
