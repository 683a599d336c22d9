use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::conf::files::ConfigFiles;
use crate::hba::included::entries;

/// Files of one directory, by their path.
struct Tree(BTreeMap<PathBuf, String>);

impl ConfigFiles for Tree {
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let text = self.0.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(text.clone().into_bytes())
    }

    fn list(&mut self, directory: &Path) -> io::Result<Vec<OsString>> {
        let names = self.0.keys().filter(|it| it.parent() == Some(directory));
        Ok(names.map(|it| it.file_name().unwrap().to_owned()).collect())
    }
}

/// File, line, and the users or what is wrong.
fn read(major: u32, main: &str, others: &[(&str, &str)]) -> Vec<(String, u32, String)> {
    let mut tree = Tree(
        others
            .iter()
            .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()))
            .collect(),
    );
    entries(
        Path::new("/d/pg_hba.conf"),
        main.as_bytes(),
        major,
        &mut tree,
    )
    .into_iter()
    .map(|it| {
        let said = match (it.entry.rule(), it.entry.problem(major)) {
            (Some(rule), None) => format!("{:?}", rule.users),
            (_, problem) => problem.unwrap().to_string(),
        };
        (it.file.display().to_string(), it.entry.first_line, said)
    })
    .collect()
}

#[test]
fn included_rules_stand_where_the_include_stands() {
    let main = "local all a trust\ninclude more\ninclude_dir d\ninclude_if_exists none\nlocal all b trust\n";
    let others = [
        ("/d/more", "# c\nlocal all m trust\ninclude deeper/x\n"),
        ("/d/deeper/x", "local all x trust\ninclude_if_exists y\n"),
        ("/d/deeper/y", "local all y trust\n"),
        ("/d/d/2.conf", "local all d2 trust\n"),
        ("/d/d/1.conf", "local all d1 trust\n"),
        ("/d/d/3.txt", "local all d3 trust\n"),
    ];
    let found = read(16, main, &others);
    let files: Vec<_> = found
        .iter()
        .map(|(file, line, _)| (file.as_str(), *line))
        .collect();
    assert_eq!(
        files,
        [
            ("/d/pg_hba.conf", 1),
            ("/d/more", 2),
            ("/d/deeper/x", 1),
            ("/d/deeper/y", 1),
            ("/d/d/1.conf", 1),
            ("/d/d/2.conf", 1),
            ("/d/pg_hba.conf", 5),
        ]
    );
}

#[test]
fn lists_are_read_from_files_and_keep_their_quotes() {
    let others = [
        ("/d/f", "a, \"all\"\n+c @g # x\n"),
        ("/d/g", "all"),
        ("/d/empty", "# nothing\n"),
        ("/d/o", "clientcert=verify-full"),
    ];
    let found = read(
        15,
        "local all x,@f trust\nlocal @empty all all trust\nhostssl all all all md5 @o\n",
        &others,
    );
    let said: Vec<_> = found.iter().map(|it| it.2.as_str()).collect();
    assert_eq!(
        said,
        [
            "[Name(\"x\"), Name(\"a\"), Name(\"all\"), Member(\"c\"), All]",
            "[All]",
            "[All]",
        ]
    );
}

#[test]
fn what_cannot_be_read_is_broken_where_it_is_named() {
    for (major, main, part) in [
        (15, "local all @none trust", "cannot read /d/none"),
        (16, "include none", "cannot read /d/none"),
        (16, "include loop", "too deep"),
        (16, "include_dir \"\"", "names nothing"),
        (15, "local all @self trust", "too deep"),
    ] {
        let found = read(
            major,
            main,
            &[("/d/loop", "include loop"), ("/d/self", "a @self")],
        );
        assert_eq!(found.len(), 1, "{main}: {found:?}");
        assert!(found[0].2.contains(part), "{found:?}");
    }
}

#[test]
fn files_that_name_each_other_many_times_come_to_an_end() {
    let many = "include a\n".repeat(30);
    let found = read(16, &many, &[("/d/a", &many)]);
    assert!(found.len() < 20_000, "{}", found.len());
    assert!(
        found
            .iter()
            .all(|it| it.2.contains("too often or too deep"))
    );
    let lists = "@a ".repeat(30);
    let found = read(
        15,
        "local all @a trust\nlocal all b trust\n",
        &[("/d/a", &lists)],
    );
    assert!(found[0].2.contains("too often or too deep"), "{found:?}");
}
