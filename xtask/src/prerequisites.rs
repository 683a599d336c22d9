//! Makes sure that the programs a chore runs are there: installs them where that is ours to do,
//! names them elsewhere.

use std::env;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use pgpki_testing::{Owner, ServerPrograms};

use crate::running::{self, Failure};

/// A program from outside, and the package that has it.
pub(crate) struct Need {
    /// What it is called in a message.
    name: &'static str,
    /// Its package in Debian and Ubuntu.
    package: &'static str,
    is_here: fn() -> bool,
}

/// A PostgreSQL server of any version, and the user it runs as.
pub(crate) const POSTGRESQL: Need = Need {
    name: "a PostgreSQL server",
    package: "postgresql",
    is_here: || ServerPrograms::find().is_ok() && Owner::of_new_clusters().is_ok(),
};

/// Judges what we issue.
pub(crate) const OPENSSL: Need = Need {
    name: "openssl",
    package: "openssl",
    is_here: || in_path("openssl"),
};

/// Judges what we issue, with a code base of its own.
pub(crate) const GNUTLS: Need = Need {
    name: "GnuTLS's certtool",
    package: "gnutls-bin",
    is_here: || in_path("certtool"),
};

/// Makes any system call of the real program fail.
pub(crate) const STRACE: Need = Need {
    name: "strace",
    package: "strace",
    is_here: || in_path("strace"),
};

/// Runs the program as other users, and on small file systems of its own.
pub(crate) const UTIL_LINUX: Need = Need {
    name: "setpriv, unshare and nsenter",
    package: "util-linux",
    is_here: || {
        ["setpriv", "unshare", "nsenter"]
            .iter()
            .all(|it| in_path(it))
    },
};

/// Runs the program in other years.
pub(crate) const FAKETIME: Need = Need {
    name: "faketime",
    package: "faketime",
    is_here: || in_path("faketime"),
};

/// Writes down every function that a run calls.
pub(crate) const VALGRIND: Need = Need {
    name: "valgrind",
    package: "valgrind",
    is_here: || in_path("valgrind"),
};

/// Opens our backups, and makes some that we open.
pub(crate) const AGE: Need = Need {
    name: "age",
    package: "age",
    is_here: || in_path("age"),
};

/// Is the token that CAs' keys are in.
pub(crate) const SOFTHSM: Need = Need {
    name: "SoftHSM 2 in /usr/lib/softhsm",
    package: "softhsm2",
    is_here: || in_path("softhsm2-util") && Path::new("/usr/lib/softhsm/libsofthsm2.so").is_file(),
};

/// Judges what is in a token, and puts keys there.
pub(crate) const OPENSC: Need = Need {
    name: "OpenSC's pkcs11-tool",
    package: "opensc",
    is_here: || in_path("pkcs11-tool"),
};

/// Is the attacker in tests of a hostile owner: it plants links faster than a shell.
pub(crate) const PYTHON: Need = Need {
    name: "python3",
    package: "python3",
    is_here: || in_path("python3"),
};

/// Makes keys that we encrypt to.
pub(crate) const OPENSSH: Need = Need {
    name: "ssh-keygen",
    package: "openssh-client",
    is_here: || in_path("ssh-keygen"),
};

/// Reads the YAML that we write.
pub(crate) const PYTHON_YAML: Need = Need {
    name: "PyYAML",
    package: "python3-yaml",
    is_here: || {
        let mut python = Command::new("/usr/bin/python3");
        let run = python.args(["-c", "import yaml"]).output();
        run.is_ok_and(|output| output.status.success())
    },
};

/// Makes requests for certificates, beside openssl, GnuTLS, Go and Java.
pub(crate) const PYTHON_CRYPTOGRAPHY: Need = Need {
    name: "Python's cryptography",
    package: "python3-cryptography",
    // Debian's Python has it, which need not be the first in the path.
    is_here: || {
        ["python3", "/usr/bin/python3"].iter().any(|python| {
            let output = Command::new(python)
                .args(["-c", "import cryptography"])
                .output();
            output.is_ok_and(|it| it.status.success())
        })
    },
};

/// Reloads units, in namespaces of its own.
pub(crate) const SYSTEMD: Need = Need {
    name: "systemd",
    package: "systemd",
    is_here: || {
        in_path("systemctl")
            && ["/lib/systemd/systemd", "/usr/lib/systemd/systemd"]
                .iter()
                .any(|program| Path::new(program).is_file())
    },
};

/// Fetches the PostgreSQL versions that the machine does not have, and the driver for node.
pub(crate) const NPM: Need = Need {
    name: "npm, which fetches one PostgreSQL of every version and the driver for node",
    package: "npm",
    is_here: || in_path("npm"),
};

/// Compiles the clients in Go.
pub(crate) const GO: Need = Need {
    name: "go, which compiles clients",
    package: "golang-go",
    is_here: || in_path("go"),
};

