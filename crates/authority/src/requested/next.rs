//! The same for the next issuing CA of an authority that is there: the key waits in the home.

use std::path::PathBuf;

use pgpki_core::ca_key::CaKey;
use pgpki_core::endorsement::{EndorsementError, IssuerChain};
use pgpki_core::issue::is_certificate_of;
use pgpki_core::key::KeyError;
use pgpki_core::profile::Profile;
use pgpki_core::request::{self, PEM_LABEL};
use pgpki_fs::{NewPrivateDir, PrivateDir, PrivateError, WalkError};
use time::OffsetDateTime;

use super::{MAX_BYTES, REQUEST, RequestedError, discard, is_spent, key_in_token, open_key, write};
use crate::authority::{Authority, AuthorityError};
use crate::ca_store::{KEY, KeptKey};
use crate::endorsing::{Answered, Chains};
use crate::ledger::CaState;

/// Where it waits within the home.
const NEXT: &str = "next";

/// A request for the next issuing CA that has no name yet. Dropping it removes it.
#[must_use = "dropping it removes it"]
pub struct NextRequest {
    /// Its directory.
    pub staged: NewPrivateDir,
    /// The request, PEM.
    pub text: String,
    /// The common name that it asks for.
    pub name: String,
}

/// A request whose answer must not be used.
#[derive(Debug)]
pub struct GivenUp {
    /// Where it waited. It is gone.
    pub path: PathBuf,
    /// The URI of its key, if that is in a token, where it stays.
    pub key: Option<String>,
}

/// What became of an answer.
pub enum NextAnswer {
    /// It is good.
    Good(Box<Answered>),
    /// It was taken by a run that was killed before it could say so.
    Taken,
}

impl Authority {
    /// Where a request for the next issuing CA waits for its answer.
    #[must_use]
    pub fn next_request(&self) -> PathBuf {
        self.home().join(NEXT)
    }

    /// The request for the next issuing CA that waits for its answer, PEM; empty where it is damaged.
    ///
    /// # Errors
    /// Its directory is not ours alone, or a system call failed.
    pub fn waiting_request(&self) -> Result<Option<Vec<u8>>, AuthorityError> {
        let dir = match PrivateDir::open(&self.next_request()) {
            Err(PrivateError::Directory(WalkError::Missing { .. })) => return Ok(None),
            opened => opened?,
        };
        if is_spent(&dir)? {
            return Ok(None);
        }
        Ok(Some(dir.read(REQUEST, MAX_BYTES)?.unwrap_or_default()))
    }

    /// Makes the key of the next issuing CA, and a request with it. The authority is open alone.
    ///
    /// # Errors
    /// One waits already; the issuing CA needs nobody else to certify it; or the key cannot be made.
    pub fn request_next(&self, now: OffsetDateTime) -> Result<NextRequest, RequestedError> {
        let Some((ca, _)) = self.hierarchy.endorsed(now) else {
            return Err(RequestedError::not_endorsed(self, now));
        };
        debug_assert!(ca.profile == Profile::Issuing);
        let path = self.next_request();
        match PrivateDir::open(&path) {
            Err(PrivateError::Directory(WalkError::Missing { .. })) => {}
            opened => {
                let dir = opened.map_err(AuthorityError::from)?;
                if !is_spent(&dir)? {
                    return Err(RequestedError::Waits { path });
                }
                discard(dir)?;
            }
        }
        let staged = PrivateDir::stage_new(&path).map_err(AuthorityError::from)?;
        let settings = &self.settings;
        let number = self.ledger.number_of_cas(Profile::Issuing);
        let number = number.map_err(AuthorityError::from)? + 1;
        let name = format!("{} issuing CA {number}", settings.name);
        let passphrase = self.passphrase_of_the_next(Profile::Issuing)?;
        let passphrase = passphrase.as_ref().map(|bytes| bytes.as_slice());
        let (key, kept) = self.new_key(Profile::Issuing, passphrase, &name)?;
        let organization = &settings.organization;
        let request = request::make_issuing(&key, organization, &name, &settings.permitted);
        let request = request.map_err(AuthorityError::from)?;
        let text = pgpki_core::pem(PEM_LABEL, &request);
        write(staged.dir(), &kept, &text)?;
        Ok(NextRequest { staged, text, name })
    }

