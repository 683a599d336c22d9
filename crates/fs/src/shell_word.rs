//! A path as one word of a shell: what a next step prints is pasted.

use std::ffi::OsStr;

/// A path, or any other text, as one word of a POSIX shell ("Single-Quotes", 2.2.2 of the Shell Command Language). What is
/// no UTF-8 is replaced; control characters stay, and are for whoever prints it.
#[must_use]
pub fn shell_word(text: impl AsRef<OsStr>) -> String {
    let text = text.as_ref().to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.into_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_takes_it_for_one_word() {
        for text in [
            "/etc/ssl/postgres",
            "",
            "~",
            "/srv/a b",
            "it's a \"path\" \\ $HOME `id` $(id) *",
            "/t;touch x",
            "# ü",
            "two\nlines",
        ] {
            let script = format!("printf %s {}", shell_word(text));
            let said = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), text, "{script}");
        }
        assert_eq!(shell_word("/etc/ssl/a-b.c"), "/etc/ssl/a-b.c");
    }
}