/// The sources of two drivers, which Debian packages so that nothing is fetched to build with them.
pub(crate) const LIB_PQ: Need = Need {
    name: "Go's lib/pq in /usr/share/gocode",
    package: "golang-github-lib-pq-dev",
    is_here: || Path::new("/usr/share/gocode/src/github.com/lib/pq").is_dir(),
};

/// The other one.
pub(crate) const PGX: Need = Need {
    name: "Go's pgx 4 in /usr/share/gocode",
    package: "golang-github-jackc-pgx-v4-dev",
    is_here: || Path::new("/usr/share/gocode/src/github.com/jackc/pgx/v4").is_dir(),
};

/// Compiles and runs the client in Java.
pub(crate) const JDK: Need = Need {
    name: "java and javac",
    package: "default-jdk-headless",
    is_here: || in_path("java") && in_path("javac"),
};

/// Java's driver.
pub(crate) const JDBC: Need = Need {
    name: "pgJDBC in /usr/share/java",
    package: "libpostgresql-jdbc-java",
    is_here: || jdbc().is_some(),
};

/// Runs the client in JavaScript.
pub(crate) const NODE: Need = Need {
    name: "node",
    package: "nodejs",
    is_here: || in_path("node"),
};

/// Keeps the drivers for Python apart from the machine's own modules.
pub(crate) const PYTHON_VENV: Need = Need {
    name: "python3 with venv and ensurepip",
    package: "python3-venv",
    is_here: || {
        let mut python = Command::new("python3");
        let output = python.args(["-c", "import venv, ensurepip"]).output();
        output.is_ok_and(|it| it.status.success())
    },
};

/// Ruby's driver.
pub(crate) const RUBY_PG: Need = Need {
    name: "ruby with pg",
    package: "ruby-pg",
    is_here: || succeeds("ruby", &["-e", "require 'pg'"]),
};

/// The part of Rails that connects.
pub(crate) const ACTIVE_RECORD: Need = Need {
    name: "ruby's active_record",
    package: "ruby-activerecord",
    is_here: || succeeds("ruby", &["-e", "require 'active_record'"]),
};

/// Runs PHP's snippets.
pub(crate) const PHP: Need = Need {
    name: "php",
    package: "php-cli",
    is_here: || in_path("php"),
};

/// PHP's driver.
pub(crate) const PHP_PDO: Need = Need {
    name: "PDO's driver for PostgreSQL",
    package: "php-pgsql",
    is_here: || {
        succeeds(
            "php",
            &["-r", "exit(extension_loaded('pdo_pgsql') ? 0 : 1);"],
        )
    },
};

/// Perl's driver.
pub(crate) const DBD_PG: Need = Need {
    name: "perl with DBD::Pg",
    package: "libdbd-pg-perl",
    is_here: || succeeds("perl", &["-MDBD::Pg", "-e", "1"]),
};

/// Stands between a client and the server.
pub(crate) const PGBOUNCER: Need = Need {
    name: "pgbouncer",
    package: "pgbouncer",
    is_here: || in_path("pgbouncer"),
};

/// Runs a cluster, and its code says what it makes of its file.
pub(crate) const PATRONI: Need = Need {
    name: "patroni for /usr/bin/python3",
    package: "patroni",
    is_here: || {
        in_path("patroni")
            && succeeds(
                "/usr/bin/python3",
                &["-c", "import patroni.postgresql.config"],
            )
    },
};

/// What the members of that cluster agree by.
pub(crate) const ETCD: Need = Need {
    name: "etcd",
    package: "etcd-server",
    is_here: || in_path("etcd"),
};

/// How Patroni talks to it.
pub(crate) const PYTHON_ETCD: Need = Need {
    name: "Python's client of etcd, for patroni",
    package: "python3-etcd",
    is_here: || succeeds("/usr/bin/python3", &["-c", "import etcd"]),
};

/// Its code says what it makes of its file. The successor is no package of Debian's, and reads the
/// same files.
pub(crate) const COMPOSE: Need = Need {
    name: "docker-compose for /usr/bin/python3",
    package: "docker-compose",
    is_here: || succeeds("/usr/bin/python3", &["-c", "import compose.config"]),
};

fn succeeds(program: &str, args: &[&str]) -> bool {
    let output = Command::new(program).args(args).output();
    output.is_ok_and(|it| it.status.success())
}

/// Returns when everything is here. Installs what is missing as root on Debian and its derivatives;
/// says what to install anywhere else.
pub(crate) fn ensure(needs: &[&Need]) -> Result<(), Failure> {
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() || !in_path("apt-get") {
        return Err(Failure::Said(instructions(&missing)));
    }
    install(&missing)?;
    let missing = self::missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::Said(format!(
        "{}\n(apt-get installed their packages, and still they are not found)",
        instructions(&missing)
    )))
}

fn missing<'a>(needs: &[&'a Need]) -> Vec<&'a Need> {
    needs
        .iter()
        .copied()
        .filter(|need| !(need.is_here)())
        .collect()
}

