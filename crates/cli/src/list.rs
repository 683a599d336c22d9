//! A list that is read with `--from`: one entry a line, from a file or standard input.

use std::io::{self, Read as _};
use std::path::Path;

use pgpki_core::document::printable;

use crate::exit::{Exit, Failure};

/// The largest list that is read, in bytes: a million roles with names of full length.
const MAX: u64 = 64 << 20;

/// The text of a list of `what`; `-` stands for standard input.
pub(crate) fn read(file: &Path, what: &str) -> Result<String, Failure> {
    let is_input = file == Path::new("-");
    let bytes = match is_input {
        false => pgpki_fs::read_bounded(file, MAX)?,
        true => read_input()?,
    };
    String::from_utf8(bytes).map_err(|_| {
        let from = match is_input {
            true => "standard input".to_owned(),
            false => printable(&file.to_string_lossy()),
        };
        let message = format!("the list of {what} in {from} is not UTF-8 text");
        Failure::new(Exit::BadInput, message)
    })
}

fn read_input() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot read standard input: {error}"))
    })?;
    match bytes.len() as u64 > MAX {
        true => {
            let message = format!("standard input is larger than {MAX} bytes");
            Err(Failure::new(Exit::BadInput, message))
        }
        false => Ok(bytes),
    }
}
