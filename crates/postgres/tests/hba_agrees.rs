//! What this crate reads in `pg_hba.conf` is what the server reads: the same files, row by row, in
//! `pg_hba_file_rules`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use pgpki_postgres::conf::files::ConfigFiles;
use pgpki_postgres::conf::marked::Block;
use pgpki_postgres::hba::Hba;
use pgpki_postgres::hba::address::Address;
use pgpki_postgres::hba::included::{Located, entries};
use pgpki_postgres::hba::rule::{ClientCert, ConnType, Database, Method, Rule, User};
use pgpki_testing::{Cluster, ServerPrograms, openssl};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// A row of `pg_hba_file_rules`, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    line: u32,
    /// `None` where the server could not read the line.
    rule: Option<[String; 7]>,
}

/// The rows that the server makes of `text`, and the errors it names.
fn servers(cluster: &Cluster, text: &[u8]) -> Vec<(Row, String)> {
    fs::write(cluster.data_dir().join("pg_hba.conf"), text).unwrap();
    // Rows and columns come in order of the file; what separates them cannot stand in a line.
    let rows = cluster.sql(
        "select concat_ws(E'\\x1e', line_number, coalesce(error, ''), type, array_to_string(database, E'\\x1f'), \
         array_to_string(user_name, E'\\x1f'), coalesce(address, ''), coalesce(netmask, ''), auth_method, \
         array_to_string(coalesce(options, '{}'), E'\\x1f')) || E'\\x1d' from pg_hba_file_rules",
    );
    rows.split('\x1d')
        .map(|row| row.strip_prefix('\n').unwrap_or(row))
        .filter(|row| !row.is_empty())
        .map(|row| {
            let columns: Vec<&str> = row.split('\x1e').collect();
            let rule = (columns.len() == 9)
                .then(|| std::array::from_fn(|column| columns[column + 2].to_owned()))
                .map(one_word_for_groups);
            let line = columns[0].parse().unwrap();
            (Row { line, rule }, columns[1].to_owned())
        })
        .collect()
}

/// `samegroup` is an old word for `samerole`, and we know only that.
fn one_word_for_groups(mut columns: [String; 7]) -> [String; 7] {
    let databases = columns[1].split('\x1f');
    let databases: Vec<&str> = databases
        .map(|it| if it == "samegroup" { "samerole" } else { it })
        .collect();
    columns[1] = databases.join("\x1f");
    columns
}

/// The rows that this crate expects.
fn ours(entries: &[Located], major: u32) -> Vec<(Row, String)> {
    entries
        .iter()
        .map(|it| {
            let problem = it.entry.problem(major);
            let rule = it.entry.rule().filter(|_| problem.is_none());
            let row = Row {
                line: it.entry.first_line,
                rule: rule.map(columns),
            };
            (row, problem.map(|it| it.to_string()).unwrap_or_default())
        })
        .collect()
}

fn columns(rule: &Rule) -> [String; 7] {
    let (address, mask) = match &rule.address {
        None => Default::default(),
        Some(Address::Network(it)) => (it.address().to_string(), it.mask().to_string()),
        Some(it) => (it.to_string(), String::new()),
    };
    let databases: Vec<_> = rule.databases.iter().map(database).collect();
    let users: Vec<_> = rule.users.iter().map(user).collect();
    let method = match (rule.conn_type, rule.method) {
        // The server makes `peer` of it.
        (ConnType::Local, Method::Ident) => Method::Peer,
        (_, method) => method,
    };
    [
        rule.conn_type.to_string(),
        databases.join("\x1f"),
        users.join("\x1f"),
        address,
        mask,
        method.to_string(),
        options(rule).join("\x1f"),
    ]
}

fn database(item: &Database) -> String {
    match item {
        Database::All => "all".to_owned(),
        Database::SameUser => "sameuser".to_owned(),
        Database::SameRole => "samerole".to_owned(),
        Database::Replication => "replication".to_owned(),
        Database::Regex(it) => format!("/{it}"),
        Database::Name(it) => it.to_string(),
        Database::File(it) => panic!("@{it} has not been read"),
    }
}

fn user(item: &User) -> String {
    match item {
        User::All => "all".to_owned(),
        User::Member(it) => format!("+{it}"),
        User::Regex(it) => format!("/{it}"),
        User::Name(it) => it.to_string(),
        User::File(it) => panic!("@{it} has not been read"),
    }
}

