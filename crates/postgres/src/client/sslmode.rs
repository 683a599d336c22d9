//! What `sslmode` leaves open (PostgreSQL documentation, "SSL Support", on protection in different
//! modes).

use pgpki_core::finding::Finding;

use super::files::Files;
use super::{Source, SslMode};
use crate::probe::Negotiation;

const STRONG: &str = "Set sslmode=verify-full, in the connection string or with PGSSLMODE.";

pub(super) fn judge(
    mode: SslMode,
    source: Source,
    negotiation: Negotiation,
    files: &Files,
) -> Option<Finding> {
    let word = mode.as_str();
    if mode == SslMode::VerifyFull {
        return None;
    }
    if files.has_system_roots() {
        return Some(Finding::error(
            "sslmode-weak",
            format!(
                "sslrootcert=system goes with verify-full alone, and sslmode is {word}: libpq refuses to connect"
            ),
            STRONG,
        ));
    }
    if negotiation == Negotiation::Direct && mode < SslMode::Require {
        return Some(Finding::error(
            "sslmode-weak",
            format!(
                "sslnegotiation=direct wants at least require, and sslmode is {word}: libpq refuses to connect"
            ),
            STRONG,
        ));
    }
    let checks_chain = files.has_root_file();
    let what = match (mode, checks_chain) {
        (SslMode::Disable, _) => "there is no TLS, and everything can be read on the way",
        (SslMode::Allow, _) => "TLS is used only where the server refuses to do without",
        (SslMode::Prefer, _) => {
            "where TLS does not come about, the connection goes on without it, password and all"
        }
        (SslMode::Require, false) => "whoever answers is taken for the server",
        (SslMode::Require, true) => {
            "as root.crt is there, it counts as verify-ca: any server with a certificate of that \
             CA is taken for this one"
        }
        (SslMode::VerifyCa | SslMode::VerifyFull, _) => {
            "any server with a certificate of that CA is taken for this one, whatever its name"
        }
    };
    Some(Finding::warning(
        "sslmode-weak",
        format!("sslmode is {word} ({source}): {what}"),
        STRONG,
    ))
}
