//! `pgpki inspect TARGET`: a file or a folder.

use std::path::Path;

use time::OffsetDateTime;

use crate::args::Inspect;
use crate::exit::{Exit, Failure};

pub(super) fn run(_: &Inspect, _: &Path, _: OffsetDateTime) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "not yet"))
}
