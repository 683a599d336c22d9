//! Npgsql.

use super::literal::double_quoted as literal;
use super::{Driver, File, PEM, Target};

pub(super) const NPGSQL: Driver = Driver {
    name: "npgsql",
    aliases: &["dotnet", "csharp"],
    what: ".NET: Npgsql (not tested)",
    files: PEM,
    is_libpq: false,
    write: |target| Ok(npgsql(target)),
};

fn npgsql(target: &Target) -> String {
    let file = |file| literal(&target.file(file));
    format!(
        "// Not tested by pgpki. The builder quotes what ; ' and \" need in a connection string.\n\
         // Npgsql before the fix of its issue 6152 sends the leaf without the issuing CA's certificate, and the\n\
         // server says \"unknown ca\": then add the second certificate of postgresql.crt to the user's store\n\
         // of intermediate CAs. Trust Server Certificate must stay off.\n\
         var connectionString = new Npgsql.NpgsqlConnectionStringBuilder\n{{\n\
         \x20   Host = {},\n    Port = {},\n    Username = {},\n    Database = {},\n\
         \x20   SslMode = Npgsql.SslMode.VerifyFull,\n\
         \x20   RootCertificate = {},\n    SslCertificate = {},\n    SslKey = {},\n\
         }}.ConnectionString;\n",
        literal(&target.host.to_string()),
        target.port,
        literal(target.role.as_str()),
        literal(&target.dbname),
        file(File::Root),
        file(File::Certificate),
        file(File::Key)
    )
}
