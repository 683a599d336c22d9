//! Signing for keys that are elsewhere: whoever sent the request has the key, gets the certificate, and comes again
//! when it is due. No rotation can do that for them, so the folder is no place of the ledger's.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use pgpki_core::issue::{Holder, Issued};
use pgpki_core::serial::Serial;
use pgpki_core::subject_key::SubjectKey;
use pgpki_core::validity::Days;
use pgpki_fs::{FolderState, Owner, Shelf, ShelfError};
use time::OffsetDateTime;

use crate::authority::{Authority, AuthorityError};
use crate::credential::Credential;
use crate::deliver::{DeliverError, check_text};
use crate::ledger::LedgerError;
use crate::uninterrupted::uninterrupted;

/// Why a request was not signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The certificate could not be issued, or not be delivered.
    #[error(transparent)]
    Deliver(#[from] DeliverError),
    /// The folder is there, with something in it.
    #[error("{} is there already", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// Another certificate for it would undo a revocation.
    #[error(
        "its key may be known to others: the certificate {serial} of {common_name:?}, which was for the same key, was \
         revoked for that, or for no reason that was given"
    )]
    Compromised {
        /// The certificate that was revoked.
        serial: Serial,
        /// Whose it was.
        common_name: String,
    },
}

impl From<ShelfError> for SignError {
    fn from(error: ShelfError) -> Self {
        Self::Deliver(error.into())
    }
}

impl From<LedgerError> for SignError {
    fn from(error: LedgerError) -> Self {
        Self::Deliver(error.into())
    }
}

impl From<AuthorityError> for SignError {
    fn from(error: AuthorityError) -> Self {
        Self::Deliver(error.into())
    }
}

/// A certificate that is to be issued for somebody else's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// For whom.
    pub holder: Holder,
    /// The key.
    pub key: SubjectKey,
    /// How long the certificate is to count; `None`: as the settings say.
    pub days: Option<Days>,
    /// The name of the folder that it goes to.
    pub folder: OsString,
}

impl Authority {
    /// Issues what was ordered into a new folder on `shelf`: the certificate with its chain, and what its holder needs
    /// to check the other side. There is no key in it.
    ///
    /// # Errors
    /// Nothing was delivered, except where the error says that a power cut may undo it.
    pub fn sign(
        &mut self,
        order: &Order,
        shelf: &Shelf,
        now: OffsetDateTime,
    ) -> Result<Issued, SignError> {
        self.check_order(order, shelf)?;
        let profile = order.holder.profile();
        let signer = self.signer(profile, now)?;
        let trust = self.trust(profile, now)?;
        let organization = &self.settings().organization;
        let days = order.days.unwrap_or(self.settings().leaf);
        let issued = signer
            .ca
            .issue_leaf(&order.holder, &order.key, organization, now, days);
        let issued = issued.map_err(AuthorityError::from)?;
        let credential = Credential::new(issued, &signer.chain);
        let issued = &credential.issued;
        uninterrupted(|| {
            self.ledger.record_signed(signer.id, issued)?;
            let published = shelf
                .stage(&credential.files(&trust), Owner::caller())
                .and_then(|staged| Ok(staged.sync()?))
                .and_then(|synced| shelf.publish(synced, &order.folder, false));
            if let Err(error) = published {
                let path = shelf.path().join(&order.folder);
                // If this fails as well, the ledger lists a certificate that nobody has.
                let _ = self.ledger.take_back(&[(&path, issued.serial, None)]);
                return Err(error.into());
            }
            // If this fails, the former one is listed as due until it ends, and there is nothing else to it.
            let _ = self.ledger.signed_again(&order.key.to_der(), issued);
            let settled = shelf.settle();
            settled.map_err(|source| DeliverError::NotSettled { source })?;
            Ok::<_, SignError>(())
        })?;
        Ok(credential.issued)
    }

    /// Whether an order can be carried out.
    ///
    /// # Errors
    /// Its key is known to be somebody else's as well; or there is something where its folder is to be, or something is
    /// made there at each rotation.
    pub fn check_order(&self, order: &Order, shelf: &Shelf) -> Result<(), SignError> {
        if let Some((serial, common_name)) = self.ledger.compromised(&order.key.to_der())? {
            return Err(SignError::Compromised {
                serial,
                common_name,
            });
        }
        self.check_folder(shelf, &order.folder)
    }

    fn check_folder(&self, shelf: &Shelf, name: &OsStr) -> Result<(), SignError> {
        let path = shelf.path().join(name);
        check_text(&path)?;
        self.check_shelf(shelf.path())?;
        if let Some(known) = self.ledger.place(&path)? {
            let holder = known.place.holder.to_string();
            return Err(DeliverError::AnotherHolder { path, holder }.into());
        }
        match shelf.folder_state(name)? {
            FolderState::Missing => Ok(()),
            FolderState::Folder { .. } if shelf.folder_is_empty(name)? => Ok(()),
            FolderState::Folder { .. } => Err(SignError::Occupied { path }),
            FolderState::Other(kind) => Err(DeliverError::NotAFolder { path, kind }.into()),
        }
    }
}
