//! Links the unwinder of GCC into the program, where the default is to load it as a library of its own at
//! each start: it is used only when the program panics.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name, value| env::var(name).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo:rustc-link-lib=gcc_eh");
    }
}
