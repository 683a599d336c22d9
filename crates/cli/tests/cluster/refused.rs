//! What configure will not do, why it says so, and that it has then done nothing.

use std::fs;

use pgpki_testing::{Cluster, ServerPrograms, Shutdown, replace, run};

use crate::fixture::{EVERYTHING, Files, Stage};

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn alter_system_wins_and_is_named() {
    let stage = Stage::new();
    for (name, value) in [
        ("ssl", "off"),
        ("ssl_cert_file", "/x.crt"),
        ("ssl_crl_file", ""),
    ] {
        stage
            .cluster
            .sql(&format!("alter system set {name} = '{value}'"));
        let said = stage.refuses(3, &EVERYTHING);
        let line = format!("{name} is also set by");
        says(
            &said,
            &[&line, "postgresql.auto.conf, line 3", "ALTER SYSTEM RESET"],
        );
        stage.cluster.sql("alter system reset all");
    }
    stage.configure(&EVERYTHING);
}

/// PostgreSQL does not load such a file. With our lines alone it would, and nobody came in by its socket any more.
#[test]
fn rules_that_would_be_the_only_ones() {
    let stage = Stage::new();
    let hba = stage.hba();
    let rules = fs::read(&hba).unwrap();
    for empty in ["", "# nothing\n\n"] {
        stage.write(&hba, empty);
        let said = stage.refuses(4, &EVERYTHING);
        says(
            &said,
            &["pg_hba.conf has no rules", "local  all  all  peer"],
        );
    }
    stage.write(&hba, &rules);
    stage.configure(&EVERYTHING);
    let configured = fs::read_to_string(&hba).unwrap();
    let (ours, _) = configured.split_once("# END pgpki\n").unwrap();
    stage.write(&hba, format!("{ours}# END pgpki\n"));
    stage.refuses(4, &EVERYTHING);
}

#[test]
fn an_installation_that_is_missing_is_named_with_what_makes_it() {
    let stage = Stage::new();
    let before = Files::of(&stage.cluster);
    let mut configure = stage.scene.command(["configure", "--pgdata"]);
    configure.arg(stage.cluster.data_dir()).arg("--install");
    configure.arg(stage.scene.path("nowhere")).args(EVERYTHING);
    let said = stage.scene.fails_with(4, &mut configure);
    before.assert_unchanged(&stage.cluster);
    says(
        &said,
        &["nowhere does not exist", "--install", "pgpki init"],
    );
}

#[test]
fn a_later_file_or_line_wins_and_is_named() {
    let stage = Stage::new();
    let conf_d = stage.cluster.data_dir().join("conf.d");
    fs::create_dir(&conf_d).unwrap();
    stage.cluster.owner().take(&conf_d).unwrap();
    let plain = fs::read_to_string(stage.conf()).unwrap();
    let included = format!("{plain}\ninclude_dir = 'conf.d'\n");
    replace(stage.conf(), &included);
    let later = conf_d.join("zz.conf");
    stage.write(&later, "\n\nSSL_Key_File '/z.key'\n");
    let said = stage.refuses(3, &EVERYTHING);
    says(&said, &["ssl_key_file is also set by", "zz.conf, line 3"]);
    fs::remove_file(&later).unwrap();

    replace(stage.conf(), format!("{included}ssl = off\n"));
    let said = stage.refuses(3, &EVERYTHING);
    let line = format!("postgresql.conf, line {}", included.lines().count() + 1);
    says(&said, &["ssl is also set by", &line]);

    replace(stage.conf(), &plain);
    fs::remove_dir(&conf_d).unwrap();
    stage.configure(&EVERYTHING);
    let block = fs::read_to_string(stage.conf()).unwrap();
    replace(
        stage.conf(),
        format!("{block}include_if_exists 'more.conf'\n"),
    );
    stage.configure(&EVERYTHING);
    stage.write(
        &stage.cluster.data_dir().join("more.conf"),
        "ssl_ca_file = ''",
    );
    let said = stage.refuses(3, &EVERYTHING);
    says(&said, &["ssl_ca_file is also set by", "more.conf, line 1"]);
}

#[test]
fn an_argument_of_the_server_wins_and_is_named() {
    let mut stage = Stage::new();
    stage.cluster.stop(Shutdown::Fast).unwrap();
    for (options, said_of) in [
        ("-c ssl=off", "ssl=off"),
        (
            "--ssl-min-protocol-version=TLSv1.3",
            "ssl_min_protocol_version=TLSv1.3",
        ),
    ] {
        run(&mut stage.pg_ctl(&["-w", "-o", options, "start"]));
        let said = stage.refuses(3, &EVERYTHING);
        says(&said, &["argument", said_of, "Start the server without"]);
        run(&mut stage.pg_ctl(&["-w", "-m", "fast", "stop"]));
    }
}

#[test]
fn a_broken_rule_that_was_there_before_is_bad_input() {
    let stage = Stage::new();
    let text = fs::read_to_string(stage.hba()).unwrap();
    let line = text.lines().count() + 1;
    for broken in [
        "host all all 1.2.3.4 cert",
        "hostssl all all all cert clientcert=verify-ca",
        "hostssl all all all trust clientcert=2",
        "local all all cert",
        "gibberish",
    ] {
        replace(stage.hba(), format!("{text}{broken}\n"));
        let said = stage.refuses(4, &EVERYTHING);
        let place = format!("pg_hba.conf, line {line}: ");
        says(&said, &[&place, "put it right first"]);
    }
}

