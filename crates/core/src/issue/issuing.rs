//! Issuing CAs: what a new one is to be, and its certificate.

use rcgen::{CustomExtension, KeyIdMethod};
use time::OffsetDateTime;

use super::{Ca, IssueError, Issued, common_name_of, key_identifier_of, parameters, parse};
use crate::name::Organization;
use crate::name_constraints::Permitted;
use crate::profile::Profile;
use crate::serial::Serial;
use crate::subject_key::SubjectKey;
use crate::validity::{Days, Validity};

/// What a new issuing CA is to be.
#[derive(Clone, Copy, Debug)]
pub struct NewIssuing<'a> {
    /// Its key.
    pub key: &'a SubjectKey,
    /// Its name.
    pub name: CaName<'a>,
    /// For which names it may sign.
    pub permitted: &'a Permitted,
    /// How long it lasts.
    pub days: Days,
    /// When it ends at the latest, if that is before the CA that signs it.
    pub until: Option<OffsetDateTime>,
}

/// The name of a new CA.
#[derive(Clone, Copy, Debug)]
pub enum CaName<'a> {
    /// A common name beside the organization.
    Common(&'a Organization, &'a str),
    /// The subject of this certificate (DER), to the octet, and its subject key identifier.
    Of(&'a [u8]),
}

/// nameConstraints (RFC 5280 section 4.2.1.10).
pub(crate) const NAME_CONSTRAINTS: &[u64] = &[2, 5, 29, 30];

impl Ca {
    /// Signs an issuing CA's certificate. Its end is cut to this CA's own.
    ///
    /// # Errors
    /// This CA does not count at `now`, may not sign for such a name, or could not sign.
    pub fn issue(&self, new: &NewIssuing<'_>, now: OffsetDateTime) -> Result<Issued, IssueError> {
        if !new.key.may_sign_certificates() {
            return Err(IssueError::Ed25519Ca);
        }
        self.check_validity(now)?;
        let serial = Serial::random()?;
        let end = new
            .until
            .map_or(self.not_after(), |until| until.min(self.not_after()));
        let (validity, cut_to_issuer) = Validity::starting(now, new.days).cut_to(end);
        let (mut params, common_name, subject) = match new.name {
            CaName::Common(organization, name) => {
                let params = parameters(Profile::Issuing, organization, name, serial, validity);
                (params, name.to_owned(), None)
            }
            CaName::Of(certificate) => {
                let named = parse(certificate)?;
                let name = common_name_of(&named);
                let none = Organization::default();
                let mut params = parameters(Profile::Issuing, &none, &name, serial, validity);
                // What is signed with the key names one identifier, and both certificates must have it.
                if let Some(id) = key_identifier_of(&named) {
                    params.key_identifier_method = KeyIdMethod::PreSpecified(id);
                }
                (params, name, Some(named.subject().as_raw().to_vec()))
            }
        };
        params
            .custom_extensions
            .extend(name_constraints(new.permitted));
        let der = self.sign_certificate(&params, new.key, subject.as_deref())?;
        let parsed = parse(&der)?;
        for constraints in &self.constraints {
            // A CA's common name is no host name, whatever it looks like.
            constraints.check_certificate(parsed.subject().as_raw(), "", &[])?;
        }
        Ok(Issued {
            serial,
            profile: Profile::Issuing,
            common_name,
            hosts: Vec::new(),
            validity,
            cut_to_issuer,
            der,
        })
    }

    /// Signs an issuing CA's certificate for `key`, which may sign for every name. Its end is cut to this CA's own.
    pub fn issue_ca(
        &self,
        key: &SubjectKey,
        organization: &Organization,
        common_name: &str,
        now: OffsetDateTime,
        days: Days,
    ) -> Result<Issued, IssueError> {
        let new = NewIssuing {
            key,
            name: CaName::Common(organization, common_name),
            permitted: &Permitted::default(),
            days,
            until: None,
        };
        self.issue(&new, now)
    }
}

/// The extension, critical as RFC 5280 wants it.
pub(crate) fn name_constraints(permitted: &Permitted) -> Option<CustomExtension> {
    let content = permitted.to_der()?;
    let mut extension = CustomExtension::from_oid_content(NAME_CONSTRAINTS, content);
    extension.set_criticality(true);
    Some(extension)
}
