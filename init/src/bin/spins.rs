//! To be tried in the shell: runs for ever, and does nothing.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use orbital_user::{entry, println};

entry!(main);

fn main() {
    println!("spinning");
    loop {
        core::hint::spin_loop();
    }
}
