use crate::hba::Hba;
use crate::hba::answer::{Answer, Connection, Transport, answer};
use crate::hba::rule::Rule;
use crate::hba::uncertified::{Opening, Role, uncertified};

/// Alice, who is of the staff.
#[derive(Clone, Copy)]
struct Alice {
    /// Whether the server has said what it knows.
    is_known: bool,
    may_replicate: bool,
    has_password: bool,
}

const ALICE: Alice = Alice {
    is_known: true,
    may_replicate: false,
    has_password: true,
};

fn is_member(role: &str, group: &[u8]) -> bool {
    role.as_bytes() == group || (role == "alice" && group == b"staff")
}

impl Role for Alice {
    fn name(&self) -> &str {
        "alice"
    }

    fn is_member(&self, group: &[u8]) -> Option<bool> {
        self.is_known.then(|| is_member("alice", group))
    }

    fn may_pass(&self, rule: &Rule) -> Option<bool> {
        let passes = self.has_password || !rule.method.asks_for_password();
        self.is_known.then_some(passes)
    }

    fn may_replicate(&self) -> Option<bool> {
        self.is_known.then_some(self.may_replicate)
    }
}

/// The line of the rule that lets her in without a certificate, where there is one, and whether that is certain.
#[track_caller]
fn opening(text: &str, alice: Alice) -> Option<(u32, bool)> {
    let hba = Hba::parse(text.as_bytes(), 16);
    assert_eq!(hba.problems(), []);
    let rules: Vec<&Rule> = hba.rules().collect();
    let Opening { rule, is_certain } = uncertified(&rules, &alice)?;
    Some((rules[rule].first_line, is_certain))
}

/// The line of the rule that certainly lets alice in. Then a connection comes to that very rule.
#[track_caller]
fn way_in(text: &str) -> Option<u32> {
    let (line, is_certain) = opening(text, ALICE)?;
    assert!(is_certain, "{text}");
    let hba = Hba::parse(text.as_bytes(), 16);
    let rules: Vec<&Rule> = hba.rules().collect();
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
    let comes = |it| match answer(&rules, &it, is_member) {
        Answer::Rule(rule) => rules[rule].first_line == line,
        _ => false,
    };
    assert!(connections.any(comes), "{text}");
    Some(line)
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
fn what_is_not_known_may_let_her_in() {
    let certain = |line| Some((line, true));
    let perhaps = |line| Some((line, false));
    let unknown = Alice {
        is_known: false,
        ..ALICE
    };
    for (text, known, asked_nobody) in [
        // A regular expression may be for her, or not.
        ("hostssl all /^a all md5\n", perhaps(1), perhaps(1)),
        (
            "hostssl all /^svc all cert\nhostssl all alice all trust\n",
            perhaps(2),
            perhaps(2),
        ),
        (
            "hostssl all /^a all md5\nhostssl all alice 10.0.0.0/8 trust\n",
            perhaps(1),
            perhaps(1),
        ),
        // A host name is not every address.
        (
            "hostssl all all example.com cert\nhostssl all all all trust\n",
            certain(2),
            perhaps(2),
        ),
        ("host all +staff all trust\n", certain(1), perhaps(1)),
        (
            "hostssl all +staff all cert\nhostssl all all all md5\n",
            None,
            perhaps(2),
        ),
        ("host replication all all trust\n", None, perhaps(1)),
    ] {
        assert_eq!(opening(text, ALICE), known, "{text}");
        assert_eq!(opening(text, unknown), asked_nobody, "{text}");
    }
}

#[test]
fn what_she_may_and_can() {
    let text = "host all all 10.0.0.0/8 md5\nhost all all all trust\n";
    let alice = Alice {
        has_password: false,
        ..ALICE
    };
    assert_eq!(opening(text, alice), Some((2, true)));
    let alice = Alice {
        may_replicate: true,
        ..ALICE
    };
    let text = "hostssl all all all cert\nhostssl replication all all scram-sha-256\n";
    assert_eq!(opening(text, alice), Some((2, true)));
    assert_eq!(opening(text, ALICE), None);
    // Somebody else's certificate will do.
    let text = "hostssl all all all trust clientcert=verify-ca\n";
    assert_eq!(way_in(text), Some(1));
}
