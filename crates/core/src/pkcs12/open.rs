//! Opening a container, for whoever wants what is in it.

use zeroize::Zeroizing;

use super::container::{Bag, Container, Content, broken, outside};
use super::integrity::Mac;
use crate::document::Fault;
use crate::document::encryption::{Opening, Unlocking};
use crate::document::private_key::encrypted_parts;
use crate::key::{KeyError, PrivateKey};

/// What a container holds.
#[derive(Debug)]
pub struct Opened {
    /// The private keys, in order.
    pub keys: Vec<Entry<PrivateKey>>,
    /// The certificates, DER, in order.
    pub certificates: Vec<Entry<Vec<u8>>>,
    /// How many other things are in it: CRLs and secrets, which are passed over.
    pub others: usize,
    /// Whether a MAC shows that nothing in it was changed. Where it has none, what is in it was
    /// merely decrypted.
    pub is_authentic: bool,
}

/// Something in a container, and what it is called there.
#[derive(Debug)]
pub struct Entry<T> {
    /// The friendly name, as it stands there: not for a terminal.
    pub alias: Option<String>,
    /// Octets by which a key and its certificate are seen to belong together.
    pub local_key_id: Option<Vec<u8>>,
    /// What it is.
    pub item: T,
}

/// Why a container could not be opened.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Not a container, or a damaged one.
    #[error("{0}")]
    Malformed(String),
    /// No passphrase was given, and it needs one.
    #[error("it is encrypted, and no passphrase was given")]
    PassphraseNeeded,
    /// Its MAC does not fit, or it cannot be decrypted.
    #[error("the passphrase does not open it, or it is damaged")]
    WrongPassphrase,
    /// By a method that is not supported.
    #[error("its encryption or its MAC is of a kind that is not supported here{0}")]
    Unsupported(
        /// What is known about it, in brackets.
        String,
    ),
    /// Its iteration counts are too large.
    #[error("opening it costs more work than a file may: its iteration counts are too large")]
    TooCostly,
    /// One of its keys is unsound, or of a kind that is not supported.
    #[error("its private key cannot be used: {0}")]
    Key(#[from] KeyError),
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> Self {
        Self::Malformed(fault.to_string())
    }
}

/// Opens a container, DER, and checks its MAC. Where no passphrase is given, the empty one is
/// tried.
///
/// It takes no more than ten million rounds of hashing, whatever the container asks for.
///
/// # Errors
/// It is no container in DER, the passphrase is wrong or missing, or something in it cannot be read
/// or is not supported.
pub fn open(der: &[u8], passphrase: Option<&[u8]>) -> Result<Opened, OpenError> {
    open_with(der, &Unlocking::new(passphrase))
}

/// [`open`], with what work is left for its file.
pub(crate) fn open_with(der: &[u8], unlocking: &Unlocking<'_>) -> Result<Opened, OpenError> {
    Fault::check_length(der)?;
    let (safes, mac) = outside(der).ok_or_else(broken)?;
    let Some(mac) = mac else {
        return take(der, unlocking, false);
    };
    if unlocking.passphrase().is_ok_and(|it| !it.is_empty()) {
        check(&mac, safes, unlocking)?;
        return take(der, unlocking, true);
    }
    // Programs disagree about what it means that there is no passphrase.
    for nothing in [unlocking.empty(), unlocking.absent()] {
        match check(&mac, safes, &nothing) {
            Ok(()) => return take(der, &nothing, true),
            Err(OpenError::WrongPassphrase) => {}
            Err(error) => return Err(error),
        }
    }
    match unlocking.passphrase() {
        Ok(_) => Err(OpenError::WrongPassphrase),
        Err(_) => Err(OpenError::PassphraseNeeded),
    }
}

fn check(mac: &Mac, safes: &[u8], unlocking: &Unlocking<'_>) -> Result<(), OpenError> {
    let unsupported = || " (its MAC)".to_owned();
    mac.check(safes, unlocking)
        .map_err(|opening| refused(opening, unsupported))
}

fn take(der: &[u8], unlocking: &Unlocking<'_>, is_authentic: bool) -> Result<Opened, OpenError> {
    let container = Container::read(der, unlocking)?;
    let methods = || {
        let methods = container.encryption.iter();
        let methods: Vec<_> = methods.map(|it| it.method.as_str()).collect();
        format!(" ({})", methods.join("; "))
    };
    if !container.opening.is_open() {
        return Err(refused(container.opening, methods));
    }
    let mut opened = Opened {
        keys: Vec::new(),
        certificates: Vec::new(),
        others: 0,
        is_authentic,
    };
    for bag in container.bags {
        opened.add(bag, unlocking)?;
    }
    Ok(opened)
}

impl Opened {
    fn add(&mut self, bag: Bag, unlocking: &Unlocking<'_>) -> Result<(), OpenError> {
        let Bag {
            alias,
            local_key_id,
            content,
        } = bag;
        let pkcs8 = match content {
            Content::Certificate(item) => {
                self.certificates.push(Entry {
                    alias,
                    local_key_id,
                    item,
                });
                return Ok(());
            }
            Content::Other => {
                self.others += 1;
                return Ok(());
            }
            Content::Key(pkcs8) => pkcs8,
            Content::LockedKey(locked) => unlocked(&locked, unlocking)?,
        };
        self.keys.push(Entry {
            alias,
            local_key_id,
            item: PrivateKey::from_pkcs8(&pkcs8)?,
        });
        Ok(())
    }
}

fn unlocked(locked: &[u8], unlocking: &Unlocking<'_>) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (scheme, encrypted) = encrypted_parts(locked)?;
    let method = || format!(" ({})", scheme.encryption.method);
    scheme
        .open(encrypted, unlocking)
        .map_err(|opening| refused(opening, method))
}

fn refused(opening: Opening, method: impl FnOnce() -> String) -> OpenError {
    match opening {
        Opening::PassphraseNeeded => OpenError::PassphraseNeeded,
        Opening::Unsupported => OpenError::Unsupported(method()),
        Opening::TooCostly => OpenError::TooCostly,
        Opening::WrongPassphrase | Opening::NotEncrypted | Opening::Opened => {
            OpenError::WrongPassphrase
        }
    }
}
