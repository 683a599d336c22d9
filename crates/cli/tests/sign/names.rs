//! Names out of a request, for whoever trusts it.

use crate::craft::{
    BMP, Crafter, T61, UNIVERSAL, UTF8, address, alternative_names, dns, subject, wish,
};
use crate::judged::{assert_client, assert_server, public_key};
use crate::stage::{BAD_INPUT, Stage, text};

const TRUST: [&str; 1] = ["--trust-request"];

#[test]
fn a_role_is_the_common_name() {
    let stage = Stage::new();
    let crafter = Crafter::new(&stage.path("requests"));
    for role in [
        "alice",
        "José Müller",
        "two words",
        "a,b+c=d\\e\"f",
        "日本語",
    ] {
        let request = crafter.request("role.csr", &subject(&[(UTF8, role.as_bytes())]), &[]);
        let said = stage.sign(&request, &TRUST);
        assert!(
            said.contains(&format!("is to be   role {role}\n")),
            "{said}"
        );
        let key = public_key(&request, "DER");
        assert_client(&stage, &stage.path("signed").join(role), role, &key);
    }
}

#[test]
fn a_server_is_its_alternative_names() {
    let stage = Stage::new();
    let crafter = Crafter::new(&stage.path("requests"));
    for (common_name, names, folder, hosts) in [
        // The common name goes first, if it is one of them.
        (
            Some("b.example.com"),
            vec![dns(b"a.example.com"), dns(b"b.example.com")],
            "b.example.com",
            "DNS:b.example.com, DNS:a.example.com",
        ),
        (
            Some("10.0.0.7"),
            vec![dns(b"db"), address(&[10, 0, 0, 7])],
            "10.0.0.7",
            "IP Address:10.0.0.7, DNS:db",
        ),
        // And otherwise not at all.
        (
            Some("elsewhere.example"),
            vec![dns(b"one.example.com")],
            "one.example.com",
            "DNS:one.example.com",
        ),
        (
            None,
            vec![dns(b"Two.Example.COM"), dns(b"two.example.com")],
            "two.example.com",
            "DNS:two.example.com",
        ),
        (
            None,
            vec![dns(b"*.wild.example.com")],
            "_.wild.example.com",
            "DNS:*.wild.example.com",
        ),
        (
            None,
            vec![address(&[
                0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5,
            ])],
            "2001:db8::5",
            "IP Address:2001:DB8:0:0:0:0:0:5",
        ),
    ] {
        let name = common_name.map(|name| (UTF8, name.as_bytes()));
        let name: Vec<_> = name.into_iter().collect();
        let request = crafter.request("server.csr", &subject(&name), &[alternative_names(&names)]);
        stage.sign(&request, &TRUST);
        let key = public_key(&request, "DER");
        assert_server(&stage, &stage.path("signed").join(folder), hosts, &key);
    }
}

/// What is shown is what is signed: a second attribute is no way around it.
#[test]
fn every_wish_is_seen() {
    let stage = Stage::new();
    let crafter = Crafter::new(&stage.path("requests"));
    let wishes = [
        alternative_names(&[dns(b"harmless.example.com")]),
        alternative_names(&[dns(b"db.example.com")]),
    ];
    let request = crafter.request("two.csr", &subject(&[]), &wishes);
    let said = stage.sign(&request, &TRUST);
    let shown = "is to be   server harmless.example.com, db.example.com\n";
    assert!(said.contains(shown), "{said}");
    let hosts = "DNS:harmless.example.com, DNS:db.example.com";
    let folder = stage.path("signed/harmless.example.com");
    assert_server(&stage, &folder, hosts, &public_key(&request, "DER"));
}

