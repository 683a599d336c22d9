//! The `pgpki` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    pgpki::main()
}
