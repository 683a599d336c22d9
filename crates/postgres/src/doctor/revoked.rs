//! Whether the authority of this machine has revoked what the server has. The CRL beside it may be older than that, and
//! clients check none.

use pgpki_core::finding::Finding;
use pgpki_core::issue::serial_of;

use super::Located;
use super::facts::Facts;

pub(super) fn judge(facts: &Facts) -> Option<Located> {
    let issued = facts.issued.as_ref().ok()?;
    let is_revoked = |der: &[u8]| {
        let serial = serial_of(der).map(|serial| serial.to_string());
        serial.is_some_and(|serial| issued.revoked_servers.contains(&serial))
    };
    let on_disk = facts.files.certificate_document();
    let on_disk = on_disk.and_then(|document| document.certificates().next());
    if on_disk.is_some_and(|leaf| is_revoked(&leaf.der)) {
        let path = &facts.files.certificate.path;
        return Some(Located::in_file(finding("the server's certificate"), path));
    }
    let served = facts.served.as_ref()?.as_ref().ok()?.first()?;
    is_revoked(served).then(|| finding("the certificate that the server serves").into())
}

fn finding(what: &str) -> Finding {
    Finding::error(
        "revoked",
        format!(
            "{what} was revoked: whoever has its key can pass for this server, and no client checks"
        ),
        "pgpki rotate replaces it where it is installed, key and all; for a key that is elsewhere, \
         pgpki sign with a request of a new one.",
    )
}
