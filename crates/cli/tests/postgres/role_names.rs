//! The common name is the role, to the letter.

use pgpki_testing::run;

use crate::served::Served;

#[test]
fn every_role_name_gets_in_under_its_own_name() {
    let longest = "x".repeat(63);
    let longest_in_two_bytes = format!("{}z", "é".repeat(31));
    let roles = [
        "Alice",
        "ALICE",
        "alice",
        "snake_case",
        "two words",
        " space around ",
        "José Müller",
        "日本語",
        "d'Artagnan",
        "say \"hi\"",
        "back\\slash",
        "a=b, c+d;e<f>#g",
        "CN=root",
        ".hidden",
        "...",
        "-dash",
        "--help",
        "@at",
        "*",
        "%n",
        "$HOME",
        "100",
        "tab\there",
        "e\u{301}",
        "\u{e9}",
        &longest,
        &longest_in_two_bytes,
    ];
    let served = Served::new("");
    for role in roles {
        served.cluster.create_role(role, None, true);
    }
    let args = ["issue-client", "--out", "clients", "--"];
    run(&mut served.scene.command(args.iter().chain(&roles)));
    for role in roles {
        let folder = served.scene.path("clients").join(role);
        let connection = served.conninfo(&folder, role, &[]);
        assert_eq!(
            served.connects(&connection, "select current_user"),
            role,
            "{role:?}"
        );
    }
    // Two that look the same, or differ in case alone, are not.
    for (folder, user) in [("alice", "Alice"), ("e\u{301}", "\u{e9}")] {
        let folder = served.scene.path("clients").join(folder);
        let connection = served.conninfo(&folder, user, &[]);
        let answer = crate::served::refused(&served.cluster, &connection);
        assert!(
            answer.contains("certificate authentication failed"),
            "{answer}"
        );
    }
}
