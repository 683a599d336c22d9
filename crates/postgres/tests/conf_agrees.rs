//! What this crate reads in `postgresql.conf` is what the server reads: the same files, row by row,
//! in `pg_file_settings`.
#![allow(clippy::unwrap_used)]

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pgpki_postgres::conf::Conf;
use pgpki_postgres::conf::effective::Effective;
use pgpki_postgres::conf::files::ConfigFiles;
use pgpki_postgres::conf::marked::Block;
use pgpki_postgres::conf::quote::setting_line;
use pgpki_testing::{Cluster, ServerPrograms};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// A setting: file, line, name, value.
type Row = (PathBuf, u32, String, String);

/// The settings that the server finds, and the files and lines that it cannot read.
fn servers(cluster: &Cluster) -> (Vec<Row>, Vec<(PathBuf, u32, String)>) {
    let rows = cluster.sql(
        "select concat_ws(E'\\x1e', coalesce(sourcefile, ''), coalesce(sourceline, 0), coalesce(name, ''), coalesce(setting, ''), \
         coalesce(error, '')) || E'\\x1d' from pg_file_settings order by seqno",
    );
    let (mut settings, mut errors) = (Vec::new(), Vec::new());
    for row in rows.split('\x1d') {
        let columns: Vec<&str> = row
            .strip_prefix('\n')
            .unwrap_or(row)
            .split('\x1e')
            .collect();
        let [file, line, name, value, error] = columns[..] else {
            assert_eq!(columns, [""]);
            continue;
        };
        let (file, line) = (PathBuf::from(file), line.parse().unwrap());
        // What a reload cannot bring back to its default has no place in any file.
        if file.as_os_str().is_empty() {
            continue;
        }
        if name.is_empty() {
            errors.push((file, line, error.to_owned()));
        } else {
            settings.push((file, line, name.to_owned(), value.to_owned()));
        }
    }
    (settings, errors)
}

/// Files from the machine itself.
struct Disk;

impl ConfigFiles for Disk {
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn list(&mut self, directory: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(directory)?
            .map(|entry| Ok(entry?.file_name()))
            .collect()
    }
}

fn ours(cluster: &Cluster) -> Effective {
    let sources: Vec<(PathBuf, Conf)> = ["postgresql.conf", "postgresql.auto.conf"]
        .map(|name| cluster.data_dir().join(name))
        .into_iter()
        .map(|path| {
            let conf = Conf::parse(&fs::read(&path).unwrap());
            (path, conf)
        })
        .collect();
    Effective::of(&sources, &mut Disk)
}

fn rows(effective: &Effective) -> Vec<Row> {
    effective
        .lines()
        .iter()
        .map(|it| {
            let setting = &it.setting;
            let value = setting.text().into_owned();
            (it.file.clone(), setting.line, setting.name.clone(), value)
        })
        .collect()
}

/// A cluster of every version, one after the other.
fn clusters() -> impl Iterator<Item = Cluster> {
    ServerPrograms::every()
        .into_iter()
        .map(|programs| Cluster::builder().programs(&programs).start().unwrap())
}

/// Puts each text into a file of its own, all of them included by `postgresql.conf`: after a syntax
/// error the server reads on in the next file only.
#[track_caller]
fn agree_on_each(cluster: &Cluster, texts: &[String]) -> (usize, usize) {
    let folder = cluster.data_dir().join("each");
    fs::create_dir_all(&folder).unwrap();
    let mut main = String::new();
    for (number, text) in texts.iter().enumerate() {
        let path = folder.join(number.to_string());
        fs::write(&path, text).unwrap();
        main.push_str(&format!("include '{}'\n", path.display()));
    }
    fs::write(cluster.data_dir().join("postgresql.conf"), main).unwrap();
    let (settings, errors) = servers(cluster);
    let effective = ours(cluster);
    let refused = |file: &Path| errors.iter().any(|it| it.0 == file);
    for (number, text) in texts.iter().enumerate() {
        let path = folder.join(number.to_string());
        let of =
            |rows: &[Row]| -> Vec<Row> { rows.iter().filter(|it| it.0 == path).cloned().collect() };
        let fault = effective.faults().iter().find(|it| it.file == path);
        assert_eq!(fault.is_some(), refused(&path), "{text:?}: {fault:?}");
        let (theirs, our) = (of(&settings), of(&rows(&effective)));
        match fault {
            None => assert_eq!(our, theirs, "{text:?}"),
            // The server stops there.
            Some(fault) => {
                let before: Vec<Row> = our.into_iter().filter(|it| it.1 < fault.line).collect();
                assert_eq!(before, theirs, "{text:?}");
            }
        }
    }
    (settings.len(), errors.len())
}

