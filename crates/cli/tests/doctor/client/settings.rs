//! Settings that leave something open, or that libpq would not take.

use super::{Pairing, Seen};
use crate::material::Material;

#[test]
fn modes_below_verify_full() {
    let pairing = Pairing::new();
    for (mode, why) in [
        ("disable", "no TLS"),
        ("allow", "refuses to do without"),
        ("prefer", "goes on without it"),
        ("require", "counts as verify-ca"),
        ("verify-ca", "whatever its name"),
    ] {
        let conninfo = pairing.conninfo(&format!("sslmode={mode}"));
        let seen = Seen::of(&mut pairing.command(&conninfo));
        seen.assert(&["sslmode-weak"]);
        assert_eq!(seen.finding("sslmode-weak")["severity"], "warning");
        let message = seen.message("sslmode-weak");
        assert!(
            message.contains(why) && message.contains("the connection string"),
            "{message}"
        );
    }
    std::fs::remove_file(pairing.file("root.crt")).unwrap();
    let conninfo = pairing.conninfo("sslmode=require");
    let seen = Seen::of(&mut pairing.command(&conninfo));
    seen.assert(&["sslmode-weak"]);
    assert!(seen.message("sslmode-weak").contains("whoever answers"));
    // What nobody has set is prefer, whose source is told as well.
    let seen = Seen::of(
        pairing
            .command(&pairing.conninfo(""))
            .env("PGSSLMODE", "prefer"),
    );
    assert!(seen.message("sslmode-weak").contains("PGSSLMODE"));
    let seen = Seen::of(&mut pairing.command(&pairing.conninfo("")));
    assert!(seen.message("sslmode-weak").contains("libpq's default"));
}

#[test]
fn modes_that_libpq_refuses() {
    let pairing = Pairing::new();
    for more in [
        "sslrootcert=system sslmode=require",
        "sslnegotiation=direct sslmode=prefer",
    ] {
        // Without a host, so that only the settings are judged.
        let seen = Seen::of(&mut pairing.command(&format!("user=alice {more}")));
        seen.assert(&["sslmode-weak"]);
        assert_eq!(seen.finding("sslmode-weak")["severity"], "error");
    }
}

#[test]
fn what_is_not_looked_into() {
    let pairing = Pairing::new();
    let conninfo = "service=orders user=alice sslmode=verify-full sslkey=pkcs11:key";
    let seen = Seen::of(&mut pairing.command(conninfo));
    seen.assert(&[]);
    assert!(seen.message("service-unread").contains("orders"));
    seen.finding("key-in-engine");
    // The tests' own home is another one.
    seen.finding("home-differs");
}

/// psql never opens that file.
#[test]
fn a_colon_in_the_path_of_the_key() {
    let pairing = Pairing::new();
    let own = pairing.home.join(".postgresql");
    let odd = pairing.home.join("a:b");
    std::fs::rename(&own, &odd).unwrap();
    let file = |name: &str| odd.join(name).display().to_string();
    let conninfo = pairing.conninfo(&format!(
        "sslmode=verify-full sslrootcert={} sslcert={} sslkey={}",
        file("root.crt"),
        file("postgresql.crt"),
        file("postgresql.key")
    ));
    let output = pairing.cluster.psql(&conninfo, "select 1");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("could not load SSL engine"), "{said}");
    let seen = Seen::of(&mut pairing.command(&conninfo));
    assert_eq!(seen.finding("key-in-engine")["severity"], "error");
    let explain = ["doctor", "--json", "--explain", &said];
    let explained = pgpki_testing::run(&mut pairing.material.scene.command(explain)).stdout;
    let explained = String::from_utf8(explained).unwrap();
    assert!(explained.contains("key-in-engine"), "{explained}");
}

#[test]
fn what_libpq_would_not_take() {
    let material = Material::new();
    let scene = &material.scene;
    for (text, part) in [
        ("db.example.com", "without \"=\""),
        ("host=db nonsense=1", "nonsense"),
        ("host='db", "closing quote"),
        ("sslmode=full", "sslmode"),
        ("host=a,b port=1,2,3", "3 values of port"),
        ("postgresql://u:sekrit@db:sekrit/", "port"),
        ("postgresql://u:sek/rit@db/", "user or password"),
    ] {
        let said = scene.fails_with(4, &mut scene.command(["doctor", "--client", text]));
        assert!(said.contains(part), "{text}: {said}");
        assert!(!said.contains("sek"), "{text}: {said}");
    }
}