/// What `get_hba_options` (hbafuncs.c) shows of the options, in its order.
fn options(rule: &Rule) -> Vec<String> {
    let shown = |name: &str| rule.option(name).map(|value| format!("{name}={value}"));
    let on = |name: &str| (rule.option(name) == Some("1")).then(|| format!("{name}=true"));
    let mut options = Vec::new();
    if rule.method == Method::Gss {
        let include_realm = rule.option("include_realm").is_none_or(|it| it == "1");
        options.extend(include_realm.then(|| "include_realm=true".to_owned()));
        options.extend(shown("krb_realm"));
    }
    options.extend(shown("map"));
    options.extend(rule.client_cert().map(|it| match it {
        ClientCert::VerifyCa => "clientcert=verify-ca".to_owned(),
        ClientCert::VerifyFull => "clientcert=verify-full".to_owned(),
    }));
    options.extend(shown("pamservice"));
    if rule.method == Method::Ldap {
        options.extend(
            ["ldapserver", "ldapport", "ldapscheme"]
                .into_iter()
                .filter_map(shown)
                // The server reads a number and does not mind what follows it.
                .map(|it| it.replace("=+0012x", "=12")),
        );
        options.extend(on("ldaptls"));
        options.extend(
            [
                "ldapprefix",
                "ldapsuffix",
                "ldapbasedn",
                "ldapsearchattribute",
                "ldapsearchfilter",
            ]
            .into_iter()
            .filter_map(shown),
        );
        // LDAP_SCOPE_SUBTREE, as soon as there is any option.
        options.push("ldapscope=2".to_owned());
    }
    options.extend(
        [
            "radiusservers",
            "radiussecrets",
            "radiusidentifiers",
            "radiusports",
        ]
        .into_iter()
        .filter_map(shown),
    );
    options.extend(
        ["issuer", "scope", "validator"]
            .into_iter()
            .filter_map(shown),
    );
    options
}

/// Included files from the machine itself.
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

/// Compares row by row, and says which line the two disagree about.
#[track_caller]
fn agree(cluster: &Cluster, text: &[u8]) -> Vec<(Row, String)> {
    let major = cluster.major();
    let file = cluster.data_dir().join("pg_hba.conf");
    let theirs = servers(cluster, text);
    let ours = ours(&entries(&file, text, major, &mut Disk), major);
    let lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
    for (their, our) in theirs.iter().zip(&ours) {
        // What a server was built with and what its other settings are is not in this file.
        let elsewhere = [
            "not supported by this build",
            "oauth_validator_libraries must be set",
        ];
        if their.0.rule.is_none() && elsewhere.iter().any(|it| their.1.contains(it)) {
            assert_eq!(their.0.line, our.0.line);
            continue;
        }
        let line = String::from_utf8_lossy(lines[their.0.line as usize - 1]);
        assert_eq!(
            their.0, our.0,
            "the line {line:?}: the server {major} says {:?}, we say {:?}",
            their.1, our.1
        );
    }
    assert_eq!(
        theirs.len(),
        ours.len(),
        "the server sees other lines than we do"
    );
    theirs
}

/// Lines that the servers of some or all versions take or reject, each for a reason of its own.
const LINES: &str = include_str!("hba_agrees/lines.conf");

#[test]
fn every_line_is_read_as_the_server_reads_it() {
    for cluster in clusters() {
        let rows = agree(&cluster, LINES.as_bytes());
        let (good, bad): (Vec<_>, Vec<_>) = rows.iter().partition(|it| it.0.rule.is_some());
        assert!(
            good.len() > 60 && bad.len() > 60,
            "{} {}",
            good.len(),
            bad.len()
        );
        agree(&cluster, LINES.replace('\n', "\r\n").as_bytes());
        agree(&cluster, LINES.trim_end().as_bytes());
    }
}

/// A cluster of every version, one after the other, with TLS: without it the server has something
/// to say about every `hostssl` line.
fn clusters() -> impl Iterator<Item = Cluster> {
    ServerPrograms::every().into_iter().map(|programs| {
        let mut cluster = Cluster::builder().programs(&programs).create().unwrap();
        make_certificate(&cluster);
        cluster.set_conf("ssl = on");
        cluster.start().unwrap();
        cluster
    })
}

/// `server.crt` and `server.key` in the data directory, where the server looks for them.
fn make_certificate(cluster: &Cluster) {
    let [key, cert] = ["server.key", "server.crt"].map(|it| cluster.data_dir().join(it));
    let request =
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost";
    let files = [
        "-keyout",
        key.to_str().unwrap(),
        "-out",
        cert.to_str().unwrap(),
    ];
    openssl(request.split(' ').chain(files));
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    cluster.owner().take(&key).unwrap();
}

