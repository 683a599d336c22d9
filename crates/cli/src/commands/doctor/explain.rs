//! An error message, its cause and its fix.

use crate::args::Doctor;
use crate::exit::{Exit, Failure};

pub(super) fn run(_args: &Doctor, _text: &str) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Usage, "not there yet"))
}
