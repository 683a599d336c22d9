//! `pgpki convert`: what is in some files, written in another form.

mod inputs;
mod output;
mod pieces;

use pgpki_core::pkcs12;

use self::output::{Made, Target};
use self::pieces::Pieces;
use crate::args::{Convert, Form};
use crate::exit::{Exit, Failure};
use crate::passphrase::{self, New};

pub(crate) fn run(args: &Convert) -> Result<Exit, Failure> {
    let pieces = inputs::read(&args.files, args.passphrase_file.as_deref())?;
    let pieces = chosen(args.to, pieces)?;
    let target = Target::of(args, &pieces)?;
    let new = new_passphrase(args, &pieces, &target)?;
    let made = make(args.to, &pieces, new.as_ref())?;
    target.write(&made, &pieces, new.as_ref())?;
    Ok(Exit::Done)
}

/// What of the inputs goes into the output.
fn chosen(to: Form, pieces: Pieces) -> Result<Pieces, Failure> {
    match to {
        Form::Pem => Ok(pieces),
        Form::Der => pieces.only_one(),
        Form::Pkcs8 => pieces.only_key(),
        Form::Pkcs12 => pieces.key_and_chain(),
    }
}

/// What to encrypt with; `None` where nothing is encrypted.
fn new_passphrase(
    args: &Convert,
    pieces: &Pieces,
    target: &Target,
) -> Result<Option<New>, Failure> {
    let is_wanted = args.encrypt || args.new.is_given();
    if is_wanted && !pieces.has_key() {
        let message = "there is no private key in what is written, and nothing else is encrypted";
        return Err(Failure::new(Exit::BadInput, message));
    }
    if !is_wanted && args.to != Form::Pkcs12 {
        return Ok(None);
    }
    let new = passphrase::new(&args.new, &target.to_string())?;
    if args.to == Form::Pkcs12 {
        pkcs12::check_passphrase(new.secret())
            .map_err(|error| Failure::new(Exit::BadInput, error))?;
    }
    Ok(Some(new))
}

fn make(to: Form, pieces: &Pieces, new: Option<&New>) -> Result<Made, Failure> {
    let secret = new.map(|new| new.secret().as_slice());
    match to {
        Form::Pem | Form::Pkcs8 => output::pem(pieces, secret),
        Form::Der => output::der(pieces, secret),
        Form::Pkcs12 => output::pkcs12(pieces, secret.unwrap_or_default()),
    }
}
