//! While a new root takes over: clients that know one root, the other, or both, with certificates of
//! either, all at one server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use pgpki_testing::{Client, Cluster, Connection, Scene, run};

/// A file with the first certificate of another one.
fn first_of(roots: &Path, file: PathBuf) -> PathBuf {
    let text = fs::read_to_string(roots).unwrap();
    let end = "-----END CERTIFICATE-----\n";
    let first = text.split_inclusive(end).next().unwrap();
    assert!(text.len() > first.len(), "there are two of them");
    fs::write(&file, first).unwrap();
    file
}

/// Every client, with each of the roots and each of the certificates.
fn all_connect(cluster: &Cluster, roots: &[(&str, PathBuf)], certificates: &[(&str, PathBuf)]) {
    thread::scope(|scope| {
        for client in Client::ALL {
            scope.spawn(move || {
                for (knows, root) in roots {
                    for (has, folder) in certificates {
                        let connection = Connection::to(cluster, "alice", root).with_folder(folder);
                        let session = client.connect(&connection);
                        let session = session.unwrap_or_else(|refusal| {
                            panic!("{client} knows {knows}, has {has}: {refusal}")
                        });
                        assert_eq!(session.client_dn, "/CN=alice", "{client}");
                    }
                }
            });
        }
    });
}

/// An authority whose server demands certificates, a new root that takes over, and alice's folders from before and after.
struct Change {
    cluster: Cluster,
    scene: Scene,
    old: PathBuf,
    new: PathBuf,
}

impl Change {
    fn begun() -> Self {
        let cluster = Cluster::running();
        let scene = Scene::new(env!("CARGO_BIN_EXE_pgpki"));
        scene.init("");
        let mut configure = scene.command(["configure", "--require-tls", "--client-certs", "all"]);
        configure.arg("--pgdata").arg(cluster.data_dir());
        run(configure.arg("--install").arg(scene.tls()));
        cluster.create_role("alice", None, true);
        scene.pgpki("issue-client alice --out before");
        scene.pgpki("rotate --root");
        scene.pgpki("issue-client alice --out after");
        // Where alice has them, they do not change any more.
        let taken = |from: &str, to: &str| {
            let to = scene.path(to);
            run(Command::new("cp").arg("-r").arg(scene.path(from)).arg(&to));
            to
        };
        let (old, new) = (taken("before/alice", "old"), taken("after/alice", "new"));
        Self {
            cluster,
            scene,
            old,
            new,
        }
    }

    /// The folders with alice's certificates, and what they are called.
    fn certificates(&self) -> [(&'static str, PathBuf); 2] {
        [
            ("an old certificate", self.old.clone()),
            ("a new one", self.new.clone()),
        ]
    }

    /// The certificate that still depends on the old root, as `--finish` names it.
    fn dependent(&self) -> String {
        let finish = ["rotate", "--root", "--finish", "--dry-run", "--json"];
        let said = self.scene.command(finish).output().unwrap().stdout;
        let left: serde_json::Value = serde_json::from_slice(&said).unwrap();
        let certificates = left["certificates"].as_array().unwrap();
        assert_eq!(certificates.len(), 1, "{left}");
        certificates[0]["serial"].as_str().unwrap().to_owned()
    }
}

#[test]
fn every_client_is_in_with_either_root_and_either_certificate() {
    let change = Change::begun();
    let Change {
        cluster,
        scene,
        old,
        new,
    } = &change;
    let new_root = first_of(&new.join("root.crt"), scene.path("new-root.crt"));
    let roots = [
        ("the old root", old.join("root.crt")),
        ("the new root", new_root),
        ("both roots", new.join("root.crt")),
    ];
    let certificates = change.certificates();
    all_connect(cluster, &roots, &certificates);

    let serial = change.dependent();
    scene.pgpki(&format!("revoke {serial} --reason superseded"));
    scene.pgpki("rotate --root --finish");
    all_connect(cluster, &roots[1..], &certificates[1..]);
}

#[test]
fn every_client_is_still_in_when_the_new_root_was_undone() {
    let change = Change::begun();
    let Change {
        cluster,
        scene,
        old,
        new,
    } = &change;
    scene.pgpki("rotate --root --undo");
    let roots = [
        ("the old root", old.join("root.crt")),
        ("both roots", new.join("root.crt")),
    ];
    let certificates = change.certificates();
    all_connect(cluster, &roots, &certificates);
}
