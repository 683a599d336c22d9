//! `postgresql.conf` as text.
