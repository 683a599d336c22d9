//! `--fix` mends what is safe, says so, and touches nothing else.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use pgpki_testing::{openssl, run};

use super::fixture::{Doctored, Seen};

impl Doctored {
    /// `doctor --fix`, whose exit status must fit.
    #[track_caller]
    fn fix(&self) -> Seen {
        Seen::of(&mut self.command(&["--fix", "--json"]))
    }
}

/// Owner, group and mode.
fn access(path: &Path) -> (u32, u32, u32) {
    let seen = fs::symlink_metadata(path).unwrap();
    (seen.uid(), seen.gid(), seen.mode() & 0o7777)
}

fn set(path: &Path, owner: (u32, u32), mode: u32) {
    chown(path, Some(owner.0), Some(owner.1)).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn owners_and_modes_inside_the_installation() {
    let mut doctored = Doctored::new();
    let owner = (doctored.cluster.owner().uid, doctored.cluster.owner().gid);
    let (tls, current) = (doctored.scene.tls(), doctored.current());
    let (key, crl) = (current.join("server.key"), current.join("root.crl"));
    assert!(doctored.fix().mended().is_empty());

    set(&key, owner, 0o644);
    let output = doctored.command(&["--fix"]).output().unwrap();
    let (out, said) = (
        output.stdout,
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(
        said.contains("setting the mode of") && output.status.success(),
        "{said}"
    );
    assert!(String::from_utf8_lossy(&out).contains("mended"));
    assert_eq!(access(&key), (owner.0, owner.1, 0o600));

    if !doctored.cluster.owner().is_caller() {
        for (wrong, mode) in [((4242, 4242), 0o600), ((0, 0), 0o600), ((0, 0), 0o640)] {
            set(&key, wrong, mode);
            set(&tls, (0, 0), 0o700);
            set(&current, (0, 0), 0o700);
            set(&crl, (0, 0), 0o600);
            let seen = doctored.fix();
            seen.is_healthy();
            assert_eq!(seen.mended().len(), 4, "{:?}", seen.mended());
            assert_eq!(access(&key), (owner.0, owner.1, 0o600));
            assert_eq!(access(&tls), (owner.0, owner.1, 0o700));
            assert_eq!(access(&current), (owner.0, owner.1, 0o700));
            assert_eq!(access(&crl), (0, 0, 0o644));
        }
        // A key of root's that the server's group reads stays root's.
        set(&key, (0, owner.1), 0o660);
        doctored.fix().is_healthy();
        assert_eq!(access(&key), (0, owner.1, 0o640));
    }
    doctored.cluster.reload().unwrap();
    doctored.doctor().is_healthy();
}

#[test]
fn nothing_is_given_away_that_is_not_the_servers() {
    let mut doctored = Doctored::new();
    if doctored.cluster.owner().is_caller() {
        return;
    }
    // Whoever may write the settings names the authority's own key.
    let ca = doctored.scene.home().join("issuing/current");
    let conf = doctored.conf();
    let (crt, key) = (ca.join("ca.crt"), ca.join("ca.key"));
    doctored.cluster.set_conf(format!(
        "{conf}ssl_cert_file = '{}'\nssl_key_file = '{}'\n",
        crt.display(),
        key.display()
    ));
    let generation = ca.canonicalize().unwrap();
    let paths = [
        &generation.join("ca.key"),
        &generation,
        &doctored.scene.home(),
    ];
    let before = paths.map(|path| access(path));
    assert!(doctored.fix().mended().is_empty());
    assert_eq!(paths.map(|path| access(path)), before);

    // Or another file in the place of the installed key: by a link, by a second name, or moved.
    doctored.cluster.set_conf(conf);
    let installed = doctored.current().join("server.key");
    let secret = doctored.scene.path("secret");
    fs::write(&secret, "secret").unwrap();
    set(&secret, (0, 0), 0o600);
    let other_key = fs::read(&installed).unwrap();
    fs::remove_file(&installed).unwrap();
    symlink(&secret, &installed).unwrap();
    doctored.fix();
    assert_eq!(access(&secret), (0, 0, 0o600));
    fs::remove_file(&installed).unwrap();
    fs::hard_link(&secret, &installed).unwrap();
    doctored.fix();
    assert_eq!(access(&secret), (0, 0, 0o600));
    fs::remove_file(&secret).unwrap();
    doctored.fix();
    assert_eq!(access(&installed), (0, 0, 0o600));
    fs::write(&installed, other_key).unwrap();
    doctored.fix();
    assert_eq!(access(&installed).0, doctored.cluster.owner().uid);
}

#[test]
fn a_crl_that_has_lapsed() {
    let doctored = Doctored::new();
    let lists = String::from_utf8(doctored.read("root.crl")).unwrap();
    let ends = "-----END X509 CRL-----\n";
    let blocks: Vec<&str> = lists.split_inclusive(ends).collect();
    let lapsed = lapsed_crl(&doctored);
    // Whichever of the two is the issuing CA's.
    let is_issuings = |block: &str| {
        let file = doctored.scene.path("one.crl");
        fs::write(&file, block).unwrap();
        let said = openssl(["crl", "-noout", "-issuer", "-in", file.to_str().unwrap()]);
        String::from_utf8(said.stdout)
            .unwrap()
            .contains("issuing CA")
    };
    let others: String = blocks
        .into_iter()
        .filter(|block| !is_issuings(block))
        .collect();
    doctored.write("root.crl", format!("{others}{lapsed}"));
    assert!(doctored.doctor().wrong().contains(&"crl-expired"));
    let seen = doctored.fix();
    seen.is_healthy();
    assert_eq!(seen.mended().len(), 1, "{:?}", seen.mended());
    doctored.doctor().is_healthy();
}

/// A CRL by the issuing CA that was over long ago.
fn lapsed_crl(doctored: &Doctored) -> String {
    let path = |name: &str| doctored.scene.path(name).display().to_string();
    let ca = doctored.scene.home().join("issuing/current");
    let file = |name: &str| ca.join(name).display().to_string();
    fs::write(doctored.scene.path("index"), "").unwrap();
    fs::write(
        doctored.scene.path("ca.cnf"),
        format!(
            "[ca]\ndefault_ca=here\n[here]\ndatabase={}\ndefault_md=sha256\n\
             crl_extensions=extensions\n[extensions]\nauthorityKeyIdentifier=keyid\n",
            path("index")
        ),
    )
    .unwrap();
    run(std::process::Command::new("openssl").args([
        "ca",
        "-gencrl",
        "-config",
        &path("ca.cnf"),
        "-cert",
        &file("ca.crt"),
        "-keyfile",
        &file("ca.key"),
        "-crl_lastupdate",
        "20200101000000Z",
        "-crl_nextupdate",
        "20200201000000Z",
        "-out",
        &path("lapsed.crl"),
    ]));
    fs::read_to_string(doctored.scene.path("lapsed.crl")).unwrap()
}
