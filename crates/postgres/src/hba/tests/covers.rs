use proptest::prelude::*;

use super::rule;
use crate::hba::Hba;
use crate::hba::answer::{Answer, Connection, Transport, answer};
use crate::hba::cover::{Hidden, covers, hidden};
use crate::hba::rule::Rule;

#[test]
fn a_rule_covers_what_it_matches_certainly() {
    for (a, b, expected) in [
        ("host all all all trust", "hostssl all all all cert", true),
        ("host all all all trust", "hostgssenc a b ::1/128 gss", true),
        ("hostssl all all all cert", "host all all all cert", false),
        (
            "hostnogssenc all all all md5",
            "hostssl all all all md5",
            true,
        ),
        (
            "hostnossl all all all md5",
            "hostgssenc all all all md5",
            true,
        ),
        ("host all all all md5", "local all all trust", false),
        ("local all all trust", "local a,b +c peer", true),
        ("local all all trust", "local replication all trust", false),
        (
            "local all all trust",
            "local a,replication all trust",
            false,
        ),
        (
            "local replication all trust",
            "local replication x trust",
            true,
        ),
        ("local replication all trust", "local all all trust", false),
        (
            "local all,replication all trust",
            "local replication,b x trust",
            true,
        ),
        (
            "local \"replication\" all trust",
            "local replication all trust",
            false,
        ),
        ("local all all trust", "local @f all trust", false),
        ("local @f all trust", "local @f all trust", false),
        ("local all @f trust", "local all @f trust", false),
        ("local all all trust", "local all @f trust", true),
        ("local all +a trust", "local all +a trust", true),
        ("local all +a trust", "local all a trust", false),
        ("local all \"all\" trust", "local all b trust", false),
        ("local sameuser all trust", "local sameuser a trust", true),
        ("local sameuser all trust", "local a a trust", false),
        ("local /^a all trust", "local /^a all trust", true),
        ("local /^a all trust", "local abc all trust", false),
        ("host a,b c,d all md5", "host b d,c all md5", true),
        ("host a,b c,d all md5", "host b d,e all md5", false),
        (
            "host all all 10.0.0.0/8 md5",
            "host all all 10.1.0.0/16 md5",
            true,
        ),
        (
            "host all all 10.1.0.0/16 md5",
            "host all all 10.0.0.0/8 md5",
            false,
        ),
        (
            "host all all 0.0.0.0/0 md5",
            "host all all ::1/128 md5",
            false,
        ),
        ("host all all 0.0.0.0/0 md5", "host all all all md5", false),
        (
            "host all all 0.0.0.0/0 md5",
            "host all all samehost md5",
            false,
        ),
        (
            "host all all samenet md5",
            "host all all samehost md5",
            true,
        ),
        ("host all all .a.org md5", "host all all x.A.org md5", true),
        ("host all all .a.org md5", "host all all a.org md5", false),
    ] {
        assert_eq!(covers(&rule(a), &rule(b)), expected, "{a} / {b}");
    }
}

#[test]
fn hidden_rules_are_named_with_what_hides_them() {
    let hba = Hba::parse(
        b"local all all peer\nhost all all 0.0.0.0/0 md5\nhostssl all all 10.0.0.0/8 cert\n\
          hostssl all all ::/0 cert\nlocal replication all peer\nlocal x all trust\n",
        15,
    );
    let rules: Vec<_> = hba.rules().collect();
    assert_eq!(
        hidden(&rules),
        [Hidden { rule: 2, by: 1 }, Hidden { rule: 5, by: 0 }]
    );
}

/// Rules of few words, so that they often cover each other.
fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let list = |items: &'static [&'static str]| {
        prop::sample::subsequence(items, 1..=2).prop_map(|it| it.join(","))
    };
    let conn_type = prop::sample::select(vec![
        "local",
        "host",
        "hostssl",
        "hostnossl",
        "hostgssenc",
        "hostnogssenc",
    ]);
    let address = prop::sample::select(vec![
        "all",
        "10.0.0.0/8",
        "10.1.0.0/16",
        "10.0.0.1 255.0.0.255",
        "0.0.0.0/0",
        "::/0",
        "::1/128",
    ]);
    let databases = list(&["all", "replication", "sameuser", "samerole", "a", "g"]);
    let users = list(&["all", "+g", "a", "b", "\"all\""]);
    let line = (conn_type, databases, users, address).prop_map(|(t, d, u, a)| {
        let a = if t == "local" { "" } else { a };
        rule(&format!("{t} {d} {u} {a} trust"))
    });
    proptest::collection::vec(line, 1..8)
}

fn connections() -> Vec<Connection<'static>> {
    let mut all = Vec::new();
    for transport in [
        Transport::Local,
        Transport::Plain,
        Transport::Tls,
        Transport::GssEnc,
    ] {
        for address in ["10.1.0.1", "10.2.0.1", "10.2.0.2", "11.0.0.1", "::1", "::2"] {
            for (database, role) in [("a", "a"), ("a", "b"), ("g", "a"), ("x", "all"), ("x", "x")] {
                for replication in [false, true] {
                    all.push(Connection {
                        transport,
                        address: address.parse().ok(),
                        database,
                        role,
                        replication,
                    });
                }
            }
        }
    }
    all
}

proptest! {
    #[test]
    fn no_connection_is_answered_by_a_hidden_rule(rules in rules()) {
        let rules: Vec<&Rule> = rules.iter().collect();
        let hidden = hidden(&rules);
        for connection in connections() {
            let member = |role: &str, group: &[u8]| role.as_bytes() == group || (role == "a" && group == b"g");
            let Answer::Rule(first) = answer(&rules, &connection, member) else { continue };
            prop_assert!(!hidden.iter().any(|it| it.rule == first), "{:?}", connection);
            for it in &hidden {
                let alone = [rules[it.rule]];
                if answer(&alone, &connection, member) == Answer::Rule(0) {
                    let by = [rules[it.by]];
                    prop_assert_eq!(answer(&by, &connection, member), Answer::Rule(0));
                }
            }
        }
    }
}
