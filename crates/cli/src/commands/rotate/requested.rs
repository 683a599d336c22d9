//! `pgpki rotate --request-issuing` and `--install-issuing`: the next issuing CA, which the company certifies in its own
//! time.

use std::io::{self, Write};
use std::path::Path;

use pgpki_authority::requested::{NextAnswer, NextRequest, RequestedError};
use pgpki_authority::{Authority, AuthorityError, CaStoreError, Endorsing};
use pgpki_core::document::printable;
use pgpki_fs::shell_word;
use time::OffsetDateTime;

use super::secrets;
use crate::Clock;
use crate::args::Rotate;
use crate::exit::{Exit, Failure};
use crate::issuer::{self, Ask};
use crate::show::STRONG;
use crate::tokens::{self, LocalTokens};

/// Makes the next issuing CA's key, and the request that is to be signed.
pub(super) fn request(args: &Rotate, file: &Path, clock: Clock) -> Result<Exit, Failure> {
    let file = issuer::new_file(file)?;
    let hardware =
        LocalTokens::hardware_at_hand(&args.token, None, args.keys.issuing_key.as_deref())?;
    let mut authority = args.home.open_with(&args.token, secrets(args, false)?)?;
    authority.use_hardware(hardware);
    let request = authority.request_next(clock());
    let NextRequest { staged, text, name } = request.map_err(|error| failure(args, error))?;
    issuer::hand_over(&file, &text, staged)?;
    let home = args.home.flag();
    report(
        &authority,
        &file,
        &name,
        &home,
        &mut anstream::stdout().lock(),
    )?;
    Ok(Exit::Done)
}

fn report(
    authority: &Authority,
    file: &Path,
    name: &str,
    home: &str,
    out: &mut impl Write,
) -> io::Result<()> {
    let home = printable(home);
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
         pgpki rotate --install-issuing issuing.pem --issuer-cert chain.pem{home}\n\
         Until then {STRONG}nothing changes{STRONG:#}: the issuing CA that is there goes on."
    )
}

/// What stands against a request or its answer, and the next step for the same authority.
pub(super) fn failure(args: &Rotate, error: RequestedError) -> Failure {
    let home = args.home.flag();
    match error {
        RequestedError::Waits { ref path } => {
            let hint = format!(
                "Take the answer: pgpki rotate --install-issuing FILE --issuer-cert FILE{home}\n\
                 or begin anew, after: {}",
                tokens::removal(path)
            );
            Failure::new(Exit::Refused, error).hint(hint)
        }
        RequestedError::NotEndorsed(_) => Failure::new(Exit::Refused, error).hint(format!(
            "pgpki rotate --issuing{home} makes the next one. An authority that was made without a company's CA cannot come\n\
             under one: pgpki init begins a new one, with another --home"
        )),
        RequestedError::NothingWaits { .. } => Failure::new(Exit::BadInput, error)
            .hint(format!("pgpki rotate --request-issuing FILE{home} makes one")),
        error => error.into(),
    }
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
        RequestedError::Answer(error) => issuer::answer(file, &error),
        RequestedError::Authority(AuthorityError::Ca(CaStoreError::WrongPassphrase {
            ref path,
            ..
        })) if path.starts_with(authority.next_request())
            && matches!(authority.issuing_is_encrypted(), Ok(true)) =>
        {
            // What was given opens that one: it is tried first.
            Failure::new(Exit::BadInput, error).hint(format!(
                "Nothing was changed. It opens the issuing CA's key, and both have to have one passphrase. Give the request's the\n\
                 other one, as after a change that was killed: pgpki key change-passphrase issuing{}",
                args.home.flag()
            ))
        }
        error => failure(args, error),
    })?;
    match answer {
        NextAnswer::Good(answered) => {
            let used = authority.use_endorsing(Endorsing::Answered(answered), now);
            used.map_err(|error| issuer::still_waits(error.into()))?;
            Ok(true)
        }
        NextAnswer::Taken => Ok(false),
    }
}

/// Whoever has stolen one key of the home has stolen that of the request as well.
pub(super) fn lay_beside(args: &Rotate) -> Failure {
    let home = args.home.flag();
    Failure::new(
        Exit::Refused,
        "--compromised takes no answer: the key of the request lay beside the one that was stolen, and counts as stolen",
    )
    .hint(format!(
        "Nothing was changed, and nothing is revoked. Revoke first, which gives that request up:\n\
         pgpki rotate --issuing --compromised{home}\n\
         then make another one: pgpki rotate --request-issuing FILE{home}"
    ))
}

/// There is no new root for this answer.
pub(super) fn in_use(args: &Rotate, file: &Path) -> Failure {
    let home = args.home.flag();
    let message = format!(
        "{}: that answer is in use already, by an issuing CA that is there",
        file.display()
    );
    Failure::new(Exit::Refused, message).hint(format!(
        "No root was made. If a run that made one was killed: pgpki rotate{home} goes on with it, and pgpki inspect{home} \
         shows it.\nOtherwise make another request: pgpki rotate --request-issuing FILE{home}"
    ))
}

/// The request has come to its end: its key is that of an issuing CA.
pub(super) fn forget(authority: &Authority) -> Result<(), Failure> {
    authority.forget_next_request().map_err(|error| Failure {
        exit: Exit::Findings,
        ..Failure::from(error).hint(format!(
            "All else was done. Remove it yourself: rm -r {}",
            shell_word(authority.next_request())
        ))
    })
}
