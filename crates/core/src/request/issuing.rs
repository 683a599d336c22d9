//! A request for the certificate of an issuing CA, for a CA of somebody else's to answer.

use rcgen::CertificateParams;

use crate::ca_key::CaKey;
use crate::issue::{IssueError, name_constraints, not_signed};
use crate::name::Organization;
use crate::name_constraints::Permitted;
use crate::profile::Profile;

/// Makes a PKCS#10 request (RFC 2986), DER. It asks for what an issuing CA needs: basicConstraints with a path length of
/// 0, keyUsage for certificates and CRLs, and name constraints if there are any.
///
/// # Errors
/// The key cannot be used, or is of a kind that no CA may have.
pub fn make_issuing(
    key: &CaKey,
    organization: &Organization,
    common_name: &str,
    permitted: &Permitted,
) -> Result<Vec<u8>, IssueError> {
    if !key.public_key().may_sign_certificates() {
        return Err(IssueError::Ed25519Ca);
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = organization.with_common_name(common_name);
    Profile::Issuing.apply(&mut params);
    // That is for whoever signs.
    params.use_authority_key_identifier_extension = false;
    params.custom_extensions.extend(name_constraints(permitted));
    let request = params.serialize_request(key);
    let request = request.map_err(|error| not_signed(key, error))?;
    Ok(request.der().to_vec())
}
