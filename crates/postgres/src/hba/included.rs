//! The entries of a `pg_hba.conf` with everything that it names in other files: `@file` in lists,
//! and the include directives of version 16. After `tokenize_auth_file` in PostgreSQL's `hba.c`.

use std::io;
use std::path::{Path, PathBuf};

use crate::conf::IncludeKind;
use crate::conf::files::{ConfigFiles, MAX_DEPTH, MAX_FILES, files_in, is_blank, location};

use super::problem::Problem;
use super::token::{Field, Token, fields, lines};
use super::{Entry, read};

/// An entry and the file that it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The file.
    pub file: PathBuf,
    /// What the line says. No include is left in it, and no `@file`.
    pub entry: Entry,
}

/// The entries of the file `path`, whose text is given, and of those that it includes, in the order
/// in which a server of the major version `major` tries them. What cannot be read is
/// [`Broken`](super::Content::Broken) where it is named.
pub fn entries(path: &Path, text: &[u8], major: u32, files: &mut impl ConfigFiles) -> Vec<Located> {
    let mut reader = Reader {
        files,
        files_read: 0,
        major,
    };
    reader
        .token_lines(path, text, 0)
        .into_iter()
        .filter_map(|line| {
            let entry = Entry::new(line.lines, line.fields, major)?;
            Some(Located {
                file: line.file,
                entry,
            })
        })
        .collect()
}

struct TokenLine {
    file: PathBuf,
    lines: (u32, u32),
    fields: Result<Vec<Field>, Problem>,
}

struct Reader<'a, F> {
    files: &'a mut F,
    files_read: usize,
    major: u32,
}

impl<F: ConfigFiles> Reader<'_, F> {
    fn token_lines(&mut self, path: &Path, text: &[u8], depth: u32) -> Vec<TokenLine> {
        let mut result = Vec::new();
        for line in lines(text, self.major) {
            // There is no end in sight; the line that went too far says so.
            if self.gives_up() {
                break;
            }
            let major = self.major;
            let fields = fields(&line.text, major, &mut |name| {
                self.expand(path, name, depth)
            });
            let include = fields
                .as_ref()
                .ok()
                .and_then(|fields| read::include(fields, major));
            let fields = match include {
                None => fields,
                Some((kind, target)) => match self.include(path, kind, &target, depth) {
                    Ok(included) => {
                        result.extend(included);
                        continue;
                    }
                    Err(problem) => Err(problem),
                },
            };
            result.push(TokenLine {
                file: path.to_owned(),
                lines: (line.first, line.last),
                fields,
            });
        }
        result
    }

    fn expand(&mut self, caller: &Path, name: &[u8], depth: u32) -> Result<Vec<Token>, Problem> {
        let path = location(name, caller);
        let text = self
            .read(&path, depth + 1)?
            .map_err(|error| unreadable(&path, &error))?;
        let mut tokens = Vec::new();
        for line in self.token_lines(&path, &text, depth + 1) {
            tokens.extend(line.fields?.into_iter().flatten());
        }
        Ok(tokens)
    }

    fn include(
        &mut self,
        caller: &Path,
        kind: IncludeKind,
        target: &[u8],
        depth: u32,
    ) -> Result<Vec<TokenLine>, Problem> {
        let path = location(target, caller);
        let paths = match kind {
            IncludeKind::File | IncludeKind::FileIfExists => vec![path],
            IncludeKind::Directory if is_blank(target) => return Err(Problem::EmptyName),
            IncludeKind::Directory => {
                let names = self.files.list(&path);
                files_in(&path, names.map_err(|error| unreadable(&path, &error))?)
            }
        };
        let mut result = Vec::new();
        for path in paths {
            match self.read(&path, depth + 1)? {
                Ok(text) => result.extend(self.token_lines(&path, &text, depth + 1)),
                // Unlike postgresql.conf, only a file that is not there is passed over.
                Err(error)
                    if kind == IncludeKind::FileIfExists
                        && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(&path, &error)),
            }
        }
        Ok(result)
    }

    fn gives_up(&self) -> bool {
        self.files_read > MAX_FILES
    }

    fn read(&mut self, path: &Path, depth: u32) -> Result<io::Result<Vec<u8>>, Problem> {
        self.files_read += 1;
        if depth > MAX_DEPTH || self.gives_up() {
            return Err(Problem::TooDeep(path.to_owned()));
        }
        Ok(self.files.read(path))
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
