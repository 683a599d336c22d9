use crate::hba::Hba;
use crate::hba::answer::{Answer, Connection, Transport, answer};
use crate::hba::rule::Rule;
use crate::hba::uncertified::uncertified;

fn is_member(role: &str, group: &[u8]) -> bool {
    role.as_bytes() == group || (role == "alice" && group == b"staff")
}

/// The line of the rule that lets alice in without a certificate, where there is one. Then a connection comes to that very
/// rule.
#[track_caller]
fn way_in(text: &str) -> Option<u32> {
    let hba = Hba::parse(text.as_bytes(), 16);
    assert_eq!(hba.problems(), []);
    let rules: Vec<&Rule> = hba.rules().collect();
    let found = uncertified(&rules, "alice", is_member, |_| true)?;
    let transports = [Transport::Tls, Transport::Plain, Transport::GssEnc];
    let addresses = ["10.0.0.1", "192.0.2.1", "2001:db8::1"];
    let mut connections = transports.into_iter().flat_map(|transport| {
        addresses.into_iter().flat_map(move |address| {
            ["app", "other"].map(|database| Connection {
                transport,
                address: address.parse().ok(),
                database,
                role: "alice",
                replication: false,
            })
        })
    });
    // Of a host name it cannot be told whom it is for.
    let comes = |answer| answer == Answer::Rule(found) || matches!(answer, Answer::Unknown { .. });
    assert!(
        connections.any(|it| comes(answer(&rules, &it, is_member))),
        "{text}"
    );
    Some(rules[found].first_line)
}

#[test]
fn the_first_rule_without_a_certificate_that_is_reached() {
    for (text, expected) in [
        ("hostssl all all all cert\nhost all all all md5\n", Some(2)),
        (
            "hostnossl all all all reject\nhostssl all all all cert\nhost all all all trust\n",
            None,
        ),
        // Two rules of one family each are one for every address.
        (
            "hostnossl all all all reject\nhostssl all all 0.0.0.0/0 cert\nhostssl all all ::/0 cert\n\
             host all all all scram-sha-256\n",
            None,
        ),
        (
            "host all all 0.0.0.0/0 reject\nhost all all all scram-sha-256\n",
            Some(2),
        ),
        (
            "hostssl app all all cert\nhostssl all all all scram-sha-256\n",
            Some(2),
        ),
        (
            "hostssl all all all cert\nhostssl app all all scram-sha-256\n",
            None,
        ),
        (
            "hostssl all all 10.0.0.0/8 cert\nhostssl all all 10.0.0.0/24 trust\nhost all all 192.0.2.0/24 ldap ldapserver=l ldapprefix=x\n",
            Some(3),
        ),
        ("hostssl all +staff all md5\n", Some(1)),
        ("hostssl all +others,bob all md5\n", None),
        (
            "hostssl all +staff all cert\nhostssl all all all md5\n",
            None,
        ),
        (
            "hostssl all all all md5 clientcert=verify-full\nhostnossl all all all trust\n",
            Some(2),
        ),
        // Whoever is on the machine already, and whoever replicates.
        (
            "local all all trust\nhost all all 127.0.0.1/32 trust\nhost all all ::1/128 trust\n\
             host replication all all md5\n",
            None,
        ),
        // A regular expression may be for the role, or not; a host name is not all of them.
        (
            "hostssl all /^a all cert\nhostssl all alice all md5\n",
            None,
        ),
        ("hostssl all /^a all md5\n", None),
        (
            "hostssl all all example.com cert\nhostssl all all all md5\n",
            Some(2),
        ),
        // Encryption of GSSAPI's is a way of its own.
        (
            "hostnogssenc all all all reject\nhost all all all md5\n",
            None,
        ),
        (
            "hostnogssenc all all all reject\nhostgssenc all all all gss\n",
            Some(2),
        ),
    ] {
        assert_eq!(way_in(text), expected, "{text}");
    }
}

#[test]
fn a_role_that_cannot_do_what_a_rule_asks_for_goes_on_to_none() {
    let text = "host all all 10.0.0.0/8 md5\nhost all all all trust\n";
    let hba = Hba::parse(text.as_bytes(), 16);
    let rules: Vec<&Rule> = hba.rules().collect();
    let may_pass = |rule: &Rule| !rule.method.asks_for_password();
    assert_eq!(uncertified(&rules, "alice", is_member, may_pass), Some(1));
    assert_eq!(uncertified(&rules, "alice", is_member, |_| false), None);
}
