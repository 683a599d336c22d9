//! Whether what is served is what is installed.

use std::fmt;

use pgpki_core::document::Document;

/// The outcome of [`compare`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Every byte is the same.
    Match,
    /// Something is not.
    Differs(Difference),
}

/// How two chains differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The serial number of the leaf that is served, in hexadecimal; `None` if it cannot be read.
    pub served_serial: Option<String>,
    /// The serial number of the leaf that is installed.
    pub installed_serial: Option<String>,
    /// How many certificates are served.
    pub served_length: usize,
    /// How many certificates are installed.
    pub installed_length: usize,
    /// The first certificate that is not the same, from 1: the leaf is 1.
    pub place: usize,
}

/// Compares two chains in DER, the leaf first, byte for byte.
pub fn compare(served: &[Vec<u8>], installed: &[Vec<u8>]) -> Comparison {
    if served == installed {
        return Comparison::Match;
    }
    let same = served.iter().zip(installed).take_while(|(a, b)| a == b);
    Comparison::Differs(Difference {
        served_serial: leaf_serial(served),
        installed_serial: leaf_serial(installed),
        served_length: served.len(),
        installed_length: installed.len(),
        place: same.count() + 1,
    })
}

fn leaf_serial(chain: &[Vec<u8>]) -> Option<String> {
    let document = Document::read(chain.first()?).ok()?;
    let facts = document.certificates().next()?;
    Some(facts.serial.hex.clone())
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let serial = |serial: &Option<String>| match serial {
            Some(serial) => format!("serial {serial}"),
            None => "no readable certificate".to_owned(),
        };
        if self.place == 1 {
            return write!(
                f,
                "another certificate is served: {}, installed is {}",
                serial(&self.served_serial),
                serial(&self.installed_serial)
            );
        }
        write!(
            f,
            "the certificate is the installed one, and its chain is not: {} certificates are \
             served, {} installed, and number {} differs",
            self.served_length, self.installed_length, self.place
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(parts: &[&str]) -> Vec<Vec<u8>> {
        parts.iter().map(|part| part.as_bytes().to_vec()).collect()
    }

    #[test]
    fn every_byte_counts() {
        let installed = chain(&["leaf", "ca"]);
        assert_eq!(compare(&installed, &installed), Comparison::Match);
        for (served, place) in [
            (chain(&["leaF", "ca"]), 1),
            (chain(&["leaf"]), 2),
            (chain(&["leaf", "cA"]), 2),
            (chain(&["leaf", "ca", "root"]), 3),
            (chain(&[]), 1),
        ] {
            let Comparison::Differs(difference) = compare(&served, &installed) else {
                panic!("{served:?} passed for {installed:?}");
            };
            assert_eq!(difference.place, place, "{served:?}");
            assert_eq!(difference.served_length, served.len());
        }
    }
}
