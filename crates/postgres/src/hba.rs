//! `pg_hba.conf` as text.
