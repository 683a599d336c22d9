//! `pgpki rotate --request-issuing` and `--install-issuing`: the next issuing CA, which the company certifies in its own
//! time.

use std::io::{self, Write};
use std::path::Path;

use pgpki_authority::requested::{NextAnswer, NextRequest, RequestedError};
use pgpki_authority::{Authority, Endorsing};
use time::OffsetDateTime;

use super::secrets;
use crate::Clock;
use crate::args::Rotate;
use crate::exit::{Exit, Failure};
use crate::issuer::{self, Ask};
use crate::show::STRONG;
use crate::tokens::LocalTokens;

/// Makes the next issuing CA's key, and the request that is to be signed.
pub(super) fn request(args: &Rotate, file: &Path, clock: Clock) -> Result<Exit, Failure> {
    let file = issuer::new_file(file)?;
    let hardware =
        LocalTokens::hardware_at_hand(&args.token, None, args.keys.issuing_key.as_deref())?;
    let mut authority = args.home.open_with(&args.token, secrets(args, false)?)?;
    authority.use_hardware(hardware);
    let NextRequest { staged, text, name } = authority.request_next(clock())?;
    issuer::hand_over(&file, &text, staged)?;
    report(&authority, &file, &name, &mut anstream::stdout().lock())?;
    Ok(Exit::Done)
}

fn report(authority: &Authority, file: &Path, name: &str, out: &mut impl Write) -> io::Result<()> {
    let ask = Ask {
        file,
        name,
        permitted: &authority.settings().permitted,
        key: &authority.next_request(),
    };
    ask.print(out)?;
    writeln!(
        out,
        "\nThen, with the certificates of the CAs above it up to their root in one file:\n\
         pgpki rotate --install-issuing issuing.pem --issuer-cert chain.pem\n\
         Until then {STRONG}nothing changes{STRONG:#}: the issuing CA that is there goes on."
    )
}

/// Has the answer's certificate be that of the next issuing CA. Whether it is not there already.
pub(super) fn take(
    args: &Rotate,
    file: &Path,
    authority: &mut Authority,
    now: OffsetDateTime,
) -> Result<bool, Failure> {
    let beside = args.issuer.issuer_cert.as_deref().map(issuer::read);
    let beside = beside.transpose()?.unwrap_or_default();
    let answer = authority.next_answer(&issuer::read(file)?, &beside, now);
    let answer = answer.map_err(|error| match error {
        RequestedError::Answer(error) => issuer::endorsement(file, &error),
        error => error.into(),
    })?;
    match answer {
        NextAnswer::Good(answered) => {
            authority.use_endorsing(Endorsing::Answered(answered), now)?;
            Ok(true)
        }
        NextAnswer::Taken => Ok(false),
    }
}

/// The request has come to its end: its key is that of an issuing CA.
pub(super) fn forget(authority: &Authority) -> Result<(), Failure> {
    authority.forget_next_request().map_err(|error| Failure {
        exit: Exit::Findings,
        ..Failure::from(error).hint(format!(
            "All else was done. Remove it yourself: rm -r {}",
            authority.next_request().display()
        ))
    })
}
