//! What a server serves over TLS, seen from outside.
