//! What work with a key leaves on the stack.
//!
//! Keys that a library returns are moved from frame to frame, and a signature has its numbers in frames of its own: neither is
//! overwritten when a function returns. A heap can be wiped where it is freed, which the program has its allocator do.

use std::hint::black_box;

/// Octets below the caller's frame. RSA takes most, for a table of powers. Nothing was found below that after a signature with
/// 2048 bits in an unoptimised build, or 4096 in an optimised one; pages that nothing else touches cost time.
const DEPTH: usize = 24 * 1024;

/// Does what `work` says, and then overwrites the part of the stack that it had. What it returns should have keys on the heap.
pub(crate) fn wiped_after<T>(work: impl FnOnce() -> T) -> T {
    let result = apart(work);
    overwrite();
    result
}

/// In a frame of its own, which is gone when it returns.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// In the same place as that frame, and those below it.
#[inline(never)]
fn overwrite() {
    let mut block = [0_u8; DEPTH];
    // So that the compiler cannot take it for a block that nobody reads.
    black_box(&mut block);
}
