//! A token in its slot: which one a URI means, and logging in to it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use cryptoki::error::{Error as Refusal, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;

use crate::error::{Call, Error, TriesLeft};
use crate::module::Module;
use crate::uri::{Property, Uri};

/// A token that is there.
#[derive(Clone)]
pub struct Token {
    module: Module,
    slot: Slot,
    /// What there is to know of it: label, serial number, manufacturer and model.
    info: TokenInfo,
    session: Arc<Mutex<Session>>,
    /// What it said when it was lost. It is not asked again by this process.
    lost: Arc<OnceLock<Error>>,
}

/// The one token that a URI means.
pub(crate) fn find(module: &Module, uri: &Uri) -> Result<Token, Error> {
    let context = module.context();
    let slots = context.get_slots_with_token();
    let slots = slots.map_err(|error| module.slots_error(error))?;
    // One that is being pulled out, or does not answer, is none of those that can be meant.
    let asked = slots.into_iter().filter_map(|slot| {
        let info = context.get_token_info(slot).ok()?;
        info.token_initialized().then_some((slot, info))
    });
    let all: Vec<(Slot, TokenInfo)> = asked.collect();
    let list = |tokens: &[(Slot, TokenInfo)]| -> Vec<String> {
        let each = tokens.iter();
        each.map(|(slot, info)| describe(*slot, info)).collect()
    };
    let is_meant = |(slot, info): &&(Slot, TokenInfo)| matches(module, *slot, info, uri);
    let meant: Vec<(Slot, TokenInfo)> = all.iter().filter(is_meant).cloned().collect();
    let uri = || Box::new(uri.clone());
    match <[_; 1]>::try_from(meant) {
        Ok([(slot, info)]) => Token::open(module, slot, info),
        Err(none) if none.is_empty() => Err(Error::NoToken {
            uri: uri(),
            there: list(&all),
        }),
        Err(several) => Err(Error::SeveralTokens {
            uri: uri(),
            there: list(&several),
        }),
    }
}

fn matches(module: &Module, slot: Slot, info: &TokenInfo, uri: &Uri) -> bool {
    if uri.slot.is_some_and(|number| number != slot.id()) {
        return false;
    }
    uri.properties().iter().all(|(property, wanted)| {
        let slot_info = || module.context().get_slot_info(slot).ok();
        let library = || module.context().get_library_info().ok();
        let has = |text: &str| text == wanted;
        match property {
            Property::Token => has(info.label()),
            Property::Serial => has(info.serial_number()),
            Property::Manufacturer => has(info.manufacturer_id()),
            Property::Model => has(info.model()),
            Property::SlotDescription => slot_info().is_some_and(|it| has(it.slot_description())),
            Property::SlotManufacturer => slot_info().is_some_and(|it| has(it.manufacturer_id())),
            Property::LibraryDescription => {
                library().is_some_and(|it| has(it.library_description()))
            }
            Property::LibraryManufacturer => library().is_some_and(|it| has(it.manufacturer_id())),
        }
    })
}

fn describe(slot: Slot, info: &TokenInfo) -> String {
    let (label, serial) = (info.label(), info.serial_number());
    let (manufacturer, model) = (info.manufacturer_id(), info.model());
    format!(
        "token {label:?} with serial {serial:?}, {manufacturer} {model}, in slot {}",
        slot.id()
    )
}

impl Token {
    fn open(module: &Module, slot: Slot, info: TokenInfo) -> Result<Self, Error> {
        let session = module.context().open_ro_session(slot);
        let session = session.map_err(|error| module.slots_error(error))?;
        Ok(Self {
            module: module.clone(),
            slot,
            info,
            session: Arc::new(Mutex::new(session)),
            lost: Arc::default(),
        })
    }

    /// Whether it asks for its PIN by itself, with keys of its own.
    #[must_use]
    pub fn has_pin_pad(&self) -> bool {
        self.info.protected_authentication_path()
    }

    /// Whether nothing can be done in it without a PIN.
    #[must_use]
    pub fn needs_login(&self) -> bool {
        self.info.login_required()
    }

    /// Logs in, once; nothing is tried again. `pin` is `None` for a token with a PIN pad. What `is_from_file` is not tried
    /// if it could be the last try: it would lock the token in the middle of a night.
    ///
    /// # Errors
    /// The PIN is wrong or locked, or the token refuses for another reason.
    pub fn log_in(&self, pin: Option<&[u8]>, is_from_file: bool) -> Result<(), Error> {
        let token = || self.to_string();
        let now = self.module.context().get_token_info(self.slot);
        let now = now.map_err(|error| self.refused(error))?;
        if now.user_pin_locked() {
            return Err(Error::Locked { token: token() });
        }
        if !now.user_pin_initialized() && !self.has_pin_pad() {
            return Err(Error::NoPinSet { token: token() });
        }
        if now.user_pin_final_try() && is_from_file {
            return Err(Error::LastTry { token: token() });
        }
        let pin = pin.map(|pin| std::str::from_utf8(pin).map(AuthPin::from));
        let pin = pin.transpose().map_err(|_| Error::PinNotText)?;
        let answer = self.session()?.login(UserType::User, pin.as_ref());
        match answer {
            Ok(()) | Err(Refusal::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            // Some tell a PIN of an impossible length apart: for a person that is a wrong one.
            Err(Refusal::Pkcs11(
                RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange,
                _,
            )) => Err(Error::WrongPin {
                token: token(),
                left: self.tries_left(),
            }),
            Err(Refusal::Pkcs11(RvError::PinLocked, _)) => Err(Error::Locked { token: token() }),
            Err(error) => Err(Error::Login {
                token: token(),
                call: error.into(),
            }),
        }
    }

    fn tries_left(&self) -> TriesLeft {
        match self.module.context().get_token_info(self.slot) {
            Ok(info) if info.user_pin_locked() => TriesLeft::None,
            Ok(info) if info.user_pin_final_try() => TriesLeft::One,
            Ok(info) if info.user_pin_count_low() => TriesLeft::Fewer,
            _ => TriesLeft::Unknown,
        }
    }

    /// A URI that means this token and no other, in this module.
    #[must_use]
    pub fn uri(&self) -> Uri {
        let mut uri = Uri {
            module_path: Some(self.module.path().to_owned()),
            ..Uri::default()
        };
        uri.set(Property::Token, self.info.label());
        uri.set(Property::Serial, self.info.serial_number());
        uri.set(Property::Manufacturer, self.info.manufacturer_id());
        uri.set(Property::Model, self.info.model());
        uri
    }

    /// Its session. Who is logged in is the same in every session of a process.
    ///
    /// # Errors
    /// It was lost before.
    pub(crate) fn session(&self) -> Result<MutexGuard<'_, Session>, Error> {
        // What is in it is a number, which is good whoever has panicked meanwhile.
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        // Only now: whoever had it before may have lost the token.
        match self.lost.get() {
            Some(lost) => Err(lost.clone()),
            None => Ok(session),
        }
    }

    /// A session in which objects can be made.
    pub(crate) fn writing(&self) -> Result<Session, Refusal> {
        self.module.context().open_rw_session(self.slot)
    }

    /// What the token says no to.
    pub(crate) fn refused(&self, error: Refusal) -> Error {
        let call = Call::from(error);
        let token = self.to_string();
        match call.is_loss() {
            true => self
                .lost
                .get_or_init(|| Error::Lost { token, call })
                .clone(),
            false => Error::Refused { token, call },
        }
    }
}

impl fmt::Display for Token {
    /// `token "vault"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token {:?}", self.info.label())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&describe(self.slot, &self.info))
    }
}