#[test]
fn some_broken_lines_have_no_error_and_no_type() {
    for cluster in clusters() {
        let rows = agree(
        &cluster,
        b"hostssl all all all md5 clientcert=verify-full\nhostssl all all all md5 clientcert=verify_full",
    );
        assert!(rows[0].0.rule.is_some() && rows[0].1.is_empty(), "{rows:?}");
        assert_eq!(
            rows[1],
            (
                Row {
                    line: 2,
                    rule: None
                },
                String::new()
            ),
            "where this changes, `type IS NULL` need no longer count as an error"
        );
    }
}

#[test]
fn any_bytes_in_comments_change_nothing() {
    for cluster in clusters() {
        let mut text = b"# \xff\xfe\x80 \xc3\nlocal all all trust # \xe9\r\n".to_vec();
        text.extend("host all \"r\u{f6}le\" all md5\n\n \t\r\n#".as_bytes());
        assert_eq!(agree(&cluster, &text).len(), 2);
        // A byte order mark is no comment: the server refuses the first line, whatever it is.
        let rows = agree(&cluster, b"\xef\xbb\xbf# c\nlocal all all trust\n");
        assert_eq!(rows[0].0.rule, None);
        assert_eq!(rows.len(), 2);
    }
}

#[test]
fn what_is_too_long_is_refused_alike() {
    for cluster in clusters() {
        let mut text = String::new();
        for length in [255, 256, 257, 10_238, 10_239] {
            text.push_str(&format!("local all {} trust\n", "x".repeat(length)));
        }
        text.push_str(&format!("local all {} trust\n", "x".repeat(10_240)));
        let list = vec!["role"; 4000].join(",");
        text.push_str(&format!("local all {list} trust\nlocal all b trust\n"));
        let rows = agree(&cluster, text.as_bytes());
        assert_eq!(rows[5].0.rule.is_some(), cluster.major() > 15);
        // Version 13 has no room for this line, and takes what it had no room for as another one.
        let line = format!("local all {} trust\n", vec!["role"; 5000].join(","));
        let refused = cluster.major() == 13;
        let (row, error) = &servers(&cluster, line.as_bytes())[0];
        assert_eq!(row.rule.is_none(), refused, "{error}");
        let problems = Hba::parse(line.as_bytes(), cluster.major()).problems();
        assert_eq!(problems.len(), usize::from(refused), "{problems:?}");
    }
}

#[test]
fn files_in_lists_and_included_files_are_read_alike() {
    for cluster in clusters() {
        let put = |name: &str, text: &str| {
            let path = cluster.data_dir().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("lists/roles", "a, b \"all\" # c\n+d,@more\n\n");
        put("lists/more", "e\\\n f");
        put("lists/empty", "# nothing\n");
        put("lists/option", "clientcert=verify-full");
        put("d/2.conf", "local all two trust\nlocal all\n");
        put("d/1.conf", "local all one trust\n");
        let text = "local all x,@lists/roles,y trust\nlocal @lists/empty all all trust\n\
                hostssl all all all md5 @lists/option\nlocal all @lists/none trust\n\
                local all \"@lists/roles\" trust\nlocal all @\"lists/more\" trust\n\
                include lists/none\ninclude_if_exists lists/none\ninclude d/1.conf\n\
                include_dir d\ninclude_dir none\nlocal all last trust\n";
        let major = cluster.major();
        let theirs = servers(&cluster, text.as_bytes());
        let file = cluster.data_dir().join("pg_hba.conf");
        let ours = ours(&entries(&file, text.as_bytes(), major, &mut Disk), major);
        let rows =
            |rows: Vec<(Row, String)>| -> Vec<Row> { rows.into_iter().map(|it| it.0).collect() };
        assert_eq!(rows(theirs), rows(ours));
    }
}

/// Words of a field: most of the time one that is right in most lines, else one that may be or not.
fn field(
    right: &'static [&'static str],
    others: &'static [&'static str],
) -> impl Strategy<Value = &'static str> + Clone {
    prop_oneof![9 => prop::sample::select(right), 1 => prop::sample::select(others)]
}

