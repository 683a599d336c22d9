//! An authority: its keys at rest, its settings, its ledger, and the acts that use all three.
//!
//! Two rules hold here. *No certificate leaves the process before the ledger has it committed*:
//! the only ways to a credential go through [`Authority::install`] and [`Authority::hand_over`],
//! which record it first. *A place is named in the ledger before anything is put there*, so that a
//! run that is killed leaves a trace of what it was about to do, and the next rotation settles it.
//!
//! The clock is an argument everywhere.

mod authority;
mod backup;
mod ca_store;
mod credential;
mod deliver;
mod endorsing;
pub mod format;
mod hand_over;
mod hierarchy;
mod key_change;
pub mod ledger;
mod new_key;
mod next_root;
mod parcel;
pub mod requested;
mod revocation;
mod root_change;
pub mod rotation;
mod secrets;
mod server_passphrase;
mod servers;
pub mod settings;
mod sign;
mod succession;
mod tokens;
mod uninterrupted;
mod witnessed;

pub use authority::{Authority, AuthorityError, Founding};
pub use backup::{BackupError, Found, Remembered, Restored, Seal, Written};
pub use ca_store::CaStoreError;
pub use deliver::{DeliverError, Installed, Live, NoPassphrases, Passphrases, Ready};
pub use endorsing::{Answered, Endorser, Endorsing};
pub use hand_over::{HandOver, OnFailure};
pub use hierarchy::Hierarchy;
pub use key_change::{ChangedKeys, KeyChange, KeyChangeError};
pub use next_root::NextRoot;
pub use parcel::{ParcelError, RecipientError, Recipients};
pub use revocation::Revocation;
pub use root_change::Dependents;
pub use secrets::{GivenSecrets, NoSecrets, SecretError, Secrets};
pub use server_passphrase::{
    ServerPassphraseError, look_at_server_passphrase, prepare_server_passphrase,
    undo_server_passphrase,
};
pub use servers::{Doubt, NoServers, Servers, Session, Sessions, TakenUp, Tried, Unsure};
pub use sign::{Order, SignError};
pub use succession::SuccessionError;
pub use tokens::{Hardware, KeyPlace, NoTokens, Placed, Tokens};
pub use witnessed::Witness;
