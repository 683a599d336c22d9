//! Python's drivers, and what stands above them.

use std::path::PathBuf;
use std::process::Command;

use pgpki_testing::Toolbox;

use crate::cases::{Trial, WHO_AM_I};

/// Runs files, each a snippet with something at its end that prints.
const RUNNER: &str = "\
import runpy, sys
for path in sys.argv[1:]:
    try:
        runpy.run_path(path)
    except Exception as refused:
        print('no', ' '.join(str(refused).split()))
";

fn comes_in(driver: &'static str, then: &str) {
    let trial = Trial::of(driver);
    let end = then.replace("WHO_AM_I", &format!("\"\"\"{WHO_AM_I}\"\"\""));
    trial.run("py", |case| format!("{}{end}", case.snippet), python);
}

fn python(files: &[PathBuf]) -> Command {
    let folder = Toolbox::Python.made().unwrap();
    let mut python = Command::new(folder.join("venv/bin/python"));
    python.args(["-c", RUNNER]).args(files);
    python
}

#[test]
fn psycopg() {
    comes_in(
        "psycopg",
        "print(connection.execute(WHO_AM_I).fetchone()[0])\n",
    );
}

#[test]
fn psycopg2() {
    comes_in(
        "psycopg2",
        "cursor = connection.cursor()\ncursor.execute(WHO_AM_I)\nprint(cursor.fetchone()[0])\n",
    );
}

#[test]
fn pg8000() {
    comes_in(
        "pg8000",
        "cursor = connection.cursor()\ncursor.execute(WHO_AM_I)\nprint(cursor.fetchone()[0])\n",
    );
}

#[test]
fn asyncpg() {
    comes_in(
        "asyncpg",
        "import asyncio\n\
         async def ask():\n    return await (await connect()).fetchval(WHO_AM_I)\n\
         print(asyncio.run(ask()))\n",
    );
}

#[test]
fn sqlalchemy() {
    comes_in(
        "sqlalchemy",
        "from sqlalchemy import text\n\
         with engine.connect() as connection:\n    print(connection.scalar(text(WHO_AM_I)))\n",
    );
}

#[test]
fn sqlalchemy_with_asyncpg() {
    comes_in(
        "sqlalchemy-asyncpg",
        "import asyncio\nfrom sqlalchemy import text\n\
         async def ask():\n    async with engine.connect() as connection:\n        \
         return await connection.scalar(text(WHO_AM_I))\n\
         print(asyncio.run(ask()))\n",
    );
}

/// Django reads its settings once in a process: what it makes of `DATABASES` is what it does there.
#[test]
fn django() {
    comes_in(
        "django",
        "from django.conf import settings\nfrom django.db.utils import ConnectionHandler\n\
         if not settings.configured:\n    settings.configure()\n\
         cursor = ConnectionHandler(DATABASES)['default'].cursor()\n\
         cursor.execute(WHO_AM_I)\nprint(cursor.fetchone()[0])\n",
    );
}
