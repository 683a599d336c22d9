//! The places where credentials live, and what belongs there.

use std::path::{Path, PathBuf};

use pgpki_core::crl::Reason;
use pgpki_core::issue::{Holder, Issued};
use pgpki_core::key::KeyAlgorithm;
use pgpki_core::serial::Serial;
use pgpki_core::validity::{Days, Validity};
use rusqlite::params;

use super::rows::{insert_certificate, insert_place, known_place, replace, serial_at, text};
use super::{CaId, Ledger, LedgerError};
use crate::format::Format;

/// What kind of place a credential lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceKind {
    /// A directory of generations behind a `current` symlink, for a server on this machine.
    Installation,
    /// A plain folder, to be handed over.
    Folder,
}

/// A place where a credential lives, and what belongs there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The installation, or the folder; absolute, without symlinks.
    pub path: PathBuf,
    /// Which of the two.
    pub kind: PlaceKind,
    /// Whom the credential there is for.
    pub holder: Holder,
    /// The kind of key that it gets.
    pub algorithm: KeyAlgorithm,
    /// How long it lasts, where that differs from the settings.
    pub days: Option<Days>,
    /// In which formats a folder has it; nothing but libpq's own in an installation.
    pub formats: Vec<Format>,
    /// The user that owns the files.
    pub owner: pgpki_fs::Owner,
    /// The file with the passphrase of a server's key, where that is to be encrypted.
    pub passphrase_file: Option<PathBuf>,
}

impl Place {
    /// Whether only a person can renew what is there, because nobody else knows its passphrase.
    pub fn needs_a_person(&self) -> bool {
        self.formats.iter().any(|format| format.needs_passphrase())
    }
}

/// A place with the certificate that belongs there. It is recorded before it is put there, so a
/// run that was killed may have left an older one: what the place really holds is for whoever
/// looks to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPlace {
    /// The place.
    pub place: Place,
    /// The certificate's serial number.
    pub serial: Serial,
    /// The CA that signed it.
    pub issuer: CaId,
    /// From when until when it counts.
    pub validity: Validity,
}

impl Ledger {
    /// Records certificates and the places that they are about to go to, in one transaction. What
    /// belonged there before counts as replaced.
    pub(crate) fn record(
        &mut self,
        issuer: CaId,
        issued: &[(&Issued, &Place)],
    ) -> Result<(), LedgerError> {
        self.transaction(|t| {
            for (certificate, place) in issued {
                let handed_over = place.kind == PlaceKind::Folder;
                insert_certificate(t, Some(issuer), certificate, handed_over)?;
                replace(t, &place.path)?;
                insert_place(t, place, certificate.serial)?;
            }
            Ok(())
        })
    }

    /// Records a certificate whose key is elsewhere. It belongs to no place: whoever has the key puts it there.
    pub(crate) fn record_signed(
        &mut self,
        issuer: CaId,
        issued: &Issued,
    ) -> Result<(), LedgerError> {
        self.transaction(|t| insert_certificate(t, Some(issuer), issued, true))
    }

    /// Notes that `issued` goes beside the very key (`SubjectPublicKeyInfo`, DER) that its holder's former certificates,
    /// as [`Ledger::record_signed`] has recorded them, were for.
    pub(crate) fn signed_again(&mut self, key: &[u8], issued: &Issued) -> Result<(), LedgerError> {
        self.transaction(|t| {
            t.execute(
                "UPDATE certificates SET replaced = 1
                 WHERE common_name = ?1 AND profile = ?2 AND serial <> ?3 AND handed_over AND instr(der, ?4)
                       AND serial NOT IN (SELECT serial FROM places)",
                params![
                    issued.common_name,
                    issued.profile.as_str(),
                    issued.serial.as_bytes(),
                    key
                ],
            )?;
            Ok(())
        })
    }

    /// A certificate for this key (`SubjectPublicKeyInfo`, DER) that was revoked because somebody else may have the key,
    /// or for no reason that was given; and its common name.
    pub(crate) fn compromised(&self, key: &[u8]) -> Result<Option<(Serial, String)>, LedgerError> {
        let found = self.query(
            "SELECT c.serial, c.common_name FROM revocations r JOIN certificates c ON c.serial = r.serial
             WHERE ifnull(r.reason, ?1) IN (?1, ?2) AND instr(c.der, ?3) LIMIT 1",
            params![
                Reason::KeyCompromise.code(),
                Reason::CaCompromise.code(),
                key
            ],
            |row| Ok((Serial::from_bytes(row.get(0)?), row.get(1)?)),
        )?;
        Ok(found.into_iter().next())
    }

    /// Takes back what was recorded for places that their certificates did not reach: each again
    /// has the certificate that it had before, or is forgotten. A place that another run has given
    /// a newer certificate meanwhile is left to it.
    pub(crate) fn take_back(
        &mut self,
        places: &[(&Path, Serial, Option<&KnownPlace>)],
    ) -> Result<(), LedgerError> {
        self.transaction(|t| {
            for (path, serial, before) in places {
                let (path, serial) = (text(path), serial.as_bytes());
                t.execute(
                    "UPDATE certificates SET replaced = 1, handed_over = 0 WHERE serial = ?1",
                    [serial],
                )?;
                let taken = t.execute(
                    "DELETE FROM places WHERE path = ?1 AND serial = ?2",
                    params![path, serial],
                )?;
                if let (1, Some(known)) = (taken, before) {
                    insert_place(t, &known.place, known.serial)?;
                    t.execute(
                        "UPDATE certificates SET replaced = 0 WHERE serial = ?1",
                        [known.serial.as_bytes()],
                    )?;
                }
            }
            Ok(())
        })
    }

    /// Every place that the ledger knows, by path.
    pub fn places(&self) -> Result<Vec<KnownPlace>, LedgerError> {
        self.query(
            "SELECT p.path, p.kind, p.profile, p.common_name, p.hosts, p.algorithm, p.days,
                    p.uid, p.gid, p.serial, c.issuer, c.not_before, c.not_after, p.formats,
                    p.passphrase_file
             FROM places p JOIN certificates c ON c.serial = p.serial ORDER BY p.path",
            [],
            known_place,
        )
    }

    /// The place with this path.
    pub fn place(&self, path: &Path) -> Result<Option<KnownPlace>, LedgerError> {
        if serial_at(&self.connection, path)
            .map_err(self.at())?
            .is_none()
        {
            return Ok(None);
        }
        let found = self.query(
            "SELECT p.path, p.kind, p.profile, p.common_name, p.hosts, p.algorithm, p.days,
                    p.uid, p.gid, p.serial, c.issuer, c.not_before, c.not_after, p.formats,
                    p.passphrase_file
             FROM places p JOIN certificates c ON c.serial = p.serial WHERE p.path = ?1",
            [text(path)],
            known_place,
        )?;
        Ok(found.into_iter().next())
    }
}

impl PlaceKind {
    /// The name used in the ledger and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Installation => "installation",
            Self::Folder => "folder",
        }
    }
}

/// A name that is no [`PlaceKind`].
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no kind of place")]
pub struct UnknownPlaceKind(String);

impl std::str::FromStr for PlaceKind {
    type Err = UnknownPlaceKind;

    fn from_str(text: &str) -> Result<Self, UnknownPlaceKind> {
        match text {
            "installation" => Ok(Self::Installation),
            "folder" => Ok(Self::Folder),
            other => Err(UnknownPlaceKind(other.to_owned())),
        }
    }
}
