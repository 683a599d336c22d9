//! Which line gives a parameter its value, over several files and everything that they include.
//!
//! The server reads `postgresql.conf`, then `postgresql.auto.conf` in the data directory; an
//! included file counts where its include stands, and of several lines for one parameter the last
//! one wins (`ProcessConfigFileInternal`). What is given on the server's command line wins over all
//! of them and is not known here.

use std::io;
use std::path::{Path, PathBuf};

use super::files::{ConfigFiles, MAX_DEPTH, MAX_FILES, files_in, is_blank, location};
use super::{Conf, Include, IncludeKind, Near, Setting};

/// Every line that sets a parameter, in the order in which the server reads them.
#[derive(Debug, Default)]
pub struct Effective {
    lines: Vec<Sourced>,
    faults: Vec<Fault>,
}

/// A setting and the file that it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced {
    /// The file.
    pub file: PathBuf,
    /// What the line says.
    pub setting: Setting,
}

/// Something for which the server refuses the whole configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}, line {line}: {kind}", .file.display())]
pub struct Fault {
    /// The file with the line.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u32,
    /// What is wrong with it.
    pub kind: FaultKind,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// The line cannot be read.
    #[error("syntax error near {0}")]
    Syntax(Near),
    /// An include without a name.
    #[error("the include names nothing; write the name of a file or directory in single quotes")]
    EmptyName,
    /// A file includes itself.
    #[error("the file includes itself; remove the line")]
    Recursion,
    /// Too many levels of includes.
    #[error(
        "{} is included {MAX_DEPTH} levels deep, which is PostgreSQL's limit; look for files \
         that include each other",
        .0.display()
    )]
    TooDeep(PathBuf),
    /// More files than any configuration has.
    #[error("more than {MAX_FILES} files are included; look for files that include each other")]
    TooMany,
    /// The file or directory cannot be read.
    #[error(
        "cannot read {}: {reason}; correct the name, or let the server's user read it",
        .path.display()
    )]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        reason: String,
    },
}

impl Effective {
    /// Reads `sources` in their order, which is `postgresql.conf` before `postgresql.auto.conf`,
    /// and what they include.
    pub fn of(sources: &[(PathBuf, Conf)], files: &mut impl ConfigFiles) -> Self {
        let mut reader = Reader {
            effective: Self::default(),
            files,
            files_read: 0,
        };
        for (path, conf) in sources {
            reader.take(path, conf, 0);
        }
        reader.effective
    }

    /// The line that wins.
    pub fn winner(&self, name: &str) -> Option<&Sourced> {
        self.lines.iter().rfind(|it| it.setting.is(name))
    }

    /// Every line that sets a parameter, the winner last.
    pub fn setting<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a Sourced> {
        self.lines.iter().filter(move |it| it.setting.is(name))
    }

    /// Every line of every file, in the server's order.
    pub fn lines(&self) -> &[Sourced] {
        &self.lines
    }

    /// Why the server would refuse all of it. A running server then keeps what it has.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

struct Reader<'a, F> {
    effective: Effective,
    files: &'a mut F,
    files_read: usize,
}

