//! What is served, against what is on disk.

use pgpki_core::document::printable;
use pgpki_core::finding::{Finding, Severity};

use super::Located;
use super::facts::{Facts, NotServed};
use crate::probe::{Comparison, compare};

pub(super) fn judge(facts: &Facts) -> Option<Located> {
    let file = &facts.files.certificate;
    match facts.served.as_ref()? {
        Err(NotServed::NotAsked(_)) => None,
        Err(NotServed::Refused(unseen)) => Some(
            Finding::new(
                Severity::Error,
                "not-served",
                format!(
                    "TLS is on, and no handshake came about: {}",
                    printable(&unseen.why)
                ),
                &unseen.hint,
            )
            .into(),
        ),
        Ok(served) => {
            let document = facts.files.certificate_document()?;
            let on_disk: Vec<_> = document.certificates().map(|it| it.der.clone()).collect();
            let served = without_completion(served, &on_disk, facts);
            let Comparison::Differs(difference) = compare(served, &on_disk) else {
                return None;
            };
            let finding = Finding::warning(
                "served-differs",
                difference.to_string(),
                "Reload the server; if it still serves the old one, its log says why the new one \
                 was not loaded.",
            );
            Some(Located::in_file(finding, &file.path))
        }
    }
}

/// The server completes a chain that is too short from `ssl_ca_file`; that is a finding about the
/// file, and no sign of another one.
fn without_completion<'a>(
    served: &'a [Vec<u8>],
    on_disk: &[Vec<u8>],
    facts: &Facts,
) -> &'a [Vec<u8>] {
    let is_known = |der: &Vec<u8>| {
        let document = facts.files.ca_document();
        document.is_some_and(|it| it.certificates().any(|ca| ca.der == *der))
    };
    match served.split_at_checked(on_disk.len()) {
        Some((own, rest)) if rest.iter().all(is_known) => own,
        _ => served,
    }
}
