//! What PKCS#12 containers are encrypted with.

use std::collections::HashMap;

use pgpki_authority::Passphrases;
use pgpki_authority::ledger::Place;
use pgpki_core::issue::Holder;
use pgpki_core::name::Role;

use crate::args::Formats;
use crate::exit::Failure;
use crate::passphrase::{self, New};

/// The passphrases of the containers that are made: one for all that a person gives, one for each role that is
/// generated.
pub(super) struct Sealed {
    all: Option<New>,
    each: HashMap<Role, New>,
}

impl Sealed {
    pub(super) fn new(args: &Formats, roles: &[Role]) -> Result<Self, Failure> {
        let mut sealed = Self {
            all: None,
            each: HashMap::new(),
        };
        if !args.is_sealed()? {
            return Ok(sealed);
        }
        if args.passphrase.generate_passphrase {
            for role in roles {
                sealed.each.insert(role.clone(), passphrase::generated()?);
            }
        } else {
            sealed.all = Some(passphrase::for_pkcs12(&args.passphrase)?);
        }
        Ok(sealed)
    }

    /// Shows those that were generated, in the order of their names.
    pub(super) fn show(&self) -> Result<(), Failure> {
        let mut each: Vec<_> = self.each.iter().collect();
        each.sort_by_key(|(role, _)| role.as_str());
        each.iter()
            .try_for_each(|(role, new)| new.show(role.as_str()))
    }
}

impl Passphrases for Sealed {
    fn of(&self, place: &Place) -> Option<&str> {
        let own = match &place.holder {
            Holder::Client(role) => self.each.get(role),
            Holder::Server(_) => None,
        };
        own.or(self.all.as_ref()).and_then(New::as_text)
    }
}
