use crate::hba::Hba;
use crate::hba::answer::{Answer, Connection, Transport, Unknown, answer};
use crate::hba::rule::Rule;

fn asked(text: &str, change: impl Fn(&mut Connection<'static>)) -> Answer {
    let hba = Hba::parse(text.as_bytes(), 16);
    assert_eq!(hba.problems(), []);
    let rules: Vec<&Rule> = hba.rules().collect();
    let mut connection = Connection {
        transport: Transport::Tls,
        address: "10.0.0.1".parse().ok(),
        database: "app",
        role: "alice",
        replication: false,
    };
    change(&mut connection);
    answer(&rules, &connection, |role, group| {
        role == "alice" && group == b"staff"
    })
}

#[test]
fn the_first_rule_that_matches_answers() {
    let text = "local all all peer\nhostnossl all all all reject\nhostssl all +staff all cert\n\
                host replication repl 10.0.0.0/8 scram-sha-256\nhost sameuser all ::/0 md5\n";
    assert_eq!(asked(text, |_| ()), Answer::Rule(2));
    assert_eq!(asked(text, |it| it.role = "bob"), Answer::NoRule);
    assert_eq!(
        asked(text, |it| it.transport = Transport::Plain),
        Answer::Rule(1)
    );
    assert_eq!(
        asked(text, |it| it.transport = Transport::Local),
        Answer::Rule(0)
    );
    assert_eq!(asked(text, |it| it.replication = true), Answer::NoRule);
    assert_eq!(
        asked(text, |it| (it.role, it.replication) = ("repl", true)),
        Answer::Rule(3)
    );
    assert_eq!(
        asked(text, |it| {
            (it.role, it.database) = ("bob", "bob");
            it.address = "::2".parse().ok();
        }),
        Answer::Rule(4)
    );
}

#[test]
fn what_only_the_server_knows_is_said() {
    for (line, because) in [
        ("host all all .example.org md5", Unknown::HostName),
        ("host all all samenet md5", Unknown::OwnAddresses),
        ("host /a all all md5", Unknown::Regex),
        ("host all @f all md5", Unknown::File),
    ] {
        let text = format!("host all bob samehost md5\n{line}\nhost all all all trust\n");
        assert_eq!(
            asked(&text, |_| ()),
            Answer::Unknown { rule: 1, because },
            "{line}"
        );
    }
    assert_eq!(
        asked("host all all 10.0.0.0/8 md5", |it| it.address = None),
        Answer::Unknown {
            rule: 0,
            because: Unknown::Address
        }
    );
    assert_eq!(asked("host all /a,all all md5", |_| ()), Answer::Rule(0));
}