#[test]
fn names_that_are_not_taken() {
    let stage = Stage::new();
    let crafter = Crafter::new(&stage.path("requests"));
    let long = "x".repeat(64);
    let enormous = "x".repeat(50_000);
    let role = |name: &[u8]| (subject(&[(UTF8, name)]), vec![]);
    let host = |name: &[u8]| (subject(&[]), vec![alternative_names(&[dns(name)])]);
    let many: Vec<_> = (0..101)
        .map(|n| dns(format!("h{n}.example").as_bytes()))
        .collect();
    for (name, (subject, attributes), said) in [
        ("nobody", (subject(&[]), vec![]), "names nobody"),
        ("empty", role(b""), "cannot be empty"),
        (
            "two",
            (subject(&[(UTF8, b"alice"), (UTF8, b"bob")]), vec![]),
            "2 common names",
        ),
        ("bmp", (subject(&[(BMP, b"\0a")]), vec![]), "UTF8String"),
        ("t61", (subject(&[(T61, b"a")]), vec![]), "UTF8String"),
        (
            "universal",
            (subject(&[(UNIVERSAL, b"\0\0\0a")]), vec![]),
            "UTF8String",
        ),
        ("latin", role(b"Jos\xe9"), "UTF8String"),
        ("newline", role(b"alice\nbob"), "cannot be seen"),
        ("escape", role(b"alice\x1b[2Kbob"), "cannot be seen"),
        ("zero", role(b"alice\0"), "cannot be seen"),
        (
            "turned",
            role("a\u{202e}ecila".as_bytes()),
            "cannot be seen",
        ),
        (
            "invisible",
            role("al\u{200b}ice".as_bytes()),
            "cannot be seen",
        ),
        ("combining", role("e\u{301}".as_bytes()), "cannot be seen"),
        ("space", role(b"alice "), "cannot be seen"),
        ("path", role(b"../../etc"), "name of a folder"),
        ("dots", role(b".."), "name of a folder"),
        ("reserved", role(b".pgpki"), "name of a folder"),
        ("long", role(long.as_bytes()), "63 bytes"),
        ("enormous", role(enormous.as_bytes()), "63 bytes"),
        ("host", host(b"not a host"), "character"),
        ("wide", host(b"*.com"), "at least two parts"),
        ("port", host(b"db:5432"), "port"),
        ("network", host(b"10.0.0.0/8"), "networks"),
        ("long-host", host(long.repeat(4).as_bytes()), "longer than"),
        ("enormous-host", host(enormous.as_bytes()), "longer than"),
        ("empty-host", host(b""), "it is empty"),
        (
            "octets",
            (
                subject(&[]),
                vec![alternative_names(&[address(&[1, 2, 3])])],
            ),
            "other kinds",
        ),
        (
            "mail",
            (
                subject(&[(UTF8, b"alice")]),
                vec![alternative_names(&[crate::craft::element(0x81, b"a@b")])],
            ),
            "other kinds",
        ),
        // Not to be read as alternative names: not to be taken for a role either.
        (
            "garbled",
            (subject(&[(UTF8, b"postgres")]), vec![wish(b"garbled")]),
            "",
        ),
        (
            "many",
            (subject(&[]), vec![alternative_names(&many)]),
            "101 names",
        ),
    ] {
        let request = crafter.request(&format!("{name}.csr"), &subject, &attributes);
        let message = stage.refuses(BAD_INPUT, &request, &TRUST);
        assert!(message.contains(said), "{name}: {message}");
    }
}

/// Somebody who says for whom it is need not be able to read it.
#[test]
fn names_that_do_not_matter() {
    let stage = Stage::new();
    let crafter = Crafter::new(&stage.path("requests"));
    let odd = subject(&[(UTF8, b"\x1b]0;owned\x07\nrole admin"), (BMP, b"\0a")]);
    let names = alternative_names(&[dns(b"\x1b[2J"), address(&[1])]);
    let request = crafter.request("odd.csr", &odd, &[names]);
    for (number, args) in [["--role", "alice"], ["--host", "db"]].iter().enumerate() {
        let said = stage.sign(&request, args);
        assert!(crate::stage::is_plain(said.as_bytes()), "{said:?}");
        assert!(said.contains("CN="), "{number}: {said}");
    }
    let certificate = stage.path("signed/alice/postgresql.crt");
    let spelt = pgpki_testing::openssl(["x509", "-noout", "-text", "-in", text(&certificate)]);
    let spelt = String::from_utf8(spelt.stdout).unwrap();
    assert!(
        !spelt.contains("owned") && !spelt.contains("admin"),
        "{spelt}"
    );
}
