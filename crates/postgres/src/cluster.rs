//! Finds a cluster: its files, its version, its process, its settings.
