//! `pgpki init --request-issuing` and `--install-issuing`: an issuing CA that a CA of somebody else's certifies in its own
//! time.

use std::io::{self, Write};
use std::path::Path;

use pgpki_authority::requested::{self, Requested, RequestedError, waiting_for};
use pgpki_authority::{Answered, Authority, Endorsing, NoServers};
use pgpki_core::document::printable;
use pgpki_core::key::KeyError;
use pgpki_fs::{Installation, shell_word};
use time::OffsetDateTime;

use super::{Made, Plan, Told};
use crate::Clock;
use crate::args::Init;
use crate::exit::{Exit, Failure};
use crate::home::{PATIENCE, announce};
use crate::issuer::{self, Ask};
use crate::passphrase;
use crate::tokens::LocalTokens;

/// Makes the issuing CA's key, and the request that is to be signed.
pub(super) fn request(args: &Init, file: &Path) -> Result<Exit, Failure> {
    let told = super::told(args)?;
    let paths = [Some(&told.place.path), told.place.passphrase_file.as_ref()];
    if let Some(path) = paths
        .into_iter()
        .flatten()
        .find(|path| path.to_str().is_none())
    {
        let message = format!("{} is not valid UTF-8", path.display());
        return Err(Failure::new(Exit::BadInput, message));
    }
    let file = issuer::new_file(file)?;
    let issuing = args.keys.issuing_key.as_deref();
    let hardware = LocalTokens::hardware_at_hand(&args.token, None, issuing)?;
    let passphrase = passphrase::for_new_issuing(&args.issuing_passphrase)?;
    let passphrase = passphrase.as_ref().map(|bytes| bytes.as_slice());
    let (staged, text) = requested::request(
        &told.home,
        &told.settings,
        &told.place,
        &hardware,
        passphrase,
    )?;
    issuer::hand_over(&file, &text, staged)?;
    report(&told, &file, &mut anstream::stdout().lock())?;
    Ok(Exit::Done)
}

/// What whoever runs the other CA is to do, and what comes then.
fn report(told: &Told, file: &Path, out: &mut impl Write) -> io::Result<()> {
    let ask = Ask {
        file,
        name: &format!("{} issuing CA 1", told.settings.name),
        permitted: &told.settings.permitted,
        key: &waiting_for(&told.home),
    };
    ask.print(out)?;
    let home = printable(&shell_word(&told.home));
    writeln!(
        out,
        "\nThen, with the certificates of the CAs above it up to their root in one file:\n\
         pgpki init --install-issuing issuing.pem --issuer-cert chain.pem --home {home}"
    )
}

/// Takes the answer, and does all that `init` does.
pub(super) fn install(args: &Init, file: &Path, clock: Clock) -> Result<Exit, Failure> {
    let home = args.home.path()?;
    let waiting = Requested::open(&home, PATIENCE, announce)?;
    let waiting = waiting.ok_or_else(|| nothing_waits(&home))?;
    let is_there = home.symlink_metadata().is_ok();
    let plan = super::plan(
        args,
        Told {
            cluster: args.configure.find()?,
            settings: waiting.settings().clone(),
            place: waiting.place().clone(),
            is_named_by_machine: false,
            home,
        },
        !is_there,
    )?;
    let now = clock();
    let answered = answered(args, file, &waiting, &plan, now)?;
    let made = match is_there {
        true => go_on(&plan, &answered, now)?,
        false => super::carry_out(&plan, Some(Endorsing::Answered(Box::new(answered))), now)
            .map_err(issuer::still_waits)?,
    };
    let path = waiting.path().to_owned();
    waiting.remove().map_err(|error| Failure {
        exit: Exit::Findings,
        ..Failure::from(error).hint(format!(
            "All else was done. Remove it yourself: rm -r {}",
            shell_word(&path)
        ))
    })?;
    super::report(&plan, &made, &mut anstream::stdout().lock())?;
    Ok(Exit::Done)
}

fn answered(
    args: &Init,
    file: &Path,
    waiting: &Requested,
    plan: &Plan,
    now: OffsetDateTime,
) -> Result<Answered, Failure> {
    let beside = args.issuer.issuer_cert.as_deref().map(issuer::read);
    let beside = beside.transpose()?.unwrap_or_default();
    let passphrase = plan.issuing_passphrase.as_ref();
    let passphrase = passphrase.map(|bytes| bytes.as_slice());
    let answered = waiting.answered(
        &issuer::read(file)?,
        &beside,
        &plan.hardware,
        passphrase,
        now,
    );
    answered.map_err(|error| match error {
        RequestedError::Answer(error) => issuer::answer(file, &error),
        RequestedError::Key {
            source: KeyError::WrongPassphrase,
            ..
        } => {
            let origin = passphrase::origin_of_new_issuing(&args.issuing_passphrase);
            Failure::new(Exit::BadInput, format!("{error}; it is {origin}"))
                .hint("Nothing was made. Give the passphrase that the request was made with")
        }
        error => error.into(),
    })
}

/// A run before this one was killed after the home had its name.
fn go_on(plan: &Plan, answered: &Answered, now: OffsetDateTime) -> Result<Made, Failure> {
    let mut authority = Authority::open_alone(&plan.home, PATIENCE, announce)?;
    authority.use_hardware(plan.hardware.clone());
    authority.use_secrets(&plan.secrets());
    let endorsed = authority.hierarchy().endorsed(now);
    if endorsed.is_none_or(|(_, it)| it.certificate != answered.certificate()) {
        let message = format!("{} is another authority", plan.home.display());
        return Err(Failure::new(Exit::Refused, message).hint(format!(
            "Nothing was changed. If it is the right one, the request is not needed any more: rm -r {}",
            shell_word(waiting_for(&plan.home))
        )));
    }
    let (installation, created) = Installation::prepare(&plan.place.path, plan.place.owner)?;
    let installed = authority.install(&plan.place, &installation, &mut NoServers, now);
    drop(authority);
    let made = installed.map_err(Failure::from);
    let made = made.and_then(|installed| super::have_it_used(plan, &installation, installed));
    super::server::undo(made, created)
}

fn nothing_waits(home: &Path) -> Failure {
    let message = format!(
        "no request waits for an answer: {} is missing",
        waiting_for(home).display()
    );
    Failure::new(Exit::BadInput, message).hint(match home.exists() {
        true => "The authority is there: pgpki inspect shows it",
        false => "--home names another place; pgpki init --request-issuing FILE makes a request",
    })
}

impl From<RequestedError> for Failure {
    fn from(error: RequestedError) -> Self {
        match error {
            RequestedError::Authority(error) => error.into(),
            RequestedError::Key {
                source: KeyError::PassphraseNeeded,
                ..
            } => Self::new(Exit::Usage, error)
                .hint("Give --issuing-passphrase-file FILE, as when it was made"),
            RequestedError::Damaged { .. } => Self::new(Exit::BadInput, error)
                .hint("Nothing was made. Remove that directory, and begin with another request"),
            _ => Self::new(Exit::BadInput, error).hint("Nothing was made"),
        }
    }
}