#[test]
fn every_line_is_read_as_the_server_reads_it() {
    for cluster in clusters() {
        let texts: Vec<String> = [
            "port = 5433",
            "port 5433",
            "port=5433",
            "PORT\t=\t5433 # c",
            "port = 5433#c",
            "port == 1",
            "port =",
            "port",
            "= 1",
            "port = 1 2",
            "port = 'a' 'b'",
            "port = 'it''s'",
            r"x.y = 'a\'b\\c\n\t\b\f\r\101\7\q'",
            "port = '",
            "port = 'a",
            "port = 'a''",
            r"port = 'a\'",
            "port = ''",
            "port = \"a\"",
            "port = a.b",
            "port = a.b.c",
            "port = a-b:c/d",
            "port = /a",
            "port = -5",
            "port = +5",
            "port = --5",
            "port = 0x1F",
            "port = 0xZZ",
            "port = 128MB",
            "port = 1.5",
            "port = 1.5MB",
            "port = .5",
            "port = 5.",
            "port = .",
            "port = 1e5",
            "port = 1.0e5",
            "port = 1.0e+5x",
            "port = 1.e",
            "port = *",
            "port = a,b",
            "port = on;",
            "a.b = 1",
            "a.b.c = 1",
            "a..b = 1",
            "a. = 1",
            ".a = 1",
            "1a = 1",
            "a1 = 1",
            "_a$ = 1",
            "a-b = 1",
            "port'a'",
            "port = a'b'",
            "port = 'a'b",
            "  port   =   'a'  ",
            "\tport\t'a'\t",
            "port = 'a'\r",
            "\r\rport = a\r\r",
            "port = 'a\rb'",
            "# port = 1",
            "#",
            "",
            " \t\r",
            "port = '# no comment'",
            "port = a#b",
            "\u{e9} = \u{e8}",
            "p\u{f6}rt = '\u{20ac}'",
            "\u{feff}port = 1",
            "\u{feff}# c",
            "port = 1\nhost = 2\n\n# c\nuser 'x'",
            "port = 1\nbad\nuser = 2",
            "port = 1\r\nhost = 2\r\nuser 'x'\r\n",
            "port = 1\n\nbad bad bad\n",
            "port\n= 1\n",
            "port =\n1\n",
            "port = 'a\nb'\n",
            "port = 'a\\\nb'\n",
            "include ''",
            "include '  '",
            "include 'none'",
            "include_if_exists 'none'",
            "include_dir 'none'",
            "include_dir ''",
            "INCLUDE_IF_EXISTS none",
            "include_if_exists = 'none'",
            "port = 1 include 'x'",
        ]
        .map(str::to_owned)
        .to_vec();
        let (settings, errors) = agree_on_each(&cluster, &texts);
        assert!(settings > 30 && errors > 20, "{settings} {errors}");
    }
}

#[test]
fn generated_lines_are_read_as_the_server_reads_them() {
    for cluster in clusters() {
        let piece = prop::sample::select(vec![
            "port", "a", "b.c", "=", "=", " ", " ", "\t", "'", "''", "'x'", "\\", "1", "5", ".",
            "-", "+", "e", "0x", "MB", "#", "\r", "\n", "/", ":", "_", "\u{e9}", "$", "\"", ",",
            "\\'", "\\0",
        ]);
        let text = proptest::collection::vec(piece, 1..9).prop_map(|it| it.concat());
        let named = (prop::sample::select(vec!["", "a ", "a = ", "a='"]), text)
            .prop_map(|(start, rest)| format!("{start}{rest}"));
        let texts = proptest::collection::vec(named, 2000)
            .new_tree(&mut TestRunner::deterministic())
            .unwrap()
            .current();
        let (settings, errors) = agree_on_each(&cluster, &texts);
        assert!(settings > 100 && errors > 100, "{settings} {errors}");
    }
}