    /// Takes the answer: our certificate, and with it, or in `beside`, those of the CAs above it.
    ///
    /// # Errors
    /// No request waits, its key cannot be had, or the answer is none for it.
    pub fn next_answer(
        &self,
        file: &[u8],
        beside: &[u8],
        now: OffsetDateTime,
    ) -> Result<NextAnswer, RequestedError> {
        let Some((key, kept)) = self.next_key()? else {
            return Ok(NextAnswer::Taken);
        };
        let public = key.public_key();
        let mut cas = self.hierarchy.cas();
        let is_it = |certificate: &[u8]| is_certificate_of(certificate, &public);
        if cas.any(|ca| ca.state != CaState::Pending && is_it(&ca.certificate)) {
            return Ok(NextAnswer::Taken);
        }
        let (certificate, chains) =
            IssuerChain::read_answer(file, beside, &public, &self.settings.permitted, now)?;
        Ok(NextAnswer::Good(Box::new(Answered {
            key,
            kept,
            certificate,
            chains: Chains::new(chains).ok_or(EndorsementError::NoCertificate)?,
        })))
    }

    /// Nothing where a run was killed that had taken it, and was removing it.
    fn next_key(&self) -> Result<Option<(CaKey, KeptKey)>, RequestedError> {
        let path = self.next_request();
        let dir = match PrivateDir::open(&path) {
            Err(PrivateError::Directory(WalkError::Missing { .. })) => {
                return Err(RequestedError::NothingWaits { path });
            }
            opened => opened.map_err(AuthorityError::from)?,
        };
        if is_spent(&dir)? {
            return Ok(None);
        }
        // However it has waited, it is kept from now on as that of the CA before it.
        let passphrase = match dir.has_secret(KEY).map_err(AuthorityError::from)? {
            true => self.passphrase_of_the_next(Profile::Issuing)?,
            false => None,
        };
        let passphrase = passphrase.as_ref().map(|bytes| bytes.as_slice());
        let opened = match open_key(&dir, &self.hardware, passphrase) {
            Err(RequestedError::Key {
                path,
                source: KeyError::PassphraseNeeded,
            }) => {
                let passphrase = self.issuing.passphrase(&path);
                let passphrase = passphrase.map_err(AuthorityError::from)?;
                open_key(&dir, &self.hardware, Some(&passphrase))
            }
            opened => opened,
        };
        match opened {
            Err(RequestedError::Key {
                path,
                source: KeyError::WrongPassphrase,
            }) => Err(AuthorityError::from(self.issuing.wrong_passphrase(path)).into()),
            opened => opened.map(Some),
        }
    }

    /// Gives up the request for the next issuing CA, if one waits, and removes what killed runs have left of others: their
    /// keys lay beside one that was stolen.
    pub(crate) fn give_up_next_request(&self) -> Result<Option<GivenUp>, AuthorityError> {
        let path = self.next_request();
        let mut given_up = None;
        match PrivateDir::open(&path) {
            Err(PrivateError::Directory(WalkError::Missing { .. })) => {}
            opened => {
                let dir = opened?;
                given_up = (!is_spent(&dir)?).then(|| GivenUp {
                    key: key_in_token(&path),
                    path: path.clone(),
                });
                discard(dir)?;
            }
        }
        PrivateDir::remove_unfinished(&path)?;
        Ok(given_up)
    }

    /// Removes what killed runs have left beside its key.
    pub(crate) fn sweep_request(&self) -> Result<usize, AuthorityError> {
        match PrivateDir::open(&self.next_request()) {
            Ok(dir) => Ok(dir.sweep()?.removed),
            // What is wrong with it matters to whoever takes the answer.
            Err(_) => Ok(0),
        }
    }

    /// Removes the request, its key included: it has become that of an issuing CA.
    ///
    /// # Errors
    /// A system call failed.
    pub fn forget_next_request(&self) -> Result<(), AuthorityError> {
        discard(PrivateDir::open(&self.next_request())?)
    }
}
