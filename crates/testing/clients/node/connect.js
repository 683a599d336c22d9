// Connects to PostgreSQL with node-postgres.
'use strict';

const { readFileSync } = require('node:fs');
const { Client } = require('pg');

const WHO_AM_I = `select current_user, coalesce(client_dn, '') as dn
                  from pg_stat_ssl where pid = pg_backend_pid()`;

async function connect([host, port, user, database, mode, root, certificate, key]) {
  const ssl = () => ({
    ca: readFileSync(root),
    ...(certificate && { cert: readFileSync(certificate), key: readFileSync(key) }),
  });
  const client = new Client({
    host,
    port: Number(port),
    user,
    database,
    ssl: mode === 'disable' ? false : ssl(),
    connectionTimeoutMillis: 10000,
  });
  await client.connect();
  const { rows } = await client.query(WHO_AM_I);
  await client.end();
  return rows[0];
}

connect(process.argv.slice(2)).then(
  (row) => console.log(`ok\t${row.current_user}\t${row.dn}`),
  (refused) => {
    console.log(refused.message);
    throw refused;
  },
);