/// Lines of words that mean something, in places where they may or may not.
fn lines() -> impl Strategy<Value = String> {
    let conn_type = field(
        &[
            "local",
            "host",
            "hostssl",
            "hostssl",
            "hostnossl",
            "hostgssenc",
            "hostnogssenc",
        ],
        &["\"host\"", "hosts", "host,local", "HOST"],
    );
    let items = field(
        &[
            "all",
            "\"all\"",
            "replication",
            "sameuser",
            "samerole",
            "a",
            "\"a b\"",
            "+g",
            "\"+g\"",
            "a,b",
            "a, b",
        ],
        &[
            "samegroup",
            "a ,b",
            "/r",
            "\"a\"\"b\"",
            "a\"b\"c",
            "\"\"",
            ",a",
            "@",
            "+",
            "\\x",
            "\"a",
        ],
    );
    let address = field(
        &[
            "all",
            "samehost",
            "samenet",
            "127.0.0.1/32",
            "10.1.2.3/8",
            "10.0.0.0 255.0.0.0",
            "::1/128",
            "::/0",
            "0/0",
        ],
        &[
            "\"all\"",
            "10.0.0.1",
            "fe80::/10",
            "1.2/16",
            "host.example.com",
            ".example.com",
            "a/8",
            "10.0.0.0/33",
            "::1 ffff::",
            "10.0.0.0 ffff::",
            "1.2.3.4/",
            "",
            "10.0.0.0/+8",
            "::ffff:1.2.3.4/96",
        ],
    );
    let method = field(
        &[
            "trust",
            "reject",
            "cert",
            "scram-sha-256",
            "md5",
            "password",
            "\"trust\"",
        ],
        &[
            "peer",
            "ident",
            "radius",
            "ldap",
            "verify-ca",
            "",
            "trust,md5",
            "oauth",
            "Trust",
        ],
    );
    let option = field(
        &["", "", "", "", "clientcert=verify-full"],
        &[
            "map=m",
            "clientcert=verify-ca",
            "clientcert=1",
            "clientcert=0",
            "clientcert=no-verify",
            "clientname=DN",
            "clientname=CN",
            "clientname=x",
            "\"map=a b\"",
            "map",
            "x=1",
            "ldapprefix=a",
            "ldapbasedn=b",
            "ldapport=0",
            "ldapserver=s ldapsuffix=,c",
            "krb_realm=R",
            "radiusservers=127.0.0.1 radiussecrets=s",
            "issuer=i",
            "map=m,clientcert=verify-full",
        ],
    );
    let end = field(&["", " # c", "#c", " ,"], &[" \\\n", "\t\r", "\\"]);
    let fields = (
        conn_type,
        items.clone(),
        items,
        address,
        method,
        option.clone(),
        option,
        end,
    );
    fields.prop_map(
        |(conn_type, database, user, address, method, one, two, end)| {
            let address = if conn_type == "local" { "" } else { address };
            format!("{conn_type} {database}\t{user} {address} {method} {one} {two}{end}\n")
        },
    )
}

#[test]
fn five_thousand_generated_lines_are_read_as_the_server_reads_them() {
    for cluster in clusters() {
        let mut runner = TestRunner::deterministic();
        for (count, eol) in [(5000, "\n"), (500, "\r\n")] {
            let text = proptest::collection::vec(lines(), count)
                .new_tree(&mut runner)
                .unwrap()
                .current()
                .concat()
                .replace('\n', eol);
            let rows = agree(&cluster, text.as_bytes());
            let good = rows.iter().filter(|it| it.0.rule.is_some()).count();
            let (least, most) = (count / 4, count * 3 / 4);
            assert!((least..most).contains(&good), "{good} of {count}");
        }
    }
}

#[test]
fn a_block_changes_no_rule_below_it_and_goes_again() {
    for mut cluster in clusters() {
        let major = cluster.major();
        let file = cluster.data_dir().join("pg_hba.conf");
        let before = fs::read(&file).unwrap();
        let hba = Hba::parse(&before, major);
        let rules = [
            "hostnossl all,replication all all reject",
            "host all all samenet scram-sha-256",
        ];
        let with = hba.with_block(&Block::new(rules).unwrap()).unwrap();
        let rows = agree(&cluster, with.to_bytes());
        assert_eq!(rows.len(), hba.rules().count() + 2);
        let methods: BTreeMap<u32, String> = rows
            .into_iter()
            .map(|(row, _)| (row.line, row.rule.unwrap()[5].clone()))
            .collect();
        let methods: Vec<_> = methods.into_values().take(3).collect();
        assert_eq!(methods, ["reject", "scram-sha-256", "trust"]);
        cluster.reload().unwrap();
        let without = with.without_block().unwrap().unwrap();
        assert_eq!(without.to_bytes(), before);
    }
}
