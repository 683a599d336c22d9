//! The roots that this machine trusts.

/// The certificates (DER) of the system's trust store, which libpq uses with
/// `sslrootcert=system`: `SSL_CERT_FILE` and `SSL_CERT_DIR`, or where OpenSSL keeps them. What
/// cannot be read is left out; without a store there are none.
pub fn system_roots() -> Vec<Vec<u8>> {
    let found = rustls_native_certs::load_native_certs().certs;
    found.iter().map(|der| der.as_ref().to_vec()).collect()
}
