//! The program that `process_spawn` starts: a page of constants, a page of code, a page of data, and
//! an end at once.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use orbital_user::{entry, start::exit};

entry!(main);

/// Changed, so it is data; not zero, so it is in the file.
static INDEX: AtomicUsize = AtomicUsize::new(1);
/// Not changed, so it is a constant; read by an index that the compiler does not know.
static CODES: [u64; 4] = [3, 0, 2, 1];

fn main() {
    exit(CODES[INDEX.fetch_add(1, Relaxed) % CODES.len()]);
}
