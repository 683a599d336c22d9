//! Drivers for Python, and what stands above them.

use super::literal::double_quoted as literal;
use super::{Driver, File, PEM, Target};

pub(super) const PSYCOPG: Driver = Driver {
    name: "psycopg",
    aliases: &["psycopg3"],
    what: "Python: psycopg 3",
    files: PEM,
    is_libpq: true,
    write: |target| Ok(psycopg(target, "psycopg")),
};

pub(super) const PSYCOPG2: Driver = Driver {
    name: "psycopg2",
    aliases: &[],
    what: "Python: psycopg2",
    files: PEM,
    is_libpq: true,
    write: |target| Ok(psycopg(target, "psycopg2")),
};

pub(super) const ASYNCPG: Driver = Driver {
    name: "asyncpg",
    aliases: &[],
    what: "Python: asyncpg",
    files: PEM,
    is_libpq: false,
    write: |target| Ok(asyncpg(target)),
};

pub(super) const PG8000: Driver = Driver {
    name: "pg8000",
    aliases: &[],
    what: "Python: pg8000",
    files: PEM,
    is_libpq: false,
    write: |target| Ok(pg8000(target)),
};

pub(super) const SQLALCHEMY: Driver = Driver {
    name: "sqlalchemy",
    aliases: &[],
    what: "Python: SQLAlchemy with psycopg",
    files: PEM,
    is_libpq: true,
    write: |target| Ok(sqlalchemy(target)),
};

pub(super) const SQLALCHEMY_ASYNCPG: Driver = Driver {
    name: "sqlalchemy-asyncpg",
    aliases: &[],
    what: "Python: SQLAlchemy with asyncpg",
    files: PEM,
    is_libpq: false,
    write: |target| Ok(sqlalchemy_asyncpg(target)),
};

pub(super) const DJANGO: Driver = Driver {
    name: "django",
    aliases: &[],
    what: "Python: Django's settings",
    files: PEM,
    is_libpq: true,
    write: |target| Ok(django(target)),
};

fn psycopg(target: &Target, module: &str) -> String {
    let mut text = format!(
        "import {module}\n\n\
         # {module}-binary brings an OpenSSL of its own, which updates and the crypto policy of the system\n\
         # do not reach.\n\
         connection = {module}.connect(\n"
    );
    for (keyword, value) in target.settings() {
        text += &match keyword {
            "port" => format!("    {keyword}={value},\n"),
            _ => format!("    {keyword}={},\n", literal(&value)),
        };
    }
    text + ")\n"
}

/// An `SSLContext` that Python's own `ssl` makes, in `context`.
fn context(target: &Target) -> String {
    let file = |file| literal(&target.file(file));
    format!(
        "context = ssl.create_default_context(cafile={})\n\
         context.load_cert_chain({}, {})\n",
        file(File::Root),
        file(File::Certificate),
        file(File::Key)
    )
}

/// The arguments that asyncpg and pg8000 have in common.
fn arguments(target: &Target) -> String {
    format!(
        "    user={},\n    host={},\n    port={},\n    database={},\n",
        literal(target.role.as_str()),
        literal(&target.host.to_string()),
        target.port,
        literal(&target.dbname)
    )
}

fn asyncpg(target: &Target) -> String {
    format!(
        "import ssl\n\nimport asyncpg\n\n\
         # ssl=\"require\" checks nothing of the server, and ssl=True asks the system's roots; a context made in\n\
         # this way checks the certificate, by root.crt, and the name.\n\
         {}\n\
         async def connect():\n    return await asyncpg.connect(\n{}        ssl=context,\n    )\n",
        context(target),
        indented(&arguments(target))
    )
}

fn pg8000(target: &Target) -> String {
    format!(
        "import ssl\n\nimport pg8000.dbapi\n\n\
         # ssl_context=True checks nothing of the server, and without it plaintext is good as well; a context\n\
         # made in this way checks the certificate and the name.\n\
         {}connection = pg8000.dbapi.connect(\n{}    ssl_context=context,\n)\n",
        context(target),
        arguments(target)
    )
}

/// The URL without its query. Names are given as they are.
fn url(target: &Target, dialect: &str) -> String {
    format!(
        "    {},\n    username={},\n    host={},\n    port={},\n    database={},\n",
        literal(dialect),
        literal(target.role.as_str()),
        literal(&target.host.to_string()),
        target.port,
        literal(&target.dbname)
    )
}

fn sqlalchemy(target: &Target) -> String {
    let mut text = format!(
        "from sqlalchemy import URL, create_engine\n\n\
         # In a URL that is one string, a space, quote, @, / and % of a name must be percent-encoded;\n\
         # URL.create takes names as they are. psycopg2 takes the same with postgresql+psycopg2.\n\
         url = URL.create(\n{}    query={{\n",
        url(target, "postgresql+psycopg")
    );
    for (keyword, value) in target.tls() {
        text += &format!("        {}: {},\n", literal(keyword), literal(&value));
    }
    text + "    },\n)\nengine = create_engine(url)\n"
}

fn sqlalchemy_asyncpg(target: &Target) -> String {
    format!(
        "import ssl\n\nfrom sqlalchemy import URL\n\
         from sqlalchemy.ext.asyncio import create_async_engine\n\n\
         # With asyncpg no sslmode or sslrootcert may stand in the URL (\"unexpected keyword argument\"):\n\
         # the context says all of it.\n\
         {}url = URL.create(\n{})\n\
         engine = create_async_engine(url, connect_args={{\"ssl\": context}})\n",
        context(target),
        url(target, "postgresql+asyncpg")
    )
}

fn django(target: &Target) -> String {
    let mut text = format!(
        "DATABASES = {{\n    \"default\": {{\n\
         \x20       \"ENGINE\": \"django.db.backends.postgresql\",\n\
         \x20       \"NAME\": {},\n        \"USER\": {},\n        \"HOST\": {},\n        \"PORT\": {},\n\
         \x20       # The server's workers read these files themselves: they must belong to their user.\n\
         \x20       \"OPTIONS\": {{\n",
        literal(&target.dbname),
        literal(target.role.as_str()),
        literal(&target.host.to_string()),
        target.port
    );
    for (keyword, value) in target.tls() {
        text += &format!("            {}: {},\n", literal(keyword), literal(&value));
    }
    text + "        },\n    }\n}\n"
}

fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("    {line}\n"));
    lines.collect()
}
