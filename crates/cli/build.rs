//! How the program is linked, so that it starts quickly: of a run of three milliseconds a good part is the kernel and the
//! dynamic loader bringing the program into memory.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name, value| env::var(name).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        link_the_unwinder();
        if is("PROFILE", "release") && !is_another_linker() {
            lay_side_by_side_what_runs();
        }
    }
}

/// The default is to load GCC's unwinder as a library of its own at each start: it is used only when the program panics.
fn link_the_unwinder() {
    println!("cargo:rustc-link-lib=gcc_eh");
}

/// The kernel maps 64 kB of a program at a time, whenever it comes upon a part that is not mapped yet. As linkers lay the
/// functions, a run of `issue-client` comes to four fifths of all such parts; side by side, the functions that it
/// goes through fill a quarter. Only in a release: finding them among those of a debug build takes a linker seconds.
fn lay_side_by_side_what_runs() {
    println!("cargo:rerun-if-changed=order.ld");
    let dir = env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    // One by one, because a path may have a comma in it.
    for argument in ["-T", &format!("{dir}/order.ld")] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}

/// GNU's linker and LLVM's, which Rust uses where nobody says otherwise, read linker scripts. Some others do not.
fn is_another_linker() -> bool {
    println!("cargo:rerun-if-env-changed=RUSTC_LINKER");
    println!("cargo:rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    env::var_os("RUSTC_LINKER").is_some() || flags.contains("link")
}
