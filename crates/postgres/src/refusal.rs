//! Whether a server refuses a client's certificate because it was revoked.

use std::thread;
use std::time::{Duration, Instant};

use crate::probe::{Cause, ClientCredential, Endpoint, Login, Probe, TlsAlert};

/// How long a server may take to refuse a certificate.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Comes to a server with a certificate that was revoked: whether it is refused for that. Nothing where it is refused for
/// another reason, or the server does not answer. One that takes it is tried again for as long as it may take to load what
/// it was told to.
#[must_use]
pub fn refuses(endpoint: &Endpoint, revoked: &ClientCredential, loading: Duration) -> Option<bool> {
    let login = Login::default();
    let deadline = Instant::now() + loading;
    loop {
        let probe = Probe::new(endpoint).client(revoked, &login);
        let accepts = match probe.run(Instant::now() + PATIENCE) {
            Ok(served) => served.client_certificate.map(|_| true),
            Err(error) => {
                matches!(error.cause, Cause::Alert(TlsAlert::CertificateRevoked)).then_some(false)
            }
        };
        if accepts != Some(true) || Instant::now() + PAUSE >= deadline {
            return accepts.map(|accepts| !accepts);
        }
        thread::sleep(PAUSE);
    }
}
