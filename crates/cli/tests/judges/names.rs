//! Names: a role's in the subject, a host's in the alternative names.

use pgpki_testing::run;

use crate::facts::names_of;
use crate::issued::{Issued, openssl_says};

#[test]
fn a_role_is_the_common_name_to_the_letter() {
    let issued = Issued::new("p256", &[]);
    let longest = "ß".repeat(31);
    let roles = [
        "Alice",
        "two words",
        "José",
        "日本語",
        "say \"hi\"",
        "d'Artagnan",
        "a,b+c=d",
        "#1",
        "back\\slash",
        "*.example.com",
        "😀",
        &longest,
    ];
    let args = ["issue-client", "--out", "clients", "--"];
    run(&mut issued.scene.command(args.iter().chain(&roles)));
    for role in roles {
        let file = issued
            .scene
            .path("clients")
            .join(role)
            .join("postgresql.crt");
        let subject = names_of(&file, "-subject");
        assert_eq!(subject.len(), 1, "{subject:?}");
        assert_eq!(subject["commonName"], role);
    }
}

#[test]
fn a_host_is_found_by_its_name_and_others_are_not() {
    let issued = Issued::new("p256", &[]);
    let certificate = &issued.leaves()[0].certificate;
    let cases = [
        ("-checkhost", "db.example.com", true),
        ("-checkhost", "DB.EXAMPLE.COM", true),
        ("-checkhost", "n1.nodes.example.com", true),
        ("-checkhost", "a.b.nodes.example.com", false),
        ("-checkhost", "nodes.example.com", false),
        ("-checkhost", "xn--bcher-kva.example", true),
        ("-checkhost", "upper.example.com", true),
        ("-checkhost", "db.example.org", false),
        ("-checkip", "10.0.0.5", true),
        ("-checkip", "10.0.0.6", false),
        ("-checkip", "2001:db8::5", true),
        ("-checkip", "2001:db8:0:0::5", true),
        ("-checkip", "2001:db8::6", false),
    ];
    for (check, name, matches) in cases {
        let answer = openssl_says(&["x509", "-noout", check, name], certificate);
        assert_eq!(!answer.contains("does NOT match"), matches, "{answer}");
    }
}

#[test]
fn a_server_without_a_dns_name_has_its_address_as_common_name() {
    let issued = Issued::new("p256", &[]);
    issued.scene.pgpki("issue-server 2001:DB8:0::7 --out node");
    let file = issued.scene.path("node/server.crt");
    assert_eq!(names_of(&file, "-subject")["commonName"], "2001:db8::7");
    let answer = openssl_says(&["x509", "-noout", "-checkip", "2001:db8::7"], &file);
    assert!(!answer.contains("NOT"), "{answer}");
}
