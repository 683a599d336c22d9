//! A person's yes before names are taken from a request.

use std::io::{self, IsTerminal as _, Write};

use crate::exit::{Exit, Failure};
use crate::show;

/// Where somebody who is there to answer sees what he is asked; `None`: nobody is there.
pub(super) fn terminal() -> Option<Box<dyn Write>> {
    if !io::stdin().is_terminal() {
        return None;
    }
    match (io::stdout().is_terminal(), io::stderr().is_terminal()) {
        (true, _) => Some(Box::new(anstream::stdout())),
        (_, true) => Some(Box::new(anstream::stderr())),
        _ => None,
    }
}

/// # Errors
/// The answer was not yes.
pub(super) fn ask(requests: usize, terminal: &mut impl Write) -> Result<(), Failure> {
    write!(
        terminal,
        "Sign {}? [y/N] ",
        show::count(requests, "request")
    )?;
    terminal.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(|error| {
        let message = format!("cannot read from the terminal: {error}");
        Failure::new(Exit::Failed, message).hint("Nothing was signed")
    })?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new(
            Exit::Refused,
            "not confirmed: nothing was signed",
        )),
    }
}
