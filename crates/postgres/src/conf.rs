//! `postgresql.conf` as text: what each line sets, which line wins, and edits that leave every
//! other byte alone.
//!
//! The rules are those of the server's own scanner (`guc-file.l`; PostgreSQL documentation,
//! "Setting Parameters via the Configuration File"). The same syntax holds for the files of
//! `conf.d` and for `postgresql.auto.conf`. Nothing here reads a file: bytes come in, and whoever
//! wants includes followed lends a [`files::ConfigFiles`].

pub mod effective;
pub mod files;
pub mod marked;
pub mod quote;
mod scanner;

use std::borrow::Cow;

use marked::{Block, BlockError, Found};
use scanner::Reading;

/// The server gives a file up after this many syntax errors (`ParseConfigFp`).
const MAX_SYNTAX_ERRORS: usize = 100;

/// One configuration file. Any bytes are one: what cannot be read is listed in [`Conf::errors`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conf {
    text: Vec<u8>,
    settings: Vec<Setting>,
    errors: Vec<SyntaxError>,
}

/// A line that gives a parameter a value, or includes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Where it stands, from 1.
    pub line: u32,
    /// The parameter as it was written. PostgreSQL compares names without regard to ASCII case.
    pub name: String,
    /// The value without its quotes and escapes.
    pub value: Vec<u8>,
}

/// A line that includes a file or a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// Where it stands, from 1.
    pub line: u32,
    /// Which of the three directives it is.
    pub kind: IncludeKind,
    /// The file or directory as it was written; see [`files::location`] for where that is.
    pub target: Vec<u8>,
}

/// The include directives that `postgresql.conf` and, from version 16 on, `pg_hba.conf` have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncludeKind {
    /// `include`: a file that must be there.
    File,
    /// `include_if_exists`: a file that may be missing.
    FileIfExists,
    /// `include_dir`: every `*.conf` of a directory.
    Directory,
}

/// A line that PostgreSQL cannot read. The server applies nothing of a configuration that has one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "syntax error in line {line}, near {near}: a line is name = value, and a value with anything but letters, digits and -._:/ stands in single quotes"
)]
pub struct SyntaxError {
    /// Where it stands, from 1.
    pub line: u32,
    /// What the scanner stumbled over.
    pub near: Near,
}

/// Where in a line the scanner stumbled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Near {
    /// Something is missing.
    #[error("the end of the line")]
    EndOfLine,
    /// Something that does not belong there; bytes that are not UTF-8 are replaced.
    #[error("{0:?}")]
    Token(String),
    /// A zero byte, at which the server cuts the text off.
    #[error("a zero byte")]
    Nul,
}

impl Conf {
    /// Reads a file. There is no text that this refuses.
    pub fn parse(text: &[u8]) -> Self {
        let mut conf = Self {
            text: text.to_vec(),
            settings: Vec::new(),
            errors: Vec::new(),
        };
        for (line, bytes) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            if conf.errors.len() >= MAX_SYNTAX_ERRORS {
                break;
            }
            match scanner::read_line(bytes) {
                Reading::Nothing => {}
                Reading::Setting { name, value } => conf.settings.push(Setting {
                    line,
                    name: String::from_utf8_lossy(name).into_owned(),
                    value,
                }),
                Reading::Error(near) => conf.errors.push(SyntaxError { line, near }),
            }
        }
        conf
    }

    /// The file, byte for byte.
    pub fn to_bytes(&self) -> &[u8] {
        &self.text
    }

    /// Every parameter that is set here, in the order of the lines. Included files are not looked
    /// at.
    pub fn settings(&self) -> impl Iterator<Item = &Setting> {
        self.settings
            .iter()
            .filter(|setting| setting.as_include().is_none())
    }

    /// Every include directive, in the order of the lines.
    pub fn includes(&self) -> impl Iterator<Item = Include> {
        self.settings.iter().filter_map(Setting::as_include)
    }

    /// The lines that PostgreSQL cannot read. At a hundred the server gives up, and so does this.
    pub fn errors(&self) -> &[SyntaxError] {
        &self.errors
    }

    /// The block that pgpki has written here.
    pub fn block(&self) -> Result<Option<Found>, BlockError> {
        marked::find(&self.text)
    }

    /// This file with `block` in the place of the one that is there, else at its end, where it wins
    /// over what the file itself says.
    pub fn with_block(&self, block: &Block) -> Result<Self, BlockError> {
        let text = match marked::replace(&self.text, block)? {
            Some(text) => text,
            None => marked::insert_last(&self.text, block)?,
        };
        Ok(Self::parse(&text))
    }

    /// This file as it was before [`Conf::with_block`]; `None` where no block is.
    pub fn without_block(&self) -> Result<Option<Self>, BlockError> {
        Ok(marked::remove(&self.text)?.map(|text| Self::parse(&text)))
    }

    /// Settings and includes, in the order of the lines.
    fn directives(&self) -> &[Setting] {
        &self.settings
    }
}