#[test]
fn a_broken_postgresql_conf_is_bad_input() {
    let stage = Stage::new();
    let text = fs::read_to_string(stage.conf()).unwrap();
    for broken in ["ssl = = on", "include 'nowhere.conf'", "work_mem = 'open"] {
        replace(stage.conf(), format!("{text}{broken}\n"));
        let said = stage.refuses(4, &EVERYTHING);
        let line = format!("postgresql.conf, line {}", text.lines().count() + 1);
        says(&said, &[&line]);
    }
}

#[test]
fn an_edited_block_is_somebody_elses() {
    let stage = Stage::configured(&EVERYTHING);
    let own = stage.cluster.data_dir().join("pgpki.conf");
    for (path, from, to) in [
        (stage.hba(), "reject", "trust"),
        (stage.hba(), "# END pgpki\n", ""),
        (stage.conf(), "include '", "include  '"),
        (own.clone(), "'TLSv1.2'", "'TLSv1.3'"),
        (own, "# END pgpki", "work_mem = 1GB\n# END pgpki"),
    ] {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replace(from, to)).unwrap();
        // What is asked for differs from what is there, so that all of them must be written.
        let rules = ["--require-tls", "--client-certs", "alice"];
        for more in [&rules[..], &["--remove"]] {
            let said = stage.refuses(3, more);
            says(&said, &[path.to_str().unwrap()]);
        }
        fs::write(&path, text).unwrap();
    }
    stage.configure(&["--remove"]);
}

#[test]
fn a_file_of_that_name_that_is_not_ours() {
    let stage = Stage::new();
    let own = stage.cluster.data_dir().join("pgpki.conf");
    stage.write(&own, "work_mem = 1GB\n");
    for more in [&EVERYTHING[..], &["--remove"]] {
        let said = stage.refuses(3, more);
        says(&said, &["pgpki.conf", "did not write it"]);
    }
}

#[test]
fn an_installation_that_is_not_there_or_is_not_whole() {
    let stage = Stage::new();
    for directory in ["nowhere", "home"] {
        let before = Files::of(&stage.cluster);
        let mut command = stage.scene.command(["configure", "--pgdata"]);
        command
            .arg(stage.cluster.data_dir())
            .arg("--install")
            .arg(stage.scene.path(directory));
        let output = command.output().unwrap();
        assert!(matches!(output.status.code(), Some(3 | 4)), "{output:?}");
        before.assert_unchanged(&stage.cluster);
    }
    fs::remove_file(stage.scene.tls().join("current")).unwrap();
    stage.refuses(4, &EVERYTHING);
}

/// Included rules are judged by the server, which takes all rules or none.
#[test]
fn a_broken_rule_in_an_included_file_is_refused() {
    let servers = ServerPrograms::every();
    for programs in servers.iter().filter(|it| it.major() >= 16) {
        let stage = Stage::with(Cluster::builder().programs(programs));
        let text = fs::read_to_string(stage.hba()).unwrap();
        replace(stage.hba(), format!("{text}include more.hba\n"));
        let more = stage.cluster.data_dir().join("more.hba");
        stage.write(&more, "# fine\nhost all all all cert\n");
        let said = stage.refuses(3, &EVERYTHING);
        says(&said, &["more.hba, line 2: "]);
        stage.write(&more, "");
        stage.configure(&EVERYTHING);
    }
}

/// The server's user writes `postgresql.conf`. Root does not make him a file where he likes.
#[test]
fn a_directory_elsewhere_is_included_and_gets_nothing() {
    let stage = Stage::new();
    let elsewhere = stage.scene.path("sysctl.d");
    fs::create_dir(&elsewhere).unwrap();
    let text = fs::read_to_string(stage.conf()).unwrap();
    let up = "../".repeat(elsewhere.components().count() + 2);
    let roundabout = format!("{up}{}", elsewhere.display());
    for include in [elsewhere.clone(), roundabout.into()] {
        replace(
            stage.conf(),
            format!("{text}include_dir '{}'\n", include.display()),
        );
        let said = stage.configure(&EVERYTHING);
        assert!(said.contains("proven     "), "{said}");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0, "{said}");
        stage.configure(&["--remove"]);
    }
}

/// In the usual place there may be another authority's, whose clients are not these.
#[test]
fn of_several_installations_none_is_guessed() {
    let stage = Stage::new();
    let configure = |status: i32, more: &[&str]| {
        let before = Files::of(&stage.cluster);
        let mut command = stage.scene.command(["configure", "--pgdata"]);
        command.arg(stage.cluster.data_dir()).args(more);
        let said = stage.scene.fails_with(status, &mut command);
        before.assert_unchanged(&stage.cluster);
        said
    };
    stage
        .scene
        .pgpki("issue-server other.example.com --install tls2");
    let said = configure(2, &[]);
    assert!(said.contains("several installations"), "{said}");
    for path in [stage.scene.tls(), stage.scene.path("tls2")] {
        assert!(said.contains(path.to_str().unwrap()), "{said}");
    }
    assert!(said.contains("--install DIR"), "{said}");
    // A dry run fails as the run would.
    for more in [&["--dry-run"][..], &[]] {
        let said = configure(4, &[more, &["--install", "/nonexistent/tls"]].concat());
        assert!(said.contains("/nonexistent"), "{said}");
    }
    // One that it uses already is meant, and what is taken out needs none.
    stage.configure(&[]);
    let mut again = stage.scene.command(["configure", "--pgdata"]);
    run(again.arg(stage.cluster.data_dir()).arg("--require-tls"));
    assert!(stage.is_served());
    let mut remove = stage.scene.command(["configure", "--remove", "--pgdata"]);
    run(remove.arg(stage.cluster.data_dir()));
}
