#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

mod answers;
mod covers;
mod includes;
mod uncertified;
mod versions;

/// The only rule of a text.
fn rule(line: &str) -> Rule {
    let hba = Hba::parse(line.as_bytes(), 18);
    let rules: Vec<_> = hba.rules().cloned().collect();
    assert_eq!(rules.len(), 1, "{line}: {:?}", hba.problems());
    rules[0].clone()
}

#[test]
fn fields_are_typed() {
    use super::rule::{AuthOption, ConnType, Database, Method, User};
    let rule = rule(
        "hostssl all,\"all\",replication,sameuser,samegroup,/^d alice,+staff,\"+x\",\"all\",@f \
         10.0.0.0 255.0.0.0 cert map=m,clientname=DN clientcert=\"verify-full\"",
    );
    assert_eq!(rule.conn_type, ConnType::HostSsl);
    assert_eq!(
        rule.databases,
        [
            Database::All,
            Database::Name("all".into()),
            Database::Replication,
            Database::SameUser,
            Database::SameRole,
            Database::Regex("^d".into()),
        ]
    );
    assert_eq!(
        rule.users,
        [
            User::Name("alice".into()),
            User::Member("staff".into()),
            User::Name("+x".into()),
            User::Name("all".into()),
            User::File("f".into()),
        ]
    );
    assert_eq!(rule.address.as_ref().unwrap().to_string(), "10.0.0.0/8");
    assert_eq!(rule.method, Method::Cert);
    assert_eq!(rule.option("map"), Some("m"));
    assert_eq!(
        rule.options[2],
        AuthOption {
            name: "clientcert".into(),
            value: Some("verify-full".into())
        }
    );
    assert_eq!(rule.problems(18), []);
}

#[test]
fn lines_are_numbered_as_the_server_numbers_them() {
    let text = "# c\\\nlocal all all trust\n\r\nlocal all \\\r\n  all \\\n trust\nlocal\n";
    let numbers = |major| -> Vec<(u32, u32, bool)> {
        Hba::parse(text.as_bytes(), major)
            .entries()
            .iter()
            .map(|it| (it.first_line, it.last_line, it.rule().is_some()))
            .collect()
    };
    // From version 14 on, the comment goes on in line 2.
    assert_eq!(numbers(14), [(4, 6, true), (7, 7, false)]);
    assert_eq!(
        numbers(13),
        [
            (2, 2, true),
            (4, 4, false),
            (5, 5, false),
            (6, 6, false),
            (7, 7, false)
        ]
    );
}

#[test]
fn our_block_comes_first_and_goes_without_a_trace() {
    let text = b"\xef\xbb\xbf# \xff\r\nhost all all all trust";
    let before = Hba::parse(text, 15);
    let block = Block::new(["hostnossl all all all reject"]).unwrap();
    let with = before.with_block(&block).unwrap();
    assert_eq!(with.rules().next().unwrap().first_line, 2);
    assert!(with.to_bytes().starts_with(b"# BEGIN pgpki "));
    assert_eq!(
        with.to_bytes().iter().filter(|&&it| it == b'\n').count(),
        with.to_bytes()
            .windows(2)
            .filter(|it| it == b"\r\n")
            .count(),
        "a CRLF file gets CRLF"
    );
    let other = Block::new(["hostssl all all all cert", "#"]).unwrap();
    let again = with.with_block(&other).unwrap();
    assert_eq!(again.block().unwrap().unwrap().block, other);
    assert_eq!(again.without_block().unwrap(), Some(before.clone()));
    assert_eq!(before.without_block().unwrap(), None);
}

/// Lines that are nearly rules, and bytes that are nothing.
fn files() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        4 => prop::sample::select(vec![
            "local", "hostssl", "all", "\"all\"", ",", "10.0.0.0/8", "::1", "cert", "trust", "@f", "\\",
            "include", "clientcert=verify-ca", "#", "\"", "ff::/16", "/x",
        ]).prop_map(|it| it.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..9),
    ];
    let ending = prop::sample::select(vec![" ", " ", " ", " ", "\n", "\r\n", "\\\n", "\t", ""]);
    proptest::collection::vec((word, ending), 0..60).prop_map(|words| {
        words
            .into_iter()
            .flat_map(|(word, ending)| [word, ending.as_bytes().to_vec()])
            .collect::<Vec<_>>()
            .concat()
    })
}

proptest! {
    #[test]
    fn any_bytes_come_back(text in files(), major in 13u32..=18) {
        let hba = Hba::parse(&text, major);
        prop_assert_eq!(hba.to_bytes(), &text[..]);
        hba.problems();
        let block = Block::new(["hostnossl all all all reject", "# x"]).unwrap();
        let with = hba.with_block(&block).unwrap();
        prop_assert_eq!(with.rules().next().map(|it| it.first_line), Some(2));
        prop_assert_eq!(with.entries().len(), hba.entries().len() + 1);
        prop_assert_eq!(with.without_block().unwrap(), Some(hba));
    }
}
