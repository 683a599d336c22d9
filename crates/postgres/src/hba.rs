//! `pg_hba.conf` as text: its rules, what a server of some version rejects, which rule answers a
//! connection, and a block of our own at its top.
//!
//! The rules of reading are those of the server's own parser (`hba.c`; PostgreSQL documentation,
//! "The pg_hba.conf File"), for versions 13 to 18. Nothing here reads a file: bytes come in, and
//! whoever wants `@file` and the includes of version 16 followed lends a
//! [`ConfigFiles`](crate::conf::files::ConfigFiles) to [`included::entries`].

pub mod address;
pub mod answer;
pub mod cover;
pub mod included;
mod options;
pub mod problem;
mod read;
pub mod rule;
mod token;
pub mod uncertified;

use crate::conf::Include;
use crate::conf::marked::{self, Block, BlockError, Found};

use problem::Problem;
use rule::Rule;

/// A `pg_hba.conf`, or a file that one includes. Any bytes are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hba {
    text: Vec<u8>,
    major: u32,
    entries: Vec<Entry>,
}

/// A line that says something, with the lines that continue it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The first line, from 1, which is the one that PostgreSQL names.
    pub first_line: u32,
    /// The last one.
    pub last_line: u32,
    /// What it says.
    pub content: Content,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A rule. Its options may still be such that a server rejects it: see [`Rule::problems`].
    Rule(Rule),
    /// Rules of other files stand here, from version 16 on.
    Include(Include),
    /// Neither, for the version that it was read for.
    Broken(Problem),
}

impl Hba {
    /// Reads a file as a server of the major version `major` does: continued lines, includes and
    /// regular expressions depend on it. There is no text that this refuses. `@file` stays what it
    /// is.
    pub fn parse(text: &[u8], major: u32) -> Self {
        let entries = token::lines(text, major)
            .into_iter()
            .filter_map(|line| {
                let fields = token::fields(&line.text, major, &mut token::unexpanded);
                Entry::new((line.first, line.last), fields, major)
            })
            .collect();
        Self {
            text: text.to_vec(),
            major,
            entries,
        }
    }

    /// The file, byte for byte.
    pub fn to_bytes(&self) -> &[u8] {
        &self.text
    }

    /// The lines that say something, in their order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The rules, in the order in which the server tries them.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.entries.iter().filter_map(Entry::rule)
    }

    /// Why a server of the version that this was read for refuses the file: the lines, from 1, and
    /// for each what the server would find first.
    pub fn problems(&self) -> Vec<(u32, Problem)> {
        self.entries
            .iter()
            .filter_map(|it| Some((it.first_line, it.problem(self.major)?)))
            .collect()
    }

    /// The block that pgpki has written here.
    pub fn block(&self) -> Result<Option<Found>, BlockError> {
        marked::find(&self.text)
    }

    /// This file with `block` in the place of the one that is there, else before its first line,
    /// where its rules are tried first.
    pub fn with_block(&self, block: &Block) -> Result<Self, BlockError> {
        let text = match marked::replace(&self.text, block)? {
            Some(text) => text,
            None => marked::insert_first(&self.text, block)?,
        };
        Ok(Self::parse(&text, self.major))
    }

    /// This file as it was before [`Hba::with_block`]; `None` where no block is.
    pub fn without_block(&self) -> Result<Option<Self>, BlockError> {
        Ok(marked::remove(&self.text)?.map(|text| Self::parse(&text, self.major)))
    }
}

impl Entry {
    /// What the fields of a line say; `None` where there are none.
    fn new(
        lines: (u32, u32),
        fields: Result<Vec<token::Field>, Problem>,
        major: u32,
    ) -> Option<Self> {
        let content = match fields {
            Err(problem) => Content::Broken(problem),
            Ok(fields) if fields.is_empty() => return None,
            Ok(fields) => match read::include(&fields, major) {
                Some((kind, target)) => Content::Include(Include {
                    line: lines.0,
                    kind,
                    target,
                }),
                None => {
                    read::rule(lines, fields, major).map_or_else(Content::Broken, Content::Rule)
                }
            },
        };
        Some(Self {
            first_line: lines.0,
            last_line: lines.1,
            content,
        })
    }

    /// The rule that it is.
    pub fn rule(&self) -> Option<&Rule> {
        match &self.content {
            Content::Rule(rule) => Some(rule),
            Content::Include(_) | Content::Broken(_) => None,
        }
    }

    /// What a server of this version would find wrong first.
    pub fn problem(&self, major: u32) -> Option<Problem> {
        match &self.content {
            Content::Rule(rule) => rule.problems(major).into_iter().next(),
            Content::Include(_) => None,
            Content::Broken(problem) => Some(problem.clone()),
        }
    }
}

/// A name as a field of `pg_hba.conf` that means itself, unless it begins with a slash, which is a regular expression from
/// version 16 on.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests;
