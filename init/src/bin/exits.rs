//! To be tried in the shell: ends with the code that is its argument; 0 without one.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use orbital_user::{
    entry,
    start::{bootstrap, exit},
};

entry!(main);

fn main() -> Result<(), &'static str> {
    match bootstrap().command_line().trim() {
        "" => Ok(()),
        word => exit(word.parse().map_err(|_| "the argument is no number")?),
    }
}