impl Setting {
    /// Whether this sets the parameter `name`, as PostgreSQL compares names.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The value as text, for people; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.value)
    }

    fn as_include(&self) -> Option<Include> {
        let kind = [
            ("include", IncludeKind::File),
            ("include_if_exists", IncludeKind::FileIfExists),
            ("include_dir", IncludeKind::Directory),
        ]
        .into_iter()
        .find_map(|(name, kind)| self.is(name).then_some(kind))?;
        Some(Include {
            line: self.line,
            kind,
            target: self.value.clone(),
        })
    }
}

/// A boolean as PostgreSQL reads it: any unambiguous beginning of `true`, `yes`, `on`, or `1`
/// (`parse_bool`).
pub fn is_true(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let begins = |word: &str| !text.is_empty() && word.starts_with(&text);
    begins("true") || begins("yes") || text == "on" || text == "1"
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn settings(text: &[u8]) -> Vec<(u32, String, String)> {
        let conf = Conf::parse(text);
        assert_eq!(conf.errors(), [], "{}", String::from_utf8_lossy(text));
        conf.settings()
            .map(|it| (it.line, it.name.clone(), it.text().into_owned()))
            .collect()
    }

    #[test]
    fn settings_have_names_values_and_lines() {
        let text =
            b"# a comment\r\nssl = on\r\n\r\n  Port 5433 # why\nssl_cert_file='/a ''b''\\134'";
        assert_eq!(
            settings(text),
            [
                (2, "ssl".into(), "on".into()),
                (4, "Port".into(), "5433".into()),
                (5, "ssl_cert_file".into(), "/a 'b'\\".into()),
            ]
        );
    }

    #[test]
    fn includes_are_not_settings() {
        let conf =
            Conf::parse(b"include_dir 'conf.d'\nssl=on\nINCLUDE = 'a'\ninclude_if_exists b\n");
        let includes: Vec<_> = conf
            .includes()
            .map(|it| {
                (
                    it.line,
                    it.kind,
                    String::from_utf8_lossy(&it.target).into_owned(),
                )
            })
            .collect();
        assert_eq!(
            includes,
            [
                (1, IncludeKind::Directory, "conf.d".to_owned()),
                (3, IncludeKind::File, "a".to_owned()),
                (4, IncludeKind::FileIfExists, "b".to_owned()),
            ]
        );
        assert_eq!(conf.settings().count(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_listed_and_kept() {
        let text = b"ssl = on\nwork_mem = 1.5MB\nport\n= 3\nx = 'open\nok = yes\nz = 'a\0b'\n";
        let conf = Conf::parse(text);
        assert_eq!(conf.to_bytes(), text);
        let errors: Vec<_> = conf
            .errors()
            .iter()
            .map(|it| (it.line, it.near.to_string()))
            .collect();
        let expected = [
            (2, "\"MB\""),
            (3, "the end of the line"),
            (4, "\"=\""),
            (5, "\"'\""),
            (7, "a zero byte"),
        ];
        assert_eq!(
            errors,
            expected
                .map(|(line, near)| (line, near.to_owned()))
                .to_vec()
        );
        assert_eq!(conf.settings().count(), 2);
    }

    #[test]
    fn a_file_of_nonsense_is_given_up() {
        let conf = Conf::parse("= =\n".repeat(1000).as_bytes());
        assert_eq!(conf.errors().len(), MAX_SYNTAX_ERRORS);
    }

    #[test]
    fn a_block_wins_over_what_the_file_says_and_goes_without_a_trace() {
        let before = Conf::parse(b"ssl = off\r\nport = 1");
        let block = Block::new(["ssl = on"]).unwrap();
        let with = before.with_block(&block).unwrap();
        let last = with.settings().filter(|it| it.is("SSL")).last().unwrap();
        assert_eq!((last.line, last.text().as_ref()), (4, "on"));
        assert!(!with.to_bytes().ends_with(b"on\n"), "a CRLF file gets CRLF");
        let again = with
            .with_block(&Block::new(["ssl = on", "port = 2"]).unwrap())
            .unwrap();
        assert_eq!(again.block().unwrap().unwrap().block.lines().len(), 2);
        assert_eq!(again.without_block().unwrap(), Some(before.clone()));
        assert_eq!(before.without_block().unwrap(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(text in proptest::collection::vec(any::<u8>(), 0..400)) {
            let conf = Conf::parse(&text);
            prop_assert_eq!(conf.to_bytes(), &text[..]);
        }
    }

    #[test]
    fn booleans_are_read_as_the_server_reads_them() {
        for yes in ["on", "ON", "t", "tru", "TRUE", "y", "yes", "1"] {
            assert!(is_true(yes), "{yes}");
        }
        for no in ["", "o", "of", "off", "f", "no", "0", "onn", "11"] {
            assert!(!is_true(no), "{no}");
        }
    }
}