#[test]
fn includes_are_followed_in_the_servers_order() {
    for cluster in clusters() {
        let data = cluster.data_dir();
        let put = |name: &str, text: &str| {
            let path = data.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("conf.d/b.conf", "a.b = b\ninclude '../other/x'\n");
        put("conf.d/A.conf", "a.b = A\n");
        put("conf.d/10.conf", "a.b = 10\n");
        put("conf.d/9.conf", "a.b = 9\n");
        put("conf.d/.hidden.conf", "a.b = hidden\n");
        put("conf.d/c.conf.bak", "a.b = bak\n");
        put("conf.d/d.conf/file", "a.b = directory\n");
        put("other/x", "a.b = x\ninclude_if_exists 'none'\ninclude y\n");
        put("other/y", "A.B = y\n");
        put("postgresql.auto.conf", "# Do not edit\na.c = '1'\n");
        put(
            "postgresql.conf",
            "a.b = 1\ninclude_dir = 'conf.d'\na.c = 2\na.b = 3\n",
        );
        fs::remove_dir_all(data.join("conf.d/d.conf")).unwrap();
        let (settings, errors) = servers(&cluster);
        let effective = ours(&cluster);
        assert_eq!(errors, []);
        assert_eq!(effective.faults(), []);
        let normal = |rows: Vec<Row>| -> Vec<Row> {
            // From version 16 on the server shows the shorter form of the path.
            rows.into_iter()
                .map(|(file, line, name, value)| {
                    (fs::canonicalize(file).unwrap(), line, name, value)
                })
                .collect()
        };
        assert_eq!(normal(rows(&effective)), normal(settings));
        let winner = |name| effective.winner(name).unwrap().setting.text().into_owned();
        assert_eq!((winner("a.b"), winner("a.c")), ("3".into(), "1".into()));
    }
}

#[test]
fn the_winner_is_the_line_that_the_server_takes() {
    for mut cluster in clusters() {
        let data = cluster.data_dir();
        let main = data.join("postgresql.conf");
        fs::create_dir(data.join("conf.d")).unwrap();
        let conf = Conf::parse(&fs::read(&main).unwrap());
        let include = Block::new(["include_dir 'conf.d'"]).unwrap();
        let with = conf.with_block(&include).unwrap();
        let value = b"it's \\ a\ttest #1 \xc3\xa9";
        let line = setting_line("log_line_prefix", b"first").unwrap();
        fs::write(data.join("conf.d/1.conf"), &line).unwrap();
        let line = setting_line("Application_Name", value).unwrap();
        fs::write(
            data.join("conf.d/2.conf"),
            [&line[..], b"\nwork_mem = 5MB"].concat(),
        )
        .unwrap();
        fs::write(&main, with.to_bytes()).unwrap();
        cluster.sql("alter system set work_mem = '7MB'");
        cluster.reload().unwrap();
        let effective = ours(&cluster);
        for name in ["work_mem", "port", "unix_socket_directories", "fsync"] {
            let server = cluster.sql(&format!(
                "select sourcefile || ':' || sourceline from pg_settings where name = '{name}'"
            ));
            let winner = effective.winner(name).unwrap();
            let ours = format!("{}:{}", winner.file.display(), winner.setting.line);
            assert_eq!(ours, server, "{name}");
        }
        let (settings, _) = servers(&cluster);
        let read = settings
            .iter()
            .find(|it| it.2 == "Application_Name")
            .unwrap();
        assert_eq!(read.3.as_bytes(), value);
        let file = effective.winner("application_name").unwrap();
        assert!(file.file.ends_with("conf.d/2.conf"));
        let without = with.without_block().unwrap().unwrap();
        assert_eq!(without, conf);
    }
}
