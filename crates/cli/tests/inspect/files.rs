//! `pgpki inspect FILE`: ours and openssl's, in every form.

use pgpki_testing::Scene;
use serde_json::{Value, json};

use crate::report::{
    check_findings, check_time, codes, has_fields, inspect, list, scene, scene_with_authority,
    secret, set_mode,
};

/// Runs `openssl` in the scene; the arguments are split at spaces.
#[track_caller]
fn openssl_in(scene: &Scene, line: &str) -> String {
    let mut command = std::process::Command::new("openssl");
    let output = pgpki_testing::run(command.args(line.split(' ')).current_dir(scene.path("")));
    String::from_utf8(output.stdout).unwrap()
}

/// The report in JSON, with every documented field checked.
#[track_caller]
pub(crate) fn json(scene: &Scene, args: &[&str], status: i32) -> Value {
    let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
    let report = inspect(scene, &args).json_with(status);
    let top = [
        "version",
        "target",
        "files",
        "certificates",
        "keys",
        "requests",
        "crls",
        "chains",
        "findings",
    ];
    has_fields(&report, &top, &[]);
    assert_eq!(report["target"], args[0]);
    let each = |name: &str, fields: &[&str]| {
        for element in list(&report, name) {
            has_fields(element, fields, &[]);
        }
    };
    each("files", &["name", "encoding", "holds"]);
    each(
        "certificates",
        &[
            "serial",
            "profile",
            "subject",
            "names",
            "not_before",
            "not_after",
            "status",
            "file",
            "issuer",
            "key",
            "signature",
            "sha256",
            "serial_decimal",
        ],
    );
    each("keys", &["file", "format", "key", "encrypted", "matches"]);
    for request in list(&report, "requests") {
        let fields = ["file", "subject", "names", "ca", "key", "signature"];
        has_fields(request, &fields, &["path_length"]);
    }
    each(
        "crls",
        &[
            "file",
            "issuer",
            "number",
            "this_update",
            "next_update",
            "revoked",
        ],
    );
    each("chains", &["file", "names"]);
    for certificate in list(&report, "certificates") {
        check_time(&certificate["not_before"]);
        check_time(&certificate["not_after"]);
    }
    for crl in list(&report, "crls") {
        check_time(&crl["this_update"]);
        if !crl["next_update"].is_null() {
            check_time(&crl["next_update"]);
        }
    }
    check_findings(&report);
    report
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

/// What openssl says of the first certificate of a file, in the words of our JSON.
fn by_openssl(scene: &Scene, file: &str) -> Value {
    let field = |flags: &str| {
        let said = openssl_in(scene, &format!("x509 -noout {flags} -in {file}"));
        let (_, value) = said.trim_end().split_once('=').unwrap();
        value.to_owned()
    };
    json!({
        "serial": field("-serial").to_lowercase(),
        "subject": field("-subject -nameopt rfc2253"),
        "issuer": field("-issuer -nameopt rfc2253"),
        "not_before": field("-startdate -dateopt iso_8601").replace(' ', "T"),
        "not_after": field("-enddate -dateopt iso_8601").replace(' ', "T"),
        "sha256": field("-fingerprint -sha256").to_lowercase().replace(':', ""),
    })
}

#[track_caller]
fn as_openssl_says(scene: &Scene, file: &str, seen: &Value) {
    let expected = by_openssl(scene, file);
    for (field, value) in expected.as_object().unwrap() {
        let seen = seen[field].as_str().unwrap();
        // A serial may begin with zeros, which one of them may leave out.
        let trim = |text: &str| text.trim_start_matches('0').to_owned();
        assert_eq!(
            trim(seen),
            trim(value.as_str().unwrap()),
            "{field} of {file}"
        );
    }
}

#[test]
fn certificates_of_ours() {
    let scene = scene_with_authority();
    scene.pgpki("issue-client alice --out clients");
    for (file, profile, title, names, issuer, number) in [
        (
            "tls/current/server.crt",
            "server",
            "localhost",
            json!(["localhost", "127.0.0.1"]),
            "CN=localhost issuing CA 1",
            2,
        ),
        (
            "clients/alice/postgresql.crt",
            "client",
            "alice",
            json!([]),
            "CN=localhost issuing CA 1",
            2,
        ),
        (
            "tls/current/root.crt",
            "root",
            "localhost root CA 1",
            json!([]),
            "CN=localhost root CA 1",
            1,
        ),
    ] {
        let report = json(&scene, &[file], 0);
        assert_eq!(codes(&report), [""; 0]);
        let certificates = list(&report, "certificates");
        assert_eq!(certificates.len(), number);
        let first = &certificates[0];
        assert_eq!(first["profile"], profile);
        assert_eq!(first["names"], names);
        assert_eq!(first["issuer"], issuer);
        assert_eq!(first["status"], "valid");
        assert_eq!(first["key"], "P-256");
        as_openssl_says(&scene, file, first);
        assert_eq!(report["files"][0]["encoding"], "PEM");
        let holds = vec!["certificate"; number];
        assert_eq!(report["files"][0]["holds"], json!(holds));

        let text = inspect(&scene, &[file]).text_with(0);
        let kind = format!("{profile} certificate  {title}");
        let first_text = |field: &str| first[field].as_str().unwrap();
        let until = &first_text("not_after")[..10];
        says(
            &text,
            &[
                &kind,
                issuer,
                until,
                "days left",
                first_text("sha256"),
                first_text("serial"),
            ],
        );
        if profile == "server" {
            says(&text, &["localhost, 127.0.0.1"]);
        }
    }
    // The issuing CA, alone.
    let chain = std::fs::read_to_string(scene.tls().join("current/server.crt")).unwrap();
    let (_, issuing) = chain.split_once("-----END CERTIFICATE-----\n").unwrap();
    std::fs::write(scene.path("issuing.crt"), issuing).unwrap();
    let report = json(&scene, &["issuing.crt"], 0);
    assert_eq!(list(&report, "certificates")[0]["profile"], "issuing");
    as_openssl_says(&scene, "issuing.crt", &list(&report, "certificates")[0]);
}

#[test]
fn binary_and_text_say_the_same() {
    let scene = scene_with_authority();
    for (kind, pem, list_name) in [
        ("x509", "tls/current/root.crt", "certificates"),
        ("crl", "tls/current/root.crl", "crls"),
        ("pkcs8 -topk8 -nocrypt", "tls/current/server.key", "keys"),
    ] {
        secret(&scene, "file.der", "");
        openssl_in(
            &scene,
            &format!("{kind} -in {pem} -outform DER -out file.der"),
        );
        let run = inspect(&scene, &["file.der", "--json"]);
        let der = run.json_with(run.status.unwrap());
        assert_eq!(der["files"][0]["encoding"], "DER", "{kind}");
        let pem = json(&scene, &[pem], 0);
        let (mut der, mut pem) = (
            list(&der, list_name)[0].clone(),
            list(&pem, list_name)[0].clone(),
        );
        (der["file"], pem["file"]) = (Value::Null, Value::Null);
        assert_eq!(der, pem, "{kind}");
        let text = inspect(&scene, &["file.der"]).text();
        says(&text, &["file.der  DER"]);
    }
}

#[test]
fn several_in_one() {
    let scene = scene_with_authority();
    let read =
        |name: &str| std::fs::read_to_string(scene.tls().join("current").join(name)).unwrap();
    let all = read("server.key") + &read("server.crt") + &read("root.crt") + &read("root.crl");
    secret(&scene, "all.pem", all);
    let run = inspect(&scene, &["all.pem", "--json"]);
    let report = run.json_with(run.status.unwrap());
    let holds = json!([
        "key",
        "certificate",
        "certificate",
        "certificate",
        "crl",
        "crl"
    ]);
    assert_eq!(report["files"][0]["holds"], holds);
    let profiles: Vec<_> = list(&report, "certificates")
        .iter()
        .map(|c| &c["profile"])
        .collect();
    assert_eq!(profiles, ["server", "issuing", "root"]);
}

#[test]
fn keys_in_every_form() {
    let scene = scene();
    secret(&scene, "pass", "secret\n");
    let make = |name: &str, line: &str| {
        secret(&scene, name, "");
        openssl_in(&scene, line);
        set_mode(&scene, name, 0o600);
    };
    make(
        "sec1.key",
        "ecparam -name secp384r1 -genkey -noout -out sec1.key",
    );
    make(
        "plain.key",
        "pkcs8 -topk8 -nocrypt -in sec1.key -out plain.key",
    );
    make(
        "locked.key",
        "pkcs8 -topk8 -v2 aes-256-cbc -passout pass:secret -in sec1.key -out locked.key",
    );
    make(
        "legacy.key",
        "ec -aes256 -passout pass:secret -in sec1.key -out legacy.key",
    );
    make("pkcs1.key", "genrsa -traditional -out pkcs1.key 2048");
    make("ed.key", "genpkey -algorithm ed25519 -out ed.key");
    make("sec1.der", "ec -in sec1.key -outform DER -out sec1.der");
    for (file, format, kind, encrypted, status) in [
        ("sec1.key", "SEC 1", Some("P-384"), false, 0),
        ("plain.key", "PKCS#8", Some("P-384"), false, 0),
        ("locked.key", "encrypted PKCS#8", None, true, 1),
        ("legacy.key", "legacy encrypted PEM", None, true, 1),
        ("pkcs1.key", "PKCS#1", Some("RSA 2048"), false, 0),
        ("ed.key", "PKCS#8", Some("Ed25519"), false, 0),
        ("sec1.der", "SEC 1", Some("P-384"), false, 0),
    ] {
        let report = json(&scene, &[file], status);
        let key = &list(&report, "keys")[0];
        assert_eq!(
            (&key["format"], &key["key"]),
            (&json!(format), &json!(kind)),
            "{file}"
        );
        assert_eq!(key["encrypted"], encrypted, "{file}");
        assert_eq!(
            codes(&report).contains(&"key-encrypted"),
            encrypted,
            "{file}"
        );
        let text = inspect(&scene, &[file]).text_with(status);
        says(&text, &["private key", format, kind.unwrap_or("locked")]);
    }
    assert!(codes(&json(&scene, &["legacy.key"], 1)).contains(&"key-encryption-weak"));
    let opened = json(&scene, &["locked.key", "--passphrase-file", "pass"], 1);
    assert_eq!(list(&opened, "keys")[0]["key"], "P-384");
    // The key itself stays where it is.
    let plain = std::fs::read_to_string(scene.path("plain.key")).unwrap();
    let secret_line = plain.lines().nth(1).unwrap();
    for args in [&["plain.key"][..], &["plain.key", "--json"]] {
        assert!(!inspect(&scene, args).text().contains(secret_line));
    }
    set_mode(&scene, "plain.key", 0o644);
    assert_eq!(codes(&json(&scene, &["plain.key"], 1)), ["key-mode"]);
}

#[test]
fn requests() {
    let scene = scene();
    secret(&scene, "r.key", "");
    let args = "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout r.key -out r.csr \
                -subj /O=Example/CN=alice -addext subjectAltName=DNS:db.example.com,IP:10.0.0.5,IP:::1";
    openssl_in(&scene, args);
    openssl_in(&scene, "req -in r.csr -outform DER -out r.der");
    for file in ["r.csr", "r.der"] {
        let report = json(&scene, &[file], 0);
        let request = &list(&report, "requests")[0];
        assert_eq!(request["subject"], "CN=alice,O=Example");
        assert_eq!(
            request["names"],
            json!(["db.example.com", "10.0.0.5", "::1"])
        );
        assert_eq!(
            (&request["key"], &request["signature"]),
            (&json!("P-256"), &json!("good"))
        );
        let text = inspect(&scene, &[file]).text_with(0);
        says(
            &text,
            &[
                "signing request  CN=alice,O=Example",
                "db.example.com, 10.0.0.5, ::1",
            ],
        );
    }
    // The last byte belongs to the signature.
    let mut bytes = std::fs::read(scene.path("r.der")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(scene.path("altered.csr"), bytes).unwrap();
    let report = json(&scene, &["altered.csr"], 1);
    assert_eq!(list(&report, "requests")[0]["signature"], "bad");
    assert_eq!(codes(&report), ["request-signature"]);
}

#[test]
fn certificates_and_lists_of_openssl() {
    let scene = scene();
    secret(&scene, "ca.key", "");
    let request = "req -x509 -newkey rsa:2048 -noenc -keyout ca.key -out ca.crt -days 100 \
                   -subj /C=DE/O=Example/CN=Example_CA";
    openssl_in(&scene, request);
    let report = json(&scene, &["ca.crt"], 0);
    let seen = &list(&report, "certificates")[0];
    assert_eq!(
        (&seen["profile"], &seen["key"]),
        (&json!("root"), &json!("RSA 2048"))
    );
    as_openssl_says(&scene, "ca.crt", seen);

    let config = "[ca]\ndefault_ca=d\n[d]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\n";
    for (name, content) in [("conf", config), ("index", ""), ("number", "1F\n")] {
        std::fs::write(scene.path(name), content).unwrap();
    }
    let line = "ca -gencrl -config conf -keyfile ca.key -cert ca.crt -crldays 90 -out a.crl";
    openssl_in(&scene, line);
    let report = json(&scene, &["a.crl"], 0);
    let crl = &list(&report, "crls")[0];
    assert_eq!(
        (&crl["issuer"], &crl["number"]),
        (&json!("CN=Example_CA,O=Example,C=DE"), &json!("31"))
    );
    assert_eq!(crl["revoked"], 0);
    openssl_in(
        &scene,
        "ca -config conf -keyfile ca.key -cert ca.crt -revoke ca.crt",
    );
    openssl_in(&scene, line);
    let report = json(&scene, &["a.crl"], 0);
    assert_eq!(list(&report, "crls")[0]["revoked"], 1);
    let text = inspect(&scene, &["a.crl"]).text_with(0);
    says(
        &text,
        &[
            "revocation list  CN=Example_CA",
            "1 certificate",
            "number 32",
        ],
    );

    let expired = std::process::Command::new("faketime")
        .args([
            "-f", "-30d", "openssl", "x509", "-in", "ca.crt", "-signkey", "ca.key", "-days", "10",
        ])
        .args(["-out", "over.crt"])
        .current_dir(scene.path(""))
        .output()
        .unwrap();
    assert!(expired.status.success(), "{expired:?}");
    let report = json(&scene, &["over.crt"], 1);
    assert_eq!(list(&report, "certificates")[0]["status"], "expired");
    assert!(codes(&report).contains(&"expired"));
    says(
        &inspect(&scene, &["over.crt"]).text_with(1),
        &["ended ", " days ago", "[expired]"],
    );
}

#[test]
fn containers() {
    let scene = scene_with_authority();
    scene.pgpki("issue-client alice --out clients");
    let export = |name: &str, more: &str| {
        let files = "-inkey clients/alice/postgresql.key -in clients/alice/postgresql.crt";
        let line = format!("pkcs12 -export {files} -passout pass:secret -out {name} {more}");
        openssl_in(&scene, &line);
    };
    export("user.p12", "-name user");
    export("other.p12", "-name alice");
    export(
        "old.p12",
        "-name user -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1",
    );
    secret(&scene, "right", "secret\n");
    secret(&scene, "wrong", "guess\n");

    let report = json(&scene, &["user.p12"], 0);
    assert_eq!(codes(&report), ["pkcs12-locked"]);
    assert_eq!(report["files"][0]["holds"], json!(["pkcs12"]));
    assert_eq!(list(&report, "certificates").len(), 0);
    says(
        &inspect(&scene, &["user.p12"]).text_with(0),
        &["--passphrase-file"],
    );

    let report = json(&scene, &["user.p12", "--passphrase-file", "right"], 0);
    assert_eq!(codes(&report), [""; 0]);
    let first = &list(&report, "certificates")[0];
    assert_eq!(
        (&first["profile"], &first["subject"]),
        (&json!("client"), &json!("CN=alice"))
    );
    as_openssl_says(&scene, "clients/alice/postgresql.crt", first);
    assert_eq!(list(&report, "keys")[0]["key"], "P-256");
    let text = inspect(&scene, &["user.p12", "--passphrase-file", "right"]).text_with(0);
    says(
        &text,
        &["opened", "alias user", "client certificate  alice"],
    );

    let report = json(&scene, &["user.p12", "--passphrase-file", "wrong"], 1);
    assert_eq!(codes(&report), ["pkcs12-passphrase"]);
    let report = json(&scene, &["other.p12", "--passphrase-file", "right"], 1);
    assert_eq!(codes(&report), ["pkcs12-alias"]);
    let report = json(&scene, &["old.p12", "--passphrase-file", "right"], 0);
    assert_eq!(codes(&report), [""; 0]);
    assert_eq!(list(&report, "certificates")[0]["subject"], "CN=alice");

    for missing in ["missing", "clients", "/dev/null"] {
        let refused = inspect(&scene, &["user.p12", "--passphrase-file", missing]);
        assert_eq!(
            (refused.status, refused.text().as_str()),
            (Some(4), ""),
            "{missing}"
        );
        assert!(refused.stderr.contains(missing), "{}", refused.stderr);
    }
}

#[test]
fn python_reads_the_json() {
    let scene = scene_with_authority();
    for args in [&["--json"][..], &["--all", "--json"], &["tls", "--json"]] {
        std::fs::write(scene.path("report"), inspect(&scene, args).text_with(0)).unwrap();
        let report = scene.path("report");
        let args = ["-m", "json.tool", report.to_str().unwrap()];
        pgpki_testing::run(std::process::Command::new("python3").args(args));
    }
}
