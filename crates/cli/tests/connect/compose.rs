//! The environment that docker compose gives to a container, as compose itself reads the file, and
//! psql in it.

use std::path::PathBuf;
use std::process::Command;

use pgpki_testing::ServerPrograms;

use crate::cases::{Trial, WHO_AM_I};

/// Compose is a Python program: it is asked what the service's environment is. What is pasted lacks
/// an image, which another file adds, as people do.
const RUNNER: &str = "\
import os, subprocess, sys
from compose.config import config
from compose.config.environment import Environment
psql, query, files = sys.argv[1], sys.argv[2], sys.argv[3:]
image = config.ConfigFile('image.yml', {'services': {'app': {'image': 'app'}}})
for file in files:
    details = config.ConfigDetails('/', [config.ConfigFile.from_filename(file), image], Environment())
    [app] = config.load(details).services
    assert [it.source for it in app['volumes']] == [os.path.dirname(app['environment']['PGSSLKEY'])]
    environment = {'HOME': '/nowhere', 'PGCONNECT_TIMEOUT': '10', 'LC_ALL': 'C.UTF-8', **app['environment']}
    done = subprocess.run([psql, '-XAtqc', query], env=environment, capture_output=True, text=True)
    print(done.stdout.strip() or 'no ' + ' '.join(done.stderr.split()))
";

#[test]
fn compose() {
    let psql = ServerPrograms::find().unwrap().program("psql");
    Trial::of("compose").run(
        "yml",
        |case| case.snippet.clone(),
        |files: &[PathBuf]| {
            let mut python = Command::new("/usr/bin/python3");
            python
                .args(["-c", RUNNER])
                .arg(psql)
                .arg(WHO_AM_I)
                .args(files);
            python
        },
    );
}
