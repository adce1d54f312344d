//! Orbital's first process: shows that the system holds what it promises, then powers off.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod demo;

use orbital_user::{entry, println, system};

entry!(main);

fn main() -> Result<(), orbital_user::Error> {
    let code = match demo::run() {
        Ok(()) => {
            println!("all checks passed");
            0
        }
        Err(failure) => {
            println!("{failure}");
            1
        }
    };
    Err(system::shutdown(code))
}
