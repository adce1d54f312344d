//! To be tried in the shell: prints as many numbered lines as its argument says; 10 without one.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use orbital_user::{entry, println, start::bootstrap};

entry!(main);

fn main() -> Result<(), &'static str> {
    let count: u64 = match bootstrap().command_line().trim() {
        "" => 10,
        word => word.parse().map_err(|_| "the argument is no number")?,
    };
    for number in 1..=count {
        println!("line {number} of {count}");
    }
    Ok(())
}
