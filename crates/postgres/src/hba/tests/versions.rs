use crate::hba::Hba;

/// What each version says to a line: where it changes, and a part of the message, or nothing where
/// it is taken.
fn check(line: &str, expected: &[(std::ops::RangeInclusive<u32>, &str)]) {
    for (majors, part) in expected {
        for major in majors.clone() {
            let problems = Hba::parse(line.as_bytes(), major).problems();
            let text = problems
                .first()
                .map(|(_, problem)| problem.to_string())
                .unwrap_or_default();
            assert!(
                text.contains(part) && text.is_empty() == part.is_empty(),
                "{line} in {major}: {text:?}, not {part:?}"
            );
        }
    }
}

#[test]
fn published_examples_that_no_server_takes() {
    for (line, part) in [
        (
            "hostssl all 127.0.0.1/32 verify-ca clientcert=verify-ca",
            "field before it is missing",
        ),
        (
            "hostssl all all all verify-ca",
            "write cert, or scram-sha-256 clientcert=verify-full",
        ),
        ("host all all all cert", "write hostssl"),
        ("local all all cert", "write hostssl"),
        ("hostssl all all 127.0.0.1 cert", "write 127.0.0.1/32"),
        ("hostssl all all ::1", "write ::1/128"),
        ("hostssl all all all scram-sha-256 map=m", "use cert"),
        ("host all all all md5 clientcert=verify-ca", "write hostssl"),
        (
            "hostnossl all all all md5 clientcert=verify-full",
            "write hostssl",
        ),
        (
            "hostssl all all all md5 clientcert=verify_full",
            "clientcert=verify-full",
        ),
        ("local all all 127.0.0.1/32 md5", "a local line has none"),
        ("host all all all peer", "write local"),
        ("local all all gss", "write host"),
        ("host all all all MD5", "lower case"),
        (
            "host all all db.example.com/24 md5",
            "host name with a mask",
        ),
        ("host all all 10.0.0.0/33 md5", "no valid mask"),
        ("host all all 10.0.0.0 ::1 md5", "not both IPv4"),
        ("host,local all all all md5", "must be one item"),
        ("hosts all all all md5", "no connection type"),
        ("host all", "ends before the user"),
        (
            "host all all all md5 clientcert verify-full",
            "without blanks",
        ),
        ("host all all all md5 sslcert=1", "no option"),
        ("host all all all ldap", "needs ldapbasedn"),
        (
            "host all all all ldap ldapprefix=a ldapbasedn=b",
            "keep one",
        ),
        (
            "host all all all radius radiusservers=127.0.0.1",
            "needs radiussecrets",
        ),
        (
            "host all all all sspi",
            "does not exist in PostgreSQL for Linux",
        ),
        ("hostssl all all all cert pamservice=x", "only with pam"),
    ] {
        check(line, &[(13..=18, part)]);
    }
}

#[test]
fn what_versions_differ_in() {
    check(
        "hostssl all all all md5 clientcert=1",
        &[(13..=13, ""), (14..=18, "up to PostgreSQL 13")],
    );
    check(
        "hostssl all all all md5 clientcert=no-verify",
        &[(13..=13, ""), (14..=18, "remove it")],
    );
    check(
        "hostssl all all all cert clientcert=1",
        &[(13..=13, ""), (14..=18, "up to PostgreSQL 13")],
    );
    check(
        "hostssl all all all cert clientcert=0",
        &[(13..=13, "verify-full"), (14..=18, "remove it")],
    );
    check(
        "hostssl all all all cert clientcert=verify-ca",
        &[(13..=13, ""), (14..=18, "verify-full")],
    );
    check(
        "hostssl all all all cert clientcert=verify-full",
        &[(13..=18, "")],
    );
    check(
        "hostssl all all all cert clientname=DN",
        &[(13..=13, "from PostgreSQL 14 on"), (14..=18, "")],
    );
    check(
        "hostssl all all all cert clientname=dn",
        &[(14..=18, "in capitals")],
    );
    check(
        "include other.conf",
        &[(13..=15, "from PostgreSQL 16 on"), (16..=18, "")],
    );
    check(
        "include_dir \"a b\"",
        &[(13..=15, "from PostgreSQL 16 on"), (16..=18, "")],
    );
    check(
        "host all all all oauth issuer=a scope=b",
        &[(13..=17, "from PostgreSQL 18 on"), (18..=18, "")],
    );
    check(
        "host all all all oauth issuer=a",
        &[(18..=18, "needs scope")],
    );
    check(
        "host all all all md5 scope=b",
        &[
            (13..=17, "from PostgreSQL 18 on"),
            (18..=18, "only with oauth"),
        ],
    );
    check(
        "host all \\\n all all md5",
        &[(13..=13, "ends before"), (14..=18, "")],
    );
}

#[test]
fn all_problems_of_a_rule_are_found_in_the_servers_order() {
    let hba = Hba::parse(b"host all all all cert map=x clientcert=1 y", 15);
    let problems = hba.rules().next().unwrap().problems(15);
    let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(texts[0].contains("method cert"), "{texts:?}");
    assert!(texts[2].contains("\"y\""), "{texts:?}");
}
