//! Starts programs, and tells how they end ([`protocol::processes`](orbital_init::protocol::processes)).
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use orbital_init::{own_service, processes::serve};
use orbital_user::{Error, entry, program::Archive};

entry!(main);

fn main() -> Result<(), Error> {
    Ok(serve(&own_service()?, Archive::open()?)?)
}
