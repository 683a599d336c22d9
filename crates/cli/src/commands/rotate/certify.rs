//! Which command takes a step whose issuing CA the company has to certify.

use pgpki_authority::AuthorityError;
use pgpki_authority::rotation::Step;

use crate::args::Rotate;
use crate::exit::{Exit, Failure};

/// The command for whoever has the key of the company's CA; `home` is the flag that names the authority, if one is needed.
pub(super) fn with_key(step: Step, home: &str) -> String {
    let flags = match step {
        Step::Root => "--root",
        // What was stolen is revoked before anybody is asked.
        Step::Issuing | Step::Compromised => "--issuing",
    };
    format!("pgpki rotate {flags} --issuer-cert FILE --issuer-key FILE{home}")
}

/// The two commands for whoever has not.
pub(super) fn with_request(step: Step, home: &str) -> String {
    let flags = match step {
        Step::Root => "--root ",
        // What was stolen is revoked before anybody is asked.
        Step::Issuing | Step::Compromised => "",
    };
    format!(
        "pgpki rotate --request-issuing FILE{home}, and with the answer\n\
         pgpki rotate {flags}--install-issuing FILE --issuer-cert FILE{home}"
    )
}

/// Why a step that was asked for is not taken, and the command that takes it.
pub(super) fn needed(args: &Rotate, step: Step, error: AuthorityError) -> Failure {
    let AuthorityError::EndorsementNeeded { .. } = error else {
        return error.into();
    };
    let home = args.home.flag();
    Failure::new(Exit::Refused, error).hint(format!(
        "Nothing was changed: servers would have a chain that clients do not know. Have the next one certified:\n{}\n\
         or without the company's key: {}",
        with_key(step, &home),
        with_request(step, &home)
    ))
}
