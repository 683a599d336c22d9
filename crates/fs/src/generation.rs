//! Names of generations: `g0001`, `g0002`, … `g10000`.

use std::ffi::OsStr;

/// The name of a generation.
pub(crate) fn name(number: u32) -> String {
    format!("g{number:04}")
}

/// The generation of a name; nothing for a name that [`name`] does not make.
pub(crate) fn parse(text: &OsStr) -> Option<u32> {
    let text = text.to_str()?;
    let number = text.strip_prefix('g')?.parse().ok()?;
    (number > 0 && name(number) == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_form_counts() {
        for number in [1, 9999, 10_000, u32::MAX] {
            assert_eq!(parse(name(number).as_ref()), Some(number));
        }
        for text in [
            "",
            "g",
            "g1",
            "g0000",
            "g00001",
            "g+001",
            "g0001/",
            "g0001 ",
            "../g0001",
            "G0001",
            "g4294967296",
        ] {
            assert_eq!(parse(text.as_ref()), None, "{text}");
        }
    }
}
