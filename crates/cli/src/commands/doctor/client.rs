//! The client's side.

use time::OffsetDateTime;

use crate::args::Doctor;
use crate::exit::{Exit, Failure};

pub(super) fn run(_args: &Doctor, _now: OffsetDateTime) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Usage, "not there yet"))
}