impl<F: ConfigFiles> Reader<'_, F> {
    fn take(&mut self, path: &Path, conf: &Conf, depth: u32) {
        for error in conf.errors() {
            self.fault(path, error.line, FaultKind::Syntax(error.near.clone()));
        }
        for setting in conf.directives() {
            if self.gives_up() {
                return;
            }
            match setting.as_include() {
                None => self.effective.lines.push(Sourced {
                    file: path.to_owned(),
                    setting: setting.clone(),
                }),
                Some(include) => {
                    if let Err(kind) = self.follow(path, &include, depth) {
                        self.fault(path, include.line, kind);
                    }
                }
            }
        }
    }

    fn follow(&mut self, path: &Path, include: &Include, depth: u32) -> Result<(), FaultKind> {
        if is_blank(&include.target) {
            return Err(FaultKind::EmptyName);
        }
        let target = location(&include.target, path);
        match include.kind {
            IncludeKind::File => self.read(path, &target, true, depth + 1),
            IncludeKind::FileIfExists => self.read(path, &target, false, depth + 1),
            IncludeKind::Directory => {
                let names = self.files.list(&target).map_err(unreadable(&target))?;
                files_in(&target, names)
                    .iter()
                    .try_for_each(|file| self.read(path, file, true, depth + 1))
            }
        }
    }

    fn read(
        &mut self,
        caller: &Path,
        file: &Path,
        must_exist: bool,
        depth: u32,
    ) -> Result<(), FaultKind> {
        self.files_read += 1;
        if self.gives_up() {
            return Err(FaultKind::TooMany);
        }
        if depth > MAX_DEPTH {
            return Err(FaultKind::TooDeep(file.to_owned()));
        }
        if caller == file {
            return Err(FaultKind::Recursion);
        }
        match self.files.read(file) {
            Ok(text) => {
                self.take(file, &Conf::parse(&text), depth);
                Ok(())
            }
            // Whatever the reason: the server passes over an `include_if_exists` that it may not
            // read, too.
            Err(_) if !must_exist => Ok(()),
            Err(error) => Err(unreadable(file)(error)),
        }
    }

    /// After that there is no end in sight; what was found until then stands.
    fn gives_up(&self) -> bool {
        self.files_read > MAX_FILES
    }

    fn fault(&mut self, path: &Path, line: u32, kind: FaultKind) {
        self.effective.faults.push(Fault {
            file: path.to_owned(),
            line,
            kind,
        });
    }
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> FaultKind {
    let path = path.to_owned();
    move |error| FaultKind::Unreadable {
        path: path.clone(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::ffi::OsString;

    use super::*;

    /// Files by their path.
    struct Tree(BTreeMap<PathBuf, String>);

    impl ConfigFiles for Tree {
        fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
            let text = self.0.get(path).ok_or(io::ErrorKind::NotFound)?;
            Ok(text.clone().into_bytes())
        }

        fn list(&mut self, directory: &Path) -> io::Result<Vec<OsString>> {
            let names: Vec<OsString> = self
                .0
                .keys()
                .filter(|path| path.parent() == Some(directory))
                .map(|path| path.file_name().unwrap().to_owned())
                .collect();
            match names.is_empty() {
                true => Err(io::ErrorKind::NotFound.into()),
                false => Ok(names),
            }
        }
    }

    fn effective(main: &str, others: &[(&str, &str)]) -> Effective {
        let mut tree = Tree(
            others
                .iter()
                .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()))
                .collect(),
        );
        let mut sources = vec![("/d/postgresql.conf".into(), Conf::parse(main.as_bytes()))];
        let auto = PathBuf::from("/d/postgresql.auto.conf");
        if let Some(text) = tree.0.remove(&auto) {
            sources.push((auto, Conf::parse(text.as_bytes())));
        }
        Effective::of(&sources, &mut tree)
    }

    fn winner(effective: &Effective) -> (String, u32, String) {
        let it = effective.winner("ssl").unwrap();
        (
            it.file.display().to_string(),
            it.setting.line,
            it.setting.text().into_owned(),
        )
    }

    #[test]
    fn the_last_line_wins_wherever_it_stands() {
        let conf_d = [
            ("/d/conf.d/a.conf", "ssl=2"),
            ("/d/conf.d/b.conf", "SSL=3\n"),
        ];
        let below = effective("ssl=1\ninclude_dir 'conf.d'\n", &conf_d);
        assert_eq!(winner(&below), ("/d/conf.d/b.conf".into(), 1, "3".into()));
        assert_eq!(below.setting("ssl").count(), 3);
        let above = effective("include_dir conf.d\nssl=1", &conf_d);
        assert_eq!(winner(&above), ("/d/postgresql.conf".into(), 2, "1".into()));

        let auto = [("/d/postgresql.auto.conf", "\nssl = 4")];
        let both = effective("ssl=1", &auto);
        assert_eq!(
            winner(&both),
            ("/d/postgresql.auto.conf".into(), 2, "4".into())
        );
        assert_eq!(both.faults(), []);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (main, expected) in [
            ("\ninclude 'x'", "line 2: cannot read /d/x"),
            ("include_dir 'x'", "line 1: cannot read /d/x"),
            ("include ' '", "names nothing"),
            ("include 'postgresql.conf'", "includes itself"),
            ("ssl", "syntax error near the end of the line"),
            ("include 'loop'", "levels deep"),
        ] {
            let faults = effective(
                main,
                &[("/d/loop", "include 'pool'"), ("/d/pool", "include 'loop'")],
            )
            .faults;
            assert_eq!(faults.len(), 1, "{main}: {faults:?}");
            assert!(faults[0].to_string().contains(expected), "{}", faults[0]);
        }
        assert_eq!(effective("include_if_exists 'x'", &[]).faults(), []);
    }

    #[test]
    fn ten_levels_are_allowed_and_no_more() {
        let files: Vec<(String, String)> = (1..=11)
            .map(|n| (format!("/d/{n}"), format!("include '{}'\nssl={n}", n + 1)))
            .collect();
        let files: Vec<_> = files.iter().map(|(a, b)| (&a[..], &b[..])).collect();
        let effective = effective("include '1'", &files);
        assert_eq!(effective.lines().len(), 10);
        assert_eq!(
            effective.faults()[0].kind,
            FaultKind::TooDeep("/d/11".into())
        );
    }

    #[test]
    fn files_that_include_each_other_many_times_come_to_an_end() {
        let many = "include 'b'\n".repeat(30);
        let faults = effective(
            &many.replace('b', "a"),
            &[("/d/a", &many), ("/d/b", &many.replace('b', "a"))],
        )
        .faults;
        assert!(faults.iter().any(|it| it.kind == FaultKind::TooMany));
    }
}