fn instructions(missing: &[&Need]) -> String {
    let names: Vec<&str> = missing.iter().map(|need| need.name).collect();
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let mut text = format!("not found: {}", names.join(", "));
    text += &format!(
        "\nInstall on Debian or Ubuntu:  sudo apt-get install {}",
        packages.join(" ")
    );
    text += "\nElsewhere: the packages that have these programs.";
    if packages.contains(&POSTGRESQL.package) {
        text += "\nA PostgreSQL in an unusual place: PGPKI_TEST_PG_BINDIR=<folder with initdb and postgres>";
    }
    text
}

fn install(missing: &[&Need]) -> Result<(), Failure> {
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    println!("installing with apt-get: {}", packages.join(" "));
    let _no_cluster = packages
        .contains(&POSTGRESQL.package)
        .then(NoMainCluster::arrange)
        .transpose()?;
    let _no_services = NoServices::arrange()?;
    apt_get(&["update"])?;
    apt_get(&[&["install", "--yes", "--no-install-recommends"], &*packages].concat())
}

fn apt_get(args: &[&str]) -> Result<(), Failure> {
    running::run(
        Command::new("apt-get")
            .arg("--quiet")
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

/// While it lives, Debian's packages install a server without making a cluster and starting it: we
/// came for the programs, and a server on port 5432 would be a surprise.
struct NoMainCluster;

impl NoMainCluster {
    const FOLDER: &str = "/etc/postgresql-common/createcluster.d";
    const FILE: &str = "/etc/postgresql-common/createcluster.d/pgpki-xtask.conf";

    fn arrange() -> Result<Self, Failure> {
        fs::create_dir_all(Self::FOLDER)
            .and_then(|()| fs::write(Self::FILE, "create_main_cluster = false\n"))
            .map_err(|error| Failure::Said(format!("cannot write {}: {error}", Self::FILE)))?;
        Ok(Self)
    }
}

impl Drop for NoMainCluster {
    fn drop(&mut self) {
        // What else the administrator installs later is to behave as usual.
        if let Err(error) = fs::remove_file(Self::FILE) {
            eprintln!("xtask: cannot remove {}: {error}", Self::FILE);
        }
    }
}

/// While it lives, Debian's packages start no services: PgBouncer on port 6432 would be another
/// surprise. Where somebody has said so already, or otherwise, that is left.
struct NoServices {
    is_ours: bool,
}

impl NoServices {
    /// Asked by `invoke-rc.d` and `deb-systemd-invoke`; 101 is "action forbidden by policy".
    const FILE: &str = "/usr/sbin/policy-rc.d";
    const TEXT: &str = "#!/bin/sh\nexit 101\n";

    fn arrange() -> Result<Self, Failure> {
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o755);
        let written = file.open(Self::FILE).and_then(|mut file| {
            file.set_permissions(fs::Permissions::from_mode(0o755))?;
            file.write_all(Self::TEXT.as_bytes())
        });
        match written {
            Ok(()) => Ok(Self { is_ours: true }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Self { is_ours: false }),
            Err(error) => Err(Failure::Said(format!(
                "cannot write {}: {error}",
                Self::FILE
            ))),
        }
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.is_ours
            && let Err(error) = fs::remove_file(Self::FILE)
        {
            eprintln!("xtask: cannot remove {}: {error}", Self::FILE);
        }
    }
}

/// Whether a program is in `PATH`, or where Debian keeps those for the administrator.
fn in_path(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
        || Path::new("/usr/sbin").join(program).is_file()
}

/// pgJDBC, under the names that distributions give it: Debian's, Fedora's.
pub(crate) fn jdbc() -> Option<&'static Path> {
    let names = [
        "/usr/share/java/postgresql.jar",
        "/usr/share/java/postgresql-jdbc/postgresql-jdbc.jar",
    ];
    names.map(Path::new).into_iter().find(|it| it.is_file())
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let text = instructions(&[&POSTGRESQL, &GNUTLS]);
        assert!(
            text.contains("a PostgreSQL server, GnuTLS's certtool"),
            "{text}"
        );
        assert!(
            text.contains("sudo apt-get install postgresql gnutls-bin\n"),
            "{text}"
        );
        assert!(text.contains("PGPKI_TEST_PG_BINDIR"), "{text}");
        assert!(!instructions(&[&STRACE]).contains("PGPKI_TEST_PG_BINDIR"));
    }

    #[test]
    fn only_what_is_not_here_is_missing() {
        let here = Need {
            name: "here",
            package: "here",
            is_here: || true,
        };
        let gone = Need {
            name: "gone",
            package: "gone",
            is_here: || false,
        };
        let names: Vec<&str> = missing(&[&here, &gone])
            .iter()
            .map(|need| need.name)
            .collect();
        assert_eq!(names, ["gone"]);
    }
}
